"""Version 1 of the module `pvp`: players roam a world, and those who meet in a cell of it fight, two and two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.module import Module
from grove_core.author.schema import Schema

CELL = 10.0
"""Metres along a side of a cell."""
HEALTH = 100
"""What a player has at first, and again after a fall."""

Places = NDArray[np.int64]


class Pvp(Module):
    """Moves players, and lets neighbours of a cell duel; whoever falls gets up again, and the other has a kill more.

    Its configuration: `side`, the metres along a side of the world, which has no border.
    """

    schema = Schema(
        x="f4", y="f4", vx="f4", vy="f4", hp="i4", kills="i4", strength="i4", constant=("vx", "vy", "strength")
    )

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the size of the world."""
        self._side = float(config["side"])

    def process(self, dt: float) -> None:
        """Move, then fight."""
        e = self.entities
        for place, speed in ((e.x, e.vx), (e.y, e.vy)):
            place += speed * dt
            place -= np.float32(self._side) * (place >= self._side)
            place += np.float32(self._side) * (place < 0)
        cell = (e.x // CELL).astype(np.int64) << 32 | (e.y // CELL).astype(np.int64)
        order = self.listed(np.lexsort((e.id, cell)))
        self.fight(*duels(cell[order], order))

    def listed(self, order: Places) -> Places:
        """Return the rows that take part, sorted by cell and id. Here all do."""
        return order

    def damage(self) -> NDArray[np.int32]:
        """Return how hard each player strikes."""
        return self.entities.strength

    def fight(self, left: Places, right: Places) -> None:
        """Let the players of these rows strike each other once; no row stands twice."""
        e, damage = self.entities, self.damage()
        e.hp[left] -= damage[right]
        e.hp[right] -= damage[left]
        for one, other in ((left, right), (right, left)):
            self.win(one[e.hp[other] <= 0])
        both = np.concatenate([left, right])
        self.fall(both[e.hp[both] <= 0])

    def win(self, rows: Places) -> None:
        """Count a kill for each of these."""
        self.entities.kills[rows] += 1

    def fall(self, rows: Places) -> None:
        """Have these get up again."""
        self.entities.hp[rows] = HEALTH


def duels(cell: Places, order: Places) -> tuple[Places, Places]:
    """Pair rows that lie in one cell: the first with the second, the third with the fourth, and so on.

    Args:
        cell: int64 of shape (n,), ascending.
        order: the row that has each of these cells.
    """
    if not len(order):
        return order, order
    begins = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    rank = np.arange(len(cell)) - np.repeat(begins, np.diff(begins, append=len(cell)))
    first = np.flatnonzero((rank[:-1] % 2 == 0) & (cell[1:] == cell[:-1]))
    return order[first], order[first + 1]
