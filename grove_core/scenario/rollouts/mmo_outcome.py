"""What a run of `mmo` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from grove_core.base.rollouts import RolloutState
from grove_core.parts.plans import Weigh
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile

if TYPE_CHECKING:
    from grove_core.scenario.rollouts.mmo import MmoSeen, RampSeen

BACK_SECONDS = 1.0
"""How long after its first error a broken version may stay, in simulated seconds."""
ROLLBACK_MS = 1000.0
DECISION_US = 50.0
DECISION_PERCENT = 1.0
MANY = 100_000
"""From so many players on, what deciding takes is held against what a frame takes."""
SHOWN = 10
"""How many sentences of a kind are shown."""
WIDTH = 76
LEGEND = (
    "players: how many version 2 has then. in: real time. Deciding is what rollouts do after a tick; ticks in which "
    "they moved players are left out. A frame is the whole tick. The reference computes all fights too, between frames."
)


class Metric(StrEnum):
    """The metrics; shares are percent, never fractions."""

    STEPS_EXACT = "steps_exact"
    PROMOTED_SECONDS = "promoted_seconds"
    FIRST_ERROR_PERCENT = "first_error_percent"
    ERRORS = "errors"
    BACK_AFTER_SECONDS = "back_after_seconds"
    ROLLBACK_MS = "rollback_ms"
    ROLLBACK_FRAME_MS = "rollback_frame_ms"
    LOST = "lost"
    MISSED = "missed"
    DIFFERENCES = "differences"
    DECISION_P50_US = "decision_p50_us"
    DECISION_P99_US = "decision_p99_us"
    DECISION_PERCENT = "decision_percent"
    FPS_MEAN = "fps_mean"
    FRAME_P50_MS = "frame_p50_ms"
    FRAME_P99_MS = "frame_p99_ms"
    FRAME_WORST_MS = "frame_worst_ms"
    REAL_SECONDS = "real_seconds"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    GOOD_VERSION_PROMOTED = "good_version_promoted"
    WEIGHTS_EXACT = "weights_exact"
    BUG_ROLLED_BACK = "bug_rolled_back"
    ROLLBACK_FAST = "rollback_fast"
    NO_PLAYER_LOST = "no_player_lost"
    PLAYERS_EXACT = "players_exact"
    DECISIONS_CHEAP = "decisions_cheap"
    NOTHING_LEFT = "nothing_left"


def gauges(seen: MmoSeen) -> dict[Metric, Gauge]:
    """Return what the metrics of a plan are held against."""
    every = [step for step in seen.plan.steps if isinstance(step, Weigh)]
    lasts = sum(step.bake_seconds for step in every)
    shows = next((100 * step.weight for step in every if step.weight * seen.players > seen.slots), 0.0)
    taken = sum(100 * step.weight <= shows for step in every)
    frame, budget = 1000 / seen.ticks_per_second, Threshold(below=DECISION_US, binding=False)
    return {
        Metric.STEPS_EXACT: Gauge(
            "Steps with exactly the players they give", "{:d}", Threshold(target=len(every) + taken)
        ),
        Metric.PROMOTED_SECONDS: Gauge(
            "Good version promoted, simulated", "{:.1f}s", Threshold(target=lasts, within=0.5)
        ),
        Metric.FIRST_ERROR_PERCENT: Gauge("The bug shows at", "{:g}%", Threshold(target=shows)),
        Metric.ERRORS: Gauge("Its errors until it was back", "{:d}", Threshold(above=0, binding=False)),
        Metric.BACK_AFTER_SECONDS: Gauge(
            "Back after its first error, simulated", "{:.2f}s", Threshold(below=BACK_SECONDS)
        ),
        Metric.ROLLBACK_MS: Gauge("The rollback, in real time", "{:.1f}ms", Threshold(below=ROLLBACK_MS)),
        Metric.ROLLBACK_FRAME_MS: Gauge("The tick with error and rollback", "{:.1f}ms", Threshold(below=ROLLBACK_MS)),
        Metric.LOST: Gauge("Players lost", "{:d}", Threshold(target=0)),
        Metric.MISSED: Gauge("Ticks that a player did not have", "{:d}", Threshold(target=0)),
        Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", Threshold(target=0)),
        Metric.DECISION_P50_US: Gauge("Deciding, a tick, p50", "{:.0f}us", budget),
        Metric.DECISION_P99_US: Gauge("Deciding, a tick, p99", "{:.0f}us", budget),
        Metric.DECISION_PERCENT: Gauge(
            "Deciding, of the time of all frames", "{:.2f}%", Threshold(below=DECISION_PERCENT, binding=_many(seen))
        ),
        Metric.FPS_MEAN: Gauge(
            "Frames a second that could be had, mean", "{:.0f}", Threshold(above=seen.ticks_per_second, binding=False)
        ),
        Metric.FRAME_P50_MS: Gauge("Frame, p50", "{:.1f}ms", Threshold(below=frame, binding=False)),
        Metric.FRAME_P99_MS: Gauge("Frame, p99", "{:.1f}ms", Threshold(below=frame, binding=False)),
        Metric.FRAME_WORST_MS: Gauge("Frame, worst", "{:.1f}ms", Threshold(below=2 * frame, binding=False)),
        Metric.REAL_SECONDS: Gauge("The run, in real time", "{:.0f}s", Threshold(below=90.0, binding=False)),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    }


def outcome(seen: MmoSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    good, buggy = seen.ramps[:1], seen.ramps[1:]
    differences = [f"{ramp.version}, {each}" for ramp in seen.ramps for each in (*ramp.differences, *ramp.faults)]
    held, metrics = gauges(seen), _measured(seen)
    metrics[Metric.DIFFERENCES] = len(differences)

    def met(*names: Metric) -> bool:
        return all(held[name].threshold.holds(metrics[name]) for name in names)

    alive = seen.error is None
    returned = all(ramp.state is RolloutState.FAILED for ramp in buggy) and bool(buggy)
    return Outcome(
        title="MMO: a new PvP system, by a ramp",
        facts={
            "scenario": "mmo",
            "players": seen.players,
            "plan": seen.plan.name,
            "ticks_per_second": seen.ticks_per_second,
            "slots": seen.slots,
        },
        about=(
            f"{seen.players:,} players, {seen.ticks_per_second} ticks a simulated second; version 2 by the plan",
            f"{seen.plan.name}: {', '.join(map(str, seen.plan.steps))}.",
            f"Once it is good; once its list of cells has room for {seen.slots:,} players only.",
        ),
        gauges=held,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.GOOD_VERSION_PROMOTED: met(Metric.PROMOTED_SECONDS),
            Assertion.WEIGHTS_EXACT: met(Metric.STEPS_EXACT),
            Assertion.BUG_ROLLED_BACK: met(Metric.FIRST_ERROR_PERCENT, Metric.BACK_AFTER_SECONDS) and returned,
            Assertion.ROLLBACK_FAST: met(Metric.ROLLBACK_MS, Metric.ROLLBACK_FRAME_MS),
            Assertion.NO_PLAYER_LOST: met(Metric.LOST, Metric.MISSED) and alive,
            Assertion.PLAYERS_EXACT: met(Metric.DIFFERENCES) and alive,
            Assertion.DECISIONS_CHEAP: met(Metric.DECISION_PERCENT) if _many(seen) else None,
            Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
        },
        notes={
            Assertion.GOOD_VERSION_PROMOTED: _otherwise(good, RolloutState.PROMOTED),
            Assertion.WEIGHTS_EXACT: list(_uneven(seen))[:SHOWN],
            Assertion.BUG_ROLLED_BACK: _otherwise(buggy, RolloutState.FAILED),
            Assertion.PLAYERS_EXACT: differences[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(Section("The rollouts", tuple(_table(seen))), Section("In the log", tuple(_log(seen)))),
        details={"rollouts": [_document(ramp) for ramp in seen.ramps]},
        error=seen.error,
    )


def _measured(seen: MmoSeen) -> dict[Metric, float | None]:
    good, buggy = seen.ramps[:1], seen.ramps[1:]
    frames = [ms for ramp in seen.ramps for ms in ramp.frame_ms]
    deciding = [us for ramp in seen.ramps for us in ramp.decision_us]
    first = [ramp for ramp in buggy if ramp.first_error is not None]
    steps = sum(len(ramp.steps) for ramp in seen.ramps)
    return {
        Metric.STEPS_EXACT: steps - len(list(_uneven(seen))),
        Metric.PROMOTED_SECONDS: max((r.seconds for r in good if r.state is RolloutState.PROMOTED), default=None),
        Metric.FIRST_ERROR_PERCENT: max((ramp.percent_at_first or 0.0 for ramp in first), default=None),
        Metric.ERRORS: sum(ramp.errors for ramp in buggy),
        Metric.BACK_AFTER_SECONDS: max((ramp.seconds - (ramp.first_error or 0.0) for ramp in first), default=None),
        Metric.ROLLBACK_MS: max((r.rollback_ms for r in buggy if r.rollback_ms is not None), default=None),
        Metric.ROLLBACK_FRAME_MS: max(
            (r.rollback_frame_ms for r in buggy if r.rollback_frame_ms is not None), default=None
        ),
        Metric.LOST: sum(ramp.lost for ramp in seen.ramps),
        Metric.MISSED: sum(ramp.missed for ramp in seen.ramps),
        Metric.DECISION_P50_US: percentile(deciding, 50),
        Metric.DECISION_P99_US: percentile(deciding, 99),
        Metric.DECISION_PERCENT: sum(deciding) / sum(frames) / 10 if frames else None,
        Metric.FPS_MEAN: 1000 / float(np.mean(frames)) if frames else None,
        Metric.FRAME_P50_MS: percentile(frames, 50),
        Metric.FRAME_P99_MS: percentile(frames, 99),
        Metric.FRAME_WORST_MS: max(frames, default=None),
        Metric.REAL_SECONDS: seen.real_seconds,
        Metric.LEFT_OVER: len(seen.left),
    }


def _many(seen: MmoSeen) -> bool:
    return seen.players >= MANY


def _uneven(seen: MmoSeen) -> Iterator[str]:
    """Say which steps did not give exactly what they say."""
    for ramp in seen.ramps:
        for step in ramp.steps:
            if abs(step.players - step.percent * seen.players / 100) >= 1:
                yield f"{ramp.version}: at {step.percent:g}% version 2 had {step.players:,} of {seen.players:,}"


def _otherwise(ramps: Sequence[RampSeen], state: RolloutState) -> list[str]:
    """Say how those ended that ought to be in this state."""
    return [f"{ramp.version} is {ramp.state}: {ramp.reason}" for ramp in ramps if ramp.state is not state]


def _table(seen: MmoSeen) -> Iterator[str]:
    yield f"{'version 2':<11}{'second':>8}  {'step':<14}{'players':>10}{'moved':>10}{'in':>11}"
    for ramp in seen.ramps:
        for step in ramp.steps:
            told = f"{ramp.version:<11}{step.second:>8.1f}  {f'to {step.percent:g}%':<14}"
            yield f"{told}{step.players:>10,}{step.moved:>10,}{step.ms:>9.1f}ms"
        if ramp.rollback_ms is not None:
            there = f"{ramp.rolled_back:>10,}{ramp.rollback_ms:>9.1f}ms"
            yield f"{ramp.version:<11}{ramp.seconds:>8.1f}  {'rolled back':<14}{0:>10,}{there}"
        elif ramp.state.ended:
            yield f"{ramp.version:<11}{ramp.seconds:>8.1f}  {ramp.state.value}"
    yield ""
    yield from textwrap.wrap(LEGEND, WIDTH)


def _log(seen: MmoSeen) -> Iterator[str]:
    for ramp in seen.ramps:
        text = f"{ramp.version} is {ramp.state}: {ramp.reason}"
        yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def _document(ramp: RampSeen) -> dict[str, Any]:
    return {
        "version": ramp.version,
        "state": ramp.state,
        "reason": ramp.reason,
        "seconds": ramp.seconds,
        "steps": ramp.steps,
        "ticks": len(ramp.frame_ms),
        "errors": ramp.errors,
        "first_error": ramp.first_error,
        "rolled_back": ramp.rolled_back,
        "rollback_ms": ramp.rollback_ms,
    }
