"""What a run came to, and the document that tells it to a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grove_core.scenario.common.judged import Judged, Threshold
from grove_core.scenario.frame_report import frames_document
from grove_core.scenario.metrics import Assertions, Metric, Metrics, judge, measure, thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.scenario.seen import PhaseSeen, Seen


@dataclass(frozen=True)
class Result(Judged):
    """What a run came to."""

    seen: Seen
    metrics: Metrics
    thresholds: dict[Metric, Threshold]
    assertions: Assertions

    @classmethod
    def of(cls, seen: Seen) -> Result:
        """Compute metrics and assertions from what was seen."""
        metrics = measure(seen)
        return cls(seen, metrics, thresholds(seen), judge(seen, metrics))

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        compared = {label(major): ms for major, ms in sorted(self.seen.frame_ms.items())}
        return {
            "result": self.verdict,
            "entities": self.seen.entities,
            "ticks_per_second": self.seen.ticks_per_second,
            "tick_deadline_ms": self.seen.tick_deadline_ms,
            "metrics": {**self.metrics, "performance_comparison": compared or None},
            "thresholds": {name: threshold.document() for name, threshold in self.thresholds.items()},
            "assertions": self.assertions,
            "frames": frames_document(self.seen),
            "phases": [_phase_document(phase) for phase in self.seen.phases],
        }


def label(major: int) -> str:
    """Return what the text calls a version."""
    return f"v{major}"


def _phase_document(phase: PhaseSeen) -> dict[str, Any]:
    counts = {} if phase.check is None else {label(m): n for m, n in phase.check.counts.items()}
    return {
        "name": phase.name,
        "seconds": phase.seconds,
        "ticks": len(phase.tick_ms),
        "counts": counts,
        "notes": list(notes(phase)),
    }


def notes(phase: PhaseSeen) -> Iterator[str]:
    """Say what happened in a phase, and what was wrong, a sentence each."""
    for load in phase.loads:
        yield f"{label(load.major)} loaded in {load.ms:.1f} ms"
    for split in phase.splits:
        shares = ", ".join(f"{label(major)} {count}" for major, count in split.counts.items())
        yield f"split at {split.second} s: {shares}"
    for report in phase.collected:
        yield f"{label(report.version.major)} collected, unused for {report.idle_seconds} s"
    for fault in phase.faults:
        yield f"fault of {label(fault.version.major)}: {fault.kind.value}, {fault.message}"
    for rollback in phase.rollbacks:
        yield f"rolled back to {label(rollback.target.major)} in {rollback.rollback_ms:.1f} ms"
    if phase.check is not None:
        yield from phase.check.differences
        yield from phase.check.foreign_areas
    if phase.error is not None:
        yield phase.error
    elif not phase.started:
        yield "not run: the run ended before"
