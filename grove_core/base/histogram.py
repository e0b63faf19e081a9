"""Many values in a few counters: quantiles to within 1%, and the same answer however they were gathered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

RATIO: Final = 1.02
"""How much wider each bucket is than the one before: the middle of a bucket is within 1% of all its values."""
LEAST: Final = 1e-6
"""Values closer to 0 than this are 0."""
MOST: Final = 1e12
"""Values beyond this are counted as this."""
_LOG = math.log(RATIO)
SIDE: Final = math.ceil(math.log(MOST / LEAST) / _LOG)
"""How many buckets the positive values have, and as many the negative ones; one more is for 0."""


class Histogram:
    """Counts of values in buckets whose width grows with the value, below 0, at 0 and above.

    Buckets are those of DDSketch (Masson, Rim and Lee, "DDSketch", VLDB 2019, arXiv 1908.10693) without its collapsing:
    what is counted apart and added up is what was counted together, and what came since is a difference.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: NDArray[np.int64] | None = None) -> None:
        self.counts: NDArray[np.int64] = np.zeros(2 * SIDE + 1, np.int64) if counts is None else counts
        """int64, the lowest values first."""

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Count values."""
        made = cls()
        made.add(np.asarray(values, np.float64))
        return made

    def count(self, value: float) -> None:
        """Count one finite value."""
        self.counts[_bucket(value)] += 1

    def add(self, values: NDArray[np.float64]) -> None:
        """Count finite values, of shape (n,)."""
        if len(values) == 1:
            self.count(float(values[0]))
        elif len(values):
            self.counts += np.bincount(_buckets(values), minlength=len(self.counts))

    def copy(self) -> Histogram:
        """Return what it is now."""
        return Histogram(self.counts.copy())

    def since(self, before: Histogram) -> Histogram:
        """Return what came after `before`, which is a copy of this one from an earlier time."""
        return Histogram(self.counts - before.counts)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def quantile(self, quantile: float) -> float | None:
        """Return the value below which this part (0 to 1) of all lies, to within 1%; None of none."""
        upto = np.cumsum(self.counts)
        if not upto[-1]:
            return None
        rank = min(int(upto[-1]) - 1, math.floor(quantile * int(upto[-1])))
        return _middle(int(np.searchsorted(upto, rank, side="right")))

    @property
    def mean(self) -> float | None:
        """The mean of all values, to within 1% where all are of one sign; None of none."""
        total = self.total
        return float(self.counts @ _MIDDLES) / total if total else None

    def buckets(self) -> dict[int, int]:
        """Return the counts of those buckets that have values, the lowest first: what is written of it."""
        filled = np.flatnonzero(self.counts)
        return dict(zip(filled.tolist(), self.counts[filled].tolist(), strict=True))

    @classmethod
    def of_buckets(cls, buckets: Mapping[int, int]) -> Self:
        """Return what `buckets` was written of.

        Raises:
            ValueError: there is no such bucket.
        """
        made = cls()
        if buckets:
            numbers = np.fromiter(buckets, np.int64, len(buckets))
            if not 0 <= numbers.min() <= numbers.max() < len(made.counts):
                raise ValueError(f"buckets are numbered from 0 to {len(made.counts) - 1}")
            made.counts[numbers] = np.fromiter(buckets.values(), np.int64, len(buckets))
        return made

    def filled(self) -> Iterator[tuple[float, int]]:
        """Yield the middle and the count of each bucket that has values, the lowest first."""
        for bucket in np.flatnonzero(self.counts):
            yield _middle(int(bucket)), int(self.counts[bucket])


def _bucket(value: float) -> int:
    size = abs(value)
    if size < LEAST:
        return SIDE
    place = min(SIDE - 1, int(math.log(size / LEAST) / _LOG))
    return SIDE + 1 + place if value > 0 else SIDE - 1 - place


def _buckets(values: NDArray[np.float64]) -> NDArray[np.int64]:
    size = np.abs(values)
    place = np.minimum(np.log(np.maximum(size, LEAST) / LEAST) / _LOG, SIDE - 1).astype(np.int64) + 1
    place[size < LEAST] = 0
    buckets: NDArray[np.int64] = SIDE + np.where(values < 0, -place, place)
    return buckets


def _middle(bucket: int) -> float:
    if bucket == SIDE:
        return 0.0
    place = abs(bucket - SIDE) - 1
    return math.copysign(LEAST * RATIO ** (place + 0.5), bucket - SIDE)


_MIDDLES = np.array([_middle(bucket) for bucket in range(2 * SIDE + 1)])
