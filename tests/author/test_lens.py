"""Lenses are data: they cross the wire as they are."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core import Add, Cast, Drop, Lens, Map, Recode, Rename, Scale
from grove_core.author.lens import Direction, MapSpec, as_data
from grove_core.base.errors import LensError

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


def double(**columns: object) -> dict[str, object]:
    return columns


def test_a_map_crosses_the_wire_as_names_and_the_place_of_its_functions() -> None:
    there = Map(["x", "y"], "r", double)
    lenses = [
        Lens("==1.*", "==2.*", [Add("a")]),
        Lens("==2.*", "==3.*", [Drop("a"), Map("r", ("x", "y"), double, double), there]),
    ]
    crossed = msgspec.msgpack.decode(msgspec.msgpack.encode(as_data(lenses)), type=tuple[Lens, ...])
    assert crossed == as_data(lenses)
    assert crossed[0] == lenses[0]
    assert list(crossed[1].steps) == [
        Drop("a"),
        MapSpec(("r",), ("x", "y"), True, 1, 1),
        MapSpec(("x", "y"), ("r",), False, 1, 2),
    ]
    assert str(crossed[1].steps[2]) == "Map(('x', 'y'), ('r',))"


def test_a_function_does_not_cross() -> None:
    with pytest.raises(TypeError, match="function"):
        msgspec.msgpack.encode(Lens("==1", "==2", [Map("x", "y", double)]))
    sent = msgspec.msgpack.encode(
        {
            "source": "==1",
            "target": "==2",
            "steps": [{"type": "Map", "sources": "x", "targets": "y", "forward": "double"}],
        }
    )
    with pytest.raises(msgspec.ValidationError, match="forward"):
        msgspec.msgpack.decode(sent, type=Lens)


def test_a_map_runs_the_function_for_a_direction() -> None:
    total = Map(["x", "y"], "r", lambda x, y: x + y, lambda r: {"x": r, "y": 0})
    assert total.run(Direction.FORWARD, {"x": 1, "y": 2}) == {"r": 3}
    assert total.run(Direction.BACKWARD, {"r": 3}) == {"x": 3, "y": 0}
    with pytest.raises(LensError, match=r"Map\('x', 'y'\) has no backward"):
        Map("x", "y", double).run(Direction.BACKWARD, {"y": 1})


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({}, "forward must return the columns a, b; it returned $"),
        ({"a": 1}, "it returned a"),
        ({"a": 1, "b": 2, "c": 3}, "it returned a, b, c"),
        ([1, 2], "it returned list"),
        (None, "it returned NoneType"),
    ],
)
def test_a_function_must_return_its_columns(returned: object, message: str) -> None:
    with pytest.raises(LensError, match=message):
        Map("x", ("a", "b"), lambda x: returned).run(Direction.FORWARD, {"x": 1})  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], "r", double), r"sources must be names of columns, at least one, each once, not \(\)"),
        (("x", (), double), "targets must be"),
        ((["x", "x"], "r", double), "sources must be"),
        (("x", ["r", 3], double), "targets must be"),
        (("x", "r", "double"), "forward and backward must be functions"),
        (("x", "r", double, 3), "forward and backward must be functions"),
    ],
)
def test_a_map_that_cannot_be_is_refused_where_it_is_written(given: tuple[object, ...], message: str) -> None:
    with pytest.raises(LensError, match=message):
        Map(*given)  # type: ignore[arg-type]


def test_what_is_no_lens_is_told() -> None:
    with pytest.raises(TypeError, match="lenses must hold Lens objects"):
        as_data([Add("x")])  # type: ignore[list-item]
