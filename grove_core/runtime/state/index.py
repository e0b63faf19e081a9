"""Where an id is: lookups over the tables of one module."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grove_core.base.errors import DuplicateEntity, OutOfMemory, UnknownEntity
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.state import LoadedVersion, ModuleState


def find(
    state: ModuleState, ids: NDArray[np.int64]
) -> Iterator[tuple[LoadedVersion, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for each version that has some: the version, their positions in `ids`, their rows.

    Raises:
        UnknownEntity: an id is not alive; before anything is yielded.
        DuplicateEntity: an id stands twice.
    """
    refuse_twice(state, ids)
    places = [(loaded, rows_of(loaded.table, ids)) for loaded in state.ordered]
    missing = np.ones(len(ids), np.bool_)
    for _, rows in places:
        missing &= rows < 0
    if missing.any():
        raise UnknownEntity(
            f"{int(missing.sum())} of {len(ids)} ids are not alive, the first is {ids[missing][0]}",
            module=state.name,
        )
    for loaded, rows in places:
        positions = np.flatnonzero(rows >= 0)
        if len(positions):
            yield loaded, positions, rows[positions]


def refuse_twice(state: ModuleState, ids: NDArray[np.int64]) -> None:
    """Raise `DuplicateEntity` if an id stands twice in one call."""
    if len(ids) > 1:
        ordered = np.sort(ids)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise DuplicateEntity(f"the id {twice[0]} stands twice in one call", module=state.name)


def refuse_alive(state: ModuleState, ids: NDArray[np.int64]) -> None:
    """Raise `DuplicateEntity` if an id stands twice or lives already."""
    refuse_twice(state, ids)
    for loaded in state.ordered:
        rows = rows_of(loaded.table, ids)
        if (rows >= 0).any():
            raise DuplicateEntity(
                f"the id {ids[rows >= 0][0]} lives already; despawn it first, or leave `id` out to be given one",
                module=state.name,
                version=loaded.version,
            )


def new_ids(state: ModuleState, count: int) -> NDArray[np.int64]:
    """Give out ids that nobody has: counting up, past every id that is alive there."""
    while True:
        if state.next_id > np.iinfo(np.int64).max - count:
            raise OutOfMemory("ids are used up; give them yourself with `id=`", module=state.name)
        ids = np.arange(state.next_id, state.next_id + count, dtype=np.int64)
        taken = [rows_of(loaded.table, ids) >= 0 for loaded in state.ordered]
        used = np.logical_or.reduce(taken) if taken else np.zeros(count, np.bool_)
        state.next_id += count
        if not used.any():
            return ids
        state.next_id = int(ids[used].max()) + 1
