"""The default router: the exact quota with the fewest moves; the way back gives the same entities back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grove_core.base.errors import InvalidInput
from grove_core.parts.contracts import NEW, Population

Rows = NDArray[np.int64]


class Quota:
    """Moves what a version has over its quota, and nothing else.

    A version gives those that came last, ties by key: last in, first out. What is given goes back to where it
    came from, where there is room, and otherwise, by key, to the versions with room in their order; new
    entities fill what is left in the same way. Nothing is sorted in full.
    """

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return for each entity the index of its version; version i gets exactly `quota[i]`.

        Raises:
            InvalidInput: the quotas are not one a version, or their sum is not the number of entities.
        """
        if len(quota) != len(population.versions) or int(quota.sum()) != len(population.ids):
            raise InvalidInput(
                f"the quotas {quota.tolist()} do not share {len(population.ids)} entities out "
                f"among {len(population.versions)} versions"
            )
        target = population.current.astype(np.int32)
        room = quota.astype(np.int64)
        given = []
        for version in range(len(quota)):
            inside = target == version
            room[version] -= np.count_nonzero(inside)
            if room[version] < 0:
                given.append(_latest(population, np.flatnonzero(inside), -int(room[version])))
                room[version] = 0
        homeless = _send_home(population, np.concatenate(given), room, target) if given else _NOBODY
        _deal(population, homeless, room, target)
        _deal(population, np.flatnonzero(population.current == NEW), room, target)
        return target


_NOBODY: Rows = np.empty(0, np.int64)


def _latest(population: Population, rows: Rows, count: int) -> Rows:
    """Return the `count` of `rows` that arrived last; of those that arrived together, the lowest keys."""
    if count == len(rows):
        return rows
    arrival = population.arrival[rows]
    if arrival.min() == arrival.max():
        return _lowest(population, rows, count)
    edge = np.partition(arrival, len(rows) - count)[len(rows) - count]
    later = rows[arrival > edge]
    return np.concatenate((later, _lowest(population, rows[arrival == edge], count - len(later))))


def _lowest(population: Population, rows: Rows, count: int) -> Rows:
    """Return the `count` of `rows` with the lowest keys, in no order."""
    if count >= len(rows):
        return rows
    keys = population.keys[rows]
    # Keys are distinct, and to partition values is faster than to partition their indices.
    lowest: Rows = rows[keys < np.partition(keys, count)[count]]
    return lowest


def _send_home(population: Population, given: Rows, room: NDArray[np.int64], target: NDArray[np.int32]) -> Rows:
    """Send each given entity back to its origin while there is room; return those left over."""
    origin = population.origin[given]
    homeless = np.ones(len(given), np.bool_)
    for version in np.flatnonzero(room):
        candidates = np.flatnonzero(origin == version)
        if len(candidates) > room[version]:
            keys = population.keys[given[candidates]]
            candidates = candidates[keys < np.partition(keys, room[version])[room[version]]]
        target[given[candidates]] = version
        homeless[candidates] = False
        room[version] -= len(candidates)
    return given[homeless]


def _deal(population: Population, rows: Rows, room: NDArray[np.int64], target: NDArray[np.int32]) -> None:
    """Fill the room of the versions, in their order, with `rows` by key; `room` shrinks."""
    ends = np.minimum(np.cumsum(room), len(rows))
    taken = np.diff(ends, prepend=0)
    inner = np.unique(ends[(ends > 0) & (ends < len(rows))])
    if len(inner):
        # A partition at each boundary is enough: within one version the order means nothing.
        rows = rows[np.argpartition(population.keys[rows], inner)]
    target[rows] = np.repeat(np.arange(len(room), dtype=np.int32), taken)
    room -= taken
