"""The only code that changes which version an entity belongs to; all of it or nothing.

Rows are first written behind the live ones of their new table, where nobody sees them, or their memory is laid
out for their new version. Then an intent is noted, and published: holes are filled, counts are set, stores
change hands. Before the intent nothing has happened; after it everything will, also if the engine was
interrupted in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID, Array, Columns
from grove_core.base.interrupts import put_off
from grove_core.base.records import MigrationRecord, MoveCause
from grove_core.memory.copying import copy
from grove_core.memory.table import Rows, length
from grove_core.migration.plan import Absent, Hop, passing
from grove_core.migration.rows import Batch, CarriedValues, migrate
from grove_core.parts.contracts import NEW
from grove_core.runtime.rows.adoption import give_up, has_let_go, let_go, plan
from grove_core.runtime.state.state import Adoption, Intent, LoadedVersion, ModuleState, Replacement, nothing_more
from grove_core.runtime.state.store import ARRIVAL, FAILED, FREE, ORIGIN, PINNED, CarriedNames, Store


@dataclass(frozen=True)
class Newcomers:
    """Rows that join a version: ids and engine columns, whole or one value for all."""

    ids: NDArray[np.int64]
    batch: Batch
    arrival: int | NDArray[np.int64] = 0
    origin: int | NDArray[np.int32] = NEW
    pinned: int | NDArray[np.uint8] = FREE
    failed: int | NDArray[np.uint8] = 0


class Transaction:
    """Row changes of one module that are made together, or not at all."""

    def __init__(self, state: ModuleState) -> None:
        self._state = state
        self._appended: dict[Version, int] = {}
        self._removed: dict[Version, list[Rows]] = {}
        self._adoptions: list[Adoption] = []
        self._replacements: list[Replacement] = []
        self._stores: dict[Version, Store] = {}
        """The stores that versions have once adoptions and replacements are published."""
        self._noted: Intent | None = None
        self.then: Callable[[], None] = nothing_more
        """See `Intent.then`; to be set before the end of the block."""

    def store(self, loaded: LoadedVersion) -> Store:
        """Return the store that a version has after what was noted so far."""
        return self._stores.get(loaded.version, loaded.store)

    def make_room(self, target: LoadedVersion, rows: int) -> tuple[int, int]:
        """Make room behind the live rows of `target`; return the range of rows.

        Raises:
            OutOfMemory: there is no room.
        """
        table = self.store(target).table
        start = table.count + self._appended.get(target.version, 0)
        table.reserve(start + rows)
        self._appended[target.version] = start + rows - table.count
        return start, start + rows

    def bring_in(self, target: LoadedVersion, rows: Newcomers) -> tuple[int, int]:
        """Write rows behind the live ones of `target`; return their range of rows.

        Raises:
            OutOfMemory: there is no room for them.
        """
        start, stop = self.make_room(target, len(rows.ids))
        _write(self.store(target), rows, start, stop)
        return start, stop

    def take_out(self, source: LoadedVersion, rows: Rows) -> None:
        """Note that these rows leave `source`."""
        self._removed.setdefault(source.version, []).append(rows)

    def can_adopt(self, source: LoadedVersion, rows: Rows, target: LoadedVersion) -> bool:
        """Tell whether these are all rows of `source`, and `target` has none, now and after what was noted."""
        return (
            length(rows) == source.count
            and not target.count
            and not (
                {source.version, target.version} & (self._appended.keys() | self._removed.keys() | self._stores.keys())
            )
        )

    def adopt(self, adoption: Adoption) -> None:
        """Note that one version takes over all rows of another."""
        self._adoptions.append(adoption)
        self._stores[adoption.source] = adoption.left
        self._stores[adoption.target] = adoption.given

    def adopt_not(self, adoption: Adoption) -> None:
        """Forget an adoption, and give back the memory that was laid out for it."""
        self._adoptions.remove(adoption)
        del self._stores[adoption.source], self._stores[adoption.target]
        give_up(adoption, self._state.versions[adoption.source].store)

    def write_anew(self, loaded: LoadedVersion) -> None:
        """Note that a version goes on with an empty store: what it is to have has to be brought in from here on.

        So rows that get other values never need room beside what they were, and no worker maps where they are written.
        """
        given = loaded.store.empty(loaded.schema)
        self._replacements.append(Replacement(loaded.version, given, loaded.store))
        self._stores[loaded.version] = given

    def commit(self) -> None:
        """Note the intent, and publish it."""
        stores = {
            version: self.store(self._state.versions[version])
            for version in self._appended.keys() | self._removed.keys()
        }
        self._noted = self._state.intent = Intent(
            {version: store.table.count + self._appended.get(version, 0) for version, store in stores.items()},
            {version: tuple(rows) for version, rows in self._removed.items()},
            tuple(self._adoptions),
            tuple(self._replacements),
            self.then,
        )
        settle(self._state)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit; or, if anything was raised, give back the memory that was laid out. Nothing else has happened."""
        if error is not None:
            self._give_up()
            return
        try:
            self.commit()
        except BaseException:
            if self._noted is None:
                self._give_up()
            raise

    def _give_up(self) -> None:
        for adoption in self._adoptions:
            give_up(adoption, self._state.versions[adoption.source].store)
        for replacement in self._replacements:
            replacement.given.close()


def settle(state: ModuleState) -> bool:
    """Publish the intent that is noted, if there is one, from its beginning; tell whether there was."""
    intent = state.intent
    if intent is None:
        return False
    for adoption in intent.adoptions:
        _hand_over(state, adoption)
    for replacement in intent.replacements:
        state.versions[replacement.version].store = replacement.given
        replacement.obsolete.close()
    for version, total in intent.totals.items():
        table = state.versions[version].table
        table.count = table.fill_holes(intent.removed.get(version, ()), total)
        table.layout += 1
    # The rows have their places: to publish them twice would do harm once other versions have been ended.
    state.intent = Intent({}, {}, (), (), intent.then)
    intent.then()
    state.intent = None
    return True


def extract(source: LoadedVersion, rows: Rows) -> Batch:
    """Copy rows out of a table."""
    return _lift(source.store, source.schema.names, rows, {})


def move(
    transaction: Transaction,
    state: ModuleState,
    source: LoadedVersion,
    rows: Rows,
    target: LoadedVersion,
    *,
    way: tuple[Hop, ...] | None = None,
    pinned: int | None = None,
) -> tuple[tuple[int, int], tuple[Hop, ...]]:
    """Have rows leave `source` for `target`, through the lenses between them; a rollback drops their pins.

    All rows of a version go to an empty one by adoption: nothing that stays as it is is copied. Otherwise a
    run of rows is copied as slices, and scattered rows are gathered, straight into their new table.

    Args:
        transaction: what this becomes part of.
        state: the module.
        source: where they are.
        rows: which; ascending.
        target: where they go.
        way: the hops from `source` to `target`; None for those that the lenses make.
        pinned: what stands in `PINNED` afterwards; None keeps what stood there.

    Returns:
        Their rows in the target, and the way they went.

    Raises:
        NoLensPath, MigrationRefused, LensError, OutOfMemory: nothing has happened.
    """
    hops = state.graph.path(source.version, target.version) if way is None else way
    origin, arrival = state.code(source.version), state.split_number
    if transaction.can_adopt(source, rows, target):
        left = source.store.empty(source.schema)
        let_go(source)  # and while it does, the memory is laid out
        try:
            adoption = plan(source, left, target, hops, state.open_runner, arrival, origin, pinned)
        except BaseException:
            with put_off():
                has_let_go(source, state.waiting)
                left.close()
            raise
        transaction.adopt(adoption)  # which gives it up if anything is raised from here on
        if has_let_go(source, state.waiting):
            return (0, source.count), hops
        transaction.adopt_not(adoption)
    chosen = _run(rows)
    start, stop = transaction.make_room(target, length(rows))
    store = transaction.store(target)
    places = {
        before: store.table.rows(after, start, stop) for after, before in passing(source.schema.names, hops).items()
    }
    batch = migrate(_lift(source.store, source.schema.names, chosen, places), hops, state.open_runner)
    table = source.table
    pins = table[PINNED][chosen] if pinned is None else pinned
    engine = Newcomers(table[ID][chosen], batch, arrival, origin, pins, table[FAILED][chosen])
    _write(store, engine, start, stop, places.values())
    transaction.take_out(source, chosen)
    return (start, stop), hops


@dataclass(frozen=True)
class Moved:
    """Entities that a change takes from one version to another."""

    source: Version
    hops: tuple[Hop, ...]
    entities: int
    straight_to: Version | None = None
    """Where they are, if they went there by no way: with values that were kept."""


def record(state: ModuleState, moves: Sequence[Moved], cause: MoveCause, at: float, began: float) -> None:
    """Write the latest change into the module's history, once. `began` is the monotonic time it began at."""
    if state.history and state.history[-1].number == state.split_number:
        return
    ms = (time.perf_counter() - began) * 1000
    records = []
    for each in moves:
        way = [hop.target.version for hop in each.hops] if each.straight_to is None else [each.straight_to]
        path = (each.source, *way)
        forced = each.entities > 0 and any(joint.there is Absent.FORCED for hop in each.hops for joint in hop.joints)
        records.append(
            MigrationRecord(
                state.name, each.source, path[-1], at, cause, each.entities, path, ms, state.split_number, forced
            )
        )
    state.history.extend(records)


def _hand_over(state: ModuleState, adoption: Adoption) -> None:
    """Publish an adoption; twice is once."""
    table, rows = adoption.given.table, adoption.rows  # by now others may have joined behind these
    if rows:  # else there may be no memory yet, and getting some can fail
        table.rows(ARRIVAL, 0, rows)[...] = adoption.arrival
        table.rows(ORIGIN, 0, rows)[...] = adoption.origin
        if adoption.pinned is not None:
            table.rows(PINNED, 0, rows)[...] = adoption.pinned
    state.versions[adoption.source].store = adoption.left
    state.versions[adoption.target].store = adoption.given
    adoption.given.arena.free(adoption.unused)
    adoption.obsolete.close()


def _run(rows: Rows) -> Rows:
    """Take a slice where ascending rows stand in one run."""
    if isinstance(rows, slice) or not len(rows) or rows[-1] - rows[0] + 1 != len(rows):
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1)


def _lift(store: Store, names: Iterable[str], rows: Rows, places: Columns) -> Batch:
    """Copy rows out of a store; columns that have a place are copied right there."""
    table = store.table

    def copied(name: str) -> Array:
        place = places.get(name)
        if isinstance(rows, slice):
            if place is None:
                return table[name][rows].copy()
            copy(place, table[name][rows])
            return place
        # The rows are within bounds; `clip` spares numpy a buffer and a check of each.
        return table[name].take(rows, out=place, mode="clip")

    columns = {name: copied(name) for name in names}
    carried = {
        one: CarriedValues(
            copied(named.value), copied(named.valid), None if named.image is None else copied(named.image)
        )
        for one, named in store.carried.items()
    }
    return Batch(length(rows), columns, carried)


def _write(store: Store, rows: Newcomers, start: int, stop: int, written: Iterable[Array] = ()) -> None:
    """Fill every column of the table, so that no row shows what lay there before."""
    table, batch = store.table, rows.batch
    there = {id(array) for array in written}
    for carried, values in batch.carried.items():
        if carried not in store.carried:
            names = store.carry(carried, values)
            table.rows(names.valid, table.count, start)[...] = False  # what was brought in before these has none
    copy(table.rows(ID, start, stop), rows.ids)
    table.rows(ARRIVAL, start, stop)[...] = rows.arrival
    table.rows(ORIGIN, start, stop)[...] = rows.origin
    table.rows(PINNED, start, stop)[...] = rows.pinned
    table.rows(FAILED, start, stop)[...] = rows.failed
    for name, column in batch.columns.items():
        if id(column) not in there:
            copy(table.rows(name, start, stop), column)
    for carried, names in store.carried.items():
        _write_carried(store, names, batch.carried.get(carried), start, stop)


def _write_carried(store: Store, names: CarriedNames, values: CarriedValues | None, start: int, stop: int) -> None:
    table = store.table
    if values is None:
        table.rows(names.valid, start, stop)[...] = False
        return
    copy(table.rows(names.valid, start, stop), values.valid)
    copy(table.rows(names.value, start, stop), values.value)
    if names.image is not None and values.image is not None:
        copy(table.rows(names.image, start, stop), values.image)
