"""`chaos`: three versions of gamelogic at 60 Hz, and every kind of fault at random.

An operator stands by: it loads what was lost again, and shares entities out again, so that there are three versions
to be struck. Whether a fault was recovered is looked at in its tick, before the operator does anything.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from numpy.random import default_rng

from grove_core.base.clock import ManualClock
from grove_core.base.errors import GroveError, InvalidInput
from grove_core.base.events import EventKind
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import Pace, Realtime, at_once, conclude, progress, quiet
from grove_core.scenario.common.crowd import MODULE, Crowd
from grove_core.scenario.common.footprint import Footprint, Growth, without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.reliability.chaos_outcome import outcome
from grove_core.scenario.reliability.struck import Armed, Ledger, Struck
from grove_core.wire.faults import AT_LOAD, NEEDS_ROWS, FaultPoint, InjectedKind

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.version import Version

    from grove_core.base.records import TickReport
    from grove_core.parts.running import Isolation
    from grove_core.scenario.common.holdings import Holdings
    from grove_core.scenario.common.outcome import Outcome

TICKS_PER_SECOND = 60
SPLIT = {1: 0.4, 2: 0.3, 3: 0.3}
RATE = 0.01
"""The probability of a fault in one tick of one version."""
MIGRATE_PART = 0.25
"""How much rarer those are that wait until entities move."""
LOAD_RATE = 0.1
"""The probability of a fault in a load."""
OPERATOR_TICKS = 15
"""How often the operator looks at what is missing."""
WARM_UP = 0.1
"""The part of the run after which memory is measured for the first time."""
FAULT_SECONDS = 3.0
"""How long a lag lasts: longer than the deadlines of a tick and of a load."""
AMOUNT_BYTES = 1 << 18
"""How much memory is taken, or how much is printed."""
UNSEEN = frozenset({InjectedKind.WRONG})
"""What no engine without a validator can see: it is left out."""
KINDS = tuple(each for each in InjectedKind if each not in UNSEEN)
ATTEMPTS = 40
"""How often order is restored before a measurement, until it holds."""
Watcher = Callable[[DebugEngine, int], None]
"""Called after each tick with the engine and the number of ticks done."""


@dataclass
class ChaosSeen:
    """What was seen during a run."""

    seconds: float
    seed: int
    entities: int
    settings: Settings
    kinds: tuple[InjectedKind, ...]
    ledger: Ledger = field(default_factory=Ledger)
    ticks: int = 0
    tick_ms: array[float] = field(default_factory=lambda: array("d"))
    differences: list[str] = field(default_factory=list)
    """What was not as the reference has it, with the second."""
    ticks_short: int = 0
    """Ticks in which some entity was neither ticked nor skipped."""
    skipped: int = 0
    pauses: int = 0
    growth: Growth | None = None
    left: list[str] = field(default_factory=list)
    """What there was beyond the beginning once the engine was closed, and at the end of the run beyond its start."""
    loads: int = 0
    loads_failed: list[str] = field(default_factory=list)
    """Loads that failed and into which nothing was injected."""
    at_the_end: dict[int, int] = field(default_factory=dict)
    """Major number -> entities."""
    finished: bool = False
    error: str | None = None


class Chaos:
    """One run of the scenario.

    Args:
        seconds: of simulated time.
        seed: of the faults and of what the operator does.
        entities: how many live in the module, at least 3.
        rate: the probability of a fault in one tick of one version.
        kinds: which faults.
        settings: the engine's.
        plugins: further plugins of the engine.
        pace: called before each tick with its simulated time. Default: at once.
        watcher: called after each tick.
        isolation: where versions run, instead of what the settings choose.

    Raises:
        InvalidInput: less than a second, fewer entities than versions, or a rate that is no probability.
    """

    def __init__(
        self,
        seconds: float = 300.0,
        seed: int = 1,
        entities: int = 100,
        *,
        rate: float = RATE,
        kinds: Iterable[InjectedKind] = KINDS,
        settings: Settings | None = None,
        plugins: Sequence[object] = (),
        pace: Pace = at_once,
        watcher: Watcher | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        if seconds < 1 or entities < len(SPLIT) or not 0 <= rate <= 1:
            raise InvalidInput("seconds must be at least 1, entities at least 3, and rate from 0 to 1")
        self._settings = Settings(load_deadline_seconds=2.0) if settings is None else settings
        self._seen = ChaosSeen(seconds, seed, entities, self._settings, tuple(kinds))
        self._rate = rate
        self._plugins = plugins
        self._pace = pace
        self._watcher = watcher
        self._isolation = isolation

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, clock, belongings = self._seen, ManualClock(), Belongings()
        before = belongings.take()
        try:
            with (
                DebugEngine(self._settings, clock=clock, plugins=self._plugins, isolation=self._isolation) as engine,
                without_what_was_there(),
            ):
                _Run(engine, clock, seen, belongings, self._rate, self._pace, self._watcher).play()
            seen.finished = True
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)


class _Run:
    """One engine on its way through the faults."""

    def __init__(
        self,
        engine: DebugEngine,
        clock: ManualClock,
        seen: ChaosSeen,
        belongings: Belongings,
        rate: float,
        pace: Pace,
        watcher: Watcher | None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._seen = seen
        self._belongings = belongings
        self._rate = rate
        self._pace = pace
        self._watcher = watcher
        self._crowd = Crowd(engine, seen.settings)
        self._random = default_rng(seen.seed)
        self._versions: dict[int, Version] = {}

    def play(self) -> None:
        """Play it to its end.

        Raises:
            GroveError: the engine refused what it must do.
        """
        for major in SPLIT:
            self._versions[major] = self._engine.load_module_version(MODULE, major).version
        self._engine.spawn(MODULE, **self._crowd.make(self._seen.entities))
        self._split()
        ticks = round(self._seen.seconds * TICKS_PER_SECOND)
        warm = round(ticks * WARM_UP)
        self._live_through(warm, self._seen.seed)
        footprint, holdings = self._settled()
        self._live_through(ticks - warm, self._seen.seed + 1)
        self._seen.growth, now = self._settled()[0].growth(footprint), self._belongings.take()
        self._seen.left += [f"{what}, with the same three versions" for what in now.more_than(holdings)]
        self._seen.at_the_end = self._crowd.counts(self._crowd.locate())

    def _live_through(self, ticks: int, seed: int) -> None:
        """Let it be struck for so many ticks."""
        kinds = self._seen.kinds
        moving = [kind for kind in kinds if kind not in NEEDS_ROWS]
        inject = partial(
            self._engine.inject_faults_at_random,
            MODULE,
            seed=seed,
            seconds=FAULT_SECONDS,
            amount_bytes=AMOUNT_BYTES,
        )
        inject(rate=self._rate, kinds=kinds)
        if moving:
            inject(">=2", rate=self._rate * MIGRATE_PART, kinds=moving, points=[FaultPoint.MIGRATE])
        for number in range(ticks):
            self._tick()
            if number % OPERATOR_TICKS == 0:
                self._operate(moving)
        self._engine.stop_faults(MODULE)

    def _settled(self) -> tuple[Footprint, Holdings]:
        """Have all three versions run without a fault, and measure what they take."""
        for _ in range(ATTEMPTS):
            self._operate(())
            if not self._tick().faults and self._in_order():
                break
        return Footprint.take(self._engine, self._belongings), self._belongings.take()

    def _tick(self) -> TickReport:
        seen = self._seen
        second = seen.ticks / TICKS_PER_SECOND
        self._pace(second)
        self._clock.set(second)
        report = self._engine.tick(1 / TICKS_PER_SECOND)
        seen.ticks += 1
        seen.tick_ms.append(report.ms)
        seen.skipped += report.skipped
        seen.ticks_short += report.entities + report.skipped != seen.entities
        injected = self._note_injected(report.number, second)
        self._crowd.tick(report, 1 / TICKS_PER_SECOND)
        if report.faults or injected or seen.ticks % TICKS_PER_SECOND == 0:
            right = self._right(second)
            seen.ledger.tick(second, report, right and not report.skipped)
        if self._watcher is not None:
            self._watcher(self._engine, seen.ticks)
        return report

    def _note_injected(self, number: int, second: float) -> bool:
        """Note which faults were drawn for this tick; they are among the latest events."""
        injected = False
        for event in reversed(self._engine.events):
            if event.at < second:
                break
            if event.kind is EventKind.FAULT_INJECTED and event.details["tick"] == number and event.version:
                kind, point = InjectedKind(event.details["fault"]), FaultPoint(event.details["point"])
                self._seen.ledger.arm(event.version, Armed(kind, point, number))
                injected = True
        return injected

    def _right(self, second: float) -> bool:
        """Hold every entity against the reference, which is put right afterwards: what is wrong counts once."""
        differences = self._crowd.differences()
        if differences:
            self._seen.differences += [f"{second:.2f}s: {sentence}" for sentence in differences]
            self._crowd.take_over()
        return not differences

    def _operate(self, kinds: Sequence[InjectedKind]) -> None:
        """Do what an operator does: load what was lost, share out anew, resume what is paused."""
        if self._engine.is_paused(MODULE):
            self._seen.pauses += 1
            self._engine.rollback(MODULE, self._versions[1])
        for major, version in self._versions.items():
            if not self._engine.is_version_loaded(MODULE, version):
                self._load(major, kinds)
        if not self._in_order() and len(self._engine.get_loaded_versions(MODULE)) == len(SPLIT):
            self._split()

    def _in_order(self) -> bool:
        weights = self._engine.get_traffic_split(MODULE)
        return {version.major: round(weight, 6) for version, weight in weights.items()} == SPLIT

    def _split(self) -> None:
        self._engine.set_traffic_split(MODULE, {self._versions[major]: weight for major, weight in SPLIT.items()})
        self._crowd.locate()

    def _load(self, major: int, kinds: Sequence[InjectedKind]) -> None:
        """Load a version again, perhaps with a fault in it, and perhaps have it take over all rows of another."""
        seen, version = self._seen, self._versions[major]
        seen.ledger.forget(version)
        fault = self._at_load(version, kinds)
        began, failed = time.perf_counter(), None
        seen.loads += 1
        try:
            self._engine.load_module_version(MODULE, version)
        except GroveError as error:
            failed = error
        if fault is not None:
            ms, second = (time.perf_counter() - began) * 1000, self._clock.now()
            seen_as = None if failed is None else type(failed).__name__
            seen.ledger.load(Struck.at(*fault, major, second, seen_as, ms, self._right(second)))
        elif failed is not None:
            seen.loads_failed.append(f"{self._clock.now():.2f}s: {failed}".splitlines()[0])
        if failed is None:
            self._hand_over(major)

    def _at_load(self, version: Version, kinds: Sequence[InjectedKind]) -> tuple[InjectedKind, FaultPoint] | None:
        """Plan a fault for the load that follows, or none, which is the rule."""
        if not kinds or self._random.random() >= LOAD_RATE:
            return None
        points = [point for point in FaultPoint if point in AT_LOAD]
        kind, point = (each[int(self._random.integers(len(each)))] for each in (kinds, points))
        assert isinstance(kind, InjectedKind)
        assert isinstance(point, FaultPoint)
        self._engine.inject_fault(MODULE, version, kind, point=point, seconds=FAULT_SECONDS, amount_bytes=AMOUNT_BYTES)
        return kind, point

    def _hand_over(self, major: int) -> None:
        """Every other time, have a fresh version adopt the rows of another, which lets go of its columns then."""
        other = self._versions.get({2: 3, 3: 2}.get(major, 0))
        if other is None or not self._engine.is_version_loaded(MODULE, other) or self._random.random() < 0.5:
            return
        self._engine.migrate_state(MODULE, other, self._versions[major])
        self._crowd.locate()


def run_command(seconds: int, seed: int, entities: int, realtime: bool, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    with quiet(), progress(seconds * TICKS_PER_SECOND, "ticks", "Chaos") as told:
        watcher = None if told is None else lambda _, ticks: told(ticks, "Chaos")
        result = Chaos(seconds, seed, entities, pace=Realtime() if realtime else at_once, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
