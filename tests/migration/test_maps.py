"""Maps over single hops: what is taken, made, carried, and what comes back. Functions run here, not in a worker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import Add, Column, Drop, Lens, Map, Rename, Scale, Schema
from grove_core.author.lens import Direction, as_data
from grove_core.base.errors import LensError, MigrationRefused
from grove_core.migration.graph import LensGraph
from grove_core.migration.plan import Absent, Endpoint, Joint, LensFunction, Made, Passed
from grove_core.migration.rows import Batch, Carried, Image, Runner, migrate

V1, V2, V3 = map(Version, ("1.0.0", "2.0.0", "3.0.0"))


def polar(x, y):
    return {"r": np.hypot(x, y), "phi": np.arctan2(y, x)}


def cartesian(r, phi):
    return {"x": r * np.cos(phi), "y": r * np.sin(phi)}


POLAR = Map(("x", "y"), ("r", "phi"), polar, cartesian)
ONE = Schema(x="f4", y="f4", hp="i4")
TWO = Schema(hp="i4", r="f4", phi="f4")
HERE = Lens("==1.*", "==2.*", [POLAR])


def f4(*values):
    return np.array(values, "f4")


class Run:
    """Runs the functions of one version's lenses, and remembers over which rows."""

    def __init__(self, *lenses: Lens) -> None:
        self.lenses = lenses
        self.runs: list[tuple[Direction, int]] = []

    def open(self) -> AbstractContextManager[Runner]:
        return nullcontext(self)

    def __call__(self, hop: Any, joint: Joint, takes: dict[str, Any], rows: int) -> dict[str, Any]:
        function = joint.there
        step = self.lenses[function.lens].steps[function.step]
        self.runs.append((function.direction, rows))
        assert {len(values) for values in takes.values()} == {rows}
        made = step.run(function.direction, takes)
        return {
            name: np.asarray(values).astype(hop.target.schema[joint.gives[name]].dtype) for name, values in made.items()
        }


def graph(*lenses: Lens, **schemas: Schema) -> LensGraph:
    made = LensGraph("game")
    for name, schema in schemas.items():
        made.add(Endpoint(Version(f"{name[1:]}.0.0"), schema), as_data(lenses) if name == "v2" else ())
    for version in made.versions:
        made.check(version)
    return made


def batch() -> Batch:
    return Batch(3, {"x": f4(3, 1, -1), "y": f4(4, 0, -1), "hp": np.array([1, 2, 3], "i4")})


def test_a_map_consumes_its_sources_and_makes_its_targets():
    (hop,) = graph(HERE, v1=ONE, v2=TWO).path(V1, V2)
    assert hop.columns == {"hp": Passed("hp"), "r": Made(0), "phi": Made(0)}
    forward = LensFunction(V2, 0, 0, Direction.FORWARD)
    backward = LensFunction(V2, 0, 0, Direction.BACKWARD)
    sides = {"x": "x", "y": "y"}, {"r": "r", "phi": "phi"}
    assert hop.joints == (Joint(*sides, forward, backward),)
    assert not hop.irreversible
    back = hop.inverse()
    assert back.columns == {"x": Made(0), "y": Made(0), "hp": Passed("hp")}
    assert back.joints == (Joint(*reversed(sides), backward, forward),)
    assert back.inverse() == hop


def test_there_and_back():
    way, run, rows = graph(HERE, v1=ONE, v2=TWO), Run(HERE), batch()
    there = migrate(rows, way.path(V1, V2), run.open)
    assert there.columns["r"].tolist() == [5, 1, np.float32(np.sqrt(2))]
    assert there.columns["hp"] is rows.columns["hp"]
    image = Image(V2, ("r", "phi"), ("<f4", "<f4"))
    assert there.carried.keys() == {Carried(V1, "x", "<f4", image), Carried(V1, "y", "<f4", image)}
    assert [values.value for values in there.carried.values()] == [rows.columns["x"], rows.columns["y"]]
    assert Carried(V1, "x", "<f4", image).key == "1.0.0:x:<f4>2.0.0:r,phi:<f4,<f4"
    back = migrate(there, way.path(V2, V1), run.open)
    assert run.runs == [(Direction.FORWARD, 3)], "what was not changed is not computed again"
    assert back.columns["x"] is rows.columns["x"]
    assert {entry.owner for entry in back.carried} == {V2}
    again = migrate(back, way.path(V1, V2), run.open)
    assert run.runs == [(Direction.FORWARD, 3)]
    assert again.columns["phi"] is there.columns["phi"]


def test_only_rows_that_were_changed_are_computed_back():
    way, run, rows = graph(HERE, v1=ONE, v2=TWO), Run(HERE), batch()
    there = migrate(rows, way.path(V1, V2), run.open)
    columns = {name: values.copy() for name, values in there.columns.items()}
    columns["r"][0] = 10
    columns["hp"][:] = 7
    back = migrate(Batch(3, columns, there.carried), way.path(V2, V1), run.open)
    assert run.runs[1:] == [(Direction.BACKWARD, 1)]
    assert np.allclose(back.columns["x"], [6, 1, -1])
    assert back.columns["x"][1:].tobytes() == rows.columns["x"][1:].tobytes()
    assert back.columns["y"][1:].tobytes() == rows.columns["y"][1:].tobytes()
    assert back.columns["hp"].tolist() == [7, 7, 7]


def test_a_row_that_carries_nothing_is_computed():
    way, run = graph(HERE, v1=ONE, v2=TWO), Run(HERE)
    born = Batch(2, {"r": f4(2, 3), "phi": f4(0, 0), "hp": np.zeros(2, "i4")})
    back = migrate(born, way.path(V2, V1), run.open)
    assert back.columns["x"].tolist() == [2, 3]
    assert run.runs == [(Direction.BACKWARD, 2)]


def test_no_rows_run_nothing():
    way, run = graph(HERE, v1=ONE, v2=TWO), Run(HERE)
    none = Batch(0, {name: np.empty(0, dtype) for name, dtype in ONE.dtypes.items()})
    there = migrate(none, way.path(V1, V2), run.open)
    assert {name: values.dtype for name, values in there.columns.items()} == TWO.dtypes
    assert migrate(there, way.path(V2, V1), run.open).rows == 0
    assert run.runs == []


def test_a_source_that_is_a_target_is_made_anew():
    lens = Lens("==1.*", "==2.*", [Map("x", "x", lambda x: x * 2.0, lambda x: x / 2.0)])
    way, run = graph(lens, v1=Schema(x="i4"), v2=Schema(x="f8")), Run(lens)
    there = migrate(Batch(2, {"x": np.array([1, 2], "i4")}), way.path(V1, V2), run.open)
    assert there.columns["x"].tolist() == [2.0, 4.0]
    assert there.columns["x"].dtype == "f8"
    changed = Batch(2, {"x": np.array([2.0, 8.0])}, there.carried)
    assert migrate(changed, way.path(V2, V1), run.open).columns["x"].tolist() == [1, 4]
    assert run.runs == [(Direction.FORWARD, 2), (Direction.BACKWARD, 1)]


def test_what_was_consumed_may_be_added_anew():
    lens = Lens("==1.*", "==2.*", [Map("x", "y", lambda x: x, lambda y: y), Add("x", 5)])
    way = graph(lens, v1=Schema(x="f4"), v2=Schema(x="f4", y="f4"))
    there = migrate(Batch(1, {"x": f4(3)}), way.path(V1, V2), Run(lens).open)
    assert {name: values.tolist() for name, values in there.columns.items()} == {"x": [5], "y": [3]}
    assert migrate(there, way.path(V2, V1), Run(lens).open).columns["x"].tolist() == [3]


def test_the_functions_know_a_renamed_source_by_its_new_name():
    lens = Lens("==1.*", "==2.*", [Rename("old", "new"), Map("new", "y", lambda new: new + 1, lambda y: y - 1)])
    way = graph(lens, v1=Schema(old="f4"), v2=Schema(y="f4"))
    there = migrate(Batch(1, {"old": f4(3)}), way.path(V1, V2), Run(lens).open)
    assert there.columns["y"].tolist() == [4]
    back = migrate(Batch(1, {"y": f4(7)}, there.carried), way.path(V2, V1), Run(lens).open)
    assert back.columns["old"].tolist() == [6]


def test_two_maps_of_one_lens():
    lens = Lens("==1.*", "==2.*", [Map("x", "a", lambda x: x + 1, lambda a: a - 1), Map("y", "b", lambda y: -y)])
    way, run = graph(lens, v1=Schema(x="f4", y="f4"), v2=Schema(a="f4", b="f4")), Run(lens)
    there = migrate(Batch(1, {"x": f4(3), "y": f4(4)}), way.path(V1, V2), run.open)
    assert {name: values.tolist() for name, values in there.columns.items()} == {"a": [4], "b": [-4]}
    with pytest.raises(MigrationRefused, match="makes y out of b"):
        migrate(there, way.path(V2, V1), run.open)
    forced = [hop.forced() for hop in way.path(V2, V1)]
    assert [joint.there is Absent.FORCED for joint in forced[0].joints] == [False, True]
    there.columns["a"][:], there.columns["b"][:] = 9, 9
    back = migrate(there, forced, run.open)
    assert {name: values.tolist() for name, values in back.columns.items()} == {"x": [8], "y": [4]}


def test_values_that_cover_less_than_what_is_taken_now_are_no_originals():
    """2.0 makes r of x; 3.0 takes r and s to make x again: an unchanged r alone does not say that x is unchanged."""
    lenses = [
        Lens("==1.*", "==2.*", [Map("x", "r", lambda x: x, lambda r: r)]),
        Lens("==2.*", "==3.*", [Add("s")]),
        Lens("==3.*", "==1.*", [Map(("r", "s"), "x", lambda r, s: r + s, lambda x: {"r": x, "s": 0 * x})]),
    ]
    way = graph(*lenses, v1=Schema(x="f4"), v2=Schema(r="f4"), v3=Schema(r="f4", s="f4"))
    run = Run(*lenses)
    two = migrate(Batch(1, {"x": f4(3)}), way.path(V1, V2), run.open)
    three = migrate(two, way.path(V2, V3), run.open)
    three.columns["s"][:] = 5
    assert migrate(three, way.path(V3, V1), run.open).columns["x"].tolist() == [8]


NO_WAY_BACK = Lens("==1.*", "==2.*", [Map(("x", "y"), "r", lambda x, y: x + y)])


def one_way() -> LensGraph:
    return graph(NO_WAY_BACK, v1=Schema(x=Column("f4", 7), y="f4"), v2=Schema(r="f4"))


def test_an_irreversible_way_is_refused_before_anything_is_run():
    there, back = one_way().path(V1, V2), one_way().path(V2, V1)
    assert (there[0].irreversible, back[0].irreversible) == (False, True)
    assert there[0].forced() is there[0]
    run = Run(NO_WAY_BACK)
    with pytest.raises(MigrationRefused) as caught:
        migrate(Batch(1, {"r": f4(3)}), back, run.open)
    text = str(caught.value)
    assert text.startswith("game@1.0.0: nothing leads from 2.0.0 to 1.0.0: no function makes x, y out of r")
    assert "`backward`" in text
    assert "force=True" in text
    assert run.runs == []


def test_no_rows_go_an_irreversible_way():
    back = migrate(Batch(0, {"r": f4()}), one_way().path(V2, V1), Run(NO_WAY_BACK).open)
    assert back.columns.keys() == {"x", "y"}


def test_forced_rows_take_what_they_carry_else_the_default():
    way, run = one_way(), Run(NO_WAY_BACK)
    there = migrate(Batch(2, {"x": f4(1, 2), "y": f4(3, 4)}), way.path(V1, V2), run.open)
    there.columns["r"][:] = 100, 200
    forced = [hop.forced() for hop in way.path(V2, V1)]
    back = migrate(there, forced, run.open)
    assert {name: values.tolist() for name, values in back.columns.items()} == {"x": [1, 2], "y": [3, 4]}
    born = migrate(Batch(1, {"r": f4(3)}), forced, run.open)
    assert {name: values.tolist() for name, values in born.columns.items()} == {"x": [7], "y": [0]}
    again = migrate(born, way.path(V1, V2), run.open)
    assert again.columns["r"].tolist() == [3], "what was not changed comes back bit for bit"
    assert run.runs == [(Direction.FORWARD, 2)]


def test_a_way_with_a_map_needs_somebody_to_run_it():
    with pytest.raises(MigrationRefused, match=r"from 1\.0\.0 to 2\.0\.0 runs functions"):
        migrate(batch(), graph(HERE, v1=ONE, v2=TWO).path(V1, V2))


def test_nothing_of_the_batch_is_written_and_two_columns_share_no_memory():
    way, run, rows = graph(HERE, v1=ONE, v2=TWO), Run(HERE), batch()
    for values in rows.columns.values():
        values.flags.writeable = False
    there = migrate(rows, way.path(V1, V2), run.open)
    assert not np.shares_memory(there.columns["r"], there.columns["phi"])
    assert not any(
        np.shares_memory(values.image, column) for values in there.carried.values() for column in there.columns.values()
    )
    for values in there.columns.values():
        values.flags.writeable = False
    migrate(there, way.path(V2, V1), run.open)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Map("z", "r", polar)], "Map(('z',), ('r',)): there is no column 'z' at this step; there are: x, y, hp"),
        ([Map("x", "y", polar)], "there is a column 'y' already at this step"),
        ([POLAR, Map("x", "q", polar)], "there is no column 'x' at this step; there are: hp, r, phi"),
        ([POLAR, Scale("r", 2)], "column 'r' was made by a Map of this lens; Map to it as it shall be"),
        ([POLAR, Rename("r", "q")], "column 'r' was made by a Map of this lens"),
        ([POLAR, Drop("r")], "column 'r' was made by a Map of this lens"),
        ([Scale("x", 2), POLAR], "column 'x' was converted before; convert it in the functions of the Map"),
        ([Add("w"), Map("w", "r", polar)], "column 'w' was added by this lens"),
        ([POLAR, Add("r")], "there is a column 'r' already at this step"),
        ([Map(("x", "y"), ("r", "phi", "q"), polar)], "column 'q' is left over, which the target's schema lacks"),
        ([Map(("x", "y"), "r", polar)], "column 'phi' of the target's schema comes from nowhere"),
    ],
)
def test_a_map_that_does_not_fit_is_told(steps: list[Any], message: str):
    (lens,) = as_data([Lens("==1.*", "==2.*", steps)])
    made = LensGraph("game")
    made.add(Endpoint(V1, ONE))
    made.add(Endpoint(V2, TWO), [lens])
    with pytest.raises(LensError) as caught:
        made.check(V2)
    assert message in str(caught.value)
    assert str(caught.value).startswith("game@2.0.0: the lens '==1.*' -> '==2.*' does not lead from 1.0.0 to 2.0.0: ")


BITS: tuple[Callable[[], Any], ...] = (
    lambda: np.array([0x7FC12345, 0xFFC00001], "u4").view("f4"),
    lambda: f4(-0.0, 0.0),
)


@pytest.mark.parametrize("values", BITS)
def test_an_image_is_compared_bit_for_bit(values: Callable[[], Any]):
    lens = Lens(
        "==1.*", "==2.*", [Map(("x", "y"), ("x", "y"), lambda x, y: {"x": y, "y": x}, lambda x, y: {"x": y, "y": x})]
    )
    schema = Schema(x=Column("f4", nan=True), y=Column("f4", nan=True))
    way, run = graph(lens, v1=schema, v2=schema), Run(lens)
    there = migrate(Batch(2, {"x": values(), "y": f4(1, 2)}), way.path(V1, V2), run.open)
    back = migrate(there, way.path(V2, V1), run.open)
    assert back.columns["x"].tobytes() == values().tobytes()
    assert run.runs == [(Direction.FORWARD, 2)]
    there.columns["y"][:] = -there.columns["y"]
    migrate(there, way.path(V2, V1), run.open)
    assert run.runs[1:] == [(Direction.BACKWARD, 2)], "0.0 equals -0.0, but it is another value"
