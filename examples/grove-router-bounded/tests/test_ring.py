"""The ring by itself: its bounds, its rule, its moves."""

from __future__ import annotations

import math
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

pytest.importorskip("grove_router_bounded", reason="grove-router-bounded is not installed")

from grove_router_bounded import Ring
from grove_router_bounded.ring import mixed

from grove_core.parts.contracts import NEW, Population
from grove_core.testing import RouterConformance

VERSIONS = tuple(Version(text) for text in ("1.0.0", "1.5", "2.0.0", "3.0.0"))
weight_lists = st.lists(st.integers(0, 10), min_size=1, max_size=4).filter(any)
loads = st.sampled_from([1.0, 1.1, 1.25, 2.0, 1e6])


class TestRing(RouterConformance):
    def make(self) -> Ring:
        return Ring()


class TestTightRing(RouterConformance):
    """Hardly any room: nearly everybody asks more than once."""

    def make(self) -> Ring:
        return Ring(load=1.0, points=8)


def population(count: int, weights: list[int], seed: int = 7) -> Population:
    none = np.full(count, NEW, np.int32)
    return Population(
        VERSIONS[: len(weights)],
        tuple(weight / sum(weights) for weight in weights),
        np.arange(count),
        np.random.default_rng(seed).integers(0, 2**64, count, np.uint64),
        none,
        np.zeros(count, np.int64),
        none,
    )


def routed(ring: Ring, asked: Population) -> np.ndarray[Any, np.dtype[np.int32]]:
    return ring.route(asked, np.zeros(len(asked.versions), np.int64))


def one_by_one(ring: Ring, asked: Population) -> list[int]:
    """The rule as the paper has it, for one entity after the other."""
    places, owners = ring._ring(asked)
    room = ring._bounds(asked).tolist()
    target = [-1] * len(asked.ids)
    for entity in np.argsort(mixed(asked.keys)).tolist():
        point = int(np.searchsorted(places, asked.keys[entity]))
        while not room[owners[point % len(owners)]]:
            point += 1
        target[entity] = int(owners[point % len(owners)])
        room[target[entity]] -= 1
    return target


@given(st.integers(0, 80), weight_lists, loads, st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_it_is_the_rule_one_entity_after_the_other(
    count: int, weights: list[int], load: float, points: int, seed: int
) -> None:
    ring, asked = Ring(load, points), population(count, weights, seed)
    assert routed(ring, asked).tolist() == one_by_one(ring, asked)


@given(st.integers(0, 300), weight_lists, loads, st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_no_version_gets_more_than_its_bound(
    count: int, weights: list[int], load: float, points: int, seed: int
) -> None:
    got = np.bincount(routed(Ring(load, points), population(count, weights, seed)), minlength=len(weights))
    for have, weight in zip(got.tolist(), weights, strict=True):
        assert have <= math.ceil(round(load * weight / sum(weights) * count, 6))


@given(weight_lists, st.permutations(range(4)))
def test_the_order_of_versions_means_nothing(weights: list[int], order: list[int]) -> None:
    asked = population(200, [*weights, 0, 0, 0, 0][:4])
    mixed_up = Population(
        tuple(VERSIONS[place] for place in order),
        tuple(asked.weights[place] for place in order),
        *(getattr(asked, name) for name in ("ids", "keys", "current", "arrival", "origin")),
    )
    assert [order[place] for place in routed(Ring(1.1), mixed_up).tolist()] == routed(Ring(1.1), asked).tolist()


def test_where_nobody_is_full_a_weight_that_grows_takes_and_gives_nothing() -> None:
    ring = Ring(load=1e6)
    before, after = (routed(ring, population(10_000, weights)) for weights in ([9, 1, 0], [8, 2, 0]))
    assert set(after[after != before].tolist()) == {1}


def test_where_versions_are_full_not_many_more_move_than_must() -> None:
    ring = Ring(load=1.1)
    before, after = (routed(ring, population(10_000, weights)) for weights in ([60, 30, 10], [50, 30, 20]))
    must = np.maximum(np.bincount(after) - np.bincount(before), 0).sum()
    assert must <= (after != before).sum() < 2 * must


def test_shares_come_close_to_weights() -> None:
    got = np.bincount(routed(Ring(), population(100_000, [70, 20, 10]))) / 100_000
    assert got == pytest.approx([0.7, 0.2, 0.1], rel=0.25)
    assert np.bincount(routed(Ring(load=1.0), population(100_000, [70, 20, 10]))).tolist() == [70_000, 20_000, 10_000]


def test_nothing_is_done_entity_by_entity() -> None:
    """The lines of Python that run do not become more with the entities, only with the versions that fill up."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    asked = population(100_000, [4, 3, 2, 1])
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        routed(Ring(load=1.0), asked)
    finally:
        sys.settrace(before)
    assert 0 < lines < 1000


@pytest.mark.parametrize("options", [{"load": 0.99}, {"load": math.nan}, {"load": math.inf}, {"points": 0}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Ring(**options)
