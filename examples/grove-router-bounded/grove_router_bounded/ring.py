"""Consistent hashing with bounded loads.

Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016, arXiv:1608.01350): versions stand at
points of a ring, an entity goes to the first version clockwise from its own place that is not full.
"""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from packaging.utils import canonicalize_version
from packaging.version import Version

from grove_core.parts.contracts import Population

Keys = NDArray[np.uint64]
Index = NDArray[np.int32]


class Ring:
    """Sends an entity to the next version clockwise that has less than `load` times its share.

    A version of weight w gets at most ceil(load * w * n) of n entities; the quota is not looked at. Entities ask in
    an order that is hashed from their keys, so that who finds a version full does not depend on how they stand.

    Args:
        load: how much more than its share a version may have, at least 1. Close to 1 shares are nearly exact, and
            a change of weights moves more entities than it must; far above 1 it is plain consistent hashing.
        points: the points on the ring, shared out by weight. The more, the closer to their shares versions come
            before any is full: an arc is 1 / points long on average, and a version with k points strays by about
            1 / sqrt(k) of its share.

    Raises:
        ValueError: an option that means nothing.
    """

    def __init__(self, load: float = 1.25, points: int = 1000) -> None:
        if not (math.isfinite(load) and load >= 1):
            raise ValueError(f"load must be finite and at least 1, not {load!r}")
        if not (isinstance(points, int) and points >= 1):
            raise ValueError(f"points must be a whole number, at least 1, not {points!r}")
        self.load = load
        self.points = points

    def route(self, population: Population, quota: NDArray[np.int64]) -> Index:
        """Return for each entity the index of its version."""
        count = len(population.versions)
        places, owners = self._ring(population)
        # The point that a key comes to first; past the last one stands the first.
        points = np.searchsorted(places, population.keys) % len(places)
        target = owners[points]
        room = self._bounds(population)
        if (np.bincount(target, minlength=count) <= room).all():
            return target
        return _fill(points, owners, room, mixed(population.keys))

    def _bounds(self, population: Population) -> NDArray[np.int64]:
        """Return the most that each version may have; together they have room for everybody."""
        everybody = len(population.ids)
        most = np.minimum(np.array(population.weights) * self.load * everybody, everybody)
        return np.ceil(np.round(most, 9)).astype(np.int64)

    def _ring(self, population: Population) -> tuple[Keys, Index]:
        """Return where the points stand, in order, and whose they are. A weight that grows adds points, and moves none.

        Where two versions meet in one point, the lower version comes first, whatever their order.
        """
        places: list[Keys] = []
        owners: list[Index] = []
        for version, index in sorted((version, index) for index, version in enumerate(population.versions)):
            weight = population.weights[index]
            mine = max(1, round(weight * self.points)) if weight > 0 else 0
            places.append(mixed(_seed(version) + np.arange(mine, dtype=np.uint64)))
            owners.append(np.full(mine, index, np.int32))
        ring, whose = np.concatenate(places), np.concatenate(owners)
        order = np.argsort(ring, kind="stable")
        return ring[order], whose[order]


def _fill(points: NDArray[np.int64], owners: Index, room: NDArray[np.int64], rank: Keys) -> Index:
    """Let entities ask in the order of their ranks, each at its point and then clockwise until a version has room.

    Not one by one: up to the rank at which the first version is full, everybody gets what is next; then the points
    of that version are its successors', and the rest goes on. There are at most as many rounds as versions.

    Args:
        points: at which point each entity asks first.
        owners: the version of each point.
        room: how many each version takes; changed.
        rank: who asks first: the lowest.
    """
    target = np.empty(len(points), np.int32)
    waiting = np.arange(len(points))
    while len(waiting):
        wanted = _next_open(owners, room)[points[waiting]]
        asked = np.bincount(wanted, minlength=len(room))
        last = [
            np.partition(rank[waiting[wanted == version]], room[version] - 1)[room[version] - 1]
            for version in np.flatnonzero(asked > room)
        ]
        served = rank[waiting] <= min(last) if last else np.ones(len(waiting), np.bool_)
        target[waiting[served]] = wanted[served]
        room -= np.bincount(wanted[served], minlength=len(room))
        waiting = waiting[~served]
    return target


def _next_open(owners: Index, room: NDArray[np.int64]) -> Index:
    """Return for each point the version of the first point from there on, clockwise, that has room."""
    open_points = np.flatnonzero(room[owners] > 0)
    following = np.searchsorted(open_points, np.arange(len(owners))) % len(open_points)
    return owners[open_points[following]]


def _seed(version: Version) -> np.uint64:
    """Return where the points of a version are hashed from: its text alone, so that every machine has one ring."""
    text = canonicalize_version(version).encode()
    return np.uint64(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))


def mixed(keys: Keys) -> Keys:
    """Return a hash of each key: the finish of splitmix64 (Steele, Lea and Flood 2014); one to one."""
    z = keys + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
