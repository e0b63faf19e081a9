"""Version 1 of the module `production` of a battle: factories, which make spare parts. It needs `tank`."""

from __future__ import annotations

from collections.abc import Sequence

from grove_core.author.schema import Schema
from grove_core.scenario.modules.battle_part import TICKS, Part


class Production(Part):
    """Each factory makes what it can."""

    name = "production"
    schema = Schema(rate="i4", stock="i8", tank_ticks="i8", ticks=TICKS, constant=("rate",))

    def get_dependencies(self) -> Sequence[str]:
        """There must be tanks to make parts for."""
        return ("tank>=1",)

    def process(self, dt: float) -> None:
        """Make parts."""
        self.look()
        self.entities.stock += self.entities.rate
        self.post()

    def look(self) -> None:
        """Note how far the tanks are: here they are asked, and this tick's answer is due."""
        self.begin()
        self.entities.tank_ticks[:] = self.posted("tank")
