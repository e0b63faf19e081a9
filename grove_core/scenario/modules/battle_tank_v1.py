"""Version 1 of the module `tank` of a battle: tanks roll over the map, and burn fuel. It needs `map`."""

from __future__ import annotations

from grove_core.author.schema import Schema
from grove_core.author.services import Needs
from grove_core.scenario.modules.battle_part import Part

FULL = 50
"""A tank that ran dry is filled up again to this."""
TILES = 4
"""So many tiles each tank has for itself; it stands on the first."""


class Tank(Part):
    """Moves tanks, and burns a litre a tick."""

    schema = Schema(
        x="f4",
        y="f4",
        vx="f4",
        vy="f4",
        fuel="i4",
        map_ticks="i8",
        map_major="i4",
        ticks="i8",
        constant=("vx", "vy"),
    )
    map = Needs("map>=1")

    def process(self, dt: float) -> None:
        """Roll."""
        self.roll(dt)
        fuel = self.entities.fuel
        fuel -= 1
        fuel[fuel < 0] = FULL

    def roll(self, dt: float) -> None:
        """Move, and ask the map how far the tile is that it stands on: this tick's answer is due."""
        self.begin()
        e = self.entities
        e.x += e.vx * dt
        e.y += e.vy * dt
        e.map_ticks, e.map_major = self.map.had(e.id * TILES)
