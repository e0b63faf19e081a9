"""Histograms: quantiles within 1%, sums and differences exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.histogram import LEAST, MOST, SIDE, Histogram

values = st.lists(
    st.one_of(
        st.floats(LEAST, MOST / 2),
        st.floats(-MOST / 2, -LEAST),
        st.just(0.0),
    ),
    max_size=60,
)


@given(values.filter(bool), st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_a_value_at_its_rank(given_: list[float], quantile: float) -> None:
    ordered = sorted(given_)
    exact = ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
    told = Histogram.of(given_).quantile(quantile)
    assert told == pytest.approx(exact, rel=0.011)


@given(st.lists(st.floats(LEAST, MOST / 2), min_size=1, max_size=60), st.sampled_from([-1.0, 1.0]))
def test_a_mean_is_within_one_percent(given_: list[float], sign: float) -> None:
    assert Histogram.of(sign * np.array(given_)).mean == pytest.approx(sign * float(np.mean(given_)), rel=0.011)
    assert Histogram().mean is None


@given(values, values)
def test_what_came_since_is_what_came_since(before: list[float], after: list[float]) -> None:
    histogram = Histogram.of(before)
    then = histogram.copy()
    histogram.add(np.array(after, np.float64))
    assert (histogram.since(then).counts == Histogram.of(after).counts).all()
    assert histogram.total == len(before) + len(after)


@given(values)
def test_one_by_one_is_as_all_at_once(given_: list[float]) -> None:
    one_by_one = Histogram()
    for each in given_:
        one_by_one.count(each)
    assert (one_by_one.counts == Histogram.of(given_).counts).all()
    assert sum(count for _, count in one_by_one.filled()) == len(given_)
    middles = [middle for middle, _ in one_by_one.filled()]
    assert middles == sorted(middles)


def test_what_is_beyond_is_counted_at_the_edge() -> None:
    assert Histogram.of([1e30, 1e-30, -1e30]).total == 3
    assert Histogram().quantile(0.5) is None


@given(st.lists(st.floats(-1e15, 1e15), max_size=50))
def test_what_is_written_of_it_is_read_back(values: list[float]) -> None:
    histogram = Histogram.of(values)
    assert np.array_equal(Histogram.of_buckets(histogram.buckets()).counts, histogram.counts)
    assert list(histogram.buckets()) == sorted(histogram.buckets())


@pytest.mark.parametrize("bucket", [-1, 2 * SIDE + 1])
def test_there_are_no_other_buckets(bucket: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to {2 * SIDE}"):
        Histogram.of_buckets({bucket: 1})
