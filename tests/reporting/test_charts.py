"""Scales have all values between their ends, and thinned lines look the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.reporting.scales import around, duration, spanning, written
from grove_core.reporting.thinning import thinned

VALUES = st.floats(-1e100, 1e100)


@given(st.lists(VALUES, max_size=5), st.booleans())
def test_all_values_lie_on_the_scale(values: list[float], zero: bool) -> None:
    scale = around(values, zero)
    places = [scale.place(value) for value in values]
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in places)
    assert 2 <= len(scale.ticks) <= 9
    assert all(-1e-6 <= scale.place(tick) <= 1 + 1e-6 for tick in scale.ticks)
    assert not zero or -1e-6 <= scale.place(0.0) <= 1 + 1e-6
    assert all(written(tick, scale.step) for tick in scale.ticks)


@given(VALUES, st.floats(0, 1e100))
def test_times_have_ticks_within(low: float, length: float) -> None:
    scale = spanning(low, low + length)
    assert all(-1e-6 <= scale.place(tick) <= 1 + 1e-6 for tick in scale.ticks)
    assert math.isfinite(scale.place(low))


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.0, 0.5, "0.0"),
        (1500.0, 500.0, "1,500"),
        (2e7, 1e7, "20M"),
        (0.05, 0.05, "0.05"),
        (-0.0, 1.0, "0"),
        (-2.0, 1.0, "-2"),
    ],
)
def test_ticks_are_written_as_people_do(value: float, step: float, text: str) -> None:
    assert written(value, step) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.25, "0.25 s"), (5.52, "5.5 s"), (30.04, "30.0 s"), (71.1, "1 min 11 s"), (7512.0, "2 h 5 min")],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(
    st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=300),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_a_thinned_line_keeps_each_column_s_first_last_lowest_and_highest(
    values: list[float], columns: int, random: object
) -> None:
    y = np.array(values)
    x = np.cumsum([random.random() for _ in values])  # type: ignore[attr-defined]
    keep = thinned(x, y, columns)
    assert np.array_equal(keep, np.unique(keep)) and len(keep) <= max(5 * columns, 4 * columns)
    width = (x[-1] - x[0]) / columns or 1.0
    column = np.minimum((x - x[0]) / width, columns - 1).astype(int)
    for each in np.unique(column):
        inside = np.flatnonzero(column == each)
        kept = np.intersect1d(inside, keep)
        assert {inside[0], inside[-1]} <= set(kept)
        if not np.isnan(y[inside]).all():
            assert np.nanmin(y[kept]) == np.nanmin(y[inside])
            assert np.nanmax(y[kept]) == np.nanmax(y[inside])
        assert np.isnan(y[kept]).any() == np.isnan(y[inside]).any(), "a gap stays one"
