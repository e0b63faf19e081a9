"""What every verb of the runtime needs of its engine: parts, clock, and where events go."""

from __future__ import annotations

from collections import deque
from typing import Any

import structlog
from packaging.version import Version

from grove_core.base.clock import Clock
from grove_core.base.events import Event, EventKind
from grove_core.parts.contracts import FaultPolicy, Hold, Isolation
from grove_core.parts.plugins import Catalogue
from grove_core.parts.settings import Settings

EVENTS = 10_000
"""How many events an engine remembers."""
TROUBLE = frozenset(
    {
        EventKind.LOAD_FAILED,
        EventKind.FAULT,
        EventKind.ROLLED_BACK,
        EventKind.RESTARTED,
        EventKind.PAUSED,
        EventKind.QUARANTINED,
        EventKind.PINS_DROPPED,
        EventKind.ENTITIES_FAILED,
        EventKind.CATCH_UP_SKIPPED,
        EventKind.MEMORY_ABANDONED,
        EventKind.PLUGIN_FAILED,
    }
)
"""The kinds that are logged as warnings."""


class Context:
    """The engine's parts, as its verbs see them."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        catalogue: Catalogue,
        isolation: Isolation,
        fault_policy: FaultPolicy,
        holds: dict[str, Hold],
        faults_allowed: bool,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.catalogue = catalogue
        self.isolation = isolation
        self.fault_policy = fault_policy
        self.holds = holds
        self.faults_allowed = faults_allowed
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self._log = structlog.get_logger("grove")

    def emit(self, kind: EventKind, module: str | None = None, version: Version | None = None, **details: Any) -> None:
        """Remember an event and log it, module and version bound."""
        self.events.append(Event(kind, self.clock.now(), module, version, details))
        log = self._log
        if module is not None:
            log = log.bind(module=module)
        if version is not None:
            log = log.bind(version=str(version))
        (log.warning if kind in TROUBLE else log.info)(kind.value, **details)
