"""memcpy, and numpy by hand: what the machine and the library give without versions, checks or recovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

V1_BYTES = 24
"""What an entity of gamelogic 1 is: an id and four float32."""
V2_BYTES = 25
"""In gamelogic 2 it has a boolean more."""


class Memcpy:
    """Copies the same number of bytes from one warm block to another.

    Args:
        size: bytes.
    """

    def __init__(self, size: int) -> None:
        self._source = np.ones(max(1, size), np.uint8)
        self._target = np.zeros_like(self._source)

    def __call__(self) -> None:
        """Copy once."""
        np.copyto(self._target, self._source)


class Columns:
    """The columns of gamelogic 1 in arrays of one's own, and room for those of gamelogic 2.

    Args:
        columns: x, y, vx, vy: float32, one value an entity.
        moved: the share that moves, scattered over all rows.
    """

    def __init__(self, columns: Mapping[str, NDArray[np.float32]], moved: float) -> None:
        count = len(columns["x"])
        self._one: dict[str, NDArray[Any]] = {"id": np.arange(count)}
        self._one |= {name: values.copy() for name, values in columns.items()}
        self._was = {name: values.copy() for name, values in self._one.items()}
        self._two = {name: np.ones_like(values) for name, values in self._one.items()}
        self._collided = np.ones(count, np.bool_)
        self._step = np.empty(count, np.float32)
        self._chosen = np.sort(np.random.default_rng(2).permutation(count)[: int(moved * count)])

    def tick(self, dt: float) -> None:
        """Move every entity, in place and without temporaries."""
        for position, speed in (("x", "vx"), ("y", "vy")):
            np.multiply(self._one[speed], np.float32(dt), out=self._step)
            np.add(self._one[position], self._step, out=self._one[position])

    def move(self) -> None:
        """Copy the chosen rows over, and fill the holes they leave from the end."""
        rows = self._chosen
        remaining = len(self._step) - len(rows)
        holes = rows[rows < remaining]
        last = np.ones(len(rows), np.bool_)
        last[rows[rows >= remaining] - remaining] = False
        movers = np.flatnonzero(last)
        for name, values in self._one.items():
            values.take(rows, out=self._two[name][: len(rows)], mode="clip")
            values[holes] = values[remaining:].take(movers)
        self._collided[: len(rows)] = False

    def restore(self) -> None:
        """Undo a move."""
        for name, values in self._was.items():
            np.copyto(self._one[name], values)

    def migrate(self) -> None:
        """Copy every row over."""
        for name, values in self._one.items():
            np.copyto(self._two[name], values)
        self._collided[:] = False
