"""The router of weighted rendezvous hashing: each entity goes to the version that bids lowest for it.

Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998), for the idea of the highest random
weight; Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (2005), for the logarithmic method, by which
shares are in proportion to weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from packaging.utils import canonicalize_version

from grove_core.routing.shares import keys, salt

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from packaging.version import Version

    from grove_core.parts.contracts import Population

BLOCK = 1 << 13
"""Keys that are looked at together: what is computed of 64 KiB of them stays in the cache."""
TERMS = 7
"""Terms of the logarithm's series; the first that is left out is below 1e-12."""
HALF_ROOT = 0.5**0.5
LN_2 = 0.6931471805599453


class Rendezvous:
    """Sends an entity to the version with the highest score -w / ln(u), u in (0, 1) hashed from key and version.

    It needs nothing but the key and the versions' names: the order of versions, the other entities and the past
    play no part. When a weight grows, only entities that move to that version move, and when a version goes, only
    its own do: the fewest moves that its shares allow. The quota is not looked at: a version of weight w gets
    n * w of n entities in expectation only, with a standard deviation of sqrt(n * w * (1 - w)): 3 where it is to
    get 10 of 100, 95 where it is to get 10,000 of 100,000.
    """

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return for each entity the index of its version."""
        # In the order of versions, not of the population: whoever came first would win a tie.
        bidders = sorted(
            (version, index, version_salt(version), weight)
            for index, (version, weight) in enumerate(zip(population.versions, population.weights, strict=True))
            if weight > 0
        )
        target = np.empty(len(population.keys), np.int32)
        for start in range(0, len(target), BLOCK):
            block, chosen = population.keys[start : start + BLOCK], target[start : start + BLOCK]
            lowest = np.full(len(block), np.inf)
            for _, index, own, weight in bidders:
                bid = exponential(block, own) / weight
                np.copyto(chosen, index, where=bid < lowest)
                np.minimum(lowest, bid, out=lowest)
        return target


def version_salt(version: Version) -> np.uint64:
    """Return what a version's bids are hashed with: the same for texts that mean one version ("1.0" and "1.0.0")."""
    return salt(canonicalize_version(version))


def exponential(block: NDArray[np.uint64], own: np.uint64) -> NDArray[np.float64]:
    """Return for each key -ln(u), where u in (0, 1) is hashed from the key and a version's own salt."""
    hashed = keys(block.view(np.int64), own)
    # 52 bits and a half: both ends of (0, 1) stay out, and nothing is rounded.
    return minus_logarithm(((hashed >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)


def minus_logarithm(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -ln(u), u in (0, 1), to about 1e-12, with the same bits on any machine.

    np.log differs in the last bit from one processor to another, and so would an entity's version. Here are only
    operations that IEEE 754 rounds in one way: u = m * 2**e, and ln(m) = ln(c) + 2 artanh((m - c) / (m + c)),
    by the series of artanh, with c in the middle of [0.5, 1).
    """
    m, e = np.frexp(u)
    s = (m - HALF_ROOT) / (m + HALF_ROOT)
    square = s * s
    series = np.full_like(s, 1 / (2 * TERMS - 1))
    for term in range(TERMS - 2, -1, -1):
        series *= square
        series += 1 / (2 * term + 1)
    return (0.5 - e) * LN_2 - 2 * s * series
