"""The default router: exact, with the fewest moves, and the way back gives the same entities back."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.base.errors import InvalidInput
from grove_core.parts.contracts import NEW, Population
from grove_core.routing.quota import Quota
from grove_core.routing.shares import keys, quotas, salt

VERSIONS = tuple(Version(f"{major}.0.0") for major in range(1, 5))
weights = st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(any)


class World:
    """Entities as an engine keeps them: where they are, since which split, and from where."""

    def __init__(self, ids):
        self.ids = np.array(ids, np.int64)
        self.keys = keys(self.ids, salt("gamelogic"))
        self.current = np.full(len(self.ids), NEW, np.int32)
        self.arrival = np.zeros(len(self.ids), np.int64)
        self.origin = np.full(len(self.ids), NEW, np.int32)
        self.number = 0

    def population(self, order=slice(None)):
        columns = [column[order] for column in (self.ids, self.keys, self.current, self.arrival, self.origin)]
        for column in columns:
            column.flags.writeable = False
        return Population(VERSIONS, (0.25,) * 4, *columns)

    def split(self, values, order=None):
        """Split by `values`, looked at in another `order`; return who moved."""
        order = np.arange(len(self.ids)) if order is None else order
        quota = quotas([value / sum(values) for value in values], len(self.ids))
        target = np.empty_like(self.current)
        {name: column.copy() for name, column in vars(self).items() if isinstance(column, np.ndarray)}
        target[order] = Quota().route(self.population(order), quota)
        assert target.dtype == np.int32
        assert np.bincount(target, minlength=4).tolist() == quota.tolist()
        moved = (target != self.current) & (self.current != NEW)
        room = quota - np.bincount(self.current[self.current != NEW], minlength=4)
        assert moved.sum() == np.maximum(-room, 0).sum()
        self.number += 1
        self.arrival[moved] = self.number
        self.origin[moved] = self.current[moved]
        self.current = target
        return moved


id_lists = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60, unique=True)


@given(id_lists, st.lists(weights, min_size=1, max_size=6), weights, weights)
def test_going_back_gives_the_same_entities_back(ids, history, here, there):
    world = World(ids)
    for values in history:
        world.split(values)
    world.split(here)
    before = world.current.copy()
    world.split(there)
    world.split(here)
    assert world.current.tolist() == before.tolist()


@given(id_lists, st.lists(st.integers(0, 100), min_size=1, max_size=8))
def test_a_canary_shrinks_by_the_steps_by_which_it_grew(ids, shares):
    world = World(ids)
    world.split([100, 0, 0, 0])
    seen = []
    for share in sorted(shares):
        world.split([100 - share, share, 0, 0])
        seen.append(world.current.tolist())
    for share in sorted(shares, reverse=True):
        world.split([100 - share, share, 0, 0])
        assert world.current.tolist() == seen.pop()


@given(id_lists, st.lists(weights, min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_entities_means_nothing(ids, history, random):
    one, other = World(ids), World(ids)
    for values in history:
        one.split(values)
        other.split(values, np.array(random.sample(range(len(ids)), len(ids)), np.int64))
        assert one.current.tolist() == other.current.tolist()


@given(id_lists.filter(lambda ids: len(ids) > 3), weights, weights, st.integers(0, 2**32 - 1))
def test_entities_without_a_version_fill_what_is_left(ids, first, second, seed):
    world = World(ids)
    world.split(first)
    lost = np.random.default_rng(seed).random(len(ids)) < 0.3
    world.current[lost] = NEW
    world.split(second)
    assert (world.current != NEW).all()


def test_a_canary_of_ten_grows_and_shrinks():
    world = World(range(100))
    assert not world.split([10, 0, 0, 0]).any()
    ten = np.flatnonzero(world.split([9, 1, 0, 0]))
    assert len(ten) == 10
    assert world.split([7, 3, 0, 0]).sum() == 20
    assert set(ten) <= set(np.flatnonzero(world.current == 1))
    assert world.split([9, 1, 0, 0]).sum() == 20
    assert np.flatnonzero(world.current == 1).tolist() == ten.tolist()


def test_those_that_came_last_go_first_and_of_them_the_lowest_keys():
    world = World(range(10))
    world.current[:] = 0
    world.arrival[:] = [3, 3, 3, 2, 2, 2, 2, 1, 1, 0]
    target = Quota().route(world.population(), np.array([5, 5, 0, 0]))
    second = sorted(range(3, 7), key=lambda row: world.keys[row])[:2]
    assert np.flatnonzero(target == 1).tolist() == sorted([0, 1, 2, *second])


def test_home_comes_before_the_order_of_versions():
    world = World(range(6))
    world.current[:] = 3
    world.origin[:] = [2, 2, 2, 1, 1, NEW]
    target = Quota().route(world.population(), np.array([2, 2, 2, 0]))
    two = sorted(range(3), key=lambda row: world.keys[row])
    assert set(np.flatnonzero(target == 2)) == set(two[:2])
    assert set(np.flatnonzero(target == 1)) == {3, 4}
    assert set(np.flatnonzero(target == 0)) == {two[2], 5}


def test_new_entities_are_dealt_by_key_in_the_order_of_versions():
    world = World(range(50))
    world.split([1, 2, 0, 7])
    assert world.current[np.argsort(world.keys)].tolist() == [0] * 5 + [1] * 10 + [3] * 35


@pytest.mark.parametrize("size", [0, 1, 3])
def test_few_entities(size):
    world = World(range(size))
    for values in ([1, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0], [1, 1, 1, 1]):
        world.split(values)
    assert len(world.current) == size


@pytest.mark.parametrize("quota", [[5, 4, 0, 0], [5, 5], [11, 0, 0, 0]])
def test_a_quota_that_does_not_fit_is_refused(quota):
    with pytest.raises(InvalidInput, match="quotas"):
        Quota().route(World(range(10)).population(), np.array(quota))


def test_a_million_entities_take_no_full_sort():
    world = World(range(1_000_000))
    world.split([10, 0, 0, 0])
    took = []
    for values in ([9, 1, 0, 0], [7, 3, 0, 0], [9, 1, 0, 0]):
        population, quota = world.population(), quotas([value / 10 for value in values], 1_000_000)
        start = time.process_time()
        Quota().route(population, quota)
        took.append(time.process_time() - start)
        world.split(values)
    start = time.process_time()
    np.lexsort((world.keys, world.arrival, world.current))
    assert min(took) < time.process_time() - start
