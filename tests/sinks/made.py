"""Events and samples for tests."""

from __future__ import annotations

from packaging.version import Version

from grove_core.base.events import Event, EventKind
from grove_core.base.metrics import VersionMetrics


def numbered(number: int, kind: EventKind = EventKind.SPLIT_SET, module: str = "gamelogic") -> Event:
    return Event(kind, float(number), module, details={"number": number})


def metrics(version: str, entities: int = 10, memory: int | None = None) -> VersionMetrics:
    return VersionMetrics(Version(version), entities, 50.0, 25.0, 7, 70, 0.5, 0.4, 2.0, memory, 3.5, 4)
