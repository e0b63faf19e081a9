"""Version 1 of the module `production` of a battle: factories, which make spare parts. It needs `tank`."""

from __future__ import annotations

from grove_core.author.schema import Schema
from grove_core.author.services import Needs
from grove_core.scenario.modules.battle_part import Part

TANKS = 2
"""So many tanks there are for each factory."""


class Production(Part):
    """Each factory makes what it can."""

    schema = Schema(rate="i4", stock="i8", tank_ticks="i8", tank_major="i4", ticks="i8", constant=("rate",))
    tank = Needs("tank>=1")

    def process(self, dt: float) -> None:
        """Make parts."""
        self.look()
        self.entities.stock += self.entities.rate

    def look(self) -> None:
        """Ask how far the tank is that it makes parts for: this tick's answer is due."""
        self.begin()
        e = self.entities
        e.tank_ticks, e.tank_major = self.tank.had(e.id * TANKS)
