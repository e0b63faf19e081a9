"""Rollouts: a good canary becomes stable by itself, a bad one goes back, and nobody has to look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grove_core import ManualClock, Settings
from grove_core.base.comparison import Judgement, Objective, Verdict
from grove_core.base.errors import (
    InvalidInput,
    InvalidPlan,
    NoLensPath,
    Quarantined,
    Refused,
    RolloutActive,
    UnknownPart,
    UnknownRollout,
    WrongTransition,
)
from grove_core.base.events import EventKind
from grove_core.base.rollouts import RolloutAction, RolloutState
from grove_core.parts.choice import Choice
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.plans import Gate, OnFailure, Plan, Wait, Weigh

from . import sources
from .conftest import PATIENT, OpenEngine, kill
from .rolling import BAD, GOOD, ONCE, ONE, SLOW, THREE, TWO, counts, populate, run, split, state, told
from .sources import MODULE, SCHEMA_1

FAIR = {"1.0.0": GOOD, "2.0.0": GOOD}
UNFAIR = {"1.0.0": GOOD, "2.0.0": BAD}


class Always:
    """A judge that always says the same."""

    def __init__(self, verdict: str) -> None:
        self.verdict = Verdict(verdict)

    def judge(self, comparison: Any) -> Judgement:
        return Judgement(self.verdict, "as ever", {"seconds": comparison.seconds})


class Broken:
    def judge(self, comparison: Any) -> Judgement:
        raise RuntimeError("no idea")


class Counted:
    """A plugin with a judge that notes when it was asked."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def judge(self, comparison: Any) -> Judgement:
        self.seconds.append(comparison.seconds)
        return Judgement(Verdict.PASS, "as ever", {})

    @hookimpl
    def grove_register_judges(self) -> dict[str, Any]:
        return {"counted": lambda: self}


class Judges:
    @hookimpl
    def grove_register_judges(self) -> dict[str, Any]:
        return {
            "always": Always,
            "broken": Broken,
            "mute": lambda: type("Mute", (), {"judge": lambda self, comparison: None})(),
        }


PASSES, FAILS, UNSURE = (
    Choice("always", {"verdict": verdict.value}) for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
)


def opened(open_engine: OpenEngine, sources: dict[str, str], **settings: Any) -> tuple[Any, ManualClock]:
    clock = ManualClock()
    chosen = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, max_entities=1 << 12, **settings)
    return open_engine(sources, settings=chosen, clock=clock, plugins=(Judges(),)), clock


# -- by itself -----------------------------------------------------------------------------------------------


def test_a_good_canary_is_promoted_by_itself_after_thirty_seconds(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine)
    status = engine.rollouts.start(MODULE, 2)
    assert (status.state, status.step, status.steps) == (RolloutState.RUNNING, 1, ("10% for 30 s",))
    assert counts(engine) == {1: 900, 2: 100}
    assert engine.rollouts.decision_ms is None
    run(engine, clock, 29.8)
    assert engine.rollouts.decision_ms is not None and engine.rollouts.decision_ms > 0
    assert state(engine) is RolloutState.RUNNING
    assert engine.rollouts.status(MODULE).members[0].verdict is Verdict.PASS
    run(engine, clock, 0.4)
    assert state(engine) is RolloutState.PROMOTED
    assert (engine.stable_version(MODULE), split(engine), counts(engine)) == (TWO, {2: 1.0}, {1: 0, 2: 1000})
    (event,) = told(engine, EventKind.ROLLOUT_PROMOTED)
    assert event.details["evidence"]["evidence"]["verdict"] == "pass"
    assert str(engine.rollouts.status(MODULE)).startswith(
        "Rollout 1 of counter 1.0.0 -> 2.0.0 by the plan canary is promoted"
    )


def test_each_decision_is_told_with_what_it_rests_on(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine)
    plan = Plan("two", (Weigh(0.1, 1), Weigh(0.5, 1)), judges=(PASSES,))
    engine.rollouts.start(MODULE, 2, plan)
    run(engine, clock, 3, until=lambda: state(engine) is RolloutState.PROMOTED)
    (started,), (step,) = told(engine, EventKind.ROLLOUT_STARTED), told(engine, EventKind.ROLLOUT_STEP)
    assert (started.details["evidence"], started.details["attempt"]) == ({}, 1)
    assert step.details["evidence"]["always"]["verdict"] == "pass"
    assert step.details["evidence"]["always"]["seconds"] == pytest.approx(1.0)
    records = engine.rollouts.status(MODULE).records
    assert [bool(record.judgements) for record in records] == [False, True, True]
    engine.rollouts.undo(MODULE)
    engine.rollouts.retry(MODULE)
    again = told(engine, EventKind.ROLLOUT_STARTED)[-1].details
    assert (again["evidence"], again["attempt"]) == ({}, 2), "what was said of the attempt before is past"


def test_a_bad_canary_goes_back_by_itself_and_stays_away(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, UNFAIR)
    populate(engine)
    engine.rollouts.start(MODULE, 2)
    took = run(engine, clock, 10, until=lambda: state(engine) is RolloutState.FAILED)
    assert took <= 2
    assert (engine.stable_version(MODULE), split(engine), counts(engine)) == (ONE, {1: 1.0}, {1: 1000, 2: 0})
    (event,) = told(engine, EventKind.ROLLOUT_FAILED)
    figures = event.details["evidence"]["evidence"]
    assert figures["verdict"] == "fail" and figures["reason"] in event.details["reason"]
    assert {record.cause.value for record in engine.migration_history(MODULE)} == {"split", "rollout"}
    with pytest.raises(Quarantined, match="retry"):
        engine.rollouts.start(MODULE, 2)
    assert engine.rollouts.retry(MODULE).attempt == 2
    assert counts(engine) == {1: 900, 2: 100}
    run(engine, clock, 2, until=lambda: state(engine) is RolloutState.FAILED)
    assert state(engine) is RolloutState.FAILED


def test_a_slow_canary_goes_back(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, {"1.0.0": GOOD, "2.0.0": SLOW})
    populate(engine)
    engine.rollouts.start(MODULE, 2, Plan.canary(tick_ms=3.0, bake_seconds=60.0))
    run(engine, clock, 60, until=lambda: state(engine) is not RolloutState.RUNNING)
    assert state(engine) is RolloutState.FAILED, str(engine.rollouts.status(MODULE))
    assert counts(engine) == {1: 1000, 2: 0}


def test_without_data_it_pauses_and_goes_on_once_there_are_some(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    engine.load_module_version(MODULE, 1)
    engine.rollouts.start(MODULE, 2)
    run(engine, clock, 31)
    status = engine.rollouts.status(MODULE)
    assert (status.state, status.members[0].verdict) == (RolloutState.PAUSED, Verdict.INCONCLUSIVE)
    assert "could not tell" in status.reason
    engine.spawn(MODULE, id=np.arange(100))
    engine.rollouts.resume(MODULE)
    run(engine, clock, 29)
    assert state(engine) is RolloutState.RUNNING
    run(engine, clock, 2)
    assert state(engine) is RolloutState.PROMOTED


def test_every_step_of_a_ramp_is_met_exactly(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine)
    engine.rollouts.start(MODULE, 2, Plan.ramp(bake_seconds=5.0))
    seen = [counts(engine)[2]]
    while engine.rollouts.status(MODULE).state is RolloutState.RUNNING:
        run(engine, clock, 0.1)
        if counts(engine)[2] != seen[-1]:
            seen.append(counts(engine)[2])
    assert seen == [50, 100, 300, 1000]
    assert state(engine) is RolloutState.PROMOTED
    assert clock.now() == pytest.approx(20.0, abs=0.5)
    steps = [event.details["step"] for event in engine.events if event.kind is EventKind.ROLLOUT_STEP]
    assert steps == [2, 3, 4]


def test_what_fails_only_with_all_entities_goes_back_from_there(open_engine: OpenEngine) -> None:
    source = BAD.replace("e.fail(", "len(e) > 500 and e.fail(")
    engine, clock = opened(open_engine, {"1.0.0": GOOD, "2.0.0": source})
    populate(engine)
    engine.rollouts.start(MODULE, 2, Plan.ramp((0.3, 1.0), bake_seconds=5.0))
    run(engine, clock, 20, until=lambda: state(engine) is not RolloutState.RUNNING)
    assert state(engine) is RolloutState.FAILED
    assert engine.rollouts.status(MODULE).step == 2
    assert (engine.stable_version(MODULE), counts(engine)) == (ONE, {1: 1000, 2: 0})


def test_blue_and_green_switch_in_one_tick_and_back(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine)
    engine.enable_auto_gc(MODULE, 1.0)
    before = engine.entities(MODULE)
    engine.rollouts.start(MODULE, 2, Plan.blue_green(bake_seconds=5.0))
    assert counts(engine) == {1: 0, 2: 1000}
    run(engine, clock, 6)
    assert (state(engine), counts(engine)) == (RolloutState.PROMOTED, {1: 0, 2: 1000})
    workers = engine.workers(MODULE)
    run(engine, clock, 60)
    assert engine.workers(MODULE) == workers, "the old one is held warm"
    engine.rollouts.undo(MODULE)
    assert engine.tick(0.1).entities == 1000
    assert (engine.stable_version(MODULE), counts(engine)) == (ONE, {1: 1000, 2: 0})
    after = engine.entities(MODULE)
    assert (np.sort(after["id"]) == np.sort(before["id"])).all()
    assert set(after["n"].tolist()) == {6 * 10 + 60 * 10 + 1}


def test_what_was_stable_is_collected_once_it_has_been_warm_long_enough(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    engine.enable_auto_gc(MODULE, 1.0)
    engine.rollouts.start(MODULE, 2, Plan.canary(bake_seconds=2.0, warm_seconds=5.0))
    run(engine, clock, 2.2)
    assert state(engine) is RolloutState.PROMOTED
    run(engine, clock, 4)
    assert engine.get_loaded_versions(MODULE) == [ONE, TWO]
    run(engine, clock, 3)
    assert engine.get_loaded_versions(MODULE) == [TWO]
    engine.rollouts.undo(MODULE)
    assert counts(engine) == {1: 100, 2: 0}, "it was loaded again"


# -- by hand -------------------------------------------------------------------------------------------------


def test_pauses_do_not_count(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2)
    run(engine, clock, 20)
    assert engine.rollouts.pause(MODULE).state is RolloutState.PAUSED
    run(engine, clock, 1000)
    assert engine.rollouts.resume(MODULE).state is RolloutState.RUNNING
    run(engine, clock, 9.5)
    assert state(engine) is RolloutState.RUNNING
    run(engine, clock, 1)
    assert state(engine) is RolloutState.PROMOTED


def test_a_canary_that_fails_while_it_is_paused_goes_back(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, UNFAIR)
    populate(engine)
    engine.rollouts.start(MODULE, 2)
    engine.rollouts.pause(MODULE)
    run(engine, clock, 2)
    assert state(engine) is RolloutState.FAILED


def test_gates_and_pauses_of_a_plan(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    steps = (Gate("reviewed"), Weigh(0.2, 1.0), Wait(5.0), Wait(), Gate("signed"), Weigh(0.5, 1.0))
    engine.rollouts.start(MODULE, 2, Plan("careful", steps))
    run(engine, clock, 5)
    assert (state(engine), split(engine)) == (RolloutState.WAITING, {1: 1.0})
    with pytest.raises(WrongTransition, match="gate 'reviewed'"):
        engine.rollouts.resume(MODULE)
    with pytest.raises(InvalidInput, match="no gate 'nope'; it has: reviewed, signed"):
        engine.rollouts.open_gate(MODULE, "nope")
    engine.rollouts.open_gate(MODULE, "reviewed")
    run(engine, clock, 0.1)
    assert (state(engine), split(engine)) == (RolloutState.RUNNING, {1: 0.8, 2: 0.2})
    run(engine, clock, 1.2)
    assert (state(engine), engine.rollouts.status(MODULE).step) == (RolloutState.WAITING, 3)
    run(engine, clock, 5)
    assert (state(engine), engine.rollouts.status(MODULE).step) == (RolloutState.WAITING, 4)
    run(engine, clock, 50)
    engine.rollouts.open_gate(MODULE, "signed")
    assert engine.rollouts.resume(MODULE).step == 6, "the gate was open when it came there"
    run(engine, clock, 1.2)
    assert state(engine) is RolloutState.PROMOTED


def test_a_gate_that_nobody_opens_ends_it(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    plan = Plan("gated", (Weigh(0.2, 1.0), Gate("signed")), progress_deadline_seconds=20.0)
    engine.rollouts.start(MODULE, 2, plan)
    run(engine, clock, 30)
    assert state(engine) is RolloutState.FAILED
    assert "progress_deadline_seconds" in engine.rollouts.status(MODULE).reason
    assert split(engine) == {1: 1.0}


def test_promotion_by_a_step_and_fully(open_engine: OpenEngine) -> None:
    engine, _ = opened(open_engine, UNFAIR)
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2, Plan.ramp())
    assert engine.rollouts.promote_step(MODULE).step == 2
    assert split(engine) == {1: 0.9, 2: 0.1}
    assert engine.rollouts.promote(MODULE).state is RolloutState.PROMOTED
    assert (split(engine), engine.stable_version(MODULE)) == ({2: 1.0}, TWO)
    engine.rollouts.undo(MODULE)
    engine.rollouts.retry(MODULE)
    for _ in range(3):
        engine.rollouts.promote_step(MODULE)
    assert state(engine) is RolloutState.RUNNING
    assert engine.rollouts.promote_step(MODULE).state is RolloutState.PROMOTED


def test_an_abort_gives_everybody_back_what_they_had(open_engine: OpenEngine) -> None:
    engine, _ = opened(open_engine, {**FAIR, "3.0.0": GOOD})
    populate(engine)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.7, 2: 0.3})
    before = engine.locate(MODULE, np.arange(1000))
    engine.rollouts.start(MODULE, 3)
    assert (split(engine), counts(engine)) == ({1: 0.63, 2: 0.27, 3: 0.1}, {1: 630, 2: 270, 3: 100})
    engine.rollouts.promote_step(MODULE)
    assert split(engine) == {3: 1.0}
    engine.rollouts.undo(MODULE)
    assert (split(engine), counts(engine)) == ({1: 0.7, 2: 0.3}, {1: 700, 2: 300, 3: 0})
    engine.rollouts.retry(MODULE)
    assert engine.rollouts.abort(MODULE).state is RolloutState.ABORTED
    assert (split(engine), counts(engine)) == ({1: 0.7, 2: 0.3}, {1: 700, 2: 300, 3: 0})
    assert len(before) == len(engine.locate(MODULE, np.arange(1000)))


def test_a_wrong_transition_names_the_allowed_ones(open_engine: OpenEngine) -> None:
    engine, _ = opened(open_engine, FAIR)
    populate(engine, 100)
    with pytest.raises(UnknownRollout, match=r"engine\.rollouts\.start"):
        engine.rollouts.pause(MODULE)
    engine.rollouts.start(MODULE, 2)
    with pytest.raises(
        WrongTransition, match="is running: undo is not possible now; promote_step, promote, abort, pause is"
    ):
        engine.rollouts.undo(MODULE)
    engine.rollouts.promote(MODULE)
    with pytest.raises(WrongTransition, match="is promoted: pause is not possible now; undo is"):
        engine.rollouts.pause(MODULE)
    engine.rollouts.undo(MODULE)
    assert engine.rollouts.status(MODULE).actions == (RolloutAction.RETRY,)


def test_what_was_stable_lately_returns_without_steps(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2)
    engine.rollouts.promote(MODULE)
    run(engine, clock, 10)
    status = engine.rollouts.start(MODULE, 1)
    assert (status.state, split(engine)) == (RolloutState.PROMOTED, {1: 1.0})
    assert "rollback window of 3600 s" in status.reason
    status = engine.rollouts.start(MODULE, 2, Plan.canary(rollback_window_seconds=0.0))
    clock.advance(1)
    engine.rollouts.abort(MODULE)
    engine.rollouts.retry(MODULE)
    assert state(engine) is RolloutState.RUNNING


def test_while_it_lasts_nobody_else_splits(open_engine: OpenEngine) -> None:
    engine, _ = opened(open_engine, {**FAIR, "3.0.0": GOOD})
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2, Plan.blue_green())
    for call in (
        lambda: engine.set_traffic_split(MODULE, {1: 1.0}),
        lambda: engine.migrate_state(MODULE, 2, 1),
        lambda: engine.unload_module_version(MODULE, 1),
        lambda: engine.rollouts.start(MODULE, 3),
    ):
        with pytest.raises(RolloutActive, match=r"engine\.rollouts\.abort\('counter'\)"):
            call()
    assert engine.get_loaded_versions(MODULE) == [ONE, TWO]
    engine.rollback(MODULE, 1)
    status = engine.rollouts.status(MODULE)
    assert (status.state, split(engine)) == (RolloutState.ABORTED, {1: 1.0})
    assert status.reason == "somebody rolled counter back to 1.0.0"
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})


# -- what goes wrong -----------------------------------------------------------------------------------------


def test_a_canary_that_dies_has_failed(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2)
    run(engine, clock, 1)
    kill(engine, TWO)
    report = engine.tick(0.1)
    assert (report.entities, report.skipped) == (100, 0)
    status = engine.rollouts.status(MODULE)
    assert status.state is RolloutState.FAILED and "SIGKILL" in status.reason
    run(engine, clock, 1)
    assert engine.rollouts.retry(MODULE).state is RolloutState.RUNNING
    assert counts(engine) == {1: 90, 2: 10}


def test_stable_itself_fails_and_the_canary_is_held_against_who_took_over(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, {**FAIR, "3.0.0": GOOD})
    populate(engine, 100)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.rollouts.start(MODULE, 3)
    engine.inject_fault(MODULE, 2, "raise")
    run(engine, clock, 0.2)
    status = engine.rollouts.status(MODULE)
    assert (status.state, status.members[0].stable) == (RolloutState.RUNNING, ONE)
    assert told(engine, EventKind.ROLLOUT_REBASED)
    run(engine, clock, 31)
    assert (state(engine), engine.stable_version(MODULE)) == (RolloutState.PROMOTED, THREE)


def test_stable_that_is_restarted_is_no_reason_to_stop(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2)
    run(engine, clock, 5)
    engine.inject_fault(MODULE, 1, "raise")
    run(engine, clock, 26)
    assert state(engine) is RolloutState.PROMOTED


@pytest.mark.parametrize("verdict", [FAILS, UNSURE])
def test_of_several_judges_the_worst_counts(open_engine: OpenEngine, verdict: Choice) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2, Plan.canary(bake_seconds=1.0, judges=(Choice("evidence"), verdict)))
    run(engine, clock, 1.5)
    assert state(engine) is (RolloutState.FAILED if verdict is FAILS else RolloutState.PAUSED)
    assert "as ever" in engine.rollouts.status(MODULE).reason


def test_a_plan_that_pauses_on_failure(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine, 100)
    plan = Plan.canary(bake_seconds=1.0, judges=(FAILS,), on_failure=OnFailure.PAUSE)
    engine.rollouts.start(MODULE, 2, plan)
    run(engine, clock, 5)
    assert (state(engine), split(engine)) == (RolloutState.PAUSED, {1: 0.9, 2: 0.1})
    assert len(told(engine, EventKind.ROLLOUT_PAUSED)) == 1
    engine.rollouts.resume(MODULE)
    run(engine, clock, 5)
    assert len(told(engine, EventKind.ROLLOUT_PAUSED)) == 2
    assert engine.rollouts.promote(MODULE).state is RolloutState.PROMOTED


@pytest.mark.parametrize("judge", ["broken", "mute"])
def test_a_judge_that_fails_cannot_tell_and_is_reported_once(open_engine: OpenEngine, judge: str) -> None:
    engine, clock = opened(open_engine, FAIR, judges=(Choice(judge),))
    populate(engine, 100)
    engine.rollouts.start(MODULE, 2, Plan.canary(bake_seconds=1.0))
    run(engine, clock, 2)
    assert state(engine) is RolloutState.PAUSED
    (event,) = told(engine, EventKind.PLUGIN_FAILED)
    assert f"the judge {judge!r}" in event.details["error"]


def test_an_observed_value_is_judged_as_errors_are(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, FAIR)
    populate(engine)
    engine.rollouts.start(MODULE, 2, Plan.canary(0.2, objectives=(Objective("fun", at_least=3.0),)))
    run(engine, clock, 1)
    ids = np.arange(1000)
    fun = np.array([5.0 if version == ONE else 1.0 for version in engine.locate(MODULE, ids)])
    engine.observe(MODULE, "fun", fun[::5], ids[::5])
    run(engine, clock, 0.1)
    status = engine.rollouts.status(MODULE)
    assert status.state is RolloutState.FAILED and "fun" in status.reason


def test_pinned_entities_have_no_part_in_the_contest(open_engine: OpenEngine) -> None:
    source = sources.version("e.n += 1\ne.fail(e.id[e.id < 50], 'on purpose')", schema=SCHEMA_1)
    engine, clock = opened(open_engine, {"1.0.0": source, "2.0.0": source})
    populate(engine)
    engine.load_module_version(MODULE, 2)
    engine.pin(MODULE, np.arange(50), 2)
    engine.rollouts.start(MODULE, 2)
    assert counts(engine) == {1: 900, 2: 100}
    run(engine, clock, 31)
    assert state(engine) is RolloutState.PROMOTED, "those that always fail are where they are because of a pin"
    figures = told(engine, EventKind.ROLLOUT_PROMOTED)[0].details["evidence"]["evidence"]
    assert figures["errors.canary_failures"] == 0
    assert figures["errors.canary_trials"] == 50 * figures["ticks.canary_trials"]


# -- nothing half done ---------------------------------------------------------------------------------------


def test_a_start_that_fails_leaves_nothing(open_engine: OpenEngine) -> None:
    other = GOOD.replace('fixed="f4"', 'other="f4"').replace('"fixed",', "")
    engine, _ = opened(open_engine, {**FAIR, "3.0.0": other, "4.0.0": "raise RuntimeError('broken')"})
    populate(engine, 100)
    for version, plan, error in (
        (3, None, NoLensPath),
        (4, None, Exception),
        (9, None, Exception),
        (1, None, Refused),
        (2, "nope", InvalidPlan),
        (2, Plan.canary(judges=(Choice("nope"),)), UnknownPart),
    ):
        with pytest.raises(error):
            engine.rollouts.start(MODULE, version, plan)
        assert (engine.get_loaded_versions(MODULE), split(engine)) == ([ONE], {1: 1.0})
        assert engine.rollouts.history() == []
    engine.rollouts.start(MODULE, 2)
    assert engine.rollouts.status(MODULE).number == 1


def test_a_group_is_promoted_together_or_not_at_all(open_engine: OpenEngine, package: Any, installed: Any) -> None:
    others = installed(*(package("other", f"{n}.0.0", source) for n, source in ((1, GOOD), (2, GOOD), (3, BAD))))
    clock = ManualClock()
    engine = open_engine(FAIR, settings=PATIENT, clock=clock, plugins=(others,))
    populate(engine)
    populate(engine, 500, "other")
    engine.rollouts.start_group({MODULE: 2, "other": 3}, Plan.ramp())
    assert (counts(engine), counts(engine, "other")) == ({1: 950, 2: 50}, {1: 475, 3: 25})
    run(engine, clock, 40, until=lambda: state(engine) is not RolloutState.RUNNING)
    assert state(engine) is state(engine, "other") is RolloutState.FAILED
    assert (counts(engine), counts(engine, "other")) == ({1: 1000, 2: 0}, {1: 500, 3: 0})
    for module, version in ((MODULE, 2), ("other", 3)):
        engine.unload_module_version(module, version)
        engine.load_module_version(module, 2)
    engine.rollouts.start_group({MODULE: 2, "other": 2}, Plan.rolling(2, bake_seconds=2.0))
    run(engine, clock, 10, until=lambda: state(engine) is not RolloutState.RUNNING)
    assert state(engine, "other") is RolloutState.PROMOTED
    assert (counts(engine), counts(engine, "other")) == ({1: 0, 2: 1000}, {1: 0, 2: 500})


def test_a_group_of_which_one_cannot_start_leaves_nothing(open_engine: OpenEngine) -> None:
    engine, _ = opened(open_engine, FAIR)
    populate(engine, 100)
    with pytest.raises(Exception, match="nowhere"):
        engine.rollouts.start_group({MODULE: 2, "nowhere": 1})
    assert engine.get_loaded_versions(MODULE) == [ONE]


def test_judges_are_asked_once_a_second_and_with_each_failure_and_at_the_end(open_engine: OpenEngine) -> None:
    def asked(canary_of: str) -> tuple[Any, list[float]]:
        clock, counted = ManualClock(), Counted()
        engine = open_engine({"1.0.0": GOOD, "2.0.0": canary_of}, settings=PATIENT, clock=clock, plugins=(counted,))
        populate(engine)
        engine.rollouts.start(MODULE, 2, Plan.canary(bake_seconds=2.5, judges=(Choice("counted"),)))
        run(engine, clock, 2.6)
        return engine, [round(each, 6) for each in counted.seconds]

    engine, seconds = asked(GOOD)
    assert (state(engine), seconds) == (RolloutState.PROMOTED, [0.1, 1.1, 2.1, 2.5])
    engine, seconds = asked(ONCE)
    assert seconds[:3] == [0.1, 0.7, 1.7]
