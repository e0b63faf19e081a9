"""The columns of a version's entities, and the rules their values keep."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from grove_core.base.errors import InvalidColumns, SchemaError
from grove_core.base.showing import brief

Scalar = bool | int | float
Array = NDArray[Any]
Columns = dict[str, Array]
"""Column name -> values, all of one length."""

ID = "id"
ID_DTYPE = np.dtype("<i8")
KINDS = "biuf"
"""The numpy kinds a column may have: booleans, integers and floats of 1 to 8 bytes."""
DTYPE = re.compile(r"[<>=|]?[A-Za-z_?]+[0-9]{0,3}")
"""How one number's dtype is written. numpy reads far more, and some of that ends the process: "m8[s/0]"."""
RESERVED = frozenset({ID, "constant", "of", "own", "spawn", "despawn", "fail", "self"})


class Column(msgspec.Struct, frozen=True):
    """One column: its dtype, what a new row holds, and what a value may be.

    `low` and `high` are inclusive bounds. `nan=False` refuses NaN in a float column.
    """

    dtype: str
    default: Scalar = 0
    low: Scalar | None = None
    high: Scalar | None = None
    nan: bool = False

    def broken_rule(self, values: Array) -> str | None:
        """Return the first rule that `values` (of this column's dtype) break, or None.

        The minimum of floats is NaN as soon as one value is: one pass, no temporaries.
        """
        if not len(values) or values.dtype.kind == "b":
            return None
        check_nan = values.dtype.kind == "f" and not self.nan
        if not check_nan and self.low is None and self.high is None:
            return None
        if check_nan and math.isnan(np.minimum.reduce(values)):
            return f"is NaN in {int(np.isnan(values).sum())} of {len(values)} rows"
        if self.low is not None and (lowest := np.fmin.reduce(values)) < self.low:
            return f"is {lowest}, below its lowest value {self.low}"
        if self.high is not None and (highest := np.fmax.reduce(values)) > self.high:
            return f"is {highest}, above its highest value {self.high}"
        return None

    def breaks(self, values: Array) -> NDArray[np.bool_]:
        """Tell which of `values` (of this column's dtype) break a rule, one answer each."""
        broken = np.isnan(values) if values.dtype.kind == "f" and not self.nan else np.zeros(len(values), np.bool_)
        if self.low is not None:
            broken |= values < self.low
        if self.high is not None:
            broken |= values > self.high
        return broken


class ColumnSpec(msgspec.Struct, frozen=True):
    """A column as it crosses the wire: its name, its rules, and whether a worker may write it."""

    name: str
    column: Column
    constant: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype."""
        return np.dtype(self.column.dtype)


def _comparable(spec: ColumnSpec) -> tuple[ColumnSpec, bool]:
    """Return what is equal for equal columns: NaN, which a default may be, equals nothing."""
    if spec.column.default == spec.column.default:
        return spec, False
    return msgspec.structs.replace(spec, column=msgspec.structs.replace(spec.column, default=0)), True


class Schema:
    """The columns of one version, `id` (int64) left out: every schema has it.

    Args:
        constant: names of columns that no worker may write.
        columns: name -> dtype ("f4", "?", "i8" ...) or `Column`.

    Raises:
        SchemaError: a reserved or unusable name, an unknown dtype, or rules its default breaks.
    """

    def __init__(self, /, *, constant: Iterable[str] = (), **columns: str | Column) -> None:
        fixed = {constant} if isinstance(constant, str) else set(constant)
        if unknown := sorted(fixed - columns.keys()):
            raise SchemaError(f"constant names columns that the schema lacks: {', '.join(unknown)}")
        self.specs: tuple[ColumnSpec, ...] = tuple(
            ColumnSpec(name, _checked(name, column), name in fixed) for name, column in columns.items()
        )
        self._compared = tuple(map(_comparable, self.specs))
        self.names: tuple[str, ...] = tuple(spec.name for spec in self.specs)
        self._by_name = {spec.name: spec for spec in self.specs}
        self._dtypes = {spec.name: spec.dtype for spec in self.specs}

    @classmethod
    def of(cls, specs: Sequence[ColumnSpec]) -> Schema:
        """Make a schema from what crossed the wire, with the same checks.

        Raises:
            SchemaError: as for the constructor, and for a name that stands twice.
        """
        if len({spec.name for spec in specs}) < len(specs):
            raise SchemaError("a column stands twice in the schema")
        fixed = [spec.name for spec in specs if spec.constant]
        if "constant" in {spec.name for spec in specs}:
            raise SchemaError("a column cannot be called 'constant': the name is reserved")
        return cls(constant=fixed, **{spec.name: spec.column for spec in specs})

    def __getitem__(self, name: str) -> ColumnSpec:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    def __repr__(self) -> str:
        return f"Schema({', '.join(f'{s.name}={s.column.dtype!r}' for s in self.specs)})"

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """Column name -> numpy dtype; not to be written."""
        return self._dtypes

    def conform(self, given: Mapping[str, ArrayLike], rows: int | None = None) -> tuple[int, Columns]:
        """Turn what a caller gave into columns of this schema; what is missing gets its default.

        Values may be scalars or one-dimensional arrays, which are broadcast to one length: that of the arrays,
        1 if there are none, or `rows`, if it is given.

        Returns:
            The number of rows, and every column of the schema with that length.

        Raises:
            InvalidColumns: unknown names, lengths that differ, values that the dtype cannot hold, or
                values that break a rule.
        """
        if unknown := sorted(given.keys() - self._by_name.keys()):
            raise InvalidColumns(
                f"no column is called {', '.join(map(repr, unknown))}; there are {', '.join(self.names)}"
            )
        arrays = {name: _as_column(name, values) for name, values in given.items()}
        lengths = {name: len(array) for name, array in arrays.items() if array.ndim}
        if len(set(lengths.values())) > 1:
            raise InvalidColumns("columns differ in length: " + ", ".join(f"{n} has {k}" for n, k in lengths.items()))
        length = next(iter(lengths.values()), 1 if rows is None else rows)
        if rows is not None and length != rows:
            raise InvalidColumns(f"id has {rows} values, the columns have {length}")
        rows = length
        return rows, {spec.name: _filled(spec, arrays.get(spec.name), rows) for spec in self.specs}


def as_ids(values: ArrayLike) -> NDArray[np.int64]:
    """Turn what a caller gave into int64 ids, refusing what would change.

    Raises:
        InvalidColumns: not integers, out of range, or more than one dimension.
    """
    try:
        given = np.asarray(values)
        if given.size == 0:
            return np.empty(0, ID_DTYPE)
        if given.dtype.kind not in "iu" or given.ndim > 1:
            raise TypeError(f"{given.dtype.name} of {given.ndim} dimensions")
        if given.dtype.kind == "u" and int(given.max()) > np.iinfo(np.int64).max:
            raise OverflowError(f"{given.max()} is too large")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidColumns(f"ids must be int64, one or a flat sequence: {error}") from None
    return np.atleast_1d(given).astype(ID_DTYPE)


def read_dtype(given: object) -> np.dtype[Any] | None:
    """Return what numpy calls so, in this machine's byte order; None where no dtype is called so."""
    if given is None or (isinstance(given, str) and not DTYPE.fullmatch(given)):
        return None
    try:
        dtype: np.dtype[Any] = np.dtype(given).newbyteorder("=")  # type: ignore[call-overload]
    except Exception:  # numpy has an error of another kind for each way to misspell one
        return None
    return dtype


def _checked(name: str, column: str | Column) -> Column:
    if name in RESERVED or name.startswith("_") or not name.isidentifier():
        raise SchemaError(
            f"a column cannot be called {name!r}: it must be a Python name, without a leading underscore, "
            f"and none of {', '.join(sorted(RESERVED))}"
        )
    if isinstance(column, str):
        column = Column(column)
    if not isinstance(column, Column):
        raise SchemaError(f"column {name!r} must be a dtype or a Column, not {column!r}")
    dtype = read_dtype(column.dtype)
    if dtype is None:
        raise SchemaError(f"column {name!r} has the unknown dtype {column.dtype!r}")
    if dtype.kind not in KINDS or dtype.itemsize > 8:
        raise SchemaError(f"column {name!r} has the dtype {column.dtype!r}; use a bool, int or float up to 8 bytes")
    column = msgspec.structs.replace(column, dtype=dtype.str)
    if not _holds(dtype, column.default):
        raise SchemaError(f"column {name!r}: {dtype.name} cannot hold the default {brief(column.default)}")
    for bound in (column.low, column.high):
        if bound is not None and not (_holds(dtype, bound) if dtype.kind == "f" else isinstance(bound, int | float)):
            raise SchemaError(f"column {name!r}: {dtype.name} cannot be held against the bound {brief(bound)}")
    if broken := column.broken_rule(np.array([column.default], dtype)):
        raise SchemaError(f"column {name!r}: its default {broken}")
    return column


def _holds(dtype: np.dtype[Any], value: Scalar) -> bool:
    """Tell whether a value can be one of a dtype: exactly, or for floats as a nearest one."""
    try:
        with np.errstate(over="ignore"):
            held = np.array([value], dtype)[0]
        return bool(np.isinf(held) == math.isinf(value) if dtype.kind == "f" else held == value)
    except (TypeError, ValueError, OverflowError):
        return False


def _as_column(name: str, values: ArrayLike) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:
        raise InvalidColumns(f"column {name!r} is not a flat sequence of numbers") from None
    if array.ndim > 1:
        raise InvalidColumns(f"column {name!r} has {array.ndim} dimensions; a column has one")
    if array.dtype.kind not in KINDS and array.size:
        raise InvalidColumns(f"column {name!r} holds {array.dtype.name}; a column holds numbers")
    return array


def _filled(spec: ColumnSpec, given: Array | None, rows: int) -> Array:
    if given is None:
        return np.full(rows, spec.column.default, spec.dtype)
    values = np.ascontiguousarray(np.broadcast_to(_cast(spec.name, given, spec.dtype), rows))
    if broken := spec.column.broken_rule(values):
        raise InvalidColumns(f"column {spec.name!r} {broken}")
    return values


def _cast(name: str, given: Array, dtype: np.dtype[Any]) -> Array:
    """Cast as numpy's same_kind allows, and refuse integers that would wrap."""
    if not given.size:
        return given.astype(dtype)
    if given.dtype.kind in "iu" and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if int(given.min()) < bounds.min or int(given.max()) > bounds.max:
            raise InvalidColumns(f"column {name!r} holds values that do not fit into {dtype.name}")
    elif not np.can_cast(given.dtype, dtype, "same_kind"):
        raise InvalidColumns(f"column {name!r} holds {given.dtype.name}, which {dtype.name} cannot take without loss")
    with np.errstate(over="ignore"):
        cast = given.astype(dtype)
    if dtype.kind == "f" and given.dtype.kind == "f" and (np.isinf(cast) & np.isfinite(given)).any():
        raise InvalidColumns(f"column {name!r} holds values that are too large for {dtype.name}")
    return cast
