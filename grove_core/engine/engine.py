"""The engine: what a program calls. It delegates."""

from __future__ import annotations

import numpy as np

from grove_core.base.errors import InvalidInput
from grove_core.base.interrupts import put_off
from grove_core.base.records import TickReport
from grove_core.engine.entities import EntityCalls
from grove_core.engine.patches import PatchCalls
from grove_core.engine.splits import SplitCalls
from grove_core.engine.versions import VersionCalls
from grove_core.runtime.loading.renewing import end_replaced, renew
from grove_core.runtime.ticking.tick import tick


class MultiVersionEngine(VersionCalls, PatchCalls, SplitCalls, EntityCalls):
    """Runs several versions of stateful modules side by side.

    Calls may come from any thread; they are carried out one at a time, between ticks. A call that fails
    leaves everything as it was.

    Args:
        settings: which parts, which limits.
        clock: decides idle times and uptimes; the machine's monotonic clock if None.
        plugins: further plugins, besides those that are installed.
        isolation: where versions run, instead of what the settings choose; it is not closed with the engine.
        waiting: how workers are waited for during ticks; by the machine's own time and poll if None.
    """

    def tick(self, dt: float) -> TickReport:
        """Advance every module by `dt` seconds.

        Raises:
            InvalidInput: `dt` is negative or not finite.
        """
        with self._turns.take("tick"):
            return self._advance(dt)

    def _advance(self, dt: float) -> TickReport:
        """Tick, in a turn that was taken."""
        refuse_dt(dt)
        with put_off():
            self._holding.follow()
            self._number += 1
            states = list(self._states.values())
            for state in states:
                end_replaced(self._context, state)
                self._baselines.follow(state)
            report = tick(self._context, states, self._number, float(dt))
            self._roster.after_tick(report, float(dt))
            renew(self._context)
        return report


def refuse_dt(dt: float) -> None:
    """Raise `InvalidInput` unless `dt` is a number of seconds."""
    if not (isinstance(dt, int | float | np.floating) and 0 <= dt < float("inf")):
        raise InvalidInput(f"dt is {dt!r}; it must be a number of seconds, at least 0")
