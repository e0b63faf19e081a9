"""Adopting: a version takes over all rows of another by taking over their memory.

What lenses pass on stays where it lies; what they drop or convert becomes carried where it lies; only what is
new is written. The version that gave its rows gets empty memory instead, and its worker has to let go of the
old before anything else may write there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping

import numpy as np

from grove_core.author.schema import ID, Array, Schema
from grove_core.base.errors import WorkerError
from grove_core.base.waiting import Waiting
from grove_core.memory.arena import Slot
from grove_core.memory.generations import UNKNOWN, Generations, Snapshot
from grove_core.memory.table import Table
from grove_core.migration.plan import Hop
from grove_core.migration.rows import Batch, Carried, CarriedValues, OpenRunner, migrate
from grove_core.parts.running import Worker
from grove_core.runtime.state.state import Adoption, LoadedVersion
from grove_core.runtime.state.store import ENGINE_COLUMNS, CarriedNames, Store
from grove_core.wire.messages import Mapped, Remap, answers_idle
from grove_core.wire.service_messages import Served

RELEASE_SECONDS = 0.25
"""How long a worker may take to let go of its columns; one that does not is ended."""


def view(store: Store, schema: Schema) -> Batch:
    """Return all rows of a version where they lie."""
    table = store.table
    return Batch(
        table.count,
        {name: table[name] for name in schema.names},
        {
            carried: CarriedValues(
                table[names.value], table[names.valid], None if names.image is None else table[names.image]
            )
            for carried, names in store.carried.items()
        },
    )


def plan(
    source: LoadedVersion,
    left: Store,
    target: LoadedVersion,
    hops: Iterable[Hop],
    open_runner: OpenRunner,
    arrival: int,
    origin: int,
    pinned: int | None,
) -> Adoption:
    """Lay the source's arena out for the target. Nobody sees anything of it yet, and no worker maps what is written.

    Args:
        source: gives all its rows.
        left: the empty store it has afterwards.
        target: has no rows.
        hops: the way from one to the other.
        open_runner: gives what runs the functions on it.
        arrival: the number of this change, see `Adoption`.
        origin: what stands for the source.
        pinned: see `Adoption`.

    Raises:
        OutOfMemory: there is no room for what is new; nothing was changed.
    """
    store, arena = source.store, source.store.arena
    before = view(store, source.schema)
    after = migrate(before, hops, open_runner)
    lying = _slots_by_array(before, store)
    wanted, carried = _named(after)
    kept = {name: slot for name, values in wanted.items() if (slot := lying.pop(id(values), None)) is not None}
    added: list[Slot] = []
    try:
        missing = [name for name in wanted if name not in kept]
        added = arena.allocate([wanted[name].dtype for name in missing])
        for name, slot in zip(missing, added, strict=True):
            np.copyto(arena.array(slot)[: before.rows], wanted[name])
            kept[name] = slot
        mutable = {spec.name: kept[spec.name] for spec in target.schema.specs if not spec.constant}
        snapshots = _snapshots(source, mutable, added)
    except BaseException:
        arena.free(added)
        raise
    engine = {name: store.table.slots[name] for name in (ID, *ENGINE_COLUMNS)}
    ordered = {name: kept[name] for name in (*target.schema.names, *kept)}
    table = Table(arena, {**engine, **ordered}, store.table.count, store.table.layout)
    given = Store(table, Generations(snapshots), carried)
    return Adoption(
        source.version,
        target.version,
        given,
        left,
        target.store,
        tuple(_slots(store) - _slots(given)),
        before.rows,
        arrival,
        origin,
        pinned,
    )


def give_up(adoption: Adoption, former: Store) -> None:
    """Free what was laid out for an adoption that will not be."""
    adoption.given.arena.free(_slots(adoption.given) - _slots(former))
    adoption.left.close()


def remap(worker: Worker, store: Store, schema: Schema) -> None:
    """Tell a worker to map the columns of `store` in place of those it has; it answers `Mapped`.

    Raises:
        PeerDied, ProtocolError: see `Worker.send`.
        OutOfMemory: the store has no file yet, and the system gives none.
    """
    read_only = store.arena.read_only_descriptor()
    try:
        worker.send(Remap(store.worker_slots(schema)), [store.arena.descriptor, read_only])
    finally:
        os.close(read_only)


def let_go(loaded: LoadedVersion) -> None:
    """Tell a version's worker to let go of its columns; `has_let_go` says what came of it."""
    if loaded.worker is not None:
        loaded.mapped = None
        with contextlib.suppress(WorkerError):  # nor will it answer
            loaded.worker.send(Remap(()))


def has_let_go(loaded: LoadedVersion, waiting: Waiting) -> bool:
    """Wait until a worker certainly let go of what it had; False if it did not, and could not be killed either.

    One that was killed is found dead by the next tick.
    """
    worker = loaded.worker
    if worker is None:  # its death was made sure of when it was given up
        return True
    end = waiting.now() + RELEASE_SECONDS
    with contextlib.suppress(WorkerError):
        while (left := end - waiting.now()) > 0:  # one that says ever more is not waited for longer than a mute one
            answer = worker.receive(left)
            if isinstance(answer, Mapped):
                return True
            if loaded.idle_asked and answers_idle(answer):  # a late answer to that question may lie before it
                loaded.idle_asked = False
            elif not isinstance(answer, Served):
                break
    return worker.kill()


def _slots_by_array(rows: Batch, store: Store) -> dict[int, Slot]:
    """Return where each array of a batch lies, by the array's identity."""
    slots = store.table.slots
    lying = {id(values): slots[name] for name, values in rows.columns.items()}
    for carried, values in rows.carried.items():
        names = store.carried[carried]
        lying[id(values.value)] = slots[names.value]
        lying[id(values.valid)] = slots[names.valid]
        if values.image is not None and names.image is not None:
            lying[id(values.image)] = slots[names.image]
    return lying


def _named(rows: Batch) -> tuple[dict[str, Array], dict[Carried, CarriedNames]]:
    """Return every array of a batch by the name of its column in a table, and the names of what is carried."""
    wanted = dict(rows.columns)
    carried = {}
    for key, values in rows.carried.items():
        names = carried[key] = CarriedNames.of(key)
        wanted[names.value], wanted[names.valid] = values.value, values.valid
        if names.image is not None and values.image is not None:
            wanted[names.image] = values.image
    return wanted, carried


def _snapshots(source: LoadedVersion, mutable: Mapping[str, Slot], added: list[Slot]) -> tuple[Snapshot, ...]:
    """Take the generations along: what passed keeps its past, what is new has none."""
    store, arena = source.store, source.store.arena
    column_at = {slot.offset: name for name, slot in store.table.slots.items()}
    snapshots = []
    for old in store.generations.snapshots:
        slots = {ID: old.slots[ID]}
        for name, slot in mutable.items():
            before = column_at.get(slot.offset)
            if before in old.slots:
                slots[name] = old.slots[before]
            else:
                slots[name] = arena.allocate([slot.dtype])[0]
                added.append(slots[name])
        new = set(slots.values()) - set(old.slots.values())
        snapshots.append(Snapshot(arena, slots, UNKNOWN if new else old.tick, old.layout, old.count))
    return tuple(snapshots)


def _slots(store: Store) -> set[Slot]:
    return {*store.table.slots.values()}.union(*(one.slots.values() for one in store.generations.snapshots))
