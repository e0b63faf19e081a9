"""Validators in an engine: a commit that one refuses never is one, and one that fails itself costs no tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import Settings
from grove_core.base.errors import PluginFailed, UnknownPart
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.parts.contracts import Commit
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice

from .acts import counted, start
from .conftest import OpenEngine
from .sources import BOTH, MODULE, SCHEMA_1, V1, V2, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")


def limits(*validators: Choice) -> Settings:
    return Settings(validators=validators, tick_deadline_ms=20_000.0, max_entities=1 << 12)


class Asked:
    """A plugin with one validator, which notes what it is shown and answers as it is told."""

    def __init__(self, answer: Callable[[Commit], Any] = lambda commit: None) -> None:
        self.answer = answer
        self.seen: list[tuple[Version, int, float]] = []
        self.ns: list[dict[int, tuple[int, int]]] = []
        """For each call, what each entity's `n` was before and is after."""
        self.columns: list[str] = []

    @hookimpl
    def grove_register_validators(self) -> dict[str, Any]:
        return {"asked": lambda: self}

    def refuse(self, commit: Commit) -> Any:
        assert commit.module == MODULE
        assert commit.before["fixed"] is commit.after["fixed"], "what is constant is one column"
        arrays = (commit.ids, *commit.before.values(), *commit.after.values())
        assert not any(array.flags.writeable for array in arrays)
        assert {len(array) for array in arrays} == {commit.size}
        assert list(commit.before) == list(commit.after)
        self.columns = list(commit.after)
        self.seen.append((commit.version, commit.tick, commit.dt))
        rows = zip(commit.ids.tolist(), commit.before["n"].tolist(), commit.after["n"].tolist(), strict=True)
        self.ns.append({each: (was, became) for each, was, became in rows})
        return self.answer(commit)


def test_a_bounded_change_is_a_fault_and_nothing_of_the_tick_is_committed(open_engine: OpenEngine) -> None:
    jumps = version("e.n += 1\nif (e.n % 1000 == 3).any(): e.x[e.id == 4] += 1000", schema=SCHEMA_1)
    settings = limits(Choice("bounded_change", {"per_second": {"x": 100}}))
    engine = open_engine({"1.0.0": V1, "1.5.0": jumps}, settings=settings)
    engine.load_module_version(MODULE, "1.0.0")
    engine.spawn(MODULE, id=np.arange(10), n=np.arange(10) * 1000)
    engine.load_module_version(MODULE, "1.5.0")
    engine.set_traffic_split(MODULE, {"1.0.0": 0.0, "1.5.0": 1.0})
    for _ in range(2):
        assert engine.tick(0.1).faults == ()
    report = engine.tick(0.1)
    (fault,) = report.faults
    assert (fault.kind, fault.version, fault.tick, fault.entities) == (FaultKind.RULE, Version("1.5.0"), 3, 10)
    assert "'bounded_change' refuses it: x changed by 1000.0 within 0.1 s for id 4" in fault.message
    assert report.rollbacks[0].target == ONE and report.entities == 10
    assert counted(engine) == [3] * 10
    assert engine.entities(MODULE)["x"].max() < 1.0


def test_it_is_shown_whole_columns_once_for_each_version_and_tick(open_engine: OpenEngine) -> None:
    asked = Asked()
    engine = open_engine(BOTH, settings=limits(Choice("asked")), plugins=(asked,))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.25)
    engine.tick(0.5)
    assert asked.seen == [(ONE, 1, 0.25), (TWO, 1, 0.25), (ONE, 2, 0.5), (TWO, 2, 0.5)]
    assert asked.columns == ["x", "n", "tag", "fixed", "hit"]
    for tick in (0, 1):
        one, two = asked.ns[2 * tick : 2 * tick + 2]
        assert sorted([*one, *two]) == list(range(10))
        assert all(pair == (each * 1000 + tick, each * 1000 + tick + 1) for each, pair in one.items())
        assert all(pair == (each * 1000 + 100 * tick, each * 1000 + 100 * tick + 100) for each, pair in two.items())


def test_what_failed_is_left_out(open_engine: OpenEngine) -> None:
    asked = Asked()
    source = version("e.n += 1\nodd = e.id % 2 == 1\ne.n[odd] = -1\ne.fail(e.id[odd], 'odd')", schema=SCHEMA_1)
    engine = open_engine({"1.0.0": source}, settings=limits(Choice("asked")), plugins=(asked,))
    start(engine, v1=1.0)
    assert engine.tick(0.1).faults == ()
    assert asked.ns == [{each: (each * 1000, each * 1000 + 1) for each in range(0, 10, 2)}]
    assert counted(engine) == [1, 0] * 5


def test_who_catches_up_is_validated_too(open_engine: OpenEngine) -> None:
    asked = Asked()
    engine = open_engine(BOTH, settings=limits(Choice("asked")), plugins=(asked,))
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(0.1)
    assert [(version, len(rows)) for (version, *_), rows in zip(asked.seen, asked.ns, strict=True)] == [(ONE, 5)] * 2
    assert sorted([*asked.ns[0], *asked.ns[1]]) == list(range(10))
    assert all(became == was + 1 for shown in asked.ns for was, became in shown.values())


def test_stable_that_is_refused_restarts_and_then_pauses(open_engine: OpenEngine) -> None:
    asked = Asked(lambda commit: "never" if commit.tick == 2 else None)
    engine = open_engine({"1.0.0": V1}, settings=limits(Choice("asked")), plugins=(asked,))
    start(engine, v1=1.0)
    engine.tick(0.1)
    report = engine.tick(0.1)
    assert [fault.kind for fault in report.faults] == [FaultKind.RULE] * 2
    assert engine.is_paused(MODULE) and counted(engine) == [1] * 10
    engine.rollback(MODULE, 1)
    assert engine.tick(0.1).entities == 10
    assert counted(engine) == [2] * 10


def writes(commit: Commit) -> None:
    commit.after["n"][0] = 7


def raises(commit: Commit) -> None:
    raise RuntimeError("no idea")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (raises, "raised RuntimeError: no idea"),
        (writes, "raised ValueError: assignment destination is read-only"),
        (lambda commit: True, "gave True"),
        (lambda commit: " ", "gave ' '"),
    ],
)
def test_one_that_fails_is_switched_off_and_the_others_still_count(
    open_engine: OpenEngine, answer: Any, told: str
) -> None:
    asked, last = Asked(answer), Asked(lambda commit: "enough" if commit.tick == 2 and commit.version == TWO else None)

    class Last:
        @hookimpl
        def grove_register_validators(self) -> dict[str, Any]:
            return {"last": lambda: last}

    engine = open_engine(BOTH, settings=limits(Choice("asked"), Choice("last")), plugins=(asked, Last()))
    start(engine, v1=0.5, v2=0.5)
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 10), "its failure costs no tick"
    (failure,) = [event.details for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert f"the validator 'asked' {told}" in failure["error"] and "off for this engine" in failure["error"]
    assert failure["plugin"].startswith("Asked")
    (fault,) = engine.tick(0.1).faults
    assert fault.message == "the validator 'last' refuses it: enough"
    assert len(asked.seen) == 1


def test_a_validator_that_is_not_there_or_cannot_be_made(open_engine: OpenEngine) -> None:
    with pytest.raises(UnknownPart, match=r"'bounds'; there are: .*bounded_change"):
        open_engine({}, settings=limits(Choice("bounds")))
    with pytest.raises(PluginFailed, match="per_second"):
        open_engine({}, settings=limits(Choice("bounded_change", {"per_second": {"x": -1}})))


def test_validators_are_asked_after_the_schemas_rules(open_engine: OpenEngine) -> None:
    asked = Asked()
    engine = open_engine({"1.0.0": V1, "2.0.0": V2}, settings=limits(Choice("asked")), plugins=(asked,))
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "corruption")
    (fault,) = engine.tick(0.1).faults
    assert "NaN" in fault.message
    assert {version for version, *_ in asked.seen} == {ONE}
