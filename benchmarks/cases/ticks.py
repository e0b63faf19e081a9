"""Ticks back to back: the work of one version, nothing but the engine's own, and the checkpoint in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cases.rivals import rivals
from benchmarks.figures import Series, Taken, Unit, Who, taken
from benchmarks.measuring import clocked, sample, together
from benchmarks.packages import STATE, STATE_BYTES, WORK, write_versions
from benchmarks.plan import DT, GAMELOGIC, Plan, Weights, good_tick, open_engine, population
from benchmarks.rivals.by_hand import V1_BYTES, Columns, Memcpy
from benchmarks.rivals.erlang import Work
from grove_core import DebugEngine
from grove_core.base.ticks import Stage
from grove_core.parts.settings import Choice

MAJORS = (1, 2, 3)
KEPT = 10
"""How many generations are kept in the case about it."""
THREE: Weights = {1: 0.34, 2: 0.33, 3: 0.33}


def tick(plan: Plan, entities: int) -> Iterator[Taken]:
    """gamelogic 1 moves all entities; memcpy copies all that an entity is."""
    columns = population(entities)
    by_hand = Columns(columns, 0)
    with open_engine() as engine:
        engine.load_module_version(GAMELOGIC, 1)
        engine.spawn(GAMELOGIC, **columns)
        samples = sample(
            plan.box,
            clocked(Series("tick"), lambda: good_tick(engine)),
            clocked(Series("tick", Who.MEMCPY), Memcpy(V1_BYTES * entities)),
            clocked(Series("tick", Who.NUMPY), lambda: by_hand.tick(DT)),
        )
    yield from taken(samples, entities)
    yield from rivals(plan, entities, "tick", Work.TICK)


def noop_constant(plan: Plan, entities: int) -> Iterator[Taken]:
    """Three versions that do nothing, and can change nothing: there is nothing to copy."""
    folder = write_versions(plan.folder / "constant", "still", MAJORS, STATE, constant=STATE)
    with _three(folder, "still", entities) as engine:
        samples = sample(plan.box, lambda: _staged_tick(engine, "noop, all constant"))
    yield from taken(samples, entities)


def noop_mutable(plan: Plan, entities: int) -> Iterator[Taken]:
    """Three versions that do nothing, but could change all: everything is copied before, and checked after."""
    folder = write_versions(plan.folder / "mutable", "idle", MAJORS, STATE)
    copy = Memcpy(STATE_BYTES * entities)
    with _three(folder, "idle", entities) as engine:
        ours = "noop, all mutable"
        samples = sample(plan.box, lambda: _staged_tick(engine, ours), clocked(Series(ours, Who.MEMCPY), copy))
    yield from taken(samples, entities)


def checkpoint(plan: Plan, entities: int) -> Iterator[Taken]:
    """The checkpoint of a version that writes what it has; after each tick, memcpy of the same bytes."""
    folder = write_versions(plan.folder / "work", "worker", (1,), STATE, WORK)
    ours, memcpy = Series("checkpoint"), Series("checkpoint", Who.MEMCPY)
    with open_engine() as engine:
        engine.load_module_version("worker", 1, path=folder)
        engine.spawn("worker", x=np.arange(entities), vx=1.0)
        good_tick(engine)
        copy = Memcpy(STATE_BYTES * entities)
        samples = sample(
            plan.box,
            together(lambda: {ours: good_tick(engine).stages[Stage.CHECKPOINT]}, clocked(memcpy, copy, before=copy)),
        )
    yield from taken(samples, entities)
    ratio = samples[ours] / samples[memcpy]
    yield Taken(Series("checkpoint / memcpy"), entities, Unit.TIMES_MEMCPY, ratio)


def guarded(plan: Plan, entities: int) -> Iterator[Taken]:
    """The same work without, with a validator of every float, and with ten generations kept."""
    folder = write_versions(plan.folder / "guarded", "worker", (1,), STATE, WORK)
    bounds = {name: 1e9 for name, dtype in STATE.items() if dtype == "f4"}
    ways: Mapping[str, Mapping[str, Any]] = {
        "unguarded": {},
        "validated": {"validators": (Choice("bounded_change", {"per_second": bounds}),)},
        "ten kept": {"keep_generations": KEPT},
    }
    memcpy = Series("guarded", Who.MEMCPY)
    copy = Memcpy(STATE_BYTES * entities)
    with contextlib.ExitStack() as stack:
        rounds = []
        for way, chosen in ways.items():
            engine = stack.enter_context(open_engine(**chosen))
            engine.load_module_version("worker", 1, path=folder)
            engine.spawn("worker", x=np.arange(entities), vx=1.0)
            for _ in range(KEPT + 1):  # the ring is full then
                good_tick(engine)
            rounds.append(partial(_staged_tick, engine, way))
        samples = sample(plan.box, together(*rounds, clocked(memcpy, copy, before=copy)))
    whole = {series: each for series, each in samples.items() if series.case in ways or series == memcpy}
    yield from taken(whole, entities)
    for stage, guard in ((Stage.COMMIT, "validated"), (Stage.CHECKPOINT, "ten kept")):
        for way in ("unguarded", guard):
            ratio = samples[Series(f"{way}: {stage}")] / samples[memcpy]
            yield Taken(Series(f"{way}: {stage} / memcpy"), entities, Unit.TIMES_MEMCPY, ratio)


@contextlib.contextmanager
def _three(folder: str, module: str, entities: int) -> Iterator[DebugEngine]:
    """Open an engine in which three versions share the entities."""
    with open_engine() as engine:
        for major in MAJORS:
            engine.load_module_version(module, major, path=folder)
        engine.spawn(module, x=np.arange(entities))
        engine.set_traffic_split(module, THREE)
        yield engine


def _staged_tick(engine: DebugEngine, case: str) -> Mapping[Series, float]:
    """Tick; also tell how long each stage of it took."""
    began = time.perf_counter_ns()
    report = good_tick(engine)
    ms = (time.perf_counter_ns() - began) / 1e6
    return {Series(case): ms, **{Series(f"{case}: {stage}"): each for stage, each in report.stages.items()}}
