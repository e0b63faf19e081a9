"""So few points that a line looks the same: in each column of pixels the first and last, the lowest and highest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLUMNS = 600
"""As many columns of pixels as a chart has, about."""


def thinned(x: NDArray[np.float64], y: NDArray[np.float64], columns: int = COLUMNS) -> NDArray[np.int64]:
    """Return which points to draw, ascending: all, if there are few.

    Args:
        x: where they are, ascending, shape (n,).
        y: their values; a NaN is a gap, and stays one.
        columns: of pixels.
    """
    if len(x) <= 4 * columns:
        return np.arange(len(x))
    width = (x[-1] - x[0]) / columns or 1.0
    column = np.minimum((x - x[0]) / width, columns - 1).astype(np.int64)
    begins = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(begins[1:], len(x)) - 1
    gap = np.isnan(y)
    # Sorted by value within its column, the first is the lowest and the last the highest; gaps come behind them.
    order = np.lexsort((y, column))
    known = np.add.reduceat((~gap).astype(np.int64), begins)
    lowest, highest = order[begins], order[begins + np.maximum(known - 1, 0)]
    gaps = order[np.minimum(begins + known, ends)][known <= ends - begins]
    return np.unique(np.concatenate((begins, ends, lowest, highest, gaps)))
