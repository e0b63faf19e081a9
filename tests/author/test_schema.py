"""The columns a version may have, and what a caller may give for them."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core import Column, Schema
from grove_core.author.schema import RESERVED, ColumnSpec
from grove_core.base.errors import InvalidColumns, SchemaError

INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def test_a_schema_keeps_names_dtypes_and_constants_in_order() -> None:
    schema = Schema(x="f4", alive="?", kind=Column("u1", default=3), constant=["kind"])
    assert schema.names == ("x", "alive", "kind")
    assert schema.dtypes == {"x": np.dtype("f4"), "alive": np.dtype("?"), "kind": np.dtype("u1")}
    assert [spec.constant for spec in schema.specs] == [False, False, True]
    assert "x" in schema
    assert "id" not in schema
    assert schema["kind"].column.default == 3


def test_one_constant_may_be_named_by_itself() -> None:
    assert Schema(speed="f4", constant="speed")["speed"].constant


def test_dtypes_are_the_same_however_they_are_written() -> None:
    assert Schema(x="f4") == Schema(x="float32") == Schema(x=Column("<f4")) == Schema(x=">f4")
    assert hash(Schema(x="f4")) == hash(Schema(x="float32"))
    assert Schema(x="f4") != Schema(x="f8")


def test_a_schema_survives_the_wire() -> None:
    schema = Schema(x=Column("f4", default=1.5, low=0, high=9.5, nan=True), n="i2", alive="?", constant="n")
    crossed = msgspec.msgpack.decode(msgspec.msgpack.encode(schema.specs), type=tuple[ColumnSpec, ...])
    assert Schema.of(crossed) == schema


@pytest.mark.parametrize("name", [*sorted(RESERVED - {"constant"}), "_x", "a b", "", "1st", "a-b", "x.y"])
def test_a_name_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(SchemaError, match="cannot be called"):
        Schema(**{name: "f4"})


def test_the_wire_is_held_to_the_same_rules() -> None:
    column = Column("f4")
    for specs in (
        [ColumnSpec("x", column), ColumnSpec("x", column)],
        [ColumnSpec("id", column)],
        [ColumnSpec("constant", column)],
        [ColumnSpec("self", column)],
        [ColumnSpec("x", Column("O"))],
    ):
        with pytest.raises(SchemaError):
            Schema.of(specs)


@pytest.mark.parametrize("dtype", ["O", "S4", "U4", "c8", "c16", "M8[s]", "m8[s]", "V8", "f4,f4", "(2,)f4", "g", "T"])
def test_a_dtype_that_a_column_cannot_have_is_refused(dtype: str) -> None:
    with pytest.raises(SchemaError, match="column 'x'"):
        Schema(x=dtype)


@pytest.mark.parametrize("dtype", ["m8[s/0]", "(9999999999,)f4", "f4," * 9, "", "f4\0", None])
def test_what_numpy_reads_as_no_number_never_reaches_it(dtype: str) -> None:
    """The first of them ends the process that reads it: numpy divides by the zero."""
    with pytest.raises(SchemaError, match="unknown dtype"):
        Schema(x=Column(dtype))


def test_an_unknown_dtype_and_no_dtype_are_refused() -> None:
    with pytest.raises(SchemaError, match="unknown dtype 'float3'"):
        Schema(x="float3")
    with pytest.raises(SchemaError, match="must be a dtype or a Column"):
        Schema(x=4)  # type: ignore[arg-type]


def test_a_constant_that_is_no_column_is_refused() -> None:
    with pytest.raises(SchemaError, match="lacks: mass, speed"):
        Schema(x="f4", constant=["speed", "x", "mass"])


@pytest.mark.parametrize(
    "column",
    [
        Column("u1", default=256),
        Column("u1", default=-1),
        Column("i2", default=0.5),
        Column("?", default=2),
        Column("i8", default=1 << 63),
        Column("f4", default=math.nan),
        Column("f4", default=0, low=1),
        Column("i4", default=0, high=-1),
    ],
)
def test_a_default_that_breaks_the_rules_is_refused(column: Column) -> None:
    with pytest.raises(SchemaError, match="default"):
        Schema(x=column)


@pytest.mark.parametrize(
    "column",
    [
        Column("f4", high=10**400),
        Column("f4", high=1e300),
        Column("f2", low=-100_000),
        Column("i4", low="1"),  # type: ignore[arg-type]
    ],
)
def test_bounds_that_no_value_can_be_held_against_are_refused(column: Column) -> None:
    with pytest.raises(SchemaError, match="cannot be held against the bound"):
        Schema(x=column)


def test_bounds_may_lie_beyond_all_integers_of_a_column_and_be_infinite() -> None:
    Schema(a=Column("u1", low=-1, high=1 << 70), b=Column("i8", low=-1e300, high=0.5), c=Column("f4", high=math.inf))


def test_nan_may_be_a_default_where_it_is_allowed() -> None:
    _, columns = Schema(x=Column("f4", default=math.nan, nan=True)).conform({})
    assert np.isnan(columns["x"]).all()


def test_rules_say_what_is_broken() -> None:
    column = Column("<f4", low=0, high=10)
    assert column.broken_rule(np.array([0, 10], "f4")) is None
    assert column.broken_rule(np.array([], "f4")) is None
    assert column.broken_rule(np.array([1, math.nan, math.nan], "f4")) == "is NaN in 2 of 3 rows"
    assert "-1.0, below its lowest value 0" in (column.broken_rule(np.array([-1, 5], "f4")) or "")
    assert "11.0, above its highest value 10" in (column.broken_rule(np.array([11, 5], "f4")) or "")
    assert Column("<f4").broken_rule(np.array([math.inf, -math.inf], "f4")) is None


def test_bounds_hold_beside_nan_where_it_is_allowed() -> None:
    column = Column("<f8", low=0, nan=True)
    assert column.broken_rule(np.array([math.nan, 1.0])) is None
    assert column.broken_rule(np.array([math.nan, math.nan])) is None
    assert column.broken_rule(np.array([math.nan, -1.0])) is not None


floats = st.floats(width=32)


@given(
    st.lists(floats, max_size=20),
    st.none() | st.integers(-5, 5),
    st.none() | st.integers(-5, 5),
    st.booleans(),
)
def test_rules_agree_with_looking_at_each_value(
    values: list[float], low: int | None, high: int | None, nan: bool
) -> None:
    def breaks(value: float) -> bool:
        if math.isnan(value):
            return not nan
        return (low is not None and value < low) or (high is not None and value > high)

    column = Column("<f4", low=low, high=high, nan=nan)
    broken = column.broken_rule(np.array(values, "f4"))
    assert (broken is not None) == any(map(breaks, values))


def test_conform_fills_in_defaults_and_broadcasts_scalars() -> None:
    schema = Schema(x="f4", y=Column("f4", default=7), n="i4", alive="?")
    rows, columns = schema.conform({"x": [1, 2, 3], "n": 5})
    assert rows == 3
    assert list(columns) == ["x", "y", "n", "alive"]
    assert {name: values.dtype for name, values in columns.items()} == schema.dtypes
    assert [values.tolist() for values in columns.values()] == [[1, 2, 3], [7] * 3, [5] * 3, [False] * 3]


def test_conform_of_scalars_or_of_nothing_is_one_row() -> None:
    assert Schema(x="f4").conform({})[0] == 1
    assert Schema(x="f4").conform({"x": 2.0})[0] == 1


def test_conform_of_empty_columns_is_no_row() -> None:
    rows, columns = Schema(x="f4", n="i4").conform({"x": []})
    assert rows == 0
    assert [len(values) for values in columns.values()] == [0, 0]


@pytest.mark.parametrize(
    ("given_", "cause"),
    [
        ({"z": [1]}, "no column is called 'z'; there are x, n, alive"),
        ({"x": [1, 2], "n": [1, 2, 3]}, "x has 2, n has 3"),
        ({"x": [[1, 2]]}, "2 dimensions"),
        ({"x": [[1], [2, 3]]}, "not a flat sequence"),
        ({"x": ["one"]}, "column 'x' holds"),
        ({"x": [None]}, "column 'x' holds object"),
        ({"x": [1 + 2j]}, "column 'x' holds complex"),
        ({"n": [0.5]}, "column 'n' holds float64"),
        ({"n": [1 << 31]}, "do not fit into int32"),
        ({"alive": [2]}, "column 'alive' holds int64"),
        ({"x": [math.nan]}, "column 'x' is NaN"),
    ],
)
def test_conform_refuses_what_does_not_fit(given_: dict[str, Any], cause: str) -> None:
    with pytest.raises(InvalidColumns, match=cause):
        Schema(x="f4", n="i4", alive="?").conform(given_)


@given(st.sampled_from(INTEGERS), st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=8))
def test_no_integer_is_ever_wrapped(dtype: str, values: list[int]) -> None:
    bounds = np.iinfo(dtype)
    fits = all(bounds.min <= value <= bounds.max for value in values)
    try:
        _, columns = Schema(n=dtype).conform({"n": np.array(values, "i8")})
    except InvalidColumns:
        assert not fits
    else:
        assert fits
        assert columns["n"].tolist() == values


@given(st.lists(st.floats(allow_nan=False, width=64), max_size=8))
def test_what_was_given_is_kept_bit_for_bit_and_is_a_copy(values: list[float]) -> None:
    given_ = np.array(values, "f8")
    _, columns = Schema(x="f8").conform({"x": given_})
    assert columns["x"].tobytes() == given_.tobytes()
    assert not np.shares_memory(columns["x"], given_)
