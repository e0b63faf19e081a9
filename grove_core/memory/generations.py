"""Generations: the committed state before a tick, for every version of a module.

There are two, used in turn, so that the one before stays whole while the other is written. What a worker may
write is copied each tick; ids are copied when rows changed their places. They lie in the table's own arena, in
slots that no worker may write, so that they go along when another version adopts the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, ID_DTYPE, Array
from grove_core.memory.arena import Arena, Slot, Views
from grove_core.memory.table import Table

GENERATIONS = 2
UNKNOWN = -1
"""A layout that no table has, and a tick that never was."""


class Snapshot:
    """One version's rows in one generation: ids, and the columns that its worker may write.

    Args:
        arena: where they lie.
        slots: column name -> slot, `id` among them.
        tick: the tick before which all of them were taken.
        layout: the layout of the table when the ids were taken.
        count: how many rows.
    """

    def __init__(
        self, arena: Arena, slots: Mapping[str, Slot], tick: int = UNKNOWN, layout: int = UNKNOWN, count: int = 0
    ) -> None:
        self.slots = dict(slots)
        self.tick = tick
        self.count = count
        self.layout = layout
        self._arrays = Views(arena, self.slots)
        self._names = tuple(name for name in slots if name != ID)

    def __getitem__(self, name: str) -> Array:
        """Return the rows of a column, a view of shape (count,)."""
        return self._arrays[name][: self.count]

    def take(self, live: Table, tick: int) -> None:
        """Copy the live rows."""
        count = live.count
        if self.layout != live.layout:
            np.copyto(self._arrays[ID][:count], live[ID])
            self.layout = live.layout
            self.count = count
        for name in self._names:
            np.copyto(self._arrays[name][:count], live[name])
        self.tick = tick

    def extend(self, live: Table, start: int, stop: int, tick: int) -> None:
        """Copy rows that joined since `take`, and all between them and what is there, so that they can be restored."""
        if self.tick == tick and self.layout == live.layout:
            return
        known = self.count if self.tick == tick else 0
        start = min(start, known)
        if start == 0 and stop == live.count:
            self.take(live, tick)
            return
        self.count = max(known, stop)
        for name in (ID, *self._names):
            np.copyto(self._arrays[name][start:stop], live.rows(name, start, stop))
        self.layout = UNKNOWN  # only the next `take` copies all ids again
        self.tick = tick

    def drop_views(self) -> None:
        """Let go of the arena's memory, so that it can be unmapped."""
        self._arrays.clear()

    def copy_from(self, other: Snapshot) -> None:
        """Become what `other`, which has the same columns, is. There is room for as many rows."""
        self.tick, self.layout, self.count = other.tick, other.layout, other.count
        for name in self.slots:
            np.copyto(self[name], other[name])

    def replace_rows(self, rows: NDArray[np.int64], other: Snapshot, others: NDArray[np.int64]) -> None:
        """Have rows be what rows of `other`, which has the same columns, are; ids are not looked at."""
        for name in self._names:
            self[name][rows] = other[name][others]

    def restore(self, live: Table, start: int, stop: int) -> None:
        """Write the rows from `start` to `stop` back; they are where they were when the snapshot was taken."""
        for name in self._names:
            np.copyto(live.rows(name, start, stop), self._arrays[name][start:stop])

    def restore_rows(self, live: Table, rows: NDArray[np.int64]) -> None:
        """Write scattered rows back."""
        for name in self._names:
            live[name][rows] = self._arrays[name][rows]


class Generations:
    """The generations of one version, taken in turn."""

    def __init__(self, snapshots: tuple[Snapshot, ...]) -> None:
        self.snapshots = snapshots

    @classmethod
    def make(cls, arena: Arena, columns: Mapping[str, np.dtype[Any]]) -> Self:
        """Make empty generations for a table in this arena.

        Args:
            arena: the table's.
            columns: the columns that a worker may write.
        """
        every = {ID: ID_DTYPE, **columns}
        slots = iter(arena.allocate(list(every.values()) * GENERATIONS))
        return cls(tuple(Snapshot(arena, {name: next(slots) for name in every}) for _ in range(GENERATIONS)))

    def take(self, live: Table, tick: int) -> None:
        """Copy the live rows into the generation of `tick`."""
        self.of(tick).take(live, tick)

    def of(self, tick: int) -> Snapshot:
        """Return the generation that belongs to `tick`."""
        return self.snapshots[tick % GENERATIONS]
