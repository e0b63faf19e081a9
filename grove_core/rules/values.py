"""Values within a rule: a condition or a number, with what makes it of columns.

Integers are worked with in 64 bits, signed or not, where the dtypes say that no value of them can leave these; else
in float64. So no value ever wraps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from grove_core.author.schema import Array
from grove_core.rules.tree import Sign

Run = Callable[[Mapping[str, Array]], Any]
"""Makes a value of columns: an array of one value a row, or, where it reads no column, a scalar."""
Constant = int | float
REAL: np.dtype[Any] = np.dtype(np.float64)
INT64, UINT64 = np.dtype(np.int64), np.dtype(np.uint64)
UFUNCS: Mapping[Sign, Callable[..., Any]] = {
    Sign.ADD: np.add,
    Sign.SUBTRACT: np.subtract,
    Sign.MULTIPLY: np.multiply,
    Sign.DIVIDE: np.true_divide,
    Sign.REMAINDER: np.remainder,
}


@dataclass(frozen=True)
class Truth:
    """A condition."""

    run: Run


@dataclass(frozen=True)
class Number:
    """A number: of a dtype, and, where that is an integer, from `low` to `high`."""

    run: Run
    dtype: np.dtype[Any]
    low: int = 0
    high: int = 0
    constant: Constant | None = None
    """What it is in every row; None where it depends on columns."""

    @classmethod
    def column(cls, name: str, dtype: np.dtype[Any]) -> Self:
        """Return a column as it is."""
        if dtype.kind == "f":
            return cls(lambda columns: columns[name], dtype)
        bounds = np.iinfo(dtype)
        return cls(lambda columns: columns[name], dtype, int(bounds.min), int(bounds.max))

    @property
    def whole(self) -> bool:
        """Whether it is an integer."""
        return self.dtype.kind in "iu"


def constant(value: Constant) -> Number:
    """Return what is the same in every row; a float without a fraction is the integer, where 64 bits hold it."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and _fits(int(value), int(value)):
        value = int(value)
    dtype = _fits(value, value) if isinstance(value, int) else None
    if isinstance(value, int) and dtype is not None:
        return Number(lambda columns: value, dtype, value, value, value)
    real = float(value)
    return Number(lambda columns: real, REAL, constant=real)


def negative(value: Number) -> Number:
    """Return -value."""
    if value.constant is not None:
        return constant(-value.constant)
    return _made(np.negative, -value.high, -value.low, value)


def absolute(value: Number) -> Number:
    """Return abs(value)."""
    if value.constant is not None:
        return constant(abs(value.constant))
    ends = abs(value.low), abs(value.high)
    return _made(np.absolute, 0 if value.low <= 0 <= value.high else min(ends), max(ends), value)


def calculated(sign: Sign, one: Number, other: Number) -> Number:
    """Return what an operator makes of two numbers; what is divided by a constant is not divided by 0."""
    if one.constant is not None and other.constant is not None:
        return constant(_plain(sign, one.constant, other.constant))
    bounds = _bounds(sign, one, other) if one.whole and other.whole else None
    if bounds is None:
        return _real(UFUNCS[sign], one, other)
    return _made(UFUNCS[sign], *bounds, one, other)


def _bounds(sign: Sign, one: Number, other: Number) -> tuple[int, int] | None:
    """Return between what integers an operator's result lies; None where it may be no integer."""
    match sign:
        case Sign.ADD:
            return one.low + other.low, one.high + other.high
        case Sign.SUBTRACT:
            return one.low - other.high, one.high - other.low
        case Sign.MULTIPLY:
            ends = [low * high for low in (one.low, one.high) for high in (other.low, other.high)]
            return min(ends), max(ends)
        case Sign.REMAINDER if other.low > 0:
            return 0, other.high - 1
        case Sign.REMAINDER if other.high < 0:
            return other.low + 1, 0
    return None


def _made(ufunc: Callable[..., Any], low: int, high: int, *values: Number) -> Number:
    """Work in integers where these hold the result and every operand, else in floats."""
    dtype = None
    if all(value.whole for value in values):
        dtype = _fits(min(low, *(value.low for value in values)), max(high, *(value.high for value in values)))
    if dtype is None:
        return _real(ufunc, *values)
    return Number(_call(ufunc, dtype, values), dtype, low, high)


def _real(ufunc: Callable[..., Any], *values: Number) -> Number:
    return Number(_call(ufunc, REAL, values), REAL)


def _call(ufunc: Callable[..., Any], dtype: np.dtype[Any], values: tuple[Number, ...]) -> Run:
    """Return a run of a ufunc in one dtype: an integer one holds every operand, and a cast to floats may round."""
    if len(values) == 1:
        only = values[0].run
        return lambda columns: ufunc(only(columns), dtype=dtype, casting="unsafe")
    one, other = values[0].run, values[1].run
    return lambda columns: ufunc(one(columns), other(columns), dtype=dtype, casting="unsafe")


def _plain(sign: Sign, one: Constant, other: Constant) -> Constant:
    """Work with constants as Python does; where integers leave 64 bits, in floats."""
    match sign:
        case Sign.DIVIDE:
            return float(one) / float(other)
        case Sign.REMAINDER:
            return one % other if math.isfinite(one) else math.nan
        case Sign.ADD:
            return one + other
        case Sign.SUBTRACT:
            return one - other
        case Sign.MULTIPLY:
            return one * other


def _fits(low: int, high: int) -> np.dtype[Any] | None:
    """Return the 64-bit integers that hold this range, or None."""
    for dtype in (INT64, UINT64):
        bounds = np.iinfo(dtype)
        if int(bounds.min) <= low and high <= int(bounds.max):
            return dtype
    return None
