"""The specification's router."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.parts.contracts import NEW, Population
from grove_core.routing.modulo import Modulo


def route(weights, ids):
    ids = np.asarray(ids, np.int64)
    none = np.full(len(ids), NEW, np.int32)
    population = Population(
        versions=tuple(Version(str(major + 1)) for major in range(len(weights))),
        weights=tuple(weights),
        ids=ids,
        keys=ids.view(np.uint64),
        current=none,
        arrival=np.zeros(len(ids), np.int64),
        origin=none,
    )
    return Modulo().route(population, np.zeros(len(weights), np.int64))


percents = st.lists(st.integers(0, 100), min_size=1, max_size=4).map(
    lambda cuts: [b - a for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 100], strict=True)]
)


@given(percents, st.integers(-(2**63), 2**63 - 101))
def test_exact_for_a_hundred_consecutive_ids(percent, first):
    target = route([p / 100 for p in percent], np.arange(first, first + 100))
    assert target.dtype == np.int32
    assert np.bincount(target, minlength=len(percent)).tolist() == percent


@given(percents, st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30))
def test_the_first_version_whose_cumulative_weight_lies_above(percent, ids):
    target = route([p / 100 for p in percent], ids)
    for number, chosen in zip(ids, target.tolist(), strict=True):
        assert sum(percent[:chosen]) <= number % 100 < sum(percent[: chosen + 1])


def test_float_sums_do_not_shift_a_boundary():
    assert np.bincount(route([0.1, 0.2, 0.7], np.arange(100))).tolist() == [10, 20, 70]


def test_the_last_version_takes_what_rounding_leaves():
    assert np.bincount(route([1 / 3, 1 / 3, 1 / 3], np.arange(100))).tolist() == [34, 33, 33]
    assert route([0.5, 0.4999999], [99]).tolist() == [1]


@pytest.mark.parametrize(("number", "chosen"), [(-1, 1), (-10, 1), (-11, 0), (-100, 0), (89, 0), (90, 1)])
def test_negative_ids_count_as_in_python(number, chosen):
    assert route([0.9, 0.1], [number]).tolist() == [chosen]


def test_no_entities_and_one_version():
    assert route([0.9, 0.1], []).tolist() == []
    assert route([1.0], [5, -5]).tolist() == [0, 0]
