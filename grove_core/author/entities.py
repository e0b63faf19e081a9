"""What `process` sees of its entities: numpy views, written in place, and requests for the tick's end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grove_core.author.schema import ID, Array, Columns, Scalar, Schema, as_ids
from grove_core.base.errors import UnknownEntity
from grove_core.base.values import read_name, read_values

NOTHING: Mapping[str, Scalar] = MappingProxyType({})


class Birth:
    """Rows that `process` asks for: `count`, their columns, and their ids where the author chose them."""

    __slots__ = ("columns", "count", "ids")

    def __init__(self, count: int, columns: Columns, ids: NDArray[np.int64] | None) -> None:
        self.count = count
        self.columns = columns
        self.ids = ids


class Entities:
    """The rows of one call of `process`.

    Every column of the schema, and `id`, is an attribute: a numpy view of shape (rows,), valid for this
    call only. `e.x += 1` and `e.x = values` write in place; `id` and constant columns are read only.
    Rows are in no promised order.
    """

    __slots__ = ("_births", "_columns", "_deaths", "_failures", "_newborn", "_observed", "_schema")
    _births: list[Birth]
    _columns: Mapping[str, Array]
    _deaths: list[NDArray[np.int64]]
    _failures: list[tuple[NDArray[np.int64], str]]
    _newborn: Mapping[str, Scalar]
    _observed: list[tuple[str, NDArray[np.float64], NDArray[np.int64] | None]]
    _schema: Schema

    def __init__(self, schema: Schema, columns: Mapping[str, Array], newborn: Mapping[str, Scalar] = NOTHING) -> None:
        set_ = super().__setattr__
        set_("_schema", schema)
        set_("_columns", columns)
        set_("_births", [])
        set_("_deaths", [])
        set_("_failures", [])
        set_("_observed", [])
        set_("_newborn", newborn)

    @classmethod
    def of(cls, schema: Schema, *, id: ArrayLike, **columns: ArrayLike) -> Entities:
        """Make entities on the heap, so that an author can call `process` in a test.

        Raises:
            InvalidColumns: see `Schema.conform`.
        """
        ids = as_ids(id)
        _, filled = schema.conform(columns, len(ids))
        for spec in schema.specs:
            filled[spec.name].flags.writeable = not spec.constant
        ids.flags.writeable = False
        return cls(schema, {ID: ids, **filled})

    def __getattr__(self, name: str) -> Array:
        try:
            return self._columns[name]
        except KeyError:
            raise AttributeError(f"no column is called {name!r}; there are {', '.join(self._columns)}") from None

    def __setattr__(self, name: str, values: Any) -> None:
        column = self.__getattr__(name)
        if values is not column:
            column[...] = values

    def __getitem__(self, name: str) -> Array:
        return self.__getattr__(name)

    def __setitem__(self, name: str, values: Any) -> None:
        self.__setattr__(name, values)

    def __len__(self) -> int:
        return len(self._columns[ID])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __repr__(self) -> str:
        return f"<{len(self)} entities: {', '.join(self._columns)}>"

    def spawn(self, *, id: ArrayLike | None = None, **columns: ArrayLike) -> None:
        """Ask for new entities at the end of the tick; ids are given out then, unless chosen here.

        What is left out is as `Module.newborn` says, else the column's default.

        Raises:
            InvalidColumns: see `Schema.conform`.
        """
        ids = None if id is None else as_ids(id)
        count, filled = self._schema.conform({**self._newborn, **columns}, None if ids is None else len(ids))
        self._births.append(Birth(count, filled, ids))

    def despawn(self, ids: ArrayLike) -> None:
        """Ask for entities of this version to end with the tick.

        Raises:
            UnknownEntity: one of `ids` is not among these rows.
        """
        self._deaths.append(self._own(ids))

    def fail(self, ids: ArrayLike, reason: str) -> None:
        """Say that the tick failed for these entities: they are restored and counted, others are kept.

        Raises:
            UnknownEntity: one of `ids` is not among these rows.
        """
        self._failures.append((self._own(ids), str(reason)))

    def _observe(self, name: str, values: ArrayLike, ids: ArrayLike | None) -> None:
        """Do what `Module.observe` says. Without ids a value is noted for each row, with empty ones for the version."""
        name, whose = read_name(name), None
        if ids is not None and ids is not self._columns[ID]:
            whose = as_ids(ids)
            self._own(whose)
            count = len(whose)
        elif ids is None and np.ndim(values) == 0:
            whose, count = as_ids(()), 1
        else:
            count = len(self)
        if count:
            self._observed.append((name, read_values(name, values, count), whose))

    def _own(self, ids: ArrayLike) -> NDArray[np.int64]:
        wanted = np.unique(as_ids(ids))
        missing = wanted[~np.isin(wanted, self._columns[ID])]
        if len(missing):
            raise UnknownEntity(f"{len(missing)} ids are not among these entities, the first is {missing[0]}")
        return wanted
