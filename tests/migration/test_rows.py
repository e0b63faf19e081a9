"""Rows over single hops: what they carry, and what comes back."""

import itertools

import numpy as np
import pytest
from packaging.version import Version

from grove_core import Add, Cast, Column, Drop, Lens, Recode, Rename, Scale, Schema
from grove_core.base.errors import InvalidColumns
from grove_core.migration.graph import LensGraph
from grove_core.migration.plan import Endpoint
from grove_core.migration.rows import Batch, Carried, CarriedValues, Image, migrate, project

V1, V2, V3 = map(Version, ("1.0.0", "2.0.0", "3.0.0"))
V201 = Version("2.0.1")


def graph(lenses, **schemas):
    """`v1=`, `v2=` ...: the schema of 1.0.0, 2.0.0 ...; `v2_1=` that of 2.0.1."""
    made = LensGraph("game")
    for name, schema in schemas.items():
        major, _, patch = name[1:].partition("_")
        made.add(Endpoint(Version(f"{major}.0.{patch or 0}"), schema), lenses)
    for version in made.versions:
        made.check(version)
    return made


def walk(made, batch, *versions):
    for source, target in itertools.pairwise(versions):
        batch = migrate(batch, made.path(source, target))
    return batch


def f4(*values):
    return np.array(values, "f4")


NAN = np.array([0x7FC12345, 0xFFC00001], "u4").view("f4")


def test_a_column_that_passes_is_not_copied():
    made = graph([Lens("==1.*", "==2.*", [Rename("x", "y")])], v1=Schema(x="f4"), v2=Schema(y="f4"))
    x = f4(1, 2)
    assert migrate(Batch(2, {"x": x}), made.path(V1, V2)).columns["y"] is x
    assert project(Batch(2, {"x": x}), made.path(V1, V2))["y"] is x


def test_no_hop_is_no_work():
    batch = Batch(1, {"x": f4(1)})
    assert migrate(batch, ()) is batch


def test_what_is_dropped_is_carried_and_comes_back():
    made = graph([Lens("==1.*", "==2.*", [Drop("x"), Add("c", 5)])], v1=Schema(x="f4"), v2=Schema(c="i4"))
    there = walk(made, Batch(2, {"x": NAN}), V1, V2)
    assert there.columns["c"].tolist() == [5, 5]
    ((entry, kept),) = there.carried.items()
    assert entry == Carried(V1, "x", "<f4")
    assert entry.key == "1.0.0:x:<f4"
    assert kept.value is NAN
    assert kept.valid.all()
    assert kept.image is None
    back = walk(made, there, V2, V1)
    assert back.columns["x"].tobytes() == NAN.tobytes()
    assert [entry.key for entry in back.carried] == ["2.0.0:c:<i4"]
    there.columns["c"][:] = 8, 9
    again = walk(made, there, V2, V1, V2)
    assert again.columns["c"].tolist() == [8, 9]
    assert [entry.key for entry in again.carried] == ["1.0.0:x:<f4"]


def test_a_row_born_later_gets_the_default():
    made = graph([Lens("==1.*", "==2.*", [Drop("x")])], v1=Schema(x=Column("f4", 7)), v2=Schema())
    entry = Carried(V1, "x", "<f4")
    batch = Batch(2, {}, {entry: CarriedValues(f4(3, 3), np.array([True, False]))})
    assert walk(made, batch, V2, V1).columns["x"].tolist() == [3, 7]


def test_a_converted_value_comes_back_unless_it_was_changed():
    made = graph(
        [Lens("==1.*", "==2.*", [Rename("cm", "m"), Scale("m", 0.01), Cast("m", "i4")])],
        v1=Schema(cm="f8"),
        v2=Schema(m="i4"),
    )
    original = np.array([123.0, 150.25, np.nan, -np.inf])
    there = walk(made, Batch(4, {"cm": original}), V1, V2)
    assert there.columns["m"].tolist() == [1, 2, 0, -(2**31)]
    ((entry, kept),) = there.carried.items()
    assert entry == Carried(V1, "cm", "<f8", Image(V2, ("m",), ("<i4",)))
    assert entry.key == "1.0.0:cm:<f8>2.0.0:m:<i4"
    assert not np.shares_memory(kept.image, there.columns["m"])
    there.columns["m"][1] = 7
    back = walk(made, there, V2, V1).columns["cm"]
    assert back[[0, 2, 3]].tobytes() == original[[0, 2, 3]].tobytes()
    assert back[1] == 700.0


def test_a_negative_zero_is_a_change():
    made = graph([Lens("==1.*", "==2.*", [Cast("x", "f4")])], v1=Schema(x="i4"), v2=Schema(x="f4"))
    there = walk(made, Batch(1, {"x": np.array([0], "i4")}), V1, V2)
    there.columns["x"][0] = -0.0
    assert walk(made, there, V2, V1).columns["x"].tolist() == [0]
    # The carried original of 1.0.0 was not taken, but it is gone: the column is live again.
    assert [entry.owner for entry in walk(made, there, V2, V1).carried] == [V2]


def test_recoded_values_come_back_though_they_share_a_code():
    made = graph([Lens("==1.*", "==2.*", [Recode("k", {1: 9, 2: 9})])], v1=Schema(k="u1"), v2=Schema(k="u1"))
    there = walk(made, Batch(4, {"k": np.array([1, 2, 3, 1], "u1")}), V1, V2)
    assert there.columns["k"].tolist() == [9, 9, 3, 9]
    there.columns["k"][3] = 3
    assert walk(made, there, V2, V1).columns["k"].tolist() == [1, 2, 3, 3]


def test_a_patch_version_takes_what_the_one_before_left():
    made = graph(
        [Lens("==1.*", "==2.*", [Add("c", 4), Cast("x", "f8")])],
        v1=Schema(x="f4"), v2=Schema(x="f8", c="i4"), v2_1=Schema(x="f8", c="i4"),
    )  # fmt: skip
    batch = Batch(1, {"x": np.array([0.1]), "c": np.array([8], "i4")})
    there = walk(made, batch, V2, V1, V201)
    assert there.columns["c"].tolist() == [8]
    assert there.columns["x"].tolist() == [0.1]
    assert {entry.owner for entry in there.carried} == {V1}


def test_the_version_itself_is_preferred_then_the_highest():
    made = graph([Lens("==1.*", "==2.*", [Add("c", 4)])], v1=Schema(), v2=Schema(c="i4"), v2_1=Schema(c="i4"))
    v202 = Version("2.0.2")
    valid = {V2: [1, 0, 0, 0], V201: [1, 1, 0, 0], v202: [1, 1, 1, 0]}
    carried = {
        Carried(owner, "c", "<i4"): CarriedValues(np.full(4, owner.micro, "i4"), np.array(valid[owner], bool))
        for owner in valid
    }
    batch = Batch(4, {}, carried)
    assert walk(made, batch, V1, V2).columns["c"].tolist() == [0, 2, 2, 4]
    assert walk(made, batch, V1, V201).columns["c"].tolist() == [1, 1, 2, 4]
    assert not walk(made, batch, V1, V2).carried


def test_another_dtype_is_another_column():
    made = graph([Lens("==1.*", "==2.*", [Add("c")])], v1=Schema(), v2=Schema(c="f4"), v2_1=Schema(c="f8"))
    left = walk(made, Batch(1, {"c": f4(3)}), V2, V1)
    assert walk(made, left, V1, V201).columns["c"].tolist() == [0]
    assert walk(made, left, V1, V201, V1, V2).columns["c"].tolist() == [3]


def test_the_same_name_on_another_versions_side_is_not_taken():
    made = graph(
        [Lens("==1.*", "==2.*", [Drop("x")]), Lens("==2.*", "==3.*", [Add("x", 5)])],
        v1=Schema(x="f4"), v2=Schema(), v3=Schema(x="f4"),
    )  # fmt: skip
    there = walk(made, Batch(1, {"x": f4(1)}), V1, V3)
    assert there.columns["x"].tolist() == [5]
    there.columns["x"][0] = 6
    assert walk(made, there, V3, V1).columns["x"].tolist() == [1]
    assert walk(made, there, V3, V1, V3).columns["x"].tolist() == [6]


def test_a_name_dropped_and_added_by_one_lens_keeps_both_columns_apart():
    made = graph([Lens("==1.*", "==2.*", [Drop("x"), Add("x", 5)])], v1=Schema(x="f4"), v2=Schema(x="f4"))
    there = walk(made, Batch(1, {"x": f4(1)}), V1, V2)
    assert there.columns["x"].tolist() == [5]
    there.columns["x"][0] = 6
    assert walk(made, there, V2, V1).columns["x"].tolist() == [1]
    assert walk(made, there, V2, V1, V2).columns["x"].tolist() == [6]


def test_a_direct_lens_brings_back_what_a_stepwise_way_dropped():
    schemas = {"v1": Schema(x="f4", y="f4"), "v2": Schema(y="f4"), "v3": Schema()}
    steps = [Lens("==1.*", "==2.*", [Drop("x")]), Lens("==2.*", "==3.*", [Drop("y")])]
    away = walk(graph(steps, **schemas), Batch(1, {"x": f4(1), "y": f4(2)}), V1, V3)
    direct = graph([*steps, Lens("==1.*", "==3.*", [Drop("x"), Drop("y")])], **schemas)
    assert len(direct.path(V3, V1)) == 1
    # 1.0.0 dropped x, 2.0.0 dropped y, and both are 1.0.0's again.
    back = walk(direct, away, V3, V1)
    assert [values.tolist() for values in back.columns.values()] == [[1], [2]]
    assert not back.carried


def test_a_stepwise_way_brings_back_what_a_direct_lens_dropped():
    made = graph(
        [Lens("==1.*", "==2.*", [Rename("x", "y")]), Lens("==2.*", "==3.*", [Drop("y")]),
         Lens("==1.*", "==3.*", [Drop("x")])],
        v1=Schema(x="f4"), v2=Schema(y="f4"), v3=Schema(),
    )  # fmt: skip
    there = walk(made, Batch(1, {"x": f4(1)}), V1, V3, V2)
    assert there.columns["y"].tolist() == [1]
    assert not there.carried
    there.columns["y"][0] = 2
    assert walk(made, there, V2, V3, V1).columns["x"].tolist() == [2]


def test_a_direct_lens_brings_back_what_a_stepwise_way_converted():
    convert = [Cast("x", "i4")]
    made = graph(
        [Lens("==1.*", "==2.*", convert), Lens("==2.*", "==3.*", [Rename("x", "y")]),
         Lens("==1.*", "==3.*", [*convert, Rename("x", "y")])],
        v1=Schema(x="f4"), v2=Schema(x="i4"), v3=Schema(y="i4"),
    )  # fmt: skip
    there = migrate(walk(made, Batch(2, {"x": f4(1.5, 2.5)}), V1, V2), made.path(V2, V3))
    there.columns["y"][1] = 7
    assert walk(made, there, V3, V1).columns["x"].tolist() == [1.5, 7]


def test_an_equal_value_in_another_versions_column_is_no_image():
    convert = [Cast("x", "i4")]
    made = graph(
        [Lens("==1.*", "==2.*", convert), Lens("==2.*", "==3.*", [Drop("x"), Add("x", 2)]),
         Lens("==1.*", "==3.*", convert)],
        v1=Schema(x="f4"), v2=Schema(x="i4"), v3=Schema(x="i4"),
    )  # fmt: skip
    there = walk(made, Batch(1, {"x": f4(1.5)}), V1, V2, V3)
    assert there.columns["x"].tolist() == [2]
    assert walk(made, there, V3, V1).columns["x"].tolist() == [2.0]


def test_nothing_of_the_batch_is_written():
    made = graph([Lens("==1.*", "==2.*", [Scale("x", 2), Drop("y"), Add("c")])],
                 v1=Schema(x="f4", y="f4"), v2=Schema(x="f4", c="?"))  # fmt: skip
    columns = {"x": f4(1, 2), "y": f4(3, 4)}
    for values in columns.values():
        values.flags.writeable = False
    there = walk(made, Batch(2, columns), V1, V2)
    for kept in there.carried.values():
        kept.value.flags.writeable = False
    back = walk(made, there, V2, V1)
    assert [values.tolist() for values in back.columns.values()] == [[1, 2], [3, 4]]


def test_no_rows_and_no_columns():
    made = graph([Lens("==1.*", "==2.*", [Add("c", 2)])], v1=Schema(), v2=Schema(c="i4"))
    assert walk(made, Batch(0, {}), V1, V2).columns["c"].shape == (0,)
    assert walk(made, Batch(3, {}), V1, V2).columns["c"].tolist() == [2, 2, 2]
    assert walk(made, Batch(3, {}), V1, V2, V1).rows == 3


def test_views_of_a_table_need_not_be_contiguous():
    made = graph([Lens("==1.*", "==2.*", [Cast("x", "i4")])], v1=Schema(x="f4"), v2=Schema(x="i4"))
    values = np.arange(6, dtype="f4") + np.float32(0.25)
    back = walk(made, Batch(3, {"x": values[::2]}), V1, V2, V1)
    assert back.columns["x"].tolist() == values[::2].tolist()


@pytest.mark.parametrize("columns", [{}, {"x": np.zeros(2, "f8")}, {"x": f4(1, 2), "y": f4(1, 2)}])
def test_other_columns_than_the_versions_are_refused(columns):
    made = graph([Lens("==1.*", "==2.*", [Drop("x")])], v1=Schema(x="f4"), v2=Schema())
    with pytest.raises(InvalidColumns, match=r"the rows have the columns .*; 1\.0\.0 has x float32"):
        migrate(Batch(2, columns), made.path(V1, V2))


def test_other_lengths_are_refused():
    with pytest.raises(InvalidColumns, match=r"x has the shape \(3,\); the batch has 2 rows"):
        Batch(2, {"x": f4(1, 2, 3)})
    with pytest.raises(InvalidColumns, match=r"1\.0\.0:y:<f4 \(valid\) has the shape \(1,\); the batch has 2 rows"):
        Batch(2, {}, {Carried(V1, "y", "<f4"): CarriedValues(f4(1, 2), np.ones(1, bool))})
