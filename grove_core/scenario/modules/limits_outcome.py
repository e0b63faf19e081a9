"""What a run of `limits` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile
from grove_core.scenario.common.text import mark
from grove_core.scenario.modules.archive import ROW
from grove_core.scenario.modules.limits_seen import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grove_core.scenario.modules.limits_seen import Case, LimitsSeen, Taken

MOVE_MS = 2000.0
"""How long the state may take out, and in again."""
PRESSURE_MS = 3000.0
CANCEL_MS = 1000.0
"""How long after its deadline an initialisation that hangs may still be waited for."""
HELD = 0.9
"""The part of the memory it takes that an endless initialisation must have had: else nothing was given back."""
CANCELLED_MB = 10.0
"""What may be left of its memory: the zygote's and the engine's own pages come and go."""
SHOWN = 10
"""How many sentences of a kind are shown."""
WIDTH = 76
CANCELLED = "DeadlineExceeded"
WAYS = (
    "Reload as another version: that is loaded, gets all entities, and the version that had them is unloaded. Split: "
    "half of the entities at a time. Document: one of this size besides, out with the tick that commits it, in with "
    "the load of a version that takes it over. After each way out and each way in there is a tick, and all is compared."
    " Medians are without the time for which the engine had no processor, the worst are with it."
)


class Metric(StrEnum):
    """The metrics."""

    STATE_MB = "state_mb"
    OUT_MS = "out_ms"
    OUT_WORST_MS = "out_worst_ms"
    IN_MS = "in_ms"
    IN_WORST_MS = "in_worst_ms"
    DOCUMENT_OUT_MS = "document_out_ms"
    DOCUMENT_IN_MS = "document_in_ms"
    DIFFERENCES = "differences"
    SLOW_START_MS = "slow_start_ms"
    CANCELLED_PERCENT = "cancelled_percent"
    CANCEL_MS = "cancel_ms"
    CANCEL_WORST_MS = "cancel_worst_ms"
    CANCELLED_LEFT = "cancelled_left"
    HELD_MB = "held_mb"
    CANCELLED_MB = "cancelled_mb"
    CORRUPT_REFUSED_PERCENT = "corrupt_refused_percent"
    PRESSURE_MS = "pressure_ms"
    PRESSURE_WORST_MS = "pressure_worst_ms"
    ALLOCATIONS_CLEAN_PERCENT = "allocations_clean_percent"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    STATE_MOVES_FAST = "state_moves_fast"
    STATE_EXACT = "state_exact"
    SLOW_START_LOADED = "slow_start_loaded"
    HANGING_START_CANCELLED = "hanging_start_cancelled"
    CANCELLED_START_FREED = "cancelled_start_freed"
    CORRUPT_STATE_REFUSED = "corrupt_state_refused"
    PRESSURE_RELOADS_FAST = "pressure_reloads_fast"
    OUT_OF_MEMORY_CLEAN = "out_of_memory_clean"
    NOTHING_LEFT = "nothing_left"


def gauges(seen: LimitsSeen) -> dict[Metric, Gauge]:
    """Return what the metrics are held against."""
    none, every = Threshold(target=0), Threshold(target=100.0)
    fast, reported = Threshold(below=MOVE_MS), Threshold(below=MOVE_MS, binding=False)
    deadline = Threshold(below=1000 * seen.deadline_seconds)
    return {
        Metric.STATE_MB: Gauge("State, columns", "{:.0f}MB", Threshold(target=seen.megabytes, within=1.0)),
        Metric.OUT_MS: Gauge("Out, p50, by the slowest way", "{:.0f}ms", fast),
        Metric.OUT_WORST_MS: Gauge("Out, worst", "{:.0f}ms", reported),
        Metric.IN_MS: Gauge("In, p50, by the slowest way", "{:.0f}ms", fast),
        Metric.IN_WORST_MS: Gauge("In, worst", "{:.0f}ms", reported),
        Metric.DOCUMENT_OUT_MS: Gauge("A document of that size, out, p50", "{:.0f}ms", reported),
        Metric.DOCUMENT_IN_MS: Gauge("The same, in, p50", "{:.0f}ms", reported),
        Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", none),
        Metric.SLOW_START_MS: Gauge("Slow initialisation, loaded after", "{:.0f}ms", deadline),
        Metric.CANCELLED_PERCENT: Gauge("Endless initialisations cancelled", "{:g}%", every),
        Metric.CANCEL_MS: Gauge("Cancelled after the deadline, p50", "{:.0f}ms", Threshold(below=CANCEL_MS)),
        Metric.CANCEL_WORST_MS: Gauge("The same, worst", "{:.0f}ms", Threshold(below=CANCEL_MS, binding=False)),
        Metric.CANCELLED_LEFT: Gauge("Left of them, or wrong then", "{:d}", none),
        Metric.HELD_MB: Gauge("Memory that one had taken, least", "{:.0f}MB", Threshold(above=HELD * seen.megabytes)),
        Metric.CANCELLED_MB: Gauge("Memory left of one, most", "{:.1f}MB", Threshold(below=CANCELLED_MB)),
        Metric.CORRUPT_REFUSED_PERCENT: Gauge("Corrupt state refused", "{:g}%", every),
        Metric.PRESSURE_MS: Gauge("Reload under pressure, p50", "{:.0f}ms", Threshold(below=PRESSURE_MS)),
        Metric.PRESSURE_WORST_MS: Gauge("The same, worst", "{:.0f}ms", Threshold(below=PRESSURE_MS, binding=False)),
        Metric.ALLOCATIONS_CLEAN_PERCENT: Gauge("Failed allocations that were clean", "{:g}%", every),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", none),
    }


OF_PART = {
    Part.STATE: (
        Metric.STATE_MB,
        Metric.OUT_MS,
        Metric.OUT_WORST_MS,
        Metric.IN_MS,
        Metric.IN_WORST_MS,
        Metric.DOCUMENT_OUT_MS,
        Metric.DOCUMENT_IN_MS,
    ),
    Part.START: (
        Metric.SLOW_START_MS,
        Metric.CANCELLED_PERCENT,
        Metric.CANCEL_MS,
        Metric.CANCEL_WORST_MS,
        Metric.CANCELLED_LEFT,
        Metric.HELD_MB,
        Metric.CANCELLED_MB,
    ),
    Part.CORRUPT: (Metric.CORRUPT_REFUSED_PERCENT,),
    Part.PRESSURE: (Metric.PRESSURE_MS, Metric.PRESSURE_WORST_MS, Metric.ALLOCATIONS_CLEAN_PERCENT),
}
"""The metrics that only one part measures; without it they are not shown."""


def outcome(seen: LimitsSeen) -> Outcome:
    """Compute metrics and assertions from what was seen. Of a part that was not played nothing is said."""
    not_played = {name for part, names in OF_PART.items() if part not in seen.parts for name in names}
    held = {name: gauge for name, gauge in gauges(seen).items() if name not in not_played}
    metrics = {name: value for name, value in _measured(seen).items() if name in held}

    def met(*names: Metric) -> bool | None:
        if names[0] not in held:
            return None
        return all(held[name].threshold.holds(metrics[name]) for name in names)

    alive = seen.error is None
    return Outcome(
        title="Limits: much state, endless starts, corrupt state, little memory",
        facts={
            "scenario": "limits",
            "megabytes": seen.megabytes,
            "entities": seen.rows,
            "rounds": seen.rounds,
            "parts": list(seen.parts),
            "deadline_seconds": seen.deadline_seconds,
            "slow_seconds": seen.slow_seconds,
        },
        about=tuple(_about(seen)),
        gauges=held,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.STATE_MOVES_FAST: met(Metric.STATE_MB, Metric.OUT_MS, Metric.IN_MS),
            Assertion.STATE_EXACT: bool(met(Metric.DIFFERENCES)) and seen.compared > 0 and alive,
            Assertion.SLOW_START_LOADED: _slow_loaded(seen, met(Metric.SLOW_START_MS)),
            Assertion.HANGING_START_CANCELLED: met(Metric.CANCELLED_PERCENT, Metric.CANCEL_MS),
            Assertion.CANCELLED_START_FREED: met(Metric.CANCELLED_LEFT, Metric.HELD_MB, Metric.CANCELLED_MB),
            Assertion.CORRUPT_STATE_REFUSED: met(Metric.CORRUPT_REFUSED_PERCENT),
            Assertion.PRESSURE_RELOADS_FAST: met(Metric.PRESSURE_MS),
            Assertion.OUT_OF_MEMORY_CLEAN: met(Metric.ALLOCATIONS_CLEAN_PERCENT),
            Assertion.NOTHING_LEFT: bool(met(Metric.LEFT_OVER)) and alive,
        },
        notes=_notes(seen),
        sections=tuple(_sections(seen)),
        details={
            "ways": [*seen.ways, seen.document],
            "hangs": seen.hangs,
            "cases": seen.cases,
            "pressure": seen.pressure,
            "hog_bytes": seen.hog_bytes,
            "compared": seen.compared,
        },
        error=seen.error,
    )


def _measured(seen: LimitsSeen) -> dict[Metric, float | None]:
    out, back = [way.out_of for way in seen.ways], [way.into for way in seen.ways]
    over = [hang.over_ms for hang in seen.hangs]
    growth = [hang.growth_mb for hang in seen.hangs if hang.growth_mb is not None]
    return {
        Metric.STATE_MB: seen.rows * ROW / 1e6,
        Metric.OUT_MS: _slowest(out),
        Metric.OUT_WORST_MS: _worst([taken for way in out for taken in way]),
        Metric.IN_MS: _slowest(back),
        Metric.IN_WORST_MS: _worst([taken for way in back for taken in way]),
        Metric.DOCUMENT_OUT_MS: _median(seen.document.out_of),
        Metric.DOCUMENT_IN_MS: _median(seen.document.into),
        Metric.DIFFERENCES: len(seen.differences),
        Metric.SLOW_START_MS: seen.slow_ms,
        Metric.CANCELLED_PERCENT: _percent(hang.seen_as == CANCELLED for hang in seen.hangs),
        Metric.CANCEL_MS: percentile(over, 50),
        Metric.CANCEL_WORST_MS: max(over, default=None),
        Metric.CANCELLED_LEFT: sum(len(hang.left) for hang in seen.hangs) if seen.hangs else None,
        Metric.HELD_MB: min((hang.held_mb for hang in seen.hangs), default=None),
        Metric.CANCELLED_MB: max(growth) if growth and len(growth) == len(seen.hangs) else None,
        Metric.CORRUPT_REFUSED_PERCENT: _percent(case.as_due for case in seen.of(Part.CORRUPT)),
        Metric.PRESSURE_MS: _median(seen.pressure),
        Metric.PRESSURE_WORST_MS: _worst(seen.pressure),
        Metric.ALLOCATIONS_CLEAN_PERCENT: _percent(case.as_due for case in seen.of(Part.PRESSURE)),
        Metric.LEFT_OVER: len(seen.left),
    }


def _median(times: Sequence[Taken]) -> float | None:
    """Return the median of what things took by themselves; None of none."""
    return percentile([each.own_ms for each in times], 50)


def _worst(times: Sequence[Taken]) -> float | None:
    """Return the most that something took, waiting for a processor and all; None of none."""
    return max((each.ms for each in times), default=None)


def _slowest(ways: Sequence[Sequence[Taken]]) -> float | None:
    """Return the median of the way whose median is the highest."""
    medians = [median for times in ways if (median := _median(times)) is not None]
    return max(medians, default=None)


def _percent(held: Iterable[bool]) -> float | None:
    each = list(held)
    return 100 * sum(each) / len(each) if each else None


def _slow_loaded(seen: LimitsSeen, in_time: bool | None) -> bool | None:
    """Tell whether the slow initialisation was loaded, and was slow."""
    if in_time is None:
        return None
    return in_time and seen.slow_ms is not None and seen.slow_ms >= 1000 * seen.slow_seconds and not seen.slow_wrong


def _notes(seen: LimitsSeen) -> dict[Assertion, Sequence[str]]:
    cancelled = [f"{hang.kind} was seen as {hang.seen_as}" for hang in seen.hangs if hang.seen_as != CANCELLED]
    return {
        Assertion.STATE_EXACT: seen.differences[:SHOWN],
        Assertion.SLOW_START_LOADED: seen.slow_wrong[:SHOWN],
        Assertion.HANGING_START_CANCELLED: cancelled,
        Assertion.CANCELLED_START_FREED: [f"{hang.kind}: {what}" for hang in seen.hangs for what in hang.left][:SHOWN],
        Assertion.CORRUPT_STATE_REFUSED: list(_otherwise(seen.of(Part.CORRUPT)))[:SHOWN],
        Assertion.OUT_OF_MEMORY_CLEAN: list(_otherwise(seen.of(Part.PRESSURE)))[:SHOWN],
        Assertion.NOTHING_LEFT: seen.left[:SHOWN],
    }


def _otherwise(cases: Iterable[Case]) -> Iterator[str]:
    """Say what was seen as something else than it is, and what was wrong afterwards."""
    for case in cases:
        if case.seen_as != case.due:
            yield f"{case.name} was seen as {case.seen_as}, not {case.due}"
        yield from (f"{case.name}: {sentence}" for sentence in case.wrong)


def _about(seen: LimitsSeen) -> Iterator[str]:
    text = (
        f"{seen.megabytes} MB of columns ({seen.rows:,} entities), {seen.rounds} rounds of whatever is timed; "
        f"initialisations have {seen.deadline_seconds:g} s. All values were compared {seen.compared} times."
    )
    yield from textwrap.wrap(text, WIDTH)


def _sections(seen: LimitsSeen) -> Iterator[Section]:
    if Part.STATE in seen.parts:
        yield Section(f"{seen.megabytes} MB of state, out and in", tuple(_ways(seen)))
    if Part.START in seen.parts:
        yield Section("Initialisations", tuple(_starts(seen)))
    if Part.CORRUPT in seen.parts:
        yield Section("Corrupt state", tuple(_cases(seen.of(Part.CORRUPT))))
    if Part.PRESSURE in seen.parts:
        yield Section("Little memory", (*_pressure(seen), "", *_cases(seen.of(Part.PRESSURE))))


def _ways(seen: LimitsSeen) -> Iterator[str]:
    yield f"{'way':<38}{'out':>11}{'worst':>9}{'in':>9}{'worst':>9}"
    for way in (*seen.ways, seen.document):
        cells = (_median(way.out_of), _worst(way.out_of), _median(way.into), _worst(way.into))
        out, out_worst, back, back_worst = ("-" if ms is None else f"{ms:.0f}ms" for ms in cells)
        yield f"{way.name:<38}{out:>11}{out_worst:>9}{back:>9}{back_worst:>9}"
    yield ""
    yield from textwrap.wrap(WAYS, WIDTH)


def _starts(seen: LimitsSeen) -> Iterator[str]:
    told = "not loaded" if seen.slow_ms is None else f"loaded after {seen.slow_ms:.0f}ms"
    yield f"{mark(seen.slow_ms is not None)} takes {seen.slow_seconds:g} s by itself: {told}"
    for hang in seen.hangs:
        growth = "not measured" if hang.growth_mb is None else f"{max(0.0, hang.growth_mb):.1f}MB"
        good = hang.seen_as == CANCELLED and not hang.left
        told = f"{hang.kind:<22}{hang.seen_as:<18}{hang.over_ms:>+6.0f}ms"
        yield f"{mark(good)} {told}   had {hang.held_mb:.0f}MB, left {growth}"
    yield from textwrap.wrap(
        f"Those that hang have taken {seen.megabytes} MB, opened a file, started a process and blocked their signals "
        "by then. The times are those after the deadline. What is there afterwards is held against what was before.",
        WIDTH,
    )


def _cases(cases: Iterable[Case]) -> Iterator[str]:
    yield f"  {'':<40}{'seen as':<20}{'in':>11}"
    for case in cases:
        yield f"{mark(case.as_due)} {case.name:<40}{case.seen_as:<20}{case.ms:>9.0f}ms"


def _pressure(seen: LimitsSeen) -> Iterator[str]:
    hoard, room = seen.hoard_bytes / 1e6, seen.room_bytes / 1e6
    yield from textwrap.wrap(
        f"A reload here is one to version 2 and one back. Each version holds {hoard:.0f} MB itself, of the "
        f"{hoard + room:.0f} MB that its limit gives it; the engine has {seen.own_bytes / 1e6:,.0f} MB of address "
        f"space beyond what it takes, and another process goes on writing to {seen.hog_bytes / 1e6:.0f} MB.",
        WIDTH,
    )
