"""What a run of `stress` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from grove_core.scenario.common.footprint import METHOD
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.scenario.reliability.stress import StressSeen

GROWTH_MB = 20.0
RELOAD_MS = 1000.0
FPS = 30.0
SHOWN = 10
"""How many sentences of a kind are shown."""


class Metric(StrEnum):
    """The metrics."""

    RELOADS = "reloads"
    RELOAD_P50_MS = "reload_p50_ms"
    RELOAD_P99_MS = "reload_p99_ms"
    RELOAD_WORST_MS = "reload_worst_ms"
    LOAD_P99_MS = "load_p99_ms"
    FPS_MEAN = "fps_mean"
    FPS_WORST_SECOND = "fps_worst_second"
    FRAME_P50_MS = "frame_p50_ms"
    FRAME_P99_MS = "frame_p99_ms"
    FRAME_WORST_MS = "frame_worst_ms"
    DIFFERENCES = "differences"
    FAULTS = "faults"
    MEMORY_GROWTH_MB = "memory_growth_mb"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    RELOADS_FAST = "reloads_fast"
    FRAMES_FAST = "frames_fast"
    ENTITIES_EXACT = "entities_exact"
    NO_FAULTS = "no_faults"
    MEMORY_BOUNDED = "memory_bounded"
    NOTHING_LEFT = "nothing_left"


GAUGES: dict[Metric, Gauge] = {
    Metric.RELOADS: Gauge("Reloads", "{:d}", Threshold(above=0)),
    Metric.RELOAD_P50_MS: Gauge("Reload, p50", "{:.1f}ms", Threshold(below=RELOAD_MS)),
    Metric.RELOAD_P99_MS: Gauge("Reload, p99", "{:.1f}ms", Threshold(below=RELOAD_MS)),
    Metric.RELOAD_WORST_MS: Gauge("Reload, worst", "{:.1f}ms", Threshold(below=RELOAD_MS, binding=False)),
    Metric.LOAD_P99_MS: Gauge("Of it, load until ready, p99", "{:.1f}ms", Threshold(below=200.0, binding=False)),
    Metric.FPS_MEAN: Gauge("Frames a second that could be had, mean", "{:.0f}", Threshold(above=FPS)),
    Metric.FPS_WORST_SECOND: Gauge("The same in the worst second", "{:.0f}", Threshold(above=FPS)),
    Metric.FRAME_P50_MS: Gauge("Frame, p50", "{:.2f}ms", Threshold(below=16.7, binding=False)),
    Metric.FRAME_P99_MS: Gauge("Frame, p99", "{:.2f}ms", Threshold(below=16.7, binding=False)),
    Metric.FRAME_WORST_MS: Gauge("Frame, worst, with a reload", "{:.2f}ms", Threshold(below=RELOAD_MS, binding=False)),
    Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", Threshold(target=0)),
    Metric.FAULTS: Gauge("Faults", "{:d}", Threshold(target=0)),
    Metric.MEMORY_GROWTH_MB: Gauge("Memory growth", "{:.2f}MB", Threshold(below=GROWTH_MB)),
    Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
}


def outcome(seen: StressSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    metrics: dict[Metric, float | None] = {
        Metric.RELOADS: len(seen.reload_ms),
        Metric.RELOAD_P50_MS: percentile(seen.reload_ms, 50),
        Metric.RELOAD_P99_MS: percentile(seen.reload_ms, 99),
        Metric.RELOAD_WORST_MS: max(seen.reload_ms, default=None),
        Metric.LOAD_P99_MS: percentile(seen.load_ms, 99),
        Metric.FPS_MEAN: 1000 * len(seen.frame_ms) / sum(seen.frame_ms) if seen.frame_ms else None,
        Metric.FPS_WORST_SECOND: _worst_second(seen),
        Metric.FRAME_P50_MS: percentile(seen.frame_ms, 50),
        Metric.FRAME_P99_MS: percentile(seen.frame_ms, 99),
        Metric.FRAME_WORST_MS: max(seen.frame_ms, default=None),
        Metric.DIFFERENCES: len(seen.differences),
        Metric.FAULTS: len(seen.faults),
        Metric.MEMORY_GROWTH_MB: None if seen.growth is None else seen.growth.megabytes,
        Metric.LEFT_OVER: len(seen.left),
    }

    def met(*names: Metric) -> bool:
        return all(GAUGES[name].threshold.holds(metrics[name]) for name in names)

    alive = seen.error is None
    return Outcome(
        title="Stress: a reload every five seconds",
        facts={
            "scenario": "stress",
            "seconds": seen.seconds,
            "entities": seen.entities,
            "ticks": seen.ticks,
            "tick_deadline_ms": seen.settings.tick_deadline_ms,
        },
        about=(
            f"{seen.entities} entities, {seen.seconds} simulated seconds at 60 Hz, three versions, of which one is",
            "reloaded every 5 s, in turn, the stable one too",
        ),
        gauges=GAUGES,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.RELOADS_FAST: met(Metric.RELOADS, Metric.RELOAD_P99_MS),
            Assertion.FRAMES_FAST: met(Metric.FPS_MEAN, Metric.FPS_WORST_SECOND),
            Assertion.ENTITIES_EXACT: met(Metric.DIFFERENCES) and not seen.ticks_short and not seen.uneven and alive,
            Assertion.NO_FAULTS: met(Metric.FAULTS),
            Assertion.MEMORY_BOUNDED: met(Metric.MEMORY_GROWTH_MB),
            Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
        },
        notes={
            Assertion.ENTITIES_EXACT: [*seen.differences, *seen.uneven][:SHOWN]
            + [f"in {seen.ticks_short} ticks some entity had none"] * bool(seen.ticks_short),
            Assertion.NO_FAULTS: seen.faults[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(Section("The run", tuple(_run(seen))),),
        details={"memory": None if seen.growth is None else seen.growth.document()},
        error=seen.error,
    )


def _worst_second(seen: StressSeen) -> float | None:
    """Return how many frames a second could be had in the simulated second that took longest."""
    whole = len(seen.frame_ms) // 60 * 60
    if not whole:
        return None
    return 60_000 / float(np.asarray(seen.frame_ms[:whole]).reshape(-1, 60).sum(axis=1).max())


def _run(seen: StressSeen) -> Iterator[str]:
    yield f"{seen.ticks} ticks, {len(seen.reload_ms)} reloads"
    yield "A reload: entities to the others, unload, load until ready, shared out again. Its time"
    yield "is that of all these calls. A frame: the tick, and the reload before it."
    if seen.growth is not None:
        yield seen.growth.line()
    yield from METHOD
    yield "First after a tenth of the run, then at its end, each with the same three versions."
