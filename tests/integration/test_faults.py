"""What happens when a version fails: nothing is lost, and every entity has its tick exactly once."""

from __future__ import annotations

import os
import signal

import pytest
from packaging.version import Version

from grove_core import DebugEngine, Settings
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind, MoveCause, TickReport

from .acts import counted, kinds, start
from .conftest import OpenEngine, kill, runs
from .sources import BOTH, MODULE, V1, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))
SHORT = Settings(tick_deadline_ms=400.0, max_entities=1 << 12)
SPEAK_OUT_OF_TURN = """
if (e.n == 7).any():
    sockets = [fd for fd in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{fd}").find("socket:") >= 0]
    os.write(int(sockets[0]), b"junk")
"""


def rolled_back(engine: DebugEngine, report: TickReport, kind: FaultKind) -> None:
    """Check that version 2 failed with five entities in the second tick, and version 1 took over at once."""
    (fault,) = report.faults
    assert (fault.module, fault.version, fault.kind, fault.tick, fault.entities) == (MODULE, TWO, kind, 2, 5)
    (rollback,) = report.rollbacks
    assert (rollback.from_versions, rollback.target, rollback.entities) == ((TWO,), ONE, 5)
    assert rollback.fault == fault and not rollback.reloaded
    assert [step.name for step in rollback.steps] == ["backup", "reload", "restore", "redirect"]
    assert rollback.downtime_ms is not None and rollback.downtime_ms > rollback.rollback_ms > 0
    assert (report.entities, report.skipped) == (10, 0)
    assert sorted(counted(engine)) == [2] * 5 + [101] * 5
    assert engine.get_loaded_versions(MODULE) == [ONE]
    assert engine.get_traffic_split(MODULE) == {ONE: 1.0}
    assert engine.stable_version(MODULE) == ONE
    last = engine.migration_history(MODULE)[-1]
    assert (last.cause, last.entities, last.path) == (MoveCause.FAULT, 5, (TWO, ONE))
    assert kinds(engine)[-3:] == [EventKind.FAULT, EventKind.QUARANTINED, EventKind.ROLLED_BACK]
    assert engine.get_version_metrics(MODULE, 1).errors == 0


@pytest.mark.parametrize(
    ("injected", "kind"),
    [("raise", FaultKind.RAISE), ("corruption", FaultKind.RULE), ("kill", FaultKind.DEATH)],
)
def test_an_injected_fault_of_a_canary(open_engine: OpenEngine, injected: str, kind: FaultKind) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    worker = engine.workers(MODULE)[TWO]
    engine.inject_fault(MODULE, 2, injected, at=2)
    rolled_back(engine, engine.tick(0.1), kind)
    assert not runs(worker)


def test_a_canary_that_is_too_slow(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=SHORT)
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "lag", seconds=60.0)
    report = engine.tick(0.1)
    rolled_back(engine, report, FaultKind.DEADLINE)
    assert "400 ms (tick_deadline_ms)" in report.faults[0].message
    downtime = report.rollbacks[0].downtime_ms
    assert downtime is not None and 400 <= downtime <= report.ms, "the detection is part of the downtime"


def test_a_canary_that_is_stopped(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH, settings=SHORT)
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    os.kill(engine.workers(MODULE)[TWO], signal.SIGSTOP)
    rolled_back(engine, engine.tick(0.1), FaultKind.DEADLINE)


def test_a_canary_that_dies_between_ticks(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    kill(engine, TWO)
    report = engine.tick(0.1)
    rolled_back(engine, report, FaultKind.DEATH)
    assert "SIGKILL" in report.faults[0].message


@pytest.mark.parametrize(
    ("process", "kind", "told"),
    [
        ("e.n += 100\nif (e.n > 9300).any(): raise ValueError('too many')", FaultKind.RAISE, "ValueError: too many"),
        ("e.n += 100\nif (e.n > 9300).any(): sys.exit(4)", FaultKind.RAISE, "SystemExit: 4"),
        ("e.n += 100\nif (e.n > 9300).any(): os._exit(4)", FaultKind.DEATH, "status 4"),
        ("e.n += 100\ne.tag[e.n % 1000 > 150] = 101", FaultKind.RULE, "tag is 101, above its highest value 100"),
        ("e.n += 100\ne.tag[e.n % 1000 > 150] = -101", FaultKind.RULE, "tag is -101, below its lowest value -100"),
        ("e.n += 100\ne.x[e.n % 1000 > 150] = np.nan", FaultKind.RULE, "x is NaN in 5 of 5 rows"),
        ("e.n += 100\nif (e.n % 1000 > 150).any(): e.fixed[:] = 1", FaultKind.RAISE, "read-only"),
        (
            SPEAK_OUT_OF_TURN.replace("(e.n == 7)", "(e.n % 1000 == 100)") + "e.n += 100",
            FaultKind.WRONG_REPLY,
            "no message",
        ),
    ],
)
def test_a_fault_of_a_canarys_own(open_engine: OpenEngine, process: str, kind: FaultKind, told: str) -> None:
    schema = 'x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", hit="i8", constant=("fixed",)'
    process = process.replace("e.n > 9300", "e.n % 1000 > 150")
    canary = version(process, schema=schema, lenses='Lens("==1.*", "==2.*", [Add("hit")])')
    engine = open_engine({"1.0.0": V1, "2.0.0": canary})
    start(engine, v1=0.5, v2=0.5)
    assert engine.tick(0.1).faults == ()
    report = engine.tick(0.1)
    rolled_back(engine, report, kind)
    assert told in report.faults[0].message
    raised = kind is FaultKind.RAISE
    assert ("process" in (report.faults[0].traceback or "")) == raised
