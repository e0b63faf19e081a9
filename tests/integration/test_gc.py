"""Versions that nobody uses are collected, and those that are needed never."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core import DebugEngine, ManualClock, Settings
from grove_core.base.events import EventKind
from grove_core.base.records import Role, UnloadReport, VersionUse
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice

from .conftest import OpenEngine, kill, runs
from .sources import BOTH, MODULE, V1, V2, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")


class Parts:
    """A plugin with policies and holds for these tests."""

    @hookimpl
    def grove_register_gc_policies(self) -> dict[str, Any]:
        return {"eager": Eager, "raising": Raising, "confused": Confused}

    @hookimpl
    def grove_register_holds(self) -> dict[str, Any]:
        return {"firm": Firm, "shaky": Shaky}


class Eager:
    """Proposes everything, always."""

    def __init__(self, unused_threshold_seconds: float) -> None:
        pass

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        return [use.version for use in uses]


class Raising(Eager):
    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        raise RuntimeError("no idea")


class Confused(Eager):
    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        return [Version("7.0")]


class Firm:
    def reason(self, use: VersionUse) -> str | None:
        return "because" if use.role is Role.PREVIOUS else None


class Shaky:
    def reason(self, use: VersionUse) -> str | None:
        raise RuntimeError("no grip")


def settings(policy: str = "idle", holds: tuple[str, ...] = ("stable",)) -> Settings:
    return Settings(gc_policy=Choice(policy), holds=holds, tick_deadline_ms=20_000.0, max_entities=1 << 12)


def promoted(open_engine: OpenEngine, clock: ManualClock, sources: dict[str, str] = BOTH, **kwargs: Any) -> DebugEngine:
    """Open an engine in which version 2 took over from version 1, which is unused since second 100."""
    engine = open_engine(sources, clock=clock, **kwargs)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(100), n=1)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})  # so that its rows are copied, and its memory stays
    clock.set(100.0)
    engine.set_traffic_split(MODULE, {2: 1.0})
    return engine


def collected(engine: DebugEngine) -> list[UnloadReport]:
    """Tick, the clock standing still, until something is collected: is_idle gets a moment in each tick to answer."""
    for _ in range(1000):
        if reports := list(engine.tick(0.1).collected):
            return reports
    raise AssertionError("nothing was collected")


def held_because(engine: DebugEngine) -> list[str]:
    return [event.details["reason"] for event in engine.events if event.kind is EventKind.COLLECTION_HELD]


def test_a_version_is_collected_once_it_was_idle_for_so_long(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock)
    worker = engine.workers(MODULE)[ONE]
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(109.999)
    assert engine.tick(0.1).collected == ()
    clock.set(110.0)
    (report,) = collected(engine)
    assert (report.module, report.version, report.idle_seconds) == (MODULE, ONE, 10.0)
    assert report.had.pss and report.had.private and report.had.tables > 0
    assert report.returned_bytes is not None and report.returned_bytes >= report.had.tables
    assert not runs(worker)
    assert engine.get_loaded_versions(MODULE) == [TWO]
    assert [event.version for event in engine.events if event.kind is EventKind.VERSION_COLLECTED] == [ONE]
    assert engine.tick(0.1).collected == ()


def test_being_used_again_starts_the_time_anew(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock)
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(108.0)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    clock.set(115.0)
    assert engine.tick(0.1).collected == ()
    engine.set_traffic_split(MODULE, {2: 1.0})
    clock.set(124.9)
    assert engine.tick(0.1).collected == ()
    clock.set(125.0)
    assert [report.idle_seconds for report in collected(engine)] == [10.0]


@pytest.mark.parametrize("policy", ["idle", "eager"])
def test_what_has_entities_or_weight_or_is_stable_is_never_collected(open_engine: OpenEngine, policy: str) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock, settings=settings(policy), plugins=(Parts(),))
    engine.pin(MODULE, [3], 1)
    engine.enable_auto_gc(MODULE, 0.0)
    clock.set(200.0)
    assert engine.tick(0.1).collected == (), "one entity is pinned to version 1"
    engine.unpin(MODULE, [3])
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.despawn(MODULE, range(100))
    assert [report.version for report in collected(engine)] == [ONE]
    for _ in range(3):
        assert engine.tick(0.1).collected == ()
    assert engine.get_loaded_versions(MODULE) == [TWO]


def test_nothing_is_collected_before_it_is_enabled_and_after_it_is_disabled(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock)
    clock.set(1000.0)
    assert engine.tick(0.1).collected == ()
    engine.enable_auto_gc(MODULE, 10.0)
    engine.disable_auto_gc(MODULE)
    assert engine.tick(0.1).collected == ()
    engine.enable_auto_gc(MODULE, 10.0)
    assert len(collected(engine)) == 1


@pytest.mark.parametrize(
    ("hold", "reason"), [("firm", "firm: because"), ("shaky", "shaky: the hold raised"), ("previous", "previous: ")]
)
def test_a_hold_holds_and_says_why_once(open_engine: OpenEngine, hold: str, reason: str) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock, settings=settings(holds=("stable", hold)), plugins=(Parts(),))
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(200.0)
    for _ in range(3):
        assert engine.tick(0.1).collected == ()
    (told,) = held_because(engine)
    assert told.startswith(reason)


def test_a_version_that_is_not_idle_is_held_until_it_is(open_engine: OpenEngine, tmp_path: Path) -> None:
    flag = tmp_path / "busy"
    flag.touch()
    busy = version(
        "e.n += 1",
        schema='x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", constant=("fixed",)',
        body=f"def is_idle(self): return not os.path.exists({str(flag)!r})",
    )
    clock = ManualClock()
    engine = promoted(open_engine, clock, {"1.0.0": busy, "2.0.0": V2})
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(110.0)
    for _ in range(3):
        assert engine.tick(0.1).collected == ()
    assert held_because(engine) == ["its is_idle is not true"]
    flag.unlink()
    clock.set(130.0)
    assert [report.idle_seconds for report in collected(engine)] == [30.0]


def test_a_version_that_never_answers_is_idle_does_not_stop_the_ticks(open_engine: OpenEngine) -> None:
    mute = V1 + "\n    def is_idle(self):\n        import time\n        time.sleep(60)\n"
    clock = ManualClock()
    engine = promoted(open_engine, clock, {"1.0.0": mute, "2.0.0": V2})
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(200.0)
    for _ in range(5):
        report = engine.tick(0.1)
        assert (report.collected, report.faults, report.entities) == ((), (), 100)
    assert engine.get_loaded_versions(MODULE) == [ONE, TWO]


def test_an_unused_version_that_died_is_cleared_away(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock)
    engine.enable_auto_gc(MODULE, 10.0)
    kill(engine, ONE)
    clock.set(200.0)
    report = engine.tick(0.1)
    assert [fault.version for fault in report.faults] == [ONE]
    assert engine.get_loaded_versions(MODULE) == [TWO]


@pytest.mark.parametrize(("policy", "told"), [("raising", "no idea"), ("confused", None)])
def test_a_policy_that_talks_nonsense_collects_nothing(open_engine: OpenEngine, policy: str, told: str | None) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock, settings=settings(policy), plugins=(Parts(),))
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(200.0)
    for _ in range(3):
        report = engine.tick(0.1)
        assert (report.collected, report.entities) == ((), 100)
    failures = [event.details["error"] for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert [told in failure for failure in failures if told] == ([] if told is None else [True])
    assert engine.get_loaded_versions(MODULE) == [ONE, TWO]


def test_a_rollback_to_a_version_that_was_collected(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = promoted(open_engine, clock)
    engine.tick(0.5)
    engine.enable_auto_gc(MODULE, 10.0)
    clock.set(200.0)
    assert len(collected(engine)) == 1
    before = set(engine.entities(MODULE)["n"].tolist())
    engine.inject_fault(MODULE, 2, "kill")
    report = engine.tick(0.5)
    assert [(one.target, one.reloaded, one.entities) for one in report.rollbacks] == [(ONE, True, 100)]
    assert set(engine.entities(MODULE)["n"].tolist()) == {n + 1 for n in before}
