"""Chance that is the same wherever it is asked for: by seed, entity and tick, and by nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = (1 << 64) - 1


def drawn(seed: int, ids: NDArray[np.int64], tick: int, rate: float) -> NDArray[np.bool_]:
    """Tell for each entity whether something that has this probability befalls it in this tick; shape (n,).

    The numbers are SplitMix64's (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), from
    where seed and tick lead.
    """
    if rate <= 0:
        return np.zeros(len(ids), np.bool_)
    start = _mixed(seed * _GOLDEN + _mixed(tick * _GOLDEN & _WORD) & _WORD)
    bits = ids.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(start)
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(_FIRST)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(_SECOND)
    bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(11)) * 2.0**-53 < rate


def _mixed(word: int) -> int:
    """Mix one number, as above."""
    word = (word ^ word >> 30) * _FIRST & _WORD
    word = (word ^ word >> 27) * _SECOND & _WORD
    return word ^ word >> 31
