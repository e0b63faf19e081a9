"""`rollout`, with few seeds and coarse ticks: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.errors import InvalidInput
from grove_core.base.events import Event, EventKind
from grove_core.base.rollouts import RolloutState
from grove_core.memory.table import Table
from grove_core.parts.choice import Choice
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.plans import Plan
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import quiet
from grove_core.scenario.rollouts.chance import drawn
from grove_core.scenario.rollouts.decisions import Decision
from grove_core.scenario.rollouts.plays import Kind, PlaySeen, SwitchSeen
from grove_core.scenario.rollouts.rollout import PATIENT, RolloutScenario, RolloutsSeen, run_command
from grove_core.scenario.rollouts.rollout_outcome import Assertion, Metric, outcome
from grove_core.sinks.jsonl import JsonLines

from .breaking import Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]


def run(*kinds: Kind, seeds: int = 1, entities: int = 100, **options: Any) -> Outcome:
    with quiet():
        return RolloutScenario(seeds, entities, ticks_per_second=10, kinds=kinds or tuple(Kind), **options).run()


class Saying:
    """A plugin with a judge that says the same whatever it is shown."""

    def __init__(self, verdict: Verdict, reason: str = "as ever", **figures: float) -> None:
        self._said = Judgement(verdict, reason, figures)

    def judge(self, comparison: Any) -> Judgement:
        return self._said

    @hookimpl
    def grove_register_judges(self) -> dict[str, Any]:
        return {"saying": lambda: self}


def under(judge: Saying, *kinds: Kind) -> Outcome:
    return run(*kinds, settings=planned(Plan.canary(bake_seconds=1.0, judges=(Choice("saying"),))), plugins=[judge])


def planned(plan: Plan) -> Settings:
    return msgspec.structs.replace(PATIENT, rollouts={plan.name: plan})


def test_it_passes() -> None:
    result = run(seeds=2)
    assert_passed(result)
    assert result.metrics[Metric.GOOD_PROMOTED_SECONDS] == pytest.approx(30)
    assert result.metrics[Metric.GOOD_CANARY_PERCENT] == 10
    assert (result.metrics[Metric.SWITCH_TICKS], result.metrics[Metric.RETURN_TICKS]) == (1, 1)
    played = [(play["kind"], play["state"]) for play in json.loads(msgspec.json.encode(result.document()))["rollouts"]]
    assert played == [
        ("good", "promoted"),
        ("slow", "failed"),
        ("blue_green", "undone"),
        *[("errors", "failed")] * 2,
        *[("alike", "promoted")] * 2,
    ]
    assert "rollout_failed by evidence" in result.text()
    assert max(map(len, result.text().splitlines())) <= 80


def test_judges_that_cannot_tell() -> None:
    result = under(Saying(Verdict.INCONCLUSIVE, seen=0.0), Kind.GOOD)
    assert_broken(result, Assertion.GOOD_VERSION_PROMOTED, "good is paused: the judges could not tell: as ever")
    assert result.assertions[Assertion.SLOW_VERSION_CAUGHT] is None


@pytest.mark.parametrize(
    ("kind", "assertion"),
    [(Kind.ERRORS, Assertion.BROKEN_VERSION_ROLLED_BACK), (Kind.SLOW, Assertion.SLOW_VERSION_CAUGHT)],
)
def test_judges_that_let_everything_pass(kind: Kind, assertion: Assertion) -> None:
    result = under(Saying(Verdict.PASS, seen=1.0), kind)
    assert_broken(result, assertion, "is promoted: as ever")
    assert result.assertions[Assertion.ENTITIES_EXACT]


def test_judges_that_let_nothing_pass() -> None:
    assert_broken(
        under(Saying(Verdict.FAIL, seen=1.0), Kind.ALIKE), Assertion.FALSE_ALARMS_BOUNDED, "alike (seed 0) is failed"
    )


@pytest.mark.parametrize("judge", [Saying(Verdict.PASS), Saying(Verdict.PASS, "", seen=1.0)])
def test_judges_that_do_not_say_why(judge: Saying) -> None:
    assert_broken(under(judge, Kind.GOOD), Assertion.EVERY_DECISION_EXPLAINED, "the judge saying gives no")


def test_a_plan_that_gives_a_canary_more() -> None:
    result = run(Kind.GOOD, settings=planned(Plan.canary(0.2)))
    assert_broken(result, Assertion.CANARY_EXACT)
    assert result.metrics[Metric.GOOD_CANARY_PERCENT] == 20


def test_blue_that_is_not_kept_warm() -> None:
    result = run(Kind.BLUE_GREEN, settings=planned(Plan.blue_green(warm_seconds=0.0)))
    assert_broken(result, Assertion.BLUE_GREEN_IN_ONE_TICK)
    assert result.assertions[Assertion.ENTITIES_EXACT], "it is loaded again, and nothing is lost"


def test_a_move_that_changes_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Table.fill_holes

    def fill_holes(self: Table, *args: Any) -> int:
        count = given(self, *args)
        self["place"][:1] += 1
        return count

    monkeypatch.setattr(Table, "fill_holes", fill_holes)
    assert_broken(run(Kind.GOOD), Assertion.ENTITIES_EXACT, "good: place is wrong in")


@pytest.mark.parametrize("what", [Kept.DESCRIPTOR, Kept.MAPPING, Kept.PROCESS])
def test_an_engine_that_leaves_something(what: Kept) -> None:
    keeping = Keeping(what)
    try:
        result = run(Kind.SLOW, settings=keeping.settings, plugins=[keeping])
        assert_broken(result, Assertion.NOTHING_LEFT, what.value)
    finally:
        keeping.tidy_up()


def test_an_engine_that_does_not_survive() -> None:
    def stop(engine: DebugEngine, ticks: int) -> None:
        if ticks == 10:
            engine.close()

    assert_broken(run(Kind.GOOD, watcher=stop), Assertion.ENGINE_ALIVE, "EngineClosed")


def seen(*plays: PlaySeen, seeds: int = 100) -> RolloutsSeen:
    return RolloutsSeen(seeds, 500, plays=list(plays))


def test_a_broken_version_has_two_seconds_from_its_25th_error_on() -> None:
    def ended(seconds: float, counted_at: float | None = 1.5) -> Outcome:
        play = PlaySeen(Kind.ERRORS, 0, RolloutState.FAILED, "", seconds, errors=90, counted_at=counted_at)
        return outcome(seen(play), [Kind.ERRORS])

    assert_broken(ended(3.51), Assertion.BROKEN_VERSION_ROLLED_BACK, "worst: 2.01s")
    assert ended(3.49).assertions[Assertion.BROKEN_VERSION_ROLLED_BACK]
    assert ended(1.0, None).metrics[Metric.ERRORS_AFTER_25TH_SECONDS] == 0, "it went before"


def test_five_of_a_hundred_that_are_no_worse_may_be_rolled_back() -> None:
    def of(failed: int) -> Outcome:
        states = [RolloutState.FAILED] * failed + [RolloutState.PROMOTED] * (100 - failed)
        return outcome(seen(*(PlaySeen(Kind.ALIKE, n, state) for n, state in enumerate(states))), [Kind.ALIKE])

    assert of(5).assertions[Assertion.FALSE_ALARMS_BOUNDED]
    assert_broken(of(6), Assertion.FALSE_ALARMS_BOUNDED, "alike (seed 5) is failed")


@pytest.mark.parametrize(
    "switch",
    [
        {"ticks": 2},
        {"missed": 1},
        {"same_worker": False},
    ],
)
def test_blue_and_green_have_one_tick(switch: dict[str, Any]) -> None:
    def of(back: SwitchSeen) -> Outcome:
        play = PlaySeen(Kind.BLUE_GREEN, 0, RolloutState.UNDONE, switches=[there, back])
        return outcome(seen(play), [Kind.BLUE_GREEN])

    there = SwitchSeen("2.0.0", 1.0, ticks=1, missed=0, same_worker=True)
    assert of(there).assertions[Assertion.BLUE_GREEN_IN_ONE_TICK]
    assert_broken(of(replace(there, **switch)), Assertion.BLUE_GREEN_IN_ONE_TICK)


def test_a_decision_lacks_what_it_does_not_tell() -> None:
    def lacks(kind: str, **details: Any) -> list[str]:
        return list(Decision(kind, 0.0, "patrol", "2.0.0", details).lacks())

    said = {"evidence": {"verdict": "pass", "reason": "seen enough", "errors.log10_e": 0.1}}
    assert lacks("rollout_promoted", reason="over", evidence=said) == []
    assert lacks("rollout_aborted", reason="somebody aborted it") == []
    assert lacks("rollout_failed", reason="worse", evidence=said) == ["rollout_failed: no judge says fail"]
    assert lacks("rollout_failed", reason="", evidence={})[:2] == [
        "rollout_failed has no reason",
        "rollout_failed names no judge",
    ]


def test_chance_is_as_likely_as_it_says_and_the_same_again() -> None:
    ids = np.arange(200_000, dtype=np.int64) * 7
    seen = drawn(3, ids, 11, 0.1)
    assert abs(seen.mean() - 0.1) < 0.004
    assert np.array_equal(seen, drawn(3, ids, 11, 0.1))
    for other in (drawn(4, ids, 11, 0.1), drawn(3, ids, 12, 0.1)):
        assert abs((seen & other).mean() - 0.01) < 0.002, "another seed, or another tick, has nothing to do with it"


@pytest.mark.parametrize(("seeds", "entities"), [(0, 500), (1, 99)])
def test_too_little_to_show_anything_is_refused(seeds: int, entities: int) -> None:
    with pytest.raises(InvalidInput):
        RolloutScenario(seeds, entities)


def test_the_command_line_gets_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        RolloutScenario.__init__, "__kwdefaults__", {**RolloutScenario.__init__.__kwdefaults__, "kinds": (Kind.ERRORS,)}
    )
    path = tmp_path / "rollout.json"
    code = run_command(2, 100, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert (document["scenario"], document["seeds"], document["entities"]) == ("rollout", 2, 100)
    assert "TEST: Rollouts" in capsys.readouterr().out


def test_a_sink_that_writes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    given = JsonLines.event

    def event(self: JsonLines, told: Event) -> None:
        if told.kind is not EventKind.ROLLOUT_FAILED:
            given(self, told)

    monkeypatch.setattr(JsonLines, "event", event)
    assert_broken(
        run(Kind.ERRORS), Assertion.EVERY_DECISION_WRITTEN, "errors (seed 0): the file has no such rollout_fai"
    )
