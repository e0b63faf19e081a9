"""Weighted rendezvous hashing: nothing but keys, texts and weights counts, and only the fewest entities move."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.routing.rendezvous import BLOCK, Rendezvous, exponential, minus_logarithm, version_salt

from .stateless import CHI_SQUARE, VERSIONS, asked, chi_square, key_array, route

key_lists = st.lists(st.integers(0, 2**64 - 1), max_size=60, unique=True)
weights = st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(any)


def hashed(key: int, version: Version) -> int:
    """splitmix64, written down a second time."""
    z = (key ^ int(version_salt(version))) + 0x9E3779B97F4A7C15 & 2**64 - 1
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
    z = (z ^ z >> 27) * 0x94D049BB133111EB & 2**64 - 1
    return z ^ z >> 31


@given(key_lists, weights)
def test_the_highest_score_wins(keys: list[int], values: list[int]) -> None:
    for key, chosen in zip(keys, route(Rendezvous(), asked(keys, values)).tolist(), strict=True):
        score = {
            place: -weight / math.log(((hashed(key, VERSIONS[place]) >> 12) + 0.5) / 2**52)
            for place, weight in enumerate(values)
            if weight
        }
        assert score[chosen] == max(score.values())


@given(key_lists, weights, st.permutations(range(4)))
def test_the_order_of_versions_means_nothing(keys: list[int], values: list[int], order: list[int]) -> None:
    straight = route(Rendezvous(), asked(keys, values))
    mixed = asked(keys, [values[place] for place in order], [VERSIONS[place] for place in order])
    assert [order[place] for place in route(Rendezvous(), mixed).tolist()] == straight.tolist()


@given(key_lists, weights, st.randoms())
def test_the_other_entities_mean_nothing(keys: list[int], values: list[int], shuffle: random.Random) -> None:
    together = dict(zip(keys, route(Rendezvous(), asked(keys, values)).tolist(), strict=True))
    some = shuffle.sample(keys, len(keys) // 2)
    assert route(Rendezvous(), asked(some, values)).tolist() == [together[key] for key in some]


@given(st.integers(0, 2**32 - 1), weights, st.integers(0, 3), st.integers(1, 10))
def test_when_a_weight_grows_entities_move_to_that_version_only(
    seed: int, values: list[int], grown: int, by: int
) -> None:
    keys = np.random.default_rng(seed).integers(0, 2**64, 200, np.uint64)
    before = route(Rendezvous(), asked(keys, values))
    more = [value + by * (place == grown) for place, value in enumerate(values)]
    after = route(Rendezvous(), asked(keys, more))
    assert set(after[after != before].tolist()) <= {grown}


@given(st.integers(0, 2**32 - 1), weights, st.integers(0, 3))
def test_when_a_version_goes_its_own_entities_move_only(seed: int, values: list[int], gone: int) -> None:
    left = [value * (place != gone) for place, value in enumerate(values)]
    if any(left):
        keys = np.random.default_rng(seed).integers(0, 2**64, 200, np.uint64)
        before, after = (route(Rendezvous(), asked(keys, each)) for each in (values, left))
        assert set(before[after != before].tolist()) <= {gone}


@pytest.mark.parametrize("values", [[1, 1], [9, 1], [1, 99], [2, 3, 5], [1, 1, 1, 1], [70, 20, 9, 1]])
def test_shares_are_in_proportion_to_weights(values: list[int]) -> None:
    counts = np.bincount(route(Rendezvous(), asked(key_array(100_000), values)), minlength=len(values))
    assert chi_square(counts, values) < CHI_SQUARE[len(values) - 1]


def test_counts_stray_by_the_binomial_s_standard_deviation() -> None:
    """The docstring's figure: of 100 entities, 10 +- 3."""
    target = route(Rendezvous(), asked(key_array(100_000), [9, 1]))
    counts = target.reshape(1000, 100).sum(axis=1)
    assert counts.mean() == pytest.approx(10, abs=0.5)
    assert counts.std() == pytest.approx(math.sqrt(100 * 0.1 * 0.9), rel=0.1)


def test_a_canary_that_grows_moves_what_it_gains() -> None:
    keys = key_array(10_000)
    steps = [route(Rendezvous(), asked(keys, [100 - share, share])) for share in (10, 25, 50, 100)]
    for before, after in itertools.pairwise(steps):
        assert (after >= before).all()


def test_the_bids_of_two_versions_have_nothing_to_do_with_each_other() -> None:
    keys = key_array(100_000)
    first, second = (exponential(keys, version_salt(version)) for version in VERSIONS[:2])
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert first.mean() == pytest.approx(1, abs=0.02)


def test_texts_that_mean_one_version_count_as_one() -> None:
    keys = key_array(1000)
    short, long = ([Version(text), Version("2.0.0")] for text in ("1", "1.0.0"))
    assert route(Rendezvous(), asked(keys, [1, 1], short)).tolist() == (
        route(Rendezvous(), asked(keys, [1, 1], long)).tolist()
    )


def test_the_answer_is_the_one_that_was_always_given() -> None:
    """On any machine, in any release: entities must not change their versions with the library."""
    answer = route(Rendezvous(), asked(key_array(40), [5, 3, 2]))
    assert "".join(map(str, answer.tolist())) == "0001000112010002200010022211012100000002"


def test_blocks_have_no_seams() -> None:
    keys = key_array(2 * BLOCK + 5)
    whole = route(Rendezvous(), asked(keys, [5, 3, 2]))
    parts = [route(Rendezvous(), asked(part, [5, 3, 2])) for part in np.array_split(keys, 7)]
    assert whole.tolist() == np.concatenate(parts).tolist()


def test_no_entities_and_one_version() -> None:
    assert route(Rendezvous(), asked([], [1, 1])).tolist() == []
    assert route(Rendezvous(), asked([0, 2**64 - 1], [1])).tolist() == [0, 0]


ends = [2.0**-53, 2.0**-52, math.nextafter(0.5, 0), 0.5, 0.5**0.5, math.nextafter(1, 0), 1 - 2.0**-53]


@given(st.floats(2.0**-53, 1 - 2.0**-53) | st.sampled_from(ends))
def test_the_logarithm(u: float) -> None:
    assert minus_logarithm(np.array([u])).item() == pytest.approx(-math.log(u), rel=1e-12, abs=1e-12)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30))
def test_what_is_bid_is_positive_and_finite(keys: list[int]) -> None:
    bids = exponential(np.array(keys, np.uint64), version_salt(VERSIONS[0]))
    assert (bids > 0).all()
    assert (bids < 37).all()
