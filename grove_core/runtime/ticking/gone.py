"""Rows that leave their version after they had their tick: what they were before it, should it be taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID
from grove_core.migration.rows import Batch, migrate
from grove_core.runtime.rows.moves import extract
from grove_core.runtime.state.state import LoadedVersion, ModuleState


@dataclass(frozen=True)
class Gone:
    """Rows of a version as they were before a tick. They have no generation where they went to."""

    state: ModuleState
    version: Version
    """Whose columns they are."""
    ids: NDArray[np.int64]
    rows: Batch


def before_tick(state: ModuleState, loaded: LoadedVersion, number: int) -> Gone | None:
    """Copy what the rows of a version were before a tick; None if it had none."""
    snapshot = loaded.generations.of(number)
    if snapshot.tick != number or not snapshot.count:
        return None
    now = extract(loaded, slice(0, snapshot.count))
    were = {spec.name: snapshot[spec.name].copy() for spec in loaded.schema.specs if not spec.constant}
    return Gone(state, loaded.version, snapshot[ID].copy(), replace(now, columns={**now.columns, **were}))


def give_back(gone: Gone) -> None:
    """Write rows as they were before the tick, wherever they are by now.

    Raises:
        GroveError: a function of an author's on the way could not be run; nothing is written.
    """
    state = gone.state
    for loaded in state.ordered:
        at = loaded.directory.rows(loaded.table, gone.ids)
        there = np.flatnonzero(at >= 0)
        if loaded.version == gone.version or not there.size:
            continue
        were = migrate(gone.rows, state.graph.path(gone.version, loaded.version), state.open_runner)
        rows = at[there]
        for spec in loaded.schema.specs:
            if not spec.constant:
                loaded.table[spec.name][rows] = were.columns[spec.name][there]
        for carried, names in loaded.store.carried.items():
            values = were.carried.get(carried)
            if values is not None:
                loaded.table[names.value][rows] = values.value[there]
                loaded.table[names.valid][rows] = values.valid[there]
                if names.image is not None and values.image is not None:
                    loaded.table[names.image][rows] = values.image[there]
