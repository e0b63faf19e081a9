"""The engine for development and tests."""

from __future__ import annotations

from collections.abc import Iterable

from grove_core.base.clock import Clock
from grove_core.base.waiting import Waiting
from grove_core.debug.control import ControlCalls
from grove_core.parts.running import Isolation
from grove_core.parts.settings import Settings


class DebugEngine(ControlCalls):
    """For development and tests: it stops where you want it to, shows everything, and lets faults be injected.

    Args:
        settings: as all that follow, see `MultiVersionEngine`.
        clock: see there.
        plugins: see there.
        isolation: see there.
        waiting: see there.
        fence: whether versions are trapped that use a view of their columns which they kept from an earlier tick. Their
            columns are then mapped in 16 places, used in turn, and can be reached during `process(dt)` only; who
            touches another place dies of SIGSEGV, which is a fault with the place in the version's code.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        plugins: Iterable[object] = (),
        isolation: Isolation | None = None,
        waiting: Waiting | None = None,
        fence: bool = False,
    ) -> None:
        super().__init__(settings, clock=clock, plugins=plugins, isolation=isolation, waiting=waiting)
        self._context.fenced = fence
