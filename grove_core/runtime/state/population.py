"""The entities of one module as a router sees them, gathered only as far as it looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, Array
from grove_core.memory.table import Rows, length
from grove_core.parts.contracts import NEW, Group, Population
from grove_core.routing.shares import keys
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import ARRIVAL, FREE, ORIGIN, PINNED


class LivePopulation(Population):
    """All entities of the loaded versions that are not pinned, version by version.

    Args:
        state: the module.
        loaded: its loaded versions, in their order.
        weights: one a version.
    """

    def __init__(self, state: ModuleState, loaded: Sequence[LoadedVersion], weights: Sequence[float]) -> None:
        self.__dict__.update(versions=tuple(one.version for one in loaded), weights=tuple(weights))
        self._tables = tuple(one.table for one in loaded)
        self._salt = state.salt
        places = {one.version: index for index, one in enumerate(loaded)}
        # One entry more, for NEW: index -1 finds it.
        self._origins = np.array([*(places.get(version, NEW) for version in state.codes), NEW], np.int32)
        self.pinned = tuple(np.count_nonzero(table[PINNED]) for table in self._tables)
        """How many entities of each version are pinned, and so left out."""
        self.free: tuple[Rows, ...] = tuple(
            np.flatnonzero(table[PINNED] == FREE) if pinned else slice(0, table.count)
            for table, pinned in zip(self._tables, self.pinned, strict=True)
        )
        """The rows that are in the population, version by version."""
        self._starts = np.cumsum([0, *map(length, self.free)]).tolist()

    def part(self, version: int) -> slice:
        """Return the places in the population of a version's entities."""
        return slice(self._starts[version], self._starts[version + 1])

    @property
    def size(self) -> int:
        """See `Population`."""
        size: int = self._starts[-1]
        return size

    def counts(self) -> NDArray[np.int64]:
        """Return how many entities are in each version."""
        counts: NDArray[np.int64] = np.diff(self._starts)
        return counts

    def group(self, version: int) -> Group:
        """Return the entities of one version; see `Population.group`. Nobody is new."""
        if version == NEW:
            none = np.empty(0, np.int64)
            return Group(none, none.view(np.uint64), none, lambda chosen: np.empty(0, np.int32))
        table, free, place = self._tables[version], self.free[version], self.part(version)
        return Group(
            np.arange(place.start, place.stop),
            keys(table[ID][free], self._salt),
            _read_only(table[ARRIVAL][free]),
            lambda chosen: self._origins[table[ORIGIN][free][chosen]],
        )

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """See `Population`."""
        return self._gathered(ID)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """See `Population`."""
        return _read_only(keys(self.ids, self._salt))

    @cached_property
    def current(self) -> NDArray[np.int32]:
        """See `Population`."""
        return _read_only(np.repeat(np.arange(len(self._tables), dtype=np.int32), self.counts()))

    @cached_property
    def arrival(self) -> NDArray[np.int64]:
        """See `Population`."""
        return self._gathered(ARRIVAL)

    @cached_property
    def origin(self) -> NDArray[np.int32]:
        """See `Population`."""
        return _read_only(self._origins[self._gathered(ORIGIN)])

    def _gathered(self, name: str) -> Array:
        return _read_only(
            np.concatenate([table[name][free] for table, free in zip(self._tables, self.free, strict=True)])
        )


def _read_only(values: Array) -> Array:
    values = values.view()
    values.flags.writeable = False
    return values
