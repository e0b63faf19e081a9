"""gamelogic, version 3: mass, gravity, and entities that come close to each other are marked."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from gamelogic_v3.by_numba import compiled
from gamelogic_v3.by_numpy import NUMPY
from grove_core import Add, Column, Lens, Module, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gamelogic_v3.pairs import Search

__all__ = ["BLOCK", "GRAVITY", "HIGH", "LOW", "RADIUS", "GameLogic", "Pairs"]

LOW, HIGH = 0.0, 1000.0
"""The field's bounds on both axes; they lie inside it."""
GRAVITY = 9.8
"""What is added to `vy` in a second."""
RADIUS = 0.5
"""Entities closer than this collide, unless the configuration says otherwise."""
BLOCK = 1 << 16
"""How many rows are worked on at once, so that what one operation wrote is in the cache for the next."""


class Pairs(StrEnum):
    """What the configuration's `pairs` may be: how close entities are searched for."""

    NUMPY = "numpy"
    NUMBA = "numba"
    """Three times as fast, and compiled for some 0.7 s before the version is ready."""


class GameLogic(Module):
    """Gravity, the move, then `collided`, all in float32 and in place.

    `vy += float32(9.8 * dt)`; `x += vx * float32(dt)`; `y += vy * float32(dt)`; `collided`: x or y lies
    outside [0, 1000], or another entity has `dx*dx + dy*dy < r*r` with `r = float32(radius)`.
    """

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", mass=Column("f4", default=1.0), constant=("vx",))
    lenses = (Lens("==2.*", "==3.*", [Add("mass")]),)

    def __init__(self) -> None:
        self._radius = RADIUS
        self._has_neighbour = NUMPY
        self._steps = np.empty(BLOCK, np.float32)
        self._beyond = np.empty(BLOCK, np.bool_)

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take `radius` and `pairs`.

        Raises:
            ValueError: `radius` is no number, not finite in float32, or negative; `pairs` is not one of `Pairs`.
            ImportError: `pairs` is `numba`, which cannot be imported.
        """
        self._radius = _checked(config.get("radius", RADIUS))
        self._has_neighbour = _search(config.get("pairs", Pairs.NUMPY))

    def process(self, dt: float) -> None:
        """Advance every entity by `dt` seconds, and mark those that collide now."""
        e = self.entities
        collided = e.collided
        collided[...] = False
        e.vy += GRAVITY * dt
        for position, speed in ((e.x, e.vx), (e.y, e.vy)):
            for start in range(0, len(e), BLOCK):
                rows = slice(start, start + BLOCK)
                block, mark = position[rows], collided[rows]
                step, beyond = self._steps[: len(block)], self._beyond[: len(block)]
                np.multiply(speed[rows], dt, out=step)
                np.add(block, step, out=block)
                mark |= np.less(block, LOW, out=beyond)
                mark |= np.greater(block, HIGH, out=beyond)
        collided |= self._has_neighbour(e.x, e.y, self._radius)


def _checked(radius: object) -> float:
    number = isinstance(radius, int | float) and not isinstance(radius, bool)
    if not (number and 0 <= radius <= float(np.finfo(np.float32).max)):  # type: ignore[operator]
        raise ValueError(f"the configuration's radius must be a finite float32 of at least 0, not {radius!r}")
    return float(radius)  # type: ignore[arg-type]


def _search(pairs: object) -> Search:
    if pairs not in list(Pairs):
        raise ValueError(f"the configuration's pairs must be one of {', '.join(Pairs)}, not {pairs!r}")
    if pairs == Pairs.NUMPY:
        return NUMPY
    try:
        return compiled()
    except ImportError as error:
        raise ImportError(
            f"the configuration's pairs is numba, and numba cannot be imported: {error}; "
            "`pip install grove-gamelogic-v3[numba]`, or set pairs to numpy"
        ) from error
