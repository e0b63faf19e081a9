"""Observed values: what they may be called, and what they may be."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grove_core.base.errors import InvalidInput
from grove_core.base.showing import brief

NAME: Final = re.compile("[a-z][a-z0-9_]{0,63}")
"""What they may be called."""
NAMES: Final = 64
"""How many names are counted of one version."""
MOST: Final = 1 << 22
"""How many values a version may observe in one tick."""
LARGEST: Final = 1e100
"""Values are not further from 0 than this: their squares can be added up."""


def read_name(name: object) -> str:
    """Return a name.

    Raises:
        InvalidInput: it is none.
    """
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise InvalidInput(f"an observed value cannot be called {brief(name)}; names are like [a-z][a-z0-9_]*, 64 at most")


def read_values(name: str, given: ArrayLike, count: int | None = None) -> NDArray[np.float64]:
    """Return a copy of numbers as float64, of shape (n,); one number is repeated `count` times, if that is given.

    Raises:
        InvalidInput: they are no finite numbers, or not as many.
    """
    try:
        values = np.asarray(given)
        if values.dtype.kind not in "biuf" and values.size:
            raise TypeError(f"{values.dtype.name} is no number")
        if values.ndim > 1:
            raise ValueError(f"they have {values.ndim} dimensions")
        if values.ndim == 0 and count is not None:
            values = np.broadcast_to(values, count)
        numbers = np.atleast_1d(np.array(values, np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"values of {name} must be numbers, one or a flat sequence: {error}") from None
    refuse_wrong(name, numbers)
    if count is not None and len(numbers) != count:
        raise InvalidInput(f"{len(numbers)} values of {name} are given for {count} entities")
    return numbers


def refuse_wrong(name: str, values: NDArray[np.float64]) -> None:
    """Refuse what is not finite, or too large.

    Raises:
        InvalidInput: one is.
    """
    if len(values) and not max(-values.min(), values.max()) <= LARGEST:  # NaN is neither
        wrong = values[~(np.abs(values) <= LARGEST)]
        raise InvalidInput(f"a value of {name} is {wrong[0]}; values are finite, and within {LARGEST:g} of 0")
