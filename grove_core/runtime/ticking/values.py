"""Observed values on their way into the totals: from a version's reply, or from the program."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grove_core.author.schema import ID_DTYPE
from grove_core.base.errors import GroveError, InvalidInput
from grove_core.base.interrupts import put_off
from grove_core.base.values import MOST, NAMES, read_name, read_values, refuse_wrong
from grove_core.memory.table import Rows
from grove_core.runtime.orders.asks import Ask
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.meter import Meter
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.wire.messages import Observation, Ticked

FLOAT = np.dtype("<f8")


@dataclass(frozen=True)
class Told:
    """Values of one name that were observed of one version."""

    name: str
    values: NDArray[np.float64]
    rows: Rows | None
    """Whose they are, a row for each value; None where they are the version's as a whole."""


def read(order: Ask, reply: Ticked, failed: NDArray[np.int64]) -> tuple[Told, ...]:
    """Read what a reply says was observed; entities of these rows, which failed, are left out.

    Raises:
        GroveError, ValueError: names or values that cannot be, ids that are not its own.
    """
    if len(reply.observed) > 2 * NAMES or sum(len(one.values) for one in reply.observed) > MOST * FLOAT.itemsize:
        raise ValueError(f"it observed more than {MOST} values, or of more than {NAMES} names")
    refuse_more(order.loaded.meter, {read_name(one.name) for one in reply.observed})
    kept = np.ones(order.stop - order.start, np.bool_)
    kept[failed - order.start] = False
    return tuple(_kept(_read(order, one), order.start, kept) for one in reply.observed)


def refuse_more(meter: Meter, names: set[str]) -> None:
    """Refuse to count more names of one version than is promised.

    Raises:
        InvalidInput: with these there would be.
    """
    if len(names | meter.observed.keys()) > NAMES:
        raise InvalidInput(f"values of more than {NAMES} names were observed of it, {min(names)} among them")


def observe(state: ModuleState, name: str, values: ArrayLike, ids: NDArray[np.int64]) -> int:
    """Count values that the program observed, each for the version that its entity is in now.

    Returns:
        How many were counted: those of entities that are not alive are left out.

    Raises:
        InvalidInput: nothing was counted.
    """
    name = read_name(name)
    given = read_values(name, values, len(ids))
    unique, inverse = np.unique(ids, return_inverse=True)
    parts: list[tuple[LoadedVersion, Told]] = []
    for loaded in state.ordered:
        rows = rows_of(loaded.table, unique)[inverse]
        here = np.flatnonzero(rows >= 0)
        if len(here):
            try:
                refuse_more(loaded.meter, {name})
            except GroveError as error:
                raise InvalidInput(error.message, module=state.name, version=loaded.version) from None
            parts.append((loaded, Told(name, given[here], rows[here])))
    with put_off():
        for loaded, told in parts:
            loaded.meter.observe(name, told.values)
            if state.watch is not None and told.rows is not None:
                state.watch.observe(loaded, name, told.values, told.rows)
    return sum(len(told.values) for _, told in parts)


def _read(order: Ask, one: Observation) -> Told:
    values = np.frombuffer(one.values, FLOAT)
    refuse_wrong(one.name, values)
    if one.ids is None:
        rows: Rows | None = slice(order.start, order.stop)
        count = order.stop - order.start
    elif not one.ids:
        rows, count = None, len(values)
    else:
        unique, inverse = np.unique(np.frombuffer(one.ids, ID_DTYPE), return_inverse=True)
        found = rows_of(order.loaded.table, unique)
        if ((found < order.start) | (found >= order.stop)).any():
            raise ValueError(f"it observed {one.name} of ids that were not among its entities")
        rows, count = found[inverse], len(inverse)
    if len(values) != count:
        raise ValueError(f"it observed {len(values)} values of {one.name} for {count} entities")
    return Told(one.name, values, rows)


def _kept(told: Told, start: int, kept: NDArray[np.bool_]) -> Told:
    """Leave out the values of rows that are not kept."""
    if told.rows is None or kept.all():
        return told
    if isinstance(told.rows, slice):
        return replace(told, values=told.values[kept], rows=np.flatnonzero(kept) + start)
    chosen = kept[told.rows - start]
    return replace(told, values=told.values[chosen], rows=told.rows[chosen])
