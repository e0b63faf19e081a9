"""Compiling a lens: each step both ways, and every way in which one cannot fit."""

import math

import numpy as np
import pytest
from packaging.version import Version

from grove_core import Add, Cast, Column, Drop, Lens, Recode, Rename, Scale, Schema
from grove_core.base.errors import LensError
from grove_core.migration.conversions import Casting, Recoding, Scaling, Unscaling
from grove_core.migration.plan import Added, Converted, Endpoint, Passed, identity_hop
from grove_core.migration.walk import compile_hop

I4, F4, F8 = np.dtype("i4"), np.dtype("f4"), np.dtype("f8")


def ends(source, target):
    return Endpoint(Version("1.0"), source), Endpoint(Version("2.0"), target)


def compiled(steps, source, target):
    return compile_hop(Lens("==1.*", "==2.*", steps), *ends(source, target))


def test_add_and_drop_are_each_others_way_back():
    hop = compiled(
        [Add("c"), Add("m", 2.5), Drop("x")],
        Schema(x=Column("f4", 7), y="f4"),
        Schema(y="f4", c="?", m=Column("f4", 1.0)),
    )
    assert hop.columns == {"y": Passed("y"), "c": Added(0), "m": Added(2.5)}
    assert list(hop.columns) == ["y", "c", "m"]
    assert hop.dropped == ("x",)
    assert (hop.source_spec, hop.target_spec) == ("==1.*", "==2.*")
    back = hop.inverse()
    assert back.columns == {"x": Added(7), "y": Passed("y")}
    assert list(back.columns) == ["x", "y"]
    assert back.dropped == ("c", "m")
    assert (back.source, back.target) == (hop.target, hop.source)
    assert (back.source_spec, back.target_spec) == ("==2.*", "==1.*")


def test_added_takes_the_columns_own_default():
    assert compiled([Add("m")], Schema(), Schema(m=Column("f4", 1.0))).columns == {"m": Added(1.0)}


def test_rename_may_swap():
    hop = compiled(
        [Rename("a", "t"), Rename("b", "a"), Rename("t", "b")], Schema(a="f4", b="f4"), Schema(a="f4", b="f4")
    )
    assert hop.columns == {"a": Passed("b"), "b": Passed("a")}
    assert hop.inverse().columns == {"a": Passed("b"), "b": Passed("a")}


def test_a_name_may_be_dropped_and_added_anew():
    hop = compiled([Drop("x"), Add("x")], Schema(x="f4"), Schema(x="i4"))
    assert (hop.columns, hop.dropped) == ({"x": Added(0)}, ("x",))
    assert (hop.inverse().columns, hop.inverse().dropped) == ({"x": Added(0)}, ("x",))


def test_conversions_are_undone_in_reverse():
    hop = compiled(
        [Cast("a", "f8"), Scale("a", 0.5, 1), Rename("a", "b"), Recode("b", {1.0: 9.0})],
        Schema(a="i4"),
        Schema(b="f8"),
    )
    assert hop.columns == {
        "b": Converted("a", (Casting(I4, F8), Scaling(F8, F8, 0.5, 1.0), Recoding(F8, (1.0,), (9.0,))))
    }
    back = hop.inverse()
    assert back.columns == {
        "a": Converted("b", (Recoding(F8, (9.0,), (1.0,)), Unscaling(F8, F8, 0.5, 1.0), Casting(F8, I4)))
    }
    assert back.inverse() == hop


def test_a_cast_after_a_scale_does_not_round_in_between():
    hop = compiled([Scale("a", 0.01), Cast("a", "f4")], Schema(a="i4"), Schema(a="f4"))
    assert hop.columns == {"a": Converted("a", (Scaling(I4, F4, 0.01, 0.0),))}


def test_a_second_cast_after_a_scale_rounds_as_the_author_says():
    hop = compiled([Scale("a", 0.1), Cast("a", "i4"), Cast("a", "f8")], Schema(a="f4"), Schema(a="f8"))
    assert hop.columns == {"a": Converted("a", (Scaling(F4, I4, 0.1, 0.0), Casting(I4, F8)))}


def test_a_cast_to_the_same_dtype_is_nothing():
    assert compiled([Cast("a", "<f4")], Schema(a="f4"), Schema(a="f4")).columns == {"a": Passed("a")}


def test_dropping_a_converted_column_drops_the_sources():
    hop = compiled([Rename("a", "b"), Scale("b", 2), Drop("b")], Schema(a="f4"), Schema())
    assert (hop.columns, hop.dropped) == ({}, ("a",))


def test_identity():
    source, target = ends(Schema(x="f4", y="i4", constant="x"), Schema(y=Column("i4", 3), x="f4"))
    hop = identity_hop(source, target)
    assert hop.columns == {"y": Passed("y"), "x": Passed("x")}
    assert (hop.dropped, hop.source_spec, hop.target_spec) == ((), "==1.0", "==2.0")


def test_identity_of_different_columns_is_refused():
    with pytest.raises(LensError, match=r"1\.0 and 2\.0 have different columns; declare a Lens between them"):
        identity_hop(*ends(Schema(x="f4"), Schema(x="f8")))


XY = Schema(x="f4", y="i4")


@pytest.mark.parametrize(
    ("steps", "target", "message"),
    [
        ([], Schema(x="f4"), "column 'y' is left over, which the target's schema lacks; Drop or Rename it"),
        (
            [Add("z")],
            Schema(x="f4", y="i4"),
            "column 'z' is left over, which the target's schema lacks; Drop or Rename it",
        ),
        (
            [],
            Schema(x="f4", y="i4", z="?"),
            "column 'z' of the target's schema comes from nowhere; Add it or Rename to it",
        ),
        (
            [],
            Schema(x="f4", y="f4"),
            "column 'y' ends as int32, the target's schema has float32; add Cast('y', 'float32')",
        ),
        ([Drop("q")], XY, "Drop(name='q'): there is no column 'q' at this step; there are: x, y"),
        ([Drop("x"), Scale("x", 2)], XY, "there is no column 'x' at this step; there are: y"),
        ([Rename("q", "r")], XY, "there is no column 'q' at this step"),
        ([Cast("q", "f4")], XY, "there is no column 'q' at this step"),
        ([Recode("q", {})], XY, "there is no column 'q' at this step"),
        (
            [Rename("x", "y")],
            XY,
            "Rename(old='x', new='y'): there is a column 'y' already at this step; Drop or Rename it first",
        ),
        ([Add("x")], XY, "there is a column 'x' already at this step; Drop or Rename it first"),
        ([Add("z"), Add("z")], XY, "there is a column 'z' already at this step"),
        ([Add("z"), Scale("z", 2)], XY, "column 'z' was added by this lens; Add it as it shall be"),
        ([Add("z"), Drop("z")], XY, "column 'z' was added by this lens; Add it as it shall be"),
        ([Scale("x", 0)], XY, "has the factor 0, which has no way back; give another, or Drop and Add"),
        ([Scale("x", math.nan)], XY, "the factor must be a finite number, not nan"),
        ([Scale("x", math.inf)], XY, "the factor must be a finite number, not inf"),
        ([Scale("x", 10**400)], XY, "the factor must be a finite number, not 1000"),
        ([Scale("x", "two")], XY, "the factor must be a finite number, not 'two'"),
        ([Scale("x", 2, math.nan)], XY, "the offset must be a finite number, not nan"),
        ([Cast("x", "float99")], XY, "'float99' is no dtype; write one such as 'f4', 'i8' or '?'"),
        ([Cast("x", "c8")], XY, "no column can have the dtype 'c8'; use a bool, int or float up to 8 bytes"),
        ([Recode("y", {1: 2**40})], XY, f"int32 cannot hold {2**40}; Cast 'y' first, or change it"),
        ([Recode("y", {0.5: 1})], XY, "int32 cannot hold 0.5; Cast 'y' first, or change it"),
        (
            [Add("z", 300)],
            Schema(x="f4", y="i4", z="u1"),
            "Add('z'): uint8 cannot hold the default 300; give one it can",
        ),
        (
            [Add("z", 5)],
            Schema(x="f4", y="i4", z=Column("u1", high=3)),
            "Add('z'): the default is 5, above its highest value 3; give one that the schema allows",
        ),
        (["nonsense"], XY, "'nonsense' is no step; use Add, Drop, Rename, Scale, Cast, Recode or Map"),
    ],
)
def test_what_does_not_fit_is_told(steps, target, message):
    lens = Lens("==1.*", "==2.*", steps)
    with pytest.raises(LensError) as caught:
        compile_hop(lens, *ends(XY, target), module="game")
    text = str(caught.value)
    assert text.startswith("game@2.0: the lens '==1.*' -> '==2.*' does not lead from 1.0 to 2.0: ")
    assert message in text


def test_the_declaring_version_stands_in_the_error():
    with pytest.raises(LensError) as caught:
        compile_hop(Lens("==1.*", "==2.*"), *ends(XY, Schema()), module="game", declared_by=Version("3.0"))
    assert str(caught.value).startswith("game@3.0: ")
