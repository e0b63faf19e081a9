"""A validator: no value may change faster than it can."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from grove_core.base.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.parts.contracts import Commit


STEPS = 4
"""How many rounding steps of a float are let pass: dt, the product and the sum are rounded in the column's dtype."""


class BoundedChange:
    """Refuses a tick in which a column changed by more than so much a second, for any entity.

    A version that has no such column is not asked for it. A float may be some rounding steps beyond: a version
    that goes at exactly the limit keeps it. NaN, where a schema allows it, is no number and has no change.

    Args:
        per_second: column -> the most that a value may change in a second, up or down.
        module: whose columns they are; None for every module's.

    Raises:
        InvalidInput: no column, or a bound that is no finite number of at least 0.
    """

    def __init__(self, per_second: Mapping[str, float], module: str | None = None) -> None:
        if not isinstance(per_second, Mapping) or not per_second:
            raise InvalidInput(f"per_second must map columns to bounds, such as {{x = 300}}, not {per_second!r}")
        for name, bound in per_second.items():
            number = isinstance(bound, int | float) and not isinstance(bound, bool)
            if not (number and math.isfinite(bound) and bound >= 0):
                raise InvalidInput(f"per_second: {name} must have a finite bound of at least 0, not {bound!r}")
        self._bounds = dict(per_second)
        self._module = module

    def refuse(self, commit: Commit) -> str | None:
        """Return which column changed too much, for how many entities, and one of them."""
        if self._module not in (None, commit.module):
            return None
        with np.errstate(invalid="ignore", over="ignore"):
            return self._refused(commit)

    def _refused(self, commit: Commit) -> str | None:
        for name, bound in self._bounds.items():
            if name not in commit.after or commit.after[name] is commit.before[name]:
                continue
            before, after, limit = commit.before[name], commit.after[name], bound * commit.dt
            change = _change(before, after)
            if not float(np.fmax.reduce(change)) > limit:
                continue
            over = np.flatnonzero(_is_over(before, after, change, limit))
            if len(over):
                worst = over[np.argmax(change[over])]
                return (
                    f"{name} changed by {change[worst]} within {commit.dt:g} s for id {commit.ids[worst]}, "
                    f"from {before[worst]} to {after[worst]}; {bound:g} a second are allowed, and "
                    f"{len(over)} of {commit.size} entities are beyond"
                )
        return None


def _change(before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    """Return how far each value is from what it was; that of integers exact, whatever their size."""
    change: NDArray[Any]
    if before.dtype.kind == "f":
        change = np.subtract(after, before)
        np.abs(change, out=change)
    else:
        unsigned = f"u{before.itemsize}"
        change = np.maximum(before, after).view(unsigned) - np.minimum(before, after).view(unsigned)
    return change


def _is_over(before: NDArray[Any], after: NDArray[Any], change: NDArray[Any], limit: float) -> NDArray[np.bool_]:
    over: NDArray[np.bool_] = change > limit
    if before.dtype.kind != "f":
        return over
    step = np.spacing(np.maximum(np.abs(before), np.abs(after))).astype(np.float64)
    exact = np.abs(np.subtract(after, before, dtype=np.float64))
    # Beyond the largest number there is no step: an infinity that came, or went, is a change without bounds.
    np.greater(exact, limit + STEPS * np.nan_to_num(step, nan=0.0, posinf=0.0), out=over)
    return over
