"""`multi-module`: Map, Tank and Production in one engine, and each of them changed while the others go on.

Tank needs Map, and Production needs Tank; in each tick they ask them by a service. Each in turn gets a canary, a new
stable version, a rollback by hand, and faults with their rollbacks. The others must not notice: no byte of theirs may
change, and only what needs the module is given new workers, over the same memory.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.modules.battle import Battle, brought
from grove_core.scenario.modules.battle_reference import ORDER
from grove_core.scenario.modules.multi_module_outcome import outcome
from grove_core.scenario.modules.multi_module_seen import COURSE, FAULTS, OTHER_STABLE, Act, ActSeen, MultiModuleSeen

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.version import Version

    from grove_core.base.records import TickReport
    from grove_core.base.versions import Requirement
    from grove_core.scenario.common.outcome import Outcome

DT = 1 / 60
LEAST_TANKS = 4
CANARY = {"map": 0.1, "tank": 0.25, "production": 0.5}
"""What version 2 of each module gets as a canary."""
BETWEEN = 3
"""Ticks after each act."""
PATIENCE = 600
"""So many ticks a dependent may be busy until it is reloaded: it is only while it is idle."""
PATIENT = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0)
"""No deadline ends a version because the machine is busy."""
Watcher = Callable[[DebugEngine, int], None]
"""Called in each act, before it is looked at, with the engine and the number of acts done."""


class MultiModule:
    """One run of the scenario.

    Args:
        tanks: how many there are; the map has four times as many tiles, and there are half as many factories.
        modules: which of them are changed.
        course: what is done with each of these.
        settings: the engine's.
        plugins: further plugins of the engine.
        patience: for how many ticks a dependent may stay busy.
        watcher: called in each act.

    Raises:
        InvalidInput: too few tanks.
    """

    def __init__(
        self,
        tanks: int = 1000,
        modules: Iterable[str] = ORDER,
        *,
        course: Sequence[Act] = COURSE,
        settings: Settings = PATIENT,
        plugins: Sequence[object] = (),
        patience: int = PATIENCE,
        watcher: Watcher | None = None,
    ) -> None:
        if tanks < LEAST_TANKS:
            raise InvalidInput(f"there must be at least {LEAST_TANKS} tanks, not {tanks}")
        self._seen = MultiModuleSeen(tanks, tuple(modules), tuple(course))
        self._settings, self._plugins = settings, plugins
        self._patience, self._watcher = patience, watcher

    @property
    def acts(self) -> int:
        """How many acts there are."""
        return self._seen.acts_planned

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, belongings = self._seen, Belongings()
        before = belongings.take()
        try:
            with DebugEngine(self._settings, clock=ManualClock(), plugins=[brought(), *self._plugins]) as engine:
                belongings.note()
                _Run(engine, seen, self._patience, self._watcher).play()
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)


@dataclass(frozen=True)
class _Other:
    """A module that an act is not about, before it."""

    workers: dict[Version, int]
    weights: dict[Version, float]


class _Run:
    """One engine on its way through the acts."""

    def __init__(self, engine: DebugEngine, seen: MultiModuleSeen, patience: int, watcher: Watcher | None) -> None:
        self._engine, self._seen, self._patience, self._watcher = engine, seen, patience, watcher
        self._battle = Battle(engine, seen.tanks)
        self._weights: dict[str, dict[int, float]] = {module: {1: 1.0} for module in ORDER}
        self._recovered = 0
        """How many entities the latest fault brought back."""

    def play(self) -> None:
        """Play all acts.

        Raises:
            GroveError: the engine refused what it must do.
        """
        self._battle.begin()
        self._seen.entities = {module: len(ids) for module, ids in self._battle.reference.ids.items()}
        self._ticks()
        for module in self._seen.modules:
            for act in self._seen.course:
                self._act(module, act)
                self._ticks()

    def _act(self, module: str, act: Act) -> None:
        others = {each: self._other(each) for each in ORDER if each != module}
        events, began = len(self._engine.events), time.perf_counter()
        self._do(module, act)
        ms = (time.perf_counter() - began) * 1000
        moved = self._battle.locate(module) if act not in FAULTS else self._recovered
        due = ORDER[ORDER.index(module) + 1 :] if act in OTHER_STABLE else ()
        waited = self._wait(others, due)
        if self._watcher is not None:
            self._watcher(self._engine, len(self._seen.acts))
        happened = list(self._engine.events)[events:]
        reloaded = tuple(event.module or "" for event in happened if event.kind is EventKind.DEPENDENT_RELOADED)
        self._seen.acts.append(ActSeen(module, act, ms, moved, reloaded, waited))
        self._check_others(f"{act} of {module}", others, due, reloaded)
        self._look(module, f"{act} of {module}")

    def _wait(self, others: Mapping[str, _Other], due: Sequence[str]) -> int:
        """Tick until what is due was reloaded; return how many ticks that took."""
        waited = 0
        while waited < self._patience and any(not self._renewed(each, others[each]) for each in due):
            self._tick()
            waited += 1
        return waited

    def _do(self, module: str, act: Act) -> None:
        """Do it, up to the return of the engine's call."""
        match act:
            case Act.CANARY:
                self._battle.load(module, 2)
                self._split(module, {1: 1 - CANARY[module], 2: CANARY[module]})
            case Act.PROMOTION:
                self._split(module, {2: 1.0})
            case Act.ROLLBACK:
                self._weights[module] = {1: 1.0}
                self._engine.rollback(module, 1)
            case Act.UNLOAD:
                self._engine.unload_module_version(module, 2)
            case Act.CANARY_FAULT | Act.STABLE_FAULT:
                self._weights[module] = {1: 1.0}
                self._fail(module)

    def _split(self, module: str, weights: dict[int, float]) -> None:
        self._weights[module] = weights
        given: dict[Requirement, float] = dict(weights.items())
        self._engine.set_traffic_split(module, given)

    def _fail(self, module: str) -> None:
        """Have version 2 fail in a tick, which must bring its entities back to version 1."""
        before = self._battle.counts(module).get(2, 0)
        self._engine.inject_fault(module, 2, "raise")
        report = self._tick(failing=module)
        back = [one for one in report.rollbacks if (one.module, one.target.major) == (module, 1)]
        seen = [(fault.module, fault.version.major, fault.kind) for fault in report.faults]
        self._recovered = sum(one.entities for one in back)
        if seen != [(module, 2, FaultKind.RAISE)] or self._recovered != before:
            told = ", ".join(f"{kind} of {name}@{major}" for name, major, kind in seen) or "no fault"
            self._seen.faults_wrong.append(
                f"a raise of {module}@2 was seen as {told}; {self._recovered} of {before} entities were brought back"
            )

    def _ticks(self) -> None:
        for _ in range(BETWEEN):
            self._tick()
        what = f"tick {self._seen.ticks}"
        self._look(None, what)
        self._inspect(what)

    def _tick(self, failing: str | None = None) -> TickReport:
        seen = self._seen
        report = self._engine.tick(DT)
        seen.ticks += 1
        seen.tick_ms.append(report.ms)
        self._battle.tick(report, DT)
        seen.strangers += self._battle.strangers()
        disorder = [*_disorder(report), *self._battle.late()]
        seen.disorder += disorder
        seen.in_order += not disorder
        population = self._battle.reference.population
        if report.entities != population:
            seen.differences.append(f"tick {seen.ticks}: {report.entities} of {population} entities had it")
        for fault in report.faults:
            if fault.module != failing:
                seen.faults_wrong.append(f"tick {seen.ticks}: {fault.kind} of {fault.module}: {fault.message}")
        return report

    def _other(self, module: str) -> _Other:
        return _Other(self._engine.workers(module), self._engine.get_traffic_split(module))

    def _renewed(self, module: str, before: _Other) -> bool:
        """Tell whether every version of a module has another worker than before."""
        return not set(self._engine.workers(module).values()) & set(before.workers.values())

    def _check_others(
        self, what: str, others: Mapping[str, _Other], due: Sequence[str], reloaded: Sequence[str]
    ) -> None:
        """Look at the modules that an act was not about: only what is due has other workers, all else is as it was."""
        if list(reloaded) != list(due):
            told = ", ".join(reloaded) or "nothing"
            self._seen.reloads_wrong.append(f"{what}: {told} was reloaded, not {', '.join(due) or 'nothing'}")
        for module, before in others.items():
            now = self._other(module)
            if module in due and not self._renewed(module, before):
                self._seen.reloads_wrong.append(f"{what}: {module} was not reloaded")
            if module not in due and now.workers != before.workers:
                self._seen.touched.append(f"{what}: a worker of {module} was replaced")
            if now.weights != before.weights:
                self._seen.touched.append(f"{what}: the split of {module} is another one")
            if moved := self._battle.locate(module):
                self._seen.touched.append(f"{what}: {moved} entities of {module} were moved")

    def _look(self, changed: str | None, what: str) -> None:
        """Compare every module with the reference, and count its entities."""
        seen = self._seen
        for module in ORDER:
            seen.compared += 1
            if found := self._battle.differences(module):
                told = [f"{what}: {sentence}" for sentence in found]
                (seen.differences if changed in (None, module) else seen.touched).extend(told)
                self._battle.take_over(module)
            counts, size = self._battle.counts(module), len(self._battle.reference.ids[module])
            weights = self._weights[module]
            if any(abs(counts.get(major, 0) - weights.get(major, 0.0) * size) >= 1 for major in (1, 2)):
                seen.uneven.append(f"{what}: {module} has {counts} by version, its weights are {weights}")

    def _inspect(self, what: str) -> None:
        """Look at what workers map. After a tick: those that got other columns map them once they are to work."""
        for module in ORDER:
            areas, foreign = self._battle.foreign(module)
            self._seen.areas += areas
            self._seen.foreign += [f"{what}: {sentence}" for sentence in foreign]


def _disorder(report: TickReport) -> list[str]:
    """Say what a tick did in another order than that of the modules."""
    told = []
    if report.levels != tuple((module,) for module in ORDER):
        levels = ", then ".join(" and ".join(level) for level in report.levels) or "nothing"
        told.append(f"tick {report.number}: {levels}")
    for before, after in itertools.pairwise(ORDER):
        ended = [one.answered_ms for one in report.versions if one.module == before and one.answered_ms is not None]
        began = [one.sent_ms for one in report.versions if one.module == after]
        if ended and began and max(ended) > min(began):
            told.append(f"tick {report.number}: {after} began before {before} had ended")
    return told


def run_command(tanks: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    whole = MultiModule(tanks)
    with quiet(), progress(whole.acts, "acts", "Modules") as told:
        watcher = None if told is None else lambda _, acts: told(acts, "Modules")
        result = MultiModule(tanks, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
