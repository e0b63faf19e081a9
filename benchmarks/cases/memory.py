"""What an unload gives back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from benchmarks.figures import Series, Taken, Unit, taken
from benchmarks.measuring import sample
from benchmarks.plan import GAMELOGIC, SPARE_SECONDS, Plan, good_tick, open_engine, population
from grove_core import DebugEngine


def returned(plan: Plan, entities: int) -> Iterator[Taken]:
    """Of what version 2 had (its process's private bytes, and its tables) after it had had all entities."""
    with open_engine() as engine:
        engine.load_module_version(GAMELOGIC, 1)
        ids = engine.spawn(GAMELOGIC, **population(entities))
        engine.pin(GAMELOGIC, ids[:1], 1)  # so that the others are copied, and no table changes hands
        samples = sample(plan.long_box, lambda: _come_and_go(engine))
    yield from taken(samples, entities, Unit.PERCENT)


def _come_and_go(engine: DebugEngine) -> Mapping[Series, float]:
    """Give all entities but the pinned one to version 2, take them away, and unload it.

    Raises:
        RuntimeError: the system does not tell.
    """
    engine.load_module_version(GAMELOGIC, 2)
    for major in (2, 1):
        engine.set_traffic_split(GAMELOGIC, {major: 1.0})
        good_tick(engine)
        good_tick(engine)
    time.sleep(SPARE_SECONDS)  # a spare that is being forked just now would count
    report = engine.unload_module_version(GAMELOGIC, 2)
    if report.had.private is None or report.returned_bytes is None:
        raise RuntimeError("/proc does not tell how much memory the processes have")
    return {Series("memory returned"): 100 * report.returned_bytes / (report.had.private + report.had.tables)}
