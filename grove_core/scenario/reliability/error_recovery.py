"""`error-recovery`: each kind of fault at each point of the protocol, once, and packages that are broken on disk.

The faults strike version 2 of a module of their own. Beside it three versions of gamelogic run, which nothing of this
may touch: not a value of an entity, not a worker.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import GroveError
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.crowd import MODULE as BYSTANDER
from grove_core.scenario.common.crowd import Crowd
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.common.written import write
from grove_core.scenario.reliability.error_cases import (
    BROKEN,
    BROKEN_VERSION,
    NOTHING,
    Broken,
    fits,
    possible,
    strike,
)
from grove_core.scenario.reliability.error_outcome import outcome
from grove_core.scenario.reliability.victim import MODULE, ONE, Victim
from grove_core.wire.faults import FaultPoint, InjectedKind

if TYPE_CHECKING:
    from grove_core.base.records import TickReport
    from grove_core.scenario.common.outcome import Outcome

WAITED_FOR = frozenset({InjectedKind.LAG, InjectedKind.HANG})
"""The kinds that are seen once a deadline has passed; only they are held to short ones."""
PATIENT = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, idle_deadline_seconds=5.0)
SHORT = Settings(tick_deadline_ms=400.0, load_deadline_seconds=1.0, idle_deadline_seconds=0.25)
SPLIT = {1: 0.4, 2: 0.3, 3: 0.3}
BYSTANDERS = 30
SILENT = InjectedKind.WRONG
"""Values that keep every rule: no engine without a validator sees them."""
Watcher = Callable[[DebugEngine, int], None]
"""Called before each case is judged with the engine and the number of cases."""


@dataclass(frozen=True)
class CaseSeen:
    """A case, and what came of it."""

    name: str
    seen_as: str
    as_it_is: bool
    """Whether it was seen for what it is, where there is something that must be seen."""
    wrong: tuple[str, ...]
    """What is not as it must be, a sentence each."""
    ms: float
    """The whole case, with what was done to get there."""
    kind: InjectedKind | None = None
    point: FaultPoint | None = None


@dataclass
class ErrorsSeen:
    """What was seen during a run."""

    kinds: tuple[InjectedKind, ...]
    points: tuple[FaultPoint, ...]
    faults: list[CaseSeen] = field(default_factory=list)
    broken: list[CaseSeen] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: str | None = None


class ErrorRecovery:
    """One run of the scenario.

    Args:
        kinds: which faults; a kind of `WAITED_FOR` takes seconds.
        points: at which points.
        broken: which broken packages, by their names.
        plugins: further plugins of the engines.
        watcher: called before each case is judged.
    """

    def __init__(
        self,
        kinds: Iterable[InjectedKind] = tuple(InjectedKind),
        points: Iterable[FaultPoint] = tuple(FaultPoint),
        broken: Iterable[str] = tuple(BROKEN),
        *,
        plugins: Sequence[object] = (),
        watcher: Watcher | None = None,
    ) -> None:
        self._seen = ErrorsSeen(tuple(kinds), tuple(points))
        self._broken = {name: BROKEN[name] for name in broken}
        self._plugins = plugins
        self._watcher = watcher

    @property
    def cases(self) -> int:
        """How many cases there are."""
        pairs = sum(possible(kind, point) for kind in self._seen.kinds for point in self._seen.points)
        return pairs + len(self._broken)

    def run(self) -> Outcome:
        """Play it. What the engine raises where it must not ends the run, and stands in the outcome."""
        seen, belongings = self._seen, Belongings()
        before = belongings.take()
        waited = [kind for kind in seen.kinds if kind in WAITED_FOR]
        others = [kind for kind in seen.kinds if kind not in WAITED_FOR]
        hanging = {name: each for name, each in self._broken.items() if "hangs" in name}
        loud = {name: each for name, each in self._broken.items() if name not in hanging}
        try:
            for settings, kinds, broken in ((PATIENT, others, loud), (SHORT, waited, hanging)):
                with (
                    tempfile.TemporaryDirectory(prefix="error-recovery-") as folder,
                    DebugEngine(settings, clock=ManualClock(), plugins=self._plugins) as engine,
                ):
                    belongings.note()
                    _Run(engine, settings, seen, Path(folder), self._watcher).play(kinds, broken)
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engines were closed" for what in belongings.left(before)]
        return outcome(seen, self.cases)


class _Run:
    """One engine on its way through cases."""

    def __init__(
        self, engine: DebugEngine, settings: Settings, seen: ErrorsSeen, folder: Path, watcher: Watcher | None
    ) -> None:
        self._engine = engine
        self._seen = seen
        self._folder = folder
        self._watcher = watcher
        self._crowd = Crowd(engine, settings)
        self._victim = Victim(engine, folder, self._advance)

    def play(self, kinds: Iterable[InjectedKind], broken: dict[str, Broken]) -> None:
        """Play the cases.

        Raises:
            GroveError: the engine refused what it must do.
        """
        versions = [self._engine.load_module_version(BYSTANDER, major).version for major in SPLIT]
        self._engine.spawn(BYSTANDER, **self._crowd.make(BYSTANDERS))
        self._engine.set_traffic_split(BYSTANDER, dict(zip(versions, SPLIT.values(), strict=True)))
        self._crowd.locate()
        self._victim.begin()
        self._tick()
        for kind in kinds:
            for point in self._seen.points:
                if possible(kind, point):
                    self._seen.faults.append(self._case(kind, point))
        for name, one in broken.items():
            self._seen.broken.append(self._load(name, one))

    def _case(self, kind: InjectedKind, point: FaultPoint) -> CaseSeen:
        """Have a fault committed, do what an operator does, and look at everything."""
        began, others = time.perf_counter(), self._others()
        seen_as, wrong = strike(self._engine, self._victim, kind, point)
        if kind is SILENT and seen_as == NOTHING:
            self._victim.take_over()
        wrong += self._differences(others)
        self._victim.restore()
        wrong += self._tick()
        wrong += self._differences(others)
        ms = (time.perf_counter() - began) * 1000
        return CaseSeen(
            f"{kind.value} at {point.value}", seen_as, fits(kind, point, seen_as), tuple(wrong), ms, kind, point
        )

    def _load(self, name: str, broken: Broken) -> CaseSeen:
        """Load a broken package, which must fail, and look at everything."""
        folder = write(self._folder / name.replace(" ", "_"), broken.files())
        began, others = time.perf_counter(), self._others()
        seen_as, as_it_is, wrong = NOTHING, False, []
        try:
            self._engine.load_module_version(MODULE, BROKEN_VERSION, path=str(folder))
            self._engine.unload_module_version(MODULE, BROKEN_VERSION)
        except GroveError as error:
            seen_as, as_it_is = type(error).__name__, isinstance(error, broken.error)
        wrong += self._tick()
        wrong += self._differences(others)
        return CaseSeen(name, seen_as, as_it_is, tuple(wrong), (time.perf_counter() - began) * 1000)

    def _advance(self) -> TickReport:
        report = self._engine.tick(1 / 60)
        self._crowd.reference.tick(1 / 60)
        return report

    def _tick(self) -> list[str]:
        """Tick with nothing injected, and say what was wrong."""
        return [f"{fault.kind.value} of {fault.version} afterwards" for fault in self._victim.tick().faults]

    def _others(self) -> list[int]:
        """Return the workers that must stay: gamelogic's, and that of version 1 of the victim's module."""
        return [*self._engine.workers(BYSTANDER).values(), self._engine.workers(MODULE)[ONE]]

    def _differences(self, others: list[int]) -> list[str]:
        """Say which entities are not what they must be, and which workers are not those that were there."""
        if self._watcher is not None:
            self._watcher(self._engine, len(self._seen.faults) + len(self._seen.broken))
        wrong = [f"{MODULE}: {sentence}" for sentence in self._victim.differences()]
        bystander = self._crowd.differences()
        wrong += [f"{BYSTANDER}: {sentence}" for sentence in bystander]
        if self._others() != others:
            wrong.append("a worker was replaced that had nothing to do with it")
        if bystander:
            self._crowd.take_over()
        if wrong:
            self._victim.take_over()
        return wrong


def run_command(json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    whole = ErrorRecovery()
    with quiet(), progress(whole.cases, "cases", "Error recovery") as told:
        watcher = None if told is None else lambda _, done: told(done, "Error recovery")
        result = ErrorRecovery(watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
