"""A version that writes between two ticks, where nobody validates: what it wrote never becomes anybody's state."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind, TickReport

from .acts import counted, start
from .conftest import OpenEngine, kill
from .sources import MODULE, SCHEMA_1, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
BODY = """
def initialize(self, config):
    self.kept = None
    threading.Thread(target=self.between, args=(config["orders"], config["done"]), daemon=True).start()

def between(self, orders, done):
    while True:
        with open(orders) as file:
            order = file.read()
        exec(order, {"e": self.kept, "np": np})
        with open(done, "w") as file:
            file.write("done")
"""
Between = Callable[[str], None]


def writer(process: str) -> str:
    """Version 2: it keeps its entities, and a thread of it does to them what it is told, whenever it is told."""
    schema = SCHEMA_1.replace("fixed=", 'hit="i8", fixed=', 1)
    lens = 'Lens("==1.*", "==2.*", [Add("hit")])'
    return version(f"self.kept = e\n{process}", schema=schema, lenses=lens, body=BODY, top="import threading")


@pytest.fixture
def between(tmp_path: Path) -> Between:
    """`between("e.x[...] = 1")`: have the thread do it, now; returns when it is done."""
    for name in ("orders", "done"):
        os.mkfifo(tmp_path / name)

    def tell(order: str) -> None:
        (tmp_path / "orders").write_text(order)
        assert (tmp_path / "done").read_text() == "done"

    return tell


def started(open_engine: OpenEngine, tmp_path: Path, process: str = "e.n += 100\ne.x += dt") -> DebugEngine:
    """Version 1 has the first five of ten entities, or others; both had two ticks."""
    engine = open_engine({"1.0.0": V1, "2.0.0": writer(process)})
    config = {name: str(tmp_path / name) for name in ("orders", "done")}
    start(engine, v1=1.0)
    engine.load_module_version(MODULE, 2, config=config)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    for _ in range(2):
        assert engine.tick(0.25).faults == ()
    return engine


def faulted(engine: DebugEngine, report: TickReport, kind: FaultKind, mended: int, left: int) -> None:
    assert [(fault.version, fault.kind) for fault in report.faults[:1]] == [(TWO, kind)]
    told = f"{mended} are as they were a tick earlier, {left} have no good earlier values"
    assert told in report.faults[0].message
    event = next(event for event in engine.events if event.kind is EventKind.BAD_GENERATION)
    assert (event.version, event.details) == (TWO, {"tick": 3, "mended": mended, "left": left})


@pytest.mark.parametrize("end", ["rule", "raise", "death"])
def test_what_breaks_a_rule_comes_from_the_generation_before(
    open_engine: OpenEngine, between: Between, tmp_path: Path, end: str
) -> None:
    engine = started(open_engine, tmp_path)
    mine = engine.entities(MODULE)["id"][5:].tolist()
    assert engine.locate(MODULE, mine) == [TWO] * 5
    hurt = mine[1:3]
    between(f"e.x[np.isin(e.id, {hurt})] = np.nan")
    if end == "raise":
        engine.inject_fault(MODULE, 2, "raise")
    elif end == "death":
        kill(engine, TWO)
    report = engine.tick(0.25)
    faulted(engine, report, FaultKind(end), mended=2, left=0)
    assert (report.entities, report.skipped) == (10, 0)
    columns = engine.entities(MODULE)
    assert not np.isnan(columns["x"]).any()
    ns = dict(enumerate(counted(engine)))
    assert [ns[each] for each in hurt] == [101, 101], "they lost the tick that was overwritten, and no more"
    assert sorted(ns[each] for each in mine if each not in hurt) == [201] * 3
    assert sorted(ns[each] for each in range(10) if each not in mine) == [3] * 5
    assert engine.tick(0.25).faults == ()


def test_a_row_is_found_by_its_id_wherever_it_is_by_now(
    open_engine: OpenEngine, between: Between, tmp_path: Path
) -> None:
    engine = started(open_engine, tmp_path)
    mine = engine.entities(MODULE)["id"][5:].tolist()
    engine.despawn(MODULE, [mine[0]])  # the last row fills its place
    between("e.tag[0] = 101")
    report = engine.tick(0.25)
    faulted(engine, report, FaultKind.RULE, mended=1, left=0)
    columns = engine.entities(MODULE)
    counts = dict(zip(columns["id"].tolist(), (columns["n"] - columns["id"] * 1000).tolist(), strict=True))
    assert counts[mine[-1]] == 101 and [counts[each] for each in mine[1:-1]] == [201] * 3
    assert columns["tag"].tolist() == [0] * 9


def test_who_has_no_good_past_stays_as_it_is_and_it_is_told(
    open_engine: OpenEngine, between: Between, tmp_path: Path
) -> None:
    engine = started(open_engine, tmp_path)
    mine = engine.entities(MODULE)["id"][5:].tolist()
    engine.despawn(MODULE, [mine[-1]])
    (born,) = engine.spawn(MODULE, id=[100], n=100_000)  # takes the place of the one that is gone
    assert engine.locate(MODULE, [100]) == [TWO]
    between("e.x[-1] = np.nan")
    report = engine.tick(0.25)
    faulted(engine, report, FaultKind.RULE, mended=0, left=1)
    assert engine.is_paused(MODULE), "nobody can have it"
    columns = engine.entities(MODULE)
    assert columns["id"][np.isnan(columns["x"])].tolist() == [born]
    counts = dict(zip(columns["id"].tolist(), (columns["n"] - columns["id"] * 1000).tolist(), strict=True))
    assert [counts[each] for each in mine[:-1]] == [200] * 4, "nobody else lost anything"
    engine.despawn(MODULE, [born])
    engine.rollback(MODULE, 1)
    assert engine.tick(0.25).entities == 9


def test_what_a_version_gives_up_does_not_come_back_broken(
    open_engine: OpenEngine, between: Between, tmp_path: Path
) -> None:
    process = "e.n += 100\ne.x += dt\nbad = np.isnan(e.x)\nif bad.any(): e.fail(e.id[bad], 'not a number')"
    engine = started(open_engine, tmp_path, process)
    mine = engine.entities(MODULE)["id"][5:].tolist()
    between("e.x[2] = np.nan")
    report = engine.tick(0.25)
    assert (report.faults, report.entities, report.skipped) == ((), 9, 1)
    assert sorted(counted(engine)) == [3] * 5 + [100] + [300] * 4
    assert [counted(engine)[each] for each in mine].count(100) == 1
    (event,) = [event for event in engine.events if event.kind is EventKind.BAD_GENERATION]
    assert event.details == {"tick": 3, "mended": 1, "left": 0}
    assert engine.tick(0.25).skipped == 0
