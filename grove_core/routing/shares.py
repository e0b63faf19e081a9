"""How many entities each version gets, and the keys that say in which order entities are taken.

Counts are exact: the largest remainders get what rounding down leaves, ties go to what stands first.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from grove_core.base.errors import InvalidInput, InvalidWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

KEYS_VERSION = 1
"""The number of the way in which `salt` and `keys` hash. Keys of different numbers do not compare."""

_DENOMINATOR = 10**9
"""A weight is read as the simplest fraction up to this denominator: 1/3 is a third, 0.1 + 0.2 is 3/10."""
_BLOCK = 1 << 13
"""So many keys are hashed at a time: they and what is in between stay in the cache."""
_UNIT = 10**9
"""Shares are rounded to this part of an entity before their remainders are compared."""


def quotas(weights: Sequence[float], population: int) -> NDArray[np.int64]:
    """Share `population` entities out by weight: one count a weight, their sum is `population`.

    The weights count in proportion to each other; a version of weight 0 gets nothing.

    Raises:
        InvalidWeights: there is none, one is negative or not finite, or all are 0.
    """
    if not weights or not all(math.isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise InvalidWeights(f"weights must be finite, at least 0 and not all 0, not {list(weights)!r}")
    exact = [_simplest(float(w)) for w in weights]
    # Weights that are all below the smallest fraction are taken as they are.
    exact = exact if any(exact) else [Fraction(float(w)) for w in weights]
    whole = sum(exact)
    shares = [divmod(round(part * population * _UNIT / whole), _UNIT) for part in exact]
    counts = [count for count, _ in shares]
    by_remainder = sorted(range(len(shares)), key=lambda position: -shares[position][1])
    for position in by_remainder[: population - sum(counts)]:
        counts[position] += 1
    return np.array(counts, np.int64)


@lru_cache(maxsize=1024)
def _simplest(weight: float) -> Fraction:
    return Fraction(weight).limit_denominator(_DENOMINATOR)


def with_pins(
    weights: Sequence[float], pinned_counts: ArrayLike, total: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Share `total` entities out where some are pinned: pins count towards the quota.

    A version with more pins than its share keeps them, and the others share the rest by their weights.

    Returns:
        The quota of each version for the entities that are not pinned, and its excess: by how many pins it
        is over its share.

    Raises:
        InvalidWeights: see `quotas`.
        InvalidInput: there are more pins than entities.
    """
    pinned = np.asarray(pinned_counts, np.int64)
    if pinned.sum() > total:
        raise InvalidInput(f"{pinned.sum()} entities are pinned, but there are only {total}")
    share = quotas(weights, total)
    excess = np.maximum(pinned - share, 0)
    free = np.arange(len(share))
    while (over := pinned[free] > share[free]).any():
        share[free[over]] = pinned[free[over]]
        free = free[~over]
        rest = total - int(share.sum() - share[free].sum())
        share[free] = quotas([weights[position] for position in free.tolist()], rest)
    return share - pinned, excess


def for_births(weights: Sequence[float], counts: ArrayLike, births: int) -> NDArray[np.int64]:
    """Share `births` new entities out where each version has `counts`, and none of these may move.

    They fill the largest deficits first, down to one level; ties go to what stands first.

    Returns:
        The quota of each version for the new entities; their sum is `births`.

    Raises:
        InvalidWeights: see `quotas`.
    """
    present = np.asarray(counts, np.int64)
    deficits = np.maximum(quotas(weights, int(present.sum()) + births) - present, 0)
    level = _level(deficits, births)
    given: NDArray[np.int64] = np.maximum(deficits - level, 0)
    at_level = np.flatnonzero((deficits >= level) & (deficits > 0))
    given[at_level[: births - int(given.sum())]] += 1
    return given


def salt(module: str) -> np.uint64:
    """Return the salt of a module's keys: the same on any machine."""
    return np.uint64(int.from_bytes(blake2b(module.encode(), digest_size=8).digest(), "little"))


def keys(ids: NDArray[np.int64], salt: np.uint64) -> NDArray[np.uint64]:
    """Return the key of each id, its splitmix64 hash with `salt`; distinct ids have distinct keys."""
    hashed = np.empty(len(ids), np.uint64)
    shifted = np.empty(min(_BLOCK, len(ids)), np.uint64)
    values = np.asarray(ids, np.int64).view(np.uint64)
    for start in range(0, len(ids), _BLOCK):
        z = hashed[start : start + _BLOCK]
        high = shifted[: len(z)]
        np.bitwise_xor(values[start : start + _BLOCK], salt, out=z)
        z += np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z ^= np.right_shift(z, np.uint64(shift), out=high)
            z *= np.uint64(factor)
        z ^= np.right_shift(z, np.uint64(31), out=high)
    return hashed


def _level(deficits: NDArray[np.int64], births: int) -> int:
    """Return the lowest level down to which `births` can fill every deficit."""
    low, high = 0, int(deficits.max())
    while low < high:
        middle = (low + high) // 2
        if int(np.maximum(deficits - middle, 0).sum()) <= births:
            high = middle
        else:
            low = middle + 1
    return low
