"""gamelogic, version 2: entities move, and those outside the field are marked."""

from __future__ import annotations

import numpy as np

from grove_core import Add, Lens, Module, Schema

__all__ = ["BLOCK", "HIGH", "LOW", "GameLogic"]

LOW, HIGH = 0.0, 1000.0
"""The field's bounds on both axes; they lie inside it."""
BLOCK = 1 << 16
"""How many rows are worked on at once, so that what one operation wrote is in the cache for the next."""


class GameLogic(Module):
    """Version 1's move in float32, then `collided`: x or y lies outside [0, 1000]."""

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", constant=("vx", "vy"))
    lenses = (Lens("==1.*", "==2.*", [Add("collided")]),)

    def __init__(self) -> None:
        self._steps = np.empty(BLOCK, np.float32)
        self._beyond = np.empty(BLOCK, np.bool_)

    def process(self, dt: float) -> None:
        """Move every entity by `dt` seconds, and mark those that are outside now."""
        e = self.entities
        collided = e.collided
        collided[...] = False
        for position, speed in ((e.x, e.vx), (e.y, e.vy)):
            for start in range(0, len(e), BLOCK):
                rows = slice(start, start + BLOCK)
                block, mark = position[rows], collided[rows]
                step, beyond = self._steps[: len(block)], self._beyond[: len(block)]
                np.multiply(speed[rows], dt, out=step)
                np.add(block, step, out=block)
                mark |= np.less(block, LOW, out=beyond)
                mark |= np.greater(block, HIGH, out=beyond)
