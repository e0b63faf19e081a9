"""The world: every worker can see what the last tick committed of the whole module, and change nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core import DebugEngine, ManualClock, Settings
from grove_core.base.records import FaultKind
from grove_core.runtime.orders import world as world_module

from .conftest import PATIENT, OpenEngine, kill
from .sources import MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")

LOOKS = """
w = self.world
e.seen = len(w)
e.total = w.n.sum()
e.mine = w.n[w.own]
assert (w.id[w.own] == e.id).all()
e.n += 1
"""
"""What a version writes that looks at the world: how many it saw, the sum of all `n`, and its own `n` before."""
COLUMNS = 'n="i8", seen="i8", total="i8", mine="i8"'
BLIND = version("e.n += 1", schema=COLUMNS)
LOOKING = version(LOOKS, schema=COLUMNS)


def started(open_engine: OpenEngine, sources: dict[str, str], *counts: int, **options: Any) -> DebugEngine:
    """Load all versions; so many of the entities, whose `n` is 10 times their id, are in each of them."""
    engine = open_engine(sources, **options)
    for each in sources:
        engine.load_module_version(MODULE, each)
    whole = sum(counts)
    engine.spawn(MODULE, id=np.arange(whole), n=10 * np.arange(whole))
    engine.set_traffic_split(MODULE, {each: count / whole for each, count in zip(sources, counts, strict=True)})
    return engine


def by_id(engine: DebugEngine, name: str, version: Version | str | None = None) -> list[int]:
    columns = engine.entities(MODULE, version=version)
    return columns[name][np.argsort(columns["id"])].tolist()


def test_a_canary_sees_the_other_entities_as_the_last_tick_left_them(open_engine: OpenEngine) -> None:
    engine = started(open_engine, {"1.0.0": BLIND, "2.0.0": LOOKING}, 90, 10)
    before = by_id(engine, "n")
    for _ in range(3):
        assert engine.tick(0.1).faults == ()
        columns = engine.entities(MODULE)
        looked = columns["seen"] > 0
        assert looked.sum() == 10
        assert set(columns["seen"][looked]) == {100}
        assert set(columns["total"][looked]) == {sum(before)}
        assert (columns["mine"][looked] == columns["n"][looked] - 1).all()
        before = by_id(engine, "n")


def test_every_worker_can_look(open_engine: OpenEngine) -> None:
    engine = started(open_engine, {f"{major}.0.0": LOOKING for major in range(1, 8)}, *[3] * 7)
    before = sum(by_id(engine, "n"))
    for _ in range(3):
        assert engine.tick(0.1).faults == ()
        assert set(by_id(engine, "seen")) == {21}
        assert set(by_id(engine, "total")) == {before}
        before = sum(by_id(engine, "n"))


def test_one_version_alone_sees_itself(open_engine: OpenEngine) -> None:
    engine = started(open_engine, {"1.0.0": LOOKING}, 5)
    engine.tick(0.1)
    assert by_id(engine, "total") == [100] * 5


LENSES = 'Lens("==1.*", "==2.*", [Rename("n", "count"), Scale("length", 1000.0), Add("colour", 7), Drop("old")])'
OTHER = version(
    "e.n += 1; e.length += 1; e.old += 1", schema='n="i8", length="f4", old="i2", fixed="f4", constant=("fixed",)'
)
SEES = version(
    "w = self.world\n"
    "order = np.argsort(w.id)\n"
    "told = [int(w[name][order].astype('f8').sum() * 8) for name in ('count', 'length', 'colour', 'fixed')]\n"
    "self.document = {'seen': told, 'columns': list(w), 'writable': [bool(w[name].flags.writeable) for name in w]}\n"
    "self.mark_state_changed()\n"
    "e.colour += 1; e.count += 1; e.length += 1",
    schema='length="f4", count="i8", colour="i8", fixed="f4", constant=("fixed",)',
    lenses=LENSES,
    body="""
document = None

def get_state(self): return self.document
def set_state(self, document): self.document = document
""",
)


def document(engine: DebugEngine) -> Any:
    import msgspec

    return msgspec.msgpack.decode(engine._states[MODULE].versions[TWO].document)


def test_others_are_seen_through_the_lenses(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": OTHER, "2.0.0": SEES})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10), n=np.arange(10), length=np.arange(10) / 8, old=3, fixed=np.arange(10) / 4)
    engine.load_module_version(MODULE, 2)
    for weights in ({1: 0.5, 2: 0.5}, {1: 0.8, 2: 0.2}, {1: 0.2, 2: 0.8}):
        engine.set_traffic_split(MODULE, weights)  # some carry a colour, and others have none yet
        for _ in range(2):
            shown = engine.entities(MODULE, version=2)
            expected = [int(shown[name].astype("f8").sum() * 8) for name in ("count", "length", "colour", "fixed")]
            assert engine.tick(0.1).faults == ()
            told = document(engine)
            assert told["seen"] == expected
            assert told["columns"] == ["id", "length", "count", "colour", "fixed"]
            assert not any(told["writable"])


@pytest.mark.parametrize("others", [1, 4, 7])
def test_any_number_of_versions_can_have_their_columns_made_at_once(open_engine: OpenEngine, others: int) -> None:
    sources = {f"{major}.0.0": version("e.n += 1", schema='n="i8"') for major in range(1, others + 1)}
    last = others + 1
    sources[f"{last}.0.0"] = version(
        "e.seen = self.world.extra.sum(); e.n += 1",
        schema='n="i8", seen="i8", extra=Column("i8", default=3)',
        lenses=f'Lens("<{last}", "=={last}.*", [Add("extra"), Add("seen")])',
    )
    engine = started(open_engine, sources, *[2] * last)
    for _ in range(3):
        assert engine.tick(0.1).faults == ()
        assert max(by_id(engine, "seen", f"{last}.0.0")) == 3 * 2 * last


MAPS = version(
    "e.total = self.world.total.sum()",
    schema='total="i8"',
    lenses='Lens("==1.*", "==2.*", [Map(("a", "b"), "total", add, part)])',
    top="from grove_core import Map\ndef add(a, b): return a + b\ndef part(total): return {'a': total, 'b': total * 0}",
)


def test_what_a_function_makes_cannot_be_seen_and_that_is_told(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("e.a += 1", schema='a="i8", b="i8"'), "2.0.0": MAPS})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(4), a=1, b=2)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    (fault,) = engine.tick(0.1).faults
    assert (fault.version, fault.kind) == (TWO, FaultKind.RAISE)
    assert "the world cannot be shown" in fault.message
    assert "runs functions" in fault.message
    assert by_id(engine, "a") == [2] * 4, "nobody lost a tick"


@pytest.mark.parametrize(
    ("where", "statement"),
    [
        ("initialize", "self.world.n"),
        ("get_state", "self.kept is None or len(self.kept)"),
        ("process", "self.kept and self.kept[0].x"),
        ("process", "self.world.n[:] = 0"),
        ("process", "self.world.nothing"),
    ],
)
def test_looking_at_the_wrong_time_or_writing_is_an_error_of_that_version(
    open_engine: OpenEngine, where: str, statement: str
) -> None:
    wrong = {"initialize": "", "get_state": "", "process": "", where: statement}
    source = version(
        f"{wrong['process'] or 'pass'}\nself.kept = self.world\nself.mark_state_changed()",
        schema='n="i8"',
        body=f"""
kept = None

def initialize(self, config):
    {wrong["initialize"] or "pass"}

def get_state(self):
    {wrong["get_state"] or "pass"}
    return 1
""",
    )
    engine = open_engine({"1.0.0": version("e.n += 1", schema='n="i8"'), "2.0.0": source})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(4))
    if where == "initialize" or "self.world.n" in statement:
        with pytest.raises(Exception, match=r"world|read-only|nothing"):
            engine.load_module_version(MODULE, 2)
    else:
        engine.load_module_version(MODULE, 2)
        engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
        faults = [fault for _ in range(2) for fault in engine.tick(0.1).faults]
        assert [fault.kind for fault in faults] == [FaultKind.RAISE]
    assert sorted(by_id(engine, "id")) == [0, 1, 2, 3]


def test_births_and_deaths_are_seen_in_the_next_tick(open_engine: OpenEngine) -> None:
    bears = version("e.spawn(n=1)\ne.despawn(e.id[:1])\ne.spawn(n=2)", schema=COLUMNS)
    engine = started(open_engine, {"1.0.0": LOOKING, "2.0.0": bears}, 3, 3)
    for population in (6, 7, 8, 9):
        before = sum(by_id(engine, "n"))
        assert len(engine.entities(MODULE)["id"]) == population
        looked = engine.entities(MODULE, version=1)["id"][engine.entities(MODULE)["seen"] >= 0]
        assert len(looked) == population
        assert engine.tick(0.1).faults == ()
        columns = engine.entities(MODULE)
        assert columns["seen"].max() == population
        assert before in columns["total"]


def test_who_catches_up_sees_the_world_as_it_was_before_the_tick(open_engine: OpenEngine) -> None:
    engine = started(open_engine, {"1.0.0": LOOKING, "2.0.0": LOOKING, "3.0.0": BLIND}, 4, 3, 3)
    for _ in range(2):
        engine.tick(0.1)
    before = sum(by_id(engine, "n"))
    kill(engine, TWO)
    report = engine.tick(0.1)
    assert len(report.rollbacks) == 1
    columns = engine.entities(MODULE)
    looking = np.array([each == ONE for each in engine.locate(MODULE, columns["id"])])
    assert looking.sum() == 7
    assert set(columns["total"][looking]) == {before}, "those that were there, and those that came"
    assert set(columns["seen"][looking]) == {10}
    assert (columns["mine"] == columns["n"] - 1)[looking].all()


def test_who_catches_up_twice_sees_everybody(open_engine: OpenEngine) -> None:
    """3 fails, and 2 in the catch-up: what 2 had ticked already goes to 1 together with what has a tick to redo."""
    catching = "if self.catching_up:\n    "
    sources = {
        "1.0.0": version(
            f"{catching}e.seen = len(self.world)\n    e.total = self.world.id.sum()\ne.n += 1", schema=COLUMNS
        ),
        "2.0.0": version(f"{catching}raise ValueError('2')\ne.n += 1", schema=COLUMNS),
        "3.0.0": version("if e.id.min() > 100: raise ValueError('3')", schema=COLUMNS),
    }
    engine = open_engine(sources)
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    engine.spawn(MODULE, id=np.arange(101, 113))
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.load_module_version(MODULE, 3)
    engine.set_traffic_split(MODULE, {1: 1 / 3, 2: 1 / 3, 3: 1 / 3})
    report = engine.tick(0.1)
    assert [fault.version.major for fault in report.faults] == [3, 2]
    assert (report.entities, report.skipped) == (12, 0)
    columns = engine.entities(MODULE)
    caught_up = columns["seen"] > 0
    assert caught_up.sum() == 4
    assert set(columns["seen"][caught_up]) == {12}
    assert set(columns["total"][caught_up]) == {sum(range(101, 113))}
    assert set(columns["n"]) == {1}


def test_an_interrupt_while_a_look_is_answered_blames_nobody(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = started(open_engine, {"1.0.0": BLIND, "2.0.0": LOOKING}, 5, 5)
    assert engine.tick(0.1).faults == ()
    before, real = by_id(engine, "n"), world_module._Scene.of
    interrupts = iter([KeyboardInterrupt()])

    def interrupted(self: Any, *args: Any) -> Any:
        for interrupt in interrupts:
            raise interrupt
        return real(self, *args)

    monkeypatch.setattr(world_module._Scene, "of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.tick(0.1)
    assert by_id(engine, "n") == before, "the tick did not happen"
    assert engine.tick(0.1).faults == ()
    assert by_id(engine, "n") == [n + 1 for n in before]


def test_the_world_is_right_after_every_way_of_moving(open_engine: OpenEngine) -> None:
    engine = started(open_engine, {"1.0.0": LOOKING, "2.0.0": LOOKING}, 10, 0)
    steps: list[Callable[[], object]] = [
        lambda: engine.migrate_state(MODULE, 1, 2),  # adopted
        lambda: engine.set_traffic_split(MODULE, {1: 0.3, 2: 0.7}),
        lambda: engine.pin(MODULE, [0, 1], 1),
        lambda: engine.rollback(MODULE, 1),
        lambda: engine.unload_module_version(MODULE, 2),
        lambda: engine.load_module_version(MODULE, 2),
        lambda: engine.set_traffic_split(MODULE, {1: 0.0, 2: 1.0}),
        lambda: engine.despawn(MODULE, [5]),
    ]
    for step in steps:
        step()
        for _ in range(2):
            before = by_id(engine, "n")
            assert engine.tick(0.1).faults == ()
            assert set(by_id(engine, "total")) == {sum(before)}
            assert set(by_id(engine, "seen")) == {len(before)}
            assert by_id(engine, "mine") == before


def areas(pid: int) -> list[tuple[str, int]]:
    """Return the permissions and the inode of what a worker maps of tables."""
    lines = [line.split() for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines() if "grove:" in line]
    return [(fields[1], int(fields[4])) for fields in lines]


def test_only_who_looks_maps_others_and_for_reading_only(open_engine: OpenEngine) -> None:
    engine = started(open_engine, {"1.0.0": BLIND, "2.0.0": LOOKING}, 5, 5)
    for _ in range(2):
        engine.tick(0.1)
    tables = {each: engine.table_slots(MODULE, str(each))[0] for each in (ONE, TWO)}
    pids = engine.workers(MODULE)
    assert {inode for _, inode in areas(pids[ONE])} == {tables[ONE]}
    foreign = [permissions for permissions, inode in areas(pids[TWO]) if inode == tables[ONE]]
    assert foreign
    assert set(foreign) == {"r--s"}


def test_a_version_that_others_looked_at_gives_its_memory_back(open_engine: OpenEngine) -> None:
    settings = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0)
    engine = started(open_engine, {"1.0.0": LOOKING, "2.0.0": BLIND}, 50_000, 50_000, settings=settings)
    for _ in range(2):
        engine.tick(0.1)
    engine.pin(MODULE, [0], 1)
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.tick(0.1)
    report = engine.unload_module_version(MODULE, 2)
    assert report.had.tables > 2_000_000
    assert report.returned_bytes is not None
    assert report.returned_bytes >= report.had.tables
    before = by_id(engine, "n")
    engine.tick(0.1)
    assert set(by_id(engine, "total")) == {sum(before)}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_splits_births_and_deaths(package: Any, installed: Any, isolation: Any, data: st.DataObject) -> None:
    sources = {f"{major}.0.0": LOOKING for major in (1, 2, 3)}
    found = installed(*(package(MODULE, each, source) for each, source in sources.items()))
    with DebugEngine(PATIENT, plugins=[found], clock=ManualClock(), isolation=isolation) as engine:
        for each in sources:
            engine.load_module_version(MODULE, each)
        engine.spawn(MODULE, id=range(12), n=range(12))
        for _ in range(data.draw(st.integers(1, 6))):
            parts = data.draw(st.lists(st.integers(0, 4), min_size=3, max_size=3).filter(any))
            engine.set_traffic_split(
                MODULE, {each: part / sum(parts) for each, part in zip(sources, parts, strict=True)}
            )
            engine.spawn(MODULE, n=data.draw(st.lists(st.integers(-50, 50), max_size=5)))
            ids = engine.entities(MODULE)["id"]
            engine.despawn(MODULE, ids[: data.draw(st.integers(0, min(3, len(ids) - 1)))])
            before = by_id(engine, "n")
            assert engine.tick(0.1).faults == ()
            assert set(by_id(engine, "total")) == {sum(before)}
            assert by_id(engine, "mine") == before


COPY = "from gamelogic_v3 import GameLogic as Main\n__all__ = ['Main']\n"


@pytest.mark.needs(3)
def test_collisions_in_the_world_do_not_depend_on_the_split(package: Any, isolation: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    columns = {name: random.uniform(0, 40, 600).astype(np.float32) for name in ("x", "y", "vx", "vy")}

    def after(splits: list[dict[str, float]]) -> dict[str, np.ndarray[Any, Any]]:
        with DebugEngine(PATIENT, clock=ManualClock(), isolation=isolation) as engine:
            for number, each in enumerate(("3.1.0", "3.2.0", "3.3.0")):
                folder = package("gamelogic", each, COPY)
                engine.load_module_version("gamelogic", each, path=str(folder), config={"among": "world"})
                if not number:
                    engine.spawn("gamelogic", id=range(600), **columns)
            for split in splits:
                engine.set_traffic_split("gamelogic", split)
                assert engine.tick(1 / 60).faults == ()
            shown = engine.entities("gamelogic")
            order = np.argsort(shown["id"])
            return {name: values[order] for name, values in shown.items()}

    alone = after([{"3.1.0": 1.0}] * 4)
    shared = after([{"3.1.0": 0.5, "3.2.0": 0.2, "3.3.0": 0.3}, {"3.1.0": 0.1, "3.2.0": 0.9}] * 2)
    assert 100 < alone["collided"].sum() < 600
    for name, values in alone.items():
        assert values.tobytes() == shared[name].tobytes(), name
