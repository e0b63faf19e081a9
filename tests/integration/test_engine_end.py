"""However an engine ends, no process of it stays; and a zygote that ends takes nothing along."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core.isolation.process import ProcessIsolation

from .conftest import GONE_SECONDS, OpenEngine, all_gone, children_of, end_zygote, kill, runs
from .sources import BOTH, MODULE, V1, V2, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
SPINS = version("if len(e) == 3:\n    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n    while True: pass")
PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who was started in the background ignores it
from pathlib import Path
from grove_core import DebugEngine, Settings

engine = DebugEngine(Settings.read(sys.argv[2]))
engine.load_module_version("counter", 1, path=sys.argv[1])
engine.spawn("counter", id=[1, 2, 3])

def started_by(pid):
    started = list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return started + [each for child in started for each in started_by(child)]

print(*started_by(os.getpid()), flush=True)
END
"""

Start = Callable[[str, str], tuple[subprocess.Popen[str], set[int]]]


@pytest.fixture
def start(tmp_path: Path, package: Any, ways_in_toml: str) -> Start:
    """`start(source, end)`: an engine as a process of its own, with the ids of all that it started."""

    def run(source: str, end: str) -> tuple[subprocess.Popen[str], set[int]]:
        program, settings = tmp_path / "program.py", tmp_path / "grove.toml"
        program.write_text(PROGRAM.replace("END", end))
        settings.write_text(f"[grove]\ntick_deadline_ms = 600_000\n{ways_in_toml}")
        process = subprocess.Popen(
            [sys.executable, "-P", str(program), str(package(MODULE, "1.0.0", source)), str(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line[0].isdigit() and all(word.isdigit() for word in line.split()):
                return process, set(map(int, line.split()))
        raise AssertionError(process.stderr.read() if process.stderr else "")

    return run


def family(pids: set[int]) -> set[int]:
    """Return these processes and all that they started: a zygote forks its spare while the engine goes on."""
    return pids.union(*map(children_of, pids))


@pytest.mark.parametrize(
    ("source", "end", "how"),
    [
        (V1, "while True: engine.tick(0.1)", signal.SIGKILL),
        (V1, "while True: engine.tick(0.1)", signal.SIGTERM),
        (SPINS, "engine.tick(0.1)", signal.SIGKILL),
        (V1, "signal.pause()", signal.SIGKILL),
    ],
    ids=["killed in a tick", "terminated", "killed while a worker spins", "killed between ticks"],
)
def test_an_engine_that_is_killed(start: Start, source: str, end: str, how: signal.Signals) -> None:
    process, pids = start(source, end)
    everybody = family(pids)
    assert len(everybody) >= 2 and all(runs(pid) for pid in everybody)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert all_gone(everybody)


@pytest.mark.parametrize(
    "end", ["engine.close()", "pass", "raise SystemExit(3)", "os._exit(1)", "raise ValueError", "os.abort()"]
)
def test_an_engine_that_ends_by_itself(start: Start, end: str) -> None:
    process, pids = start(V1, end)
    process.communicate(timeout=30)
    assert all_gone(pids)


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C, and again where Python dropped it: an interrupt that strikes in a destructor is not raised."""
    for _ in range(4):
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=8)
    process.kill()
    out, err = process.communicate()
    raise AssertionError(f"four interrupts did not end it: {out}{err}")


def test_ctrl_c_reaches_the_engine_alone(start: Start) -> None:
    end = """
try:
    print("ticking", flush=True)
    while True: engine.tick(0.1)
except KeyboardInterrupt:
    report = engine.tick(0.1)
    print("after", report.entities, [fault.message for fault in report.faults], flush=True)
    engine.close()
"""
    process, pids = start(V1, end)
    assert process.stdout is not None
    assert any(line == "ticking\n" for line in process.stdout)
    out, err = interrupted(process)
    # An interrupt that strikes while a reply is read loses it; the worker is ended then, by the engine, and restarted.
    assert "after 3 []" in out or "after 3 ['it has no worker']" in out, out + err
    assert process.returncode == 0
    assert all_gone(pids)


def test_a_zygote_that_dies(open_engine: OpenEngine, own_isolation: ProcessIsolation) -> None:
    engine = open_engine(BOTH, isolation=own_isolation)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    end_zygote(own_isolation)
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 10), "a loaded version does not need it"
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    assert engine.tick(0.1).entities == 10
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [2] * 5 + [101] * 5


@pytest.mark.parametrize(
    "then",
    [
        lambda engine: engine.inject_fault(MODULE, 1, "raise"),
        lambda engine: kill(engine, ONE),
    ],
    ids=["raise", "kill"],
)
def test_a_fault_after_the_zygote_died(
    open_engine: OpenEngine, own_isolation: ProcessIsolation, then: Callable[[Any], None]
) -> None:
    engine = open_engine(BOTH, isolation=own_isolation)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    engine.tick(0.1)
    end_zygote(own_isolation)
    then(engine)
    report = engine.tick(0.1)
    assert (len(report.faults), report.entities, report.skipped) == (1, 10, 0)
    assert engine.entities(MODULE)["n"].tolist() == [2] * 10


def test_a_spare_that_dies(open_engine: OpenEngine, own_isolation: ProcessIsolation) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": V2}, isolation=own_isolation)
    engine.load_module_version(MODULE, 1)
    zygote = own_isolation._zygote.pid
    worker = engine.workers(MODULE)[ONE]
    spares: list[int] = []
    deadline = time.monotonic() + GONE_SECONDS
    while not spares and time.monotonic() < deadline:  # it is forked while the engine goes on
        children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text("ascii").split()
        spares = [pid for pid in map(int, children) if pid != worker]
    assert spares
    for pid in spares:
        os.kill(pid, signal.SIGKILL)
    assert all_gone(spares)
    engine.load_module_version(MODULE, 2)
    assert engine.workers(MODULE).keys() == {ONE, TWO}


DIES_AS_IT_COMES_UP = version(
    "e.n += 1",
    body="""
def initialize(self, config):
    for each in sorted(os.listdir(config["folder"]))[:1]:
        os.unlink(os.path.join(config["folder"], each))
        os.kill(os.getpid(), signal.SIGKILL)
""",
)
"""Is killed as it is initialised, as often as there are files in a folder."""


@pytest.mark.parametrize(("times", "paused"), [(1, False), (2, True)])
def test_a_worker_that_is_killed_and_the_next_one_as_it_comes_up(
    open_engine: OpenEngine, tmp_path: Path, times: int, paused: bool
) -> None:
    """As when somebody kills all that an engine started, and the spare dies a moment after the worker."""
    engine, folder = open_engine({"1.0.0": DIES_AS_IT_COMES_UP}), tmp_path / "deaths"
    folder.mkdir()
    engine.load_module_version(MODULE, 1, config={"folder": str(folder)})
    engine.spawn(MODULE, id=range(10))
    engine.tick(0.1)
    for number in range(times):
        (folder / str(number)).touch()
    kill(engine, ONE)
    report = engine.tick(0.1)
    assert [fault.kind.value for fault in report.faults] == ["death"]
    assert (engine.is_paused(MODULE), report.entities, report.skipped) == ((True, 0, 10) if paused else (False, 10, 0))
    assert engine.entities(MODULE)["n"].tolist() == [1 if paused else 2] * 10
    if paused:
        engine.rollback(MODULE, 1)
        assert engine.tick(0.1).entities == 10
