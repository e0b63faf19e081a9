"""A debug engine stops where it is told to, goes on from there, and shows what a fault did."""

from __future__ import annotations

import math
import threading

import pytest
from packaging.version import Version

from grove_core import ManualClock
from grove_core.base.errors import InvalidInput, UnknownModule
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.base.rollouts import RolloutState
from grove_core.base.ticks import Stage
from grove_core.debug.breaks import RunEnd

from .conftest import OpenEngine
from .sources import BOTH, MODULE, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
SPOILS = version("e.x[...] = np.arange(len(e)) * 10.0\ne.n += 1\nif (e.n > 2).any(): raise ValueError('on purpose')")


def test_a_paused_engine_does_not_tick_and_says_so(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0, 0])
    engine.tick(0.0)
    engine.pause()
    engine.pause()
    report = engine.tick(0.0)
    assert (report.number, report.entities, report.skipped) == (1, 0, 2)
    assert report.paused == engine.paused == "somebody paused it"
    with pytest.raises(InvalidInput):
        engine.tick(math.nan)
    engine.spawn(MODULE, n=[5])  # every other call works
    engine.resume()
    engine.resume()
    assert engine.tick(0.0).paused is None
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [1 + 1, 1 + 1, 5 + 1]
    told = [event.kind for event in engine.events if event.kind in {EventKind.PAUSED, EventKind.RESUMED}]
    assert told == [EventKind.PAUSED, EventKind.RESUMED], "twice is once"


def test_a_paused_module_is_left_out_of_ticks_and_its_rollout_stands_still(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine(BOTH, clock=clock)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0] * 4)
    engine.rollouts.start(MODULE, 2)
    engine.tick(0.0)
    engine.pause(MODULE)
    before = engine.entities(MODULE, version=2)["n"].tolist()
    engine.despawn(MODULE, engine.entities(MODULE)["id"][:1])  # what settles roles does not resume it
    clock.advance(1_000_000.0)
    report = engine.tick(0.0)
    assert (report.entities, report.skipped, report.paused) == (0, 3, None)
    assert engine.is_paused(MODULE)
    assert engine.rollouts.status(MODULE).state is RolloutState.RUNNING
    assert engine.rollouts.status(MODULE).step_seconds == 0.0
    assert len(before) == 4
    engine.resume(MODULE)
    assert not engine.is_paused(MODULE)
    assert engine.tick(0.0).entities == 3
    with pytest.raises(UnknownModule):
        engine.pause("nobody")
    with pytest.raises(UnknownModule):
        engine.resume("nobody")


def test_steps_are_ticks_and_leave_it_paused(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[0.0])
    run = engine.step(3, dt=0.5)
    assert (run.end, run.ticks, run.report.number) == (RunEnd.DONE, 3, 3)
    assert engine.entities(MODULE)["x"].tolist() == [1.5]
    assert engine.tick(0.5).paused == "step was called"
    assert engine.step().report.number == 4
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(InvalidInput):
            engine.step(wrong)
    with pytest.raises(InvalidInput):
        engine.step(dt=-1.0)
    engine.resume()
    with pytest.raises(InvalidInput):
        engine.step(dt=-1.0)
    assert engine.paused is None, "a call that is refused changes nothing"


def test_it_runs_until_something_is_true(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0])
    run = engine.run_until(lambda e, report: e.entities(MODULE)["n"][0] == 5, 0.0, at_most=50)
    assert (run.end, run.ticks) == (RunEnd.MET, 5)
    run = engine.run_until(lambda _, report: report.number == 7, 0.0)
    assert (run.end, run.ticks, run.report.number) == (RunEnd.MET, 2, 7)
    run = engine.run_until(lambda *_: False, 0.0, at_most=3)
    assert (run.end, run.ticks) == (RunEnd.AT_MOST, 3)
    with pytest.raises(ZeroDivisionError):
        engine.run_until(lambda *_: 1 / 0, 0.0)
    assert engine.tick(0.0).number == 11, "that tick was made, and it is paused"
    with pytest.raises(InvalidInput):
        engine.run_until(True, 0.0)
    with pytest.raises(InvalidInput):
        engine.run_until(lambda *_: True, 0.0, at_most=0)


def test_a_pause_from_another_thread_ends_a_run(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0])

    def condition(*_: object) -> bool:
        pausing = threading.Thread(target=engine.pause)
        pausing.start()
        pausing.join()
        return False

    run = engine.run_until(condition, 0.0, at_most=50)
    assert (run.end, run.ticks) == (RunEnd.STOPPED, 1)


def test_it_breaks_at_a_fault_with_the_rows_before_and_after(open_engine: OpenEngine) -> None:
    engine = open_engine(
        {
            "1.0.0": V1,
            "2.0.0": SPOILS.replace("lenses = []", "lenses = [Lens('==1.*', '==2.*', [Drop('tag'), Drop('fixed')])]"),
        }
    )
    engine.load_module_version(MODULE, 1)
    ids = engine.spawn(MODULE, x=[1.0, 2.0, 3.0, 4.0], n=[0] * 4)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.break_on_fault()
    run = engine.step(10, dt=0.0)
    assert (run.end, run.ticks) == (RunEnd.BREAK, 3)
    shown = engine.last_break
    assert shown is not None
    (fault,) = shown.faults
    assert (fault.kind, fault.version, shown.tick) == (FaultKind.RAISE, TWO, 3)
    assert "on purpose" in (fault.traceback or "")
    assert fault.rows is not None
    assert fault.rows.before["n"].tolist() == [2, 2]
    assert fault.rows.after["n"].tolist() == [3, 3]
    assert fault.rows.before["x"].tolist() == fault.rows.after["x"].tolist() == [0.0, 10.0]
    assert set(fault.rows.before["id"].tolist()) < set(ids.tolist())
    text = str(shown)
    assert "2 -> 3" in text
    assert "ValueError: on purpose" in text
    assert engine.paused == f"{MODULE}@2.0.0 faulted in tick 3"
    assert run.report.entities == 4, "the recovery was done"
    engine.clear_breaks()
    assert engine.last_break is None
    engine.inject_fault(MODULE, 1, "raise")
    run = engine.step(2, dt=0.0)
    assert run.end is RunEnd.DONE


def test_it_breaks_only_at_what_it_was_told_to_and_nothing_is_copied_otherwise(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0])
    engine.inject_fault(MODULE, 1, "kill")
    (fault,) = engine.tick(0.0).faults
    assert fault.rows is None
    engine.break_on_fault("another")
    engine.inject_fault(MODULE, 1, "kill")
    assert engine.tick(0.0).faults != ()
    assert not engine.paused
    engine.break_on_fault(MODULE)
    engine.inject_fault(MODULE, 1, "corruption")
    engine.tick(0.0)
    assert engine.paused is not None
    assert "1.0 -> nan" in str(engine.last_break)


def test_a_tick_tells_when_each_version_was_asked_and_answered(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[0.0] * 4)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    report = engine.tick(0.0)
    assert [(one.version, one.entities, one.catching_up) for one in report.versions] == [
        (ONE, 2, False),
        (TWO, 2, False),
    ]
    for one in report.versions:
        assert one.answered_ms is not None
        assert one.process_ms is not None
        assert 0 < one.sent_ms < one.answered_ms <= report.stages[Stage.CHECKPOINT] + report.stages[Stage.WORK] + 1000
    engine.inject_fault(MODULE, 2, "kill")
    one, two, again = engine.tick(0.0).versions
    assert (one.version, two.version, two.answered_ms, two.process_ms) == (ONE, TWO, None, None)
    assert (again.version, again.entities, again.catching_up) == (ONE, 2, True)


def test_the_time_of_a_pause_does_not_count_for_rollouts(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine(BOTH, clock=clock)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0] * 4)
    engine.rollouts.start(MODULE, 2)
    engine.tick(0.0)
    engine.pause()
    clock.advance(1_000_000.0)
    engine.tick(0.0)
    engine.resume()
    clock.advance(2.0)
    engine.tick(0.0)
    status = engine.rollouts.status(MODULE)
    assert (status.state, status.step_seconds) == (RolloutState.RUNNING, 2.0)
