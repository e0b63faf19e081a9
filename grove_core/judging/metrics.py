"""The figures of one version that a threshold may be set for, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from grove_core.base.comparison import Observed

QUANTILE = re.compile(r"p([1-9]\d?)_ms")
"""`p1_ms` to `p99_ms`."""


@dataclass(frozen=True)
class Metric:
    """How to read one figure."""

    read: Callable[[Observed], float | None]
    """Returns it, or None where it was not measured."""
    sample: Callable[[Observed], int] | None
    """Returns of how many it is; None for what is measured once, and is not a matter of chance."""
    grows: bool
    """Whether it is expected to be larger, up to as many times, where a version has more entities."""


def metric(name: str) -> Metric:
    """Return the metric of this name; what is none of Grove's own is the mean of the values observed by that name."""
    if found := OWN.get(name):
        return found
    if quantile := QUANTILE.fullmatch(name):
        part = int(quantile[1]) / 100
        return Metric(lambda seen: seen.durations.quantile(part), _ticks, True)

    def mean(seen: Observed) -> float | None:
        summary = seen.values.get(name)
        return summary.mean if summary else None

    def count(seen: Observed) -> int:
        summary = seen.values.get(name)
        return summary.count if summary else 0

    return Metric(mean, count, False)


def _ticks(seen: Observed) -> int:
    return seen.ticks


OWN = {
    "error_rate": Metric(lambda seen: seen.error_rate, lambda seen: seen.calls, False),
    "lost_ticks": Metric(lambda seen: seen.lost, lambda seen: seen.ticks + seen.lost, False),
    "avg_ms": Metric(lambda seen: seen.durations.mean, _ticks, True),
    "memory_bytes": Metric(lambda seen: seen.memory_bytes, None, True),
}
"""Those that have names of their own, besides the quantiles."""
