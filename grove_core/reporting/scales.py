"""From values to places: ranges with round ends, their ticks, and figures as people write them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

TICKS: Final = 4
"""At most so many steps an axis of values has, beside what its ends are rounded by."""
TIMES: Final = 8
"""At most so many steps an axis of times has."""


@dataclass(frozen=True)
class Scale:
    """A range of values, drawn from 0 to 1."""

    low: float
    high: float
    ticks: tuple[float, ...]
    step: float
    """How far apart ticks are."""

    def place(self, value: float) -> float:
        """Return where a value is drawn: 0 at the low end, 1 at the high one."""
        return (value - self.low) / (self.high - self.low)

    def places(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same for many; a NaN has none."""
        return (values - self.low) / (self.high - self.low)


def spanning(low: float, high: float) -> Scale:
    """Return the scale from `low` to `high`, with ticks at round values between them; one value gets room around."""
    low, high = _apart(low, high)
    step = _step((high - low) / TIMES)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return Scale(low, high, tuple(step * count for count in range(first, last + 1)), step)


def around(values: Iterable[float], zero: bool) -> Scale:
    """Return a scale whose ends are round and have all values between them; and 0 if that is said."""
    every = [*values, *([0.0] if zero else [])]
    low, high = min(every, default=0.0), max(every, default=1.0)
    if low == high == 0:
        high = 1.0
    low, high = _apart(low, high)
    step = _step((high - low) / TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Scale(step * first, step * last, tuple(step * count for count in range(first, last + 1)), step)


def written(value: float, step: float) -> str:
    """Write a tick's value with as many decimals as its step needs."""
    if value and abs(value) >= 1e6:
        return f"{value / 1e6:,.{_decimals(step / 1e6)}f}M"
    if step < 1e-6:
        return f"{value:.3g}"
    text = f"{value:,.{_decimals(step)}f}"
    return text.removeprefix("-") if not float(text.replace(",", "")) else text


def duration(seconds: float) -> str:
    """Write how long something took: 0.35 s, 12.4 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return two ends that differ by enough for a float to tell what is between them."""
    least = max(abs(low), abs(high)) * 1e-9 or 1e-9
    if high - low >= least:
        return low, high
    room = max(abs(low) * 0.5, 0.5)
    return low - room, high + room


def _step(about: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(about))
    return next((power * factor for factor in (1, 2, 5) if about <= power * factor * (1 + 1e-9)), power * 10)


def _decimals(step: float) -> int:
    return max(0, min(9, -math.floor(math.log10(step) + 1e-9)))
