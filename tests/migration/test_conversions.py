"""Casts, scales and recodes, against what plain Python says about every value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.migration.conversions import Casting, Recoding, Scaling, cast, holds

INTS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
FLOATS = ["f2", "f4", "f8"]
DTYPES = ["?", *INTS, *FLOATS]

dtypes = st.sampled_from(DTYPES).map(np.dtype)


def values_of(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind == "f":
        return st.floats(width=dtype.itemsize * 8)
    bounds = np.iinfo(dtype)
    return st.integers(int(bounds.min), int(bounds.max))


def expected(value, dtype):
    """The cast of one Python value, by Python's own arithmetic."""
    if dtype.kind == "b":
        return bool(value) and value == value
    if dtype.kind == "f":
        if not math.isfinite(value):
            return value
        highest = int(np.finfo(dtype).max)
        return float(dtype.type(min(max(value, -highest), highest)))
    bounds = np.iinfo(dtype)
    if value != value:
        return 0
    if math.isinf(value):
        return int(bounds.max if value > 0 else bounds.min)
    return min(max(round(value), int(bounds.min)), int(bounds.max))


def same(array, values):
    got = array.tolist()
    return len(got) == len(values) and all(a == b or (a != a and b != b) for a, b in zip(got, values, strict=True))


@given(st.data(), dtypes, dtypes)
def test_cast_is_what_python_says(data, source, target):
    values = data.draw(st.lists(values_of(source), max_size=8))
    result = cast(np.array(values, source), target)
    assert result.dtype == target
    assert same(result, [expected(value, target) for value in values])


@pytest.mark.parametrize(
    ("source", "target", "given_", "wanted"),
    [
        ("f8", "i8", [2.0**63, -(2.0**63), 9.3e18, np.nan], [2**63 - 1, -(2**63), 2**63 - 1, 0]),
        ("f8", "u8", [2.0**64, -0.6, -0.4, np.inf], [2**64 - 1, 0, 0, 2**64 - 1]),
        ("f8", "i4", [2147483647.4, 2147483647.6, 0.5, 1.5, -np.inf], [2**31 - 1, 2**31 - 1, 0, 2, -(2**31)]),
        ("i8", "u8", [-1, 2**63 - 1], [0, 2**63 - 1]),
        ("u8", "i8", [2**64 - 1, 5], [2**63 - 1, 5]),
        ("f8", "f4", [1e300, -1e300, np.inf], [float(np.finfo("f4").max), float(np.finfo("f4").min), np.inf]),
        ("i4", "f2", [100_000, -100_000], [65504.0, -65504.0]),
        ("f4", "?", [0.25, 0.0, np.nan, -0.0], [True, False, False, False]),
        ("?", "i2", [True, False], [1, 0]),
    ],
)
def test_cast_saturates(source, target, given_, wanted):
    assert cast(np.array(given_, source), np.dtype(target)).tolist() == wanted


def test_cast_copies_nothing_that_has_the_dtype():
    values = np.arange(3, dtype="f4")
    assert cast(values, np.dtype("f4")) is values


def test_a_signalling_nan_does_not_warn():
    values = np.array([0x7FF0000000000001, 0xFFF0000000000001], "u8").view("f8")
    for dtype in map(np.dtype, DTYPES):
        assert len(cast(values, dtype)) == 2
        assert len(Scaling(np.dtype("f8"), dtype, 2.0, 1.0).apply(values)) == 2


def test_scale_is_computed_in_float64_and_undone():
    forward = Scaling(np.dtype("i4"), np.dtype("f4"), 0.01, 1.0)
    metres = forward.apply(np.array([150, -50, 0], "i4"))
    assert metres.dtype == np.float32
    assert metres.tolist() == [2.5, 0.5, 1.0]
    back = forward.inverse()
    assert back.inverse() == forward
    result = back.apply(np.array([3.5, 0.504, np.nan, np.inf], "f4"))
    assert result.dtype == np.int32
    assert result.tolist() == [250, -50, 0, 2**31 - 1]


def test_scale_of_a_float32_does_not_round_in_between():
    values = np.array([16777216.0], "f4")
    assert Scaling(np.dtype("f4"), np.dtype("f4"), 1.0, 1.0).apply(values).tolist() == [16777216.0]
    assert Scaling(np.dtype("f4"), np.dtype("f8"), 1.0, 1.0).apply(values).tolist() == [16777217.0]


def test_casting_turns_round():
    forward = Casting(np.dtype("f8"), np.dtype("i2"))
    assert forward.apply(np.array([1e6, 1.6])).tolist() == [32767, 2]
    assert forward.inverse() == Casting(np.dtype("i2"), np.dtype("f8"))


def test_recode_leaves_what_has_no_code_and_does_not_chain():
    recode = Recoding(np.dtype("u1"), (1, 2, 3), (2, 1, 1))
    values = np.array([1, 2, 3, 4], "u1")
    assert recode.apply(values).tolist() == [2, 1, 1, 4]
    assert values.tolist() == [1, 2, 3, 4]
    # 1 is the code of 2 and of 3: the first counts.
    assert recode.inverse().apply(np.array([1, 2, 4], "u1")).tolist() == [2, 1, 4]


def test_recode_knows_nan_both_ways():
    recode = Recoding(np.dtype("f4"), (math.nan,), (-1.0,))
    assert recode.apply(np.array([np.nan, 2.0], "f4")).tolist() == [-1.0, 2.0]
    back = recode.inverse().apply(np.array([-1.0, 2.0], "f4"))
    assert np.isnan(back[0])
    assert back[1] == 2.0


def test_recode_of_a_float32_finds_the_nearest_value():
    assert Recoding(np.dtype("f4"), (0.1,), (0.2,)).apply(np.array([0.1], "f4"))[0] == np.float32(0.2)


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("u1", 255, True), ("u1", 256, False), ("u1", -1, False), ("i4", 1.5, False), ("i4", 2.0, True),
        ("i8", 2**70, False), ("i4", math.nan, False), ("f4", math.nan, True), ("f4", math.inf, True),
        ("f4", 1e300, False), ("f4", 0.1, True), ("f8", 10**400, False), ("?", True, True), ("?", 3, False),
        ("i4", "1", False), ("f4", None, False),
    ],
)  # fmt: skip
def test_holds(dtype, value, fits):
    assert holds(np.dtype(dtype), value) is fits
