"""A table: the columns of one version's entities, by name, over an arena."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import Array
from grove_core.base.ways import MemoryKind
from grove_core.memory.arena import Arena, Slot, Views

Rows = NDArray[np.int64] | slice
"""Row numbers, or a run of rows with a start and a stop: a copy of a run is many times faster than a gather."""


def length(rows: Rows) -> int:
    """Return how many rows these are."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


class Table:
    """Columns of one length; the first `count` rows are alive.

    Args:
        arena: where they lie. Nobody else's rows do.
        slots: column name -> slot.
        count: how many rows are alive.
        layout: see the attribute.
    """

    def __init__(self, arena: Arena, slots: Mapping[str, Slot], count: int = 0, layout: int = 0) -> None:
        self.arena = arena
        self.slots = dict(slots)
        self.count = count
        self.layout = layout
        """Changes whenever a row comes, goes or changes its place."""
        self._arrays = Views(arena, self.slots)

    @classmethod
    def make(
        cls, name: str, columns: Mapping[str, np.dtype[Any]], max_rows: int, kind: MemoryKind = MemoryKind.MEMFD
    ) -> Self:
        """Make an empty table in an arena of its own."""
        arena = Arena(name, max_rows, kind)
        return cls(arena, dict(zip(columns, arena.allocate(list(columns.values())), strict=True)))

    def add(self, columns: Mapping[str, np.dtype[Any]]) -> None:
        """Add further columns; rows that are there hold zeros in them.

        Raises:
            OutOfMemory: no pages; nothing was added.
        """
        for name, slot in zip(columns, self.arena.allocate(list(columns.values())), strict=True):
            if self.count:
                self.arena.array(slot)[: self.count] = 0
            self.slots[name] = slot
            self._arrays.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self.slots

    def __getitem__(self, name: str) -> Array:
        """Return the live rows of a column, a view of shape (count,)."""
        if not self.count:  # and perhaps no memory yet
            return np.empty(0, self.slots[name].dtype)
        return self._arrays[name][: self.count]

    def rows(self, name: str, start: int, stop: int) -> Array:
        """Return a view of rows that may lie beyond the live ones, within the capacity."""
        return self._arrays[name][start:stop]

    def drop_views(self) -> None:
        """Let go of the arena's memory, so that it can be unmapped."""
        self._arrays.clear()
        self.count = 0

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows in all, alive or not; see `Arena.reserve`."""
        self.arena.reserve(rows)

    def append(self, rows: int) -> tuple[int, int]:
        """Reserve `rows` more and return their range. They are not alive until `count` says so."""
        self.reserve(self.count + rows)
        return self.count, self.count + rows

    def fill_holes(self, removed: Iterable[Rows], total: int) -> int:
        """Move rows from the end of the first `total` into the holes `removed` leaves; return what remains.

        Nothing is alive or dead by it: the caller sets `count`. Doing it twice changes nothing, since the rows
        that move are not written. Rows that stay are not looked at.

        Args:
            removed: row numbers below `total`, distinct over all of them, in any order.
            total: the number of rows to compact.
        """
        parts = list(removed)
        remaining = total - sum(map(length, parts))
        if not remaining or all(isinstance(rows, slice) and rows.start >= remaining for rows in parts):
            return remaining
        gone = np.concatenate([np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows for rows in parts])
        holes = gone[gone < remaining]
        if len(holes):
            tail = np.ones(total - remaining, np.bool_)
            tail[gone[gone >= remaining] - remaining] = False
            movers = np.flatnonzero(tail)
            for name in self.slots:
                array = self._arrays[name]
                array[holes] = array[remaining:total].take(movers)
        return remaining
