"""The stateless router: a key's place in [0, 1) against the cumulative weights."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.parts.contracts import Population

BLOCK = 1 << 14
"""Keys that are looked at together: 128 KiB of them stay in the cache while they meet every boundary."""


class Hashed:
    """Sends an entity to the first version whose cumulative weight lies above key / 2**64.

    It needs nothing but the key, so anybody can compute where an entity belongs. The quota is not looked at: a
    version of weight w gets n * w of n entities in expectation only, with a standard deviation of
    sqrt(n * w * (1 - w)): 3 where it is to get 10 of 100, 95 where it is to get 10,000 of 100,000. When weights change,
    entities move whose keys a boundary passes, and nobody else: with two versions the fewest that can, with three up
    to twice as many (0.6, 0.3, 0.1 -> 0.5, 0.3, 0.2 moves both boundaries).
    """

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return for each entity the index of its version."""
        weighty = [index for index, weight in enumerate(population.weights) if weight > 0]
        sums = accumulate(population.weights[index] for index in weighty[:-1])
        # Rounded, so that 0.1 + 0.2 ends where 0.3 does; the last version takes what rounding leaves.
        ends = np.array([min(int(round(end, 9) * 2**64), 2**64 - 1) for end in sums], np.uint64)
        passed = np.zeros(len(population.keys), np.intp)
        for start in range(0, len(passed), BLOCK):
            keys, here = population.keys[start : start + BLOCK], passed[start : start + BLOCK]
            for end in ends:
                here += keys >= end
        return np.array(weighty, np.int32)[passed]
