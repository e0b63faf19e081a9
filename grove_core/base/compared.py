"""Versions side by side: what each did, how that compares with stable, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from packaging.version import Version

from grove_core.base.comparison import Judgement


class Better(StrEnum):
    """Which values of a metric are the good ones."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"
    """It is told for itself, or nobody said."""


@dataclass(frozen=True)
class Figure:
    """One metric of one version. None: not measured, or not known."""

    value: float | None
    low: float | None = None
    """Between `low` and `high` the truth lies with 95% confidence, however often one looks."""
    high: float | None = None
    ratio: float | None = None
    """To stable's."""
    ratio_low: float | None = None
    ratio_high: float | None = None


@dataclass(frozen=True)
class Metric:
    """One metric of all versions."""

    name: str
    unit: str
    better: Better
    figures: Mapping[Version, Figure]


@dataclass(frozen=True)
class VersionsCompared:
    """The loaded versions of a module side by side, over the same period. `print` it to read it as a table."""

    module: str
    stable: Version
    versions: tuple[Version, ...]
    """Those that are loaded, stable first."""
    weights: Mapping[Version, float]
    at: float
    """The clock's time."""
    seconds: float
    """How long the period lasts, by the clock: since the split or what is loaded was last changed."""
    metrics: tuple[Metric, ...]
    judgements: Mapping[str, Judgement]
    """What the judges make of a canary, while a rollout lasts."""

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "module": self.module,
            "stable": str(self.stable),
            "at": self.at,
            "seconds": self.seconds,
            "weights": {str(version): weight for version, weight in self.weights.items()},
            "metrics": {
                metric.name: {
                    "unit": metric.unit,
                    "better": metric.better.value,
                    "versions": {str(version): _figure(figure) for version, figure in metric.figures.items()},
                }
                for metric in self.metrics
            },
            "judgements": {
                name: {"verdict": each.verdict.value, "reason": each.reason, "evidence": dict(each.evidence)}
                for name, each in self.judgements.items()
            },
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.module}, over {self.seconds:,.1f} s; between the brackets the truth lies, with 95% confidence."
        rows = [["", *(self._title(version) for version in self.versions)]]
        for metric in self.metrics:
            name = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
            rows.append([name, *(cell(metric.figures[version]) for version in self.versions)])
            if any(metric.figures[version].ratio is not None for version in self.versions[1:]):
                rows.append(["  beside stable", "", *(ratio(metric.figures[each]) for each in self.versions[1:])])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for name, judgement in self.judgements.items():
            yield f"{name}: {judgement.verdict}: {judgement.reason}"

    def _title(self, version: Version) -> str:
        stable = " (stable)" if version == self.stable else ""
        return f"{version}{stable} {100 * self.weights.get(version, 0.0):.3g}%"


def _figure(figure: Figure) -> dict[str, float | None]:
    return {name: getattr(figure, name) for name in Figure.__dataclass_fields__}


def plain(value: float) -> str:
    """Write a figure with four digits that mean something."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def cell(figure: Figure) -> str:
    """Write a figure, and between which others the truth lies."""
    if figure.value is None:
        return "-"
    if figure.low is None and figure.high is None:
        return plain(figure.value)
    return f"{plain(figure.value)} {_range(figure.low, figure.high)}"


def ratio(figure: Figure) -> str:
    """Write how a figure compares with stable's."""
    if figure.ratio is None:
        return "-"
    if figure.ratio_low is None and figure.ratio_high is None:
        return f"x{figure.ratio:.3g}"
    return f"x{figure.ratio:.3g} {_range(figure.ratio_low, figure.ratio_high)}"


def _range(low: float | None, high: float | None) -> str:
    return f"[{'?' if low is None else plain(low)} .. {'?' if high is None else plain(high)}]"
