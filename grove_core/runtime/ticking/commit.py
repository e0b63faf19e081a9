"""From a worker's reply to the module's state: what is validated, and what is done once it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, ID_DTYPE, Columns, Schema
from grove_core.base.errors import GroveError
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.runtime.orders.asks import Ask, Problem
from grove_core.runtime.rows.mending import mend
from grove_core.runtime.rows.moves import settle
from grove_core.runtime.rows.split import despawn, spawn
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.index import refuse_alive
from grove_core.runtime.state.validators import refusal
from grove_core.runtime.ticking.values import Told, read
from grove_core.wire.messages import Spawned, Ticked


@dataclass(frozen=True)
class Effects:
    """What a reply asks for besides its columns, read and checked."""

    failed: NDArray[np.int64]
    """Rows that the version says failed."""
    reasons: tuple[str, ...]
    despawned: NDArray[np.int64]
    """Ids."""
    born: tuple[tuple[int, Columns, NDArray[np.int64] | None], ...]
    observed: tuple[Told, ...] = ()
    """Nothing of those that failed."""


NOTHING = Effects(np.empty(0, np.int64), (), np.empty(0, np.int64), ())


def validate(
    context: Context, order: Ask, number: int, dt: float, claimed: list[NDArray[np.int64]]
) -> Effects | Problem:
    """Check a reply and the columns that were written; nothing is changed.

    Args:
        context: the engine's parts, its validators among them.
        order: what was asked, and the reply.
        number: the tick.
        dt: its seconds.
        claimed: ids for newborn of this module that replies before this one chose; this one's are added.
    """
    reply, loaded = order.reply, order.loaded
    if order.problem is not None or reply is None:
        return order.problem or Problem(FaultKind.WRONG_REPLY, "it gave no reply")
    if problem := misplaced(order, reply, number):
        return problem
    effects = NOTHING
    if reply.failed or reply.despawned or reply.spawned or reply.observed:
        try:
            effects = _effects(order, reply, claimed)
        except (GroveError, ValueError) as error:
            return Problem(FaultKind.WRONG_REPLY, f"its reply does not fit: {error}")
    for spec in loaded.schema.specs:
        if spec.constant:
            continue
        values = loaded.table.rows(spec.name, order.start, order.stop)
        broken = spec.column.broken_rule(values)
        if broken and len(effects.failed):
            kept = np.ones(len(values), np.bool_)
            kept[effects.failed - order.start] = False
            broken = spec.column.broken_rule(values[kept])
        if broken:
            return Problem(FaultKind.RULE, f"its column {spec.name} {broken}")
    if context.validators and (sentence := refusal(context, order, number, dt, effects.failed)):
        return Problem(FaultKind.RULE, sentence)
    return effects


def misplaced(order: Ask, reply: Ticked, number: int) -> Problem | None:
    """Return what is wrong with a reply that is not the one to this order, or says nonsense of it."""
    if reply.number != number or not (math.isfinite(reply.ms) and reply.ms >= 0):
        return Problem(FaultKind.WRONG_REPLY, f"it answered tick {reply.number} in {reply.ms} ms, in tick {number}")
    if reply.order != order.order:
        return Problem(FaultKind.WRONG_REPLY, f"it answered its order {reply.order} where {order.order} was due")
    return None


def apply(context: Context, order: Ask, effects: Effects, tick: int) -> int:
    """Commit a reply: count it, restore what failed. Return how many entities had their tick."""
    loaded, reply, state = order.loaded, order.reply, order.state
    assert reply is not None
    failed = len(effects.failed)
    if failed:
        mend(context, state, loaded, effects.failed, tick)
        loaded.generations.of(tick).restore_rows(loaded.table, effects.failed)
        context.emit(
            EventKind.ENTITIES_FAILED,
            state.name,
            loaded.version,
            entities=failed,
            reasons=sorted(set(effects.reasons))[:10],
        )
    loaded.meter.count(reply.ms, order.stop - order.start, loaded.table[ID][effects.failed], tick)
    if state.watch is not None:
        state.watch.count(loaded, order.start, order.stop, effects.failed)
        for told in effects.observed:
            if told.rows is not None:
                state.watch.observe(loaded, told.name, told.values, told.rows)
    loaded.restarts = 0
    if reply.document is not None:  # now: it may be restarted within this tick, and goes on from it
        loaded.document = reply.document
    return order.stop - order.start - failed


def count_observed(order: Ask, effects: Effects) -> None:
    """Count what a version observed, once its tick can no more be taken back."""
    for told in effects.observed:
        order.loaded.meter.observe(told.name, told.values)


def end_and_bear(context: Context, order: Ask, effects: Effects) -> None:
    """Carry out what a version asked for. Newborn for whom there is no place are reported, not lost in silence."""
    state, loaded = order.state, order.loaded
    if len(effects.despawned):
        despawn(state, effects.despawned)
    for count, columns, ids in effects.born:
        try:
            spawn(state, loaded, columns, count, ids)
        except (GroveError, MemoryError) as error:
            if settle(state):  # it struck while they were being published: they are born
                continue
            loaded.meter.errors += count
            context.emit(
                EventKind.ENTITIES_FAILED,
                state.name,
                loaded.version,
                entities=count,
                reasons=[f"newborn were refused: {error}"],
            )


def _effects(order: Ask, reply: Ticked, claimed: list[NDArray[np.int64]]) -> Effects:
    """Read what a reply asks for.

    Raises:
        GroveError, ValueError: ids that are not its own or live already, columns that do not fit.
    """
    loaded = order.loaded
    failed = [_own_rows(order, one.ids, "failed") for one in reply.failed]
    ended = [np.frombuffer(ids, ID_DTYPE) for ids in reply.despawned]
    for ids in reply.despawned:
        _own_rows(order, ids, "despawned")
    born = tuple(_born(loaded.schema, one) for one in reply.spawned)
    given = [ids for _, _, ids in born if ids is not None]
    if given:
        refuse_alive(order.state, np.concatenate([*claimed, *given]))
        claimed.extend(given)
    broken = np.unique(np.concatenate(failed)) if failed else NOTHING.failed
    return Effects(
        broken,
        tuple(one.reason[:200] for one in reply.failed),
        np.unique(np.concatenate(ended)) if ended else NOTHING.despawned,
        born,
        read(order, reply, broken) if reply.observed else (),
    )


def _own_rows(order: Ask, raw: bytes, verb: str) -> NDArray[np.int64]:
    ids = np.frombuffer(raw, ID_DTYPE)
    rows = rows_of(order.loaded.table, np.unique(ids))
    if ((rows < order.start) | (rows >= order.stop)).any():
        raise ValueError(f"it {verb} ids that were not among its entities")
    return rows


def _born(schema: Schema, one: Spawned) -> tuple[int, Columns, NDArray[np.int64] | None]:
    if one.count < 0:  # a schema without columns has no lengths to hold it against
        raise ValueError(f"it asks for {one.count} newborn")
    if one.columns.keys() != set(schema.names):
        raise ValueError("newborn lack columns, or have some that the schema lacks")
    columns = {name: np.frombuffer(raw, schema[name].dtype) for name, raw in one.columns.items()}
    ids = None if one.ids is None else np.frombuffer(one.ids, ID_DTYPE)
    if any(len(values) != one.count for values in columns.values()) or (ids is not None and len(ids) != one.count):
        raise ValueError(f"newborn columns do not have {one.count} rows")
    _, conformed = schema.conform(columns, one.count)
    return one.count, conformed, ids
