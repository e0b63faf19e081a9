"""Running what authors wrote for a migration, over scratch columns that the engine laid out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grove_core.author.lens import Lens, Map
from grove_core.author.schema import Column, Columns, ColumnSpec, Schema
from grove_core.base.errors import InvalidColumns, LensError
from grove_core.wire.messages import Given, RunMap, Scratch
from grove_core.worker.views import map_columns


def run_map(lenses: Sequence[Lens], order: RunMap, writable: int, read_only: int) -> Given:
    """Run one function of a Map of this version.

    Raises:
        LensError: there is no such function, or it does not return its columns, each once.
        InvalidColumns: a column has another length, or values that its dtype cannot hold.
    """
    step = lenses[order.lens].steps[order.step]
    if not isinstance(step, Map):
        raise LensError(f"step {order.step} of lens {order.lens} is no Map")
    return run_over(lambda takes: step.run(order.direction, takes), order.scratch, writable, read_only)


def run_over(call: Callable[[Columns], Mapping[str, Any]], scratch: Scratch, writable: int, read_only: int) -> Given:
    """Give a function its columns, check what it returns, and write that where the engine looks for it.

    Raises:
        InvalidColumns: unknown names, other lengths, or values that a dtype cannot hold.
    """
    takes, gives = (map_columns(slots, writable, read_only) for slots in (scratch.takes, scratch.gives))
    start = time.perf_counter()
    given = call({name: column[: scratch.rows] for name, column in takes.items()})
    ms = (time.perf_counter() - start) * 1000
    for name, values in given.items():
        if np.ndim(values) and len(values) != scratch.rows:
            raise InvalidColumns(f"column {name!r} has {len(values)} values for {scratch.rows} rows")
    # Here only what the dtypes can hold is checked: the rules of the columns are the engine's to judge.
    schema = Schema.of([ColumnSpec(slot.name, Column(slot.dtype, nan=True)) for slot in scratch.gives])
    _, columns = schema.conform(given, scratch.rows)
    for name in given:
        np.copyto(gives[name][: scratch.rows], columns[name])
    return Given(tuple(given), ms)
