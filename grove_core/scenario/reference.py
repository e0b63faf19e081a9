"""What the three versions ought to compute: plain numpy over one set of arrays that never met Grove.

It is told which version an entity has, and nothing else. Collisions are looked for only when somebody asks,
from the positions, by another method than the version's own: rows sorted by x are compared with their
neighbours, the next one, the one after it, and so on while any pair is still close enough in x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

GRAVITY = 9.8
"""What v3 adds to vy, in units per second and second."""
FIELD = 1000.0
"""x and y below 0 or above this have collided with the border, in v2 and v3."""
RADIUS = 0.5
"""Entities of v3 that are closer than this have collided with each other."""

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Comparison:
    """How a version's columns differ from the reference's."""

    right: NDArray[np.bool_]
    """One value an entity, in the order of the reference's ids: every column is the same, bit for bit."""
    lost: int
    """Entities of the reference that the version's columns lack."""
    foreign: int
    """Rows that are not an entity of the reference, or one of them a second time."""
    differences: tuple[str, ...]
    """What differs, a sentence a column."""


class Reference:
    """Every entity, as it ought to be.

    Args:
        ids: distinct int64 ids, in any order.
        columns: x, y, vx and vy of the entities, float32, in the order of `ids`.
    """

    def __init__(self, ids: NDArray[np.int64], columns: Mapping[str, NDArray[np.float32]]) -> None:
        order = np.argsort(ids)
        self.ids = ids[order]
        self.x, self.y, self.vx, self.vy = (columns[name][order] for name in ("x", "y", "vx", "vy"))
        self.collided = np.zeros(len(ids), np.bool_)
        self.mass = np.ones(len(ids), np.float32)
        self.major = np.ones(len(ids), np.int64)
        """The major number of the version each entity has."""
        self._falling = np.zeros(0, np.intp)
        self._calls: NDArray[np.int64] | None = None
        self._moved = False

    def assign(self, ids: NDArray[np.int64], majors: NDArray[np.int64]) -> None:
        """Take over which version the entities have now; those that are not named keep theirs."""
        self._look_for_collisions()
        known = np.isin(ids, self.ids)
        self.major[np.searchsorted(self.ids, ids[known])] = majors[known]
        self._falling = np.flatnonzero(self.major == 3)

    def tick(self, dt: float, calls: NDArray[np.int64] | None = None) -> None:
        """Move every entity by `dt` seconds, in float32, each as its version would.

        Args:
            dt: seconds.
            calls: a number for each entity, in the order of `ids`; entities of one version that have another number
                were processed by another call, and did not see each other. None: each version had one call.
        """
        self._calls = calls
        if len(self._falling):
            self.vy[self._falling] += np.float32(GRAVITY * dt)
        step = np.float32(dt)
        self.x += self.vx * step
        self.y += self.vy * step
        self._moved = True

    def columns(self, major: int) -> Columns:
        """Return what the schema of this version holds for every entity, in the order of `ids`."""
        self._look_for_collisions()
        columns: Columns = {"id": self.ids, "x": self.x, "y": self.y, "vx": self.vx, "vy": self.vy}
        if major >= 2:
            columns["collided"] = self.collided
        if major >= 3:
            columns["mass"] = self.mass
        return columns

    def compare(self, major: int, found: Mapping[str, NDArray[Any]]) -> Comparison:
        """Hold a version's columns against the reference, bit for bit.

        Args:
            major: the version's major number.
            found: its columns, `id` among them, in any order of rows.
        """
        expected = self.columns(major)
        ids, rows = np.unique(found["id"], return_index=True)
        known = np.isin(ids, self.ids)
        rows, place = rows[known], np.searchsorted(self.ids, ids[known])
        right = np.zeros(len(self.ids), np.bool_)
        right[place] = True
        lost = len(self.ids) - len(place)
        foreign = len(found["id"]) - len(place)
        differences = [f"{lost} entities are missing"] * bool(lost)
        differences += [f"{foreign} rows are no entities that were spawned"] * bool(foreign)
        if found.keys() != expected.keys():
            right[:] = False
            differences.append(f"the columns are {', '.join(found)} and not {', '.join(expected)}")
        for name in found.keys() & expected.keys():
            same = _same_bits(found[name][rows], expected[name][place])
            right[place[~same]] = False
            if not same.all():
                differences.append(f"{name} differs in {int((~same).sum())} of {len(same)} entities")
        return Comparison(right, lost, foreign, tuple(differences))

    def _look_for_collisions(self) -> None:
        """Bring `collided` up to the last tick, for the versions the entities had in it."""
        if not self._moved:
            return
        self._moved = False
        outside = (self.x < 0) | (self.x > FIELD) | (self.y < 0) | (self.y > FIELD)
        watched = self.major >= 2
        self.collided[watched] = outside[watched]
        for together in self._falling_together():
            near = touching(self.x[together], self.y[together])
            self.collided[together[near]] = True

    def _falling_together(self) -> list[NDArray[np.intp]]:
        """Return the entities of v3, those of each call by themselves."""
        if self._calls is None:
            return [self._falling]
        calls = self._calls[self._falling]
        return [self._falling[calls == call] for call in np.unique(calls)]


def touching(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell for each point whether another one is closer than the radius; all is computed in float32."""
    order = np.argsort(x)
    x, y = x[order], y[order]
    near = np.zeros(len(x), np.bool_)
    left = np.arange(len(x) - 1)
    shift = 1
    while len(left):
        dx = x[left + shift] - x[left]
        within = dx < RADIUS
        left, dx = left[within], dx[within]
        dy = y[left + shift] - y[left]
        hit = left[dx * dx + dy * dy < np.float32(RADIUS * RADIUS)]
        near[hit] = True
        near[hit + shift] = True
        shift += 1
        left = left[left + shift < len(x)]
    found = np.zeros(len(x), np.bool_)
    found[order] = near
    return found


def _same_bits(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    if found.dtype != expected.dtype:
        return np.zeros(len(expected), np.bool_)
    bits = np.dtype(f"u{expected.dtype.itemsize}")
    same: NDArray[np.bool_] = np.ascontiguousarray(found).view(bits) == np.ascontiguousarray(expected).view(bits)
    return same
