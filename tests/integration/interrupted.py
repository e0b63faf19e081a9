"""Calls that are interrupted: for each, how the engine is made ready, and the call itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grove_core import DebugEngine, ManualClock

from .conftest import kill, rows_by_id
from .sources import MODULE, SCHEMA_1, V1, V2, version

TICKING = version(
    """
e.x += dt
e.n += 1
if self.told and not self.catching_up:
    e.fail(e.id[:1], "told to")
    e.despawn(e.id[1:2])
    e.spawn(x=[50.0, 60.0])
    self.told = False
    self.mark_state_changed()
""",
    schema=SCHEMA_1,
    body="""
def initialize(self, config):
    self.told = False
    self.ticks = 0
def get_state(self):
    return {"told": self.told}
def set_state(self, document):
    self.told = document["told"]
def migrate_state_from(self, from_version, document):
    self.told = document["told"]
    return True
""",
)
"""In a tick whose `dt` is not 0 it does all that a version can ask for."""


@dataclass(frozen=True)
class Interruptible:
    """One call, over two versions of a module."""

    ready: Callable[[DebugEngine, ManualClock], object]
    call: Callable[[DebugEngine], object]
    sources: Mapping[str, str]
    settings: Mapping[str, Any]


def two(split: float = 0.5, **settings: Any) -> Callable[[DebugEngine, ManualClock], object]:
    """Make both versions ready, version 2 with this weight, and eight entities."""

    def ready(engine: DebugEngine, clock: ManualClock) -> None:
        engine.load_module_version(MODULE, 1)
        engine.spawn(MODULE, x=np.arange(8.0), tag=np.arange(8), fixed=np.arange(8.0))
        engine.load_module_version(MODULE, 2)
        if split:
            engine.set_traffic_split(MODULE, {1: 1 - split, 2: split})
        engine.tick(0.25)

    return ready


def one(engine: DebugEngine, clock: ManualClock) -> None:
    """Make version 1 ready, and eight entities."""
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=np.arange(8.0), tag=np.arange(8), fixed=np.arange(8.0))
    engine.tick(0.25)


def then(first: Callable[[DebugEngine, ManualClock], object], more: Callable[[DebugEngine], object]) -> Any:
    """Make ready, and do one thing more."""

    def ready(engine: DebugEngine, clock: ManualClock) -> None:
        first(engine, clock)
        more(engine)

    return ready


def collectable(engine: DebugEngine, clock: ManualClock) -> None:
    """Make version 1 one that the next tick collects."""
    two(1.0)(engine, clock)
    engine.enable_auto_gc(MODULE, 1.0)
    engine.load_module_version(MODULE, 3)
    engine.set_traffic_split(MODULE, {3: 1.0})
    clock.advance(5.0)


def case(ready: Any, call: Any, sources: Mapping[str, str] | None = None, **settings: Any) -> Interruptible:
    return Interruptible(ready, call, sources or {"1.0.0": V1, "2.0.0": V2}, settings)


def faulty(kind: str, at: int = 2) -> Callable[[DebugEngine], object]:
    return lambda engine: engine.inject_fault(MODULE, at, kind)


def breaking(engine: DebugEngine) -> None:
    """Have the engine pause itself after the next tick."""
    engine.break_on_fault()
    faulty("raise")(engine)


def killed(engine: DebugEngine) -> None:
    kill(engine, next(one for one in engine.get_loaded_versions(MODULE) if one.major == 2))


def ruled(engine: DebugEngine) -> None:
    """Have a tick of 1.5 s move entities both ways, free some, and pin some where they are."""
    engine.pin_where(MODULE, "4 <= x < 6 or tag == 0", 2)
    engine.pin_where(MODULE, "2 <= x < 4 or x >= 7", 1)


CALLS: dict[str, Interruptible] = {
    "load": case(one, lambda engine: engine.load_module_version(MODULE, 2)),
    "load the first": case(lambda engine, clock: None, lambda engine: engine.load_module_version(MODULE, 1)),
    "unload": case(two(0.0), lambda engine: engine.unload_module_version(MODULE, 2)),
    "unload the last": case(
        lambda engine, clock: engine.load_module_version(MODULE, 1),
        lambda engine: engine.unload_module_version(MODULE, 1),
    ),
    "split a part": case(two(0.0), lambda engine: engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})),
    "split all": case(two(0.0), lambda engine: engine.set_traffic_split(MODULE, {2: 1.0})),
    "split back": case(two(0.5), lambda engine: engine.set_traffic_split(MODULE, {1: 1.0})),
    "migrate": case(two(0.0), lambda engine: engine.migrate_state(MODULE, 1, 2)),
    "migrate a part": case(two(0.5), lambda engine: engine.migrate_state(MODULE, 1, 2)),
    "roll back": case(two(0.5), lambda engine: engine.rollback(MODULE, 1)),
    "roll back to what is not loaded": case(
        then(two(1.0), lambda engine: engine.unload_module_version(MODULE, 1)),
        lambda engine: engine.rollback(MODULE, 1),
    ),
    "spawn": case(two(0.5), lambda engine: engine.spawn(MODULE, x=np.arange(3.0))),
    "despawn": case(two(0.5), lambda engine: engine.despawn(MODULE, [2, 3, 6, 7])),
    "pin": case(two(0.5), lambda engine: engine.pin(MODULE, [1, 2, 3, 4, 5, 6], 2)),
    "unpin": case(
        then(two(0.5), lambda engine: engine.pin(MODULE, [1, 2, 3, 4, 5, 6, 7, 8], 2)),
        lambda engine: engine.unpin(MODULE, [1, 2, 3, 4]),
    ),
    "pin by a rule": case(two(0.5), lambda engine: engine.pin_where(MODULE, "x > 3 or tag == 1", 2)),
    "lift a rule": case(then(two(0.5), ruled), lambda engine: engine.unpin_rule(MODULE, 1)),
    "spawn under rules": case(then(two(0.5), ruled), lambda engine: engine.spawn(MODULE, x=np.arange(10.0))),
    "roll back under rules": case(then(two(0.5), ruled), lambda engine: engine.rollback(MODULE, 1)),
    "tick under rules": case(then(two(0.5), ruled), lambda engine: engine.tick(1.5)),
    "tick": case(two(0.5), lambda engine: engine.tick(0.5)),
    "tick with a fault": case(then(two(0.5), faulty("raise")), lambda engine: engine.tick(0.5)),
    "tick with a death": case(then(two(0.5), killed), lambda engine: engine.tick(0.5)),
    "tick by a step that breaks": case(then(two(0.5), breaking), lambda engine: engine.step(dt=0.5)),
    "pause a module": case(two(0.5), lambda engine: engine.pause(MODULE)),
    "resume a module": case(then(two(0.5), lambda engine: engine.pause(MODULE)), lambda engine: engine.resume(MODULE)),
    "tick with a restart": case(then(one, faulty("raise", 1)), lambda engine: engine.tick(0.5)),
    "tick that collects": case(collectable, lambda engine: engine.tick(0.5), {"1.0.0": V1, "2.0.0": V2, "3.0.0": V1}),
    "entities": case(two(0.5), lambda engine: engine.entities(MODULE)),
}


def shown(engine: DebugEngine) -> dict[str, Any]:
    """Return what must be wholly as before, or wholly as after: all but who runs it and what is told of it."""
    if not engine.is_version_loaded(MODULE, ">=0"):
        return {}
    versions = engine.get_loaded_versions(MODULE)
    columns = engine.entities(MODULE, version=str(versions[-1]))
    ids = sorted(columns["id"].tolist())
    history = engine.migration_history(MODULE)
    return {
        "stable": engine.stable_version(MODULE),
        "weights": engine.get_traffic_split(MODULE),
        "running": sorted(engine.workers(MODULE)),
        "paused": engine.is_paused(MODULE),
        "pinned": [(told.pinned, told.rule) for told in (engine.explain(MODULE, each) for each in ids)],
        "rules": [(each.number, each.rule, each.version, each.entities) for each in engine.pin_rules(MODULE)],
        "history": [(each.from_version, each.to_version, each.entities, each.number) for each in history],
        "versions": dict(zip(ids, engine.locate(MODULE, ids), strict=True)),
        "values": rows_by_id(columns),
    }
