"""Kept generations: older states of a module, whole, for corruption that is noticed late.

Each holds every table as it was before a tick, in memory of its own, so that it outlives that a version is unloaded.
They are taken in a ring: the oldest one's memory is written anew, and nothing is allocated while the tables keep their
columns. What cannot have changed since the memory was last written is not copied again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import Array, Schema
from grove_core.memory.table import Table
from grove_core.migration.rows import Batch, Carried, CarriedValues
from grove_core.runtime.state.store import PINNED, CarriedNames, Store


@dataclass(frozen=True)
class Live:
    """One version as it is now, as far as a generation keeps it."""

    version: Version
    schema: Schema
    store: Store
    document: bytes | None


class KeptTable:
    """All rows of one version as they were: ids, its columns, the engine's, and what rows carried.

    Args:
        name: what /proc shows for its memory.
        live: what it is going to hold; nothing of it yet.
    """

    def __init__(self, name: str, live: Live) -> None:
        arena, slots = live.store.arena, live.store.table.slots
        columns = {column: slot.dtype for column, slot in slots.items()}
        self.table = Table.make(name, columns, arena.max_rows, arena.kind)
        self.schema = live.schema
        self.carried: dict[Carried, CarriedNames] = {}
        self._written: tuple[str, ...] = ()
        """The columns that change without a row changing its place."""
        self._source: Table | None = None
        self._layout = 0

    def fits(self, live: Live) -> bool:
        """Tell whether it has the columns of a version as it is now."""
        mine, theirs = self.table.slots, live.store.table.slots
        if self._source is live.store.table and len(mine) == len(theirs):  # a table only ever gets more columns
            return True
        return mine.keys() == theirs.keys() and all(mine[name].dtype == slot.dtype for name, slot in theirs.items())

    def take(self, live: Live) -> None:
        """Copy all rows; where no row changed its place since the last time, only what can be written without that.

        Raises:
            OutOfMemory: there are no pages; what it holds is undefined.
        """
        source = live.store.table
        names: Iterable[str] = self._written
        if self._source is not source or self._layout != source.layout:
            self._source = None  # until all of it is there
            self.schema, self.carried = live.schema, dict(live.store.carried)
            self._written = (PINNED, *(spec.name for spec in live.schema.specs if not spec.constant))
            names = source.slots
        self.table.reserve(source.count)
        for name in names if source.count else ():
            np.copyto(self.table.rows(name, 0, source.count), source[name])
        self.table.count = source.count
        self._source, self._layout = source, source.layout

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Copy rows out, with what they carried."""

        def copied(name: str) -> Array:
            return self.table[name].take(rows)

        return Batch(
            len(rows),
            {name: copied(name) for name in self.schema.names},
            {
                carried: CarriedValues(
                    copied(names.value), copied(names.valid), None if names.image is None else copied(names.image)
                )
                for carried, names in self.carried.items()
            },
        )

    def close(self) -> None:
        """Give its memory back."""
        self.table.drop_views()
        self.table.arena.close()


@dataclass
class KeptGeneration:
    """A module as it was before a tick."""

    number: int
    """The number of the tick."""
    at: float
    """The clock's time then."""
    tables: dict[Version, KeptTable]
    documents: dict[Version, bytes | None]
    """The document of each version that was loaded then; None where it kept none."""
    left: bool = False
    """Whether a rollback has gone back behind it."""

    @property
    def counts(self) -> Mapping[Version, int]:
        """How many entities each version had that was loaded then, lowest first."""
        return {version: self.tables[version].table.count for version in sorted(self.documents)}

    @property
    def bytes(self) -> int:
        """The pages it holds."""
        return sum(kept.table.arena.bytes for kept in self.tables.values())

    def close(self) -> None:
        """Give all memory back."""
        for kept in self.tables.values():
            kept.close()
        self.tables.clear()


@dataclass
class Past:
    """The generations of one module that are kept, oldest first."""

    generations: deque[KeptGeneration] = field(default_factory=deque)
    trouble: str | None = None
    """Why the last one that was due could not be taken."""

    def __iter__(self) -> Iterator[KeptGeneration]:
        return iter(self.generations)

    def find(self, number: int) -> KeptGeneration | None:
        """Return the generation with this number, or None."""
        return next((each for each in self.generations if each.number == number), None)

    def due(self, now: float, interval: float) -> bool:
        """Tell whether the latest one was taken at least `interval` seconds ago, by the clock."""
        return not self.generations or now - self.generations[-1].at >= interval

    def take(self, name: str, number: int, at: float, versions: Iterable[Live], keep: int) -> None:
        """Keep the module as it is; the oldest generation goes where there are `keep` already.

        Args:
            name: what /proc shows for the memory.
            number: the tick that comes next.
            at: the clock's time.
            versions: every loaded version.
            keep: how many are kept.

        Raises:
            OutOfMemory: there are no pages; the generation is missing, and so is the oldest one if there were enough.
        """
        oldest = self.generations.popleft() if len(self.generations) >= keep else None
        spare = {} if oldest is None else oldest.tables
        generation = KeptGeneration(number, at, {}, {})
        try:
            for live in versions:
                kept = spare.pop(live.version, None)
                if kept is not None and not kept.fits(live):
                    kept.close()
                    kept = None
                generation.tables[live.version] = kept or KeptTable(name, live)
                generation.tables[live.version].take(live)
                generation.documents[live.version] = live.document
        except BaseException:
            generation.close()
            raise
        finally:
            if oldest is not None:
                oldest.close()
        self.generations.append(generation)

    def close(self) -> None:
        """Give all memory back."""
        while self.generations:
            self.generations.pop().close()
