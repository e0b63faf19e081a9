"""The router of the specification: `id % 100` against the cumulative weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.parts.contracts import Population

BUCKETS = 100


class Modulo:
    """Sends an entity to the first version whose cumulative weight lies above `id % 100 / 100`.

    It is exact only for 100 consecutive ids and weights that are whole percents; ids that are all multiples
    of 100 go to one version. The quota is not looked at. Negative ids count as in Python: -1 % 100 is 99.
    """

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return for each entity the index of its version."""
        # Rounded, so that 0.1 + 0.2 ends at bucket 30; the last version takes what rounding leaves.
        ends = np.round(np.cumsum(population.weights[:-1]) * BUCKETS, 9)
        table = np.searchsorted(ends, np.arange(BUCKETS), side="right").astype(np.int32)
        return table[population.ids % BUCKETS]
