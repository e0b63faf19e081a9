"""What a battle must come to: plain numpy over arrays that never met an engine.

It is told which version each entity has, and nothing else.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns = dict[str, "NDArray[Any]"]
FULL = 50
"""A tank that ran dry is filled up again to this."""
ORDER = ("map", "tank", "production")
"""The modules, each of which needs the one before it."""
SHARE = {"map": 4.0, "tank": 1.0, "production": 0.5}
"""How many entities each has for one tank."""
EACH = {"tank": 4, "production": 2}
"""How many of the module before theirs there are for each; it asks about the first of them."""
NEW_NAMES = {"fuel": "charge"}
"""What version 2 calls otherwise."""


class Reference:
    """Every entity of the three modules, as it ought to be.

    Args:
        tanks: how many there are; the other modules have their share.
        seed: of all values.
    """

    def __init__(self, tanks: int, seed: int) -> None:
        random = default_rng(seed)
        counts = {module: max(2, round(tanks * share)) for module, share in SHARE.items()}
        self.ids = {module: np.arange(count) for module, count in counts.items()}
        self.majors = {module: np.ones(count, np.int64) for module, count in counts.items()}
        """The major number of the version each entity has."""
        self.columns: dict[str, Columns] = {
            module: {"ticks": np.zeros(count, np.int64)} for module, count in counts.items()
        }
        self.ticks = 0

        def floats(module: str, low: float, high: float) -> NDArray[np.float32]:
            return random.uniform(low, high, counts[module]).astype(np.float32)

        def whole(module: str, high: int) -> NDArray[np.int32]:
            return random.integers(1, high, counts[module]).astype(np.int32)

        self.columns["map"] |= {"height": floats("map", 0, 1), "ore": whole("map", 1000)}
        self.columns["tank"] |= {name: floats("tank", 0, 1000) for name in ("x", "y")}
        self.columns["tank"] |= {name: floats("tank", -9, 9) for name in ("vx", "vy")}
        self.columns["tank"] |= {"fuel": whole("tank", FULL)}
        self.columns["production"] |= {"rate": whole("production", 9)}
        self.columns["production"] |= {"stock": whole("production", 99).astype(np.int64)}
        self.born = {module: dict(columns) for module, columns in self.columns.items()}
        """What entities are born with; the rest is 0."""
        for module, name, dtype in (
            ("map", "rich", "i4"),
            ("tank", "heat", "f4"),
            ("tank", "map_ticks", "i8"),
            ("tank", "map_major", "i4"),
            ("production", "boxes", "i4"),
            ("production", "tank_ticks", "i8"),
            ("production", "tank_major", "i4"),
        ):
            self.columns[module][name] = np.zeros(counts[module], dtype)

    @property
    def population(self) -> int:
        """How many entities there are in all modules."""
        return sum(map(len, self.ids.values()))

    def tick(self, dt: float) -> None:
        """Have every entity do what its version does. What one is told of another is of this tick, not the last."""
        self.ticks += 1
        for columns in self.columns.values():
            columns["ticks"] = columns["ticks"] + 1
        self._map(self.columns["map"], self.majors["map"] == 2)
        self._tank(self.columns["tank"], self.majors["tank"] == 2, np.float32(dt))
        self._production(self.columns["production"], self.majors["production"] == 2)
        for before, module in itertools.pairwise(ORDER):
            columns, asked = self.columns[module], self.asked(module)
            columns[f"{before}_ticks"] = self.columns[before]["ticks"][asked]
            columns[f"{before}_major"] = self.majors[before][asked].astype(np.int32)

    def asked(self, module: str) -> NDArray[np.int64]:
        """Return which entity of the module before theirs each of a module's asks about."""
        return self.ids[module] * EACH[module]

    def of(self, module: str, major: int) -> Columns:
        """Return the columns of a module by the names that a version has for them; all of them, and more."""
        columns = self.columns[module]
        return {NEW_NAMES.get(name, name) if major == 2 else name: values for name, values in columns.items()}

    def _map(self, c: Columns, two: NDArray[np.bool_]) -> None:
        c["ore"] = c["ore"] + np.where(two, 3, 1 + (c["height"] > 0.5)).astype(np.int32)
        c["rich"] = np.where(two, c["rich"] + c["ore"] % 2, c["rich"])

    def _tank(self, c: Columns, two: NDArray[np.bool_], dt: np.float32) -> None:
        c["x"], c["y"] = c["x"] + c["vx"] * dt, c["y"] + c["vy"] * dt
        left = (c["fuel"] - np.where(two, 2, 1)).astype(np.int32)
        c["fuel"] = np.where(left < 0, np.int32(FULL), left)
        c["heat"] = np.where(two, c["heat"] * np.float32(0.5) + np.abs(c["vx"]) * dt, c["heat"])

    def _production(self, c: Columns, two: NDArray[np.bool_]) -> None:
        c["stock"] = c["stock"] + np.where(two, 2, 1) * c["rate"]
        c["boxes"] = np.where(two, c["stock"] // 10, c["boxes"]).astype(np.int32)
