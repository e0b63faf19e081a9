"""The search for neighbours with its loops compiled by numba, which is imported only when it is wanted.

They are compiled for their types at once, not at the first call, and for this process: numba's cache on disk would
write beside the installed package, and does not notice a change of the constants that come from `pairs`. One thread.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from gamelogic_v3.pairs import INSIDE, PAD, REACH, SHIFT, WINDOW, Flags, Grid, Keys, Points, Search

DIGIT = 11
"""How many bits are sorted by at a time: 16 KiB of counters stay in the nearest cache."""
DIGITS = (1 << DIGIT) - 1


def compiled() -> Search:
    """Import numba and compile the search; together this takes about 0.7 s.

    Raises:
        ImportError: numba is not installed, or not for this numpy.
    """
    numba: Any = import_module("numba")
    points = numba.types.Array(numba.float32, 1, "C", readonly=True)  # fits those that can be written, too
    integer, real, keys = numba.int64, numba.float64, numba.int64[::1]
    in_cells = (points, points, real, real, real, integer, integer, keys, keys)
    along = (keys, integer, points, points, numba.float32, numba.boolean[::1])
    return looping(
        numba.njit(integer(*in_cells))(pack),
        numba.njit(numba.void(keys, keys, integer, integer))(sort),
        numba.njit(numba.void(*along))(walk),
    )


def looping(pack: Any, sort: Any, walk: Any) -> Search:
    """Make a search of this file's loops, compiled or as they stand."""

    def pack_grid(x: Points, y: Points, grid: Grid, columns: Keys, strips: Keys) -> int:
        near: int = pack(x, y, grid.left, grid.bottom, grid.per_unit, grid.stride, grid.bits, columns, strips)
        return near

    def sort_places(keys: Keys, grid: Grid) -> None:
        sort(keys, np.empty_like(keys), grid.bits, grid.places.bit_length())

    return Search(pack_grid, sort_places, walk)


def pack(
    x: Points,
    y: Points,
    left: float,
    bottom: float,
    per_unit: float,
    stride: int,
    bits: int,
    columns: Keys,
    strips: Keys,
) -> int:
    """Write all keys by columns and those near an edge by strips; see `Search.pack`."""
    near = PAD
    for i in range(len(x)):
        across = int((float(x[i]) - left) * per_unit)
        up = int((float(y[i]) - bottom) * per_unit) << SHIFT
        columns[PAD + i] = (((across >> SHIFT) * stride + up + (across & INSIDE)) << bits) | i
        across += REACH
        # Written in any case, and written over where it is far from an edge: that is faster than a branch.
        strips[near] = (((across >> SHIFT) * stride + up + (across & INSIDE)) << bits) | i
        near += across & INSIDE < 2 * REACH
    return near - PAD


def sort(keys: Keys, spare: Keys, first: int, bits: int) -> None:
    """Sort keys by `bits` of their bits, from the bit `first` up, a digit after the other; `spare` is used up.

    Radix sort: np.sort takes six times as long over 100,000 places.
    """
    source, target = keys, spare
    digits = -(-bits // DIGIT)
    for digit in range(digits):
        shift = first + digit * DIGIT
        ends = np.zeros((1 << DIGIT) + 1, np.int64)
        for i in range(len(source)):
            ends[((source[i] >> shift) & DIGITS) + 1] += 1
        for value in range(DIGITS):
            ends[value + 1] += ends[value]
        for i in range(len(source)):
            value = (source[i] >> shift) & DIGITS
            target[ends[value]] = source[i]
            ends[value] += 1
        source, target = target, source
    if digits % 2:
        keys[:] = spare


def walk(keys: Keys, bits: int, x: Points, y: Points, limit: np.float32, found: Flags) -> None:
    """Go along sorted keys and mark who is close to somebody; see `Search.walk`.

    Each point is compared with those after it, then with those before it, until one is close. In a crowd that is
    the first one, but for who comes last in a cell.
    """
    window = WINDOW << bits
    mask = (1 << bits) - 1
    for place in range(PAD, len(keys) - PAD):
        i = keys[place] & mask
        for way in (1, -1):
            other = place + way
            while abs(keys[other] - keys[place]) < window and not found[i]:
                j = keys[other] & mask
                dx = x[i] - x[j]
                dy = y[i] - y[j]
                if dx * dx + dy * dy < limit:
                    found[i] = True
                    found[j] = True
                other += way
