"""Columns that functions make: what is run, over which rows, and what comes back from what rows carry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from grove_core.base.errors import MigrationRefused
from grove_core.migration.carried import Batch, Kept, Mask, carried_before, dropped_before, originals, overlaid
from grove_core.migration.plan import Absent, Hop, Joint, LensFunction, MigratorFunction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grove_core.author.schema import Array, Columns


class Runner(Protocol):
    """Runs the functions on the way of rows, and believes nothing of what they return."""

    def __call__(self, hop: Hop, joint: Joint, takes: Columns, rows: int) -> Columns:
        """Run `joint.there` over whole columns.

        Args:
            hop: which hop it is part of.
            joint: the function, and the target's columns that it gives.
            takes: the function's name for a column -> values; they are not written.
            rows: how many values each has, at least one.

        Returns:
            The function's name for a column -> values in the target's dtype, of as many rows. All names of a
            `Map`; of a migrator those that it returned.

        Raises:
            GroveError: it could not be run, or what came back does not fit.
        """
        ...


OpenRunner = Callable[[], AbstractContextManager[Runner]]
"""Gives a runner for as long as one way takes: what it starts for one function serves the next ones, and then ends."""


def nobody() -> AbstractContextManager[Runner]:
    """Give a runner that refuses: for ways without functions."""
    return nullcontext(_refuse)


def _refuse(hop: Hop, joint: Joint, takes: Columns, rows: int) -> Columns:
    raise MigrationRefused(
        f"the way from {hop.source.version} to {hop.target.version} runs functions, and nobody is here to run them",
        module=hop.module,
        version=hop.target.version,
    )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a joint: the target's columns, and which columns are to be carried for which others."""

    columns: Columns
    consumed: tuple[str, ...]
    """Columns of the source that the target does not have as they were."""
    images: tuple[str, ...]
    """Columns of the target that they became."""


def carry_out(joint: Joint, batch: Batch, hop: Hop, run: Runner) -> Outcome:
    """Make the columns of a joint.

    Raises:
        GroveError: as `run` does.
    """
    match joint.there:
        case LensFunction():
            return _map(joint, batch, hop, run)
        case MigratorFunction():
            return _migrate(joint, batch, hop, run)
        case Absent():
            return _force(joint, batch, hop)


def _map(joint: Joint, batch: Batch, hop: Hop, run: Runner) -> Outcome:
    """Run a function of a Map over the rows that do not come back from what they carry."""
    sources = joint.takes.values()
    kept = {name: originals(name, sources, batch, hop) for name in joint.gives.values()}
    needed = ~_everywhere(kept.values(), batch.rows)
    rows = int(needed.sum())
    made: Columns = {}
    if rows == batch.rows > 0:
        made = run(hop, joint, {name: batch.columns[column] for name, column in joint.takes.items()}, rows)
    elif rows:
        some = run(hop, joint, {name: batch.columns[column][needed] for name, column in joint.takes.items()}, rows)
        made = {name: _spread(values, needed) for name, values in some.items()}
    columns = {}
    for name, column in joint.gives.items():
        below = made[name] if made else np.zeros(batch.rows, hop.target.schema[column].dtype)
        columns[column] = overlaid(below, kept[column])
    return Outcome(columns, tuple(sources), tuple(columns))


def _migrate(joint: Joint, batch: Batch, hop: Hop, run: Runner) -> Outcome:
    """Run a migrator over all rows; what it does not return passes, or comes back, or gets its default."""
    before, target = hop.source.schema.dtypes, hop.target.schema
    returned = run(hop, joint, batch.columns, batch.rows) if batch.rows and joint.gives else {}
    columns: Columns = {}
    for name, dtype in target.dtypes.items():
        kept = originals(name, (), batch, hop)
        if name in returned:
            # What nothing was made of cannot have been changed.
            columns[name] = overlaid(returned[name], [*dropped_before(name, batch, hop), *kept])
        elif name in before and before[name] == dtype:
            columns[name] = overlaid(batch.columns[name], kept)
        else:
            default = np.full(batch.rows, target[name].column.default, dtype)
            columns[name] = overlaid(default, [*carried_before(name, batch, hop), *kept])
    consumed = (name for name in before if columns.get(name) is not batch.columns[name])
    return Outcome(columns, tuple(consumed), tuple(returned))


def _force(joint: Joint, batch: Batch, hop: Hop) -> Outcome:
    """Take what was carried for each column, else its default: nobody wrote a function.

    Where a migrator would have been asked, a column that both versions have passes, as it does there.
    """
    before = hop.source.schema.dtypes if isinstance(joint.back, MigratorFunction) else {}
    columns: Columns = {}
    for name in joint.gives.values():
        spec = hop.target.schema[name]
        kept = originals(name, joint.takes.values(), batch, hop)
        if before.get(name) == spec.dtype:
            columns[name] = overlaid(batch.columns[name], kept)
        else:
            default = np.full(batch.rows, spec.column.default, spec.dtype)
            columns[name] = overlaid(default, [*carried_before(name, batch, hop), *kept])
    consumed = (name for name in joint.takes.values() if columns.get(name) is not batch.columns[name])
    became = (name for name, values in columns.items() if values is not batch.columns.get(name))
    return Outcome(columns, tuple(consumed), tuple(became))


def _everywhere(kept: Iterable[list[Kept]], rows: int) -> Mask:
    """Tell in which rows every column comes back."""
    whole = np.ones(rows, np.bool_)
    for column in kept:
        here = np.zeros(rows, np.bool_)
        for each in column:
            here |= each.where
        whole &= here
    return whole


def _spread(values: Array, where: Mask) -> Array:
    """Put values where they belong; the other rows are laid over."""
    spread = np.zeros(len(where), values.dtype)
    spread[where] = values
    return spread
