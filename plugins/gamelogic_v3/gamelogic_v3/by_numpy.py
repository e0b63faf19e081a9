"""The search for neighbours by numpy, in blocks that stay in the cache."""

from __future__ import annotations

import numpy as np

from gamelogic_v3.pairs import INSIDE, PAD, REACH, SHIFT, WINDOW, Flags, Grid, Indices, Keys, Points, Search

BLOCK = 1 << 14
"""How many points are worked on at once."""
CHUNK = 1 << 16
"""How many pairs in crowds are compared at once."""


def pack(x: Points, y: Points, grid: Grid, columns: Keys, strips: Keys) -> int:
    """Write all keys by columns and those near an edge by strips; see `Search.pack`."""
    near = PAD
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        across = _cells(x[start:stop], grid.left, grid.per_unit)
        up = _cells(y[start:stop], grid.bottom, grid.per_unit)
        index = np.arange(start, stop)
        columns[PAD + start : PAD + stop] = _keys(across, up, index, grid)
        across += REACH
        edge = np.flatnonzero((across & INSIDE) < 2 * REACH)
        strips[near : near + len(edge)] = _keys(across.take(edge), up.take(edge), index.take(edge), grid)
        near += len(edge)
    return near - PAD


def _cells(positions: Points, lowest: float, per_unit: float) -> Indices:
    cells = positions.astype(np.float64)
    cells -= lowest
    cells *= per_unit
    return cells.astype(np.int64)


def _keys(across: Indices, up: Indices, index: Indices, grid: Grid) -> Keys:
    keys = across >> SHIFT
    keys *= grid.stride
    keys += up << SHIFT
    keys += across & INSIDE
    keys <<= grid.bits
    keys |= index
    return keys


def walk(keys: Keys, bits: int, x: Points, y: Points, limit: np.float32, found: Flags) -> None:
    """Go along sorted keys and mark who is close to somebody; see `Search.walk`."""
    crowded = np.zeros(len(keys), np.bool_)
    for start in range(0, len(keys) - 2 * PAD, BLOCK):
        block = _Block(keys[start : start + BLOCK + 2 * PAD], bits, x, y, limit, found)
        for lone in block.walk():
            crowded[lone + start] = True
    _search_crowds(np.flatnonzero(crowded), keys, bits, x, y, limit, found)


class _Block:
    """Points that stand side by side, with `PAD` more at either end. Here a point is its place in the block."""

    def __init__(self, keys: Keys, bits: int, x: Points, y: Points, limit: np.float32, found: Flags) -> None:
        self.keys = keys
        self.window = WINDOW << bits
        self.index = keys & ((1 << bits) - 1)
        self.x = x.take(self.index)
        self.y = y.take(self.index)
        self.limit = limit
        self.found = found

    def walk(self) -> list[Indices]:
        """Mark who has a neighbour; return the loners that have more around them than they met, for either way."""
        gaps = self.keys[PAD + 1 : 1 - PAD] - self.keys[PAD:-PAD]
        first = np.flatnonzero(gaps < self.window) + PAD
        self._compare(first, first + 1)
        return [self._walk_on(first, 1), self._walk_on(first + 1, -1)]

    def _walk_on(self, points: Indices, way: int) -> Indices:
        lone = points.take(np.flatnonzero(~self.found.take(self.index.take(points))))
        lone = self._within(lone, 2 * way)
        for step in range(2, PAD):
            if not len(lone):
                break
            self._compare(lone, lone + step * way)
            lone = self._within(lone, (step + 1) * way)
        return lone

    def _within(self, points: Indices, step: int) -> Indices:
        """Return those that the one `step` further on is within reach of."""
        gaps = self.keys.take(points + step)
        gaps -= self.keys.take(points)
        return points.take(np.flatnonzero(np.abs(gaps, out=gaps) < self.window))

    def _compare(self, points: Indices, others: Indices) -> None:
        dx = self.x.take(points) - self.x.take(others)
        dy = self.y.take(points) - self.y.take(others)
        close = np.flatnonzero(_close(dx, dy, self.limit))
        self.found[self.index.take(points.take(close))] = True
        self.found[self.index.take(others.take(close))] = True


def _search_crowds(lone: Indices, keys: Keys, bits: int, x: Points, y: Points, limit: np.float32, found: Flags) -> None:
    """Compare loners, given by their places in the order, with everybody within reach."""
    index = keys & ((1 << bits) - 1) if len(lone) else lone
    lone = lone[~found[index[lone]]]
    first = np.searchsorted(keys, keys[lone] - (WINDOW << bits), side="right")
    counts = np.searchsorted(keys, keys[lone] + (WINDOW << bits)) - first
    ends = np.cumsum(counts)
    start = 0
    while start < len(lone):
        done = int(ends[start] - counts[start])
        stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
        part = slice(start, stop)
        pairs = np.arange(done, int(ends[stop - 1]))
        other = index[pairs + np.repeat(first[part] - ends[part] + counts[part], counts[part])]
        who = index[np.repeat(lone[part], counts[part])]
        close = _close(x[who] - x[other], y[who] - y[other], limit)
        found[who[close & (who != other)]] = True
        start = stop


def _close(dx: Points, dy: Points, limit: np.float32) -> Flags:
    """Tell which distances are too short; the arrays given are used up."""
    dx *= dx
    dy *= dy
    dx += dy
    close: Flags = dx < limit
    return close


def sort(keys: Keys, grid: Grid) -> None:
    """Sort whole keys, index inside: half as long as `argsort`, and a tenth where they are nearly in order."""
    keys.sort(kind="stable")


NUMPY = Search(pack, sort, walk)
"""The search for neighbours by numpy alone."""
