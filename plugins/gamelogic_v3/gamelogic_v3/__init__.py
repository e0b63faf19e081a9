"""gamelogic, version 3: mass, gravity, and entities that come close to each other are marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gamelogic_v3.pairs import has_neighbour
from grove_core import Add, Column, Lens, Module, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["GRAVITY", "HIGH", "LOW", "RADIUS", "GameLogic"]

LOW, HIGH = 0.0, 1000.0
"""The field's bounds on both axes; they lie inside it."""
GRAVITY = 9.8
"""What is added to `vy` in a second."""
RADIUS = 0.5
"""Entities closer than this collide, unless the configuration says otherwise."""


class GameLogic(Module):
    """Gravity, the move, then `collided`, all in float32 and in place.

    `vy += float32(9.8 * dt)`; `x += vx * float32(dt)`; `y += vy * float32(dt)`; `collided`: x or y lies
    outside [0, 1000], or another entity has `dx*dx + dy*dy < r*r` with `r = float32(radius)`.
    """

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", mass=Column("f4", default=1.0), constant=("vx",))
    lenses = (Lens("==2.*", "==3.*", [Add("mass")]),)

    def __init__(self) -> None:
        self._radius = RADIUS
        self._steps: NDArray[np.float32] = np.empty(0, np.float32)
        self._masks: NDArray[np.bool_] = np.empty(0, np.bool_)

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take `radius`.

        Raises:
            ValueError: `radius` is no number, not finite in float32, or negative.
        """
        self._radius = _checked(config.get("radius", RADIUS))

    def process(self, dt: float) -> None:
        """Advance every entity by `dt` seconds, and mark those that collide now."""
        e = self.entities
        step, outside = self._scratch(len(e))
        e.vy += GRAVITY * dt
        for position, speed in ((e.x, e.vx), (e.y, e.vy)):
            np.multiply(speed, dt, out=step)
            np.add(position, step, out=position)
        collided = e.collided
        collided[...] = has_neighbour(e.x, e.y, self._radius)
        for position in (e.x, e.y):
            np.logical_or(collided, np.less(position, LOW, out=outside), out=collided)
            np.logical_or(collided, np.greater(position, HIGH, out=outside), out=collided)

    def _scratch(self, rows: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return buffers for `rows` rows; they grow by doubling and are kept."""
        if rows > len(self._steps):
            size = max(rows, 2 * len(self._steps))
            self._steps, self._masks = np.empty(size, np.float32), np.empty(size, np.bool_)
        return self._steps[:rows], self._masks[:rows]


def _checked(radius: object) -> float:
    number = isinstance(radius, int | float) and not isinstance(radius, bool)
    if not (number and 0 <= radius <= float(np.finfo(np.float32).max)):  # type: ignore[operator]
        raise ValueError(f"the configuration's radius must be a finite float32 of at least 0, not {radius!r}")
    return float(radius)  # type: ignore[arg-type]
