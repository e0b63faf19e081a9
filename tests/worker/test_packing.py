"""Values that go from one version to another arrive as they are; what cannot is refused, and so are odd bytes."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from grove_core.worker.packing import ARRAY, pack, unpack, views

NUMBERS = st.one_of(
    arrays.boolean_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes()
)
ARRAYS = NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=4)))
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
VALUES = st.recursive(PLAIN | ARRAYS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other or one != one)


@given(VALUES)
def test_what_is_packed_arrives(value: Any) -> None:
    assert same(value, unpack(pack(value)))
    assert same(value, views(pack(value)))


def test_arrays_in_any_order_and_of_any_stride_arrive() -> None:
    whole = np.arange(24.0).reshape(2, 3, 4)
    for array in (whole[:, ::2], whole.T, np.asfortranarray(whole), whole[..., 0][::-1], whole.astype(">f4")):
        np.testing.assert_array_equal(unpack(pack(array)), array)


def test_views_cannot_be_written_and_what_is_unpacked_can() -> None:
    packed = pack([np.zeros(3)])
    assert not views(packed)[0].flags.writeable
    unpack(packed)[0][:] = 1
    assert np.float32(2.5) == unpack(pack(np.float32(2.5)))


@pytest.mark.parametrize("odd", [object(), np.array(["a"]), np.array([1 + 2j]), [np.datetime64(1, "s")], {"a": print}])
def test_what_cannot_go_is_refused(odd: Any) -> None:
    with pytest.raises(TypeError, match="cannot go from one version to another"):
        pack(odd)


@pytest.mark.parametrize(
    "packed",
    [
        b"\x91" * 10_000,
        b"\x81\xa0" * 10_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xc7\x00\x01",
        b"\xc7\x01\x01\xff",
        b"\xc7\x01\x02\x00",
    ],
)
def test_nesting_and_lengths_that_are_not_there_are_refused(packed: bytes) -> None:
    for read in (unpack, views):
        with pytest.raises(ValueError, match=r"\S"):
            read(packed)


@given(st.binary(max_size=40), st.booleans())
def test_odd_bytes_are_refused_or_some_value(odd: bytes, as_array: bool) -> None:
    packed = bytes([0xC7, len(odd), ARRAY]) + odd if as_array else odd
    with contextlib.suppress(ValueError):
        unpack(packed)
