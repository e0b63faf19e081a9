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


class Directory:
    """Finds rows of one version again and again: ids are sorted once for as long as no row changes its place."""

    def __init__(self) -> None:
        self._of: tuple[weakref.ref[Table], int] | None = None
        """Which table, and in which layout, was looked at last."""
        self._ids: NDArray[np.int64] | None = None
        """Its ids in ascending order; None as long as it was looked at once only, which pays for no sorting."""
        self._order: NDArray[np.int64] | None = None
        """Their rows; None where they are in this order."""

    def rows(self, table: Table, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each of `ids`, of which some may stand several times, its row, or -1."""
        if self._of is None or self._of[0]() is not table or self._of[1] != table.layout:
            self._of, self._ids, self._order = (weakref.ref(table), table.layout), None, None
            distinct, places = np.unique(ids, return_inverse=True)
            return rows_of(table, distinct)[places]
        if self._ids is None:
            self._sort(table[ID])
        return self._looked_up(ids)

    def _sort(self, column: NDArray[np.int64]) -> None:
        ascending = bool((column[1:] > column[:-1]).all())
        self._order = None if ascending else np.argsort(column)
        self._ids = column.copy() if self._order is None else column[self._order]

    def _looked_up(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        column, order = self._ids, self._order
        assert column is not None
        if not len(column):
            return np.full(len(ids), -1, np.int64)
        places = np.minimum(np.searchsorted(column, ids), len(column) - 1)
        rows = places if order is None else order[places]
        return np.where(column[places] == ids, rows, -1)
