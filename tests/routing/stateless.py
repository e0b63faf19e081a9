"""Populations for routers that look at nothing but keys, versions and weights, and how far their shares may stray."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.parts.contracts import NEW, Population, Router
from grove_core.routing.shares import keys, salt

VERSIONS = tuple(Version(text) for text in ("1.0.0", "2.0.0", "3.0.0", "10.1"))
CHI_SQUARE = {1: 24.0, 2: 27.7, 3: 30.7}
"""Degrees of freedom -> what chi-square exceeds once in a million times. The keys below never change, so a test
that passes once always passes: the bound only says that passing means something."""


def key_array(count: int, module: str = "gamelogic") -> NDArray[np.uint64]:
    """Return the keys of the ids 0, 1, 2 ... as the engine makes them."""
    return keys(np.arange(count), salt(module))


def asked(
    keys: Sequence[int] | NDArray[np.uint64], weights: Sequence[float], versions: Sequence[Version] = VERSIONS
) -> Population:
    """Return a population of newborns with these keys; weights are normalised."""
    array = np.array(keys, np.uint64)
    none = np.full(len(array), NEW, np.int32)
    return Population(
        versions=tuple(versions[: len(weights)]),
        weights=tuple(weight / sum(weights) for weight in weights),
        ids=np.arange(len(array)),
        keys=array,
        current=none,
        arrival=np.zeros(len(array), np.int64),
        origin=none,
    )


def route(router: Router, population: Population) -> NDArray[np.int32]:
    """Route by a router that does not look at the quota: it is given one that nothing could meet."""
    return router.route(population, np.full(len(population.versions), -1, np.int64))


def chi_square(counts: NDArray[np.int64], weights: Sequence[float]) -> float:
    """Return Pearson's chi-square of counts against shares in proportion to weights."""
    expected = np.array(weights) / sum(weights) * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())
