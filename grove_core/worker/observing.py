"""What a version observed in one tick, as it crosses the wire."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grove_core.author.entities import Entities
from grove_core.author.schema import ID
from grove_core.wire.messages import Observation

Given = tuple[NDArray[np.float64], NDArray[np.int64] | None]


def observed(entities: Entities) -> tuple[Observation, ...]:
    """Return what `Module.observe` noted; what was told of one name bit by bit is one."""
    own: dict[str, list[Given]] = {}
    whole: dict[str, list[Given]] = {}
    for name, values, ids in entities._observed:
        kind = whole if ids is not None and not len(ids) else own
        kind.setdefault(name, []).append((values, ids))
    return tuple(_joined(entities, name, given) for kind in (own, whole) for name, given in kind.items())


def _joined(entities: Entities, name: str, given: Sequence[Given]) -> Observation:
    if len(given) == 1:
        values, ids = given[0]
        return Observation(name, values.tobytes(), None if ids is None else ids.tobytes())
    every = np.concatenate([values for values, _ in given])
    whose = np.concatenate([entities[ID] if ids is None else ids for _, ids in given])
    return Observation(name, every.tobytes(), whose.tobytes())
