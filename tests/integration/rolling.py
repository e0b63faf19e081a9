"""What the tests of rollouts do: versions that are good or bad on purpose, and simulated seconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from packaging.version import Version

from grove_core import DebugEngine, ManualClock
from grove_core.base.events import Event, EventKind
from grove_core.base.rollouts import RolloutState

from .sources import MODULE, SCHEMA_1, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))
DT = 0.1
GOOD = version("e.n += 1", schema=SCHEMA_1)
BAD = version("e.n += 1\ne.fail(e.id[e.tag == 1], 'on purpose')", schema=SCHEMA_1)
"""A tenth of its entities fail in each tick."""
ONCE = version("e.n += 1\nif e.n.max() == 7: e.fail(e.id[:1], 'on purpose')", schema=SCHEMA_1)
"""One entity fails, in the seventh tick."""
SLOW = version("e.n += 1\nstop = time.perf_counter() + 0.004\nwhile time.perf_counter() < stop: pass", schema=SCHEMA_1)
"""4 ms a tick, at work."""


def populate(engine: DebugEngine, entities: int = 1000, module: str = MODULE) -> None:
    """Load version 1, and let entities be born whose `tag` is 0 to 9."""
    engine.load_module_version(module, 1)
    engine.spawn(module, id=np.arange(entities), tag=np.arange(entities) // 7 % 10)


def run(engine: DebugEngine, clock: ManualClock, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
    """Tick for so many simulated seconds, or until something is so; return how many passed."""
    began = clock.now()
    for _ in range(round(seconds / DT)):
        clock.advance(DT)
        engine.tick(DT)
        if until():
            break
    return clock.now() - began


def state(engine: DebugEngine, module: str = MODULE) -> RolloutState:
    return engine.rollouts.status(module).state


def split(engine: DebugEngine, module: str = MODULE) -> dict[int, float]:
    """Return the weights that are not 0, by major number."""
    return {version.major: round(share, 9) for version, share in engine.get_traffic_split(module).items() if share}


def counts(engine: DebugEngine, module: str = MODULE) -> dict[int, int]:
    """Return how many entities each version has."""
    return {
        version.major: engine.get_version_metrics(module, str(version)).entities
        for version in engine.get_loaded_versions(module)
    }


def told(engine: DebugEngine, kind: EventKind) -> list[Event]:
    return [event for event in engine.events if event.kind is kind]
