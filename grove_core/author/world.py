"""What `process` sees of its whole module: what the last tick committed, of every version, read only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from grove_core.author.schema import ID, Array, Columns, Schema, as_ids
from grove_core.base.errors import InvalidInput


class Sight(Protocol):
    """Where a world gets its columns from."""

    @property
    def own(self) -> slice:
        """The places of this call's entities."""
        ...

    def column(self, name: str) -> Array:
        """Return a column of all entities, read only."""
        ...


class World:
    """All entities of the module, whatever version they are in, as the last tick committed them.

    Every column of this version's schema, and `id`, is an attribute: a numpy array of shape (entities,), read only
    and valid for this call only. Entities of other versions show what they would have if they came to this one:
    what lenses pass on, convert or add. Rows are in no promised order, but in the same one in every column; those of
    this call's entities are `own`, in the order of `self.entities`.

    Nothing is looked up before it is asked for: a version that never looks at the world pays nothing for it.
    """

    __slots__ = ("_names", "_seen", "_sight")

    def __init__(self, names: Sequence[str], sight: Sight) -> None:
        self._names = (ID, *names)
        self._sight = sight
        self._seen: Columns = {}

    @classmethod
    def of(cls, schema: Schema, *, id: ArrayLike, own: slice | None = None, **columns: ArrayLike) -> World:
        """Make a world on the heap, so that an author can call `process` in a test.

        Args:
            schema: the version's.
            id: the entities.
            own: the places of this call's entities; all of them if None.
            columns: name -> values; what is missing gets its default.

        Raises:
            InvalidColumns: see `Schema.conform`.
            InvalidInput: `own` is no run of places.
        """
        ids = as_ids(id)
        _, filled = schema.conform(columns, len(ids))
        places = slice(0, len(ids)) if own is None else own
        if not 0 <= (places.start or 0) <= (len(ids) if places.stop is None else places.stop) <= len(ids):
            raise InvalidInput(f"own must be a slice of {len(ids)} entities, not {own}")
        return cls(schema.names, _OnTheHeap({ID: ids, **filled}, places))

    @property
    def own(self) -> slice:
        """The places of this call's entities, in the order of `self.entities`."""
        return self._sight.own

    def __getattr__(self, name: str) -> Array:
        if name not in self._names:
            raise AttributeError(f"no column is called {name!r}; there are {', '.join(self._names)}")
        if name not in self._seen:
            self._seen[name] = self._sight.column(name)
        return self._seen[name]

    def __getitem__(self, name: str) -> Array:
        return self.__getattr__(name)

    def __len__(self) -> int:
        return len(self.__getattr__(ID))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __repr__(self) -> str:
        return f"<the world: {', '.join(self._names)}>"


class _OnTheHeap:
    def __init__(self, columns: Columns, own: slice) -> None:
        for values in columns.values():
            values.flags.writeable = False
        self._columns = columns
        self.own = own

    def column(self, name: str) -> Array:
        return np.asarray(self._columns[name])
