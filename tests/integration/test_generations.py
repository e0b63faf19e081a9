"""Generations that are kept: going back to them gives every entity its values of then, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine, ManualClock, Settings, Since
from grove_core.base.errors import (
    BadGeneration,
    InvalidInput,
    MigrationRefused,
    NoLensPath,
    OutOfMemory,
    UnknownGeneration,
)
from grove_core.base.events import EventKind
from grove_core.base.records import MoveCause
from grove_core.memory import arena as arena_module

from .acts import counted, start
from .conftest import OpenEngine, Refused, kill, picture, rows_by_id
from .sources import BOTH, MODULE, SCHEMA_1, V1, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))
Seen = dict[int, tuple[object, ...]]


def keeping(generations: int, interval: float = 0.0, **settings: Any) -> Settings:
    settings = {"tick_deadline_ms": 20_000.0, "load_deadline_seconds": 60.0, "max_entities": 1 << 12, **settings}
    return Settings(keep_generations=generations, generation_interval_seconds=interval, **settings)


def seen(engine: DebugEngine, as_version: str | None = None) -> Seen:
    return rows_by_id(engine.entities(MODULE, version=as_version))


def numbers(engine: DebugEngine) -> list[int]:
    return [each.number for each in engine.generations(MODULE)]


def test_by_default_none_is_kept(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0)
    engine.tick(0.1)
    assert engine.generations(MODULE) == []
    with refused(engine, UnknownGeneration, "there are none", "keep_generations"):
        engine.rollback(MODULE, 1, generation=1)


def test_the_latest_are_kept_and_listed(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine(BOTH, settings=keeping(3), clock=clock)
    start(engine, v1=0.7, v2=0.3)
    for _ in range(5):
        engine.tick(0.1)
        clock.advance(0.5)
    engine.spawn(MODULE, id=[100])
    engine.tick(0.1)
    told = engine.generations(MODULE)
    assert [(each.module, each.number, each.at, each.left) for each in told] == [
        (MODULE, number, pytest.approx((number - 1) * 0.5), False) for number in (4, 5, 6)
    ]
    assert [dict(each.entities) for each in told] == [{ONE: 7, TWO: 3}] * 2 + [{ONE: 8, TWO: 3}]
    assert all(each.bytes > 0 for each in told)


def test_an_interval_is_held_by_the_clock(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine(BOTH, settings=keeping(10, 1.0), clock=clock)
    start(engine, v1=1.0)
    for _ in range(10):
        engine.tick(0.1)
        clock.advance(0.375)
    assert numbers(engine) == [1, 4, 7, 10]


def test_in_a_steady_state_nothing_is_allocated(open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(BOTH, settings=keeping(3))
    start(engine, v1=0.7, v2=0.3)
    for _ in range(4):
        engine.tick(0.1)
    held, made = {each.bytes for each in engine.generations(MODULE)}, []
    make = arena_module.Arena.__init__

    def counting(*args: Any, **kwargs: Any) -> None:
        made.append(args)
        make(*args, **kwargs)

    monkeypatch.setattr(arena_module.Arena, "__init__", counting)
    for _ in range(8):
        engine.tick(0.1)
    assert made == []
    assert {each.bytes for each in engine.generations(MODULE)} == held and len(held) == 1


def test_corruption_that_is_noticed_late(open_engine: OpenEngine) -> None:
    """Version 2 writes plausible but wrong values for 30 ticks; entities are born and end meanwhile."""
    process = "e.n += 100\ne.x += dt * (1 + e.id % 3) if e.tag.max() < 4 else -0.3\ne.tag += 1\ne.hit += 1"
    schema = SCHEMA_1.replace("fixed=", 'hit="i8", fixed=', 1)
    wrong = version(process, schema=schema, lenses='Lens("==1.*", "==2.*", [Add("hit", 5)])')
    engine = open_engine({"1.0.0": V1, "2.0.0": wrong}, settings=keeping(40))
    start(engine, v1=0.5, v2=0.5)
    for _ in range(4):
        engine.tick(0.1)
    good, shown = seen(engine, "1"), seen(engine, "2")
    where = dict(zip(range(10), engine.locate(MODULE, range(10)), strict=True))
    for tick in range(30):
        assert engine.tick(0.1).faults == ()
        if tick == 10:
            engine.spawn(MODULE, id=[50, 51, 52, 53], n=[1, 2, 3, 4])
        elif tick == 20:
            engine.despawn(MODULE, [50, 0, 9, 4])
    assert engine.entities(MODULE)["x"].min() < -0.5, "it is noticed"
    born = {each: values for each, values in seen(engine).items() if each > 9}
    report = engine.rollback(MODULE, 1, generation=5)
    told = report.restored
    assert told is not None
    assert (told.generation, told.since, told.restored, told.born, told.gone) == (5, Since.KEEP, 7, 3, 3)
    assert sorted(told.restored_ids.tolist()) == [1, 2, 3, 5, 6, 7, 8]
    assert sorted(told.born_ids.tolist()) == [51, 52, 53] and sorted(told.gone_ids.tolist()) == [0, 4, 9]
    alive = [1, 2, 3, 5, 6, 7, 8]
    assert seen(engine, "1") == {each: good[each] for each in alive} | born
    assert {each: seen(engine, "2")[each] for each in alive} == {each: shown[each] for each in alive}
    assert set(where.values()) == {ONE, TWO} and set(engine.locate(MODULE, alive)) == {ONE}
    assert engine.stable_version(MODULE) == ONE and engine.get_traffic_split(MODULE)[ONE] == 1.0
    assert report.within_limit and report.downtime_ms is not None and not report.reloaded
    assert engine.tick(0.1).entities == 10
    assert len(engine.spawn(MODULE, n=1)) == 1


def test_undo_gives_the_population_of_then(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=keeping(5))
    start(engine, v1=0.5, v2=0.5)
    for _ in range(2):
        engine.tick(0.1)
    then = seen(engine)
    engine.tick(0.1)
    engine.despawn(MODULE, [1, 2, 8])
    first = engine.spawn(MODULE, n=[1, 2, 3]).tolist()
    engine.tick(0.1)
    engine.tick(0.1)
    told = engine.rollback(MODULE, 2, generation=3, since=Since.UNDO).restored
    assert told is not None and (told.restored, told.born, told.gone) == (7, 3, 3)
    assert told.born_ids.tolist() == first and sorted(told.gone_ids.tolist()) == [1, 2, 8]
    assert seen(engine, "1") == then
    assert set(engine.locate(MODULE, range(10))) == {TWO}
    assert engine.spawn(MODULE, n=1).tolist() > first, "ids are never given out twice"
    assert engine.explain(MODULE, 8).number == 0


def test_the_version_that_is_gone_back_to_alone(open_engine: OpenEngine) -> None:
    """One version, which corrupts its own: only the values go back."""
    engine = open_engine({"1.0.0": V1}, settings=keeping(5))
    start(engine, v1=1.0)
    engine.pin(MODULE, [3], 1)
    for _ in range(3):
        engine.tick(0.1)
    worker = engine.workers(MODULE)
    report = engine.rollback(MODULE, 1, generation=2)
    assert report.from_versions == () and report.entities == 10
    assert counted(engine) == [1] * 10 and engine.workers(MODULE) == worker
    assert engine.explain(MODULE, 3).pinned, "who stays keeps the pin"
    assert engine.migration_history(MODULE) == []
    assert engine.tick(0.1).faults == ()
    assert counted(engine) == [2] * 10


def test_pins_of_those_who_leave_are_dropped(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=keeping(5))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    engine.pin(MODULE, [0, 1, 2], 2)
    moved = engine.get_version_metrics(MODULE, 2).entities
    report = engine.rollback(MODULE, 1, generation=1)
    (dropped,) = [event for event in engine.events if event.kind is EventKind.PINS_DROPPED]
    assert dropped.details["entities"] == 3
    last = engine.migration_history(MODULE)[-1]
    assert (last.cause, last.from_version, last.to_version) == (MoveCause.ROLLBACK, TWO, ONE)
    assert (last.entities, report.entities) == (moved, 10)
    for each in range(10):
        told = engine.explain(MODULE, each)
        assert not told.pinned
        assert (told.origin == TWO) == (told.move is last)


def test_a_version_of_then_may_be_unloaded_and_the_target_too(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=keeping(5))
    start(engine, v1=0.0, v2=1.0)
    engine.tick(0.1)
    hit = engine.entities(MODULE, version="2")["hit"]
    assert hit.tolist() == [1] * 10
    engine.tick(0.1)
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.unload_module_version(MODULE, 2)
    engine.tick(0.1)
    report = engine.rollback(MODULE, 2, generation=2)
    assert report.reloaded and counted(engine) == [100] * 10
    assert engine.entities(MODULE, version="2")["hit"].tolist() == [1] * 10
    engine.unload_module_version(MODULE, 1)
    report = engine.rollback(MODULE, 1, generation=2)
    assert report.reloaded and counted(engine) == [100] * 10
    assert engine.entities(MODULE, version="2")["hit"].tolist() == [1] * 10, "what it does not know was carried"


def test_later_generations_stay_and_are_marked(open_engine: OpenEngine) -> None:
    """One that went back too far goes forward again."""
    engine = open_engine({"1.0.0": V1}, settings=keeping(10))
    start(engine, v1=1.0)
    for _ in range(4):
        engine.tick(0.1)
    engine.rollback(MODULE, 1, generation=2)
    assert counted(engine) == [1] * 10
    assert [(each.number, each.left) for each in engine.generations(MODULE)] == [
        (1, False),
        (2, False),
        (3, True),
        (4, True),
    ]
    engine.rollback(MODULE, 1, generation=4)
    assert counted(engine) == [3] * 10
    engine.tick(0.1)
    assert [(each.number, each.left) for each in engine.generations(MODULE)][-2:] == [(4, True), (5, False)]


DOCUMENT = """
def initialize(self, config): self.total = 0
def get_state(self): return {"total": self.total}
def set_state(self, document): self.total = document["total"]
def migrate_state_from(self, version, document):
    self.total = document["total"]
    return True
"""
COUNTS = version("self.total += 1\nself.mark_state_changed()\ne.n = self.total", schema=SCHEMA_1, body=DOCUMENT)


@pytest.mark.parametrize("loaded", [True, False])
def test_the_target_gets_the_document_of_then(open_engine: OpenEngine, loaded: bool) -> None:
    engine = open_engine({"1.0.0": COUNTS, "1.5.0": COUNTS}, settings=keeping(5))
    engine.load_module_version(MODULE, "1.0.0")
    engine.spawn(MODULE, id=range(10))
    for _ in range(3):
        engine.tick(0.1)
    if not loaded:
        engine.load_module_version(MODULE, "1.5.0")
        engine.set_traffic_split(MODULE, {"1.5.0": 1.0})
        engine.unload_module_version(MODULE, "1.0.0")
    before = engine.workers(MODULE)
    told = engine.rollback(MODULE, "1.0.0", generation=2).restored
    assert told is not None and told.document
    assert engine.workers(MODULE)[ONE] not in before.values()
    assert set(engine.entities(MODULE)["n"].tolist()) == {1}
    engine.tick(0.1)
    assert set(engine.entities(MODULE)["n"].tolist()) == {2}, "it counts on from there"


def test_a_document_that_is_the_same_restarts_nobody(open_engine: OpenEngine) -> None:
    still = version("e.n += 1", schema=SCHEMA_1, body=DOCUMENT)
    engine = open_engine({"1.0.0": still}, settings=keeping(5))
    start(engine, v1=1.0)
    for _ in range(2):
        engine.tick(0.1)
    before = engine.workers(MODULE)
    told = engine.rollback(MODULE, 1, generation=1).restored
    assert told is not None and not told.document and engine.workers(MODULE) == before


def test_a_document_that_is_refused_moves_nothing(open_engine: OpenEngine) -> None:
    picky = COUNTS.replace("return True", "return document['total'] != 1")
    engine = open_engine({"1.0.0": picky}, settings=keeping(5))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    for _ in range(3):
        engine.tick(0.1)
    looked, clock = picture(engine), seen(engine)
    with pytest.raises(MigrationRefused):
        engine.rollback(MODULE, 1, generation=2)
    assert picture(engine) == looked and seen(engine) == clock
    assert engine.tick(0.1).faults == ()
    assert set(engine.entities(MODULE)["n"].tolist()) == {4}


def test_no_room_is_needed_beside_what_there_is(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine(BOTH, settings=keeping(5, max_entities=12))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    engine.rollback(MODULE, 1, generation=1)
    assert counted(engine) == [0] * 10
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(0.1)
    engine.despawn(MODULE, range(8))
    engine.spawn(MODULE, id=np.arange(100, 110))
    engine.tick(0.1)
    told = engine.rollback(MODULE, 1, generation=2).restored
    assert told is not None and (told.restored, told.born, told.gone) == (2, 10, 8)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.spawn(MODULE, id=np.arange(200, 205))
    with refused(engine, OutOfMemory, "max_entities"):
        engine.rollback(MODULE, 1, generation=3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"generation": 99}, ("99", "there are: 1, 2")),
        ({"generation": True}, ("True",)),
        ({"generation": "2"}, ("'2'",)),
        ({"since": Since.UNDO}, ("number",)),
        ({"generation": 1, "since": "undo"}, ("'undo'", "Since.UNDO")),
        ({"generation": 1, "max_downtime_ms": 0}, ("max_downtime_ms",)),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    open_engine: OpenEngine, refused: Refused, arguments: dict[str, Any], words: tuple[str, ...]
) -> None:
    engine = open_engine(BOTH, settings=keeping(5))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    engine.tick(0.1)
    error = UnknownGeneration if arguments.get("generation") == 99 else InvalidInput
    with refused(engine, error, *words):
        engine.rollback(MODULE, 1, **arguments)


ALONE = version("e.m += 1", schema='m="i8"')
ONE_WAY = version(
    "e.m += 1",
    schema='m="i8"',
    lenses='Lens("==1.*", "==3.*", [Map(["n"], ["m"], lambda n: n), *(Drop(c) for c in ("x", "tag", "fixed"))])',
    top="from grove_core import Map",
)


def test_a_version_of_then_without_a_way_is_refused_before_anything_moves(
    open_engine: OpenEngine, refused: Refused
) -> None:
    engine = open_engine({"1.0.0": V1, "3.0.0": ALONE}, settings=keeping(5))
    start(engine, v1=1.0)
    engine.load_module_version(MODULE, 3)
    engine.tick(0.1)
    engine.despawn(MODULE, range(10))
    with refused(engine, NoLensPath, "1.0.0", "3.0.0"):
        engine.rollback(MODULE, 3, generation=1, since=Since.UNDO)
    told = engine.rollback(MODULE, 3, generation=1).restored
    assert told is not None and (told.restored, told.gone) == (0, 10), "nobody has to go that way"


def test_values_of_then_need_no_way_back(open_engine: OpenEngine) -> None:
    """What no function could turn back is there as it was."""
    engine = open_engine({"1.0.0": V1, "3.0.0": ONE_WAY}, settings=keeping(5))
    start(engine, v1=1.0)
    engine.tick(0.1)
    then = seen(engine)
    engine.tick(0.1)
    engine.load_module_version(MODULE, 3)
    engine.set_traffic_split(MODULE, {3: 1.0})
    engine.tick(0.1)
    engine.spawn(MODULE, id=[100])
    now = seen(engine)
    for arguments in ({}, {"generation": 2}):
        with pytest.raises(MigrationRefused, match="backward"):
            engine.rollback(MODULE, 1, **arguments)
        assert seen(engine) == now and engine.get_traffic_split(MODULE) == {ONE: 0.0, THREE: 1.0}
    engine.rollback(MODULE, 1, generation=2, since=Since.UNDO)
    assert seen(engine) == then


def test_values_of_then_need_no_lens_from_where_their_entities_are(open_engine: OpenEngine) -> None:
    """Version 3 leads nowhere: its entities were born there, and an id of then among them."""
    engine = open_engine({"1.0.0": V1, "3.0.0": ALONE}, settings=keeping(5))
    start(engine, v1=1.0)
    engine.tick(0.1)
    engine.tick(0.1)
    then = seen(engine)
    engine.tick(0.1)
    engine.despawn(MODULE, range(10))
    engine.load_module_version(MODULE, 3)
    engine.set_traffic_split(MODULE, {3: 1.0})
    engine.spawn(MODULE, id=[4, 5, 100], m=7)
    with pytest.raises(NoLensPath):
        engine.rollback(MODULE, 1, generation=3)
    assert engine.stable_version(MODULE) == THREE
    engine.despawn(MODULE, [100])
    told = engine.rollback(MODULE, 1, generation=3).restored
    assert told is not None and (told.restored, told.born, told.gone) == (2, 0, 8)
    assert seen(engine) == {each: then[each] for each in (4, 5)}
    last = engine.migration_history(MODULE)[-1]
    assert (last.path, last.entities, engine.explain(MODULE, 4).move) == ((THREE, ONE), 2, last)


def test_a_generation_that_breaks_a_rule_is_not_gone_back_to(open_engine: OpenEngine, refused: Refused) -> None:
    """What a lens makes may break a rule of the target; the fault comes with its first tick, the generation before."""
    strict = version(
        "e.n += 1",
        schema=SCHEMA_1.replace('x="f4"', 'x=Column("f4", low=0)'),
        lenses='Lens("==1.*", "==2.*", [Scale("x", -1.0)])',
    )
    engine = open_engine({"1.0.0": V1, "2.0.0": strict}, settings=keeping(5))
    start(engine, v1=1.0)
    engine.tick(1.0)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    before = seen(engine, "1")
    assert engine.tick(1.0).rollbacks[0].target == ONE
    engine.load_module_version(MODULE, 2)
    with refused(engine, BadGeneration, "below its lowest value 0", "generation 2"):
        engine.rollback(MODULE, 2, generation=2)
    engine.rollback(MODULE, 1, generation=2)
    assert seen(engine) == before, "in the other version they are valid"


def test_a_module_that_paused_goes_back_and_goes_on(open_engine: OpenEngine) -> None:
    bad = version("e.n += 1\nif (e.n % 1000 == 3).any(): raise ValueError('three')", schema=SCHEMA_1)
    engine = open_engine({"1.0.0": bad}, settings=keeping(5))
    start(engine, v1=1.0)
    for _ in range(3):
        engine.tick(0.1)
    assert engine.is_paused(MODULE)
    engine.rollback(MODULE, 1, generation=1)
    assert not engine.is_paused(MODULE) and counted(engine) == [0] * 10
    assert engine.tick(0.1).entities == 10
    assert counted(engine) == [1] * 10


def test_a_worker_that_died_unnoticed_is_found_by_the_next_tick(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=keeping(5))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    engine.tick(0.1)
    kill(engine, ONE)
    engine.rollback(MODULE, 1, generation=2)
    report = engine.tick(0.1)
    assert len(report.faults) == 1 and report.entities == 10
    assert sorted(counted(engine)) == [2] * 5 + [101] * 5


def test_memory_that_is_not_there_costs_a_generation_and_no_tick(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(BOTH, settings=keeping(2))
    start(engine, v1=1.0)
    engine.tick(0.1)
    reserve = arena_module.Arena.reserve

    def full(self: Any, rows: int) -> None:
        if self.name.endswith(":past"):
            raise OutOfMemory("no pages")
        reserve(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(arena_module.Arena, "reserve", full)
        for _ in range(4):
            assert engine.tick(0.1).entities == 10
    assert numbers(engine) == [1]
    missed = [event.details for event in engine.events if event.kind is EventKind.GENERATION_MISSED]
    assert missed == [{"tick": 2, "error": "no pages"}], "told once"
    engine.tick(0.1)
    assert numbers(engine) == [1, 6]


def test_what_is_kept_is_given_back_with_the_last_version(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=keeping(3))
    start(engine, v1=1.0)
    engine.tick(0.1)
    engine.despawn(MODULE, range(10))
    engine.tick(0.1)
    engine.unload_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 1)
    assert engine.generations(MODULE) == []


def test_the_logs_hold_no_arrays(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=keeping(3))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    report = engine.rollback(MODULE, 1, generation=1)
    details = next(event for event in reversed(engine.events) if event.kind is EventKind.ROLLED_BACK).details
    assert {name: details[name] for name in ("generation", "since", "restored", "born", "gone", "document")} == {
        "generation": 1,
        "since": Since.KEEP,
        "restored": 10,
        "born": 0,
        "gone": 0,
        "document": False,
    }
    assert not any(isinstance(each, np.ndarray) for each in details.values())
    assert "array" not in repr(report) and report == report
    assert report.restored is not None
    with pytest.raises(ValueError, match="read-only"):
        report.restored.restored_ids[0] = 1
