"""The stateless router: a key against the cumulative weights."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.routing.hashed import BLOCK, Hashed

from .stateless import CHI_SQUARE, asked, chi_square, key_array, route

key_lists = st.lists(st.integers(0, 2**64 - 1), max_size=60, unique=True)
weights = st.lists(st.integers(0, 10), min_size=1, max_size=4).filter(any)


@given(key_lists, weights)
def test_the_first_version_whose_cumulative_weight_lies_above(keys: list[int], values: list[int]) -> None:
    target = route(Hashed(), asked(keys, values))
    assert target.dtype == np.int32
    for key, chosen in zip(keys, target.tolist(), strict=True):
        place, slack = Fraction(key, 2**64) * sum(values), Fraction(1, 10**8)
        assert sum(values[:chosen]) - slack <= place <= sum(values[: chosen + 1]) + slack
        assert values[chosen]


@given(key_lists, weights, st.randoms())
def test_the_other_entities_mean_nothing(keys: list[int], values: list[int], shuffle: random.Random) -> None:
    together = dict(zip(keys, route(Hashed(), asked(keys, values)).tolist(), strict=True))
    some = shuffle.sample(keys, len(keys) // 2)
    assert route(Hashed(), asked(some, values)).tolist() == [together[key] for key in some]


@given(key_lists, st.integers(0, 100), st.integers(0, 100))
def test_a_canary_that_grows_takes_and_gives_nothing(keys: list[int], one: int, other: int) -> None:
    small, large = sorted((one, other))
    before, after = (route(Hashed(), asked(keys, [100 - share, share])) for share in (small, large))
    assert (after >= before).all()


@pytest.mark.parametrize("values", [[1, 1], [9, 1], [1, 99], [2, 3, 5], [1, 1, 1, 1], [70, 20, 9, 1]])
def test_shares_are_in_proportion_to_weights(values: list[int]) -> None:
    counts = np.bincount(route(Hashed(), asked(key_array(100_000), values)), minlength=len(values))
    assert chi_square(counts, values) < CHI_SQUARE[len(values) - 1]


def test_counts_stray_by_the_binomial_s_standard_deviation() -> None:
    """The docstring's figure: of 100 entities, 10 +- 3."""
    target = route(Hashed(), asked(key_array(100_000), [9, 1]))
    counts = target.reshape(1000, 100).sum(axis=1)
    assert counts.mean() == pytest.approx(10, abs=0.5)
    assert counts.std() == pytest.approx(math.sqrt(100 * 0.1 * 0.9), rel=0.1)


def test_float_sums_do_not_shift_a_boundary() -> None:
    edge = int(0.3 * 2**64)
    assert route(Hashed(), asked([edge - 1, edge], [0.1, 0.2, 0.7])).tolist() == [1, 2]


@pytest.mark.parametrize("values", [[1, 0], [0, 1], [0, 1, 0], [0.5, 0.5, 0]])
def test_the_ends_of_the_range_go_to_versions_with_weight(values: list[float]) -> None:
    for chosen in route(Hashed(), asked([0, 2**64 - 1], values)).tolist():
        assert values[chosen] > 0


def test_blocks_have_no_seams() -> None:
    keys = key_array(2 * BLOCK + 5)
    whole = route(Hashed(), asked(keys, [5, 3, 2]))
    parts = [route(Hashed(), asked(part, [5, 3, 2])) for part in np.array_split(keys, 7)]
    assert whole.tolist() == np.concatenate(parts).tolist()


def test_no_entities_and_one_version() -> None:
    assert route(Hashed(), asked([], [1, 1])).tolist() == []
    assert route(Hashed(), asked([0, 2**64 - 1], [1])).tolist() == [0, 0]
