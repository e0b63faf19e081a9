"""`rollout`: versions that are good, broken, slow, or no worse than stable, and rollouts that find out by themselves.

A good version is promoted. One with 10% errors is rolled back, whatever the seed; one that fails as often as stable is
not, but for a few of many seeds. A slow one is caught. Blue and green change places in one tick. All of it can be read
in the log afterwards, with its evidence.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Choice, Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.rollouts.brought import both_of
from grove_core.scenario.rollouts.decisions import Decision, written
from grove_core.scenario.rollouts.plays import COARSE, Case, Kind, Play, PlaySeen, Watcher
from grove_core.scenario.rollouts.rollout_outcome import outcome
from grove_core.scenario.rollouts.units import MODULE, Manner

if TYPE_CHECKING:
    from grove_core.scenario.common.outcome import Outcome

PATIENT = Settings(tick_deadline_ms=5000.0)
"""A version that is slow is left to the judges: no deadline ends it, and no busy machine a good one."""
LEAST_ENTITIES = 100
"""With fewer, a canary of 10% has too few to show anything."""
FAST = 60
"""Ticks in a simulated second, of all but the versions that are no worse."""
SLOW = 1.5
"""How many times as long as a tick lasts a slow version works in it."""
Played = Callable[[PlaySeen], None]
"""Called after each rollout."""


@dataclass
class RolloutsSeen:
    """What was seen during a run."""

    seeds: int
    entities: int
    ticks_per_second: int = FAST
    plays: list[PlaySeen] = field(default_factory=list)
    written: list[Decision] = field(default_factory=list)
    """What the sink `jsonl` wrote of all of them."""
    real_seconds: float = 0.0
    left: list[str] = field(default_factory=list)
    error: str | None = None

    def of(self, kind: Kind) -> list[PlaySeen]:
        """Return the plays of one kind."""
        return [play for play in self.plays if play.kind is kind]


class RolloutScenario:
    """One run of the scenario.

    Args:
        seeds: with how many seeds the versions run that fail at random, at least 1.
        entities: how many live in the module, at least 100.
        ticks_per_second: of all but the versions that are no worse.
        settings: the engine's.
        plugins: further plugins of the engine.
        kinds: which plays; what is left out the outcome says nothing of.
        played: called after each rollout.
        watcher: called after each tick.

    Raises:
        InvalidInput: too few seeds, or entities.
    """

    def __init__(
        self,
        seeds: int = 100,
        entities: int = 500,
        *,
        ticks_per_second: int = FAST,
        settings: Settings = PATIENT,
        plugins: Sequence[object] = (),
        kinds: Sequence[Kind] = tuple(Kind),
        played: Played | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        if seeds < 1 or entities < LEAST_ENTITIES:
            raise InvalidInput(
                f"there must be at least 1 seed and {LEAST_ENTITIES} entities, not {seeds} and {entities}"
            )
        self._seen = RolloutsSeen(seeds, entities, ticks_per_second)
        self._kinds = kinds
        self._settings, self._plugins = settings, plugins
        self._played, self._watcher = played, watcher

    @property
    def rollouts(self) -> int:
        """How many there are."""
        return sum(1 for _ in self._cases())

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, clock, belongings = self._seen, ManualClock(), Belongings()
        before, began = belongings.take(), time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="rollout-") as folder:
                log = Path(folder) / "events.jsonl"
                with self._engine(clock, log) as engine:
                    belongings.note()
                    self._play(engine, clock)
                seen.written = written(log)
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.real_seconds = time.monotonic() - began
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen, self._kinds)

    def _engine(self, clock: ManualClock, log: Path) -> DebugEngine:
        """Return the engine, which also writes its events to a file."""
        sinks = (*self._settings.sinks, Choice("jsonl", {"path": str(log), "max_bytes": 0}))
        settings = msgspec.structs.replace(self._settings, sinks=sinks)
        return DebugEngine(settings, clock=clock, plugins=[both_of(MODULE), *self._plugins])

    def _play(self, engine: DebugEngine, clock: ManualClock) -> None:
        for case, seed in self._cases():
            play = Play(engine, clock, self._seen.entities, case, seed, self._watcher)
            self._seen.plays.append(play.seen)
            play.run()
            if self._played is not None:
                self._played(play.seen)

    def _cases(self) -> Iterator[tuple[Case, int]]:
        """Yield what is played, with its seed."""
        sound, fast = Manner(), self._seen.ticks_per_second
        single = (
            Case(Kind.GOOD, "canary", fast, sound, sound),
            Case(Kind.SLOW, "canary", fast, sound, Manner(work_ms=SLOW * 1000 / fast)),
            Case(Kind.BLUE_GREEN, "blue_green", fast, sound, sound),
        )
        yield from ((case, 0) for case in single if case.kind in self._kinds)
        for kind, rate, ticks in ((Kind.ERRORS, 0.10, fast), (Kind.ALIKE, 0.01, COARSE)):
            for seed in range(self._seen.seeds * (kind in self._kinds)):
                one, two = Manner(0.01, seed=2 * seed), Manner(rate, seed=2 * seed + 1)
                yield Case(kind, "canary", ticks, one, two), seed


def run_command(seeds: int, entities: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    whole, done = RolloutScenario(seeds, entities).rollouts, 0
    with quiet(), progress(whole, "rollouts", "Rollouts") as told:

        def show(play: PlaySeen) -> None:
            nonlocal done
            done += 1
            if told is not None:
                told(done, f"Rollouts: {play.kind.value}")

        result = RolloutScenario(seeds, entities, played=show).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
