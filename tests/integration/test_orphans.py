"""What versions start beside their worker: it ends with the worker or the engine, and reaches no column."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core import Settings
from grove_core.base.errors import DeadlineExceeded, PeerDied
from grove_core.base.records import FaultKind
from grove_core.isolation import zygote as zygote_module
from grove_core.isolation.process import ProcessIsolation
from grove_core.isolation.spawned import SpawnIsolation

from .conftest import OpenEngine, all_gone, children_of, kill, runs
from .sources import BOTH, MODULE, V1, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))
FORK, SESSION, DAEMON, PROGRAM = "fork", "session", "daemon", "program"
EVERYTHING = [FORK, SESSION, DAEMON, PROGRAM]
TOP = """
import subprocess

STAY = '''
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
open(sys.argv[1] + "/" + str(os.getpid()), "w").close()
while True:
    signal.sigwait({signal.SIGUSR1})
'''

def stay(folder):
    sys.argv = ["", folder]
    exec(STAY)

def leave(kind, folder):
    if kind == "program":
        subprocess.Popen([sys.executable, "-c", STAY, folder], start_new_session=True)
        return
    pid = os.fork()
    if pid:
        if kind == "daemon":
            os.waitpid(pid, 0)
        return
    if kind != "fork":
        os.setsid()
    if kind == "daemon" and os.fork():
        os._exit(0)
    stay(folder)

def leave_all(kinds, folder):
    before = len(os.listdir(folder))
    for kind in kinds:
        leave(kind, folder)
    while len(os.listdir(folder)) < before + len(kinds):
        time.sleep(0.001)
"""
LEAVES = version(
    "e.n += 1\nif len(e) == 3 and self.config['ticks']: leave_all(self.config['ticks'], self.config['folder'])\n"
    "if len(e) == 3 and self.config.get('spins'):\n"
    "    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    "    while True: pass",
    body="def initialize(self, config):\n    self.config = config\n    leave_all(config['starts'], config['folder'])",
    top=TOP,
)
"""Starts what its configuration says, once as it is loaded and once as it is ticked over three rows."""


def left_in(folder: Path) -> set[int]:
    return {int(each.name) for each in folder.iterdir()}


def config(folder: Path, starts: list[str], ticks: list[str] | None = None, **more: Any) -> dict[str, Any]:
    folder.mkdir()
    return {"folder": str(folder), "starts": starts, "ticks": ticks or [], **more}


def names(pid: int) -> str:
    """Return the names of all that a process maps or holds open."""
    held = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        held.append(str(each.readlink()))
    return Path(f"/proc/{pid}/maps").read_text("utf-8") + "\n".join(held)


def test_what_a_version_left_ends_with_it_and_what_another_one_has_stays(
    open_engine: OpenEngine, own_isolation: ProcessIsolation, tmp_path: Path
) -> None:
    engine = open_engine({"1.0.0": LEAVES, "2.0.0": LEAVES}, isolation=own_isolation)
    first, second = tmp_path / "first", tmp_path / "second"
    engine.load_module_version(MODULE, 1, config=config(first, [FORK, SESSION, PROGRAM]))
    engine.spawn(MODULE, id=range(10))
    engine.load_module_version(MODULE, 2, config=config(second, EVERYTHING))
    mine, others = left_in(first), left_in(second)
    assert (len(mine), len(others)) == (3, 4) and all(map(runs, mine | others))
    engine.unload_module_version(MODULE, 2)
    assert all_gone(others)
    assert all(map(runs, mine))
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 10)
    engine.close()
    assert all_gone(mine)


def test_what_a_tick_starts_reaches_no_column(open_engine: OpenEngine, own_isolation: Any, tmp_path: Path) -> None:
    engine = open_engine({"1.0.0": LEAVES}, isolation=own_isolation)
    folder = tmp_path / "left"
    engine.load_module_version(MODULE, 1, config=config(folder, [], EVERYTHING))
    engine.spawn(MODULE, id=range(3))
    assert engine.tick(0.1).faults == ()
    assert f"grove:{MODULE}" in names(engine.workers(MODULE)[ONE]), "the names that are looked for are there"
    assert len(left_in(folder)) == 4
    for pid in left_in(folder):
        assert f"grove:{MODULE}" not in names(pid)


def test_what_a_restart_starts_reaches_no_column(open_engine: OpenEngine, own_isolation: Any, tmp_path: Path) -> None:
    """Columns are mapped before `initialize`, and their descriptors come with the same message."""
    engine = open_engine({"1.0.0": LEAVES}, isolation=own_isolation)
    folder = tmp_path / "left"
    engine.load_module_version(MODULE, 1, config=config(folder, EVERYTHING))
    engine.spawn(MODULE, id=range(10))
    before = left_in(folder)
    engine.inject_fault(MODULE, 1, "raise")
    assert (len(engine.tick(0.1).faults), engine.is_paused(MODULE)) == (1, False)
    assert all_gone(before)
    after = left_in(folder) - before
    assert len(after) == 4 and all(map(runs, after))
    for pid in after:
        assert f"grove:{MODULE}" not in names(pid)


def test_a_worker_that_dies_is_found_dead_though_its_forks_live(
    open_engine: OpenEngine, own_isolation: ProcessIsolation, tmp_path: Path
) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": LEAVES.replace("lenses = []", SAME)}, isolation=own_isolation)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    folder = tmp_path / "left"
    engine.load_module_version(MODULE, 2, config=config(folder, EVERYTHING))
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    kill(engine, TWO)
    report = engine.tick(0.1)
    assert [fault.kind for fault in report.faults] == [FaultKind.DEATH]
    assert (report.entities, report.skipped) == (10, 0)
    assert all_gone(left_in(folder))


SAME = 'lenses = [Lens("==1.*", "==2.*", [Drop("tag"), Drop("fixed")])]'
INHERITS = """
import subprocess

def pass_on_everything():
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            os.set_inheritable(descriptor, True)
        except OSError:
            pass
    return subprocess.Popen(["sleep", "3600"], close_fds=False, start_new_session=True).pid
"""


def test_a_load_that_dies_is_found_dead_though_its_socket_lives(open_engine: OpenEngine, own_isolation: Any) -> None:
    body = "def initialize(self, config):\n    print(pass_on_everything(), flush=True)\n    os._exit(3)"
    engine = open_engine({"1.0.0": version("pass", body=body, top=INHERITS)}, isolation=own_isolation)
    with pytest.raises(PeerDied):
        engine.load_module_version(MODULE, 1)
    assert all_gone(children_of(own_isolation._zygote.pid) - spares(own_isolation))


def spares(isolation: ProcessIsolation) -> set[int]:
    """Return the spare, waiting until it is there."""
    worker = isolation.start()
    worker.kill()
    worker.close()
    return {worker.pid} | {pid for pid in children_of(isolation._zygote.pid) if pid > worker.pid}


def test_a_fork_that_runs_on_does_not_answer_for_its_version(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1\nos.fork()")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    for number in (1, 2, 3):
        report = engine.tick(0.1)
        assert (report.faults, report.entities) == ((), 10)
        assert engine.entities(MODULE)["n"].tolist() == [number] * 10
    assert all_gone(children_of(engine.workers(MODULE)[ONE])), "each of them found its socket closed, and ended"


@pytest.mark.parametrize("how", ["unloaded", "killed"])
def test_a_spawned_worker_takes_its_group_along(open_engine: OpenEngine, tmp_path: Path, how: str) -> None:
    isolation = SpawnIsolation()
    try:
        engine = open_engine({"1.0.0": LEAVES}, isolation=isolation)
        folder = tmp_path / "left"
        engine.load_module_version(MODULE, 1, config=config(folder, [FORK]))
        assert len(left_in(folder)) == 1 and all(map(runs, left_in(folder)))
        if how == "killed":
            kill(engine, ONE)
            isolation.memory()  # whoever counts the workers reaps those that are gone
        else:
            engine.unload_module_version(MODULE, 1)
        assert all_gone(left_in(folder))
    finally:
        isolation.close()


KILLED = """
import os, signal, sys, time
from pathlib import Path
from grove_core import DebugEngine, Settings

path, settings, module, folder, starts, ticks, end = sys.argv[1:]
engine = DebugEngine(Settings.read(settings))
config = {"folder": folder, "starts": starts.split(), "ticks": ticks.split(), "spins": end == "spins"}
engine.load_module_version(module, 1, path=path, config=config)
engine.spawn(module, id=[1, 2, 3])
print(*Path(f"/proc/self/task/{os.getpid()}/children").read_text().split(), flush=True)
if end == "spins":
    engine.tick(0.1)
if end.startswith("after"):
    engine.load_module_version(module, 2, path=path, config={**config, "starts": []})  # which orders a spare
    time.sleep(float(end.split()[1]))
    os.kill(os.getpid(), signal.SIGKILL)
signal.pause()
"""


class Program:
    """An engine as a process of its own, over a module whose name nothing else has.

    Args:
        tmp_path: where everything of it is written.
        package: the fixture that writes versions.
        settings: lines of the table `[grove]`.
        starts: what its version starts as it is loaded.
        ticks: what it starts as it is ticked.
        end: what is done in the end.
    """

    def __init__(
        self, tmp_path: Path, package: Any, settings: str, starts: list[str], ticks: list[str], end: str
    ) -> None:
        self.folder = tmp_path / "left"
        self.folder.mkdir()
        self.module = f"left{os.getpid()}"
        packages = package(self.module, "1.0.0", LEAVES)
        package(self.module, "2.0.0", LEAVES, into=packages)
        program, toml = tmp_path / "killed.py", tmp_path / "grove.toml"
        program.write_text(KILLED)
        toml.write_text(f"[grove]\ntick_deadline_ms = 600_000\n{settings}")
        arguments = [packages, toml, self.module, self.folder, " ".join(starts), " ".join(ticks), end]
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(program), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        line = next((each for each in self.process.stdout if each.replace(" ", "").strip().isdigit()), "")
        assert line, self.process.stderr.read()
        self.started = set(map(int, line.split()))

    def everything(self) -> set[int]:
        """Return its children, those of their sessions, and what they left."""
        return self.started | left_in(self.folder) | {pid for pid in running() if session(pid) in self.started}

    def mapping(self) -> set[int]:
        """Return the processes that map or hold its memory."""
        found = set()
        for pid in running():
            try:
                if f"grove:{self.module}" in names(pid):
                    found.add(pid)
            except (FileNotFoundError, ProcessLookupError, PermissionError):  # it ended meanwhile, or is not ours
                continue
        return found

    def leaves_nothing(self) -> None:
        """Check that whatever it started is gone, once it was killed."""
        before = self.everything()
        self.process.communicate(timeout=30)
        assert self.process.returncode == -signal.SIGKILL
        assert all_gone(before | self.everything())
        assert self.mapping() == set()


@pytest.fixture
def program(tmp_path: Path, package: Any) -> Iterator[Callable[..., Program]]:
    """`program(settings, starts, ticks, end)`: see `Program`; whatever it did not end by itself is ended."""
    made: list[Program] = []

    def make(*args: Any) -> Program:
        made.append(Program(tmp_path, package, *args))
        return made[-1]

    yield make
    for each in made:
        for pid in {each.process.pid} | each.everything():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        each.process.communicate()


def running() -> set[int]:
    return {int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and runs(int(each.name))}


def session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


PROCESS, SPAWN = "", 'isolation = "spawn"\n'


@pytest.mark.parametrize(("settings", "starts"), [(PROCESS, EVERYTHING), (SPAWN, [FORK])], ids=["process", "spawn"])
@pytest.mark.parametrize("end", ["waits", "spins"])
def test_an_engine_that_is_killed_leaves_nothing_of_its_versions(
    program: Callable[..., Program], settings: str, starts: list[str], end: str
) -> None:
    killed = program(settings, starts, starts if end == "spins" else [], end)
    wanted = len(starts) * (2 if end == "spins" else 1)
    while len(left_in(killed.folder)) < wanted:
        assert killed.process.poll() is None
    assert all(map(runs, left_in(killed.folder)))
    assert killed.mapping() > {killed.process.pid} or end == "waits"
    killed.process.kill()
    killed.leaves_nothing()


def test_a_zygote_that_was_stopped_clears_up_as_well(program: Callable[..., Program]) -> None:
    killed = program(PROCESS, EVERYTHING, [], "waits")
    (zygote,) = killed.started
    os.kill(zygote, signal.SIGSTOP)
    killed.process.kill()
    killed.leaves_nothing()


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.02, 0.03, 0.05])
def test_an_engine_that_is_killed_as_a_spare_is_forked(program: Callable[..., Program], seconds: float) -> None:
    program(PROCESS, [FORK], [], f"after {seconds}").leaves_nothing()


def test_a_zygote_that_is_stopped_is_replaced(
    open_engine: OpenEngine, own_isolation: ProcessIsolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote_module, "FORK_SECONDS", 0.5)
    engine = open_engine({**BOTH, "3.0.0": V1}, isolation=own_isolation)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    engine.tick(0.1)
    worker, stopped = engine.workers(MODULE)[ONE], own_isolation._zygote.pid
    os.kill(stopped, signal.SIGSTOP)
    for major in (2, 3):  # a spare may be there for one of them
        engine.load_module_version(MODULE, major)
    assert own_isolation._zygote.pid != stopped and not runs(stopped)
    assert engine.workers(MODULE)[ONE] == worker
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 10)
    assert engine.entities(MODULE)["n"].tolist() == [2] * 10


def test_a_spare_that_is_stopped_costs_one_load_its_deadline(
    open_engine: OpenEngine, own_isolation: ProcessIsolation
) -> None:
    engine = open_engine(
        BOTH, isolation=own_isolation, settings=Settings(load_deadline_seconds=3.0, max_entities=1 << 12)
    )
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    worker = engine.workers(MODULE)[ONE]
    (spare,) = wait_for_spare(own_isolation, worker)
    os.kill(spare, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded, match="within 3 s"):
        engine.load_module_version(MODULE, 2)
    assert not runs(spare)
    engine.load_module_version(MODULE, 2)
    assert engine.workers(MODULE)[ONE] == worker
    assert (report := engine.tick(0.1)).entities == 10 and report.faults == ()


def wait_for_spare(isolation: ProcessIsolation, worker: int) -> set[int]:
    while not (found := children_of(isolation._zygote.pid) - {worker}):
        assert isolation._zygote.usable
    return found
