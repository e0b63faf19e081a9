"""Entities that change their version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.cases.rivals import rivals
from benchmarks.figures import Series, Taken, Who, taken
from benchmarks.measuring import clocked, sample, together
from benchmarks.plan import GAMELOGIC, MOVED, Plan, Weights, good_tick, open_engine, population
from benchmarks.rivals.by_hand import V2_BYTES, Columns, Memcpy
from benchmarks.rivals.erlang import Work
from grove_core import DebugEngine

SPLIT: Weights = {1: 1 - MOVED, 2: MOVED}
WHOLE: Weights = {1: 1.0}


def move(plan: Plan, entities: int) -> Iterator[Taken]:
    """Split 80 to 20 and back: the same entities go each time, and soon stand together at the table's end."""
    by_hand = Columns(population(entities), MOVED)
    with open_engine() as engine:
        _load_both(engine)
        engine.spawn(GAMELOGIC, **population(entities))
        samples = sample(
            plan.box,
            together(
                clocked(Series("move 20%"), lambda: engine.set_traffic_split(GAMELOGIC, SPLIT)),
                clocked(Series("move 20%, back"), lambda: engine.set_traffic_split(GAMELOGIC, WHOLE)),
            ),
            clocked(Series("move 20%", Who.MEMCPY), Memcpy(int(MOVED * V2_BYTES * entities))),
            clocked(Series("move 20%", Who.NUMPY), by_hand.move, after=by_hand.restore),
        )
        good_tick(engine)
    yield from taken(samples, entities)
    yield from rivals(plan, entities, "move 20%", Work.MOVE)


def move_scattered(plan: Plan, entities: int) -> Iterator[Taken]:
    """The same split, each time of entities that were just born: those that go stand anywhere."""
    columns = population(entities)
    with open_engine() as engine:
        _load_both(engine)
        ids = engine.spawn(GAMELOGIC, **columns)

        def bear_again() -> None:
            engine.set_traffic_split(GAMELOGIC, WHOLE)
            engine.despawn(GAMELOGIC, ids)
            engine.spawn(GAMELOGIC, id=ids, **columns)

        case = Series("move 20%, scattered")
        split = clocked(case, lambda: engine.set_traffic_split(GAMELOGIC, SPLIT), after=bear_again)
        samples = sample(plan.box, split)
        good_tick(engine)
    yield from taken(samples, entities)


def migrate_adopted(plan: Plan, entities: int) -> Iterator[Taken]:
    """Migrate all to a version without rows."""
    with open_engine() as engine:
        _load_both(engine)
        engine.spawn(GAMELOGIC, **population(entities))
        yield from _migrate(plan, entities, engine, "migrate, adopted", partial(engine.migrate_state, GAMELOGIC, 2, 1))


def migrate_copied(plan: Plan, entities: int) -> Iterator[Taken]:
    """Migrate all but one to a version that has this one; it stays there when the others go back."""
    with open_engine() as engine:
        _load_both(engine)
        ids = engine.spawn(GAMELOGIC, **population(entities))
        engine.pin(GAMELOGIC, ids[:1], 2)
        go_back = partial(engine.set_traffic_split, GAMELOGIC, WHOLE)
        yield from _migrate(plan, entities, engine, "migrate, copied", go_back)
    yield from rivals(plan, entities, "migrate, copied", Work.MIGRATE)


def _migrate(
    plan: Plan, entities: int, engine: DebugEngine, case: str, go_back: Callable[[], object]
) -> Iterator[Taken]:
    """Migrate 1 to 2, and tick; the tick is measured too, so that nothing can hide in it. Then go back, and tick."""
    by_hand = Columns(population(entities), 0)

    def undo() -> None:
        go_back()
        good_tick(engine)

    samples = sample(
        plan.box,
        together(
            clocked(Series(case), lambda: engine.migrate_state(GAMELOGIC, 1, 2)),
            clocked(Series(f"{case}: next tick"), lambda: good_tick(engine), after=undo),
        ),
        clocked(Series(case, Who.MEMCPY), Memcpy(V2_BYTES * entities)),
        clocked(Series(case, Who.NUMPY), by_hand.migrate),
    )
    yield from taken(samples, entities)


def _load_both(engine: DebugEngine) -> None:
    for major in (1, 2):
        engine.load_module_version(GAMELOGIC, major)
