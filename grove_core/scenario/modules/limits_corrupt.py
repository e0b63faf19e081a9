"""State that is corrupt: newborn, ticks, migrations and documents. It is refused, and what held before holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from grove_core.base.errors import GroveError
from grove_core.base.records import FaultKind
from grove_core.scenario.modules.ledger import MODULE, Ledger
from grove_core.scenario.modules.ledger_v1 import HIGHEST
from grove_core.scenario.modules.limits_seen import NOTHING, Case, LimitsSeen, Part, Watcher

if TYPE_CHECKING:
    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine

CANARY = 0.5
BAD_ID = 1
"""An account that no migration can take along."""


class Corruptions:
    """Each corruption of `ledger`, tried once.

    Args:
        engine: has no version of the module yet.
        seen: what is seen goes here.
        watcher: called before values are compared.
    """

    def __init__(self, engine: DebugEngine, seen: LimitsSeen, watcher: Watcher) -> None:
        self._engine, self._seen, self._watcher = engine, seen, watcher
        self._ledger = Ledger(engine)

    def play(self) -> None:
        """Try each.

        Raises:
            GroveError: the engine refused what it must do.
        """
        self._ledger.begin()
        for name, (due, act) in self._cases().items():
            self._case(name, due, act)

    def _cases(self) -> Mapping[str, tuple[str, Callable[[], TickReport | None]]]:
        """Return what each must be seen as, and how it is done; a tick that is part of it is returned."""
        return {
            "newborn with NaN": ("InvalidColumns", lambda: self._spawn(balance=np.nan)),
            "newborn out of range": ("InvalidColumns", lambda: self._spawn(rating=2 * HIGHEST)),
            "a tick that writes NaN": (FaultKind.RULE, lambda: self._canary("nan")),
            "a tick that goes out of range": (FaultKind.RULE, lambda: self._canary("high")),
            "a tick with junk for a document": (FaultKind.RAISE, lambda: self._canary("junk")),
            "a migration that makes NaN": ("LensError", lambda: self._migrate(-1.0)),
            "a migration that goes out of range": ("LensError", lambda: self._migrate(0.0)),
            "a document with a wrong checksum": ("MigrationRefused", lambda: self._document("torn")),
            "a document that lacks something": ("LoadFailed", lambda: self._document("lost")),
        }

    def _case(self, name: str, due: str, act: Callable[[], TickReport | None]) -> None:
        """Have it done, and look at everything, before and after another tick."""
        began, seen_as, wrong = time.perf_counter(), NOTHING, []
        try:
            report = act()
            if report is not None and report.faults:
                seen_as = report.faults[0].kind
        except GroveError as error:
            seen_as = type(error).__name__
        self._watcher(self._engine, name)
        wrong += self._ledger.differences()
        wrong += self._tidy_up()
        wrong += self._ledger.tick() + self._ledger.differences()
        self._seen.compared += 2
        ms = (time.perf_counter() - began) * 1000
        self._seen.cases.append(Case(Part.CORRUPT, name, due, seen_as, tuple(wrong), ms))

    def _spawn(self, **columns: float) -> None:
        self._engine.spawn(MODULE, id=BAD_ID, **columns)

    def _canary(self, writes: str) -> TickReport:
        """Give half of the accounts to a version that writes what must not be committed."""
        self._ledger.load(2, writes=writes)
        self._engine.set_traffic_split(MODULE, {1: 1 - CANARY, 2: CANARY})
        return self._ledger.advance()

    def _migrate(self, balance: float) -> None:
        """Migrate while there is a balance of which no magnitude can be made."""
        self._engine.spawn(MODULE, id=BAD_ID, balance=balance)
        self._ledger.load(2)
        try:
            self._engine.migrate_state(MODULE, 1, 2)
        finally:
            self._engine.despawn(MODULE, [BAD_ID])

    def _document(self, what: str) -> None:
        """Load a version while there is a document that it cannot take over."""
        self._engine.config.update_partial(MODULE, {"document": what}, 1)
        self._ledger.advance()
        try:
            self._ledger.load(2)
        finally:
            self._engine.config.update_partial(MODULE, {"document": None}, 1)
            self._ledger.advance()

    def _tidy_up(self) -> list[str]:
        """Unload version 2 where it was to stay; where entities are in it, say so and bring them back."""
        loaded = self._engine.get_loaded_versions(MODULE)
        if len(loaded) == 1:
            return []
        back = self._engine.rollback(MODULE, loaded[0]).entities
        self._engine.unload_module_version(MODULE, loaded[1])
        return [f"{back} accounts had to be brought back"] * bool(back)
