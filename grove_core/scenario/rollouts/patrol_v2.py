"""Version 2 of the module `patrol`: it also counts the ticks that a unit had from it."""

from __future__ import annotations

from grove_core.author.lens import Add, Lens
from grove_core.author.schema import Schema
from grove_core.scenario.rollouts import patrol_v1


class Patrol(patrol_v1.Patrol):
    """Version 1 with a column more."""

    schema = Schema(place="f4", pace="f4", ticks="i8", by_two="i8", constant=("pace",))
    lenses = (Lens("==1.*", "==2.*", [Add("by_two")]),)

    def process(self, dt: float) -> None:
        """Walk, and count."""
        self.entities.by_two += 1
        super().process(dt)
