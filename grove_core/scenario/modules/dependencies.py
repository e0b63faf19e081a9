"""`dependencies`: modules that need each other, as in a game: AI needs units, units need a map; chat needs nothing.

What is needed is loaded and ticked first; a new version of the map reloads what needs it; what cannot be is refused,
says why, and leaves nothing half done. Every value of every entity is held against a reference.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.footprint import without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.modules.cases import CaseSeen
from grove_core.scenario.modules.dependencies_cases import Case
from grove_core.scenario.modules.dependencies_outcome import outcome
from grove_core.scenario.modules.dependencies_plays import Plays
from grove_core.scenario.modules.game import BROUGHT
from grove_core.scenario.modules.playing import RunSeen, Watcher, play

if TYPE_CHECKING:
    from pathlib import Path

    from grove_core.scenario.common.outcome import Outcome

LEAST_ENTITIES = 2
ROUNDS = 10
PATIENT = Settings(tick_deadline_ms=10_000.0, load_deadline_seconds=60.0)
"""No deadline ends a version because the machine is busy."""


@dataclass
class DependenciesSeen(RunSeen):
    """What was seen during a run."""

    half: list[str] = field(default_factory=list)
    """What was not as before once something had been refused."""
    touched: list[str] = field(default_factory=list)
    """What became of the module that has nothing to do with the others."""
    growth_mb: list[float] = field(default_factory=list)
    """By how much memory grew in each case in which something was refused."""


class DependenciesScenario:
    """One run of the scenario.

    Args:
        entities: how many live in each module of the game, at least 2.
        rounds: how often what is timed is done.
        cases: which are played; of the others the outcome says nothing.
        settings: the engine's.
        plugins: further plugins of the engine.
        brought: the plugin that finds the versions.
        watcher: called before each case.

    Raises:
        InvalidInput: too few entities, or rounds.
    """

    def __init__(
        self,
        entities: int = 1000,
        *,
        rounds: int = ROUNDS,
        cases: Sequence[Case] = tuple(Case),
        settings: Settings = PATIENT,
        plugins: Sequence[object] = (),
        brought: object = BROUGHT,
        watcher: Watcher | None = None,
    ) -> None:
        if entities < LEAST_ENTITIES or rounds < 1:
            raise InvalidInput(f"there must be at least {LEAST_ENTITIES} entities and 1 round")
        self._seen = DependenciesSeen(entities, rounds, tuple(cases))
        self._settings, self._plugins, self._watcher = settings, [brought, *plugins], watcher

    def run(self) -> Outcome:
        """Play it. What the engine raises where it must not ends the run, and stands in the outcome."""
        seen, clock, belongings = self._seen, ManualClock(), Belongings()
        before, began = belongings.take(), time.monotonic()
        try:
            with (
                DebugEngine(self._settings, clock=clock, plugins=self._plugins) as engine,
                without_what_was_there(),
            ):
                belongings.note()
                self._play(engine, Plays(engine, belongings, seen.entities, seen.rounds))
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.real_seconds = time.monotonic() - began
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)

    def _play(self, engine: DebugEngine, plays: Plays) -> None:
        seen = self._seen
        seen.half, seen.touched, seen.growth_mb = plays.half, plays.touched, plays.growth_mb
        plays.begin()
        for case in seen.played:
            if self._watcher is not None:
                self._watcher(engine, case)
            seen.cases.append(CaseSeen(case, pids=plays.pids))
            plays.play(seen.cases[-1])


def run_command(entities: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    return play(
        "Dependencies", list(Case), lambda watcher: DependenciesScenario(entities, watcher=watcher).run(), json_path
    )
