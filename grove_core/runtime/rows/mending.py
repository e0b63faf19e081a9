"""Rows of a generation that break a rule: somebody wrote them between two ticks, where nobody validates.

A version may keep its columns and write them at any time, from a thread for example. The next checkpoint copies that;
the tick after it finds what breaks a rule, and is a fault. Then the rows must not come back as the checkpoint had them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, Schema
from grove_core.base.events import EventKind
from grove_core.memory.generations import Snapshot
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.state import LoadedVersion, ModuleState


def mend(context: Context, state: ModuleState, loaded: LoadedVersion, rows: NDArray[np.int64], tick: int) -> str:
    """Have rows of this tick's generation that break a rule be what they were one generation before.

    A row that was not there then, or broke a rule then as well, stays as it is: no value is invented.

    Args:
        context: where it is told.
        state: the module.
        loaded: whose rows.
        rows: those that are going to be restored.
        tick: the number of this tick, of which there is a generation.

    Returns:
        What was done, to be told; empty if nothing was wrong.
    """
    snapshot, before = loaded.generations.of(tick), loaded.generations.of(tick - 1)
    bad = rows[_broken(snapshot, rows, loaded.schema)]
    if not len(bad):
        return ""
    earlier = np.full(len(bad), -1, np.int64)
    if before.tick == tick - 1:  # an older one holds what was undone, or left, since
        earlier = rows_of(before, snapshot[ID][bad])
        known = np.flatnonzero(earlier >= 0)
        earlier[known[_broken(before, earlier[known], loaded.schema)]] = -1
    good = earlier >= 0
    snapshot.replace_rows(bad[good], before, earlier[good])
    mended, left = int(np.count_nonzero(good)), int(np.count_nonzero(~good))
    context.emit(EventKind.BAD_GENERATION, state.name, loaded.version, tick=tick, mended=mended, left=left)
    return (
        f"{len(bad)} of its rows broke a rule before the tick began, written between two ticks or made by a lens: "
        f"{mended} are as they were a tick earlier, {left} have no good earlier values and stay as they are"
    )


def _broken(snapshot: Snapshot, rows: NDArray[np.int64], schema: Schema) -> NDArray[np.bool_]:
    """Tell which of these rows of a generation break a rule of the schema."""
    broken = np.zeros(len(rows), np.bool_)
    for spec in schema.specs:
        if not spec.constant and spec.column.broken_rule(snapshot[spec.name]):
            broken |= spec.column.breaks(snapshot[spec.name][rows])
    return broken
