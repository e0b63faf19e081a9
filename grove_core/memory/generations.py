"""Generations: the committed state before a tick, for every version of a module.

There are two, used in turn, so that the one before stays whole while the other is written. What a worker may
write is copied each tick; ids are copied when rows changed their places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, ID_DTYPE
from grove_core.memory.table import Table

GENERATIONS = 2
UNKNOWN = -1
"""A layout that no table has."""


class Snapshot:
    """One version's rows in one generation: a table of ids and of the columns that its worker may write."""

    def __init__(self, name: str, columns: Mapping[str, np.dtype[Any]], max_rows: int) -> None:
        self.names = tuple(columns)
        self.tick = -1
        """The tick before which it was taken; -1 if never."""
        self._layout = UNKNOWN
        self.table = Table(name, {ID: ID_DTYPE, **columns}, max_rows)

    def take(self, live: Table, tick: int) -> None:
        """Copy the live rows."""
        count = live.count
        if self._layout != live.layout:
            self.table.reserve(count)
            self.table.count = count
            np.copyto(self.table[ID], live[ID])
            self._layout = live.layout
        for name in self.names:
            np.copyto(self.table[name], live[name])
        self.tick = tick

    def extend(self, live: Table, start: int, stop: int, tick: int) -> None:
        """Copy rows that joined at the end since `take`, so that they too can be restored."""
        self.table.reserve(stop)
        self.table.count = max(self.table.count, stop) if self.tick == tick else stop
        for name in (ID, *self.names):
            np.copyto(self.table.rows(name, start, stop), live.rows(name, start, stop))
        self._layout = UNKNOWN  # only the next `take` copies all ids again
        self.tick = tick

    def restore(self, live: Table, start: int, stop: int) -> None:
        """Write the rows from `start` to `stop` back; they are where they were when the snapshot was taken."""
        for name in self.names:
            np.copyto(live.rows(name, start, stop), self.table.rows(name, start, stop))

    def restore_rows(self, live: Table, rows: NDArray[np.int64]) -> None:
        """Write scattered rows back."""
        for name in self.names:
            live[name][rows] = self.table[name][rows]


class Generations:
    """The generations of one version, taken in turn."""

    def __init__(self, name: str, columns: Mapping[str, np.dtype[Any]], max_rows: int) -> None:
        self.snapshots: list[Snapshot] = []
        try:
            for number in range(GENERATIONS):
                self.snapshots.append(Snapshot(f"{name}#{number}", columns, max_rows))
        except BaseException:
            self.close()
            raise

    def take(self, live: Table, tick: int) -> None:
        """Copy the live rows into the generation of `tick`."""
        self.of(tick).take(live, tick)

    def of(self, tick: int) -> Snapshot:
        """Return the generation that belongs to `tick`."""
        return self.snapshots[tick % GENERATIONS]

    @property
    def bytes(self) -> int:
        """The pages they hold, in bytes."""
        return sum(snapshot.table.bytes for snapshot in self.snapshots)

    def close(self) -> int:
        """Give back every page and return how many bytes that were."""
        return sum(snapshot.table.close() for snapshot in self.snapshots)
