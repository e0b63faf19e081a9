"""Rows on their way from one version to another, and what they carry that a version does not know.

What a hop drops is carried. What it converts is carried too, together with its image: the values that came
out. On the way back a value whose image is still there, bit for bit, was not changed: it takes its original
bits. All of it is column work; nothing is done per row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grove_core.base.errors import InvalidColumns
from grove_core.migration.carried import (
    Batch,
    Carried,
    CarriedValues,
    Image,
    dropped_before,
    live_again,
    originals,
    overlaid,
)
from grove_core.migration.joints import OpenRunner, Outcome, Runner, carry_out, nobody
from grove_core.migration.plan import Added, Converted, Endpoint, Hop, Made, Passed, refuse_irreversible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grove_core.author.schema import Array, Columns
    from grove_core.migration.carried import Mask

__all__ = ["Batch", "Carried", "CarriedValues", "Image", "OpenRunner", "Runner", "migrate", "nobody", "project"]


def migrate(batch: Batch, hops: Iterable[Hop], open_runner: OpenRunner = nobody) -> Batch:
    """Take rows along `hops`; without hops the batch itself.

    Nothing of `batch` is written. The result's arrays may be those of `batch`, where a column passes or is
    carried: nothing is copied that stays as it is. Copy before you write into them. Two columns of the result
    never share memory with each other; the `valid` masks and images of what one hop carries do.

    Args:
        batch: the rows.
        hops: the way.
        open_runner: gives what runs the functions that authors wrote; asked only where a hop has joints.

    Raises:
        InvalidColumns: the columns are not those of the first hop's source.
        MigrationRefused: a function is missing on the way; see `Hop.forced`.
        GroveError: a function could not be run, or gave what does not fit.
    """
    way = tuple(hops)
    if batch.rows:
        refuse_irreversible(way)
    with open_runner() as run:
        for hop in way:
            batch = _hop(batch, hop, run)
    return batch


def project(batch: Batch, hops: Iterable[Hop], open_runner: OpenRunner = nobody) -> Columns:
    """Return the columns as `migrate` gives them: a view of the rows in another version's schema."""
    return migrate(batch, hops, open_runner).columns


def _hop(batch: Batch, hop: Hop, run: Runner) -> Batch:
    _must_fit(batch.columns, hop.source)
    outcomes = [carry_out(joint, batch, hop, run) for joint in hop.joints]
    columns = {name: _arrived(name, batch, hop, outcomes) for name in hop.columns}
    carried = {entry: values for entry, values in batch.carried.items() if not live_again(entry, hop)}
    carried.update(_left(batch, columns, hop, outcomes))
    return Batch(batch.rows, columns, carried)


def _must_fit(columns: Columns, source: Endpoint) -> None:
    have = {name: values.dtype for name, values in columns.items()}
    if have != source.schema.dtypes:
        raise InvalidColumns(
            f"the rows have the columns {_listed(have)}; {source.version} has {_listed(source.schema.dtypes)}"
        )


def _listed(dtypes: Mapping[str, np.dtype[np.generic]]) -> str:
    return ", ".join(f"{name} {dtype.name}" for name, dtype in dtypes.items()) or "none"


def _arrived(name: str, batch: Batch, hop: Hop, outcomes: Sequence[Outcome]) -> Array:
    """Return the values of one of the target's columns."""
    match hop.columns[name]:
        case Passed(source):
            return batch.columns[source]
        case Converted(source, conversions):
            result = batch.columns[source]
            for conversion in conversions:
                result = conversion.apply(result)
            return overlaid(result, originals(name, (source,), batch, hop))
        case Added(default):
            result = np.full(batch.rows, default, hop.target.schema[name].dtype)
            return overlaid(result, dropped_before(name, batch, hop))
        case Made(joint):
            return outcomes[joint].columns[name]


def _left(
    batch: Batch, columns: Columns, hop: Hop, outcomes: Iterable[Outcome]
) -> Iterator[tuple[Carried, CarriedValues]]:
    """Yield what the hop drops, converts or consumes, as the source had it."""
    everywhere = np.ones(batch.rows, np.bool_)
    everywhere.flags.writeable = False
    for name in hop.dropped:
        yield _carried(name, batch, hop, everywhere)
    for name, origin in hop.columns.items():
        if isinstance(origin, Converted):
            image = _image((name,), hop)
            yield _carried(origin.source, batch, hop, everywhere, image, image.of(columns))
    for outcome in outcomes:
        if not outcome.images:
            yield from (_carried(name, batch, hop, everywhere) for name in outcome.consumed)
        elif outcome.consumed:
            image = _image(outcome.images, hop)
            became = image.of(columns)
            for name in outcome.consumed:
                yield _carried(name, batch, hop, everywhere, image, became)


def _carried(
    name: str, batch: Batch, hop: Hop, valid: Mask, image: Image | None = None, became: Array | None = None
) -> tuple[Carried, CarriedValues]:
    values = batch.columns[name]
    return Carried(hop.source.version, name, values.dtype.str, image), CarriedValues(values, valid, became)


def _image(names: tuple[str, ...], hop: Hop) -> Image:
    return Image(hop.target.version, names, tuple(hop.target.schema[name].dtype.str for name in names))
