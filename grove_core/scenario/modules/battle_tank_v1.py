"""Version 1 of the module `tank` of a battle: tanks roll over the map, and burn fuel. It needs `map`."""

from __future__ import annotations

from collections.abc import Sequence

from grove_core.author.schema import Schema
from grove_core.scenario.modules.battle_part import TICKS, Part

FULL = 50
"""A tank that ran dry is filled up again to this."""


class Tank(Part):
    """Moves tanks, and burns a litre a tick."""

    name = "tank"
    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", fuel="i4", map_ticks="i8", ticks=TICKS, constant=("vx", "vy"))

    def get_dependencies(self) -> Sequence[str]:
        """There must be a map to roll over."""
        return ("map>=1",)

    def process(self, dt: float) -> None:
        """Roll."""
        self.roll(dt)
        fuel = self.entities.fuel
        fuel -= 1
        fuel[fuel < 0] = FULL
        self.post()

    def roll(self, dt: float) -> None:
        """Move, and note how far the map is: here it is asked, and this tick's answer is due."""
        self.begin()
        e = self.entities
        e.x += e.vx * dt
        e.y += e.vy * dt
        e.map_ticks[:] = self.posted("map")
