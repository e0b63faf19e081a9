"""Loading what a version needs before it: all of it, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from packaging.version import Version

from grove_core.base.errors import GroveError
from grove_core.base.interrupts import put_off
from grove_core.base.records import LoadReport, VersionRecord
from grove_core.runtime.loading.loading import load
from grove_core.runtime.loading.mapping import new_state
from grove_core.runtime.loading.resolving import Resolution
from grove_core.runtime.orders.unloading import discard
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import Description, ModuleState


class Bases:
    """What is loaded because one load needs it.

    Args:
        context: the engine's parts.
        enter: called with each that is ready, as a part of its load.
        config: gives the config of a module.
    """

    def __init__(
        self,
        context: Context,
        enter: Callable[[ModuleState, VersionRecord], None],
        config: Callable[[str], dict[str, Any]],
    ) -> None:
        self._context = context
        self._enter, self._config = enter, config
        self._entered: list[ModuleState] = []
        self.wanted: set[Version] = set()
        """The version that all of it is for, once it introduced itself."""
        self.reports: list[LoadReport] = []
        """In the order in which they were loaded."""

    def load_for(self, root: Description, records: Sequence[VersionRecord]) -> None:
        """Load what a version needs and is not loaded; of what is installed twice the first record counts.

        Raises:
            DependencyError: there is no choice that fits.
            GroveError: one that was chosen cannot be loaded; call `take_back`.
        """
        assert root.record.version is not None
        self.wanted = {root.record.version}
        if not root.introduced.requirements:
            return
        first = {(record.module, record.version): record for record in reversed(records)}
        for record in Resolution(self._context, list(first.values())).bases(root):
            self._load(record)

    @put_off()
    def take_back(self) -> None:
        """Unload all of it, as if it had never been loaded."""
        while self._entered:
            state = self._entered[-1]
            for loaded in state.ordered:
                discard(self._context, state, loaded)
            self._context.modules.pop(state.name, None)
            self._entered.pop()

    def _load(self, record: VersionRecord) -> None:
        assert record.version is not None
        began, state = time.perf_counter(), new_state(self._context, record.module)

        def entered() -> None:
            self._entered.append(state)
            self._enter(state, record)

        try:
            load(self._context, state, record, self._config(record.module), entered=entered)
        except GroveError as error:
            error.message = f"{record.module}@{record.version}, which it needs, was not loaded: {error.message}"
            raise
        ms = (time.perf_counter() - began) * 1000
        self.reports.append(LoadReport(state.name, record.version, record.distribution, ms, ms))
