"""Version 2 of the module `production` of a battle: factories that put what they make into boxes."""

from __future__ import annotations

from grove_core.author.lens import Add, Lens
from grove_core.author.schema import Schema
from grove_core.scenario.modules import battle_production_v1


class Production(battle_production_v1.Production):
    """Twice as fast, and what it makes waits in boxes of ten."""

    schema = Schema(rate="i4", stock="i8", boxes="i4", tank_ticks="i8", tank_major="i4", ticks="i8", constant=("rate",))
    lenses = (Lens("==1.*", "==2.*", [Add("boxes")]),)

    def process(self, dt: float) -> None:
        """Make parts."""
        self.look()
        e = self.entities
        e.stock += 2 * e.rate
        e.boxes[:] = e.stock // 10
