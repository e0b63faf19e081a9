"""Ticks as a game has them: 60 a second, with sleep in between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from benchmarks.figures import Series, Taken, taken
from benchmarks.measuring import clocked, sample
from benchmarks.plan import DT, GAMELOGIC, Plan, Weights, good_tick, open_engine, population
from grove_core import DebugEngine

LOADED: Weights = {1: 0.6, 2: 0.3, 3: 0.1}


class Paced:
    """A round that sleeps until its frame begins, and ticks. Frames that were missed are left out."""

    def __init__(self, engine: DebugEngine) -> None:
        self._engine = engine
        self._next = time.perf_counter()

    def __call__(self) -> Mapping[Series, float]:
        """Wait, and tick."""
        missed = max(0.0, time.perf_counter() - self._next) // DT
        self._next += DT * (1 + missed)
        time.sleep(max(0.0, self._next - time.perf_counter()))
        began = time.perf_counter()
        good_tick(self._engine)
        ended = time.perf_counter()
        return {
            Series("three versions, at 60 Hz"): (ended - began) * 1000,
            Series("three versions, at 60 Hz: late"): max(0.0, began - self._next) * 1000,
        }


def paced(plan: Plan, entities: int) -> Iterator[Taken]:
    """All three versions of gamelogic; first back to back, then paced."""
    with open_engine() as engine:
        for major in LOADED:
            engine.load_module_version(GAMELOGIC, major)
        engine.spawn(GAMELOGIC, **population(entities))
        engine.set_traffic_split(GAMELOGIC, LOADED)
        back_to_back = clocked(Series("three versions, back to back"), lambda: good_tick(engine))
        samples = sample(replace(plan.box, seconds=plan.box.seconds / 2), back_to_back)
        samples |= sample(replace(plan.box, seconds=0.0, least=plan.frames), Paced(engine))
    yield from taken(samples, entities)
