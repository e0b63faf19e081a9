"""Exact shares: largest remainders, pins, births; and the keys."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import InvalidInput, InvalidWeights
from grove_core.routing.shares import KEYS_VERSION, for_births, keys, quotas, salt, with_pins

parts = st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any)
weights = parts.map(lambda values: [value / sum(values) for value in values])


@pytest.mark.parametrize(
    ("given_weights", "population", "expected"),
    [
        ([0.9, 0.1], 100, [90, 10]),
        ([0.2, 0.3, 0.5], 100, [20, 30, 50]),
        ([1 / 3, 1 / 3, 1 / 3], 10, [4, 3, 3]),
        ([1 / 3, 1 / 3, 1 / 3], 11, [4, 4, 3]),
        ([1 / 3, 1 / 3, 1 / 3], 10_000_000, [3333334, 3333333, 3333333]),
        ([1 / 3, 2 / 3], 30_000_000, [10_000_000, 20_000_000]),
        ([0.1 + 0.2, 0.7], 10, [3, 7]),
        ([0.7, 0.1 + 0.2], 10**10, [7 * 10**9, 3 * 10**9]),
        ([0.5, 0.5], 1, [1, 0]),
        ([0.5, 0.5], 0, [0, 0]),
        ([0.0, 1.0], 3, [0, 3]),
        ([0.25, 0.25, 0.5], 2, [1, 0, 1]),
        ([0.1] * 10, 10_000_003, [1_000_001] * 3 + [1_000_000] * 7),
        ([1.0], 7, [7]),
    ],
)
def test_quotas(given_weights, population, expected):
    assert quotas(given_weights, population).tolist() == expected


@given(parts, st.integers(0, 20_000_000))
def test_quotas_are_those_of_exact_fractions(values, population):
    whole = sum(values)
    exact = [Fraction(value, whole) * population for value in values]
    expected = [int(share) for share in exact]
    order = sorted(range(len(values)), key=lambda i: expected[i] - exact[i])
    for position in order[: population - sum(expected)]:
        expected[position] += 1
    assert quotas([value / whole for value in values], population).tolist() == expected


@pytest.mark.parametrize("bad", [[], [-0.1, 1.1], [float("nan")], [float("inf"), 1.0], [0.0, 0.0]])
def test_weights_that_share_nothing_out_are_refused(bad):
    with pytest.raises(InvalidWeights):
        quotas(bad, 10)


def test_pins_count_towards_the_quota():
    quota, excess = with_pins([0.9, 0.1], [0, 4], 100)
    assert (quota.tolist(), excess.tolist()) == ([90, 6], [0, 0])


def test_a_version_over_its_share_keeps_its_pins():
    quota, excess = with_pins([0.6, 0.3, 0.1], [0, 0, 40], 100)
    assert (quota.tolist(), excess.tolist()) == ([40, 20, 0], [0, 0, 30])


def test_one_excess_can_push_another_version_over():
    quota, excess = with_pins([0.5, 0.3, 0.2], [0, 25, 50], 100)
    # Without the third, 50 are left: 31 and 19, and then the second is over as well.
    assert (quota.tolist(), excess.tolist()) == ([25, 0, 0], [0, 0, 30])


def test_pins_of_a_version_without_weight():
    quota, excess = with_pins([1.0, 0.0], [0, 5], 10)
    assert (quota.tolist(), excess.tolist()) == ([5, 0], [0, 5])


def test_more_pins_than_entities_are_refused():
    with pytest.raises(InvalidInput, match="pinned"):
        with_pins([1.0], [11], 10)


@given(weights, st.data())
def test_with_pins(values, data):
    pinned = np.array(data.draw(st.lists(st.integers(0, 50), min_size=len(values), max_size=len(values))))
    total = int(pinned.sum()) + data.draw(st.integers(0, 300))
    quota, excess = with_pins(values, pinned, total)
    share = quotas(values, total)
    assert quota.dtype == excess.dtype == np.int64
    assert quota.sum() == total - pinned.sum()
    assert (quota >= 0).all()
    assert excess.tolist() == np.maximum(pinned - share, 0).tolist()
    assert not (quota[excess > 0]).any()
    if not excess.any():
        assert (quota + pinned).tolist() == share.tolist()


@pytest.mark.parametrize(
    ("given_weights", "counts", "births", "expected"),
    [
        ([0.9, 0.1], [0, 0], 100, [90, 10]),
        ([0.9, 0.1], [90, 9], 1, [0, 1]),
        ([0.9, 0.1], [100, 0], 10, [0, 10]),
        ([0.5, 0.5], [100, 0], 10, [0, 10]),
        ([0.5, 0.3, 0.2], [0, 0, 100], 10, [10, 0, 0]),
        ([0.4, 0.4, 0.2], [0, 0, 100], 11, [6, 5, 0]),
        ([1.0, 0.0], [0, 30], 5, [5, 0]),
        ([0.3, 0.5, 0.2], [27, 45, 25], 3, [1, 2, 0]),
        ([0.3, 0.3, 0.4], [25, 25, 48], 2, [1, 1, 0]),
        ([0.5, 0.5], [3, 4], 0, [0, 0]),
    ],
)
def test_for_births(given_weights, counts, births, expected):
    assert for_births(given_weights, counts, births).tolist() == expected


@given(weights, st.data())
def test_births_are_given_one_by_one_to_the_largest_deficit(values, data):
    size = len(values)
    counts = np.array(data.draw(st.lists(st.integers(0, 60), min_size=size, max_size=size)), np.int64)
    births = data.draw(st.integers(0, 80))
    deficits = quotas(values, int(counts.sum()) + births) - counts
    expected = np.zeros(size, np.int64)
    for _ in range(births):
        expected[np.argmax(deficits - expected)] += 1
    assert for_births(values, counts, births).tolist() == expected.tolist()


ids = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50, unique=True).map(lambda v: np.array(v, np.int64))


@given(ids, st.text(max_size=10), st.randoms())
def test_distinct_ids_have_distinct_keys_in_any_order(values, module, random):
    found = keys(values, salt(module))
    assert found.dtype == np.uint64
    assert len(np.unique(found)) == len(values)
    order = random.sample(range(len(values)), len(values))
    assert keys(values[order], salt(module)).tolist() == found[order].tolist()


def test_keys_are_splitmix64():
    """The first numbers of the generator seeded with 0, as its author publishes them."""
    gamma = 0x9E3779B97F4A7C15
    states = np.array([0, gamma, 2 * gamma % 2**64], np.uint64).view(np.int64)
    assert keys(states, np.uint64(0)).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_keys_stay_what_they_are():
    """What is stored was made with these: when they change, KEYS_VERSION has to."""
    assert KEYS_VERSION == 1
    assert salt("gamelogic") == 0x6E9C5694C7EC6A3C
    assert keys(np.array([0, 1, -1]), salt("gamelogic")).tolist() == [
        0x5F508EF1CE6BF3A0,
        0x188B3BAE0E485472,
        0xEDE4A114155E9658,
    ]
    assert salt("gamelogic") != salt("physics")


def test_ids_are_left_as_they_are():
    values = np.arange(5)
    keys(values, np.uint64(1))
    assert values.tolist() == [0, 1, 2, 3, 4]


def test_keys_spread_consecutive_ids():
    low = keys(np.arange(100_000), salt("gamelogic")) < np.uint64(2**64 // 10)
    assert abs(int(low.sum()) - 10_000) < 500
