"""Version 2 of the module `pvp`: who wins several times in a row strikes harder. On demand it has a bug."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.lens import Add, Lens
from grove_core.author.schema import Schema
from grove_core.scenario.rollouts import pvp_v1

MOST = 5
"""By how much a series of wins strikes harder at most."""


class Pvp(pvp_v1.Pvp):
    """Version 1 with series of wins.

    Its configuration has also `slots`: for how many players there is room in its list of cells. Whoever finds none
    fails; without it, there is room for all.
    """

    schema = Schema(
        x="f4",
        y="f4",
        vx="f4",
        vy="f4",
        hp="i4",
        kills="i4",
        strength="i4",
        streak="i4",
        constant=("vx", "vy", "strength"),
    )
    lenses = (Lens("==1.*", "==2.*", [Add("streak")]),)

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the size of the world, and of the list."""
        super().initialize(config)
        self._slots: int | None = config.get("slots")

    def listed(self, order: pvp_v1.Places) -> pvp_v1.Places:
        """Return the rows that found room in the list; the others fail."""
        if self._slots is None or len(order) <= self._slots:
            return order
        self.entities.fail(self.entities.id[order[self._slots :]], "the list of cells is full")
        return order[: self._slots]

    def damage(self) -> NDArray[np.int32]:
        """Return how hard each player strikes."""
        return self.entities.strength + np.minimum(self.entities.streak, MOST)

    def win(self, rows: pvp_v1.Places) -> None:
        """Count a kill for each of these, and one more in a row."""
        super().win(rows)
        self.entities.streak[rows] += 1

    def fall(self, rows: pvp_v1.Places) -> None:
        """Have these get up again; their series is over."""
        super().fall(rows)
        self.entities.streak[rows] = 0
