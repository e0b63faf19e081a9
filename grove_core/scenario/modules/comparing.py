"""Holding what an engine has against what it must be, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def compare(found: Mapping[str, Array], ids: NDArray[np.int64], expected: Mapping[str, Array]) -> list[str]:
    """Say what is not right, a sentence a column.

    Args:
        found: the columns of an engine, `id` among them, in any order of rows.
        ids: the entities that there must be, ascending.
        expected: their columns in this order; those that `found` does not have are left out.
    """
    order: NDArray[np.intp] | slice = slice(None)
    if not np.array_equal(found["id"], ids):
        order = np.argsort(found["id"])
        if not np.array_equal(found["id"][order], ids):
            return [f"there are {len(found['id'])} entities, not {len(ids)}, or others"]
    wrong = {name: _wrong(values[order], expected.get(name)) for name, values in found.items() if name != "id"}
    return [f"{name} is wrong in {count} of {len(ids)} entities" for name, count in wrong.items() if count]


def _wrong(found: Array, expected: Array | None) -> int:
    """Count the values that are not the same, to the last bit; another dtype makes all of them wrong."""
    if expected is None or found.dtype != expected.dtype:
        return len(found)
    kind = f"u{found.dtype.itemsize}"
    return int(np.count_nonzero(found.view(kind) != expected.view(kind)))
