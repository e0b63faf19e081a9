"""The run itself: one engine, driven through the phases, and everything that was seen written down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from grove_core.debug import DebugEngine
from grove_core.scenario.common.crowd import MODULE, Crowd
from grove_core.scenario.frame_clock import FrameClock, Shares, read_shares, waited_ms
from grove_core.scenario.frames import Cause
from grove_core.scenario.metrics import CANARY_PERCENT, UNUSED_SECONDS
from grove_core.scenario.seen import (
    Check,
    Counts,
    LoadSeen,
    Phase,
    PhaseSeen,
    Seen,
    SplitSeen,
    exact_shares,
)

if TYPE_CHECKING:
    from packaging.version import Version

    from grove_core.base.clock import ManualClock
    from grove_core.base.metrics import VersionMetrics
    from grove_core.base.records import RollbackReport
    from grove_core.base.versions import Requirement
    from grove_core.parts.settings import Settings
    from grove_core.scenario.common.command import Pace

RAMP = {50: 30, 60: 50, 70: 80, 80: 100}
"""Simulated second -> percent of v2."""
THREE_WAY = {1: 20, 2: 30, 3: 50}

AfterTick = Callable[[DebugEngine, int], None]
"""Called after each tick with the engine and the number of ticks done."""


def phases() -> list[PhaseSeen]:
    """Return the six phases, nothing seen of them yet."""
    return [
        PhaseSeen(Phase.BASELINE, "Setup Baseline", 0, 10),
        PhaseSeen(Phase.CANARY, "Canary Deployment v2", 10, 50),
        PhaseSeen(Phase.RAMP, "Progressive Migration v1 → v2", 50, 90),
        PhaseSeen(Phase.COLLECTION, "Garbage Collection v1", 90, 100),
        PhaseSeen(Phase.ROLLBACK, "Emergency Rollback v2 → v1", 100, 120),
        PhaseSeen(Phase.THREE_WAY, "Three-Way Coexistence (v1, v2, v3)", 120, 150),
    ]


class LiveRun:
    """One engine on its way through the phases.

    Args:
        engine: a fresh engine on `clock`.
        clock: set to exactly tick / ticks_per_second before each tick, and between phases.
        seen: filled in.
    """

    def __init__(
        self,
        engine: DebugEngine,
        clock: ManualClock,
        settings: Settings,
        seen: Seen,
        *,
        pace: Pace,
        after_tick: AfterTick,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._settings = settings
        self._crowd = Crowd(engine, settings)
        self._seen = seen
        self._pace = pace
        self._after_tick = after_tick
        self._ticks = 0
        self._frame = FrameClock()
        self._versions: dict[int, Version] = {}
        self._phase = seen.phases[0]

    def play(self, phase: PhaseSeen) -> None:
        """Play one phase to its end, and look at every entity then.

        Raises:
            GroveError: a call on the engine failed; what was seen until then stays written down.
        """
        self._phase = phase
        acts = {
            Phase.BASELINE: self._baseline,
            Phase.CANARY: self._canary,
            Phase.RAMP: self._ramp,
            Phase.COLLECTION: self._collection,
            Phase.ROLLBACK: self._rollback,
            Phase.THREE_WAY: self._three_way,
        }
        expected = acts[phase.phase]()
        phase.check = self._look(expected)

    def _baseline(self) -> Counts:
        self._load(1)
        self._spawn()
        with self._frame.call():
            self._engine.enable_auto_gc(MODULE, UNUSED_SECONDS)
        self._tick_until(self._phase.stop)
        self._seen.baseline = self._metrics(1)
        return {1: self._seen.entities}

    def _canary(self) -> Counts:
        self._load(2)
        self._split({1: 100 - CANARY_PERCENT, 2: CANARY_PERCENT})
        self._tick_until(self._phase.stop)
        return self._phase.splits[0].exact

    def _ramp(self) -> Counts:
        for second, percent in RAMP.items():
            self._tick_until(second)
            self._split({1: 100 - percent, 2: percent})
        self._tick_until(self._phase.stop)
        return {2: self._seen.entities}

    def _collection(self) -> Counts:
        self._tick_until(self._phase.stop)
        return {2: self._seen.entities}

    def _rollback(self) -> Counts:
        expected = {1: self._seen.entities}
        seconds = 1.0 + self._settings.tick_deadline_ms / 1000
        with self._frame.call(Cause.LOSS):
            self._engine.inject_fault(MODULE, self._versions[2], self._seen.fault, seconds=seconds)
        self._tick()
        self._seen.recovered = self._look(expected)
        self._tick_until(self._phase.stop)
        return expected

    def _three_way(self) -> Counts:
        for major in (2, 3):
            if major not in {version.major for version in self._engine.get_loaded_versions(MODULE)}:
                self._load(major)
        self._split(THREE_WAY)
        before = {major: self._metrics(major) for major in THREE_WAY}
        self._tick_until(self._phase.stop)
        for version in self._engine.get_loaded_versions(MODULE):
            after = self._metrics(version.major)
            self._seen.frame_ms[version.major] = _mean_ms(before[version.major], after)
        return exact_shares(self._seen.entities, THREE_WAY)

    def _load(self, major: int) -> None:
        with self._frame.call(Cause.LOAD):
            report = self._engine.load_module_version(MODULE, major)
        self._versions[major] = report.version
        self._phase.loads.append(LoadSeen(major, report.ms))
        self._count_versions()

    def _spawn(self) -> None:
        """Spawn the entities, at places and with speeds that are the same in every run."""
        columns = self._crowd.make(self._seen.entities)
        with self._frame.call(Cause.SPAWN):
            self._engine.spawn(MODULE, **columns)

    def _split(self, percent: Counts) -> None:
        """Set a split, count what became of it, and tell the reference."""
        weights: dict[Requirement, float] = {self._versions[major]: part / 100 for major, part in percent.items()}
        with self._frame.call(Cause.SPLIT):
            report = self._engine.set_traffic_split(MODULE, weights)
        counts = self._crowd.counts(self._crowd.locate())
        counts = {major: counts.get(major, 0) for major in counts.keys() | percent.keys()}
        second = self._ticks // self._seen.ticks_per_second
        self._phase.splits.append(SplitSeen(second, percent, dict(sorted(counts.items())), report.ms))

    def _tick_until(self, second: int) -> None:
        while self._ticks < second * self._seen.ticks_per_second:
            self._tick()
        self._clock.set(second)

    def _tick(self) -> None:
        seen, phase = self._seen, self._phase
        now = self._ticks / seen.ticks_per_second
        self._pace(now)
        self._clock.set(now)
        before = self._shares()
        with self._frame.call():
            report = self._engine.tick(1 / seen.ticks_per_second)
        self._ticks += 1
        waited = waited_ms(os.getpid(), self._frame.last_ms, before, self._shares())
        phase.frames.append(self._frame.end(now, report, waited))
        phase.tick_ms.append(report.ms)
        phase.faults.extend(report.faults)
        phase.rollbacks.extend(report.rollbacks)
        phase.collected.extend(report.collected)
        phase.loads.extend(load for rollback in report.rollbacks for load in _reload(rollback))
        seen.skipped += report.skipped
        seen.ticks_short += report.entities + report.skipped != seen.entities
        if report.faults or report.rollbacks:
            self._crowd.locate()
            self._count_versions()
        self._crowd.reference.tick(1 / seen.ticks_per_second)
        self._after_tick(self._engine, self._ticks)

    def _shares(self) -> Shares:
        return read_shares((os.getpid(), *self._engine.workers(MODULE).values()))

    def _count_versions(self) -> None:
        loaded = len(self._engine.get_loaded_versions(MODULE))
        self._seen.most_versions = max(self._seen.most_versions, loaded)

    def _metrics(self, major: int) -> VersionMetrics:
        return self._engine.get_version_metrics(MODULE, self._versions[major])

    def _look(self, expected: Counts) -> Check:
        """Look at every entity, and at what took how long to get there."""
        check = self._crowd.look(expected)
        self._seen.migration_ms = [record.ms for record in self._engine.migration_history(MODULE)]
        return check


def _reload(report: RollbackReport) -> Iterable[LoadSeen]:
    """Return the load of a rollback's target, where it had to be loaded."""
    if report.reloaded:
        yield from (LoadSeen(report.target.major, step.ms) for step in report.steps if step.name == "reload")


def _mean_ms(before: VersionMetrics, after: VersionMetrics) -> float | None:
    """Return the mean time of `process` between two looks, or None if it was never called."""
    ticks = after.ticks - before.ticks
    if ticks <= 0 or after.avg_process_time_ms is None:
        return None
    return (after.ticks * after.avg_process_time_ms - before.ticks * (before.avg_process_time_ms or 0.0)) / ticks
