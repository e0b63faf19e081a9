"""Columns of one name are one column, whatever their dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.parts.contracts import Endpoint

Array = NDArray[Any]


class ByName:
    """Takes rows between versions that have enough columns in common, and casts where the dtypes differ.

    Args:
        least: of the columns that either has, the least share that both must have; above 0, at most 1.

    Raises:
        ValueError: it is not.
    """

    def __init__(self, least: float = 0.5) -> None:
        if not 0 < least <= 1:
            raise ValueError(f"least must be above 0 and at most 1, not {least!r}")
        self.least = least

    def accepts(self, source: Endpoint, target: Endpoint) -> bool:
        """Tell whether enough columns have their like."""
        one, other = source.schema.dtypes.keys(), target.schema.dtypes.keys()
        return len(one & other) >= max(1.0, self.least * len(one | other))

    def migrate(self, rows: dict[str, Array], source: Endpoint, target: Endpoint) -> dict[str, Array]:
        """Return the columns whose dtype changes; those that stay as they are need not be returned."""
        return {
            name: cast(rows[name], dtype)
            for name, dtype in target.schema.dtypes.items()
            if name in rows and rows[name].dtype != dtype
        }


def cast(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return the nearest values that `dtype` has; NaN becomes 0 where there is none.

    What is too large for an integer saturates, for a float it becomes infinite.
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    if dtype.kind == "b":
        truth: Array = np.nan_to_num(values) != 0
        return truth
    return _whole(values.astype(np.float64), dtype) if values.dtype.kind == "f" else _clipped(values, dtype)


def _whole(values: NDArray[np.float64], dtype: np.dtype[Any]) -> Array:
    """Round to integers. Not every largest integer is a float: what reaches it is set, not cast."""
    bounds = np.iinfo(dtype)
    whole = np.rint(np.nan_to_num(values))
    beyond = whole >= float(bounds.max)
    cut = np.where(beyond, 0, np.maximum(whole, float(bounds.min))).astype(dtype)
    cut[beyond] = bounds.max
    return cut


def _clipped(values: Array, dtype: np.dtype[Any]) -> Array:
    if values.dtype.kind == "b":
        return values.astype(dtype)
    have, want = np.iinfo(values.dtype), np.iinfo(dtype)
    return np.clip(values, max(have.min, want.min), min(have.max, want.max)).astype(dtype)
