"""The figures of those who do the same work outside this process, or without columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmarks.figures import Series, Taken, Unit, Who, taken
from benchmarks.measuring import Round, clocked, sample
from benchmarks.plan import DT, MOVED, Plan, population
from benchmarks.rivals.erlang import Work
from benchmarks.rivals.plain import Dicts, Objects, Plain

PLAIN: Mapping[Who, Callable[..., Plain]] = {Who.OBJECTS: Objects, Who.DICTS: Dicts}


def rivals(plan: Plan, entities: int, case: str, work: Work) -> Iterator[Taken]:
    """Measure plain Python and Erlang, once."""
    if plan.rival_box is None:
        return
    for who, make in PLAIN.items():  # one after the other: many objects slow the collector down for all
        doing = _plain(make(population(entities), MOVED), Series(case, who), work)
        yield from taken(sample(plan.rival_box, doing), entities)
        del doing
    yield from erlang(plan, entities, case, work)


def erlang(plan: Plan, entities: int, case: str, work: Work) -> Iterator[Taken]:
    """Measure Erlang, once, where it is installed."""
    if plan.erlang is not None and plan.rival_box is not None:
        for who, samples in plan.erlang.samples(work, entities, plan.rival_box).items():
            yield Taken(Series(case, who), entities, Unit.MS, samples)


def _plain(world: Plain, series: Series, work: Work) -> Round:
    match work:
        case Work.TICK:
            return clocked(series, lambda: world.tick(DT))
        case Work.MOVE:
            return clocked(series, world.move, after=world.take_back)
        case Work.MIGRATE:
            return clocked(series, world.migrate, after=world.take_back)
        case _:
            raise ValueError(f"plain Python cannot {work}")
