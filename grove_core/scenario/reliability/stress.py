"""`stress`: ten minutes at 60 Hz with three versions, and one of them reloaded every five seconds, in turn.

A reload is what an operator would do: the version's entities go to the others, it is unloaded and loaded, and entities
are shared out again. If it was the stable version, the next one is trusted meanwhile, and stays so.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import Pace, Realtime, at_once, conclude, progress, quiet
from grove_core.scenario.common.crowd import MODULE, Crowd
from grove_core.scenario.common.footprint import Footprint, Growth, without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.reliability.stress_outcome import outcome

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.version import Version

    from grove_core.base.versions import Requirement
    from grove_core.scenario.common.outcome import Outcome

TICKS_PER_SECOND = 60
RELOAD_SECONDS = 5
SPLIT = {1: 0.4, 2: 0.3, 3: 0.3}
WARM_UP = 0.1
"""The part of the run after which memory is measured for the first time."""
Watcher = Callable[[DebugEngine, int], None]
"""Called after each tick with the engine and the number of ticks done."""


@dataclass
class StressSeen:
    """What was seen during a run."""

    seconds: int
    entities: int
    settings: Settings
    ticks: int = 0
    frame_ms: array[float] = field(default_factory=lambda: array("d"))
    """For each tick, all that was called on the engine since the last one."""
    reload_ms: array[float] = field(default_factory=lambda: array("d"))
    """From the first call of a reload to the return of its last one."""
    load_ms: array[float] = field(default_factory=lambda: array("d"))
    faults: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    uneven: list[str] = field(default_factory=list)
    """Splits that were not met exactly."""
    ticks_short: int = 0
    """Ticks in which some entity had none."""
    growth: Growth | None = None
    left: list[str] = field(default_factory=list)
    error: str | None = None


class Stress:
    """One run of the scenario.

    Args:
        seconds: of simulated time, at least 10.
        entities: how many live in the module, at least 3.
        settings: the engine's.
        plugins: further plugins of the engine.
        pace: called before each tick with its simulated time. Default: at once.
        watcher: called after each tick.

    Raises:
        InvalidInput: too short for a reload, or fewer entities than versions.
    """

    def __init__(
        self,
        seconds: int = 600,
        entities: int = 10_000,
        *,
        settings: Settings | None = None,
        plugins: Sequence[object] = (),
        pace: Pace = at_once,
        watcher: Watcher | None = None,
    ) -> None:
        if seconds < 2 * RELOAD_SECONDS or entities < len(SPLIT):
            raise InvalidInput(f"seconds must be at least {2 * RELOAD_SECONDS}, and entities at least {len(SPLIT)}")
        self._settings = Settings() if settings is None else settings
        self._seen = StressSeen(seconds, entities, self._settings)
        self._plugins = plugins
        self._pace = pace
        self._watcher = watcher

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, clock, belongings = self._seen, ManualClock(), Belongings()
        before = belongings.take()
        try:
            with (
                DebugEngine(self._settings, clock=clock, plugins=self._plugins) as engine,
                without_what_was_there(),
            ):
                _Run(engine, clock, seen, belongings, self._pace, self._watcher).play()
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)


class _Run:
    """One engine on its way through the reloads."""

    def __init__(
        self,
        engine: DebugEngine,
        clock: ManualClock,
        seen: StressSeen,
        belongings: Belongings,
        pace: Pace,
        watcher: Watcher | None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._seen = seen
        self._belongings = belongings
        self._pace = pace
        self._watcher = watcher
        self._crowd = Crowd(engine, seen.settings)
        self._versions: dict[int, Version] = {}
        self._reloads = 0
        self._before_tick_ms = 0.0

    def play(self) -> None:
        """Play it to its end.

        Raises:
            GroveError: the engine refused what it must do.
        """
        seen = self._seen
        for major in SPLIT:
            self._versions[major] = self._engine.load_module_version(MODULE, major).version
        self._engine.spawn(MODULE, **self._crowd.make(seen.entities))
        self._split(SPLIT)
        self._crowd.locate()
        warm = max(RELOAD_SECONDS, round(seen.seconds * WARM_UP))
        for second in range(warm):
            self._second(second)
        footprint, holdings = Footprint.take(self._engine, self._belongings), self._belongings.take()
        for second in range(warm, seen.seconds):
            self._second(second)
        seen.growth = Footprint.take(self._engine, self._belongings).growth(footprint)
        seen.left += [f"{what}, with the same three versions" for what in self._belongings.take().more_than(holdings)]

    def _second(self, second: int) -> None:
        """Let a simulated second pass, with a reload before it where one is due."""
        if second and second % RELOAD_SECONDS == 0:
            self._reload()
            self._look(second)
        for _ in range(TICKS_PER_SECOND):
            self._tick()
        self._look(second + 1)

    def _reload(self) -> None:
        major = 1 + self._reloads % len(SPLIT)
        self._reloads += 1
        version = self._versions[major]
        began = time.perf_counter()
        if self._engine.stable_version(MODULE) == version:
            self._split({1 + major % len(SPLIT): 1.0})  # the next one is trusted now
        else:
            others = {each: weight for each, weight in SPLIT.items() if each != major}
            self._split({each: weight / sum(others.values()) for each, weight in others.items()})
        self._engine.unload_module_version(MODULE, version)
        self._seen.load_ms.append(self._engine.load_module_version(MODULE, version).ms)
        self._split(SPLIT)
        ms = (time.perf_counter() - began) * 1000
        self._seen.reload_ms.append(ms)
        self._before_tick_ms += ms
        self._check_split()

    def _split(self, weights: dict[int, float]) -> None:
        given: dict[Requirement, float] = {self._versions[major]: weight for major, weight in weights.items()}
        self._engine.set_traffic_split(MODULE, given)

    def _check_split(self) -> None:
        counts = self._crowd.counts(self._crowd.locate())
        exact = {major: weight * self._seen.entities for major, weight in SPLIT.items()}
        if any(abs(counts.get(major, 0) - share) >= 1 for major, share in exact.items()):
            self._seen.uneven.append(f"{self._clock.now():.2f}s: {counts}")

    def _tick(self) -> None:
        seen = self._seen
        second = seen.ticks / TICKS_PER_SECOND
        self._pace(second)
        self._clock.set(second)
        began = time.perf_counter()
        report = self._engine.tick(1 / TICKS_PER_SECOND)
        seen.frame_ms.append((time.perf_counter() - began) * 1000 + self._before_tick_ms)
        self._before_tick_ms = 0.0
        seen.ticks += 1
        seen.ticks_short += report.entities != seen.entities
        if report.faults:
            seen.faults += [f"{second:.2f}s: {one.kind.value} of {one.version}: {one.message}" for one in report.faults]
            self._crowd.locate()
        self._crowd.reference.tick(1 / TICKS_PER_SECOND)
        if self._watcher is not None:
            self._watcher(self._engine, seen.ticks)

    def _look(self, second: int) -> None:
        if differences := self._crowd.differences():
            self._seen.differences += [f"{second}s: {sentence}" for sentence in differences]
            self._crowd.take_over()


def run_command(seconds: int, entities: int, realtime: bool, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    with quiet(), progress(seconds * TICKS_PER_SECOND, "ticks", "Stress") as told:
        watcher = None if told is None else lambda _, ticks: told(ticks, "Stress")
        result = Stress(seconds, entities, pace=Realtime() if realtime else at_once, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
