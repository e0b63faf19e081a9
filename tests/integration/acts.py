"""What several tests do with an engine, and ask of it."""

from __future__ import annotations

import numpy as np

from grove_core import DebugEngine
from grove_core.base.events import EventKind

from .sources import MODULE


def start(engine: DebugEngine, **weights: float) -> None:
    """Load the versions that have a weight, and let ten entities be born in version 1, then shared out."""
    for major in (int(name[1:]) for name in weights):
        engine.load_module_version(MODULE, major)
        if major == 1:
            engine.spawn(MODULE, id=np.arange(10), x=0.0, n=np.arange(10) * 1000)
    engine.set_traffic_split(MODULE, {name[1:]: weight for name, weight in weights.items()})


def counted(engine: DebugEngine) -> list[int]:
    """Return what each entity of `start` has counted: 1 for a tick in version 1, 100 for one in version 2."""
    columns = engine.entities(MODULE)
    order = np.argsort(columns["id"])
    assert columns["id"][order].tolist() == list(range(10))
    return (columns["n"][order] - np.arange(10) * 1000).tolist()


def kinds(engine: DebugEngine) -> list[EventKind]:
    return [event.kind for event in engine.events]
