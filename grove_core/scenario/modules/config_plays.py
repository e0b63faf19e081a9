"""The cases of `config`: what is done in each, and what must be so afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grove_core.base.errors import ConfigRefused, InvalidConfig
from grove_core.base.events import EventKind
from grove_core.base.limits import Limits
from grove_core.base.records import FaultKind
from grove_core.scenario.modules.cases import CaseSeen
from grove_core.scenario.modules.config_cases import MERGES, MISTAKEN, MISTAKES, Case, mistakes_in
from grove_core.scenario.modules.config_file import BAD, SettingsFile
from grove_core.scenario.modules.slate import checksum
from grove_core.scenario.modules.turrets import MODULE, SLATE, VERSIONS, Draw, Turrets, patch_of

if TYPE_CHECKING:
    from grove_core.base.clock import ManualClock
    from grove_core.base.configs import ConfigReport
    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine

SEED = 1
DT = 0.1
HANG_MS = 500.0
"""How long a version that hangs may take."""
FOUR = f"{MODULE}@{VERSIONS[4]}"
LOOK_SECONDS = 1.0
"""How far apart looks at a watched file are."""


class Plays:
    """One engine on its way through cases.

    Args:
        engine: with nothing loaded.
        clock: its clock.
        entities: how many are there from the beginning.
        rounds: how often what is timed is done.
        folder: where files are written.
    """

    def __init__(self, engine: DebugEngine, clock: ManualClock, entities: int, rounds: int, folder: Path) -> None:
        self._engine, self._clock, self._rounds, self._folder = engine, clock, rounds, folder
        self._entities = entities
        self._turrets = Turrets(engine)
        self._draw = Draw(SEED)
        self._plays: dict[Case, Callable[[CaseSeen], None]] = {
            Case.UPDATE: self._update,
            Case.RESTART: self._restart,
            Case.ONE: self._one,
            Case.PARTIAL: self._partial,
            Case.MERGES: self._merges,
            Case.NEWBORN: self._newborn,
            Case.INVALID: self._invalid,
            Case.MISTAKES: self._mistakes,
            Case.RAISE: self._raise,
            Case.HANG: lambda seen: self._fail(seen, "frenzy", FaultKind.DEADLINE, f"{HANG_MS:g} ms"),
            Case.DEATH: lambda seen: self._fail(seen, "ruin", FaultKind.DEATH, "status 3"),
            Case.ANEW: self._anew,
            Case.FILE: self._file,
            Case.BAD_FILE: self._bad_file,
        }

    def begin(self) -> None:
        """Load version 1, and let everybody in."""
        self._load(1)
        self._turrets.build(self._entities)

    def play(self, seen: CaseSeen) -> None:
        """Play one case.

        Raises:
            GroveError: the engine refused what it must do.
        """
        self._plays[Case(seen.case)](seen)
        seen.done = True

    def pids(self) -> list[int]:
        """Return the processes that a config goes through."""
        return [os.getpid(), *self._engine.workers(MODULE).values()]

    def _update(self, seen: CaseSeen) -> None:
        self._beside(2)
        for _ in range(self._rounds):
            self._change(seen, self._draw.config(), restarted=[])

    def _restart(self, seen: CaseSeen) -> None:
        self._beside(3)
        for _ in range(self._rounds):
            before = self._engine.workers(MODULE)
            self._change(seen, self._draw.config(), restarted=[3])
            after = self._engine.workers(MODULE)
            seen.must(after[VERSIONS[1]] == before[VERSIONS[1]], "the one that took it has another worker too")
            seen.must(after[VERSIONS[3]] != before[VERSIONS[3]], "the one that does not take it has the same worker")

    def _one(self, seen: CaseSeen) -> None:
        self._beside(2)
        self._give(seen)
        for _ in range(self._rounds):
            for major in (1, 2):
                config = self._draw.config()
                with seen.timed():
                    report = self._engine.config.update(MODULE, config, major)
                self._turrets.given[major] = config
                seen.must(report.versions == (VERSIONS[major],), f"it was said to be for {_told(report.versions)}")
                self._look(seen)
        self._beside(3)  # what is loaded now gets what all got last, not what one of them got
        self._look(seen)

    def _partial(self, seen: CaseSeen) -> None:
        self._beside(2)
        for major in (1, 2):
            self._turrets.given[major] = self._draw.config()
            self._engine.config.update(MODULE, self._turrets.given[major], major)
        for _ in range(self._rounds):
            changes = self._draw.changes()
            with seen.timed():
                self._engine.config.update_partial(MODULE, patch_of(changes))
            self._turrets.merge(changes)
            self._look(seen)
        self._beside(3)  # the module's own has them too
        self._look(seen)

    def _merges(self, seen: CaseSeen) -> None:
        self._engine.load_module_version(SLATE, 1)
        self._engine.spawn(SLATE, id=0)
        for before, patch, after in MERGES:
            self._engine.config.update(SLATE, before)
            with seen.timed():
                self._engine.config.update_partial(SLATE, patch)
            self._look(seen)
            found, shown = self._engine.config.get(SLATE), int(self._engine.entities(SLATE)["rules"][0])
            seen.must(found == after, f"{patch} merged into {before} is {found}, not {after}")
            seen.must(shown == checksum(after), f"{patch} merged into {before}: the worker has something else")
        self._engine.despawn(SLATE, 0)
        self._engine.unload_module_version(SLATE, 1)

    def _newborn(self, seen: CaseSeen) -> None:
        self._beside(2)
        for _ in range(min(self._rounds, 5)):
            self._change(seen, self._draw.config(), restarted=[])
            self._turrets.build(7)
            self._turrets.have_built(3)
            self._look(seen)

    def _invalid(self, seen: CaseSeen) -> None:
        self._beside(2)
        workers = self._engine.workers(MODULE)
        for _ in range(self._rounds):
            seen.refused(InvalidConfig, lambda: self._engine.config.update(MODULE, MISTAKEN))
            self._look(seen)
        seen.must(self._engine.workers(MODULE) == workers, "a worker was replaced")

    def _mistakes(self, seen: CaseSeen) -> None:
        self._beside(2)
        config = self._engine.config
        self._mistaken(seen, lambda: self._engine.load_module_version(MODULE, 3, config=MISTAKEN), 3)
        seen.must(not self._engine.is_version_loaded(MODULE, 3), "a version was loaded with a config that does not do")
        self._mistaken(seen, lambda: config.update_partial(MODULE, MISTAKEN, 2), 2)
        self._mistaken(seen, lambda: config.update(MODULE, MISTAKEN), 1, 2)
        self._look(seen)

    def _mistaken(self, seen: CaseSeen, call: Callable[[], object], *majors: int) -> None:
        """Give versions what is full of mistakes: each of them must find every one, and nothing else."""
        told = dict(mistakes_in(seen.refused(InvalidConfig, call)))
        for major in majors:
            found = told.get(f"{MODULE}@{VERSIONS[major]}", {})
            for path in MISTAKES.keys() ^ found.keys():
                what = "is told, and is none" if path in found else "is not told"
                seen.wrong.append(f"{VERSIONS[major]}: the mistake {path} {what}")
            for path in MISTAKES.keys() & found.keys():
                seen.must(MISTAKES[path] in found[path], f"{path}: {found[path]!r} does not say {MISTAKES[path]!r}")

    def _raise(self, seen: CaseSeen) -> None:
        self._beside(4)
        workers = self._engine.workers(MODULE)
        for _ in range(self._rounds):
            update = partial(self._engine.config.update, MODULE, {**self._draw.config(), "mode": "siege"})
            seen.refused(ConfigRefused, update, FOUR, "cannot lay siege")
            self._look(seen)
        seen.must(self._engine.workers(MODULE) == workers, "a worker was replaced")

    def _fail(self, seen: CaseSeen, mode: str, kind: FaultKind, word: str) -> None:
        """Give version 4 a config that it fails of: nobody has it, and the next tick is without that version."""
        self._beside(4, Limits(tick_ms=HANG_MS))
        update = partial(self._engine.config.update, MODULE, {**self._draw.config(), "mode": mode})
        one = self._engine.workers(MODULE)[VERSIONS[1]]
        seen.refused(ConfigRefused, update, FOUR, word)
        report = self._tick()
        faults = [f"{fault.kind} of {fault.version}" for fault in report.faults]
        seen.must(faults == [f"{kind} of {VERSIONS[4]}"], f"the next tick had {_told(faults) or 'no fault'}")
        seen.must(report.entities == len(self._turrets.ids), f"only {report.entities} had the next tick")
        self._turrets.locate()
        seen.must(set(self._turrets.majors.tolist()) == {1}, "not all are in version 1 afterwards")
        self._turrets.tick()
        self._compare(seen)
        seen.must(self._engine.workers(MODULE)[VERSIONS[1]] == one, "version 1 has another worker")
        self._give(seen)

    def _anew(self, seen: CaseSeen) -> None:
        """Have a worker killed, and have a version that was unloaded come back."""
        self._beside(2)
        self._give(seen)
        self._engine.set_traffic_split(MODULE, {2: 1.0})
        self._engine.unload_module_version(MODULE, 1)
        with seen.timed():
            self._engine.rollback(MODULE, VERSIONS[1])
        self._turrets.locate()
        self._engine.unload_module_version(MODULE, 2)
        self._look(seen)
        before = self._engine.workers(MODULE)[VERSIONS[1]]
        os.kill(before, signal.SIGKILL)
        with seen.timed():
            report = self._tick()
        self._turrets.tick()
        kinds = [fault.kind for fault in report.faults]
        seen.must(kinds == [FaultKind.DEATH], f"a worker was killed, and seen were: {_told(kinds) or 'no faults'}")
        seen.must(self._engine.workers(MODULE)[VERSIONS[1]] != before, "there is no new worker")
        self._look(seen)

    def _file(self, seen: CaseSeen) -> None:
        self._beside(2)
        with self._watched(seen) as file:
            for number in range(self._rounds):
                config = self._draw.config()
                file.write(config, in_place=bool(number % 2))
                self._wait(seen, 1)
                self._clock.advance(LOOK_SECONDS)
                with seen.timed():
                    report = self._tick()
                self._turrets.give(config)
                self._turrets.tick()
                self._compare(seen, report)

    def _bad_file(self, seen: CaseSeen) -> None:
        self._beside(2)
        with self._watched(seen) as file:
            for name, (contents, words) in BAD.items():
                before = len(self._refusals())
                file.put(contents)
                with seen.timed():
                    self._wait(seen, 4)
                told = self._refusals()[before:]
                seen.must(len(told) == 1, f"{name}: it was told {len(told)} times, not once")
                for word in words:
                    seen.must(any(word in each for each in told), f"{name}: {word!r} is not told in {told}")
            config, before = self._draw.config(), len(self._refusals())
            for _ in file.pieces(config):
                self._wait(seen, 1)
            seen.must(len(self._refusals()) == before, "what was being written was read")
            self._turrets.give(config)
            self._wait(seen, 1)

    def _watched(self, seen: CaseSeen) -> SettingsFile:
        """Return the file, with the config that the module has already."""
        return SettingsFile(self._engine, self._folder, self._give(seen))

    def _wait(self, seen: CaseSeen, looks: int) -> None:
        """Let the engine look at the file so often."""
        for _ in range(looks):
            self._clock.advance(LOOK_SECONDS)
            self._look(seen)

    def _refusals(self) -> list[str]:
        kind = EventKind.CONFIG_REFUSED
        return [str(event.details["reason"]) for event in self._engine.events if event.kind is kind]

    def _change(self, seen: CaseSeen, config: dict[str, Any], *, restarted: list[int]) -> None:
        """Give all versions a config, and look."""
        loaded = self._engine.get_loaded_versions(MODULE)
        with seen.timed():
            report: ConfigReport = self._engine.config.update(MODULE, config)
        self._turrets.give(config)
        seen.must(list(report.versions) == loaded, f"it was said to be for {_told(report.versions)}")
        anew = [version.major for version in report.restarted]
        seen.must(anew == restarted, f"said to be restarted were {_told(report.restarted) or 'none'}")
        self._look(seen)

    def _give(self, seen: CaseSeen) -> dict[str, Any]:
        """Give all versions a config that is not what is to be timed, and return it."""
        config = self._draw.config()
        self._engine.config.update(MODULE, config)
        self._turrets.give(config)
        self._look(seen)
        return config

    def _look(self, seen: CaseSeen) -> None:
        """Tick, and compare everything: what a tick does tells which config each worker has."""
        report = self._tick()
        self._turrets.tick()
        self._compare(seen, report)

    def _tick(self) -> TickReport:
        return self._engine.tick(DT)

    def _compare(self, seen: CaseSeen, report: TickReport | None = None) -> None:
        if report is not None:
            seen.wrong += [f"{each.kind.value} of {each.version}: {each.message}" for each in report.faults]
        wrong = self._turrets.differences()
        seen.differences += wrong
        if wrong:
            self._turrets.take_over()

    def _load(self, major: int, limits: Limits | None = None) -> None:
        self._engine.load_module_version(MODULE, VERSIONS[major], limits=limits)
        self._turrets.given[major] = self._turrets.held

    def _alone(self, *but: int) -> None:
        """Have all in version 1, and no other version loaded but these."""
        self._engine.set_traffic_split(MODULE, {VERSIONS[1]: 1.0})
        for version in self._engine.get_loaded_versions(MODULE):
            if version.major not in (1, *but):
                self._engine.unload_module_version(MODULE, version)
                del self._turrets.given[version.major]

    def _beside(self, major: int, limits: Limits | None = None) -> None:
        """Have version 1 and another one loaded, and no third one, with half of the entities each."""
        self._alone(*[major] * (limits is None))
        if not self._engine.is_version_loaded(MODULE, VERSIONS[major]):
            self._load(major, limits)
        self._engine.set_traffic_split(MODULE, {VERSIONS[1]: 0.5, VERSIONS[major]: 0.5})
        self._turrets.locate()


def _told(each: Any) -> str:
    return ", ".join(map(str, each))
