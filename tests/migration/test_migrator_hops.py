"""Where no chain of lenses leads: the direct hop of a migrator, what it returns, and what comes back."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core import Add, Column, Lens, Schema
from grove_core.base.errors import MigrationRefused, NoLensPath
from grove_core.migration.graph import LensGraph
from grove_core.migration.plan import Absent, Endpoint, MigratorFunction
from grove_core.migration.rows import Batch, Carried, Image, Runner, migrate

V1, V2, V3 = map(Version, ("1.0.0", "2.0.0", "3.0.0"))
ONE = Schema(x="f4", y="f4", hp="i4", name="i8")
TWO = Schema(r="f4", hp="i4", mass=Column("f4", 5), name="i4")


def f4(*values):
    return np.array(values, "f4")


class Polar:
    """Makes r of x and y, and x of r: y is lost."""

    def __init__(self, *pairs: tuple[Version, Version]) -> None:
        self.pairs = pairs
        self.asked: list[tuple[Version, Version]] = []
        self.ran: list[Version] = []

    def accepting(self, source: Endpoint, target: Endpoint) -> MigratorFunction | None:
        self.asked.append((source.version, target.version))
        return MigratorFunction("polar", 0) if (source.version, target.version) in self.pairs else None

    def open(self) -> AbstractContextManager[Runner]:
        return nullcontext(self)

    def __call__(self, hop: Any, joint: Any, takes: dict[str, Any], rows: int) -> dict[str, Any]:
        assert joint.there == MigratorFunction("polar", 0)
        assert takes.keys() == set(hop.source.schema.names)
        self.ran.append(hop.target.version)
        return {"r": np.hypot(takes["x"], takes["y"])} if hop.target.version == V2 else {"x": takes["r"].copy()}


def graph(polar: Polar, **schemas: Schema) -> LensGraph:
    made = LensGraph("game", polar.accepting)
    for name, schema in schemas.items():
        made.add(Endpoint(Version(f"{name[1:]}.0.0"), schema))
    return made


def batch() -> Batch:
    names = np.array([1 << 40, 2], "i8")
    return Batch(2, {"x": f4(3, 1), "y": f4(4, 0), "hp": np.array([1, 2], "i4"), "name": names})


BOTH = ((V1, V2), (V2, V1))


def test_what_is_returned_passes_is_carried_or_gets_its_default():
    polar, rows = Polar(*BOTH), batch()
    there = migrate(rows, graph(polar, v1=ONE, v2=TWO).path(V1, V2), polar.open)
    assert list(there.columns) == list(TWO.names)
    assert there.columns["r"].tolist() == [5, 1]
    assert there.columns["hp"] is rows.columns["hp"], "it has the same name and dtype"
    assert there.columns["mass"].tolist() == [5, 5]
    assert there.columns["name"].tolist() == [0, 0], "of that name there was another dtype"
    image = Image(V2, ("r",), ("<f4",))
    assert there.carried.keys() == {Carried(V1, name, ONE.dtypes[name].str, image) for name in ("x", "y", "name")}
    assert [kept.value for kept in there.carried.values()] == [rows.columns[name] for name in ("x", "y", "name")]


def test_what_was_not_changed_comes_back_and_the_rest_is_made():
    polar, rows = Polar(*BOTH), batch()
    way = graph(polar, v1=ONE, v2=TWO)
    there = migrate(rows, way.path(V1, V2), polar.open)
    columns = {name: values.copy() for name, values in there.columns.items()}
    columns["r"][0], columns["hp"][:], columns["mass"][:] = 100, 9, 8
    back = migrate(Batch(2, columns, there.carried), way.path(V2, V1), polar.open)
    assert {name: values.tolist() for name, values in back.columns.items()} == {
        "x": [100, 1],
        "y": [4, 0],
        "hp": [9, 9],
        "name": [1 << 40, 2],
    }
    again = migrate(back, way.path(V1, V2), polar.open)
    assert again.columns["mass"].tolist() == [8, 8]
    assert again.columns["r"].tolist() == [100, 1]


def test_a_row_that_was_born_there_gets_what_the_migrator_makes_and_defaults():
    polar = Polar(*BOTH)
    born = Batch(1, {"r": f4(7), "hp": np.array([1], "i4"), "mass": f4(1), "name": np.array([3], "i4")})
    back = migrate(born, graph(polar, v1=ONE, v2=TWO).path(V2, V1), polar.open)
    assert {name: values.tolist() for name, values in back.columns.items()} == {
        "x": [7],
        "y": [0],
        "hp": [1],
        "name": [0],
    }


def test_no_rows_run_nothing():
    polar = Polar(*BOTH)
    none = Batch(0, {name: np.empty(0, dtype) for name, dtype in ONE.dtypes.items()})
    there = migrate(none, graph(polar, v1=ONE, v2=TWO).path(V1, V2), polar.open)
    assert {name: values.dtype for name, values in there.columns.items()} == TWO.dtypes
    assert polar.ran == []


def test_migrators_are_asked_only_where_no_lenses_lead():
    polar = Polar((V1, V2), (V2, V1), (V1, V3), (V3, V1))
    made = LensGraph("game", polar.accepting)
    made.add(Endpoint(V1, Schema(x="f4")))
    made.add(Endpoint(V2, Schema(x="f4", c="?")), [Lens("==1.*", "==2.*", [Add("c")])])
    made.add(Endpoint(V3, Schema(z="f8")))
    assert made.joined(V1, V2)
    assert not made.joined(V1, V3)
    assert made.path(V1, V2)[0].joints == ()
    assert made.path(V1, V1) == ()
    assert polar.asked == []
    assert [hop.target.version for hop in made.path(V1, V3)] == [V3]
    made.path(V1, V3), made.path(V3, V1)
    assert polar.asked == [(V1, V3), (V3, V1)], "once for two versions"
    with pytest.raises(NoLensPath, match="no migrator in the settings accepts them either"):
        made.path(V2, V3)
    made.add(Endpoint(V2, Schema(x="f4")))
    assert made.path(V1, V2)[0].joints == ()
    assert made.path(V3, V1)[0].joints != (), "what was found is forgotten with every change, and found again"


@pytest.mark.parametrize("asked", [(V1, V2), (V2, V1)])
def test_a_direction_that_is_not_accepted_is_irreversible_whichever_is_asked_first(asked: tuple[Version, Version]):
    polar = Polar((V1, V2))
    way = graph(polar, v1=ONE, v2=TWO)
    way.path(*asked)
    there = migrate(batch(), way.path(V1, V2), polar.open)
    (back,) = way.path(V2, V1)
    assert back.joints[0].there is Absent.IRREVERSIBLE
    assert back.joints[0].back == MigratorFunction("polar", 0)
    with pytest.raises(MigrationRefused, match=r"game@1\.0\.0: nothing leads from 2\.0\.0 to 1\.0\.0"):
        migrate(there, (back,), polar.open)
    there.columns["r"][:] = 50
    forced = migrate(there, (back.forced(),), polar.open)
    assert {name: values.tolist() for name, values in forced.columns.items()} == {
        "x": [3, 1],
        "y": [4, 0],
        "hp": [1, 2],
        "name": [1 << 40, 2],
    }
    assert polar.ran == [V2]


def test_what_passes_when_a_direction_is_forced_may_change_and_originals_still_come_back():
    polar = Polar((V2, V1))
    way = graph(polar, v1=ONE, v2=TWO)
    (there,) = way.path(V1, V2)
    forced = migrate(batch(), (there.forced(),), polar.open)
    forced.columns["hp"][:] = 9
    back = migrate(forced, way.path(V2, V1), polar.open)
    assert back.columns["x"].tolist() == [3, 1], "r, which x and y became, was not touched"
    assert back.columns["hp"].tolist() == [9, 9]


DTYPES = ("?", "i2", "u8", "f2", "f4", "f8")
schemas = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(DTYPES), max_size=4)


class Mixer:
    """Returns some of the target's columns, each value mixed of all the row's bits."""

    def __init__(self, returned: dict[Version, set[str]]) -> None:
        self.returned = returned

    def open(self) -> AbstractContextManager[Runner]:
        return nullcontext(self)

    def __call__(self, hop: Any, joint: Any, takes: dict[str, Any], rows: int) -> dict[str, Any]:
        total = np.zeros(rows, "u8")
        for name in sorted(takes):
            total = total * np.uint64(6364136223846793005) + takes[name].view(f"u{takes[name].itemsize}")
        dtypes = hop.target.schema.dtypes
        return {
            name: total % np.uint64(2) == 1
            if dtypes[name].kind == "b"
            else total.astype(f"u{dtypes[name].itemsize}").view(dtypes[name])
            for name in sorted(self.returned[hop.target.version] & dtypes.keys())
        }


@settings(deadline=None)
@given(schemas, schemas, st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.integers(0, 2**32 - 1))
def test_away_and_back_and_away_restores_every_bit(one, two, up, down, seed):
    rng = np.random.default_rng(seed)
    passing = {name for name in one.keys() & two.keys() if one[name] == two[name]}
    mixer = Mixer({V2: up, V1: (down - passing) | (up & passing)})  # what passes one way passes the other way
    made = LensGraph("game", lambda source, target: MigratorFunction("mixer", 0))
    for version, dtypes in ((V1, one), (V2, two)):
        made.add(Endpoint(version, Schema(**{name: Column(dtype, 1, nan=True) for name, dtype in dtypes.items()})))
    columns = {
        name: rng.integers(0, 2, 5).astype("?")
        if dtype == "?"
        else np.frombuffer(rng.bytes(5 * np.dtype(dtype).itemsize), dtype).copy()
        for name, dtype in one.items()
    }
    rows, seen = Batch(5, columns), {}
    for source, target in ((V1, V2), (V2, V1)) * 3:
        seen.setdefault(source, {name: values.tobytes() for name, values in rows.columns.items()})
        rows = migrate(rows, made.path(source, target), mixer.open)
        now = {name: values.tobytes() for name, values in rows.columns.items()}
        assert seen.get(target, now) == now
