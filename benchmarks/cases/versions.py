"""What versions do with their columns, measured by their workers: an engine's own work is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec

import numpy as np

from benchmarks.figures import Series, Taken, Unit, Who, taken
from benchmarks.measuring import clocked, sample
from benchmarks.plan import GAMELOGIC, Plan, good_tick, open_engine, population
from benchmarks.rivals.by_hand import Memcpy
from grove_core import DebugEngine

TRAFFIC = 24
"""Bytes of memory traffic that gamelogic 1 needs an entity: x and y read and written, vx and vy read."""


class ProcessTime:
    """A round that ticks, and tells how long the version's `process` took, by its worker's clock."""

    def __init__(self, engine: DebugEngine, major: int, series: Series) -> None:
        self._engine = engine
        self._major = major
        self._series = series
        self._before = self._total()

    def __call__(self) -> Mapping[Series, float]:
        """Tick."""
        good_tick(self._engine)
        before, self._before = self._before, self._total()
        return {self._series: self._before - before}

    def _total(self) -> float:
        metrics = self._engine.get_version_metrics(GAMELOGIC, self._major)
        return metrics.ticks * (metrics.avg_process_time_ms or 0.0)


def v1_bandwidth(plan: Plan, entities: int) -> Iterator[Taken]:
    """How near gamelogic 1 comes to memcpy of as much traffic; every byte counts that is read or written."""
    ours, memcpy = Series("v1 process"), Series("v1 process", Who.MEMCPY)
    with open_engine() as engine:
        engine.load_module_version(GAMELOGIC, 1)
        engine.spawn(GAMELOGIC, **population(entities))
        samples = sample(plan.box, ProcessTime(engine, 1, ours), clocked(memcpy, Memcpy(TRAFFIC // 2 * entities)))
    yield from taken(samples, entities)
    bandwidth = 100 * np.median(samples[memcpy]) / samples[ours]
    yield Taken(Series("v1 bandwidth"), entities, Unit.PERCENT, bandwidth)


def v3_process(plan: Plan, entities: int) -> Iterator[Taken]:
    """gamelogic 3 with its pair search, all over the field: by numpy, and by numba where it is installed."""
    for pairs in ("numpy", "numba"):
        if find_spec(pairs) is not None:
            with open_engine() as engine:
                engine.load_module_version(GAMELOGIC, 3, config={"pairs": pairs})
                engine.spawn(GAMELOGIC, **population(entities))
                samples = sample(plan.box, ProcessTime(engine, 3, Series(f"v3 process, {pairs}")))
            yield from taken(samples, entities)
