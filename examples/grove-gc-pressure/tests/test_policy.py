"""The policy by itself: what it proposes, when, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("grove_gc_pressure", reason="grove-gc-pressure is not installed")

from grove_gc_pressure import Pressure

from grove_core.base.records import Role, VersionUse
from grove_core.testing import GcPolicyConformance

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))


class TestPressure(GcPolicyConformance):
    """Memory is short, so that it proposes whenever it may."""

    @pytest.fixture(autouse=True)
    def _short(self, machine: Any) -> None:
        machine.meminfo(1000, 10)
        self.root = machine.root

    def make(self, unused_threshold_seconds: float) -> Pressure:
        return Pressure(unused_threshold_seconds, root=self.root)


def idle(version: Version, since: float | None) -> VersionUse:
    return VersionUse("ledger", version, Role.IDLE, 0.0, 0, since, 0)


USES = (idle(ONE, 20.0), idle(TWO, 10.0), idle(THREE, 30.0))


def asked(policy: Pressure, uses: tuple[VersionUse, ...] = USES, now: float = 100.0) -> list[Version]:
    return list(policy.collect(uses, now))


def test_nothing_is_proposed_while_there_is_memory(machine: Any) -> None:
    policy = Pressure(0.0, above=0.8, root=machine.root)
    for available, proposed in ((500, []), (200, []), (199, [TWO]), (900, [])):
        machine.meminfo(1000, available)
        assert asked(policy) == proposed


def test_those_that_were_unused_for_longest_go_first(machine: Any) -> None:
    machine.meminfo(1000, 10)
    policy, left = Pressure(0.0, root=machine.root), list(USES)
    gone = []
    while left:
        (version,) = asked(policy, tuple(left))
        gone.append(version)
        left = [use for use in left if use.version != version]
    assert gone == [TWO, ONE, THREE]


def test_what_was_refused_waits_for_the_others(machine: Any) -> None:
    machine.meminfo(1000, 10)
    policy = Pressure(0.0, root=machine.root)
    assert [asked(policy) for _ in range(5)] == [[TWO], [ONE], [THREE], [TWO], [ONE]]
    used_again = (idle(ONE, 20.0), idle(TWO, 50.0), idle(THREE, 30.0))
    assert [asked(policy, used_again) for _ in range(3)] == [[THREE], [TWO], [ONE]]


def test_several_may_go_at_once(machine: Any) -> None:
    machine.meminfo(1000, 10)
    assert asked(Pressure(0.0, at_once=2, root=machine.root)) == [TWO, ONE]
    assert asked(Pressure(0.0, at_once=9, root=machine.root)) == [TWO, ONE, THREE]


def test_the_threshold_holds_however_short_memory_is(machine: Any) -> None:
    machine.meminfo(1000, 0)
    policy = Pressure(80.0, at_once=9, root=machine.root)
    assert asked(policy, now=89.9) == []
    assert asked(policy, now=100.0) == [TWO, ONE]


def test_stalls_may_be_the_measure(machine: Any) -> None:
    machine.stalled(5.0)
    policy = Pressure(0.0, above=0.1, measure="stalled", root=machine.root)
    assert asked(policy) == []
    machine.stalled(10.01)
    assert asked(policy) == [TWO]


def test_the_files_are_read_only_when_something_is_unused(machine: Any) -> None:
    policy = Pressure(60.0, root=machine.root)
    (machine.root / "proc/meminfo").unlink()
    assert asked(policy, (idle(ONE, None), idle(TWO, 99.0))) == []
    with pytest.raises(FileNotFoundError):
        asked(policy)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"above": 1.0}, "above"),
        ({"above": -0.1}, "above"),
        ({"above": float("nan")}, "above"),
        ({"measure": "moon"}, "moon"),
        ({"measure": "stalled"}, "pressure"),
        ({"at_once": 0}, "at_once"),
        ({"root": "/nowhere"}, "meminfo"),
        ({"unused_threshold_seconds": -1.0}, "unused_threshold_seconds"),
        ({"unused_threshold_seconds": float("inf")}, "unused_threshold_seconds"),
    ],
)
def test_options_that_mean_nothing_are_refused(machine: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, OSError), match=said):
        Pressure(**{"unused_threshold_seconds": 0.0, "root": machine.root, **options})
