"""Version 1 of the module `map` of a battle: tiles, on which ore grows. It needs nothing."""

from __future__ import annotations

from grove_core.author.schema import Schema
from grove_core.scenario.modules.battle_part import Part


class Map(Part):
    """Ore grows on every tile, and twice as fast on high ground."""

    schema = Schema(height="f4", ore="i4", ticks="i8", constant=("height",))

    def process(self, dt: float) -> None:
        """Let it grow."""
        self.begin()
        e = self.entities
        e.ore += 1
        e.ore[e.height > 0.5] += 1
