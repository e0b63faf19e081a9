"""One rollout of `patrol` in an engine, from the load of version 1 until the rollout has ended, and what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.base.rollouts import RolloutState, RolloutStatus
from grove_core.scenario.rollouts.brought import ONE, TWO
from grove_core.scenario.rollouts.decisions import Decision, decisions
from grove_core.scenario.rollouts.units import MODULE, Manner, Units

if TYPE_CHECKING:
    from packaging.version import Version

    from grove_core.base.clock import ManualClock
    from grove_core.debug import DebugEngine

COUNTED_ERRORS = 25
"""From this error on, a canary has some time until it must be back."""
AFTER_SECONDS = 5
"""How long a promoted version runs before its rollout is undone."""
UNUSED_SECONDS = 1.0
"""After so long an unused version is collected, unless a rollout keeps it warm."""
COARSE = 5
"""Ticks in a simulated second of the many rollouts of versions that are no worse."""
MOST_TICKS = 60
"""For how many ticks a switch is waited for."""
Watcher = Callable[["DebugEngine", int], None]
"""Called after each tick with the engine and the number of ticks of this play."""


class Kind(StrEnum):
    """What a play shows."""

    GOOD = "good"
    ERRORS = "errors"
    ALIKE = "alike"
    SLOW = "slow"
    BLUE_GREEN = "blue_green"


@dataclass(frozen=True)
class Case:
    """What is played."""

    kind: Kind
    plan: str
    ticks_per_second: int
    one: Manner
    two: Manner
    seconds: float = 40.0
    """If it has not ended after so long, by the clock, it is left."""


@dataclass
class SwitchSeen:
    """All entities going to one version at once."""

    to: str
    ms: float
    """How long the call took, in real time."""
    ticks: int
    """After how many ticks every entity had a tick from the other version, and every value was right."""
    missed: int
    """Entities that had no tick meanwhile."""
    same_worker: bool
    """Whether the version ran where it had run before: nothing was loaded."""


@dataclass
class PlaySeen:
    """What was seen of one rollout."""

    kind: Kind
    seed: int
    state: RolloutState = RolloutState.RUNNING
    reason: str = ""
    seconds: float = 0.0
    """From its start to its end, by the clock."""
    ticks: int = 0
    canaries: list[int] = field(default_factory=list)
    """How many entities version 2 had: at each step, and at the end."""
    errors: int = 0
    """Version 2's, calls of entities."""
    stable_errors: int = 0
    counted_at: float | None = None
    """When it had its 25th error, in seconds since the start; None if it never had."""
    missed: int = 0
    """Entities and ticks without a tick."""
    faults: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    switches: list[SwitchSeen] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def after_counted(self) -> float:
        """How long after its 25th error it ended, in simulated seconds; 0 if it had ended before."""
        return 0.0 if self.counted_at is None else self.seconds - self.counted_at


class Play:
    """One run of a case.

    Args:
        engine: has nothing of the module, and has nothing of it afterwards.
        clock: the engine's.
        entities: how many live in the module.
        case: what is played.
        seed: of entities and errors.
        watcher: called after each tick.
    """

    def __init__(
        self, engine: DebugEngine, clock: ManualClock, entities: int, case: Case, seed: int, watcher: Watcher | None
    ) -> None:
        self._engine, self._clock, self._case, self._watcher = engine, clock, case, watcher
        self._units = Units(engine, entities, seed, {ONE.major: case.one, TWO.major: case.two})
        self._entities = entities
        self._began = clock.now()
        self._at = RolloutState.RUNNING, 0
        self.seen = PlaySeen(case.kind, seed)

    def run(self) -> PlaySeen:
        """Play it.

        Raises:
            GroveError: the engine refused what it must do; what was seen until then stays in `seen`.
        """
        status = self._start()
        while not status.state.ended and self.seen.seconds < self._case.seconds:
            status = self._tick()
        if self._case.kind is Kind.BLUE_GREEN and status.state is RolloutState.PROMOTED:
            self._return()
        self._look(status.number)
        self._units.end()
        return self.seen

    def _start(self) -> RolloutStatus:
        def start() -> RolloutStatus:
            return self._engine.rollouts.start(MODULE, str(TWO), self._case.plan, config=self._case.two.config())

        if self._case.kind is not Kind.BLUE_GREEN:
            return self._note(start())
        self._engine.enable_auto_gc(MODULE, UNUSED_SECONDS)
        self._engine.load_module_version(MODULE, str(TWO), config=self._case.two.config())
        return self._switch(TWO, start)

    def _return(self) -> None:
        for _ in range(AFTER_SECONDS * self._case.ticks_per_second):
            self._tick()
        self._switch(ONE, lambda: self._engine.rollouts.undo(MODULE))

    def _switch(self, to: Version, call: Callable[[], RolloutStatus]) -> RolloutStatus:
        """Have all entities go to one version, and see how many ticks that takes."""
        worker, missed = self._engine.workers(MODULE).get(to), self.seen.missed
        began = time.perf_counter()
        self._note(call())
        ms, ticks, there = (time.perf_counter() - began) * 1000, 0, False
        while not there and ticks < MOST_TICKS:
            status, ticks = self._tick(), ticks + 1
            there = bool((self._units.majors == to.major).all()) and not self._units.differences()
        same = worker is not None and self._engine.workers(MODULE).get(to) == worker
        self.seen.switches.append(SwitchSeen(str(to), ms, ticks, self.seen.missed - missed, same))
        return status

    def _tick(self) -> RolloutStatus:
        seen, dt = self.seen, 1 / self._case.ticks_per_second
        seen.ticks += 1
        seconds = seen.ticks / self._case.ticks_per_second
        self._clock.set(self._began + seconds)
        report = self._engine.tick(dt)
        errors = self._units.tick(dt)
        seen.errors += errors[TWO.major]
        seen.stable_errors += errors[ONE.major]
        if seen.counted_at is None and seen.errors >= COUNTED_ERRORS:
            seen.counted_at = seconds
        seen.missed += self._units.missed(report, errors)
        seen.faults += [f"{fault.kind.value} of {fault.version}: {fault.message}" for fault in report.faults]
        status = self._engine.rollouts.status(MODULE)
        if not seen.state.ended:
            seen.seconds = seconds
        if (status.state, status.step) != self._at:
            self._note(status)
        if self._watcher is not None:
            self._watcher(self._engine, seen.ticks)
        return status

    def _note(self, status: RolloutStatus) -> RolloutStatus:
        """Look where every entity is, since the rollout is elsewhere than before."""
        self._at = status.state, status.step
        self.seen.state, self.seen.reason = status.state, status.reason
        self.seen.canaries.append(self._units.locate())
        return status

    def _look(self, number: int) -> None:
        """Compare every value with the reference, and the errors that the engine counted; take what was told."""
        seen = self.seen
        seen.differences += self._units.differences()
        for version, expected in ((ONE, seen.stable_errors), (TWO, seen.errors)):
            found = self._engine.get_version_metrics(MODULE, str(version)).errors
            if found != expected:
                seen.differences.append(f"{found} errors of {version} were counted, and there were {expected}")
        seen.decisions = [one for one in decisions(self._engine.events) if one.rollout == number]
