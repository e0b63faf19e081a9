"""The entities of `patrol` in an engine, and what they must be: plain numpy over arrays that never met Grove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng

from grove_core.scenario.rollouts.brought import ONE, TWO
from grove_core.scenario.rollouts.chance import drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine

MODULE = "patrol"
SPREAD = 100
"""Ids are drawn from this many times as many numbers, so that each run has other entities, and another canary."""


@dataclass(frozen=True)
class Manner:
    """What a version does wrong: its configuration."""

    error_rate: float = 0.0
    """The probability of each call of each entity to fail."""
    work_ms: float = 0.0
    """How long each tick works at least."""
    seed: int = 0

    def config(self) -> dict[str, Any]:
        """Return it as `initialize` gets it."""
        return asdict(self)


class Units:
    """Both sides, and how they are held against each other.

    Args:
        engine: gets version 1 of the module, and the entities.
        entities: how many.
        seed: of their ids, places and paces.
        manners: what each version does wrong, by its major number.
    """

    def __init__(self, engine: DebugEngine, entities: int, seed: int, manners: Mapping[int, Manner]) -> None:
        random = default_rng(seed)
        self._engine, self._manners = engine, manners
        self._calls = dict.fromkeys(manners, 0)
        self.ids = np.sort(random.choice(entities * SPREAD, entities, replace=False))
        self.majors = np.ones(entities, np.int64)
        self._place = random.uniform(0, 1000, entities).astype(np.float32)
        self._pace = random.uniform(-5, 5, entities).astype(np.float32)
        self._ticks = np.zeros(entities, np.int64)
        self._by_two = np.zeros(entities, np.int64)
        engine.load_module_version(MODULE, str(ONE), config=manners[1].config())
        engine.spawn(MODULE, id=self.ids, place=self._place, pace=self._pace)

    def tick(self, dt: float) -> dict[int, int]:
        """Do what a tick must do, each entity by the version that it was in; return each version's errors."""
        errors = dict.fromkeys(self._manners, 0)
        for major, manner in self._manners.items():
            mine = self.majors == major
            if not mine.any():
                continue
            self._calls[major] += 1
            good = mine & ~drawn(manner.seed, self.ids, self._calls[major], manner.error_rate)
            errors[major] = int(np.count_nonzero(mine) - np.count_nonzero(good))
            self._place[good] += self._pace[good] * np.float32(dt)
            self._ticks[good] += 1
            self._by_two[good] += major == TWO.major
        return errors

    def locate(self) -> int:
        """Ask which version every entity is in; return how many are in version 2.

        Raises:
            UnknownEntity: one is lost.
        """
        located = self._engine.locate(MODULE, self.ids)
        self.majors = np.fromiter((version.major for version in located), np.int64, len(self.ids))
        return int(np.count_nonzero(self.majors == TWO.major))

    def differences(self) -> list[str]:
        """Say what is not as it must be, in the schema of version 2."""
        found = self._engine.entities(MODULE, version=str(TWO))
        order = np.argsort(found["id"])
        if not np.array_equal(found["id"][order], self.ids):
            return [f"there are {len(order)} entities, not {len(self.ids)}, or others"]
        expected: dict[str, NDArray[Any]] = {
            "place": self._place,
            "pace": self._pace,
            "ticks": self._ticks,
            "by_two": self._by_two,
        }
        wrong = {name: int(np.count_nonzero(found[name][order] != each)) for name, each in expected.items()}
        return [f"{name} is wrong in {count} of {len(self.ids)} entities" for name, count in wrong.items() if count]

    def missed(self, report: TickReport, errors: Mapping[int, int]) -> int:
        """Return how many entities had no tick in this one, those left out whose version said that they failed."""
        return max(0, len(self.ids) - report.entities - sum(errors.values()))

    def end(self) -> None:
        """Unload the module, so that the engine is as before."""
        self._engine.despawn(MODULE, self.ids)
        stable = self._engine.stable_version(MODULE)
        for version in sorted(self._engine.get_loaded_versions(MODULE), key=lambda each: each == stable):
            self._engine.unload_module_version(MODULE, str(version))
