"""What versions and programs observe of entities, and who fails for the first time, with real workers."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core import DebugEngine, ManualClock
from grove_core.base.comparison import ERRORS, Objective
from grove_core.base.errors import InvalidInput, UnknownModule
from grove_core.base.metrics import Average
from grove_core.base.records import FaultKind
from grove_core.runtime.rows.watch import Watch, begin
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import FAILED
from grove_core.runtime.ticking import restore
from grove_core.runtime.ticking.observing import observed_since, snapshot

from ..striking import strike
from .conftest import OpenEngine, Refused
from .sources import MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
TELLING = """
e.n += 1
self.observe("speed", e.x)
self.observe("queue", 7)
self.observe("rating", [4, 2], e.id[[0, 0]])
self.observe("rating", 1, e.id[1])
"""
DRAWN = """
e.n += 1
drawn = e.id * int(dt)
e.fail(e.id[drawn % 7 == 0], "drawn")
self.observe("rating", drawn % 5 - 1)
"""
"""Who fails depends on its id and on the tick alone, so that a model can tell, whoever does the tick."""


def failing(each: int, dt: int) -> bool:
    return each * dt % 7 == 0


def missing(each: int, dt: int) -> bool:
    return each * dt % 5 == 0 and not failing(each, dt)


def started(engine: DebugEngine, count: int = 10, canary: float = 0.5) -> tuple[ModuleState, list[LoadedVersion]]:
    """Have two versions share entities whose x is their id; return the insides."""
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=np.arange(1, count + 1), x=np.arange(1, count + 1))
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 1 - canary, 2: canary})
    state = engine._states[MODULE]
    return state, state.ordered


def counts(loaded: LoadedVersion) -> dict[str, int]:
    return {name: tally.count for name, tally in loaded.meter.observed.items()}


def test_a_version_observes_all_of_its_entities_some_or_none(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(TELLING)})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0, 6.0])
    for _ in range(2):
        assert engine.tick(0.1).faults == ()
    metrics = engine.get_version_metrics(MODULE, 1)
    assert metrics.module == MODULE
    assert metrics.observed == {"speed": Average(6, 3.0), "queue": Average(2, 7.0), "rating": Average(6, 7 / 3)}
    summary = engine._states[MODULE].ordered[0].meter.observed["rating"].summary()
    assert (summary.count, summary.total, summary.squares) == (6, 14.0, 42.0)
    assert summary.spread.quantile(0.5) == pytest.approx(2, rel=0.01)


def test_entities_that_failed_in_a_tick_are_not_observed(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(TELLING + "e.fail(e.id[[0, 2]], 'no')")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0, 6.0])
    engine.tick(0.1)
    assert engine.get_version_metrics(MODULE, 1).observed == {
        "speed": Average(1, 2.0),
        "queue": Average(1, 7.0),
        "rating": Average(1, 1.0),
    }


def test_nothing_is_counted_of_a_tick_that_is_lost(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(TELLING), "2.0.0": version(TELLING + "e.fail(e.id[:2], 'no')")})
    state, (one, two) = started(engine)
    watch = begin(state, [Objective("speed", at_most=-1)])
    engine.inject_fault(MODULE, 2, "raise")
    assert [fault.version for fault in engine.tick(0.1).faults] == [TWO]
    assert counts(two) == {}
    assert watch.take(two) == {ERRORS: (0, 0), "speed": (0, 0)}
    assert (two.meter.lost, two.meter.calls, two.meter.failed_calls) == (1, 5, 5)
    assert two.meter.latest is not None and two.meter.latest.lost
    assert counts(one) == {"speed": 10, "queue": 2, "rating": 6}, "who caught up is observed where it did"
    assert watch.take(one) == {ERRORS: (10, 0), "speed": (10, 10)}
    assert one.meter.latest is not None
    assert (one.meter.latest.tick, one.meter.latest.entities, one.meter.latest.lost) == (1, 10, False)


@pytest.mark.parametrize(
    "process",
    [
        "self.observe('Speed', e.x)",
        "self.observe('speed', np.nan)",
        "self.observe('speed', [1, 2])",
        "self.observe('speed', [1, 2], [1, 99])",
    ],
)
def test_an_author_is_told_what_cannot_be_observed(open_engine: OpenEngine, process: str) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1"), "2.0.0": version(f"if dt == 1: {process}")})
    started(engine)
    (fault,) = engine.tick(1.0).faults
    assert (fault.version, fault.kind) == (TWO, FaultKind.RAISE)
    assert "observe" in str(fault.traceback)


def test_more_names_than_are_counted_are_a_fault(open_engine: OpenEngine) -> None:
    process = "for number in range(int(dt)): self.observe(f'v{number}', number)"
    engine = open_engine({"1.0.0": version("e.n += 1"), "2.0.0": version(process)})
    _, (_, two) = started(engine)
    assert engine.tick(64.0).faults == ()
    (fault,) = engine.tick(65.0).faults
    assert (fault.version, fault.kind) == (TWO, FaultKind.WRONG_REPLY)
    assert "more than 64 names" in fault.message
    assert len(two.meter.observed) == 64


def test_values_from_outside_count_where_their_entity_is(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1"), "2.0.0": version("e.n += 1")})
    state, (one, two) = started(engine)
    watch = begin(state, [Objective("rating", at_least=3)])
    mine = two.table["id"].tolist()
    others = one.table["id"].tolist()
    assert engine.observe(MODULE, "rating", [5, 1, 2, 4, 1], [mine[0], mine[1], mine[1], others[0], 10**9]) == 4
    assert (counts(one), counts(two)) == ({"rating": 1}, {"rating": 3})
    assert (watch.take(one)["rating"], watch.take(two)["rating"]) == ((1, 0), (3, 1))
    assert engine.observe(MODULE, "sold", 1, np.arange(1, 11)) == 10
    assert engine.observe(MODULE, "sold", [], []) == 0
    assert engine.observe(MODULE, "sold", 1.0, [10**9]) == 0, "what became of the dead is not counted"
    assert engine.get_version_metrics(MODULE, 2).observed["sold"] == Average(5, 1.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Rating", 1, [1]), "cannot be called"),
        (("rating", [1, 2, 3], [1, 2]), "3 values of rating are given for 2"),
        (("rating", np.inf, [1]), "is inf"),
        (("rating", 1, [1.5]), "ids must be int64"),
    ],
)
def test_what_cannot_be_observed_from_outside(
    open_engine: OpenEngine, refused: Refused, arguments: tuple[Any, ...], words: str
) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0])
    with refused(engine, InvalidInput, words):
        engine.observe(MODULE, *arguments)
    with refused(engine, UnknownModule, "nobody"):
        engine.observe("nobody", "rating", 1, [1])
    for number in range(64):
        engine.observe(MODULE, f"v{number}", 1, [1])
    with refused(engine, InvalidInput, f"{MODULE}@1.0.0", "more than 64 names"):
        engine.observe(MODULE, "rating", 1, [1])
    assert engine.observe(MODULE, "v0", 1, [1]) == 1
    assert "rating" not in engine.get_version_metrics(MODULE, 1).observed


def test_what_a_version_did_since_a_moment(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine({"1.0.0": version(TELLING + "e.fail(e.id[:1], 'no')"), "2.0.0": version(TELLING)}, clock=clock)
    state, (one, two) = started(engine)
    engine.tick(0.1)
    before, others = snapshot(one), snapshot(two)
    for _ in range(3):
        engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "kill")
    engine.tick(0.1)
    seen = observed_since(engine._context, one, before)
    assert (seen.version, seen.entities, seen.ticks, seen.lost) == (ONE, 10, 5, 0), "it caught up once more"
    assert (seen.calls, seen.errors, seen.durations.total) == (5 * 4 + 5, 5, 5)
    assert {name: summary.count for name, summary in seen.values.items()} == {"speed": 20, "queue": 5, "rating": 5}
    seen = observed_since(engine._context, two, others)
    assert (seen.ticks, seen.lost, seen.calls, seen.errors) == (3, 1, 20, 5)
    assert seen.error_rate == 0.25
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(0.1)
    seen = observed_since(engine._context, state.versions[TWO], others)
    assert (seen.ticks, seen.lost, seen.calls) == (1, 0, 5), "loaded anew, it has done no more than that"
    assert {name: summary.count for name, summary in seen.values.items()} == {"speed": 5, "queue": 1, "rating": 3}


def test_memory_is_measured_once_a_second_by_the_clock(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine({"1.0.0": version("e.n += 1")}, clock=clock)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=1.0)
    (one,) = engine._states[MODULE].ordered
    totals = snapshot(one)
    weighed = []
    for seconds in (0.0, 0.9, 0.2, 0.5):
        clock.advance(seconds)
        seen = observed_since(engine._context, one, totals)
        assert seen.memory_bytes is not None and seen.memory_bytes > 1 << 16
        assert one.weighed is not None and one.weighed[1] == seen.memory_bytes
        weighed.append(one.weighed[0])
    assert weighed == [0.0, 0.0, pytest.approx(1.1), pytest.approx(1.1)]


def test_a_tick_that_is_taken_back_has_not_failed_anybody(open_engine: OpenEngine) -> None:
    """The fault of version 2 is handled once version 1 is committed; there it strikes."""
    engine = open_engine({"1.0.0": version(DRAWN), "2.0.0": version(DRAWN)})
    state, (one, two) = started(engine, 28)
    watch = begin(state, [Objective("rating", at_least=0)])
    engine.tick(5.0)
    failed = {each for each in range(1, 29) if failing(each, 5)}
    assert watch.take(one)[ERRORS].failures + watch.take(two)[ERRORS].failures == len(failed) > 0
    flags, seen = one.table[FAILED].tolist(), counts(one)
    engine.inject_fault(MODULE, 2, "raise")
    lines, first = inspect.getsourcelines(restore.recover)
    place = ("runtime/ticking/restore.py", first + next(at for at, line in enumerate(lines) if "_decide(" in line))
    assert strike(lambda: engine.tick(7.0), place, 1)
    assert (one.table[FAILED].tolist(), counts(one)) == (flags, seen)
    assert watch.take(one) == watch.take(two) == {ERRORS: (0, 0), "rating": (0, 0)}
    engine.tick(7.0)
    assert sum(watch.take(loaded)[ERRORS].failures for loaded in (one, two)) == 28 - len(failed)


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["tick, 2 raises", "tick, 2 dies", "tick, 1 raises"]), st.integers(1, 9)),
        st.tuples(st.just("split"), st.sampled_from([0, 1, 3, 5, 10])),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("bear"), st.integers(1, 5)),
        st.tuples(st.just("hear"), st.integers(0, 20)),
        st.tuples(st.just("begin"), st.just(0)),
    ),
    max_size=10,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTS)
def test_each_entity_counts_at_most_once_whatever_happens(open_engine: OpenEngine, acts: list[tuple[str, int]]) -> None:
    """Wherever it is by then, and whoever does its tick in the end."""
    with open_engine({"1.0.0": version(DRAWN), "2.0.0": version(DRAWN)}) as engine:
        state, _ = started(engine, 20, 0.3)
        alive, next_id = set(range(1, 21)), 21
        watch, failed, missed = begin(state, [Objective("rating", at_least=0)]), set[int](), set[int]()
        for act, number in [*acts, ("tick", 3)]:
            fresh, bad = set[int](), set[int]()
            if act.startswith("tick"):
                fresh = {each for each in alive if failing(each, number)} - failed
                bad = {each for each in alive if missing(each, number)} - missed
                tick(engine, act, number)
            elif act == "split":
                if not engine.is_version_loaded(MODULE, 2):
                    engine.load_module_version(MODULE, 2)
                engine.set_traffic_split(MODULE, {1: 1 - number / 10, 2: number / 10})
            elif act == "end" and number in alive:
                engine.despawn(MODULE, [number])
                alive.remove(number)
            elif act == "bear":
                ids = engine.spawn(MODULE, id=np.arange(next_id, next_id + number), x=np.zeros(number))
                alive |= set(ids.tolist())
                next_id += number
            elif act == "hear":
                bad = {number} & alive - missed
                assert engine.observe(MODULE, "rating", -1, [number]) == (number in alive)
            elif act == "begin":
                watch, failed, missed = begin(state, [Objective("rating", at_least=0)]), set(), set()
            failed |= fresh
            missed |= bad
            holds(state, watch, {ERRORS: (fresh, failed & alive), "rating": (bad, missed & alive)})


def tick(engine: DebugEngine, act: str, number: int) -> None:
    """Have a tick in which every entity is processed in the end."""
    if act != "tick":
        which, how = (2 if "2" in act else 1), ("kill" if "dies" in act else "raise")
        versions = {each.major for each in engine.get_loaded_versions(MODULE)}
        if which in versions and Version(f"{which}.0.0") in engine.locate(MODULE, engine.entities(MODULE)["id"]):
            engine.inject_fault(MODULE, which, how)
    report = engine.tick(float(number))
    assert not engine.is_paused(MODULE)
    assert report.entities + report.skipped == len(engine.entities(MODULE)["id"])


def holds(state: ModuleState, watch: Watch, expected: dict[str, tuple[set[int], set[int]]]) -> None:
    """Hold what came since the last time, and what the tables say, against sets of ids: just now, and all alive."""
    taken = [(loaded, watch.take(loaded)) for loaded in state.ordered]
    for bit, (name, (fresh, marked)) in enumerate(expected.items()):
        assert sum(firsts[name].failures for _, firsts in taken) == len(fresh), name
        flagged = [loaded.table["id"][(loaded.table[FAILED] & 1 << bit) > 0].tolist() for loaded in state.ordered]
        assert sorted(each for part in flagged for each in part) == sorted(marked), name
        risk = sum(watch.at_risk(loaded, name, firsts[name].failures) for loaded, firsts in taken)
        assert risk == state.population - len(marked) + len(fresh)
