"""What happens to the values of one column on its way: scaled, cast, recoded, each with its way back.

Every conversion takes an array of its dtype `source` and returns a new one of its dtype `target`. None of
them raises or warns for any value: what a dtype cannot hold saturates, and NaN becomes 0 where there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from grove_core.author.schema import Array, Scalar

DType = np.dtype[Any]


def cast(values: Array, dtype: DType) -> Array:
    """Cast to `dtype`; a new array, or `values` itself where it has that dtype.

    To integers: the nearest one, even where two are as near; out of range saturates; NaN becomes 0.
    To floats: finite values stay finite, infinities and NaN stay what they are.
    To booleans: what is not 0 is True, and NaN is False.
    """
    if values.dtype == dtype:
        return values
    with np.errstate(all="ignore"):
        if dtype.kind == "b":
            truth: Array = (values != 0) & (values == values)
            return truth
        if dtype.kind == "f":
            return _to_float(values, dtype)
        return _float_to_int(values, dtype) if values.dtype.kind == "f" else _to_int(values, dtype)


def _to_float(values: Array, dtype: DType) -> Array:
    if values.dtype.kind == "f" and values.dtype.itemsize < dtype.itemsize:
        return values.astype(dtype)
    if values.dtype.kind != "f" and dtype.itemsize > 2:
        return values.astype(dtype)
    wide = values.astype(np.float64)
    highest = float(np.finfo(dtype).max)
    return np.where(np.isfinite(wide), np.clip(wide, -highest, highest), wide).astype(dtype)


def _float_to_int(values: Array, dtype: DType) -> Array:
    bounds = np.iinfo(dtype)
    # A float64 does not hold 2**63 - 1: the highest is the power of two above it, and is no longer cast.
    lowest, highest = float(bounds.min), float(bounds.max)
    wide = np.rint(values.astype(np.float64))
    out = np.where((wide >= lowest) & (wide < highest), wide, 0.0).astype(dtype)
    out[wide < lowest] = bounds.min
    out[wide >= highest] = bounds.max
    return out


def _to_int(values: Array, dtype: DType) -> Array:
    if values.dtype.kind != "b":
        have, want = np.iinfo(values.dtype), np.iinfo(dtype)
        values = np.clip(values, max(have.min, want.min), min(have.max, want.max))
    return values.astype(dtype)


def holds(dtype: DType, value: object) -> bool:
    """Tell whether a column of `dtype` can hold `value`: exactly, or for floats as a nearest one."""
    if not isinstance(value, bool | int | float):
        return False
    try:
        with np.errstate(all="ignore"):
            held = np.array([value], dtype)[0]
        if dtype.kind == "f":
            return bool(np.isfinite(held)) or not math.isfinite(value)
        return bool(held == value)
    except (ValueError, OverflowError):
        return False


@dataclass(frozen=True)
class Scaling:
    """value * factor + offset, in float64."""

    source: DType
    target: DType
    factor: float
    offset: float

    def apply(self, values: Array) -> Array:
        """Return the scaled values."""
        with np.errstate(all="ignore"):
            return cast(values.astype(np.float64) * self.factor + self.offset, self.target)

    def inverse(self) -> Unscaling:
        """Return the way back."""
        return Unscaling(self.target, self.source, self.factor, self.offset)


@dataclass(frozen=True)
class Unscaling:
    """(value - offset) / factor, in float64: the way back of a `Scaling`."""

    source: DType
    target: DType
    factor: float
    offset: float

    def apply(self, values: Array) -> Array:
        """Return the values as they were before they were scaled."""
        with np.errstate(all="ignore"):
            return cast((values.astype(np.float64) - self.offset) / self.factor, self.target)

    def inverse(self) -> Scaling:
        """Return the way there."""
        return Scaling(self.target, self.source, self.factor, self.offset)


@dataclass(frozen=True)
class Casting:
    """The same value in another dtype, as `cast` says."""

    source: DType
    target: DType

    def apply(self, values: Array) -> Array:
        """Return the cast values."""
        return cast(values, self.target)

    def inverse(self) -> Casting:
        """Return the cast back."""
        return Casting(self.target, self.source)


@dataclass(frozen=True)
class Recoding:
    """Each value that is one of `keys` becomes the code at its place; the others stay as they are.

    Where a key stands twice the first counts, so that swapping both sides gives the way back.
    """

    source: DType
    keys: tuple[Scalar, ...]
    codes: tuple[Scalar, ...]

    @property
    def target(self) -> DType:
        """The dtype does not change."""
        return self.source

    def apply(self, values: Array) -> Array:
        """Return the codes: one pass a code, of which there are few."""
        out = values.copy()
        with np.errstate(all="ignore"):
            for key, code in zip(reversed(self.keys), reversed(self.codes), strict=True):
                # NaN equals nothing, itself included.
                mask = values != values if key != key else values == np.array(key, self.source)
                np.copyto(out, np.array(code, self.source), where=mask)
        return out

    def inverse(self) -> Recoding:
        """Return the way back: the first key with a code."""
        return Recoding(self.source, self.codes, self.keys)


Conversion = Scaling | Unscaling | Casting | Recoding
