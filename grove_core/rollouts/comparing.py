"""A/B: the loaded versions of a module side by side, since its split or what is loaded was last changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from packaging.version import Version

from grove_core.base.compared import Better, Figure, Metric, VersionsCompared
from grove_core.base.comparison import Observed
from grove_core.judging.intervals import (
    ALPHA,
    Interval,
    mean_interval,
    quantile_interval,
    rate_interval,
    ratio_interval,
)
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState
from grove_core.runtime.ticking.observing import Totals, observed_since, snapshot

HALF = ALPHA / 2
"""For each side of a ratio."""


@dataclass(frozen=True)
class Baseline:
    """What the versions of a module had done when a period began."""

    at: float
    weights: Mapping[Version, float]
    totals: Mapping[Version, Totals]

    def still(self, state: ModuleState) -> bool:
        """Tell whether nothing has changed since that makes a period of its own."""
        return (
            self.weights == state.weights
            and len(self.totals) == len(state.versions)
            and all(
                version in state.versions and state.versions[version].meter is totals.meter
                for version, totals in self.totals.items()
            )
        )


class Baselines:
    """Where the period of each module began that is compared now."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._baselines: dict[str, Baseline] = {}

    def follow(self, state: ModuleState) -> Baseline:
        """Begin a period anew where the split, or what is loaded, is not what it was; return the one that is on."""
        baseline = self._baselines.get(state.name)
        if baseline is None or not baseline.still(state):
            totals = {version: snapshot(loaded) for version, loaded in state.versions.items()}
            baseline = Baseline(self._context.clock.now(), dict(state.weights), totals)
            self._baselines[state.name] = baseline
        return baseline

    def forget(self, module: str) -> None:
        """Forget a module that is no more."""
        self._baselines.pop(module, None)

    def compare(self, state: ModuleState) -> VersionsCompared:
        """Return what each version did since the period began, and how that compares with stable."""
        baseline = self.follow(state)
        stable = state.stable_version.version
        versions = (stable, *(version for version in sorted(state.versions) if version != stable))
        seen = {
            version: observed_since(self._context, state.versions[version], baseline.totals[version])
            for version in versions
        }
        now = self._context.clock.now()
        return VersionsCompared(
            state.name,
            stable,
            versions,
            {version: state.weights.get(version, 0.0) for version in versions},
            now,
            now - baseline.at,
            tuple(metrics_of(stable, seen)),
            dict(state.judgements),
        )


def metrics_of(stable: Version, seen: Mapping[Version, Observed]) -> Iterator[Metric]:
    """Yield each metric of versions that were observed over the same period, stable among them."""
    yield _plain("entities", "", Better.NEITHER, seen, lambda each: each.entities)
    yield _plain("ticks", "", Better.NEITHER, seen, lambda each: each.ticks)
    yield _plain("lost_ticks", "", Better.LOWER, seen, lambda each: each.lost)
    yield _compared("error_rate", "", Better.LOWER, stable, seen, lambda each: each.error_rate, _error_interval)
    for name, quantile in (("p50_ms", 0.5), ("p99_ms", 0.99)):
        yield _compared(
            name,
            "ms",
            Better.LOWER,
            stable,
            seen,
            lambda each, q=quantile: each.durations.quantile(q),  # type: ignore[misc]
            lambda each, alpha, q=quantile: quantile_interval(each.durations, q, alpha),  # type: ignore[misc]
        )
    yield _compared("memory_mb", "MB", Better.LOWER, stable, seen, _megabytes, None)
    for name in sorted({name for each in seen.values() for name in each.values}):
        yield _compared(
            name,
            "",
            Better.NEITHER,
            stable,
            seen,
            lambda each, n=name: each.values[n].mean if n in each.values else None,  # type: ignore[misc]
            lambda each, alpha, n=name: _value_interval(each, n, alpha),  # type: ignore[misc]
        )


def _plain(
    name: str, unit: str, better: Better, seen: Mapping[Version, Observed], value: Callable[[Observed], float]
) -> Metric:
    return Metric(name, unit, better, {version: Figure(value(each)) for version, each in seen.items()})


def _compared(
    name: str,
    unit: str,
    better: Better,
    stable: Version,
    seen: Mapping[Version, Observed],
    value: Callable[[Observed], float | None],
    interval: Callable[[Observed, float], Interval] | None,
) -> Metric:
    """Return a metric with the ratio to stable's, and with intervals where there are any."""
    base = value(seen[stable])
    figures = {}
    for version, each in seen.items():
        mine = value(each)
        ratio = mine / base if mine is not None and base and version != stable else None
        low = high = ratio_low = ratio_high = None
        if interval is not None and mine is not None:
            low, high = map(_known, interval(each, ALPHA))
            if ratio is not None:
                both = ratio_interval(interval(each, HALF), interval(seen[stable], HALF))
                ratio_low, ratio_high = map(_known, both)
        figures[version] = Figure(mine, low, high, ratio, ratio_low, ratio_high)
    return Metric(name, unit, better, figures)


def _known(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _error_interval(each: Observed, alpha: float) -> Interval:
    return rate_interval(each.errors, each.calls, alpha)


def _value_interval(each: Observed, name: str, alpha: float) -> Interval:
    summary = each.values[name]
    return mean_interval(summary.count, summary.total, summary.squares, alpha)


def _megabytes(each: Observed) -> float | None:
    return None if each.memory_bytes is None else each.memory_bytes / 1e6
