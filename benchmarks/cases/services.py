"""What it costs to ask another module."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.figures import Series, Taken, Who, taken
from benchmarks.measuring import clocked, sample, together
from benchmarks.packages import write_version
from benchmarks.plan import Plan, good_tick, open_engine
from grove_core import DebugEngine

ASKED = 1000
"""About so many entities at once."""
CASE = "call of a service"

BASE = """
from grove_core import Module, Schema, service

class Main(Module):
    schema = Schema(gold="f8")

    def process(self, dt):
        pass

    @service
    def gold(self, ids):
        return self.entities.gold
"""
CALLER = """
import time
from grove_core import Module, Needs, Schema

class Main(Module):
    schema = Schema(owner="i8", seen="f8", ms="f8")
    asked = Needs("asked")

    def process(self, dt):
        e = self.entities
        began = time.perf_counter()
        e.seen = self.asked.gold(e.owner)
        e.ms = (time.perf_counter() - began) * 1000
"""


def call(plan: Plan, entities: int) -> Iterator[Taken]:
    """Ask about 1,000 of the entities of a module, scattered over two versions of it; by the caller's clock."""
    folder = plan.folder / "services"
    for module, version, source in (("asked", "1.0.0", BASE), ("asked", "2.0.0", BASE), ("asking", "1.0.0", CALLER)):
        write_version(folder, module, version, source)
    random = np.random.default_rng(1)
    ids, gold = np.arange(entities), random.uniform(0, 100, entities)
    owners = random.choice(entities, min(ASKED, entities))
    order, seen = np.argsort(ids), np.empty(len(owners))
    with open_engine() as engine:
        engine.load_module_version("asked", 1, path=str(folder))
        engine.load_module_version("asking", 1, path=str(folder))
        engine.spawn("asked", id=ids, gold=gold)
        engine.spawn("asking", owner=owners)
        one = sample(plan.box, lambda: {Series(f"{CASE}, one version"): _asked(engine)})
        engine.load_module_version("asked", 2, path=str(folder))
        engine.set_traffic_split("asked", {1: 0.9, 2: 0.1})

        def by_hand() -> None:
            seen[:] = gold[order[np.searchsorted(ids, owners, sorter=order)]]

        two = sample(
            plan.box,
            together(
                lambda: {Series(f"{CASE}, two versions"): _asked(engine)},
                clocked(Series(f"{CASE}, two versions", Who.NUMPY), by_hand),
            ),
        )
        found = engine.entities("asking")
        assert (found["seen"] == gold[found["owner"]]).all()
    yield from taken({**one, **two}, entities)


def _asked(engine: DebugEngine) -> float:
    good_tick(engine)
    return float(engine.entities("asking")["ms"][0])
