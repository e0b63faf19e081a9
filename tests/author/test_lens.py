"""Lenses are data: they cross the wire as they are."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core import Add, Cast, Drop, Lens, Recode, Rename, Scale

names = st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True)
scalars = st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False)
codes = st.integers(-(1 << 31), 1 << 31)
steps = st.one_of(
    st.builds(Add, names, st.none() | scalars),
    st.builds(Drop, names),
    st.builds(Rename, names, names),
    st.builds(Scale, names, st.floats(allow_nan=False), st.floats(allow_nan=False)),
    st.builds(Cast, names, st.sampled_from(["f4", "i8", "?"])),
    st.builds(Recode, names, st.dictionaries(codes, codes)),
)


@given(st.builds(Lens, st.just("==1.*"), st.just("==2.*"), st.lists(steps, max_size=5)))
def test_a_lens_crosses_the_wire_as_it_is(lens: Lens) -> None:
    crossed = msgspec.msgpack.decode(msgspec.msgpack.encode(lens), type=Lens)
    assert crossed == lens
    assert [type(step) for step in crossed.steps] == [type(step) for step in lens.steps]


def test_what_is_no_step_does_not_cross() -> None:
    sent = msgspec.msgpack.encode({"source": "==1", "target": "==2", "steps": [{"type": "Explode", "name": "x"}]})
    with pytest.raises(msgspec.ValidationError, match="Explode"):
        msgspec.msgpack.decode(sent, type=Lens)


def test_a_lens_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Add("x").name = "y"  # type: ignore[misc]
