"""What a run of `rollout` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from grove_core.base.rollouts import RolloutState
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile
from grove_core.scenario.rollouts.plays import COARSE, COUNTED_ERRORS, Kind, PlaySeen

if TYPE_CHECKING:
    from grove_core.scenario.rollouts.rollout import RolloutsSeen

WEIGHT_PERCENT = 10.0
BAKE_SECONDS = 30.0
CAUGHT_SECONDS = 2.0
"""How long after its 25th error a broken version may stay."""
FALSE_ALARMS = 0.05
"""The part of versions that are no worse, but may be rolled back."""
SHOWN = 10
"""How many sentences of a kind are shown."""
WIDTH = 76
LEGEND = (
    "errors: each call of each entity fails with a probability of 10%, one of stable's with 1%. alike: 1% of both. "
    "slow: it works for 1.5 times as long as a tick lasts. The columns errors and stable: calls that failed of version "
    "2 and of version 1. seconds: simulated, from the rollout's start to its end."
)


class Metric(StrEnum):
    """The metrics; shares are percent, never fractions."""

    GOOD_PROMOTED_SECONDS = "good_promoted_seconds"
    GOOD_CANARY_PERCENT = "good_canary_percent"
    ERRORS_CAUGHT_PERCENT = "errors_caught_percent"
    ERRORS_AFTER_25TH_SECONDS = "errors_after_25th_seconds"
    ERRORS_UNTIL_CAUGHT_P50 = "errors_until_caught_p50"
    ERRORS_UNTIL_CAUGHT_WORST = "errors_until_caught_worst"
    SECONDS_UNTIL_CAUGHT_P50 = "seconds_until_caught_p50"
    SECONDS_UNTIL_CAUGHT_WORST = "seconds_until_caught_worst"
    ALIKE_ROLLED_BACK = "alike_rolled_back"
    ALIKE_PROMOTED = "alike_promoted"
    SLOW_CAUGHT_SECONDS = "slow_caught_seconds"
    SWITCH_TICKS = "switch_ticks"
    RETURN_TICKS = "return_ticks"
    SWITCH_MS = "switch_ms"
    RETURN_MS = "return_ms"
    MISSED = "missed"
    DIFFERENCES = "differences"
    UNEXPLAINED = "unexplained"
    UNWRITTEN = "unwritten"
    REAL_SECONDS = "real_seconds"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    GOOD_VERSION_PROMOTED = "good_version_promoted"
    CANARY_EXACT = "canary_exact"
    BROKEN_VERSION_ROLLED_BACK = "broken_version_rolled_back"
    FALSE_ALARMS_BOUNDED = "false_alarms_bounded"
    SLOW_VERSION_CAUGHT = "slow_version_caught"
    BLUE_GREEN_IN_ONE_TICK = "blue_green_in_one_tick"
    ENTITIES_EXACT = "entities_exact"
    EVERY_DECISION_EXPLAINED = "every_decision_explained"
    EVERY_DECISION_WRITTEN = "every_decision_written"
    NOTHING_LEFT = "nothing_left"


NEEDS: dict[Metric | Assertion, Kind] = {
    Metric.GOOD_PROMOTED_SECONDS: Kind.GOOD,
    Metric.GOOD_CANARY_PERCENT: Kind.GOOD,
    Metric.ERRORS_CAUGHT_PERCENT: Kind.ERRORS,
    Metric.ERRORS_AFTER_25TH_SECONDS: Kind.ERRORS,
    Metric.ERRORS_UNTIL_CAUGHT_P50: Kind.ERRORS,
    Metric.ERRORS_UNTIL_CAUGHT_WORST: Kind.ERRORS,
    Metric.SECONDS_UNTIL_CAUGHT_P50: Kind.ERRORS,
    Metric.SECONDS_UNTIL_CAUGHT_WORST: Kind.ERRORS,
    Metric.ALIKE_ROLLED_BACK: Kind.ALIKE,
    Metric.ALIKE_PROMOTED: Kind.ALIKE,
    Metric.SLOW_CAUGHT_SECONDS: Kind.SLOW,
    Metric.SWITCH_TICKS: Kind.BLUE_GREEN,
    Metric.RETURN_TICKS: Kind.BLUE_GREEN,
    Metric.SWITCH_MS: Kind.BLUE_GREEN,
    Metric.RETURN_MS: Kind.BLUE_GREEN,
    Assertion.GOOD_VERSION_PROMOTED: Kind.GOOD,
    Assertion.CANARY_EXACT: Kind.GOOD,
    Assertion.BROKEN_VERSION_ROLLED_BACK: Kind.ERRORS,
    Assertion.FALSE_ALARMS_BOUNDED: Kind.ALIKE,
    Assertion.SLOW_VERSION_CAUGHT: Kind.SLOW,
    Assertion.BLUE_GREEN_IN_ONE_TICK: Kind.BLUE_GREEN,
}
"""What is said of one kind of play, and of a run without it is not."""


def gauges(seen: RolloutsSeen) -> dict[Metric, Gauge]:
    """Return what the metrics of so many seeds and entities are held against."""
    alarms = int(FALSE_ALARMS * seen.seeds + 1e-9)
    one_entity = 100 / seen.entities
    exact = 0.0 if seen.entities % 10 == 0 else one_entity
    two = Threshold(below=CAUGHT_SECONDS)
    told = Threshold(below=CAUGHT_SECONDS, binding=False)
    at_once = Threshold(below=100.0, binding=False)
    return {
        Metric.GOOD_PROMOTED_SECONDS: Gauge(
            "Good version promoted, simulated", "{:.2f}s", Threshold(target=BAKE_SECONDS, within=0.05)
        ),
        Metric.GOOD_CANARY_PERCENT: Gauge(
            "Its share until then", "{:g}%", Threshold(target=WEIGHT_PERCENT, within=exact)
        ),
        Metric.ERRORS_CAUGHT_PERCENT: Gauge("10% errors: rolled back", "{:g}%", Threshold(target=100.0)),
        Metric.ERRORS_AFTER_25TH_SECONDS: Gauge("After its 25th error, simulated, worst", "{:.2f}s", two),
        Metric.ERRORS_UNTIL_CAUGHT_P50: Gauge(
            "Errors until then, p50", "{:g}", Threshold(below=COUNTED_ERRORS, binding=False)
        ),
        Metric.ERRORS_UNTIL_CAUGHT_WORST: Gauge(
            "Errors until then, worst", "{:g}", Threshold(below=4 * COUNTED_ERRORS, binding=False)
        ),
        Metric.SECONDS_UNTIL_CAUGHT_P50: Gauge("Simulated seconds until then, p50", "{:.2f}s", told),
        Metric.SECONDS_UNTIL_CAUGHT_WORST: Gauge("Simulated seconds until then, worst", "{:.2f}s", told),
        Metric.ALIKE_ROLLED_BACK: Gauge("1% against 1%: rolled back", "{:d}", Threshold(below=alarms + 1)),
        Metric.ALIKE_PROMOTED: Gauge("1% against 1%: promoted", "{:d}", Threshold(above=seen.seeds - alarms - 1)),
        Metric.SLOW_CAUGHT_SECONDS: Gauge(
            "Slow version rolled back, simulated", "{:.2f}s", Threshold(below=BAKE_SECONDS)
        ),
        Metric.SWITCH_TICKS: Gauge("Blue to green, ticks", "{:d}", Threshold(target=1)),
        Metric.RETURN_TICKS: Gauge("And back, ticks", "{:d}", Threshold(target=1)),
        Metric.SWITCH_MS: Gauge("Blue to green, the call", "{:.1f}ms", at_once),
        Metric.RETURN_MS: Gauge("And back, the call", "{:.1f}ms", at_once),
        Metric.MISSED: Gauge("Ticks that an entity did not have", "{:d}", Threshold(target=0)),
        Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", Threshold(target=0)),
        Metric.UNEXPLAINED: Gauge("Decisions without their evidence", "{:d}", Threshold(target=0)),
        Metric.UNWRITTEN: Gauge("Decisions that the file lacks, or has otherwise", "{:d}", Threshold(target=0)),
        Metric.REAL_SECONDS: Gauge("The run, in real time", "{:.0f}s", Threshold(below=90.0, binding=False)),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    }


def outcome(seen: RolloutsSeen, kinds: Sequence[Kind]) -> Outcome:
    """Compute metrics and assertions from what was seen of these kinds of plays."""
    differences = [f"{_name(play)}: {each}" for play in seen.plays for each in (*play.differences, *play.faults)]
    unexplained = [f"{_name(play)}: {each}" for play in seen.plays for each in _unexplained(play)]
    unwritten = list(_unwritten(seen))
    metrics = _measured(seen)
    metrics[Metric.UNWRITTEN] = len(unwritten)
    metrics[Metric.DIFFERENCES] = len(differences)
    metrics[Metric.UNEXPLAINED] = len(unexplained)
    held = {name: gauge for name, gauge in gauges(seen).items() if NEEDS.get(name, kinds[0]) in kinds}

    def met(*names: Metric) -> bool:
        return all(name in held and held[name].threshold.holds(metrics[name]) for name in names)

    alive = seen.error is None
    warm = all(
        switch.same_worker and not switch.missed for play in seen.of(Kind.BLUE_GREEN) for switch in play.switches
    )
    assertions = {
        Assertion.ENGINE_ALIVE: alive,
        Assertion.GOOD_VERSION_PROMOTED: met(Metric.GOOD_PROMOTED_SECONDS),
        Assertion.CANARY_EXACT: met(Metric.GOOD_CANARY_PERCENT),
        Assertion.BROKEN_VERSION_ROLLED_BACK: met(Metric.ERRORS_CAUGHT_PERCENT, Metric.ERRORS_AFTER_25TH_SECONDS),
        Assertion.FALSE_ALARMS_BOUNDED: met(Metric.ALIKE_ROLLED_BACK, Metric.ALIKE_PROMOTED),
        Assertion.SLOW_VERSION_CAUGHT: met(Metric.SLOW_CAUGHT_SECONDS),
        Assertion.BLUE_GREEN_IN_ONE_TICK: met(Metric.SWITCH_TICKS, Metric.RETURN_TICKS) and warm,
        Assertion.ENTITIES_EXACT: met(Metric.DIFFERENCES, Metric.MISSED) and alive,
        Assertion.EVERY_DECISION_EXPLAINED: met(Metric.UNEXPLAINED) and alive,
        Assertion.EVERY_DECISION_WRITTEN: met(Metric.UNWRITTEN) and alive,
        Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
    }
    return Outcome(
        title="Rollouts that judge themselves",
        facts={
            "scenario": "rollout",
            "seeds": seen.seeds,
            "entities": seen.entities,
            "ticks_per_second": seen.ticks_per_second,
        },
        about=(
            f"{seen.entities} entities of the module patrol, version 2 as the canary of version 1, and",
            f"nobody who helps. {seen.seeds} rollouts of each version that fails at random.",
        ),
        gauges=held,
        metrics={name: metrics[name] for name in held},
        assertions={name: holds if NEEDS.get(name, kinds[0]) in kinds else None for name, holds in assertions.items()},
        notes={
            Assertion.GOOD_VERSION_PROMOTED: _otherwise(seen.of(Kind.GOOD), RolloutState.PROMOTED),
            Assertion.BROKEN_VERSION_ROLLED_BACK: _otherwise(seen.of(Kind.ERRORS), RolloutState.FAILED),
            Assertion.FALSE_ALARMS_BOUNDED: _otherwise(seen.of(Kind.ALIKE), RolloutState.PROMOTED),
            Assertion.SLOW_VERSION_CAUGHT: _otherwise(seen.of(Kind.SLOW), RolloutState.FAILED),
            Assertion.BLUE_GREEN_IN_ONE_TICK: _otherwise(seen.of(Kind.BLUE_GREEN), RolloutState.UNDONE),
            Assertion.ENTITIES_EXACT: differences[:SHOWN],
            Assertion.EVERY_DECISION_EXPLAINED: unexplained[:SHOWN],
            Assertion.EVERY_DECISION_WRITTEN: unwritten[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(Section("The rollouts", tuple(_table(seen))), Section("In the log", tuple(_log(seen)))),
        details={"rollouts": [_document(play) for play in seen.plays]},
        error=seen.error,
    )


def _measured(seen: RolloutsSeen) -> dict[Metric, float | None]:
    good, errors, alike = seen.of(Kind.GOOD), seen.of(Kind.ERRORS), seen.of(Kind.ALIKE)
    caught = [play for play in errors if play.state is RolloutState.FAILED]
    slow = [play.seconds for play in seen.of(Kind.SLOW) if play.state is RolloutState.FAILED]
    switches = [switch for play in seen.of(Kind.BLUE_GREEN) for switch in play.switches]
    there, back = switches[:1], switches[1:]
    until = [float(play.errors) for play in caught]
    seconds = [play.seconds for play in caught]
    return {
        Metric.GOOD_PROMOTED_SECONDS: max(
            (play.seconds for play in good if play.state is RolloutState.PROMOTED), default=None
        ),
        Metric.GOOD_CANARY_PERCENT: _furthest(seen.entities, [each for play in good for each in play.canaries[:-1]]),
        Metric.ERRORS_CAUGHT_PERCENT: 100 * len(caught) / len(errors) if errors else None,
        Metric.ERRORS_AFTER_25TH_SECONDS: max((play.after_counted for play in errors), default=None),
        Metric.ERRORS_UNTIL_CAUGHT_P50: percentile(until, 50),
        Metric.ERRORS_UNTIL_CAUGHT_WORST: max(until, default=None),
        Metric.SECONDS_UNTIL_CAUGHT_P50: percentile(seconds, 50),
        Metric.SECONDS_UNTIL_CAUGHT_WORST: max(seconds, default=None),
        Metric.ALIKE_ROLLED_BACK: sum(play.state is RolloutState.FAILED for play in alike),
        Metric.ALIKE_PROMOTED: sum(play.state is RolloutState.PROMOTED for play in alike),
        Metric.SLOW_CAUGHT_SECONDS: max(slow, default=None),
        Metric.SWITCH_TICKS: max((each.ticks for each in there), default=None),
        Metric.RETURN_TICKS: max((each.ticks for each in back), default=None),
        Metric.SWITCH_MS: max((each.ms for each in there), default=None),
        Metric.RETURN_MS: max((each.ms for each in back), default=None),
        Metric.MISSED: sum(play.missed for play in seen.plays),
        Metric.REAL_SECONDS: seen.real_seconds,
        Metric.LEFT_OVER: len(seen.left),
    }


def _furthest(entities: int, counts: Sequence[int]) -> float | None:
    """Return the share, in percent, that was furthest from what the plan says."""
    return max((100 * each / entities for each in counts), key=lambda each: abs(each - WEIGHT_PERCENT), default=None)


def _otherwise(plays: Iterable[PlaySeen], state: RolloutState) -> list[str]:
    """Say how those ended that ought to be in this state."""
    return [f"{_name(play)} is {play.state}: {play.reason}" for play in plays if play.state is not state][:SHOWN]


def _unexplained(play: PlaySeen) -> Iterator[str]:
    """Say what cannot be told from the log alone."""
    for decision in play.decisions:
        yield from decision.lacks()
    kinds = [decision.kind for decision in play.decisions]
    ends = {
        RolloutState.PROMOTED: ["rollout_promoted"],
        RolloutState.FAILED: ["rollout_failed"],
        RolloutState.UNDONE: ["rollout_promoted", "rollout_undone"],
    }
    if play.state in ends and kinds != ["rollout_started", *ends[play.state]]:
        yield f"it is {play.state}, and told are {', '.join(kinds) or 'nothing'}"


def _unwritten(seen: RolloutsSeen) -> Iterator[str]:
    """Say which decisions the file of the sink `jsonl` lacks, has otherwise, or has made up."""
    for play in seen.plays:
        numbers = {decision.rollout for decision in play.decisions}
        found = [decision for decision in seen.written if decision.rollout in numbers]
        for told in play.decisions:
            if told not in found:
                yield f"{_name(play)}: the file has no such {told.kind}"
        for told in found:
            if told not in play.decisions:
                yield f"{_name(play)}: the file has another {told.kind}"


def _name(play: PlaySeen) -> str:
    return f"{play.kind} (seed {play.seed})" if play.kind in {Kind.ERRORS, Kind.ALIKE} else play.kind.value


def _table(seen: RolloutsSeen) -> Iterator[str]:
    yield f"{'version 2':<12}{'runs':>5}{'promoted':>10}{'rolled back':>13}{'errors':>9}{'stable':>11}{'seconds':>12}"
    for kind in Kind:
        if plays := seen.of(kind):
            promoted = sum(play.state in {RolloutState.PROMOTED, RolloutState.UNDONE} for play in plays)
            failed = sum(play.state is RolloutState.FAILED for play in plays)
            errors, stable = (_span([getattr(play, name) for play in plays]) for name in ("errors", "stable_errors"))
            seconds = _span([play.seconds for play in plays], "{:.2f}")
            yield f"{kind:<12}{len(plays):>5}{promoted:>10}{failed:>13}{errors:>9}{stable:>11}{seconds:>12}"
    yield ""
    yield from textwrap.wrap(f"{seen.ticks_per_second} ticks a simulated second, in alike {COARSE}. {LEGEND}", WIDTH)


def _span(values: Sequence[float], form: str = "{:.0f}") -> str:
    lowest, highest = form.format(min(values)), form.format(max(values))
    return lowest if lowest == highest else f"{lowest}-{highest}"


def _log(seen: RolloutsSeen) -> Iterator[str]:
    """Show what the log tells of the end of one rollout of each kind."""
    for kind in Kind:
        for play in seen.of(kind)[:1]:
            for decision in play.decisions[1:]:
                yield f"{kind}: {decision.kind} by {', '.join(decision.judges) or 'nobody'}"
                yield from textwrap.wrap(
                    str(decision.details.get("reason")), WIDTH, initial_indent="  ", subsequent_indent="  "
                )


def _document(play: PlaySeen) -> dict[str, Any]:
    return {
        "kind": play.kind,
        "seed": play.seed,
        "state": play.state,
        "reason": play.reason,
        "seconds": play.seconds,
        "ticks": play.ticks,
        "canaries": play.canaries,
        "errors": play.errors,
        "stable_errors": play.stable_errors,
        "counted_at": play.counted_at,
        "switches": play.switches,
        "decisions": play.decisions,
    }
