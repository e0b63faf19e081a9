"""Version 2 of the module `tank` of a battle: electric tanks. They have a charge where there was fuel, and get hot."""

from __future__ import annotations

import numpy as np

from grove_core.author.lens import Add, Lens, Rename
from grove_core.author.schema import Schema
from grove_core.scenario.modules import battle_tank_v1


class Tank(battle_tank_v1.Tank):
    """Moves tanks, empties their batteries, and heats them up by their speed."""

    schema = Schema(
        x="f4",
        y="f4",
        vx="f4",
        vy="f4",
        charge="i4",
        heat="f4",
        map_ticks="i8",
        map_major="i4",
        ticks="i8",
        constant=("vx", "vy"),
    )
    lenses = (Lens("==1.*", "==2.*", [Rename("fuel", "charge"), Add("heat")]),)

    def process(self, dt: float) -> None:
        """Roll."""
        self.roll(dt)
        e = self.entities
        e.charge -= 2
        e.charge[e.charge < 0] = battle_tank_v1.FULL
        e.heat *= np.float32(0.5)
        e.heat += abs(e.vx) * dt
