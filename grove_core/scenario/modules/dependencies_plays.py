"""What is done in each case of `dependencies`, and what must be so afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from packaging.version import Version

from grove_core.base.errors import DependencyError, RequirementBroken, UnknownModule, UnloadRefused
from grove_core.base.events import Event, EventKind
from grove_core.base.records import FaultKind
from grove_core.scenario.common.footprint import Footprint
from grove_core.scenario.modules.cases import CaseSeen
from grove_core.scenario.modules.dependencies_cases import REFUSED, Case
from grove_core.scenario.modules.game import AI, CHAT, EVERY, MAP, MODULES, UNITS, VERSIONS, Game

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.base.records import LoadReport, TickReport
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.holdings import Belongings

DT = 0.1
ONE, TWO, THREE = (VERSIONS[major] for major in (1, 2, 3))


class Plays:
    """One engine on its way through cases.

    Args:
        engine: with nothing loaded.
        belongings: find what runs on its behalf.
        entities: how many each module gets.
        rounds: how often what is timed is done.
    """

    def __init__(self, engine: DebugEngine, belongings: Belongings, entities: int, rounds: int) -> None:
        self._engine, self._belongings = engine, belongings
        self._entities, self._rounds = entities, rounds
        self._game: Game
        self._pulled: LoadReport
        self._chat = 0
        self.growth_mb: list[float] = []
        """By how much memory grew in each case in which something was refused."""
        self.half: list[str] = []
        """What was not as before once something had been refused."""
        self.touched: list[str] = []
        """What became of the module that has nothing to do with the others."""
        self._plays: dict[Case, Callable[[CaseSeen], None]] = {
            Case.PULLED: self._pull,
            Case.ORDER: self._order,
            Case.CANARY: self._canary,
            Case.RELOAD: self._reload,
            Case.FAULT: self._fault,
            Case.DIAMOND: self._diamond,
            Case.UNLOAD: self._unload,
            Case.CYCLE: self._cycle,
            Case.NEW_CYCLE: self._new_cycle,
            Case.RANGE: self._range,
            Case.MISSING: self._missing,
            Case.CONFLICT: self._conflict,
            Case.IN_TURN: self._in_turn,
        }

    def begin(self) -> None:
        """Load the AI, which brings along what it needs, then the other modules, and let everybody in."""
        self._pulled = self._engine.load_module_version(AI, ONE)
        self._engine.load_module_version(CHAT, ONE)
        self._engine.load_module_version(MAP, ONE)
        self._game = Game(self._engine, self._entities)
        self._chat = self._engine.workers(CHAT)[ONE]

    def play(self, seen: CaseSeen) -> None:
        """Play one case.

        Raises:
            GroveError: the engine refused what it must do.
        """
        case = Case(seen.case)
        with self._as_before(case) if case in REFUSED else self._untouched(case):
            self._plays[case](seen)
            self._tick(seen)
        seen.done = True

    def pids(self) -> list[int]:
        """Return the processes that take part in what is timed."""
        self._belongings.note()
        return [os.getpid(), *self._belongings.processes()]

    def _pull(self, seen: CaseSeen) -> None:
        seen.ms.append(self._pulled.ms)
        seen.net_ms.append(self._pulled.ms)
        pulled = [f"{each.module}@{each.version}" for each in self._pulled.pulled_in]
        wanted = [f"{MAP}@{TWO}", f"{UNITS}@{ONE}"]
        seen.must(pulled == wanted, f"{AI} brought {', '.join(pulled) or 'nothing'}, not {', '.join(wanted)}")
        needs = {(each.module, each.base): each.met_by for each in self._engine.dependencies()}
        for module, base in ((UNITS, MAP), (AI, UNITS), (AI, MAP)):
            seen.must(needs.get((module, base)), f"that {module} needs {base} is not told, or not met")

    def _order(self, seen: CaseSeen) -> None:
        for _ in range(self._rounds):
            with seen.timed():
                report = self._engine.tick(DT)
            self._compare(seen, report)
            seen.wrong += self._game.order(report)

    def _canary(self, seen: CaseSeen) -> None:
        before, events = self._workers(), len(self._engine.events)
        with seen.timed():
            self._engine.set_traffic_split(MAP, {TWO: 0.5, ONE: 0.5})
        self._tick(seen)
        self._engine.set_traffic_split(MAP, {TWO: 1.0})
        seen.must(not self._reloads(events), f"reloaded were {self._reloads(events)}")
        seen.must(self._workers() == before, "there are other workers than before")

    def _reload(self, seen: CaseSeen) -> None:
        for _ in range(self._rounds):
            for version in (ONE, TWO):
                with self._reloaded(seen, version), seen.timed():
                    self._engine.set_traffic_split(MAP, {version: 1.0})
                self._tick(seen)

    @contextmanager
    def _reloaded(self, seen: CaseSeen, stable: Version) -> Iterator[None]:
        """Make sure that units and AI are reloaded within, and keep every bit, since the map has another version."""
        before, kept = self._workers(), self._game.found(UNITS, AI, CHAT)
        events, of = len(self._engine.events), {name: str(self._engine.stable_version(name)) for name in (UNITS, AI)}
        yield
        after, found = self._workers(), self._game.found(UNITS, AI, CHAT)
        reloads = [(UNITS, {MAP: str(stable)}), (AI, {UNITS: of[UNITS], MAP: str(stable)})]
        seen.must(self._reloads(events) == reloads, f"reloaded were {self._reloads(events) or 'none'}, not {reloads}")
        for name in (UNITS, AI):
            stayed = set(after[name].values()) & set(before[name].values())
            seen.must(not stayed, f"{name} has the same worker as before")
        seen.must(after[MAP] == before[MAP], f"{MAP} has other workers than before")
        differ = sorted(f"{name}.{column}" for (name, column), values in kept.items() if found[name, column] != values)
        seen.must(not differ, f"not kept bit for bit: {', '.join(differ)}")

    def _fault(self, seen: CaseSeen) -> None:
        """Have version 2 of the map fail, which is stable: version 1 takes over, and all have their tick."""
        events = len(self._engine.events)
        self._engine.inject_fault(MAP, TWO, "raise")
        with seen.timed():
            report = self._engine.tick(DT)
        self._game.tick()
        faults = [(fault.module, fault.version, fault.kind) for fault in report.faults]
        seen.must(faults == [(MAP, TWO, FaultKind.RAISE)], f"faults were {faults}")
        seen.must(report.entities == len(MODULES) * self._entities, f"only {report.entities} entities had their tick")
        stable = self._engine.stable_version(MAP)
        seen.must(stable == ONE, f"stable is {stable}, not {ONE}")
        reloaded = [str(name) for name, _ in self._reloads(events)]
        seen.must(reloaded == [UNITS, AI], f"reloaded were {', '.join(reloaded) or 'none'}")
        self._tick(seen)
        if not self._engine.is_version_loaded(MAP, TWO):
            self._engine.load_module_version(MAP, TWO)
        self._engine.set_traffic_split(MAP, {TWO: 1.0})

    def _diamond(self, seen: CaseSeen) -> None:
        with seen.timed():
            report = self._engine.load_module_version("campaign", ONE)
        pulled = {each.module: each.version for each in report.pulled_in}
        wanted = {"clock": ONE, "weather": ONE, "economy": ONE}
        seen.must(pulled == wanted, f"brought were {pulled}, not {wanted}")
        seen.must(list(pulled)[:1] == ["clock"], f"the clock was not loaded first: {list(pulled)}")
        self._unload_campaign()

    def _unload(self, seen: CaseSeen) -> None:
        self._engine.load_module_version("campaign", ONE)
        for base, needing, text in (
            ("clock", "weather@1.0.0", "'clock>=1'"),
            ("weather", "campaign@1.0.0", "'weather'"),
            ("economy", "campaign@1.0.0", "'economy'"),
        ):
            unload = partial(self._engine.unload_module_version, base, ONE)
            seen.refused(UnloadRefused, unload, f"{base}@{ONE}", needing, text)
            seen.must(self._engine.is_version_loaded(base, ONE), f"{base} is not loaded any more")
        self._unload_campaign()

    def _cycle(self, seen: CaseSeen) -> None:
        load = partial(self._engine.load_module_version, MAP, VERSIONS[4])
        for _ in range(self._rounds):
            seen.refused(DependencyError, load, f"{AI}@{ONE} -> {UNITS}@{ONE} -> {MAP}@{VERSIONS[4]} -> {AI}")

    def _new_cycle(self, seen: CaseSeen) -> None:
        for _ in range(self._rounds):
            load = partial(self._engine.load_module_version, "rain", ONE)
            seen.refused(DependencyError, load, "rain@1.0.0 -> river@1.0.0 -> sea@1.0.0 -> rain")

    def _range(self, seen: CaseSeen) -> None:
        load = partial(self._engine.load_module_version, AI, TWO)
        seen.refused(DependencyError, load, f"{AI}@{TWO}", "'units>=2,<3'", f"{ONE} is loaded")
        self._engine.load_module_version(MAP, THREE)
        words = f"{MAP}@{THREE}", f"{UNITS}@{ONE}", "'map>=1,<3'"
        split = partial(self._engine.set_traffic_split, MAP, {THREE: 1.0})
        seen.refused(RequirementBroken, split, *words)
        seen.refused(RequirementBroken, partial(self._engine.rollback, MAP, THREE), *words)
        seen.refused(RequirementBroken, partial(self._engine.migrate_state, MAP, TWO, THREE), *words)
        self._engine.unload_module_version(MAP, THREE)

    def _missing(self, seen: CaseSeen) -> None:
        load = partial(self._engine.load_module_version, "replay", ONE)
        seen.refused(
            DependencyError, load, "replay@1.0.0", "'recorder>=1.2'", "no version of it is loaded or installed"
        )

    def _conflict(self, seen: CaseSeen) -> None:
        load = partial(self._engine.load_module_version, "campaign", TWO)
        reasons = "weather@1.0.0: campaign@2.0.0", "clock@1.0.0: weather@2.0.0", "clock@2.0.0: economy@1.0.0"
        seen.refused(DependencyError, load, "cannot be had together", *reasons)

    def _in_turn(self, seen: CaseSeen) -> None:
        """Take the game to its next versions without a moment in which a requirement is not met."""
        self._engine.load_module_version(MAP, THREE)
        for name in (UNITS, AI):
            self._engine.load_module_version(name, TWO)
            self._game.seed(name, ONE, TWO)
        for name, version in ((AI, TWO), (UNITS, TWO), (MAP, THREE)):
            with seen.timed():
                self._engine.set_traffic_split(name, {version: 1.0})
            self._tick(seen)
            stable = self._engine.stable_version(name)
            seen.must(stable == version, f"the stable {name} is {stable}, not {version}")
        unmet = [need for need in self._engine.dependencies() if not need.met_by]
        seen.must(not unmet, f"not met: {unmet}")

    def _unload_campaign(self) -> None:
        for name in ("campaign", "weather", "economy", "clock"):
            self._engine.unload_module_version(name, ONE)

    def _tick(self, seen: CaseSeen) -> TickReport:
        """Tick, and compare everything."""
        report = self._engine.tick(DT)
        self._compare(seen, report)
        return report

    def _compare(self, seen: CaseSeen, report: TickReport) -> None:
        self._game.tick()
        seen.wrong += [f"{each.kind} of {each.module}@{each.version}: {each.message}" for each in report.faults]
        seen.differences += self._game.differences()

    def _workers(self) -> dict[str, dict[Version, int]]:
        """Return the process ids of every module that is loaded."""
        found = {}
        for name in EVERY:
            try:
                found[name] = self._engine.workers(name)
            except UnknownModule:
                continue
        return found

    def _reloads(self, since: int) -> list[tuple[str | None, dict[str, str]]]:
        """Return which versions were reloaded since there were so many events, and for which bases."""
        kind = EventKind.DEPENDENT_RELOADED
        new: list[Event] = list(self._engine.events)[since:]
        return [(event.module, dict(event.details["bases"])) for event in new if event.kind is kind]

    @contextmanager
    def _untouched(self, case: Case) -> Iterator[None]:
        """Make sure that nothing becomes of the module that has nothing to do with the others."""
        events = len(self._engine.events)
        yield
        if self._engine.workers(CHAT) != {ONE: self._chat}:
            self.touched.append(f"{case}: {CHAT} has another worker")
        new = list(self._engine.events)[events:]
        self.touched += [f"{case}: {CHAT} had the event {each.kind}" for each in new if each.module == CHAT]

    @contextmanager
    def _as_before(self, case: Case) -> Iterator[None]:
        """Make sure that nothing is half loaded, or half unloaded."""
        memory = Footprint.take(self._engine, self._belongings)
        before, held = self._workers(), self._belongings.take()
        with self._untouched(case):
            yield
        growth = Footprint.take(self._engine, self._belongings).growth(memory)
        after = self._workers()
        if after != before:
            self.half.append(f"{case}: workers were {before}, and are {after}")
        if growth.tables:
            self.half.append(f"{case}: tables have {growth.tables:+,} bytes")
        if growth.megabytes is not None:
            self.growth_mb.append(growth.megabytes)
        self.half += [f"{case}: {what}" for what in self._belongings.take().more_than(held)]
