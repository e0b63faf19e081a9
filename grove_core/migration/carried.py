"""What rows carry that their version does not know, and which of it belongs to a column again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grove_core.base.errors import InvalidColumns
from grove_core.base.versions import satisfies

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from packaging.version import Version

    from grove_core.author.schema import Array, Columns
    from grove_core.migration.plan import Endpoint, Hop

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Image:
    """What a carried value became: columns of a version, and their dtypes as `<f4`; mostly it is one."""

    version: Version
    columns: tuple[str, ...]
    dtypes: tuple[str, ...]

    @property
    def key(self) -> str:
        """A text that no other image has, the same in every process."""
        return f"{self.version}:{','.join(self.columns)}:{','.join(self.dtypes)}"

    @property
    def dtype(self) -> np.dtype[Any]:
        """What one value of it is: that of the column, or a record of several, without gaps."""
        if len(self.columns) == 1:
            return np.dtype(self.dtypes[0])
        return np.dtype(list(zip(self.columns, self.dtypes, strict=True)))

    def of(self, columns: Columns) -> Array:
        """Copy these columns: they are going to be written, their image must not be."""
        if len(self.columns) == 1:
            return columns[self.columns[0]].copy()
        image = np.empty(len(columns[self.columns[0]]), self.dtype)
        for name in self.columns:
            image[name] = columns[name]
        return image

    def unchanged(self, image: Array, columns: Iterable[Array]) -> Mask:
        """Tell where columns, given in this image's order, are what they were, bit for bit."""
        parts = [image] if len(self.columns) == 1 else [image[name] for name in self.columns]
        return reduce(np.logical_and, (_bits(now) == _bits(then) for now, then in zip(columns, parts, strict=True)))


@dataclass(frozen=True)
class Carried:
    """A column that rows carry: whose it is, its name and dtype, and its image if it was converted."""

    owner: Version
    name: str
    dtype: str
    image: Image | None = None

    @property
    def key(self) -> str:
        """A text that nothing else carried has, the same in every process; for a slot of a table."""
        own = f"{self.owner}:{self.name}:{self.dtype}"
        return own if self.image is None else f"{own}>{self.image.key}"


@dataclass(frozen=True, eq=False)
class CarriedValues:
    """The values of one carried column, one a row."""

    value: Array
    valid: Mask
    """Which rows have it: a row that was born later has not."""
    image: Array | None = None
    """What the values were converted to, if they were; of the dtype that `Image` says."""


@dataclass(frozen=True, eq=False)
class Batch:
    """`rows` rows of one version: its columns, without `id`, and what the rows carry.

    Raises:
        InvalidColumns: an array has another length.
    """

    rows: int
    columns: Columns
    carried: Mapping[Carried, CarriedValues] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self._arrays():
            if values.shape != (self.rows,):
                raise InvalidColumns(f"{name} has the shape {values.shape}; the batch has {self.rows} rows")

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        yield from self.columns.items()
        for entry, values in self.carried.items():
            yield f"{entry.key} (value)", values.value
            yield f"{entry.key} (valid)", values.valid
            if values.image is not None:
                yield f"{entry.key} (image)", values.image


@dataclass(frozen=True, eq=False)
class Kept:
    """What was carried for a column, and the rows in which it is that column's value again."""

    value: Array
    where: Mask


def dropped_before(name: str, batch: Batch, hop: Hop) -> list[Kept]:
    """Return what was carried for the target's column `name` and never converted; the nearest last."""
    return _kept_where_valid(name, batch, hop, [entry for entry in batch.carried if entry.image is None])


def carried_before(name: str, batch: Batch, hop: Hop) -> list[Kept]:
    """Return all that was carried for the target's column `name`, even if what it became has changed since."""
    return _kept_where_valid(name, batch, hop, batch.carried)


def originals(name: str, sources: Iterable[str], batch: Batch, hop: Hop) -> list[Kept]:
    """Return what the target's column `name` was, for the rows in which what it became is unchanged.

    Args:
        name: a column of the target.
        sources: columns of the hop's source that its value is made of; those that became of it must cover them.
        batch: the rows.
        hop: where they go.
    """
    wanted, found = set(sources), []
    for entry, values in batch.carried.items():
        if entry.image is None or values.image is None or not is_column(entry, name, hop):
            continue
        became = _columns_of(entry.image, wanted, hop)
        if became is not None and wanted <= set(became):
            found.append((entry, entry.image, values, values.image, became))
    found.sort(
        key=lambda each: (
            _nearness(each[0].owner, hop.target, hop.target_spec),
            _nearness(each[1].version, hop.source, hop.source_spec),
        )
    )
    return [
        Kept(values.value, values.valid & image.unchanged(then, (batch.columns[each] for each in became)))
        for _, image, values, then, became in found
    ]


def is_column(entry: Carried, name: str, hop: Hop) -> bool:
    """Tell whether `entry` is the target's column `name`, of a version on its side or by kin."""
    if entry.dtype != hop.target.schema[name].dtype.str:
        return False
    on_its_side = entry.name == name and satisfies(entry.owner, hop.target_spec)
    return on_its_side or hop.kin.same((entry.owner, entry.name), (hop.target.version, name))


def live_again(entry: Carried, hop: Hop) -> bool:
    """Tell whether the target has the column that `entry` was carried for."""
    return any(is_column(entry, name, hop) for name in hop.target.schema.names)


def overlaid(below: Array, kept: Iterable[Kept]) -> Array:
    """Lay what was kept over `below`, bit for bit; uncopied where it is everywhere."""
    for each in kept:
        below = each.value if each.where.all() else np.where(each.where, each.value, below)
    return below


def _kept_where_valid(name: str, batch: Batch, hop: Hop, entries: Iterable[Carried]) -> list[Kept]:
    """What the version itself had comes last."""
    fitting = [entry for entry in entries if is_column(entry, name, hop)]
    fitting.sort(key=lambda entry: _nearness(entry.owner, hop.target, hop.target_spec))
    return [Kept(batch.carried[entry].value, batch.carried[entry].valid) for entry in fitting]


def _columns_of(image: Image, wanted: Container[str], hop: Hop) -> tuple[str, ...] | None:
    """Return the source's columns that an image's are, of a version on its side or by kin; None if one is not.

    Where a column is one by its name and another by kin, that which is wanted counts.
    """
    found: list[str] = []
    for column, dtype in zip(image.columns, image.dtypes, strict=True):
        here = [
            name
            for name in hop.source.schema.names
            if dtype == hop.source.schema[name].dtype.str
            and (
                (column == name and satisfies(image.version, hop.source_spec))
                or hop.kin.same((image.version, column), (hop.source.version, name))
            )
        ]
        if not here:
            return None
        found.append(next((name for name in here if name in wanted), here[0]))
    return tuple(found)


def _nearness(version: Version, end: Endpoint, spec: str) -> tuple[bool, bool, Version]:
    return version == end.version, satisfies(version, spec), version


def _bits(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")
