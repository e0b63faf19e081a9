"""Rows on their way from one version to another, and what they carry that a version does not know.

What a hop drops is carried. What it converts is carried too, together with its image: the values that came
out. On the way back a value whose image is still there, bit for bit, was not changed: it takes its original
bits. All of it is column work; nothing is done per row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grove_core.base.errors import InvalidColumns
from grove_core.base.versions import satisfies
from grove_core.migration.plan import Added, Converted, Endpoint, Hop, Passed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version

    from grove_core.author.schema import Array, Columns

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Image:
    """Where a carried value was converted to: a column of a version, and its dtype as `<f4`."""

    version: Version
    column: str
    dtype: str

    @property
    def key(self) -> str:
        """A text that no other image has, the same in every process."""
        return f"{self.version}:{self.column}:{self.dtype}"


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
    """What the values were converted to, if they were."""


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


def migrate(batch: Batch, hops: Iterable[Hop]) -> Batch:
    """Take rows along `hops`; without hops the batch itself.

    Nothing of `batch` is written. The result's arrays may be those of `batch`, where a column passes or is
    carried: nothing is copied that stays as it is. Copy before you write into them. Two columns of the result
    never share memory with each other; the `valid` masks of what one hop carries do, and are read only.

    Raises:
        InvalidColumns: the columns are not those of the first hop's source.
    """
    for hop in hops:
        batch = _hop(batch, hop)
    return batch


def project(batch: Batch, hops: Iterable[Hop]) -> Columns:
    """Return the columns as `migrate` gives them: a view of the rows in another version's schema."""
    return migrate(batch, hops).columns


def _hop(batch: Batch, hop: Hop) -> Batch:
    _must_fit(batch.columns, hop.source)
    columns = {name: _arrived(name, batch, hop) for name in hop.columns}
    carried = {entry: values for entry, values in batch.carried.items() if not _live_again(entry, hop)}
    carried.update(_left(batch, columns, hop))
    return Batch(batch.rows, columns, carried)


def _must_fit(columns: Columns, source: Endpoint) -> None:
    have = {name: values.dtype for name, values in columns.items()}
    if have != source.schema.dtypes:
        raise InvalidColumns(
            f"the rows have the columns {_listed(have)}; {source.version} has {_listed(source.schema.dtypes)}"
        )


def _listed(dtypes: Mapping[str, np.dtype[np.generic]]) -> str:
    return ", ".join(f"{name} {dtype.name}" for name, dtype in dtypes.items()) or "none"


def _arrived(name: str, batch: Batch, hop: Hop) -> Array:
    """Return the values of one of the target's columns."""
    match hop.columns[name]:
        case Passed(source):
            return batch.columns[source]
        case Converted(source, conversions):
            values = batch.columns[source]
            result = values
            for conversion in conversions:
                result = conversion.apply(result)
            for carried, image in _converted_before(name, source, batch, hop):
                unchanged = carried.valid & (_bits(values) == _bits(image))
                result = _overlaid(result, carried.value, unchanged)
            return result
        case Added(default):
            result = np.full(batch.rows, default, hop.target.schema[name].dtype)
            for carried in _dropped_before(name, batch, hop):
                result = _overlaid(result, carried.value, carried.valid)
            return result


def _dropped_before(name: str, batch: Batch, hop: Hop) -> list[CarriedValues]:
    """Return what was carried for an added column; what the version itself had comes last."""
    fitting = [entry for entry in batch.carried if entry.image is None and _is_column(entry, name, hop)]
    fitting.sort(key=lambda entry: _nearness(entry.owner, hop.target, hop.target_spec))
    return [batch.carried[entry] for entry in fitting]


def _converted_before(name: str, source: str, batch: Batch, hop: Hop) -> list[tuple[CarriedValues, Array]]:
    """Return the originals with their images, where these are the column `source`; the nearest last."""
    fitting = [
        (entry, entry.image)
        for entry in batch.carried
        if entry.image is not None and _is_column(entry, name, hop) and _is_source(entry.image, source, hop)
    ]
    fitting.sort(
        key=lambda pair: (
            _nearness(pair[0].owner, hop.target, hop.target_spec),
            _nearness(pair[1].version, hop.source, hop.source_spec),
        )
    )
    found = [batch.carried[entry] for entry, _ in fitting]
    return [(values, values.image) for values in found if values.image is not None]


def _nearness(version: Version, end: Endpoint, spec: str) -> tuple[bool, bool, Version]:
    return version == end.version, satisfies(version, spec), version


def _is_column(entry: Carried, name: str, hop: Hop) -> bool:
    """Tell whether `entry` is the target's column `name`, of a version on its side or by kin."""
    if entry.dtype != hop.target.schema[name].dtype.str:
        return False
    on_its_side = entry.name == name and satisfies(entry.owner, hop.target_spec)
    return on_its_side or hop.kin.same((entry.owner, entry.name), (hop.target.version, name))


def _is_source(image: Image, name: str, hop: Hop) -> bool:
    """Tell whether `image` is the source's column `name`, likewise."""
    if image.dtype != hop.source.schema[name].dtype.str:
        return False
    on_its_side = image.column == name and satisfies(image.version, hop.source_spec)
    return on_its_side or hop.kin.same((image.version, image.column), (hop.source.version, name))


def _live_again(entry: Carried, hop: Hop) -> bool:
    """Tell whether the target has the column that `entry` was carried for."""
    return any(_is_column(entry, name, hop) for name in hop.target.schema.names)


def _left(batch: Batch, columns: Columns, hop: Hop) -> Iterator[tuple[Carried, CarriedValues]]:
    """Yield what the hop drops and what it converts, as the source had it."""
    everywhere = np.ones(batch.rows, np.bool_)
    everywhere.flags.writeable = False
    owner = hop.source.version
    for name in hop.dropped:
        values = batch.columns[name]
        yield Carried(owner, name, values.dtype.str), CarriedValues(values, everywhere)
    for name, origin in hop.columns.items():
        if isinstance(origin, Converted):
            values, image = batch.columns[origin.source], columns[name]
            entry = Carried(owner, origin.source, values.dtype.str, Image(hop.target.version, name, image.dtype.str))
            # The column is going to be written, its image must not be.
            yield entry, CarriedValues(values, everywhere, image.copy())


def _overlaid(below: Array, above: Array, where: Mask) -> Array:
    """Return `above` where `where` holds, `below` elsewhere, bit for bit; uncopied if that is everywhere."""
    return above if where.all() else np.where(where, above, below)


def _bits(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")
