"""Every case, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.cases import growth, loading, memory, moves, pacing, pins, recovery, routing, services, ticks, versions
from benchmarks.figures import Taken
from benchmarks.plan import Plan

Sizes = Callable[[Plan], tuple[int, ...]]


def each(plan: Plan) -> tuple[int, ...]:
    """Every population."""
    return plan.sizes


def once(plan: Plan) -> tuple[int, ...]:
    """Their number does not matter."""
    return (0,)


def up_to(entities: int) -> Sizes:
    """One population: the largest, but not more than `entities`."""
    return lambda plan: (min(entities, plan.sizes[-1]),)


@dataclass(frozen=True)
class Case:
    """What is measured under one name, and at which populations."""

    name: str
    measure: Callable[[Plan, int], Iterator[Taken]]
    sizes: Sizes = each


CASES = (
    Case("ready", loading.ready, once),
    Case("tick", ticks.tick),
    Case("noop-constant", ticks.noop_constant),
    Case("noop-mutable", ticks.noop_mutable),
    Case("checkpoint", ticks.checkpoint),
    Case("guarded", ticks.guarded),
    Case("pins", pins.ruled, up_to(100_000)),
    Case("service", services.call, up_to(100_000)),
    Case("move", moves.move),
    Case("move-scattered", moves.move_scattered),
    Case("migrate-adopted", moves.migrate_adopted),
    Case("migrate-copied", moves.migrate_copied),
    Case("kill", recovery.kill),
    Case("memory", memory.returned, up_to(1_000_000)),
    Case("v1", versions.v1_bandwidth),
    Case("v3", versions.v3_process, up_to(100_000)),
    Case("quota", routing.quota),
    Case("paced", pacing.paced),
    Case("versions", growth.versions, up_to(10_000)),
    Case("columns", growth.columns, up_to(100_000)),
)
