"""What a run of `chaos` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.footprint import METHOD
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile
from grove_core.scenario.reliability.struck import documents, late, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.scenario.reliability.chaos import ChaosSeen

GROWTH_MB = 10.0
RECOVERY_MS = 1000.0
"""The downtime that a rollback is held against."""
SHOWN = 10
"""How many sentences of a kind are shown."""


class Metric(StrEnum):
    """The metrics; shares are percent, never fractions."""

    FAULTS_STRUCK = "faults_struck"
    KINDS_STRUCK = "kinds_struck"
    RECOVERY_PERCENT = "recovery_percent"
    RECOVERY_P50_MS = "recovery_p50_ms"
    RECOVERY_P99_MS = "recovery_p99_ms"
    DIFFERENCES = "differences"
    MEMORY_GROWTH_MB = "memory_growth_mb"
    LEFT_OVER = "left_over"
    FAULTS_UNEXPECTED = "faults_unexpected"
    FAULTS_LATE = "faults_late"
    TICK_P99_MS = "tick_p99_ms"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    EVERY_FAULT_RECOVERED = "every_fault_recovered"
    ENTITIES_EXACT = "entities_exact"
    THREE_VERSIONS_RUN = "three_versions_run"
    NOTHING_BUT_WHAT_WAS_INJECTED = "nothing_but_what_was_injected"
    MEMORY_BOUNDED = "memory_bounded"
    NOTHING_LEFT = "nothing_left"


GAUGES: dict[Metric, Gauge] = {
    Metric.FAULTS_STRUCK: Gauge("Faults that struck", "{:d}", Threshold(above=0)),
    Metric.KINDS_STRUCK: Gauge("Kinds of fault that struck", "{:d}", Threshold(above=0)),
    Metric.RECOVERY_PERCENT: Gauge("Recovery", "{:g}%", Threshold(target=100.0)),
    Metric.RECOVERY_P50_MS: Gauge("Time to recovery in ticks, p50", "{:.2f}ms", Threshold(RECOVERY_MS, binding=False)),
    Metric.RECOVERY_P99_MS: Gauge("Time to recovery in ticks, p99", "{:.2f}ms", Threshold(RECOVERY_MS, binding=False)),
    Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", Threshold(target=0)),
    Metric.MEMORY_GROWTH_MB: Gauge("Memory growth", "{:.2f}MB", Threshold(below=GROWTH_MB)),
    Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    Metric.FAULTS_UNEXPECTED: Gauge("Faults that nobody injected", "{:d}", Threshold(target=0)),
    Metric.FAULTS_LATE: Gauge("Deadlines passed that nobody injected", "{:d}", Threshold(target=0, binding=False)),
    Metric.TICK_P99_MS: Gauge("Tick, p99, faults included", "{:.2f}ms", Threshold(16.7, binding=False)),
}


def outcome(seen: ChaosSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    struck, unexpected = seen.ledger.struck, seen.ledger.unexpected
    of_the_machine = late(unexpected)
    in_ticks = [one.ms for one in struck if one.seen_as is not None and not one.at_load]
    metrics: dict[Metric, float | None] = {
        Metric.FAULTS_STRUCK: len(struck),
        Metric.KINDS_STRUCK: len({one.kind for one in struck}),
        Metric.RECOVERY_PERCENT: 100 * sum(one.recovered for one in struck) / len(struck) if struck else None,
        Metric.RECOVERY_P50_MS: percentile(in_ticks, 50),
        Metric.RECOVERY_P99_MS: percentile(in_ticks, 99),
        Metric.DIFFERENCES: len(seen.differences),
        Metric.MEMORY_GROWTH_MB: None if seen.growth is None else seen.growth.megabytes,
        Metric.LEFT_OVER: len(seen.left),
        Metric.FAULTS_UNEXPECTED: len(unexpected) - len(of_the_machine) + len(seen.loads_failed),
        Metric.FAULTS_LATE: len(of_the_machine),
        Metric.TICK_P99_MS: percentile(seen.tick_ms, 99),
    }

    def met(*names: Metric) -> bool:
        return all(GAUGES[name].threshold.holds(metrics[name]) for name in names)

    unrecovered = [one for one in struck if not one.recovered]
    alive = seen.finished and seen.error is None
    assertions = {
        Assertion.ENGINE_ALIVE: alive,
        Assertion.EVERY_FAULT_RECOVERED: met(Metric.RECOVERY_PERCENT, Metric.FAULTS_STRUCK) and not seen.pauses,
        Assertion.ENTITIES_EXACT: met(Metric.DIFFERENCES) and not seen.ticks_short and not seen.skipped and alive,
        Assertion.THREE_VERSIONS_RUN: sorted(seen.at_the_end) == [1, 2, 3] and all(seen.at_the_end.values()),
        Assertion.NOTHING_BUT_WHAT_WAS_INJECTED: met(Metric.FAULTS_UNEXPECTED),
        Assertion.MEMORY_BOUNDED: met(Metric.MEMORY_GROWTH_MB),
        Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
    }
    notes = {
        Assertion.EVERY_FAULT_RECOVERED: [
            f"{one.second:.2f}s: {one.kind.value} of v{one.major} was seen as {one.seen_as or 'nothing'}"
            for one in unrecovered[:SHOWN]
        ]
        + [f"the module was paused {seen.pauses} times"] * bool(seen.pauses),
        Assertion.ENTITIES_EXACT: seen.differences[:SHOWN]
        + [f"{seen.skipped} ticks of entities were skipped"] * bool(seen.skipped),
        Assertion.NOTHING_BUT_WHAT_WAS_INJECTED: [
            f"tick {one.tick}: {one.kind.value} of {one.version}: {one.message}"
            for one in unexpected
            if one not in of_the_machine
        ][:SHOWN]
        + seen.loads_failed[:SHOWN],
        Assertion.NOTHING_LEFT: seen.left[:SHOWN],
    }
    return Outcome(
        title="Chaos: three versions, every kind of fault at random",
        facts={
            "scenario": "chaos",
            "seconds": seen.seconds,
            "seed": seen.seed,
            "entities": seen.entities,
            "ticks": seen.ticks,
            "kinds": list(seen.kinds),
            "tick_deadline_ms": seen.settings.tick_deadline_ms,
            "load_deadline_seconds": seen.settings.load_deadline_seconds,
        },
        about=(
            f"{seen.entities} entities, {seen.seconds:g} simulated seconds at 60 Hz, seed {seen.seed}",
            f"A version may take {seen.settings.tick_deadline_ms:g} ms for a tick, and "
            f"{seen.settings.load_deadline_seconds:g} s for a load",
        ),
        gauges=GAUGES,
        metrics=metrics,
        assertions=assertions,
        notes=notes,
        sections=(
            Section("Faults, and the time to recovery in ms", tuple(_faults(seen))),
            Section("The run", tuple(_run(seen))),
        ),
        details={
            "faults": documents(struck),
            "memory": None if seen.growth is None else seen.growth.document(),
            "loads": seen.loads,
            "pauses": seen.pauses,
            "counts": {f"v{major}": count for major, count in seen.at_the_end.items()},
        },
        error=seen.error,
    )


def _faults(seen: ChaosSeen) -> Iterator[str]:
    struck = seen.ledger.struck
    yield from table(struck)
    if never := [kind.value for kind in seen.kinds if kind not in {one.kind for one in struck}]:
        yield f"never struck: {', '.join(never)} (range: no column of gamelogic has bounds)"
    yield from (
        "",
        "tick: in `process`; migrate: when columns are let go of or mapped; load: at import,",
        "initialise or warm-up. The time runs from the start of what was struck, its detection",
        "included (hang and lag: a whole deadline), until the next committed tick of the entities",
        "it had; at a load, which has none, until the call failed. What strikes in the same tick",
        "as another version's hang waits for that too.",
        "`wrong`, values that keep every rule, is left out: only a validator could see it.",
    )


def _run(seen: ChaosSeen) -> Iterator[str]:
    yield f"{seen.ticks} ticks, {seen.loads} loads by the operator, {seen.pauses} pauses"
    shares = ", ".join(f"v{major}: {count}" for major, count in seen.at_the_end.items())
    yield f"Entities at the end: {shares or 'not counted'}"
    if seen.growth is not None:
        yield seen.growth.line()
    yield from METHOD
    yield "First after a tenth of the run, then at its end, each with three healthy versions."
