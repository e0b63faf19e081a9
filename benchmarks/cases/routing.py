"""What the exact quota costs, before anything is moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from benchmarks.figures import Samples, Series, Taken, Unit, Who, taken
from benchmarks.measuring import clocked, sample
from benchmarks.plan import Plan
from grove_core.parts.contracts import NEW, Population
from grove_core.routing.quota import Quota
from grove_core.routing.shares import keys, quotas, salt

SPLITS = {
    "quota, three versions": ((0.6, 0.3, 0.1), (0.5, 0.3, 0.2)),
    "quota, canary": ((1.0, 0.0), (0.8, 0.2)),
}
"""From which weights to which, for entities that were born under the first ones."""
SALT = salt("benchmarks")


def quota(plan: Plan, entities: int) -> Iterator[Taken]:
    """Hash the ids and route them; by hand, hash them and partition all of them at the same bounds."""
    for case, (before, after) in SPLITS.items():
        ids, nowhere = np.arange(entities), np.full(entities, NEW, np.int32)
        current = Quota().route(_population(ids, nowhere, before), quotas(before, entities))
        samples = _sample(plan, case, ids, current, after)
        per_entity = {series: ms * 1e6 / entities for series, ms in samples.items()}
        yield from taken(per_entity, entities, Unit.NS_PER_ENTITY)


def _sample(
    plan: Plan, case: str, ids: NDArray[np.int64], current: NDArray[np.int32], weights: Sequence[float]
) -> dict[Series, Samples]:
    counts = quotas(weights, len(ids))
    return sample(
        plan.box,
        clocked(Series(case), lambda: Quota().route(_population(ids, current, weights), counts)),
        clocked(Series(case, Who.NUMPY), lambda: _by_hand(ids, counts)),
    )


def _population(ids: NDArray[np.int64], current: NDArray[np.int32], weights: Sequence[float]) -> Population:
    versions = tuple(Version(str(major)) for major in range(1, len(weights) + 1))
    born, nowhere = np.zeros(len(ids), np.int64), np.full(len(ids), NEW, np.int32)
    return Population(versions, tuple(weights), ids, keys(ids, SALT), current, born, nowhere)


def _by_hand(ids: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int32]:
    target = np.empty(len(ids), np.int32)
    target[np.argpartition(keys(ids, SALT), np.cumsum(counts)[:-1])] = np.repeat(np.arange(len(counts)), counts)
    return target
