"""The default router: the exact quota with the fewest moves; the way back gives the same entities back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grove_core.base.errors import InvalidInput
from grove_core.parts.contracts import NEW, Group, Population

Rows = NDArray[np.int64]
LEVELS = 8
"""So many splits are looked through one by one, from the latest back."""
GUESS = 6.0
"""How many standard deviations a guessed bound may be wrong by."""


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
        if len(quota) != len(population.versions) or int(quota.sum()) != population.size:
            raise InvalidInput(
                f"the quotas {quota.tolist()} do not share {population.size} entities out "
                f"among {len(population.versions)} versions"
            )
        target = population.current.astype(np.int32)
        room = quota - population.counts()
        given = [_latest(population.group(int(version)), -int(room[version])) for version in np.flatnonzero(room < 0)]
        np.maximum(room, 0, out=room)
        if given:
            _deal(_send_home(Given.of(given), room, target), room, target)
        if room.any():
            new = population.group(NEW)
            _deal(Given(new.rows, new.keys, np.empty(0, np.int32)), room, target)
        return target


@dataclass(frozen=True)
class Given:
    """Entities that need a version: their places in the population, keys, and origins."""

    rows: Rows
    keys: NDArray[np.uint64]
    origin: NDArray[np.int32]

    @classmethod
    def of(cls, parts: Sequence[Given]) -> Given:
        """Put several together."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.origin for part in parts]),
        )

    def only(self, chosen: NDArray[np.bool_]) -> Given:
        """Return those where `chosen` holds."""
        return self if chosen.all() else Given(self.rows[chosen], self.keys[chosen], self.origin[chosen])


def _latest(group: Group, count: int) -> Given:
    """Return the `count` of a group that arrived last; of those that arrived together, the lowest keys."""
    arrival, size = group.arrival, len(group.rows)
    if count == size:
        chosen = np.arange(size)
    else:
        edge, later = _edge(arrival, count)
        if not later and edge == arrival.min():
            chosen = _lowest(group.keys, count)
        else:
            places = np.flatnonzero(arrival == edge)
            lowest = places[_lowest(group.keys[places], count - later)]
            chosen = np.concatenate((np.flatnonzero(arrival > edge), lowest)) if later else lowest
    return Given(group.rows[chosen], group.keys[chosen], group.origin(chosen))


def _edge(arrival: NDArray[np.int64], count: int) -> tuple[int, int]:
    """Return the arrival of the first of the `count` that arrived last, and how many arrived after that.

    Most arrived together, with few splits: the maximum is found many times faster than an order statistic, and
    np.partition is at its slowest where values are equal.
    """
    later = 0
    for _ in range(LEVELS):
        edge = int(arrival.max())
        if edge == arrival.min():
            return edge, later
        earlier = arrival < edge
        here = len(arrival) - int(np.count_nonzero(earlier))
        if later + here >= count:
            return edge, later
        later += here
        arrival = arrival[earlier]
    ordered = np.sort(arrival)
    edge = int(ordered[later - count])
    return edge, later + len(ordered) - int(np.searchsorted(ordered, edge, side="right"))


def _lowest(keys: NDArray[np.uint64], count: int) -> Rows:
    """Return the places of the `count` lowest keys, in no order.

    Keys are hashes: between the lowest and the highest they lie evenly, so that the bound can be guessed, and only
    what lies about it is partitioned.
    """
    size = len(keys)
    if count >= size:
        return np.arange(size)
    low, high = int(keys.min()), int(keys.max())
    margin = GUESS * math.sqrt(count * (size - count) / size) + GUESS
    ends = (low + (high - low) * max(0.0, (count + side * margin) / size) for side in (-1, 1))
    sure, out = (min(int(end), high) for end in ends)
    below, about = (
        np.flatnonzero(keys < np.uint64(sure)),
        np.flatnonzero((keys >= np.uint64(sure)) & (keys <= np.uint64(out))),
    )
    missing = count - len(below)
    if not 0 <= missing < len(about):  # not so even after all
        below, about, missing = about[:0], np.arange(size), count
    near = keys[about]
    # Keys are distinct, and to partition values is faster than to partition their indices.
    return np.concatenate((below, about[near < np.partition(near, missing)[missing]]))


def _send_home(given: Given, room: NDArray[np.int64], target: NDArray[np.int32]) -> Given:
    """Send each given entity back to its origin while there is room; return those left over."""
    homeless = np.ones(len(given.rows), np.bool_)
    for version in np.flatnonzero(room):
        candidates = np.flatnonzero(given.origin == version)
        if len(candidates) > room[version]:
            candidates = candidates[_lowest(given.keys[candidates], int(room[version]))]
        target[given.rows[candidates]] = version
        homeless[candidates] = False
        room[version] -= len(candidates)
    return given.only(homeless)


def _deal(given: Given, room: NDArray[np.int64], target: NDArray[np.int32]) -> None:
    """Fill the room of the versions, in their order, with `given` by key; `room` shrinks."""
    rows = given.rows
    ends = np.minimum(np.cumsum(room), len(rows))
    taken = np.diff(ends, prepend=0)
    inner = np.unique(ends[(ends > 0) & (ends < len(rows))])
    if len(inner):
        # A partition at each boundary is enough: within one version the order means nothing.
        rows = rows[np.argpartition(given.keys, inner)]
    target[rows] = np.repeat(np.arange(len(room), dtype=np.int32), taken)
    room -= taken
