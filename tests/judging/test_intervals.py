"""Intervals hold at every look, and are not much wider than that takes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from grove_core.base.histogram import Histogram
from grove_core.judging.intervals import (
    FEW,
    UNKNOWN,
    Interval,
    mean_interval,
    quantile_interval,
    rate_interval,
    ratio_interval,
)

RUNS = 200
LOOKS = np.unique(np.geomspace(5, 3000, 24).astype(int))
"""How many values there are at each look."""
MOST = 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / RUNS)
"""Of `RUNS` so many may miss the truth at some look, if 5% do; the seeds are fixed, so this is decided."""


def missed(truth: float, intervals: Callable[[NDArray[np.float64], int], Interval], runs: NDArray[np.float64]) -> float:
    """Return in which part of the runs the truth was outside at one look at least."""
    sides = [[intervals(run, look) for look in LOOKS] for run in runs]
    return sum(any(not low <= truth <= high for low, high in each) for each in sides) / len(runs)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.98])
def test_a_rate_is_covered_at_all_looks_at_once(rate: float) -> None:
    runs = np.cumsum(np.random.default_rng(1).random((RUNS, LOOKS[-1])) < rate, axis=1)
    assert missed(rate, lambda run, n: rate_interval(int(run[n - 1]), int(n)), runs) <= MOST


def test_of_calls_the_mean_rate_of_the_entities_that_are_called_is_covered() -> None:
    generator, entities = np.random.default_rng(6), 20
    outside = 0
    for _ in range(RUNS):
        rates = generator.beta(0.5, 4.5, entities)
        errors = np.cumsum((generator.random((100, entities)) < rates).sum(axis=1))
        shown = [rate_interval(int(errors[tick]), entities * (tick + 1)) for tick in range(0, 100, 5)]
        outside += any(not low <= rates.mean() <= high for low, high in shown)
    assert outside <= MOST * RUNS


@pytest.mark.parametrize("shape", ["exponential", "uniform", "rare"])
def test_a_mean_is_covered_at_all_looks_at_once(shape: str) -> None:
    generator, size = np.random.default_rng(2), (RUNS, LOOKS[-1])
    drawn = {
        "exponential": lambda: generator.exponential(3.0, size),
        "uniform": lambda: generator.uniform(-1.0, 7.0, size),
        "rare": lambda: 3.0 / 0.3 * (generator.random(size) < 0.3),
    }[shape]()
    runs = np.stack([np.cumsum(drawn, axis=1), np.cumsum(drawn * drawn, axis=1)], axis=1)
    assert missed(3.0, lambda run, n: mean_interval(int(n), run[0][n - 1], run[1][n - 1]), runs) <= MOST


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_a_quantile_is_covered_at_all_looks_at_once(quantile: float) -> None:
    runs = np.random.default_rng(3).lognormal(0.0, 1.0, (60, 1000))
    truth = float(np.quantile(np.random.default_rng(4).lognormal(0.0, 1.0, 2_000_000), quantile))
    looks = [10, 30, 100, 300, 1000]
    outside = 0
    for run in runs:
        shown = [quantile_interval(Histogram.of(run[:look]), quantile) for look in looks]
        outside += any(not low <= truth <= high for low, high in shown)
        assert shown[-1].low > 0
    assert outside <= 0.05 * 60 + 2.5 * math.sqrt(0.05 * 0.95 * 60)


def test_with_more_values_they_become_narrow() -> None:
    assert rate_interval(100, 10_000) == pytest.approx((0.0066, 0.0145), abs=1e-4)
    low, high = mean_interval(10_000, 10_000.0, 20_000.0)
    assert (low + high) / 2 == pytest.approx(1.0)
    assert 0.06 < high - low < 0.1
    low, high = quantile_interval(Histogram.of(np.linspace(0.0, 1.0, 10_001)), 0.5)
    assert 0.46 < low < 0.5 < high < 0.54


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_what_was_measured_lies_within_and_a_failure_is_a_success_the_other_way(failures: int, good: int) -> None:
    low, high = rate_interval(failures, failures + good)
    assert 0.0 <= low <= high <= 1.0
    if failures + good:
        assert low <= failures / (failures + good) <= high
    other = rate_interval(good, failures + good)
    assert (1 - other.high, 1 - other.low) == pytest.approx((low, high), abs=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80), st.floats(0.01, 0.99))
def test_a_quantile_s_interval_has_the_quantile(values: list[float], quantile: float) -> None:
    histogram = Histogram.of(values)
    measured = histogram.quantile(quantile)
    low, high = quantile_interval(histogram, quantile)
    assert measured is not None
    assert low <= measured <= high


def test_of_little_or_nothing_nothing_is_known() -> None:
    assert rate_interval(0, 0) == (0.0, 1.0)
    assert mean_interval(0, 0.0, 0.0) == UNKNOWN
    assert mean_interval(FEW - 1, 1.0, 1.0) == UNKNOWN
    assert quantile_interval(Histogram(), 0.5) == UNKNOWN
    assert quantile_interval(Histogram.of([1.0]), 0.5) == UNKNOWN
    assert quantile_interval(Histogram.of([1.0] * 100), 0.99).high == math.inf
    assert rate_interval(0, 3).high > 0.6


def test_equal_values_have_a_mean_that_rounding_does_not_harm() -> None:
    count, value = 10_000, 0.1
    assert mean_interval(count, count * value, count * value * value) == pytest.approx((0.1, 0.1), abs=1e-6)


ends = st.one_of(st.floats(-1e6, 1e6), st.just(math.inf), st.just(-math.inf))


@given(ends, ends, ends, ends, st.floats(0, 1), st.floats(0, 1))
def test_the_ratio_of_any_two_within_is_within(a: float, b: float, c: float, d: float, s: float, t: float) -> None:
    above, below = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))

    def inside(within: Interval, part: float) -> float:
        low, high = max(within.low, -1e7), min(within.high, 1e7)
        return min(high, max(low, low + part * (high - low)))

    one, other = inside(above, s), inside(below, t)
    low, high = ratio_interval(above, below)
    if above.low < math.inf and above.high > -math.inf and below.high > -math.inf and abs(other) > 1e-300:
        quotient = one / other
        slack = 1e-9 * abs(quotient)
        assert low - slack <= quotient <= high + slack


def test_ratios() -> None:
    assert ratio_interval(Interval(2.0, 4.0), Interval(1.0, 2.0)) == (1.0, 4.0)
    assert ratio_interval(Interval(-2.0, 4.0), Interval(1.0, 2.0)) == (-2.0, 4.0)
    assert ratio_interval(Interval(-4.0, -2.0), Interval(1.0, 2.0)) == (-4.0, -1.0)
    assert ratio_interval(Interval(2.0, 4.0), Interval(0.0, 2.0)) == (1.0, math.inf)
    assert ratio_interval(Interval(2.0, 4.0), Interval(-1.0, 2.0)) == UNKNOWN
    assert ratio_interval(UNKNOWN, Interval(1.0, 2.0)) == UNKNOWN
