"""Initialisations that are slow, and such that never end: what becomes of them, and what is left."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from grove_core.base.errors import GroveError
from grove_core.isolation.handle import process_memory
from grove_core.scenario.common.footprint import Footprint
from grove_core.scenario.common.written import package, write
from grove_core.scenario.modules.ledger import MODULE, Ledger
from grove_core.scenario.modules.limits_seen import MEGABYTE, NOTHING, Hang, HangKind, LimitsSeen, Watcher

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.holdings import Belongings

LOOK_SECONDS = 0.05
"""How often it is looked what a start has taken by now."""
WRITTEN = """
from grove_core.scenario.modules.ledger_v2 import Ledger

class Main(Ledger):
    '''Version 2, from a folder.'''
"""


class _Meanwhile:
    """Looks in a thread at what processes take beyond what they took before: there must be something to give back.

    Args:
        belongings: finds the processes.
    """

    def __init__(self, belongings: Belongings) -> None:
        self.most_bytes = 0
        """Anonymous memory of all processes, at the most, beyond what there was before."""
        self._belongings = belongings
        self._before = self._bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="grove-meanwhile")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.most_bytes = max(self.most_bytes, self._bytes() - self._before)

    def _bytes(self) -> int:
        found = [process_memory(pid) for pid in self._belongings.processes()]
        return sum(memory.anonymous for memory in found if memory is not None)


class Starts:
    """Loads of version 2 of `ledger`, beside a version 1 that goes on.

    Args:
        engine: has no version of the module yet; its `load_deadline_seconds` is that of the starts.
        seen: what is seen goes here.
        belongings: finds what is left.
        folder: where a package is written.
        watcher: called before values are compared.
    """

    def __init__(
        self, engine: DebugEngine, seen: LimitsSeen, belongings: Belongings, folder: Path, watcher: Watcher
    ) -> None:
        self._engine, self._seen, self._belongings, self._watcher = engine, seen, belongings, watcher
        self._ledger = Ledger(engine)
        files = package(MODULE, "2.5.0", {"__init__.py": WRITTEN})
        self._path = str(write(folder, files))

    def play(self) -> None:
        """Load the slow one, then each that hangs.

        Raises:
            GroveError: the engine refused what it must do.
        """
        self._ledger.begin()
        self._slow()
        for kind in self._seen.hang_kinds:
            self._hang(kind)

    def _slow(self) -> None:
        seen = self._seen
        try:
            report = self._ledger.load(2, start="slow", seconds=seen.slow_seconds)
        except GroveError as error:
            seen.slow_wrong.append(f"it was not loaded: {type(error).__name__}: {error.message}")
        else:
            seen.slow_ms = report.ms
            self._engine.unload_module_version(MODULE, report.version)
        seen.slow_wrong += self._look("slow start")

    def _hang(self, kind: HangKind) -> None:
        """Load one that hangs, and look at what is there afterwards that was not there before."""
        before, held = Footprint.take(self._engine, self._belongings), self._belongings.take()
        seen_as, began = NOTHING, time.perf_counter()
        with _Meanwhile(self._belongings) as meanwhile:
            try:
                self._load(kind)
            except GroveError as error:
                seen_as = type(error).__name__
        over_ms = (time.perf_counter() - began - self._seen.deadline_seconds) * 1000
        left = self._look(kind)
        growth = Footprint.take(self._engine, self._belongings).growth(before).megabytes
        left += self._belongings.take().more_than(held)
        self._seen.hangs.append(Hang(kind, seen_as, over_ms, meanwhile.most_bytes / 1e6, tuple(left), growth))

    def _load(self, kind: HangKind) -> None:
        config = {"start": "spins" if kind is HangKind.SPINS else "sleeps", "hoard": self._seen.megabytes * MEGABYTE}
        if kind is HangKind.FROM_FOLDER:
            self._engine.load_module_version(MODULE, 2, path=self._path, config=config)
        else:
            self._ledger.load(2, **config)

    def _look(self, what: str) -> list[str]:
        """Tick, and say what is not as it was."""
        self._watcher(self._engine, what)
        wrong = self._ledger.tick() + self._ledger.differences()
        loaded = self._engine.get_loaded_versions(MODULE)
        self._seen.compared += 1
        return wrong + [f"{MODULE}@{version} is loaded" for version in loaded[1:]]
