"""gamelogic, version 2: entities move, and those outside the field are marked."""

from __future__ import annotations

from grove_core import Add, Lens, Module, Schema

__all__ = ["HIGH", "LOW", "GameLogic"]

LOW, HIGH = 0.0, 1000.0
"""The field's bounds on both axes; they lie inside it."""


class GameLogic(Module):
    """Version 1's move in float32, then `collided`: x or y lies outside [0, 1000]."""

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", constant=("vx", "vy"))
    lenses = (Lens("==1.*", "==2.*", [Add("collided")]),)

    def process(self, dt: float) -> None:
        """Move every entity by `dt` seconds, and mark those that are outside now."""
        e = self.entities
        e.x += e.vx * dt
        e.y += e.vy * dt
        e.collided = (e.x < LOW) | (e.x > HIGH) | (e.y < LOW) | (e.y > HIGH)
