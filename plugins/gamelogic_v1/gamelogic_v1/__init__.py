"""gamelogic, version 1: entities move."""

from __future__ import annotations

import numpy as np

from grove_core import Module, Schema

__all__ = ["BLOCK", "GameLogic"]

BLOCK = 1 << 17
"""How many rows move at once: few enough that their steps (512 KiB) are still in the cache when they are added."""


class GameLogic(Module):
    """Moves entities: `x += vx * dt`, `y += vy * dt`, in float32 with `float32(dt)`."""

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", constant=("vx", "vy"))

    def __init__(self) -> None:
        self._steps = np.empty(BLOCK, np.float32)

    def process(self, dt: float) -> None:
        """Move every entity by `dt` seconds."""
        e = self.entities
        for position, speed in ((e.x, e.vx), (e.y, e.vy)):
            for start in range(0, len(e), BLOCK):
                block = position[start : start + BLOCK]
                step = self._steps[: len(block)]
                np.multiply(speed[start : start + BLOCK], dt, out=step)
                np.add(block, step, out=block)
