"""Which points have another one close by: spatial hashing, in O(n log n) time and O(n) memory.

The plane is cut into cells half a radius wide, and into columns of 16 cells. Points are put in order by column, by
row within the column, and by cell within the row, so that whoever is close in the same column stands a few steps
away. A second round does the same with strips about the columns' edges; so nobody is looked up in another column.

Two points in one cell are always close, and they stand side by side: in a crowd, comparing each point with the next
one finds nearly everybody. Only loners, at most one a cell, look further, and no point is met by more than the
loners around it. So crowds cost no more than scattered points.

What is done for each point is written twice, for numpy and for numba: see `by_numpy` and `by_numba`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float32]
Indices: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Keys: TypeAlias = NDArray[np.int64]
"""A point's place in the order, and in the lowest bits its index; `PAD` keys more stand before and after them."""

HasNeighbour: TypeAlias = Callable[[Points, Points, float], Flags]
"""`f(x, y, radius)` tells for each point whether another one is closer than the radius."""

REACH = 2
"""How many cells away a close point can lie."""
CELL = 0.5005
"""A cell's width in radii: a little over a half, so that no rounding puts close points out of reach."""
SHIFT = 4
"""A column is 1 << SHIFT cells wide. In wider ones more stands between close points, narrower ones have more edges."""
INSIDE = (1 << SHIFT) - 1
"""Leaves of a cell's number what counts within its column."""
WINDOW = (REACH << SHIFT) + REACH + 1
"""The places of close points in a column differ by less: they are at most REACH rows and REACH cells apart."""
STEPS = 6
"""How far a loner walks along the order by numpy; who has more around it stands in a crowd."""
PAD = STEPS + 1
"""So many keys at either end are out of everybody's reach: whoever walks need not look out for the end."""
FAR = 1 << 62
"""Such a key, negative at the front; the points' own keys are less than half of it."""


@dataclass(frozen=True)
class Grid:
    """How cells are numbered in one search."""

    left: float
    """The lowest x."""
    bottom: float
    """The lowest y."""
    per_unit: float
    """Cells in a unit of length."""
    stride: int
    """From a place to the same one in the next column; it keeps columns out of each other's reach."""
    bits: int
    """How many bits of a key hold the index."""
    places: int
    """So many places there are."""

    @property
    def fits(self) -> bool:
        """Whether keys can hold a place and an index."""
        return self.places << self.bits <= FAR // 2

    @classmethod
    def over(cls, x: Points, y: Points, radius: float) -> Grid:
        """Lay the cells for `radius` over all points."""
        per_unit = 1 / (radius * CELL)
        left, bottom = float(x.min()), float(y.min())
        columns = (int((float(x.max()) - left) * per_unit) + REACH >> SHIFT) + 1
        stride = int((float(y.max()) - bottom) * per_unit) + REACH + 1 << SHIFT
        bits = len(x).bit_length()
        return cls(left, bottom, per_unit, stride, bits, columns * stride)


@dataclass(frozen=True)
class Walked:
    """The keys of the round that has all points, sorted, and how many of their bits are the index."""

    keys: Keys
    bits: int

    @property
    def order(self) -> Indices:
        """The indices of the points, in their order."""
        return self.keys[PAD:-PAD] & ((1 << self.bits) - 1)


@dataclass(frozen=True)
class Search:
    """A way to find out who has a neighbour."""

    pack: Callable[[Points, Points, Grid, Keys, Keys], int]
    """`pack(x, y, grid, columns, strips)` writes the keys of all points by columns and those of the points near an
    edge by strips, both in any order from `PAD` on, and returns how many the latter are."""
    sort: Callable[[Keys, Grid], None]
    """`sort(keys, grid)` puts keys in the order of their places."""
    walk: Callable[[Keys, int, Points, Points, np.float32, Flags], None]
    """`walk(keys, bits, x, y, limit, found)` goes along sorted keys and marks who is close to somebody."""

    def __call__(self, x: Points, y: Points, radius: float) -> Flags:
        """Tell for each point whether another one has `dx*dx + dy*dy < r*r`, each operation rounded to float32.

        Points that are not finite have no neighbours.
        """
        found = np.zeros(len(x), np.bool_)
        self.mark(x, y, radius, found)
        return found

    def mark(self, x: Points, y: Points, radius: float, found: Flags) -> Walked | None:
        """Mark the same points in `found`; return in which order all of them were walked, None if they were not."""
        with np.errstate(over="ignore", under="ignore"):
            limit = np.square(np.float32(radius))
            if len(x) < 2 or not limit > 0:
                return None
            # One that is not finite is an extreme or, if it is NaN, makes both NaN: that spares passes over all.
            if all(map(np.isfinite, (x.min(), x.max(), y.min(), y.max()))):
                return self._mark(x, y, radius, limit, found)
            points = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
            among = np.zeros(len(points), np.bool_)
            if len(points) > 1:
                self._mark(x[points], y[points], radius, limit, among)
            found[points] = among
            return None

    def _mark(self, x: Points, y: Points, radius: float, limit: np.float32, found: Flags) -> Walked:
        grid, walked = Grid.over(x, y, radius), None
        for keys in self._packed(x, y, grid) if grid.fits else spread(x, y, grid):
            self.walk(keys, grid.bits, x, y, limit, found)
            walked = walked or Walked(keys, grid.bits)
        assert walked is not None
        return walked

    def _packed(self, x: Points, y: Points, grid: Grid) -> Iterator[Keys]:
        """Give the sorted keys of either round."""
        columns, strips = np.empty((2, len(x) + 2 * PAD), np.int64)
        near = self.pack(x, y, grid, columns, strips)
        for keys in (columns, strips[: near + 2 * PAD]):
            keys[:PAD], keys[-PAD:] = -FAR, FAR
            self.sort(keys[PAD:-PAD], grid)
            yield keys


class Remembering:
    """A search that takes points in the order in which it walked them last time.

    Where they hardly moved since, they are nearly in order again: that is sorted in a tenth of the time, and who is
    compared lies side by side in memory. Where they did, or their rows changed places, it merely takes longer.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._order: Indices | None = None

    def __call__(self, x: Points, y: Points, radius: float) -> Flags:
        """Tell for each point whether another one is close; see `Search`."""
        found, order = np.zeros(len(x), np.bool_), self._order
        if order is None or len(order) != len(x):
            walked = self.search.mark(x, y, radius, found)
            self._order = None if walked is None else walked.order
            return found
        among = np.zeros_like(found)
        walked = self.search.mark(x.take(order), y.take(order), radius, among)
        found[order] = among
        self._order = None if walked is None else order.take(walked.order)
        return found


def spread(x: Points, y: Points, grid: Grid) -> Iterator[Keys]:
    """Give the sorted keys of either round for points so far apart that cells and indices do not fit into a key.

    In the keys, gaps that nobody reaches across are cut short. Cells are numbered in float64; numbers too large to be
    exact there belong to points that lie many cells apart or in the same place.
    """
    width = INSIDE + 1
    up = np.floor(y.astype(np.float64) * grid.per_unit)
    for shift in (0, REACH):
        across = np.floor(x.astype(np.float64) * grid.per_unit) + shift
        column = np.floor(across / width)
        cell = across - column * width
        points = np.flatnonzero(cell < 2 * REACH) if shift else np.arange(len(x))
        order = points[np.lexsort((cell[points], up[points], column[points]))]
        gaps = np.diff(up[order]) * width + np.diff(cell[order])
        gaps[(np.diff(column[order]) != 0) | (gaps > WINDOW)] = WINDOW
        places = np.cumsum(gaps.astype(np.int64))
        keys = np.concatenate((np.full(PAD, -FAR), order, np.full(PAD, FAR)))
        keys[PAD + 1 : -PAD] |= places << grid.bits
        yield keys
