"""`leaks`: a thousand loads and unloads beside a version that runs, and what is left of them."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.crowd import MODULE, Crowd
from grove_core.scenario.common.footprint import METHOD, Footprint, Growth, without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile
from grove_core.scenario.common.written import package, write

if TYPE_CHECKING:
    from grove_core.base.versions import Requirement
    from grove_core.scenario.common.holdings import Holdings

GROWTH_MB = 1.0
WARM_UP = 0.5
"""How many cycles come before those that are measured, as a part of these: by then Python's tables of texts and its
garbage have the room that they go on to need."""
BY_PATH = 10
"""Every tenth cycle loads by path, what was written anew for it."""
WRITTEN = "9.0.0"
"""No lens of gamelogic leads there, nor is one needed: it gets no entities."""
ENTITIES = 100
SOURCE = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4")

    def process(self, dt):
        self.entities.x += {number}
"""
Watcher = Callable[[DebugEngine, int], None]
"""Called after each cycle with the engine and the number of cycles done."""


class Metric(StrEnum):
    """The metrics."""

    CYCLES = "cycles"
    MEMORY_GROWTH_MB = "memory_growth_mb"
    LEFT_OVER = "left_over"
    LOAD_P50_MS = "load_p50_ms"
    LOAD_P99_MS = "load_p99_ms"
    UNLOAD_P50_MS = "unload_p50_ms"
    UNLOAD_P99_MS = "unload_p99_ms"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    EVERY_CYCLE_DONE = "every_cycle_done"
    MEMORY_GIVEN_BACK = "memory_given_back"
    NOTHING_LEFT = "nothing_left"
    ENTITIES_UNTOUCHED = "entities_untouched"


@dataclass
class LeaksSeen:
    """What was seen during a run."""

    cycles: int
    load_ms: array[float] = field(default_factory=lambda: array("d"))
    unload_ms: array[float] = field(default_factory=lambda: array("d"))
    growth: Growth | None = None
    events: int = 0
    """How many events were taken from the engine."""
    left: list[str] = field(default_factory=list)
    differences: tuple[str, ...] = ("they were not looked at",)
    error: str | None = None


class Leaks:
    """One run of the scenario.

    Args:
        cycles: how many loads with an unload each, at least 10.
        settings: the engine's.
        plugins: further plugins of the engine.
        watcher: called after each cycle.

    Raises:
        InvalidInput: there are too few cycles for a measurement.
    """

    def __init__(
        self,
        cycles: int = 1000,
        *,
        settings: Settings | None = None,
        plugins: Sequence[object] = (),
        watcher: Watcher | None = None,
    ) -> None:
        if cycles < BY_PATH:
            raise InvalidInput(f"there must be at least {BY_PATH} cycles, not {cycles}")
        self._seen = LeaksSeen(cycles)
        self._settings = Settings() if settings is None else settings
        self._plugins = plugins
        self._watcher = watcher
        self._belongings = Belongings()

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, clock = self._seen, ManualClock()
        before = self._belongings.take()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="leaks-") as folder,
                DebugEngine(self._settings, clock=clock, plugins=self._plugins) as engine,
                without_what_was_there(),
            ):
                self._play(engine, Path(folder))
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engine was closed" for what in self._belongings.left(before)]
        return outcome(seen)

    def _play(self, engine: DebugEngine, folder: Path) -> None:
        seen, crowd = self._seen, Crowd(engine, self._settings)
        engine.load_module_version(MODULE, 1)
        engine.spawn(MODULE, **crowd.make(ENTITIES))
        crowd.locate()
        warm = max(BY_PATH, round(seen.cycles * WARM_UP))
        for number in range(warm):  # these come on top: what they leave is the measure for the others
            self._cycle(engine, folder, number)
        del seen.load_ms[:], seen.unload_ms[:]
        footprint, holdings = self._measure(engine)
        for number in range(seen.cycles):
            self._cycle(engine, folder, warm + number)
            if self._watcher is not None:
                self._watcher(engine, number + 1)
        now = self._measure(engine)
        seen.growth = now[0].growth(footprint)
        seen.left += [f"{what}, with the same version as before" for what in now[1].more_than(holdings)]
        seen.differences = crowd.differences()

    def _measure(self, engine: DebugEngine) -> tuple[Footprint, Holdings]:
        return Footprint.take(engine, self._belongings), self._belongings.take()

    def _cycle(self, engine: DebugEngine, folder: Path, number: int) -> None:
        """Load a version and unload it."""
        version: Requirement = 2 + number % 2
        path = None
        if number % BY_PATH == BY_PATH - 1:
            source = SOURCE.format(number=number)
            version, path = WRITTEN, str(write(folder, package(MODULE, WRITTEN, {"__init__.py": source})))
        self._seen.load_ms.append(engine.load_module_version(MODULE, version, path=path).ms)
        self._seen.unload_ms.append(engine.unload_module_version(MODULE, version).ms)
        self._seen.events += len(engine.events)
        engine.events.clear()  # taken as they come: up to 10,000 of them are remembered on purpose


GAUGES: dict[Metric, Gauge] = {
    Metric.CYCLES: Gauge("Loads and unloads", "{:d}", Threshold(above=0)),
    Metric.MEMORY_GROWTH_MB: Gauge("Memory growth", "{:.3f}MB", Threshold(below=GROWTH_MB)),
    Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    Metric.LOAD_P50_MS: Gauge("Load, p50", "{:.1f}ms", Threshold(below=200.0, binding=False)),
    Metric.LOAD_P99_MS: Gauge("Load, p99", "{:.1f}ms", Threshold(below=200.0, binding=False)),
    Metric.UNLOAD_P50_MS: Gauge("Unload, p50", "{:.1f}ms", Threshold(below=100.0, binding=False)),
    Metric.UNLOAD_P99_MS: Gauge("Unload, p99", "{:.1f}ms", Threshold(below=100.0, binding=False)),
}


def outcome(seen: LeaksSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    metrics: dict[Metric, float | None] = {
        Metric.CYCLES: len(seen.unload_ms),
        Metric.MEMORY_GROWTH_MB: None if seen.growth is None else seen.growth.megabytes,
        Metric.LEFT_OVER: len(seen.left),
        Metric.LOAD_P50_MS: percentile(seen.load_ms, 50),
        Metric.LOAD_P99_MS: percentile(seen.load_ms, 99),
        Metric.UNLOAD_P50_MS: percentile(seen.unload_ms, 50),
        Metric.UNLOAD_P99_MS: percentile(seen.unload_ms, 99),
    }

    def met(name: Metric) -> bool:
        return GAUGES[name].threshold.holds(metrics[name])

    alive = seen.error is None
    return Outcome(
        title="Leaks: what is left of loads and unloads",
        facts={"scenario": "leaks", "cycles": seen.cycles, "entities": ENTITIES},
        about=(
            f"{seen.cycles} loads and unloads of versions 2 and 3 beside version 1, which has {ENTITIES} entities;",
            f"every tenth is of a package that was rewritten for it, version {WRITTEN}, by path",
        ),
        gauges=GAUGES,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.EVERY_CYCLE_DONE: len(seen.unload_ms) == seen.cycles,
            Assertion.MEMORY_GIVEN_BACK: met(Metric.MEMORY_GROWTH_MB),
            Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
            Assertion.ENTITIES_UNTOUCHED: not seen.differences,
        },
        notes={Assertion.NOTHING_LEFT: seen.left, Assertion.ENTITIES_UNTOUCHED: seen.differences},
        sections=(Section("Memory", tuple(_memory(seen))),),
        details={"memory": None if seen.growth is None else seen.growth.document(), "events": seen.events},
        error=seen.error,
    )


def _memory(seen: LeaksSeen) -> Iterator[str]:
    if seen.growth is not None:
        yield seen.growth.line()
    yield from METHOD
    yield f"First after {max(BY_PATH, round(seen.cycles * WARM_UP))} cycles that come on top, then after the others,"
    yield f"Its {seen.events} events were taken from the engine as they came; else it remembers the"
    yield "latest 10,000, at 1 to 2 kB each."


def run_command(cycles: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    with quiet(), progress(cycles, "cycles", "Leaks") as told:
        watcher = None if told is None else lambda _, done: told(done, "Leaks")
        result = Leaks(cycles, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
