"""Version 1 of the module `patrol`: units walk, and fail as often as their configuration says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from grove_core.author.module import Document, Module
from grove_core.author.schema import Schema
from grove_core.scenario.rollouts.chance import drawn


class Patrol(Module):
    """Walks each unit by its pace, and counts its ticks.

    Its configuration: `error_rate`, the probability of each call of each unit to fail, drawn from `seed`, the unit's id
    and the number of the tick since the load; and `work_ms`, for how long each tick works at least.
    """

    schema = Schema(place="f4", pace="f4", ticks="i8", constant=("pace",))

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take what it is to do wrong."""
        self._seed = int(config.get("seed", 0))
        self._error_rate = float(config.get("error_rate", 0.0))
        self._work_ms = float(config.get("work_ms", 0.0))
        self._tick = 0

    def get_state(self) -> Document:
        """Return how many ticks there were, so that the warm-up, which is none of them, is not counted."""
        return self._tick

    def set_state(self, document: Document) -> None:
        """Go on from there."""
        self._tick = document

    def migrate_state_from(self, from_version: str, state: Document) -> bool:
        """Leave another version's count where it is: each counts its own ticks."""
        return True

    def process(self, dt: float) -> None:
        """Walk."""
        began, e = time.perf_counter(), self.entities
        self._tick += 1
        e.place += e.pace * dt
        e.ticks += 1
        broken = drawn(self._seed, e.id, self._tick, self._error_rate)
        if broken.any():
            e.fail(e.id[broken], "it was drawn to fail")
        while (time.perf_counter() - began) * 1000 < self._work_ms:
            drawn(self._seed, e.id, self._tick, 0.5)  # work that takes the time it takes, not a sleep
