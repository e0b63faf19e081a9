"""What runs where, and what lies where."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import as_ids
from grove_core.base.errors import InvalidColumns, InvalidInput, UnknownModule
from grove_core.base.records import TickReport
from grove_core.base.showing import brief
from grove_core.base.versions import Requirement
from grove_core.debug.dumping import entity_dump, module_dump, version_dump
from grove_core.debug.looking import module_detail
from grove_core.debug.status import DetailedStatus
from grove_core.engine import MultiVersionEngine
from grove_core.rollouts.telling import status_of
from grove_core.runtime.rows.explaining import explain
from grove_core.runtime.state.index import find
from grove_core.runtime.state.state import ModuleState

ROWS = 1000
"""How many entities of each version are dumped, unless told otherwise."""
HISTORY = 100
"""How many of the latest migrations are dumped with a module."""


class ShowCalls(MultiVersionEngine):
    """Shows what an engine has inside."""

    _paused: str | None = None
    """Why it does not tick."""
    _last_report: TickReport | None = None

    def dump_state(
        self, module: str, version: Requirement | None = None, id: int | None = None, *, rows: int = ROWS
    ) -> dict[str, Any]:
        """Return all that is known of a module, of one version or of one entity, as `json.dumps` takes it.

        NaN and infinity, for which JSON has no form, are texts.

        Args:
            module: the module's name.
            version: a loaded version; None for the whole module, with all of them.
            id: of an entity, which is shown with what its version knows of it and what it carries; without `version`.
            rows: how many entities of each version come along, those with the lowest ids.

        Raises:
            NotFound, InvalidInput: there is nothing like that.
        """
        if version is not None and id is not None:
            raise InvalidInput("give a version or an id: an entity is in one version only", module=module)
        if not isinstance(rows, int) or rows < 0:
            raise InvalidInput(f"rows is {brief(rows)}; it must be a whole number, at least 0", module=module)
        with self._turns.take("dump_state"):
            state = self._state(module)
            if id is not None:
                ids = _one_id(module, id)
                told = explain(self._context, state, ids)
                ((loaded, _, found),) = find(state, ids)
                return entity_dump(state, loaded, int(found[0]), self._number, told.text)
            if version is not None:
                return version_dump(self._context, state, state.resolve(version), rows)
            rollouts = [status_of(self._found, each) for each in self._roster.rollouts if each.is_of(module)]
            return module_dump(self._context, state, rollouts, rows, HISTORY)

    def detailed_status(self) -> DetailedStatus:
        """Return how the engine is: what each version does, its times, memory and generations, rollouts, sinks.

        It looks only: a change that was interrupted stays to be done, and is shown. Measuring memory takes some 0.5 ms
        for each version.
        """
        with self._turns.take("detailed_status"):
            return DetailedStatus(
                self._context.clock.now(),
                self._paused,
                self._last_report,
                tuple(module_detail(state, self._last_report) for _, state in sorted(self._states.items())),
                tuple(status_of(self._found, each) for each in self._roster.rollouts if each.active),
                tuple(self._context.sinks.status()),
            )

    def workers(self, module: str) -> dict[Version, int]:
        """Return the process id of each loaded version's worker."""
        with self._turns.take("workers"):
            return {
                loaded.version: loaded.worker.pid for loaded in self._state(module).ordered if loaded.worker is not None
            }

    def workers_bytes(self) -> int | None:
        """Return the anonymous bytes of every process that runs versions, shared pages once; None if untold."""
        with self._turns.take("workers_bytes"):
            return self._context.isolation.memory()

    def table_slots(self, module: str, version: Requirement) -> tuple[int, dict[int, tuple[str, bool]]]:
        """Return the inode of a version's table, and what its worker may map: offset -> (column, writable)."""
        with self._turns.take("table_slots"):
            loaded = self._state(module).resolve(version)
            slots = loaded.store.worker_slots(loaded.schema)
            return loaded.store.arena.inode, {slot.offset: (slot.name, slot.writable) for slot in slots}

    def _advance(self, dt: float) -> TickReport:
        """Tick, and keep the report."""
        self._last_report = super()._advance(dt)
        return self._last_report

    def _found(self, module: str) -> ModuleState:
        """Return a module as it is, with what is still to be done."""
        state = self._states.get(module)
        if state is None:
            raise UnknownModule("no version of it is loaded", module=module)
        return state


def _one_id(module: str, given: int) -> NDArray[np.int64]:
    try:
        return as_ids(given)
    except InvalidColumns as error:
        raise InvalidColumns(error.message, module=module) from None
