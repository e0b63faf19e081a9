"""Intervals for what is measured while it is being measured: they hold at every look, not at one that was fixed before.

Each is a confidence sequence: with the probability 1 - alpha the truth lies within it at every time at once, so a table
may be looked at after every tick. The price is width: about twice that of an interval for one look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from grove_core.base.histogram import RATIO, Histogram

ALPHA: Final = 0.05
"""How likely it is at most that the truth ever is outside."""
FEW: Final = 30
"""The mean of fewer values than these has no interval: that one rests on a limit theorem."""
USUAL: Final = 1000.0
"""The interval of a mean is narrowest, for its kind, at so many values."""
_LOG_PRIOR = 2 * math.lgamma(0.5)


class Interval(NamedTuple):
    """From where to where; infinite where nothing is known."""

    low: float
    high: float


UNKNOWN: Final = Interval(-math.inf, math.inf)


def rate_interval(failures: int, trials: int, alpha: float = ALPHA) -> Interval:
    """Return where the rate is of which so many trials failed; 0 to 1 before the first.

    The rates against which a beta-binomial mixture, by Jeffreys' prior, has an e-value below 1 / alpha (Robbins, 1970;
    Lindon and Malek, 2022, arXiv 2011.03567). Of calls it is the rate of the entities that were called: where entities
    differ, and keep their version, other ones would have another. That each has its own makes it no less sure, as long
    as all are called alike (Hoeffding, 1956).
    """
    if not trials:
        return Interval(0.0, 1.0)
    good = trials - failures
    mixture = _mixture(failures, good)

    def excess(rate: float) -> float:
        return mixture - _log_chance(failures, good, rate) + math.log(alpha)

    measured = failures / trials
    low = 0.0 if not failures else _border(excess, outside=0.0, inside=measured)
    high = 1.0 if not good else _border(excess, outside=1.0, inside=measured)
    return Interval(low, high)


def mean_interval(count: int, total: float, squares: float, alpha: float = ALPHA) -> Interval:
    """Return where the mean is of which so many values with this sum, and this sum of squares, were seen.

    An asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences", 2021, arXiv 2103.06476): no bounds on the values are needed, but enough
    of them. Of fewer than `FEW` it is infinite.
    """
    if count < FEW:
        return UNKNOWN
    mean = total / count
    variance = max(0.0, squares / count - mean * mean)
    rho = _narrowest(alpha) / USUAL
    spread = count * rho + 1
    half = math.sqrt(variance * 2 * spread / (count * count * rho) * math.log(math.sqrt(spread) / alpha))
    return Interval(mean - half, mean + half)


def quantile_interval(histogram: Histogram, quantile: float, alpha: float = ALPHA) -> Interval:
    """Return where a quantile (above 0, below 1) is of the values that were counted, to within 1% of its ends.

    Of all values the number that lie below the quantile is one of failures of a known rate, so that the sequence for a
    rate tells between which ranks it is (Howard and Ramdas, "Sequential estimation of quantiles with applications to
    A/B testing and best-arm identification", 2022, arXiv 1906.09712). Infinite where that is beyond what was seen.
    """
    total = histogram.total
    if not total:
        return UNKNOWN
    low, high = _ranks(total, quantile, alpha)
    lowest, highest = -math.inf, math.inf
    if low > 0:
        lowest = _edge(histogram, low, total, -1)
    if high < total:
        highest = _edge(histogram, high + 1, total, +1)
    return Interval(lowest, highest)


def ratio_interval(above: Interval, below: Interval) -> Interval:
    """Return where the ratio is of two things that lie in these intervals.

    It errs with the probability that either does: make each with half the alpha.
    """
    if below.low < 0 or math.isinf(below.low):
        return UNKNOWN
    # The denominator is 0 or more, so the quotient's ends are at the ends; which ones is a matter of the sign.
    low = _quotient(above.low, below.high if above.low >= 0 else below.low, -math.inf)
    high = _quotient(above.high, below.low if above.high >= 0 else below.high, math.inf)
    return Interval(low, high)


def _quotient(above: float, below: float, unknown: float) -> float:
    if math.isinf(above) or below == 0:
        return unknown
    return above / below


def _mixture(failures: int, good: int) -> float:
    """Return the log probability of one order of so many failures and successes, over Jeffreys' prior."""
    return math.lgamma(failures + 0.5) + math.lgamma(good + 0.5) - math.lgamma(failures + good + 1) - _LOG_PRIOR


def _log_chance(failures: int, good: int, rate: float) -> float:
    """Return the same for one rate; at a rate of 0 or 1 too."""
    if (failures and rate <= 0) or (good and rate >= 1):
        return -math.inf
    return (failures * math.log(rate) if failures else 0.0) + (good * math.log1p(-rate) if good else 0.0)


def _border(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Return where `excess` becomes positive on the way from `inside` to `outside`: the last point that is not."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if excess(middle) > 0:
            outside = middle
        else:
            inside = middle
    return outside


def _ranks(total: int, quantile: float, alpha: float) -> tuple[int, int]:
    """Return the lowest and the highest number of values below the quantile that is no surprise."""

    def surprises(below: int) -> bool:
        good = total - below
        return _mixture(below, good) - _log_chance(below, good, quantile) + math.log(alpha) > 0

    expected = round(quantile * total)
    return _last(surprises, expected, 0), _last(surprises, expected, total)


def _last(surprises: Callable[[int], bool], inside: int, end: int) -> int:
    """Return the last number on the way from `inside` to `end` that is no surprise."""
    if not surprises(end):
        return end
    outside = end
    while abs(outside - inside) > 1:
        middle = (outside + inside) // 2
        if surprises(middle):
            outside = middle
        else:
            inside = middle
    return inside


def _edge(histogram: Histogram, rank: int, total: int, side: int) -> float:
    """Return the outer edge, below or above, of the bucket of the value with this rank, the lowest being 1."""
    middle = histogram.quantile((rank - 0.5) / total)
    assert middle is not None
    return middle * math.pow(RATIO, math.copysign(0.5, middle * side))


def _narrowest(alpha: float) -> float:
    """Return rho squared, times the count at which the interval of a mean is to be narrowest."""
    logarithm = -2 * math.log(alpha)
    return logarithm + math.log(logarithm + 1)
