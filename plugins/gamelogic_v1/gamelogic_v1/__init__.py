"""gamelogic, version 1: entities move."""

from __future__ import annotations

from grove_core import Module, Schema

__all__ = ["GameLogic"]


class GameLogic(Module):
    """Moves entities: `x += vx * dt`, `y += vy * dt`, in float32 with `float32(dt)`."""

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", constant=("vx", "vy"))

    def process(self, dt: float) -> None:
        """Move every entity by `dt` seconds."""
        e = self.entities
        e.x += e.vx * dt
        e.y += e.vy * dt
