"""The text of a run: phases, metrics, assertions. A check mark stands only where a check held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.scenario.common.text import RULE, heading, mark, metric_line, result_lines
from grove_core.scenario.frame_report import frames_text
from grove_core.scenario.frames import Spread
from grove_core.scenario.metrics import TOLERANCE, Assertion, Metric, tolerance
from grove_core.scenario.result import Result, label
from grove_core.scenario.seen import Check, Phase, PhaseSeen, SplitSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grove_core.base.records import RollbackReport

MEGABYTE = 1e6
STEPS = {
    "backup": "State backup captured",
    "reload": "Version reloaded",
    "restore": "State restored",
    "redirect": "Traffic redirected",
}
"""A rollback's steps, by the names its report gives them."""

NAMES: dict[Metric, tuple[str, str]] = {
    Metric.VERSION_LOAD_TIME_MS: ("Version load time, worst", "{:.1f}ms"),
    Metric.CANARY_ACCURACY: ("Canary accuracy", "{:.1f}%"),
    Metric.TRAFFIC_SPLIT_ACCURACY: ("Traffic split accuracy", "±{:.1f}%"),
    Metric.STATE_MIGRATION_TIME_MS: ("State migration time, worst", "{:.2f}ms"),
    Metric.MIGRATION_DATA_LOSS: ("Data loss", "{:g}%"),
    Metric.MIGRATION_STEPS: ("Migration steps", "{:d}"),
    Metric.RAMP_TICK_P99_MS: ("Tick during the ramp, p99 without waits", "{:.2f}ms"),
    Metric.ROLLBACK_TIME_MS: ("Rollback time", "{:.1f}ms"),
    Metric.ROLLBACK_DOWNTIME_MS: ("Rollback downtime", "{:.1f}ms"),
    Metric.STATE_RECOVERY: ("State recovery", "{:g}%"),
    Metric.MEMORY_ISOLATION: ("Memory isolation", "{:g}%"),
    Metric.GC_TRIGGER_TIME_S: ("GC trigger time", "{:.1f}s"),
    Metric.GC_EFFICIENCY: ("GC efficiency", "{:.1f}%"),
    Metric.GC_TIME_MS: ("GC time", "{:.1f}ms"),
    Metric.MULTI_VERSION_COUNT: ("Multi-version count", "{:d}"),
    Metric.TOTAL_ENTITIES: ("Total entities", "{:d}"),
    Metric.FRAME_OWN_P99_MS: ("Frames*, p99 without waits", "{:.2f}ms"),
    Metric.FRAME_P99_MS: ("Frames*, p99", "{:.2f}ms"),
    Metric.FRAME_WORST_MS: ("Frames*, worst", "{:.2f}ms"),
}
"""How each metric is called, and how its value is written."""


def render(result: Result) -> str:
    """Return the whole text."""
    report = _Report(result)
    return "\n".join(report.lines())


class _Report:
    def __init__(self, result: Result) -> None:
        self._result = result
        self._seen = result.seen

    def lines(self) -> Iterator[str]:
        yield from (RULE, "TEST: Multi-Version Module Coexistence", RULE)
        yield f"{self._seen.entities} entities, {self._seen.ticks_per_second} ticks a simulated second"
        if self._seen.tick_deadline_ms is not None:
            yield f"A version may take {self._seen.tick_deadline_ms:g} ms for a tick (tick_deadline_ms)"
        details: dict[Phase, Callable[[PhaseSeen], Iterator[str]]] = {
            Phase.BASELINE: self._baseline,
            Phase.CANARY: self._canary,
            Phase.RAMP: self._ramp,
            Phase.COLLECTION: self._collection,
            Phase.ROLLBACK: self._rollback,
            Phase.THREE_WAY: self._three_way,
        }
        for phase in self._seen.phases:
            yield ""
            yield f"=== Phase {phase.phase.value}: {phase.name} ({phase.seconds}s) ==="
            if not phase.started:
                yield "  ✗ Not run: the run ended before"
                continue
            yield from details[phase.phase](phase)
            yield from self._end(phase)
        yield from heading("METRICS SUMMARY")
        yield from self._summary(*NAMES)
        yield "* in which no version was loaded or lost; waits: for a processor, see below"
        yield from self._rounding()
        yield from heading("FRAMES")
        yield from frames_text(self._seen)
        yield from heading("ASSERTIONS")
        yield from self._assertions()
        yield from result_lines(self._result)

    def _assertions(self) -> Iterator[str]:
        for assertion, held in self._result.assertions.items():
            loaded = self._seen.most_versions
            more = f" ({loaded} versions loaded)" if assertion is Assertion.MULTI_VERSION_LOADING else ""
            if held is None:
                yield f"– {assertion.value}: reported above, decides nothing for {self._seen.entities} entities"
            else:
                yield f"{mark(held)} {assertion.value}{more}"

    def _baseline(self, phase: PhaseSeen) -> Iterator[str]:
        yield from self._loads(phase)
        if phase.check is not None:
            whole = phase.check.total == self._seen.entities
            yield f"  {mark(whole)} {phase.check.total} entities initialized"
        if phase.tick_ms:
            yield f"  Baseline performance: {sum(phase.tick_ms) / len(phase.tick_ms):.3f}ms/frame"
        baseline = self._seen.baseline
        if baseline is not None:
            yield f"  Baseline memory: {_megabytes(baseline.memory_usage_bytes)}"

    def _canary(self, phase: PhaseSeen) -> Iterator[str]:
        yield from self._loads(phase)
        yield from self._distribution(phase)
        yield from self._metrics(Metric.VERSION_LOAD_TIME_MS, Metric.CANARY_ACCURACY, Metric.MEMORY_ISOLATION)

    def _ramp(self, phase: PhaseSeen) -> Iterator[str]:
        for split in phase.splits:
            asked = ", ".join(f"{split.percent[m]}% {label(m)}" for m in sorted(split.percent, reverse=True))
            yield f"  t={split.second}s: Traffic split → {asked}"
            counted = ", ".join(f"{label(m)}: {n} entities" for m, n in split.counts.items())
            yield f"    {counted} {mark(split.counts == split.exact)}"
        yield from self._metrics(
            Metric.STATE_MIGRATION_TIME_MS,
            Metric.MIGRATION_DATA_LOSS,
            Metric.MIGRATION_STEPS,
            Metric.RAMP_TICK_P99_MS,
        )

    def _collection(self, phase: PhaseSeen) -> Iterator[str]:
        report = self._seen.collection
        yield f"  {mark(report is not None)} v1 was {'' if report else 'not '}unloaded automatically"
        if phase.check is not None:
            left = phase.check.counts.get(2, 0)
            yield f"  {mark(phase.check.as_expected)} v2 continues without interruption ({left} entities)"
        if report is not None:
            efficiency = self._result.metrics[Metric.GC_EFFICIENCY]
            percent = "not measured" if efficiency is None else f"{efficiency:.1f}%"
            yield f"  Memory freed: {_megabytes(report.returned_bytes)} ({percent})"
        yield from self._metrics(Metric.GC_TRIGGER_TIME_S, Metric.GC_EFFICIENCY, Metric.GC_TIME_MS)

    def _rollback(self, phase: PhaseSeen) -> Iterator[str]:
        yield f"  Fault injected into v2: {self._seen.fault.value}"
        for fault in phase.faults:
            yield f"  ⚠ {label(fault.version.major)}, {fault.kind.value}: {fault.message}"
        report = self._seen.rollback
        if report is None:
            yield "  ✗ No rollback happened"
        else:
            yield from self._sequence(report)
        recovered = self._seen.recovered
        if recovered is not None:
            whole = recovered.right == self._seen.entities
            yield f"  {mark(whole)} State restored ({recovered.right} entities are right)"
        skipped = self._seen.skipped
        yield f"  {mark(not skipped)} Service continuity: {skipped} ticks of entities were skipped"
        yield from self._metrics(Metric.ROLLBACK_TIME_MS, Metric.ROLLBACK_DOWNTIME_MS, Metric.STATE_RECOVERY)

    def _sequence(self, report: RollbackReport) -> Iterator[str]:
        why = "by itself" if report.fault is not None else "by hand"
        yield f"  Rollback sequence to {label(report.target.major)}, {why}:"
        for number, step in enumerate(report.steps, 1):
            yield f"    {number}. {STEPS.get(step.name, step.name)}: {step.ms:.2f}ms"

    def _three_way(self, phase: PhaseSeen) -> Iterator[str]:
        yield from self._loads(phase)
        yield from self._distribution(phase)
        if self._seen.frame_ms:
            yield "  Performance comparison:"
            yield from self._comparison(phase.check)
        yield from self._metrics(
            Metric.MULTI_VERSION_COUNT,
            Metric.TRAFFIC_SPLIT_ACCURACY,
            Metric.MEMORY_ISOLATION,
            Metric.TOTAL_ENTITIES,
        )

    def _comparison(self, check: Check | None) -> Iterator[str]:
        baseline = self._seen.frame_ms.get(1)
        for major, ms in sorted(self._seen.frame_ms.items()):
            rows = "" if check is None else f", {check.counts.get(major, 0)} entities"
            if ms is None:
                yield f"    {label(major)}: not measured{rows}"
            elif major == 1:
                yield f"    {label(major)}: {ms:.4f}ms/frame (baseline{rows})"
            else:
                against = f"{round(100 * (ms / baseline - 1)):+d}% against v1" if baseline else "v1 not measured"
                yield f"    {label(major)}: {ms:.4f}ms/frame ({against}{rows})"

    def _loads(self, phase: PhaseSeen) -> Iterator[str]:
        for load in phase.loads:
            yield f"  ✓ {label(load.major)} loaded in {load.ms:.1f}ms"

    def _distribution(self, phase: PhaseSeen) -> Iterator[str]:
        for split in phase.splits:
            asked = ", ".join(f"{percent}% {label(major)}" for major, percent in split.percent.items())
            yield f"  Traffic split: {asked}"
            yield "  Traffic distribution:"
            yield from self._counts(split)

    def _counts(self, split: SplitSeen) -> Iterator[str]:
        total = sum(split.counts.values())
        for major, count in split.counts.items():
            percent = 100 * count / total if total else 0.0
            held = count == split.exact.get(major, 0)
            yield f"    {label(major)}: {count} entities ({percent:.1f}%) {mark(held)}"
        yield f"    Total: {total} entities {mark(total == self._seen.entities)}"

    def _end(self, phase: PhaseSeen) -> Iterator[str]:
        """What every phase ends with: its ticks, the count of all entities, and what differs."""
        planned = phase.seconds * self._seen.ticks_per_second
        ticks = len(phase.tick_ms)
        yield f"  {mark(ticks == planned)} {ticks} of {planned} ticks"
        spread = Spread.of(phase.frames)
        if spread is not None:
            yield f"  Frames: p50 {spread.p50:.2f}ms, p99 {spread.p99:.2f}ms, worst {spread.max:.2f}ms"
        check = phase.check
        if check is not None:
            counted = ", ".join(f"{label(major)}: {count}" for major, count in check.counts.items())
            yield f"  {mark(check.as_expected)} Entities at the end: {counted}"
            equal = check.right == self._seen.entities and not check.foreign
            share = f"{check.right} of {self._seen.entities}"
            yield f"  {mark(equal)} {share} entities equal the reference, bit for bit"
            yield from (f"    ✗ {sentence}" for sentence in (*check.differences, *check.foreign_areas))
        if phase.phase is not Phase.ROLLBACK:
            faults = phase.faults
            yield from (f"  ✗ {label(f.version.major)}, {f.kind.value}: {f.message}" for f in faults)
        if phase.error is not None:
            yield f"  ✗ {phase.error}"

    def _metrics(self, *metrics: Metric) -> Iterator[str]:
        yield "  Metrics:"
        yield from (f"    {line}" for line in self._summary(*metrics))

    def _summary(self, *metrics: Metric) -> Iterator[str]:
        for metric in metrics:
            name, form = NAMES[metric]
            yield metric_line(name, form, self._result.metrics[metric], self._result.thresholds[metric])

    def _rounding(self) -> Iterator[str]:
        widened = tolerance(*self._seen.splits)
        if widened > TOLERANCE:
            yield (
                f"Entities are whole: exact shares of {self._seen.entities} lie up to {widened:.1f} points\n"
                f"from the weights; the tolerance of ±{TOLERANCE:g} is widened to that where it has to be.\n"
                "Counts must be exact all the same."
            )


def _megabytes(size: int | None) -> str:
    return "not measured" if size is None else f"{size / MEGABYTE:.2f}MB"
