"""Reloads while memory is short, and allocations that fail: nothing is lost, and the next try succeeds."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from grove_core.base.errors import GroveError
from grove_core.base.limits import Limits
from grove_core.memory.arena import COLUMNS
from grove_core.scenario.modules.archive import MODULE, Archive
from grove_core.scenario.modules.limits_seen import MEGABYTE, NOTHING, Case, LimitsSeen, Part, Watcher, timed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.parts.settings import Settings

ROOM = 16 << 20
"""What its limit leaves a version beyond what it takes."""
ENGINE_ROOM = 256 << 20
"""What the engine's process may take besides two more tables, as address space."""
ROWS_TIMES, LEAST_ROWS = 4, 1 << 20
"""For how many times as many entities as there are a table has address space, and for how many at the least."""
HOG_TIMES = 4
"""How many times the state another process takes."""
HOG = """
import os, sys
parent = os.getppid()
hoard = bytearray(int(sys.argv[1]))
pages = range(0, len(hoard), 4096)
turn = 0
while os.getppid() == parent:
    hoard[:: pages.step] = bytes([turn % 256]) * len(pages)
    if not turn:
        print("there", flush=True)
    turn += 1
"""
"""A process that has so many bytes, and goes on writing to all of its pages, as long as its parent lives."""


def tight(settings: Settings, rows: int) -> Settings:
    """Return settings with which a table takes no more address space than it may need: the default is some GB."""
    return msgspec.structs.replace(settings, max_entities=max(ROWS_TIMES * rows, LEAST_ROWS))


class Pressure:
    """Reloads of `archive`.

    Args:
        engine: has no version of the module yet.
        seen: what is seen goes here.
        watcher: called before values are compared.
    """

    def __init__(self, engine: DebugEngine, seen: LimitsSeen, watcher: Watcher) -> None:
        self._engine, self._seen, self._watcher = engine, seen, watcher
        self._archive = Archive(engine, seen.megabytes)
        seen.hoard_bytes, seen.room_bytes = seen.megabytes * MEGABYTE, ROOM
        self._table = COLUMNS * 8 * engine.settings.max_entities
        seen.own_bytes = 2 * self._table + ENGINE_ROOM

    def play(self) -> None:
        """Reload under pressure, then with allocations that fail.

        Raises:
            GroveError: the engine refused what it must do.
        """
        seen = self._seen
        self._load(1)
        self._archive.spawn()
        with hog(HOG_TIMES * seen.hoard_bytes) as pid:
            for _ in range(seen.rounds):
                with _limited(resource.RLIMIT_AS, _address_space() + seen.own_bytes), timed(seen.pressure):
                    self._to_two()
                    self._to_one()
                seen.hog_bytes = _resident(pid)
                seen.differences += [f"reload under pressure: {each}" for each in self._look("reload under pressure")]
        for name, due, act, again in (
            ("a load over its limit of memory", "LoadFailed", self._load_over, lambda: self._load(2)),
            ("a split without address space", "OutOfMemory", self._split_without_addresses, self._split),
            ("a split without descriptors", "OutOfMemory", self._split_without_descriptors, self._split),
        ):
            self._case(name, due, act, again)

    def _to_two(self) -> None:
        self._load(2)
        self._engine.migrate_state(MODULE, 1, 2)
        self._engine.unload_module_version(MODULE, 1)

    def _to_one(self) -> None:
        self._load(1)
        self._engine.migrate_state(MODULE, 2, 1)
        self._engine.unload_module_version(MODULE, 2)

    def _load(self, major: int, room: int = ROOM) -> None:
        """Load a version that takes as much memory as there is state, under a limit that leaves it little room."""
        hoard = self._seen.hoard_bytes
        self._engine.load_module_version(
            MODULE, major, config={"hoard": hoard}, limits=Limits(memory_bytes=hoard + room)
        )

    def _load_over(self) -> None:
        self._load(2, room=-self._seen.hoard_bytes // 2)

    def _split(self) -> None:
        self._engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})

    def _split_without_addresses(self) -> None:
        self._load(2)
        with _limited(resource.RLIMIT_AS, _address_space() + self._table // 2):
            self._split()

    def _split_without_descriptors(self) -> None:
        self._load(2)
        with _limited(resource.RLIMIT_NOFILE, _next_descriptor()):
            self._split()

    def _case(self, name: str, due: str, act: Callable[[], None], again: Callable[[], None]) -> None:
        """Have an allocation fail, look at everything, try again, and go back to version 1 alone."""
        began, seen_as, wrong = time.perf_counter(), NOTHING, []
        try:
            act()
        except GroveError as error:
            seen_as = type(error).__name__
        except MemoryError:
            seen_as = "MemoryError"
        wrong += self._elsewhere()
        wrong += self._look(name)
        try:
            again()
        except GroveError as error:
            wrong.append(f"the next try failed: {type(error).__name__}: {error.message}")
        self._engine.rollback(MODULE, 1)
        if self._engine.is_version_loaded(MODULE, 2):
            self._engine.unload_module_version(MODULE, 2)
        wrong += self._look(name)
        ms = (time.perf_counter() - began) * 1000
        self._seen.cases.append(Case(Part.PRESSURE, name, due, seen_as, tuple(wrong), ms))

    def _elsewhere(self) -> list[str]:
        """Say how many records are not in version 1, where all of them must be still."""
        versions = self._engine.get_loaded_versions(MODULE)
        counts = {version: self._engine.get_version_metrics(MODULE, version).entities for version in versions}
        return [
            f"{count} records are in {version}" for version, count in counts.items() if count and version.major != 1
        ]

    def _look(self, what: str) -> list[str]:
        """Have a tick by version 1, compare all values, and say what is not right."""
        self._watcher(self._engine, what)
        self._seen.compared += 1
        return self._archive.tick(1) + self._archive.differences()


@contextmanager
def _limited(what: int, most: int) -> Iterator[None]:
    """Let this process have no more of something than so much, for a while."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@contextmanager
def hog(size: int) -> Iterator[int]:
    """Have another process take so many bytes; yield its process id once it has them."""
    command = [sys.executable, "-c", HOG, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  our own, by our own interpreter
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def _resident(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def _address_space() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()


def _next_descriptor() -> int:
    """Return the number that the next descriptor would have."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor
