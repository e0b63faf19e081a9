"""What a worker says may be well formed and nonsense: each of it is taken, or refused with an error of ours."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.author.lens import Add, Cast, Drop, Lens, Recode, Rename, Scale
from grove_core.author.schema import ID, Column, ColumnSpec, Schema
from grove_core.base.clock import ManualClock
from grove_core.base.comparison import ERRORS, Objective
from grove_core.base.errors import DependencyError, GroveError, LensError, SchemaError
from grove_core.base.records import FaultKind, VersionRecord
from grove_core.base.values import MOST
from grove_core.base.waiting import SystemWaiting
from grove_core.migration.graph import LensGraph
from grove_core.migration.plan import Converted, Endpoint, Hop
from grove_core.migration.rows import Batch
from grove_core.parts.plugins import Catalogue, make_plugin_manager
from grove_core.parts.running import Isolation
from grove_core.parts.settings import Settings
from grove_core.routing.quota import Quota
from grove_core.runtime.orders.asks import Ask, Problem
from grove_core.runtime.rows.moves import Newcomers, Transaction
from grove_core.runtime.rows.split import despawn, spawn
from grove_core.runtime.rows.watch import Watch, begin
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import refuse_unmet
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.state import Description, LoadedVersion, ModuleState
from grove_core.runtime.state.store import FAILED, Store
from grove_core.runtime.ticking.commit import Effects, apply, count_observed, validate
from grove_core.wire.messages import PROTOCOL, Failed, Introduced, Observation, Spawned, Ticked

from .budget import budget
from .drawn import FLOATS, INTS, NAMES, SOUND, VERSIONS, mostly, of

V1, V2 = Version("1.0.0"), Version("2.0.0")
MAX_ROWS = 64
ROWS = 10
MANAGER, PLUGINS = make_plugin_manager()
CONTEXT = Context(
    settings=Settings(),
    clock=ManualClock(),
    catalogue=Catalogue(MANAGER, PLUGINS),
    isolation=cast("Isolation", None),  # nobody is started
    waiting=SystemWaiting(),
    faults_allowed=False,
)
GAME = Schema(x=Column("f4", low=-100, high=100), n="i8", kind="u1", constant=["kind"])
BARE = Schema()
AT = range(2, 8)
"""The rows that the version was asked to process."""


@budget(300)
@given(of(tuple[ColumnSpec, ...]))
def test_any_specs_are_a_schema_or_refused(specs: tuple[ColumnSpec, ...]) -> None:
    try:
        schema = Schema.of(specs)
    except SchemaError:
        return
    assert Schema.of(schema.specs) == schema
    count, columns = schema.conform({}, 3)
    assert count == 3
    for spec in schema.specs:
        assert spec.dtype.kind in "biuf"
        assert spec.column.broken_rule(columns[spec.name]) is None
        for extreme in (np.zeros(2, spec.dtype), np.full(2, -1).astype(spec.dtype)):
            assert isinstance(spec.column.broken_rule(extreme), str | None)


STEPS = st.one_of(
    of(Add | Drop | Rename),
    of(Cast),
    st.builds(Scale, NAMES, FLOATS | INTS, FLOATS),
    st.builds(Recode, NAMES, st.dictionaries(of(bool | int | float), of(bool | int | float), max_size=3)),
)
FITTING = st.sampled_from(
    [Add("m"), Drop("kind"), Rename("n", "m"), Cast("n", "f4"), Cast("x", "i2"), Scale("x", 2.0), Recode("n", {1: 2})]
)
SCHEMAS = st.sampled_from(
    [GAME, GAME, GAME, BARE, Schema(x="f4", m="i8"), Schema(x="i2", m="f4"), Schema(x="f4", n="i8")]
)


@contextmanager
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings(action="error"):
        yield


STEPPED = st.lists(FITTING | of(Add | Drop) | STEPS, max_size=4).map(tuple)
NUMBERS = st.sampled_from(["x", "n", "kind"])
CODES = st.sampled_from([0, 1, 255, True, 2.0]) | of(bool | int | float)
ROUND = st.one_of(
    st.builds(Scale, NUMBERS, FLOATS, FLOATS).map(lambda step: (step,)),
    st.builds(Recode, NUMBERS, st.dictionaries(CODES, CODES, max_size=3)).map(lambda step: (step,)),
    st.sampled_from(SOUND).map(lambda dtype: (Cast("n", dtype), Scale("n", 2.0), Cast("n", "i8"))),
)
"""Steps that end in the schema they began with, as far as they fit at all."""
SAME = st.lists(ROUND, max_size=3).map(lambda rounds: sum(rounds, ()))
LENSES = st.lists(
    of(Lens)
    | st.builds(Lens, VERSIONS, VERSIONS, STEPPED)
    | st.builds(Lens, st.just("==1.*"), st.just("==2.*"), STEPPED | SAME)
    | st.builds(Lens, st.just("==1.*"), st.just("==2.*"), SAME)
    | st.builds(Lens, st.just("==1.*"), st.just("==2.*"), st.lists(FITTING, max_size=3)),
    max_size=3,
)


@budget(300)
@given(st.lists(SCHEMAS, min_size=2, max_size=3), LENSES)
def test_any_lenses_join_or_are_refused(schemas: list[Schema], lenses: list[Lens]) -> None:
    graph = LensGraph("game")
    versions = [Version(f"{number}.0") for number in range(1, len(schemas) + 1)]
    for version, schema in zip(versions, schemas, strict=True):
        graph.add(Endpoint(version, schema))
    with no_warnings():
        try:
            graph.add(Endpoint(versions[-1], schemas[-1]), lenses)
            graph.check(versions[-1])
        except LensError as error:
            assert error.module == "game"
        for source in versions:
            for target in versions:
                try:
                    way = graph.path(source, target)
                except GroveError:
                    continue
                convert(way)


def convert(way: tuple[Hop, ...]) -> None:
    """Run every conversion over the extremes of its dtype: none may raise, or warn."""
    for hop in way:
        for origin in hop.columns.values():
            values = None
            for conversion in origin.conversions if isinstance(origin, Converted) else ():
                values = extremes(conversion.source) if values is None else values
                values = conversion.apply(values)
                assert values.dtype == conversion.target


def extremes(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "f":
        return np.array([0, -1, np.inf, -np.inf, np.nan, np.finfo(dtype).max], dtype)
    return np.array([0, np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)


@cache
def base() -> ModuleState:
    """A module that is loaded in two versions, and needs none."""
    state = ModuleState("a", Quota())
    for number in (V1, V2):
        introduced = Introduced(PROTOCOL, (), (), (), True, False, False)
        description = Description(VersionRecord("a", number, "a", "a:Main", "/"), BARE, introduced)
        state.versions[number] = LoadedVersion(number, description, Store.make("a", BARE, MAX_ROWS), {}, 0.0)
    return state


WANTED = st.sampled_from(["a>=1", "a", "b[c]>2; x", "a @ http://b", "a>=" + "9" * 5000])


@budget(200)
@given(of(Introduced), st.lists(WANTED, max_size=2))
def test_any_requirements_are_met_or_refused(introduced: Introduced, texts: list[str]) -> None:
    given_ = Introduced(PROTOCOL, (), (), (*introduced.requirements, *texts), False, False, False)
    record = VersionRecord("game", V1, "game", "game:Main", "/")
    try:
        refuse_unmet({"a": base()}, Description(record, BARE, given_))
    except DependencyError:
        return


@contextmanager
def world(schema: Schema) -> Iterator[tuple[ModuleState, Ask]]:
    """A module with one version of ten entities, six of which it was asked to process."""
    state = ModuleState("game", Quota())
    introduced = Introduced(PROTOCOL, schema.specs, (), (), True, False, False)
    description = Description(VersionRecord("game", V1, "game", "game:Main", "/"), schema, introduced)
    loaded = LoadedVersion(V1, description, Store.make("game", schema, MAX_ROWS), {}, 0.0)
    state.versions[V1], state.weights[V1], state.stable = loaded, 1.0, V1
    state.graph.add(Endpoint(V1, schema), ())
    try:
        transaction = Transaction(state)
        transaction.bring_in(loaded, Newcomers(np.arange(ROWS), Batch(ROWS, schema.conform({}, ROWS)[1])))
        transaction.commit()
        loaded.generations.of(1).extend(loaded.table, 0, ROWS, 1)
        yield state, Ask(state, loaded, AT.start, AT.stop, number=1)
    finally:
        loaded.store.close()


def floats(values: list[float]) -> bytes:
    return np.array(values, "<f8").tobytes()


def raw(ids: list[int]) -> bytes:
    return np.array(ids, "<i8").tobytes()


SOME = st.lists(st.integers(-1, ROWS + 1) | st.integers(-(1 << 63), (1 << 63) - 1), max_size=4)
IDS = SOME.map(raw) | st.binary(max_size=20)
OWN = st.lists(st.sampled_from(AT), max_size=4).map(raw)
COUNTS = mostly(st.integers(0, 3), INTS | st.sampled_from([MAX_ROWS, MAX_ROWS + 1, 10**12]))


@st.composite
def births(draw: st.DrawFn, schema: Schema) -> Spawned:
    count = draw(COUNTS)
    rows = count if 0 <= count <= MAX_ROWS + 1 else 1
    columns = {}
    for spec in schema.specs:
        size = rows * spec.dtype.itemsize
        columns[spec.name] = draw(
            st.just(bytes(size)) | st.binary(min_size=size, max_size=size) | st.binary(max_size=9)
        )
    if draw(st.integers(0, 5)) == 5:
        columns[draw(NAMES)] = b""
    ids = draw(mostly(st.none() | st.just(raw(list(range(100, 100 + rows)))), IDS))
    return Spawned(count, columns, ids)


VALUES = st.lists(st.floats(-9, 9), max_size=4).map(floats)
OBSERVED = st.one_of(
    st.builds(Observation, st.sampled_from(["a", "b"]), st.just(floats([0.5] * len(AT))), st.none()),
    st.lists(st.tuples(st.floats(-9, 9), st.sampled_from(AT)), max_size=4).map(
        lambda pairs: Observation("a", floats([value for value, _ in pairs]), raw([row for _, row in pairs]))
    ),
    st.builds(Observation, st.just("b"), VALUES, st.just(b"")),
    st.builds(
        Observation,
        mostly(st.sampled_from(["a", "b"]), st.text(max_size=70)),
        VALUES | st.lists(FLOATS, max_size=4).map(floats) | st.binary(max_size=20),
        st.none() | OWN | IDS,
    ),
)
WATCHED = Objective("a", at_least=-1, at_most=1), Objective("b", at_most=0)


@budget(200)
@given(st.sampled_from([GAME, BARE]), st.data())
def test_any_reply_is_carried_out_or_a_problem(schema: Schema, data: st.DataObject) -> None:
    reply = data.draw(
        st.builds(
            Ticked,
            mostly(st.just(1), INTS),
            mostly(st.floats(0, 9), FLOATS),
            st.lists(births(schema), max_size=3).map(tuple),
            st.lists(mostly(OWN, IDS), max_size=3).map(tuple),
            st.lists(st.builds(Failed, mostly(OWN, IDS), st.text(max_size=300)), max_size=3).map(tuple),
            st.none() | st.binary(max_size=9),
            st.just(0),
            st.lists(OBSERVED, max_size=3).map(tuple),
        )
    )
    with world(schema) as (state, order):
        order.reply = reply
        watch = begin(state, WATCHED)
        claimed: list[Any] = []
        with no_warnings():
            judged = validate(CONTEXT, order, 1, 0.1, claimed)
        table = order.loaded.table
        assert table[ID].tolist() == list(range(ROWS)), "nothing is changed by it"
        assert not table[FAILED].any() and not order.loaded.meter.observed
        if isinstance(judged, Problem):
            return
        assert reply.number == 1
        with no_warnings():
            observe(watch, order, judged)
        carry_out(state, order, judged)


SIX = floats([0.5] * len(AT))


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        ([Observation("a", SIX[:-8], None)], "5 values of a for 6 entities"),
        ([Observation("a", SIX, raw([2, 3]))], "6 values of a for 2 entities"),
        ([Observation("a", SIX[:16], raw([2, AT.stop]))], "not among its entities"),
        ([Observation("a", SIX[:16], raw([AT.start - 1, 2]))], "not among its entities"),
        ([Observation("a", SIX[:8], raw([ROWS]))], "not among its entities"),
        ([Observation("a", floats([0.5, math.nan]), b"")], "a value of a is nan"),
        ([Observation("a", floats([math.inf]), raw([2]))], "a value of a is inf"),
        ([Observation("a", floats([-1e101]), b"")], "a value of a is -1e"),
        ([Observation("A", SIX, None)], "cannot be called 'A'"),
        ([Observation("a", SIX[:-1], None)], "buffer size"),
        ([Observation("a", SIX[:8], b"1234567")], "buffer size"),
        ([Observation(f"v{number}", SIX, None) for number in range(65)], "more than 64 names"),
        ([Observation("a", SIX[:8], b"")] * 129, "more than 64 names"),
        ([Observation("a", bytes(MOST * 4 + 8), b"")] * 2, f"more than {MOST} values"),
    ],
    ids=range(14),
)
def test_observed_nonsense_is_a_problem(observed: list[Observation], words: str) -> None:
    with world(GAME) as (state, order):
        watch = begin(state, WATCHED)
        order.reply = Ticked(1, 0.1, observed=(Observation("a", SIX, None), *observed))
        judged = validate(CONTEXT, order, 1, 0.1, [])
        assert isinstance(judged, Problem) and judged.kind is FaultKind.WRONG_REPLY
        assert words in judged.message
        assert not order.loaded.meter.observed and watch.take(order.loaded)["a"] == (0, 0)


def observe(watch: Watch, order: Ask, effects: Effects) -> None:
    """Commit the reply, and hold what is counted against what it says."""
    loaded, reply = order.loaded, order.reply
    assert reply is not None
    apply(CONTEXT, order, effects, 1)
    count_observed(order, effects)
    failed = set(effects.failed.tolist())
    wholes = sum(len(one.values) // 8 for one in reply.observed if one.ids == b"")
    of_all = sum(len(AT) - len(failed) for one in reply.observed if one.ids is None)
    whose = [row for one in reply.observed if one.ids for row in np.frombuffer(one.ids, "<i8").tolist()]
    kept = [row for row in whose if row not in failed]
    assert set(whose) <= set(AT)
    assert sum(tally.count for tally in loaded.meter.observed.values()) == wholes + of_all + len(kept)
    assert all(math.isfinite(tally.squares) for tally in loaded.meter.observed.values())
    flags, firsts = loaded.table[FAILED], watch.take(loaded)
    assert set(np.flatnonzero(flags & 1).tolist()) == failed
    assert (firsts[ERRORS].trials, firsts[ERRORS].failures) == (len(AT), len(failed))
    for bit, name in ((2, "a"), (4, "b")):
        rows = set(np.flatnonzero(flags & bit).tolist())
        assert rows <= set(AT) - failed
        assert firsts[name].failures == len(rows) <= firsts[name].trials
        assert watch.at_risk(loaded, name, firsts[name].failures) == ROWS


def carry_out(state: ModuleState, order: Ask, effects: Effects) -> None:
    """Do it as a tick does; what was judged sound may still find no room, and nothing else."""
    table = order.loaded.table
    assert set(effects.failed.tolist()) <= set(AT)
    assert set(rows_of(table, effects.despawned).tolist()) <= set(AT)
    order.loaded.generations.of(1).restore_rows(table, effects.failed)
    despawn(state, effects.despawned)
    expected = ROWS - len(effects.despawned)
    for count, columns, ids in effects.born:
        try:
            born = spawn(state, order.loaded, columns, count, ids)
        except GroveError:
            continue
        assert len(born) == count
        expected += count
    assert table.count == expected
    assert len(set(table[ID].tolist())) == expected
