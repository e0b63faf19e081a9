"""Ways that nobody wrote a function for: refused, unless they are forced; and no fault loses an entity over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.errors import InvalidInput, LensError, MigrationRefused, NoLensPath, UnknownVersion
from grove_core.base.events import EventKind
from grove_core.base.records import MoveCause

from .conftest import OpenEngine, rows_by_id
from .sources import MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
V1 = version("e.n += 1", schema='x=Column("f4", default=7), y="f4", n="i8"')
TOP = "from grove_core import Map\ndef forward(x, y):\n    return x + y\n"


def second(process: str = "e.n += 100", body: str = "") -> str:
    """A version whose Map to it has no way back."""
    lens = 'Lens("==1.*", "==2.*", [Map(("x", "y"), "r", forward)])'
    return version(process, schema='r="f4", n="i8"', lenses=lens, top=TOP, body=body)


def filled(engine: DebugEngine) -> DebugEngine:
    """Four rows, gone to version 2; then one that is born there."""
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(4), x=[1.0, 2.0, 3.0, 4.0], y=10.0)
    engine.load_module_version(MODULE, 2)
    engine.migrate_state(MODULE, 1, 2)
    engine.spawn(MODULE, id=4, r=50.0)
    return engine


def values(engine: DebugEngine, name: str) -> list[float]:
    columns = engine.entities(MODULE)
    return columns[name][np.argsort(columns["id"])].tolist()


def last(engine: DebugEngine, kind: EventKind) -> dict[str, object]:
    return dict([event for event in engine.events if event.kind is kind][-1].details)


def test_what_rows_carry_is_taken_else_defaults(open_engine: OpenEngine) -> None:
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second("e.n += 100\ne.r += 1")}))
    engine.tick(1.0)
    report = engine.migrate_state(MODULE, 2, 1, force=True)
    assert (report.entities, report.path, report.forced) == (5, (TWO, ONE), True)
    assert last(engine, EventKind.STATE_MIGRATED)["forced"] is True
    assert values(engine, "x") == [1, 2, 3, 4, 7]
    assert values(engine, "y") == [10, 10, 10, 10, 0]
    assert values(engine, "n") == [100] * 5, "what passes, passes"
    assert engine.stable_version(MODULE) == ONE
    record = engine.migration_history(MODULE)[-1]
    assert (record.cause, record.forced) == (MoveCause.MIGRATE, True)
    told = engine.explain(MODULE, 0)
    assert told.move == record
    assert "It was forced, as no function leads that way: what it carried was taken, else defaults." in told.text
    engine.tick(1.0)
    engine.migrate_state(MODULE, 1, 2)
    assert values(engine, "r") == [12, 13, 14, 15, 51], "unchanged there, it comes back bit for bit"


def test_by_copying_as_by_adoption(open_engine: OpenEngine) -> None:
    """The target has a row already, so that memory cannot be taken over."""
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second()}))
    engine.migrate_state(MODULE, 2, 1, force=True)
    engine.set_traffic_split(MODULE, {1: 0.2, 2: 0.8})
    (stayed,) = [each for each in range(5) if engine.locate(MODULE, [each]) == [ONE]]
    report = engine.migrate_state(MODULE, 2, 1, force=True)
    assert (report.entities, report.forced) == (4, True)
    assert values(engine, "x") == [1, 2, 3, 4, 7]
    assert values(engine, "y") == [10, 10, 10, 10, 0]
    assert stayed in range(5)
    assert len(engine.entities(MODULE)["id"]) == 5
    assert engine.tick(1.0).entities == 5


def test_without_it_nothing_moves(open_engine: OpenEngine) -> None:
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second()}))
    before, history = rows_by_id(engine.entities(MODULE)), engine.migration_history(MODULE)
    for call in (
        lambda: engine.migrate_state(MODULE, 2, 1),
        lambda: engine.migrate_state(MODULE, 2, 1, force=False),
    ):
        with pytest.raises(MigrationRefused, match="force=True"):
            call()
    assert rows_by_id(engine.entities(MODULE)) == before
    assert engine.migration_history(MODULE) == history
    assert engine.get_traffic_split(MODULE) == {ONE: 0.0, TWO: 1.0}
    assert engine.tick(1.0).entities == 5


def test_it_is_told_only_where_something_was_forced(open_engine: OpenEngine) -> None:
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second()}))
    engine.migrate_state(MODULE, 2, 1, force=True)
    report = engine.migrate_state(MODULE, 1, 2, force=True)
    assert report.forced is False, "this way has its function"
    assert last(engine, EventKind.STATE_MIGRATED)["forced"] is False
    engine.despawn(MODULE, np.arange(5))
    report = engine.migrate_state(MODULE, 2, 1, force=True)
    assert (report.entities, report.forced) == (0, False), "and here was nobody to force"


def test_it_forces_neither_a_missing_way_nor_a_failing_function(open_engine: OpenEngine) -> None:
    bad = second().replace("return x + y", "raise ValueError('no good')")
    engine = open_engine({"1.0.0": V1, "2.0.0": bad, "3.0.0": version("pass", schema='z="i2"')})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(4))
    engine.load_module_version(MODULE, 2)
    wrong: list[tuple[type, str, Callable[[], object]]] = [
        (LensError, "no good", lambda: engine.migrate_state(MODULE, 1, 2, force=True)),
        (UnknownVersion, "3", lambda: engine.migrate_state(MODULE, 1, 3, force=True)),
        (InvalidInput, "both", lambda: engine.migrate_state(MODULE, 1, 1, force=True)),
    ]
    before = rows_by_id(engine.entities(MODULE))
    for error, word, call in wrong:
        with pytest.raises(error, match=word):
            call()
    engine.load_module_version(MODULE, 3)
    with pytest.raises(NoLensPath):
        engine.migrate_state(MODULE, 1, 3, force=True)
    assert rows_by_id(engine.entities(MODULE)) == before


# -- a fault -------------------------------------------------------------------------------------------------------


def test_a_fault_over_a_way_without_return_restarts_the_version(open_engine: OpenEngine) -> None:
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second()}))
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(1.0)
    assert (len(report.faults), report.rollbacks, report.entities, report.skipped) == (1, (), 5, 0)
    assert engine.locate(MODULE, np.arange(5)) == [TWO] * 5
    assert values(engine, "n") == [100] * 5, "the lost tick was redone"
    assert "nothing leads from 2.0.0 to 1.0.0" in str(last(engine, EventKind.LOAD_FAILED)["error"])
    assert not any(record.cause is MoveCause.FAULT for record in engine.migration_history(MODULE))
    assert engine.get_loaded_versions(MODULE) == [ONE, TWO]


def test_the_same_when_the_version_to_go_back_to_was_unloaded(open_engine: OpenEngine) -> None:
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second()}))
    engine.unload_module_version(MODULE, 1)
    engine.inject_fault(MODULE, 2, "kill")
    assert engine.tick(1.0).entities == 5
    assert engine.get_loaded_versions(MODULE) == [TWO], "what was loaded to go back to is not left lying"
    assert values(engine, "n") == [100] * 5


def test_a_canary_with_no_way_back_keeps_its_entities(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": second()})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10), x=np.arange(10.0))
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    where = engine.locate(MODULE, np.arange(10))
    engine.inject_fault(MODULE, 2, "corruption")
    report = engine.tick(1.0)
    assert (len(report.faults), report.rollbacks, report.entities) == (1, (), 10)
    assert engine.locate(MODULE, np.arange(10)) == where
    assert engine.get_traffic_split(MODULE) == {ONE: 0.5, TWO: 0.5}
    assert engine.tick(1.0).faults == ()


def test_one_that_fails_again_at_once_pauses_and_force_is_the_way_out(open_engine: OpenEngine) -> None:
    process = "e.n += 100\nif (e.n >= 200).any(): raise ValueError('two')"
    engine = filled(open_engine({"1.0.0": V1, "2.0.0": second(process)}))
    engine.tick(1.0)
    report = engine.tick(1.0)
    assert (len(report.faults), report.rollbacks, report.skipped) == (2, (), 5)
    assert engine.is_paused(MODULE)
    assert engine.locate(MODULE, np.arange(5)) == [TWO] * 5
    with pytest.raises(MigrationRefused):
        engine.migrate_state(MODULE, 2, 1)
    assert engine.is_paused(MODULE)
    assert engine.migrate_state(MODULE, 2, 1, force=True).forced
    assert not engine.is_paused(MODULE)
    assert values(engine, "n") == [100] * 5, "no committed tick is lost"
    assert engine.tick(1.0).entities == 5
    assert values(engine, "n") == [101] * 5
