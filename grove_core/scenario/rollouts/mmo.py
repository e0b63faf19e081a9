"""`mmo`: a hundred thousand players, and a new PvP system at 5, 10, 30 and 100%, by the plan `ramp`.

Once it is good, and is promoted. Once it has a bug that shows only when it has 30% of the players: its list of cells is
too short. They are back on version 1 at once; nobody is lost, and every value is as in a reference.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.base.records import MoveCause
from grove_core.base.rollouts import RolloutState, RolloutStatus
from grove_core.debug import DebugEngine
from grove_core.parts.plans import Plan, Weigh
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.footprint import without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.rollouts.brought import TWO, both_of
from grove_core.scenario.rollouts.mmo_outcome import outcome
from grove_core.scenario.rollouts.players import MODULE, Players

if TYPE_CHECKING:
    from pathlib import Path

    from grove_core.base.records import TickReport
    from grove_core.scenario.common.outcome import Outcome

TICKS_PER_SECOND = 10
SEED = 1
SLOTS = 0.2
"""For which part of all players the list of the version with the bug has room: enough for 10%, too few for 30%."""
LEAST_PLAYERS = 1000
PATIENT = Settings(tick_deadline_ms=5000.0)
"""No deadline ends a version because the machine is busy."""
Watcher = Callable[[DebugEngine, int], None]
"""Called after each tick with the engine and the number of ticks done, both rollouts counted."""


class Version2(StrEnum):
    """Which version 2 is rolled out."""

    GOOD = "good"
    BUGGY = "buggy"


@dataclass(frozen=True)
class StepSeen:
    """A step of the plan, taken."""

    second: float
    """Simulated, since the start."""
    percent: float
    """What it gives version 2."""
    players: int
    """How many version 2 has."""
    moved: int
    """How many players changed their version."""
    ms: float
    """How long that took, in real time."""


@dataclass
class RampSeen:
    """What was seen of one rollout."""

    version: Version2
    state: RolloutState = RolloutState.RUNNING
    reason: str = ""
    seconds: float = 0.0
    """From its start to its end, by the clock."""
    steps: list[StepSeen] = field(default_factory=list)
    frame_ms: array[float] = field(default_factory=lambda: array("d"))
    """Each tick as a whole."""
    decision_us: array[float] = field(default_factory=lambda: array("d"))
    """What rollouts took after each tick in which no step was taken and nobody moved."""
    errors: int = 0
    """Players and ticks that version 2 failed."""
    percent_at_first: float | None = None
    """What version 2 had when it failed for the first time; None if it never did."""
    first_error: float | None = None
    """When that was, in simulated seconds since the start."""
    rolled_back: int = 0
    """How many players went back at its end."""
    rollback_ms: float | None = None
    """How long moving them took, in real time."""
    rollback_frame_ms: float | None = None
    """The whole tick in which the error was seen, judged, and everybody moved back."""
    missed: int = 0
    """Players and ticks without a tick, errors left out."""
    lost: int = 0
    faults: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@dataclass
class MmoSeen:
    """What was seen during a run."""

    players: int
    plan: Plan
    ticks_per_second: int
    slots: int
    ramps: list[RampSeen] = field(default_factory=list)
    real_seconds: float = 0.0
    left: list[str] = field(default_factory=list)
    error: str | None = None


class Mmo:
    """One run of the scenario.

    Args:
        players: how many, at least 1,000.
        plan: how version 2 is rolled out.
        settings: the engines'.
        plugins: further plugins of the engines.
        slots: the part of all players for which the version with the bug has room.
        watcher: called after each tick.

    Raises:
        InvalidInput: too few players.
    """

    def __init__(
        self,
        players: int = 100_000,
        *,
        plan: Plan | None = None,
        settings: Settings = PATIENT,
        plugins: Sequence[object] = (),
        slots: float = SLOTS,
        watcher: Watcher | None = None,
    ) -> None:
        if players < LEAST_PLAYERS:
            raise InvalidInput(f"there must be at least {LEAST_PLAYERS} players, not {players}")
        plan = settings.plans["ramp"] if plan is None else plan
        self._seen = MmoSeen(players, plan, TICKS_PER_SECOND, int(players * slots))
        self._settings, self._plugins = settings, plugins
        self._watcher = watcher
        self._ticks = 0

    @property
    def most_ticks(self) -> int:
        """How many there are at most, of both rollouts."""
        seconds = sum(step.bake_seconds for step in self._seen.plan.steps if isinstance(step, Weigh))
        return 2 * round(seconds * TICKS_PER_SECOND)

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, belongings = self._seen, Belongings()
        before, began = belongings.take(), time.monotonic()
        try:
            for version in Version2:
                clock = ManualClock()
                with (
                    DebugEngine(self._settings, clock=clock, plugins=[both_of(MODULE), *self._plugins]) as engine,
                    without_what_was_there(),
                ):
                    belongings.note()
                    seen.ramps.append(RampSeen(version))
                    _Ramp(engine, clock, seen, seen.ramps[-1], self._ticked).play()
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.real_seconds = time.monotonic() - began
        seen.left += [f"{what}, when the engines were closed" for what in belongings.left(before)]
        return outcome(seen)

    def _ticked(self, engine: DebugEngine) -> None:
        self._ticks += 1
        if self._watcher is not None:
            self._watcher(engine, self._ticks)


class _Ramp:
    """One engine on its way through one rollout."""

    def __init__(
        self,
        engine: DebugEngine,
        clock: ManualClock,
        whole: MmoSeen,
        seen: RampSeen,
        ticked: Callable[[DebugEngine], None],
    ) -> None:
        self._engine, self._clock, self._plan, self._seen, self._ticked = engine, clock, whole.plan, seen, ticked
        self._players = Players(whole.players, SEED, whole.slots if seen.version is Version2.BUGGY else None)
        self._at = RolloutState.RUNNING, 0
        self._changes = 0

    def play(self) -> None:
        """Play it until the rollout has ended, and look at every player.

        Raises:
            GroveError: the engine refused what it must do.
        """
        self._players.enter(self._engine)
        status = self._engine.rollouts.start(MODULE, str(TWO), self._plan, config=self._players.config())
        self._moved(status)
        for number in range(1, self._limit() + 1):
            status = self._tick(number)
            if status.state.ended:
                break
        self._look()

    def _limit(self) -> int:
        seconds = sum(step.bake_seconds for step in self._plan.steps if isinstance(step, Weigh))
        return round((seconds + 1) * TICKS_PER_SECOND)

    def _tick(self, number: int) -> RolloutStatus:
        seen, dt = self._seen, 1 / TICKS_PER_SECOND
        seen.seconds = number * dt
        self._clock.set(seen.seconds)
        began = time.perf_counter()
        report = self._engine.tick(dt)
        seen.frame_ms.append((time.perf_counter() - began) * 1000)
        self._count(report, self._players.tick(dt))
        status = self._engine.rollouts.status(MODULE)
        if (status.state, status.step) != self._at:
            self._moved(status)
        elif self._engine.rollouts.decision_ms is not None:
            seen.decision_us.append(self._engine.rollouts.decision_ms * 1000)
        self._ticked(self._engine)
        return status

    def _count(self, report: TickReport, errors: dict[int, int]) -> None:
        seen = self._seen
        seen.errors += errors[TWO.major]
        if errors[TWO.major] and seen.first_error is None:
            seen.first_error, seen.percent_at_first = seen.seconds, seen.steps[-1].percent
        seen.missed += max(0, len(self._players.ids) - report.entities - sum(errors.values()))
        seen.faults += [f"{fault.kind.value} of {fault.version}: {fault.message}" for fault in report.faults]

    def _moved(self, status: RolloutStatus) -> None:
        """Look where every player is, since the rollout is elsewhere than before, and compare every value."""
        seen = self._seen
        self._at = status.state, status.step
        seen.state, seen.reason = status.state, status.reason
        moved = self._players.locate(self._engine)
        history = self._engine.migration_history(MODULE)
        ms = sum(each.ms for each in history[self._changes :])
        back = [each for each in history[self._changes :] if each.cause is MoveCause.ROLLOUT]
        self._changes = len(history)
        if status.state is RolloutState.FAILED:
            seen.rolled_back, seen.rollback_ms = moved, sum(each.ms for each in back)
            seen.rollback_frame_ms = seen.frame_ms[-1]
        elif isinstance(step := self._plan.steps[status.step - 1], Weigh) and status.state is RolloutState.RUNNING:
            there = int((self._players.majors == TWO.major).sum())
            seen.steps.append(StepSeen(seen.seconds, 100 * step.weight, there, moved, ms))
        self._look()

    def _look(self) -> None:
        seen = self._seen
        seen.lost = max(seen.lost, self._players.lost(self._engine))
        seen.differences += [f"{seen.seconds:.1f}s: {each}" for each in self._players.differences(self._engine)]


def run_command(players: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    whole = Mmo(players)
    with quiet(), progress(whole.most_ticks, "ticks", "MMO") as told:
        watcher = None if told is None else lambda _, ticks: told(ticks, "MMO")
        result = Mmo(players, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
