"""Behind the fence a view that outlived its tick ends its version, and says where; all else is as without a fence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.records import FaultKind

from .conftest import OpenEngine
from .sources import BOTH, MODULE, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
KEEPS = version(
    """
e.n += 1
kept = getattr(self, "kept", None)
if len(e) < 8 and kept is not None: e.x += kept.sum()
if len(e) < 8: self.kept = e.x
""",
)
"""Uses a view of the tick before, but not of the warm-up, which has 8 rows."""
CAREFUL = KEEPS.replace("self.kept = e.x", "self.kept = e.x.copy()")
TELLS = version("if len(e) < 8: raise ValueError(e.n)")
"""Raises an error whose text shows a view."""
LOOKS = version("e.x += len(self.world.x)\ne.n += 1\nif len(e) < 40 and e.n[0] % 3 == 0: e.spawn(n=e.n[:1])")


def opened(open_engine: OpenEngine, source: str, **more: Any) -> DebugEngine:
    engine = open_engine({"1.0.0": source}, **more)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0], n=[0, 0])
    return engine


def test_a_kept_view_is_trapped_with_its_place(open_engine: OpenEngine) -> None:
    engine = opened(open_engine, KEEPS, fence=True)
    engine.break_on_fault()
    assert engine.tick(0.0).faults == ()
    (fault,) = engine.tick(0.0).faults
    assert fault.kind is FaultKind.DEATH
    assert "kept from an earlier tick" in fault.message
    assert fault.traceback is not None
    assert fault.traceback.startswith("Fatal Python error: Segmentation fault")
    assert "in process" in fault.traceback
    assert fault.rows is not None
    assert fault.rows.before["n"].tolist() == [1, 1]
    assert fault.rows.after["n"].tolist() == [2, 2], "as far as it came"
    shown = engine.entities(MODULE)
    assert shown["x"].tolist() == [1.0, 2.0]


def test_without_a_fence_nobody_notices(open_engine: OpenEngine) -> None:
    engine = opened(open_engine, KEEPS)
    assert [engine.tick(0.0).faults for _ in range(3)] == [()] * 3


def test_a_copy_may_be_kept(open_engine: OpenEngine) -> None:
    engine = opened(open_engine, CAREFUL, fence=True)
    assert [engine.tick(0.0).faults for _ in range(3)] == [()] * 3
    assert engine.entities(MODULE)["x"].tolist() != [1.0, 2.0]


def test_a_death_of_another_kind_is_not_the_fence_s(open_engine: OpenEngine) -> None:
    engine = opened(open_engine, V1, fence=True)
    engine.inject_fault(MODULE, 1, "kill")
    (fault,) = engine.tick(0.0).faults
    assert "fence" not in fault.message


def test_an_error_that_shows_a_view_is_told_as_without(open_engine: OpenEngine) -> None:
    engine = opened(open_engine, TELLS, fence=True)
    fault = engine.tick(0.0).faults[0]
    assert (fault.kind, fault.message) == (FaultKind.RAISE, "process raised ValueError: [0 0]")


def test_no_column_can_be_reached_between_ticks(open_engine: OpenEngine) -> None:
    engine = opened(open_engine, V1, fence=True)
    for _ in range(2):
        engine.tick(0.0)
        inode, _ = engine.table_slots(MODULE, 1)
        maps = Path(f"/proc/{engine.workers(MODULE)[ONE]}/maps").read_text("utf-8").splitlines()
        rights = {line.split()[1] for line in maps if line.split()[4] == str(inode)}
        assert rights == {"---s"}


@pytest.mark.parametrize("source", [V1, LOOKS], ids=["plain", "world and births"])
def test_behind_the_fence_all_goes_as_without(open_engine: OpenEngine, source: str) -> None:
    pictures = []
    for fence in (False, True):
        engine = opened(open_engine, source, fence=fence)
        for _ in range(40):
            assert engine.tick(0.5).faults == ()
        engine.inject_fault(MODULE, 1, "kill")
        engine.tick(0.5)
        engine.tick(0.5)
        columns = engine.entities(MODULE)
        order = np.argsort(columns["id"])
        pictures.append({name: values[order].tolist() for name, values in columns.items()})
    assert pictures[0] == pictures[1]


def test_rows_move_and_grow_behind_the_fence(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, fence=True)
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    engine.spawn(MODULE, n=[0] * 4)
    engine.tick(0.0)
    engine.migrate_state(MODULE, 1, 2)  # adopts the memory
    engine.tick(0.0)
    engine.spawn(MODULE, n=[0] * 2000)  # beyond a page
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    report = engine.tick(0.0)
    assert (report.faults, report.entities) == ((), 2004)
    assert sum(report.skipped for report in (engine.tick(0.0) for _ in range(20))) == 0
