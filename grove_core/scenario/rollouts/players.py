"""The players of `pvp` in an engine, and what they must be: computed apart from both versions, by another way.

The versions sort their own players by cell and id at each tick; here all players are kept in the order of their ids,
so that a stable sort by cell alone must give the same pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng

from grove_core.scenario.rollouts.brought import ONE, TWO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.debug import DebugEngine

MODULE = "pvp"
A_CELL = 10
"""Players in a cell of 10 m, on average over the whole world."""
SPEED = 5.0
"""Metres a second, along each axis, at most."""
STRONGEST, MOST_STREAK, HEALTH = 10, 5, 100


class Players:
    """Both sides, and how they are held against each other.

    Args:
        players: how many.
        seed: of their places, speeds and strengths.
        slots: for how many players there is room in version 2's list of cells; None: for all.
    """

    def __init__(self, players: int, seed: int, slots: int | None) -> None:
        random = default_rng(seed)
        self.side = 10.0 * float(np.ceil(np.sqrt(players / A_CELL)))
        self.ids = np.arange(players)
        self.majors = np.ones(players, np.int64)
        self._slots = slots
        self._x, self._y = (random.uniform(0, self.side, players).astype(np.float32) for _ in "xy")
        self._vx, self._vy = (random.uniform(-SPEED, SPEED, players).astype(np.float32) for _ in "xy")
        self._strength = random.integers(1, STRONGEST + 1, players).astype(np.int32)
        self._hp = np.full(players, HEALTH, np.int32)
        self._kills = np.zeros(players, np.int32)
        self._streak = np.zeros(players, np.int32)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return what every player has, in the order of their ids, in the schema of version 2."""
        return {
            "x": self._x,
            "y": self._y,
            "vx": self._vx,
            "vy": self._vy,
            "hp": self._hp,
            "kills": self._kills,
            "strength": self._strength,
            "streak": self._streak,
        }

    def enter(self, engine: DebugEngine) -> None:
        """Load version 1, and let everybody in."""
        engine.load_module_version(MODULE, str(ONE), config=self.config())
        columns = {name: values for name, values in self.columns().items() if name != "streak"}
        engine.spawn(MODULE, id=self.ids, **columns)

    def config(self) -> dict[str, Any]:
        """Return what both versions are told."""
        return {"side": self.side, "slots": self._slots}

    def tick(self, dt: float) -> dict[int, int]:
        """Do what a tick must do, each player in the version that they were in; return each version's errors."""
        x, y = _moved(self._x, self._vx, dt, self.side), _moved(self._y, self._vy, dt, self.side)
        errors: dict[int, int] = {}
        for major in (ONE.major, TWO.major):
            mine = np.flatnonzero(self.majors == major)
            cell = (x[mine] // 10).astype(np.int32) * (1 << 16) + (y[mine] // 10).astype(np.int32)
            order = np.argsort(cell, kind="stable")
            room = len(order) if major == ONE.major or self._slots is None else self._slots
            left_out = mine[order[room:]]
            x[left_out], y[left_out] = self._x[left_out], self._y[left_out]
            self._fight(*_pairs(cell[order[:room]], mine[order[:room]]), in_series=major == TWO.major)
            errors[major] = len(left_out)
        self._x, self._y = x, y
        return errors

    def locate(self, engine: DebugEngine) -> int:
        """Ask which version every player is in; return how many are elsewhere than before.

        Raises:
            UnknownEntity: one is lost.
        """
        majors = np.fromiter((each.major for each in engine.locate(MODULE, self.ids)), np.int64, len(self.ids))
        moved = int(np.count_nonzero(majors != self.majors))
        self.majors = majors
        return moved

    def lost(self, engine: DebugEngine) -> int:
        """Return how many players are not there."""
        return int(np.count_nonzero(~np.isin(self.ids, engine.entities(MODULE)["id"])))

    def differences(self, engine: DebugEngine) -> list[str]:
        """Say what is not as it must be, in the schema of version 2."""
        found = engine.entities(MODULE, version=str(TWO))
        order = np.argsort(found["id"])
        if not np.array_equal(found["id"][order], self.ids):
            return [f"there are {len(order)} players, not {len(self.ids)}, or others"]
        wrong = {name: int(np.count_nonzero(found[name][order] != each)) for name, each in self.columns().items()}
        return [f"{name} is wrong in {count} of {len(self.ids)} players" for name, count in wrong.items() if count]

    def _fight(self, left: NDArray[np.int64], right: NDArray[np.int64], *, in_series: bool) -> None:
        """Let the players at these places strike each other once."""
        harder = np.minimum(self._streak, MOST_STREAK) if in_series else np.zeros_like(self._streak)
        strikes = self._strength + harder
        self._hp[left] -= strikes[right]
        self._hp[right] -= strikes[left]
        down_left, down_right = self._hp[left] <= 0, self._hp[right] <= 0
        for winners in (left[down_right], right[down_left]):
            self._kills[winners] += 1
            self._streak[winners] += in_series
        for fallen in (left[down_left], right[down_right]):
            self._hp[fallen] = HEALTH
            if in_series:
                self._streak[fallen] = 0


def _moved(place: NDArray[np.float32], speed: NDArray[np.float32], dt: float, side: float) -> NDArray[np.float32]:
    """Return places after so many seconds, in a world without a border."""
    there = place + speed * np.float32(dt)
    there = np.where(there >= side, there - np.float32(side), there)
    return np.where(there < 0, there + np.float32(side), there)


def _pairs(cell: NDArray[np.int32], who: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair those who are in one cell, one after the other; `cell` ascends."""
    place = np.arange(len(cell)) - np.searchsorted(cell, cell)
    odd = np.flatnonzero(place % 2 == 1)
    return who[odd - 1], who[odd]
