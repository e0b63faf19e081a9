"""From SIGKILL to the next good tick, on a version that was not loaded."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping

from benchmarks.cases.rivals import erlang
from benchmarks.figures import Series, Taken, taken
from benchmarks.measuring import sample
from benchmarks.plan import DT, GAMELOGIC, SPARE_SECONDS, Plan, good_tick, open_engine, population
from benchmarks.rivals.erlang import Work
from grove_core import DebugEngine

TICKS = 10


def kill(plan: Plan, entities: int) -> Iterator[Taken]:
    """Version 2 has all entities and is killed; version 1 is loaded, gets them back, and ticks."""
    with open_engine() as engine:
        engine.load_module_version(GAMELOGIC, 1)
        engine.spawn(GAMELOGIC, **population(entities))
        samples = sample(plan.long_box, lambda: _kill(engine))
    yield from taken(samples, entities)
    yield from erlang(plan, entities, "kill", Work.RESTART)
    yield from erlang(plan, entities, "kill: state back", Work.RESTORE)


def _kill(engine: DebugEngine) -> Mapping[Series, float]:
    """Leave version 2 alone with all entities; kill it, and tick until they have had a tick again.

    Raises:
        RuntimeError: they had none, or not all of them.
    """
    engine.load_module_version(GAMELOGIC, 2)
    engine.set_traffic_split(GAMELOGIC, {2: 1.0})
    good_tick(engine)
    engine.unload_module_version(GAMELOGIC, 1)
    for _ in range(3):
        good_tick(engine)
    time.sleep(SPARE_SECONDS)
    (pid,) = engine.workers(GAMELOGIC).values()
    killed = time.perf_counter_ns()
    os.kill(pid, signal.SIGKILL)
    for _ in range(TICKS):
        began = time.perf_counter_ns()
        report = engine.tick(DT)
        ended = time.perf_counter_ns()
        if report.rollbacks:
            break
    else:
        raise RuntimeError(f"{TICKS} ticks after the kill nothing has been rolled back")
    rollback = report.rollbacks[0]
    if report.skipped or rollback.downtime_ms is None:
        raise RuntimeError(f"{report.skipped} entities had no tick after the kill")
    return {
        Series("kill"): (ended - killed) / 1e6,
        Series("kill: its tick"): (ended - began) / 1e6,
        Series("kill: downtime reported"): rollback.downtime_ms,
        Series("kill: state back"): rollback.rollback_ms,
    }
