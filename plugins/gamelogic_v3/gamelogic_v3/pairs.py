"""Which points have another one close by: spatial hashing, in O(n log n) time and O(n) memory.

The grid's cells are half a radius wide, so that two points in one cell are always close: in a crowd nearly
everybody is found by looking at one neighbour. Only who is alone in a cell looks at the 5 x 5 cells around,
and no point is looked at by more than the 24 loners near it. So crowds cost no more than scattered points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Indices = NDArray[np.int64]

REACH = 2
"""How many cells away a close point can lie."""
CELL = 0.5005
"""A cell's width in radii: a little over a half, so that no rounding puts close points out of reach."""
CHUNK = 1 << 20
"""How many pairs are compared at once."""
SPAN = 2.0**31
"""Up to this many cells along an axis, two cell numbers fit into one int64."""


def has_neighbour(x: Points, y: Points, radius: float) -> NDArray[np.bool_]:
    """Tell for each point whether another one has `dx*dx + dy*dy < r*r`, each operation rounded to float32.

    Points that are not finite have no neighbours.
    """
    found = np.zeros(len(x), np.bool_)
    points = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    with np.errstate(over="ignore", under="ignore"):
        limit = np.square(np.float32(radius))
        if len(points) > 1 and limit > 0:
            columns = _cells(x[points], radius * CELL)
            rows = _cells(y[points], radius * CELL)
            # The margin keeps the reach of a column's first and last cells out of the columns beside it.
            stride = int(rows.max()) + 2 * REACH + 1
            keys = columns * stride + rows
            order = np.argsort(keys)
            points = points[order]
            found[points] = _Sorted(keys[order], x[points], y[points], limit).search(stride)
    return found


def _cells(positions: Points, width: float) -> Indices:
    """Number the cells along one axis from 0, so that cells up to REACH apart stay exactly as far apart."""
    cells = np.floor(positions.astype(np.float64) / width)
    lowest = float(cells.min())
    if float(cells.max()) - lowest < SPAN:
        return (cells - lowest).astype(np.int64)
    # Too far apart for an int64: what lies between is left out, down to a gap that nobody reaches across.
    distinct, cell = np.unique(cells, return_inverse=True)
    gaps = np.minimum(np.diff(distinct, prepend=distinct[0]), REACH + 1)
    return np.cumsum(gaps).astype(np.int64).take(cell)


class _Sorted:
    """Points in the order of their cells."""

    def __init__(self, keys: Indices, x: Points, y: Points, limit: np.float32) -> None:
        self.keys = keys
        self.x = x
        self.y = y
        self.limit = limit

    def search(self, stride: int) -> NDArray[np.bool_]:
        """Tell which points have a neighbour; `stride` leads from a cell to that in the next column."""
        found = np.zeros(len(self.keys), np.bool_)
        beside = self._close(slice(1, None), slice(None, -1))
        found[1:] |= beside
        found[:-1] |= beside
        for column in range(-REACH, REACH + 1):
            lone = np.flatnonzero(~found)
            lowest = self.keys[lone] + (column * stride - REACH)
            first = np.searchsorted(self.keys, lowest)
            # Most loners have nobody in that column: the second search is spared them.
            some = self.keys.take(first, mode="clip") <= lowest + 2 * REACH
            lone, first = lone[some], first[some]
            last = np.searchsorted(self.keys, lowest[some] + 2 * REACH, side="right")
            self._compare(lone, first, last, found)
        return found

    def _compare(self, lone: Indices, first: Indices, last: Indices, found: NDArray[np.bool_]) -> None:
        """Compare each point of `lone` with those from `first` to `last`, CHUNK pairs at a time."""
        counts = last - first
        ends = np.cumsum(counts)
        start = 0
        while start < len(lone):
            done = int(ends[start] - counts[start])
            stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
            part = slice(start, stop)
            pairs = np.arange(done, ends[stop - 1])
            other = pairs + np.repeat(first[part] - ends[part] + counts[part], counts[part])
            who = np.repeat(lone[part], counts[part])
            found[who[self._close(who, other) & (who != other)]] = True
            start = stop

    def _close(self, left: Any, right: Any) -> NDArray[np.bool_]:
        dx = self.x[left] - self.x[right]
        dy = self.y[left] - self.y[right]
        dx *= dx
        dy *= dy
        dx += dy
        close: NDArray[np.bool_] = dx < self.limit
        return close
