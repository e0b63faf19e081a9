"""Which row of a table an id has."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID
from grove_core.memory.generations import Snapshot
from grove_core.memory.table import Table

FEW = 16
"""Up to so many ids are looked up by comparing each with the whole column."""


def rows_of(table: Table | Snapshot, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each of `ids` its row in the table, or in a generation of it, or -1."""
    column = table[ID]
    found = np.full(len(ids), -1, np.int64)
    if not len(column) or not len(ids):
        return found
    if len(ids) <= FEW:
        for position, wanted in enumerate(ids):
            here = np.flatnonzero(column == wanted)
            if len(here):
                found[position] = here[0]
        return found
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    places = np.searchsorted(ordered, column)
    places[places == len(ordered)] = 0
    rows = np.flatnonzero(ordered[places] == column)
    found[order[places[rows]]] = rows
    return found


SPARSE = 8
"""Up to so many places for each id there is a list of all places between the lowest and the highest of them."""


class Directory:
    """Finds rows of one version again and again: what it sorts holds for as long as no row changes its place."""

    def __init__(self) -> None:
        self._of: tuple[weakref.ref[Table], int] | None = None
        """Which table, and in which layout, was looked at last."""
        self._finder: _Listed | _Sorted | None = None
        """None as long as it was looked at once only, which is not worth it."""

    def rows(self, table: Table, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each of `ids`, of which some may stand several times, its row, or -1."""
        if self._of is None or self._of[0]() is not table or self._of[1] != table.layout:
            self._of, self._finder = (weakref.ref(table), table.layout), None
            distinct, places = np.unique(ids, return_inverse=True)
            return rows_of(table, distinct)[places]
        if self._finder is None:
            self._finder = _finder_of(table[ID])
        return self._finder.rows(ids)


class _Listed:
    """Finds rows in a list of all that may have one."""

    def __init__(self, column: NDArray[np.int64], lowest: int, highest: int) -> None:
        self._lowest, self._highest = lowest, highest
        self._rows = np.full(highest - lowest + 1, -1, np.int64)
        self._rows[column - lowest] = np.arange(len(column))

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each, or -1."""
        inside = (ids >= self._lowest) & (ids <= self._highest)
        return np.where(inside, self._rows[np.where(inside, ids - self._lowest, 0)], -1)


class _Sorted:
    """Finds rows in ids that are sorted."""

    def __init__(self, column: NDArray[np.int64]) -> None:
        self._order = np.argsort(column)
        self._ids = column[self._order]

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each, or -1."""
        if not len(self._ids):
            return np.full(len(ids), -1, np.int64)
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[places] == ids, self._order[places], -1)


def _finder_of(column: NDArray[np.int64]) -> _Listed | _Sorted:
    if len(column):
        lowest, highest = int(column.min()), int(column.max())
        if highest - lowest < SPARSE * len(column):
            return _Listed(column, lowest, highest)
    return _Sorted(column)
