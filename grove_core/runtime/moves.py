"""The only code that changes which version an entity belongs to; all of it or nothing.

Rows are first written behind the live ones of their new table, where nobody sees them. Then an intent is
noted, and published: holes are filled, counts are set. Before the intent nothing has happened; after it
everything will, also if the engine was interrupted in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID
from grove_core.base.records import MigrationRecord, MoveCause
from grove_core.migration.plan import Hop
from grove_core.migration.rows import Batch, Carried, CarriedValues, migrate
from grove_core.parts.contracts import NEW
from grove_core.runtime.state import ARRIVAL, ORIGIN, PINNED, Intent, LoadedVersion, ModuleState


@dataclass(frozen=True)
class Newcomers:
    """Rows that join a version: ids and engine columns, whole or one value for all."""

    ids: NDArray[np.int64]
    batch: Batch
    arrival: int | NDArray[np.int64] = 0
    origin: int | NDArray[np.int32] = NEW
    pinned: bool | NDArray[np.bool_] = False


class Transaction:
    """Row changes of one module that are made together, or not at all."""

    def __init__(self, state: ModuleState) -> None:
        self._state = state
        self._appended: dict[Version, int] = {}
        self._removed: dict[Version, list[NDArray[np.int64]]] = {}

    def bring_in(self, target: LoadedVersion, rows: Newcomers) -> tuple[int, int]:
        """Write rows behind the live ones of `target`; return their range of rows.

        Raises:
            OutOfMemory: there is no room for them.
        """
        table = target.table
        start = table.count + self._appended.get(target.version, 0)
        stop = start + len(rows.ids)
        table.reserve(stop)
        _write(target, rows, start, stop)
        self._appended[target.version] = stop - table.count
        return start, stop

    def take_out(self, source: LoadedVersion, rows: NDArray[np.int64]) -> None:
        """Note that these rows leave `source`."""
        self._removed.setdefault(source.version, []).append(rows)

    def commit(self) -> None:
        """Note the intent, and publish it."""
        versions = self._appended.keys() | self._removed.keys()
        tables = {version: self._state.versions[version].table for version in versions}
        self._state.intent = Intent(
            {version: table.count + self._appended.get(version, 0) for version, table in tables.items()},
            {version: np.concatenate(rows) for version, rows in self._removed.items()},
        )
        settle(self._state)


def settle(state: ModuleState) -> bool:
    """Publish the intent that is noted, if there is one, from its beginning; tell whether there was."""
    intent = state.intent
    if intent is None:
        return False
    none = np.empty(0, np.int64)
    for version, total in intent.totals.items():
        table = state.versions[version].table
        table.count = table.fill_holes(intent.removed.get(version, none), total)
        table.layout += 1
    state.intent = None
    return True


def extract(source: LoadedVersion, rows: NDArray[np.int64]) -> Batch:
    """Copy rows out of a table."""
    table, chosen = source.table, _run(rows)
    return Batch(
        len(rows),
        {name: table[name][chosen].copy() for name in source.schema.names},
        {
            carried: CarriedValues(
                table[value][chosen].copy(),
                table[valid][chosen].copy(),
                None if image is None else table[image][chosen].copy(),
            )
            for carried, (value, valid, image) in source.carried.items()
        },
    )


def move(
    transaction: Transaction,
    state: ModuleState,
    source: LoadedVersion,
    rows: NDArray[np.int64],
    target: LoadedVersion,
    *,
    pinned: bool | None = None,
) -> tuple[tuple[int, int], tuple[Hop, ...]]:
    """Have rows leave `source` for `target`, through the lenses between them; a rollback drops their pins.

    Args:
        pinned: what they are afterwards; None keeps what they were.

    Returns:
        Their rows in the target, and the way they went.

    Raises:
        NoLensPath, LensError, OutOfMemory: nothing has happened.
    """
    hops = state.graph.path(source.version, target.version)
    chosen = _run(rows)
    placed = transaction.bring_in(
        target,
        Newcomers(
            source.table[ID][chosen],
            migrate(extract(source, rows), hops),
            state.split_number,
            state.code(source.version),
            source.table[PINNED][chosen] if pinned is None else pinned,
        ),
    )
    transaction.take_out(source, rows)
    return placed, hops


def record(
    state: ModuleState,
    source: Version,
    hops: Iterable[Hop],
    entities: int,
    cause: MoveCause,
    at: float,
    began: float,
) -> MigrationRecord:
    """Write a migration into the module's history. `began` is the monotonic time it began at."""
    path = (source, *(hop.target.version for hop in hops))
    migration = MigrationRecord(
        state.name, source, path[-1], at, cause, entities, path, (time.perf_counter() - began) * 1000
    )
    state.history.append(migration)
    return migration


def _run(rows: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """Take a slice where rows stand in one run: a copy of a slice is many times faster than a gather."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _write(target: LoadedVersion, rows: Newcomers, start: int, stop: int) -> None:
    """Fill every column of the table, so that no row shows what lay there before."""
    table, batch = target.table, rows.batch
    for carried, values in batch.carried.items():
        if carried not in target.carried:
            _add_slots(target, carried, values)
    table.rows(ID, start, stop)[...] = rows.ids
    table.rows(ARRIVAL, start, stop)[...] = rows.arrival
    table.rows(ORIGIN, start, stop)[...] = rows.origin
    table.rows(PINNED, start, stop)[...] = rows.pinned
    for name in target.schema.names:
        table.rows(name, start, stop)[...] = batch.columns[name]
    for carried, (value, valid, image) in target.carried.items():
        here = batch.carried.get(carried)
        table.rows(valid, start, stop)[...] = False if here is None else here.valid
        if here is not None:
            table.rows(value, start, stop)[...] = here.value
            if image is not None and here.image is not None:
                table.rows(image, start, stop)[...] = here.image


def _add_slots(target: LoadedVersion, carried: Carried, values: CarriedValues) -> None:
    """Make room for what a table did not carry so far; the rows that are there do not have it."""
    value, valid, image = carried.key, f"{carried.key}?", None
    columns = {value: values.value.dtype, valid: values.valid.dtype}
    if values.image is not None:
        image = f"{carried.key}="
        columns[image] = values.image.dtype
    target.table.add(columns)
    target.carried[carried] = (value, valid, image)
