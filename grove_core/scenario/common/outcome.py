"""What a run came to, in the shape that every scenario gives it: for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grove_core.scenario.common.judged import Judged, Threshold
from grove_core.scenario.common.text import RULE, heading, mark, metric_line, result_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Gauge:
    """A metric: how it is called, how its value is written, and what it is held against."""

    name: str
    form: str
    threshold: Threshold


@dataclass(frozen=True)
class Section:
    """A part of the text, with its title."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Outcome(Judged):
    """What a run came to."""

    title: str
    facts: Mapping[str, Any]
    """What the run was told, for JSON."""
    about: tuple[str, ...]
    """The same in lines."""
    gauges: Mapping[Any, Gauge]
    metrics: Mapping[Any, float | None]
    assertions: Mapping[Any, bool | None]
    notes: Mapping[Any, Sequence[str]] = field(default_factory=dict)
    """Why an assertion does not hold, a sentence each."""
    sections: tuple[Section, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else was measured, for JSON."""
    error: str | None = None
    """What ended the run early."""

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "result": self.verdict,
            **self.facts,
            "metrics": self.metrics,
            "thresholds": {name: gauge.threshold.document() for name, gauge in self.gauges.items()},
            "assertions": self.assertions,
            "notes": {name: list(sentences) for name, sentences in self.notes.items() if sentences},
            "error": self.error,
            **self.details,
        }

    def text(self) -> str:
        """Return the whole text."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from (RULE, f"TEST: {self.title}", RULE)
        yield from self.about
        for section in self.sections:
            yield from ("", f"=== {section.title} ===")
            yield from (f"  {line}" if line else "" for line in section.lines)
        yield from heading("METRICS SUMMARY")
        for name, gauge in self.gauges.items():
            yield metric_line(gauge.name, gauge.form, self.metrics[name], gauge.threshold)
        yield from heading("ASSERTIONS")
        for assertion, held in self.assertions.items():
            yield f"– {assertion}: says nothing about this run" if held is None else f"{mark(held)} {assertion}"
            yield from (f"    {sentence}" for sentence in self.notes.get(assertion, ()))
        if self.error is not None:
            yield f"✗ the run ended early: {self.error}"
        yield from result_lines(self)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile of plain figures, None of none."""
    return float(np.percentile(values, percent)) if len(values) else None
