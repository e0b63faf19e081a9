"""A version's memory: the rows it has, their generations, and what rows carry that it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from grove_core.author.schema import ID, ID_DTYPE, Schema
from grove_core.base.ways import MemoryKind
from grove_core.memory.arena import Arena
from grove_core.memory.generations import Generations
from grove_core.memory.table import Table
from grove_core.migration.rows import Carried, CarriedValues
from grove_core.wire.messages import Slot

ARRIVAL = "grove.arrival"
ORIGIN = "grove.origin"
PINNED = "grove.pinned"
FAILED = "grove.failed"
ENGINE_COLUMNS: dict[str, np.dtype[Any]] = {
    ARRIVAL: np.dtype("<i8"),
    ORIGIN: np.dtype("<i4"),
    PINNED: np.dtype("u1"),
    FAILED: np.dtype("u1"),
}
"""Columns that every table has besides its schema's; no worker maps them, and no schema can name them.

FAILED says in bits what an entity failed at since the module's comparison began, see `runtime.watch`; it means nothing
where there is none.
"""

FREE = 0
BY_ID = 1
"""What stands in `PINNED`: not pinned; pinned by its id; anything above is the `mark` of the rule it is pinned by."""


@dataclass(frozen=True)
class CarriedNames:
    """The table's columns for one carried column: its values, which rows have one, and what they became."""

    value: str
    valid: str
    image: str | None

    @classmethod
    def of(cls, carried: Carried) -> Self:
        """Name them, as no schema can name a column."""
        key = carried.key
        return cls(key, f"{key}?", None if carried.image is None else f"{key}=")


@dataclass(frozen=True)
class Store:
    """Table and generations, in one arena. A version that adopts another one's rows takes its store over."""

    table: Table
    generations: Generations
    carried: dict[Carried, CarriedNames]

    @classmethod
    def make(cls, name: str, schema: Schema, max_rows: int, kind: MemoryKind = MemoryKind.MEMFD) -> Self:
        """Make an empty store; it takes memory once it gets a row."""
        table = Table.make(name, {ID: ID_DTYPE, **schema.dtypes, **ENGINE_COLUMNS}, max_rows, kind)
        mutable = {spec.name: spec.dtype for spec in schema.specs if not spec.constant}
        return cls(table, Generations.make(table.arena, mutable), {})

    @property
    def arena(self) -> Arena:
        """The memory behind all of it."""
        return self.table.arena

    def empty(self, schema: Schema) -> Store:
        """Make an empty store in memory of the same kind."""
        return Store.make(self.arena.name, schema, self.arena.max_rows, self.arena.kind)

    def close(self) -> int:
        """Give back every page and return how many bytes that were; see `Arena.close`."""
        self._drop_views()
        return self.arena.close()

    def abandon(self) -> None:
        """Let go of the memory without touching its pages; see `Arena.abandon`."""
        self._drop_views()
        self.arena.abandon()

    def _drop_views(self) -> None:
        self.table.drop_views()
        for snapshot in self.generations.snapshots:
            snapshot.drop_views()

    def carry(self, carried: Carried, values: CarriedValues) -> CarriedNames:
        """Make room for what the table did not carry so far; the rows that are there do not have it.

        Raises:
            OutOfMemory: no address space or pages.
        """
        names = CarriedNames.of(carried)
        columns = {names.value: values.value.dtype, names.valid: values.valid.dtype}
        if names.image is not None and values.image is not None:
            columns[names.image] = values.image.dtype
        self.table.add(columns)
        self.carried[carried] = names
        return names

    def worker_slots(self, schema: Schema) -> tuple[Slot, ...]:
        """Return the columns that a worker may map: its schema's and id, constant ones for reading."""
        slots = self.table.slots
        return tuple(
            Slot(name, slots[name].dtype.str, slots[name].offset, slots[name].length, writable)
            for name, writable in ((ID, False), *((spec.name, not spec.constant) for spec in schema.specs))
        )

    def copied(self, schema: Schema) -> Store:
        """Copy everything into memory of its own.

        Raises:
            OutOfMemory: no address space or pages.
        """
        old = self.table
        copy = self.empty(schema)
        try:
            table = copy.table
            table.reserve(max(old.count, *(snapshot.count for snapshot in self.generations.snapshots)))
            table.count, table.layout = old.count, old.layout
            table.add({name: slot.dtype for name, slot in old.slots.items() if name not in table})
            for name in old.slots:
                np.copyto(table[name], old[name])
            for mine, theirs in zip(copy.generations.snapshots, self.generations.snapshots, strict=True):
                mine.copy_from(theirs)
        except BaseException:
            copy.arena.close()
            raise
        copy.carried.update(self.carried)
        return copy
