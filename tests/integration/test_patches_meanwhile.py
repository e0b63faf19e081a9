"""While new code is made ready others have their turns: ticks go on, and what they change is found out in the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine, GroveError, PatchRefused, PatchReport
from grove_core.base.errors import AlreadyLoaded, EngineClosed, RolloutActive
from grove_core.base.events import EventKind

from .acts import kinds
from .conftest import PATIENT, OpenEngine, all_gone, kill
from .patched import KEEPS, SCHEMA, Code, adding, code, counts, start, ticks
from .sources import MODULE

__all__ = ["code"]

LONG = 60.0
"""Seconds; nothing takes so long, however busy the machine is."""
ONE, PATCHED, TWO = Version("1.0.0"), Version("1.0.1"), Version("2.0.0")
ADDING_2 = adding(100, schema=f'hit="i8", {SCHEMA}', lenses='Lens("==1.*", "==2.*", [Add("hit")])')


class Gate:
    """Where code waits as it initialises, until somebody opens."""

    def __init__(self, folder: Path) -> None:
        self._reached, self._open = folder / "reached", folder / "open"

    def code(self, number: int) -> str:
        """Return code that adds so much, once it is let through."""
        waits = f"""def initialize(self, config):
    with open({str(self._reached)!r}, "a") as file: print(os.getpid(), file=file, flush=True)
    while not os.path.exists({str(self._open)!r}): time.sleep(0.005)
"""
        return adding(number, body=KEEPS.replace("def initialize(self, config):\n", waits))

    def reached(self, by: int = 1) -> bool:
        """Tell whether so many have come."""
        return self._reached.exists() and self._reached.read_text().count("\n") >= by

    @property
    def pid(self) -> int:
        """Who waited last."""
        return int(self._reached.read_text().split()[-1])

    def open(self) -> None:
        """Let whoever comes through, from now on."""
        self._open.touch()


class Patching:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, engine: DebugEngine, path: str, version: str) -> None:
        self.report: PatchReport | None = None
        self.error: GroveError | None = None

        def call() -> None:
            try:
                self.report = engine.patch_module_version(MODULE, version, path=path)
            except GroveError as error:
                error.__traceback__ = None
                self.error = error

        self.thread = threading.Thread(target=call)
        self.thread.start()


@contextmanager
def patching(engine: DebugEngine, gate: Gate, path: str, version: str = "1.0.0") -> Iterator[Patching]:
    """Have new code wait in its `initialize` during the block; the call has ended after it."""
    call = Patching(engine, path, version)
    try:
        end = time.monotonic() + LONG
        while not gate.reached():
            assert call.thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.002)
        yield call
    finally:
        gate.open()
        call.thread.join(LONG)
    assert not call.thread.is_alive()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_ticks_go_on_while_code_is_made_ready_and_none_is_lost(open_engine: OpenEngine, code: Code, gate: Gate) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    (pid,) = engine.workers(MODULE).values()
    reports, path = [], code("1.0.1", gate.code(1000))
    with patching(engine, gate, path) as call:
        for _ in range(60):
            reports.append(engine.tick(1 / 60))
            assert engine.workers(MODULE) == {ONE: pid}
        gate.open()
        end = time.monotonic() + LONG
        while call.thread.is_alive() or counts(engine)[0] < 2000:
            reports.append(engine.tick(1 / 60))
            assert time.monotonic() < end
    assert [report.number for report in reports] == list(range(2, len(reports) + 2))
    assert {(report.entities, report.faults) for report in reports} == {(8, ())}
    assert call.report is not None
    assert call.report.target == PATCHED
    new, old = divmod(counts(engine)[0], 1000)
    assert counts(engine) == [1000 * new + old] * 8
    assert new + old == len(reports) + 1 == ticks(engine, "1.0.1"), "the document is that of the last tick before"
    assert old > 60
    assert new >= 2
    assert all_gone([pid])


def loaded_beside(engine: DebugEngine, code: Code) -> None:
    engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})


def unload(engine: DebugEngine, code: Code) -> None:
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, "1.0.0")


def load_again(engine: DebugEngine, code: Code) -> None:
    unload(engine, code)
    engine.load_module_version(MODULE, "1.0.0", path=code("1.0.0", adding(1)))


REFUSED: dict[str, tuple[Callable[[DebugEngine, Code], object], type[GroveError], str]] = {
    "it is unloaded": (unload, PatchRefused, "unloaded meanwhile"),
    "it is unloaded and loaded": (load_again, PatchRefused, "unloaded meanwhile"),
    "its config is changed": (
        lambda engine, code: engine.config.update(MODULE, {"by": 3}, version="1.0.0"),
        PatchRefused,
        "config was changed",
    ),
    "it is patched": (
        lambda engine, code: engine.patch_module_version(MODULE, 1, path=code("1.0.0", adding(7))),
        PatchRefused,
        "patched meanwhile",
    ),
    "it is patched to the same": (
        lambda engine, code: engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(7))),
        PatchRefused,
        "unloaded meanwhile",
    ),
    "the patch release is loaded": (
        lambda engine, code: engine.load_module_version(MODULE, "1.0.1", path=code("1.0.1", adding(7))),
        AlreadyLoaded,
        "it is loaded already",
    ),
    "a rollout begins": (
        lambda engine, code: engine.rollouts.start(MODULE, 2, "canary"),
        RolloutActive,
        "engine.rollouts.abort",
    ),
    "the engine is closed": (lambda engine, code: engine.close(), EngineClosed, "closed"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_happened_meanwhile_and_does_not_go_with_it(
    open_engine: OpenEngine, code: Code, gate: Gate, what: str
) -> None:
    act, error, words = REFUSED[what]
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    loaded_beside(engine, code)
    with patching(engine, gate, code("1.0.1", gate.code(5))) as call:
        act(engine, code)
        workers = {} if error is EngineClosed else engine.workers(MODULE)
    assert isinstance(call.error, error)
    assert words in call.error.message
    assert all_gone([gate.pid])
    if error is EngineClosed:
        return
    assert engine.workers(MODULE) == workers
    report = engine.tick(0.0)
    assert (report.entities, report.faults) == (8, ())


def restart(engine: DebugEngine, code: Code) -> None:
    kill(engine, ONE)
    engine.tick(0.0)
    assert EventKind.RESTARTED in kinds(engine)


def fail(engine: DebugEngine, code: Code) -> None:
    loaded_beside(engine, code)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.inject_fault(MODULE, 1, "raise")
    engine.tick(0.0)


def move(engine: DebugEngine, code: Code) -> None:
    loaded_beside(engine, code)
    engine.spawn(MODULE, id=np.arange(100, 140))
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.despawn(MODULE, np.arange(100, 140))


def generate(engine: DebugEngine, code: Code) -> None:
    engine.config.update(MODULE, {"by": 1})
    engine.config.update(MODULE, {})


@pytest.mark.parametrize("act", [restart, move, generate])
def test_what_happened_meanwhile_and_goes_with_it(
    open_engine: OpenEngine, code: Code, gate: Gate, act: Callable[[DebugEngine, Code], None]
) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    with patching(engine, gate, code("1.0.1", gate.code(1000))) as call:
        act(engine, code)
        before = np.array(counts(engine))
    assert call.error is None
    assert engine.tick(0.0).faults == ()
    assert counts(engine) == (before + 1000).tolist()
    assert engine.stable_version(MODULE) == PATCHED


def test_one_that_was_rolled_back_and_ended_meanwhile(open_engine: OpenEngine, code: Code, gate: Gate) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    with patching(engine, gate, code("1.0.1", gate.code(1000))) as call:
        fail(engine, code)
        assert not engine.is_version_loaded(MODULE, 1)
    assert isinstance(call.error, PatchRefused)
    assert engine.tick(0.0).faults == ()


def test_the_worker_of_the_code_is_killed_meanwhile(open_engine: OpenEngine, code: Code, gate: Gate) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    with patching(engine, gate, code("1.0.1", gate.code(1000))) as call:
        os.kill(gate.pid, signal.SIGKILL)
        call.thread.join(LONG)
    assert call.error is not None
    assert "the worker of the code was killed by SIGKILL" in call.error.message
    assert engine.tick(0.0).faults == ()


def test_two_patches_of_one_version_at_once(open_engine: OpenEngine, code: Code, gate: Gate) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    with patching(engine, gate, code("1.0.1", gate.code(1000))) as one:
        other = Patching(engine, code("1.0.2", gate.code(500)), "1.0.0")
        end = time.monotonic() + LONG
        while not gate.reached(by=2):
            assert time.monotonic() < end
            time.sleep(0.002)
    other.thread.join(LONG)
    assert sorted(call.error is None for call in (one, other)) == [False, True]
    (refused,) = [call.error for call in (one, other) if call.error is not None]
    assert isinstance(refused, PatchRefused)
    assert engine.tick(0.0).faults == ()


def test_one_that_is_busy_is_patched_once_it_is_idle(open_engine: OpenEngine, code: Code, tmp_path: Path) -> None:
    engine = open_engine({}, settings=msgspec.structs.replace(PATIENT, idle_deadline_seconds=LONG))
    asked = tmp_path / "asked"
    busy = f"""
def is_idle(self):
    open({str(asked)!r}, "w").close()
    return self.ticks >= 3
"""
    start(engine, code("1.0.0", adding(1, body=KEEPS + busy)))
    call = Patching(engine, code("1.0.1", adding(1000)), "1.0.0")
    end = time.monotonic() + LONG
    while not asked.exists():
        assert time.monotonic() < end
        time.sleep(0.002)
    assert counts(engine) == [1] * 8
    engine.tick(0.0)
    engine.tick(0.0)
    call.thread.join(LONG)
    assert call.error is None
    engine.tick(0.0)
    assert counts(engine) == [3 + 1000] * 8


def test_one_that_stays_busy_is_not_patched(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({}, settings=msgspec.structs.replace(PATIENT, idle_deadline_seconds=0.05))
    start(engine, code("1.0.0", adding(1, body=f"{KEEPS}\ndef is_idle(self): return False")))
    with pytest.raises(PatchRefused, match="idle_deadline_seconds"):
        engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    engine.tick(0.0)
    assert counts(engine) == [2] * 8
