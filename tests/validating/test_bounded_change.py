"""No value changes faster than it can: exact where numbers are, and some rounding steps where they are not."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pluggy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from grove_core.base.errors import InvalidInput, PluginFailed
from grove_core.parts import hookspecs
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.testing import commit
from grove_core.validating import builtin
from grove_core.validating.bounded_change import BoundedChange

WHOLE = ["i1", "u1", "i2", "u4", "i8", "u8", "?"]


def refused(before: Any, after: Any, bound: float, *, dt: float = 1.0, dtype: str = "f8") -> str | None:
    was, became = np.array(before, dtype), np.array(after, dtype)
    return BoundedChange({"x": bound}).refuse(commit({"x": was}, {"x": became}, dt=dt))


@st.composite
def whole(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any]]:
    dtype = np.dtype(draw(st.sampled_from(WHOLE)))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    pairs = draw(st.lists(st.tuples(st.integers(low, high), st.integers(low, high)), min_size=1, max_size=8))
    before, after = (np.array(values, dtype) for values in zip(*pairs, strict=True))
    return before, after


@given(whole(), st.integers(0, 1 << 50), st.sampled_from([0.25, 1.0, 2.0]))
def test_whole_numbers_are_held_to_the_bound_exactly(
    pair: tuple[NDArray[Any], NDArray[Any]], bound: int, dt: float
) -> None:
    before, after = pair
    limit = Fraction(bound) * Fraction(dt)
    far = [abs(int(one) - int(other)) for one, other in zip(before, after, strict=True)]
    sure = [each for each in far if each < 1 << 53 or each > 2 * limit]
    told = BoundedChange({"x": bound}).refuse(commit({"x": before}, {"x": after}, dt=dt))
    assert len(sure) < len(far) or (told is not None) == any(each > limit for each in far)


@given(
    st.sampled_from(["f4", "f8"]),
    st.floats(-1e6, 1e6, width=32),
    st.floats(0, 1e4, width=32),
    st.sampled_from([-1.0, 1.0]),
    st.sampled_from([1 / 60, 0.25, 1.0]),
)
def test_what_goes_at_the_limit_keeps_it_and_what_goes_faster_does_not(
    dtype: str, start: float, bound: float, way: float, dt: float
) -> None:
    before = np.array([0.0, start], dtype)
    after = before.copy()
    after += np.array(way * bound, dtype) * dt
    assert BoundedChange({"x": bound}).refuse(commit({"x": before}, {"x": after}, dt=dt)) is None
    step = float(np.spacing(np.abs(after[1])))
    faster = before.copy()
    faster[1] += np.array(way * (2 * bound * dt + 16 * step + 1e-3), dtype)
    told = BoundedChange({"x": bound}).refuse(commit({"x": before}, {"x": faster}, ids=[7, 9], dt=dt))
    assert told is not None and "id 9" in told and "1 of 2 entities" in told


def test_it_says_which_column_and_who_and_by_how_much() -> None:
    told = refused([0.0, 10.0, 0.0], [1.0, 17.0, -3.0], 4.0, dt=0.5)
    assert told == (
        "x changed by 7.0 within 0.5 s for id 2, from 10.0 to 17.0; 4 a second are allowed, and "
        "2 of 3 entities are beyond"
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_infinities_and_nan(dtype: str) -> None:
    inf, nan, huge = math.inf, math.nan, float(np.finfo(dtype).max)
    assert refused([inf, -inf, nan], [inf, -inf, 3.0], 0.0, dtype=dtype) is None
    assert refused([1.0, 2.0], [nan, 2.0], 0.0, dtype=dtype) is None
    for before, after in ((1.0, inf), (inf, 1.0), (inf, -inf), (-huge, huge)):
        told = refused([nan, before], [nan, after], 1e9, dtype=dtype)
        assert told is not None and "id 2" in told


def test_only_what_is_there_and_can_change_is_asked_for() -> None:
    bounded = BoundedChange({"x": 1.0, "gone": 0.0}, module="ledger")
    assert bounded.refuse(commit({"y": [0.0], "gone": [5]}, {"y": [99.0]})) is None
    assert bounded.refuse(commit({"x": [0.0]}, {"x": [99.0]}, module="other")) is None
    assert bounded.refuse(commit({"x": [0.0]}, {"x": [99.0]})) is not None


@pytest.mark.parametrize(
    "per_second", [{}, None, ["x"], {"x": -1}, {"x": math.nan}, {"x": math.inf}, {"x": True}, {"x": "fast"}]
)
def test_bounds_that_are_none(per_second: Any) -> None:
    with pytest.raises(InvalidInput, match="per_second"):
        BoundedChange(per_second)


def test_it_comes_through_the_hook() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    manager.check_pending()
    catalogue = Catalogue(manager)
    made = catalogue.make(PartKind.VALIDATOR, "bounded_change", {"per_second": {"x": 1}})
    assert isinstance(made, BoundedChange)
    with pytest.raises(PluginFailed, match=r"bounded_change.*per_second"):
        catalogue.make(PartKind.VALIDATOR, "bounded_change", {})
