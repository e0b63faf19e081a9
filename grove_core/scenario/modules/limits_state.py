"""The state of a module out of where it is, and in again: to another version, and to the program."""

from __future__ import annotations

from collections.abc import Callable

from grove_core.debug import DebugEngine
from grove_core.scenario.modules.archive import MODULE, Archive
from grove_core.scenario.modules.ledger import MODULE as LEDGER
from grove_core.scenario.modules.ledger import Ledger
from grove_core.scenario.modules.limits_seen import MEGABYTE, LimitsSeen, Watcher, Way, timed


class StateMoves:
    """All state of `archive`, by each way.

    Args:
        engine: has no version of the module yet.
        seen: what is seen goes here.
        watcher: called before values are compared.
    """

    def __init__(self, engine: DebugEngine, seen: LimitsSeen, watcher: Watcher) -> None:
        self._engine, self._seen, self._watcher = engine, seen, watcher
        self._archive = Archive(engine, seen.megabytes)
        seen.rows = self._archive.rows

    def play(self) -> None:
        """Go each way, several times.

        Raises:
            GroveError: the engine refused what it must do.
        """
        self._engine.load_module_version(MODULE, 1)
        self._archive.spawn()
        self._look("spawned", 1)
        for name, out, back in (
            ("reload as another version", self._to_two, self._to_one),
            ("split, half by half", self._split_to_two, self._split_to_one),
            ("promotion, rollback", self._promote, self._roll_back),
        ):
            self._seen.ways.append(Way(name))
            for _ in range(self._seen.rounds):
                self._there_and_back(self._seen.ways[-1], out, back)
        self._to_the_program()

    def _there_and_back(self, way: Way, out: Callable[[], None], back: Callable[[], None]) -> None:
        with timed(way.out_of):
            out()
        self._look(f"{way.name}, out", 2)
        with timed(way.into):
            back()
        self._look(f"{way.name}, in", 1)

    def _to_two(self) -> None:
        self._engine.load_module_version(MODULE, 2)
        self._engine.migrate_state(MODULE, 1, 2)
        self._engine.unload_module_version(MODULE, 1)

    def _to_one(self) -> None:
        self._engine.load_module_version(MODULE, 1)
        self._engine.migrate_state(MODULE, 2, 1)
        self._engine.unload_module_version(MODULE, 2)

    def _split_to_two(self) -> None:
        self._engine.load_module_version(MODULE, 2)
        self._engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
        self._engine.set_traffic_split(MODULE, {2: 1})

    def _split_to_one(self) -> None:
        self._engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
        self._engine.set_traffic_split(MODULE, {1: 1})
        self._engine.unload_module_version(MODULE, 2)

    def _promote(self) -> None:
        self._engine.load_module_version(MODULE, 2)
        self._engine.set_traffic_split(MODULE, {2: 1})

    def _roll_back(self) -> None:
        self._engine.rollback(MODULE, 1)
        self._engine.unload_module_version(MODULE, 2)

    def _to_the_program(self) -> None:
        """Give all of it to the program, end every entity, and let all of them be born of what the program has."""
        way = Way("to the program, spawned anew")
        self._seen.ways.append(way)
        for _ in range(self._seen.rounds):
            with timed(way.out_of):
                given = self._engine.entities(MODULE)
            with timed(way.into):
                self._engine.despawn(MODULE, given["id"])
                self._engine.spawn(MODULE, **given)
            self._look(way.name, 1)

    def _look(self, what: str, major: int) -> None:
        """Have a tick by the version that has all of it now, and compare all values."""
        self._watcher(self._engine, what)
        found = self._archive.tick(major) + self._archive.differences()
        self._seen.compared += 1
        self._seen.differences += [f"{what}: {sentence}" for sentence in found]


def move_document(engine: DebugEngine, seen: LimitsSeen, watcher: Watcher) -> None:
    """Let a document of that size go from a version to the engine with a tick, and from there to another version.

    Raises:
        GroveError: the engine refused what it must do.
    """
    ledger, way = Ledger(engine, pages=seen.megabytes * MEGABYTE), seen.document
    ledger.begin()
    for _ in range(seen.rounds):
        with timed(way.out_of):
            wrong = ledger.tick()
        with timed(way.into):
            version = ledger.load(2).version
        watcher(engine, way.name)
        wrong += ledger.differences()
        wrong += ledger.document_differences(version)
        engine.unload_module_version(LEDGER, version)
        seen.compared += 1
        seen.differences += [f"{way.name}: {sentence}" for sentence in wrong]
