"""Entities that a version itself brings to life and ends, from inside its tick."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine, Settings
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind

from .conftest import OpenEngine
from .sources import MODULE, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
SCHEMA = 'x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", constant=("fixed",)'
WARM = "if (e.n == 0).all(): return\n"
"""The warm-up's rows hold defaults; those of the tests do not."""


def with_process(process: str) -> str:
    return version(WARM + process, schema=SCHEMA)


def n_by_id(engine: DebugEngine) -> dict[int, int]:
    columns = engine.entities(MODULE)
    return dict(zip(columns["id"].tolist(), columns["n"].tolist(), strict=True))


def test_births_and_deaths_take_effect_at_the_end_of_the_tick(open_engine: OpenEngine) -> None:
    process = "e.n += 1\ne.spawn(n=e.n[e.n == 11], fixed=2.5)\ne.despawn(e.id[e.n == 21])"
    engine = open_engine({"1.0.0": with_process(process)})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2, 3], n=[10, 20, 30])
    report = engine.tick(1.0)
    assert (report.entities, report.skipped, report.faults) == (3, 0, ())
    after = n_by_id(engine)
    assert sorted(after.values()) == [11, 11, 31] and {1, 3} < after.keys() and 2 not in after
    assert sorted(engine.entities(MODULE)["fixed"].tolist()) == [0.0, 0.0, 2.5]
    engine.tick(1.0)
    assert sorted(n_by_id(engine).values()) == [12, 12, 32], "the newborn is ticked from the next tick on"


def test_ids_that_the_version_chose(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": with_process("e.spawn(id=-e.id[e.id > 0], n=e.n[e.id > 0] * 10)\ne.n += 1")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, (1 << 63) - 1], n=[1, 2])
    engine.tick(1.0)
    assert n_by_id(engine) == {1: 2, -1: 10, (1 << 63) - 1: 3, -((1 << 63) - 1): 20}


def test_newborn_go_where_the_split_lacks_entities(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": with_process("e.spawn(n=np.arange(20) + 5)\ne.n += 1")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=np.arange(10), n=1)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.9, 2: 0.1})
    before = dict(zip(range(10), engine.locate(MODULE, np.arange(10)), strict=True))
    engine.tick(1.0)
    ids = list(n_by_id(engine))
    assert Counter(engine.locate(MODULE, ids)) == {ONE: 27, TWO: 3}
    assert dict(zip(range(10), engine.locate(MODULE, np.arange(10)), strict=True)) == before


@pytest.mark.parametrize(
    ("process", "kind", "told"),
    [
        ("e.spawn(id=[1], n=5)", FaultKind.WRONG_REPLY, "1 lives already"),
        ("e.spawn(id=[50, 50], n=5)", FaultKind.WRONG_REPLY, "50 stands twice"),
        ("e.spawn(id=[50])\ne.spawn(id=[50])", FaultKind.WRONG_REPLY, "50 stands twice"),
        ("e.spawn(tag=101)", FaultKind.RAISE, "tag"),
        ("e.spawn(y=1)", FaultKind.RAISE, "'y'"),
        ("e.despawn([1, 999])", FaultKind.RAISE, "999"),
        ("e.despawn(e.id)\ne.spawn(n=4)\nraise ValueError('late')", FaultKind.RAISE, "late"),
    ],
)
def test_requests_that_do_not_fit(open_engine: OpenEngine, process: str, kind: FaultKind, told: str) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": with_process(process)})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2, 3, 4], n=[10, 20, 30, 40])
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    if "999" in process:
        engine.pin(MODULE, [1], 2)
    report = engine.tick(1.0)
    (fault,) = report.faults
    assert (fault.version, fault.kind) == (TWO, kind) and told in fault.message
    assert (report.entities, report.skipped) == (4, 0)
    assert n_by_id(engine) == {1: 11, 2: 21, 3: 31, 4: 41}, "nothing is born or ended by a tick that failed"


def test_an_id_that_two_versions_choose_in_one_tick(open_engine: OpenEngine) -> None:
    both = with_process("if not self.catching_up: e.spawn(id=[77], n=5)\ne.n += 1")
    engine = open_engine({"1.0.0": both, "2.0.0": both})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2, 3, 4], n=[10, 20, 30, 40])
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    report = engine.tick(1.0)
    (fault,) = report.faults
    assert (fault.version, fault.kind) == (TWO, FaultKind.WRONG_REPLY)
    assert n_by_id(engine) == {1: 11, 2: 21, 3: 31, 4: 41, 77: 5}


def test_births_of_a_tick_that_is_caught_up_happen_once(open_engine: OpenEngine) -> None:
    births = with_process("e.spawn(id=e.id + 100, n=e.n)\ne.n += 1")
    engine = open_engine({"1.0.0": births, "2.0.0": births})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2, 3, 4], n=[10, 20, 30, 40])
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(1.0)
    assert len(report.faults) == 1
    assert n_by_id(engine) == {1: 11, 2: 21, 3: 31, 4: 41, 101: 10, 102: 20, 103: 30, 104: 40}


def test_more_births_than_fit_a_packet(open_engine: OpenEngine) -> None:
    engine = open_engine(
        {"1.0.0": with_process("if len(e) == 1: e.spawn(n=np.arange(100_000) + 1)")},
        settings=Settings(tick_deadline_ms=20_000.0, max_entities=1 << 18),
    )
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=7)
    assert engine.tick(1.0).faults == ()
    assert sorted(n_by_id(engine).values()) == sorted([7, *range(1, 100_001)])


def test_newborn_for_whom_there_is_no_room_are_told(open_engine: OpenEngine) -> None:
    engine = open_engine(
        {"1.0.0": with_process("e.spawn(n=[1] * 9)\ne.n += 1")},
        settings=Settings(tick_deadline_ms=20_000.0, max_entities=8),
    )
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2], n=[10, 20])
    report = engine.tick(1.0)
    assert (report.faults, n_by_id(engine)) == ((), {1: 11, 2: 21})
    event = next(event for event in engine.events if event.kind is EventKind.ENTITIES_FAILED)
    assert event.details["entities"] == 9 and "max_entities" in event.details["reasons"][0]
    assert engine.get_version_metrics(MODULE, 1).errors == 9


def test_the_last_entity_ends_itself(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": with_process("e.despawn(e.id)")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2], n=[10, 20])
    engine.tick(1.0)
    assert n_by_id(engine) == {}
    assert engine.tick(1.0).entities == 0
    engine.spawn(MODULE, id=[1], n=[5])
    assert n_by_id(engine) == {1: 5}
