"""`config`: what happens to versions, to those who live and to those who come, when a config changes while they run.

Each version shows in every tick with which config it runs: by what it does, and by a checksum. So what the engine says
of configs is held against what the workers have, for every entity, after every change and every refusal.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.footprint import without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.modules.cases import CaseSeen
from grove_core.scenario.modules.config_cases import Case
from grove_core.scenario.modules.config_outcome import outcome
from grove_core.scenario.modules.config_plays import Plays
from grove_core.scenario.modules.playing import RunSeen, Watcher, play
from grove_core.scenario.modules.turrets import BROUGHT

if TYPE_CHECKING:
    from grove_core.scenario.common.outcome import Outcome

LEAST_ENTITIES = 4
ROUNDS = 20
PATIENT = Settings(tick_deadline_ms=10_000.0, load_deadline_seconds=60.0)
"""No deadline ends a version because the machine is busy; the one that is to hang has its own."""


class ConfigSeen(RunSeen):
    """What was seen during a run."""


class ConfigScenario:
    """One run of the scenario.

    Args:
        entities: how many are there from the beginning, at least 4.
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
        self._seen = ConfigSeen(entities, rounds, tuple(cases))
        self._settings, self._plugins, self._watcher = settings, [brought, *plugins], watcher

    def run(self) -> Outcome:
        """Play it. What the engine raises where it must not ends the run, and stands in the outcome."""
        seen, clock, belongings = self._seen, ManualClock(), Belongings()
        before, began = belongings.take(), time.monotonic()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="config-") as folder,
                DebugEngine(self._settings, clock=clock, plugins=self._plugins) as engine,
                without_what_was_there(),
            ):
                belongings.note()
                self._play(engine, Plays(engine, clock, seen.entities, seen.rounds, Path(folder)))
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.real_seconds = time.monotonic() - began
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)

    def _play(self, engine: DebugEngine, plays: Plays) -> None:
        plays.begin()
        for case in self._seen.played:
            if self._watcher is not None:
                self._watcher(engine, case)
            self._seen.cases.append(CaseSeen(case, pids=plays.pids))
            plays.play(self._seen.cases[-1])


def run_command(entities: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    return play("Config", list(Case), lambda watcher: ConfigScenario(entities, watcher=watcher).run(), json_path)
