"""Engines over packages written on the spot, and what must be the same after a call that was refused."""

from __future__ import annotations

import gc
import os
import select
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core import DebugEngine, GroveError, ManualClock, Settings
from grove_core.isolation import handle
from grove_core.isolation.process import ProcessIsolation
from grove_core.isolation.spawned import SpawnIsolation

from .sources import MODULE

PATIENT = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, max_entities=1 << 12)
"""Limits that no slow machine reaches; tests of a limit set their own."""

GONE_SECONDS = 20.0
"""How long anything may take to be gone; a machine that is busy is no failure."""

Shared = ProcessIsolation | SpawnIsolation
OpenEngine = Callable[..., DebugEngine]
Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Leave what the tests' own modules made out of the many collections that `held` asks for."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _patient_about_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the word of how a worker ended as long as a busy machine takes; an engine has frames to keep."""
    monkeypatch.setattr(handle, "STATUS_SECONDS", 10.0)


@pytest.fixture(scope="session", autouse=True)
def _own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Unpack wheels where no other process of tests does: what is left there is counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("unpacked")))
        yield


@pytest.fixture
def open_engine(package: Any, installed: Any, isolation: Shared) -> Iterator[OpenEngine]:
    """`open_engine({"1.0.0": source, ...}, settings=..., plugins=...)`: an engine that finds these versions."""
    engines = []

    def make(
        sources: Mapping[str, str], *, settings: Settings = PATIENT, plugins: tuple[object, ...] = (), **kwargs: Any
    ) -> DebugEngine:
        found = installed(*(package(MODULE, version, source) for version, source in sources.items()))
        kwargs.setdefault("clock", ManualClock())
        kwargs.setdefault("isolation", isolation)
        engines.append(DebugEngine(settings, plugins=[found, *plugins], **kwargs))
        return engines[-1]

    before = held(isolation, set())
    yield make
    for engine in engines:
        engine.close()
    deadline = time.monotonic() + GONE_SECONDS  # who reaps a worker ends what that had forked, a moment later
    while (left := held(isolation, set())) != before and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    assert left == before, "an engine that is closed leaves nothing"


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt, wherever the tests run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def own_isolation() -> Iterator[ProcessIsolation]:
    """An isolation whose zygote may be killed."""
    isolation = ProcessIsolation()
    yield isolation
    isolation.close()


@pytest.fixture
def refused(isolation: Shared) -> Refused:
    """`with refused(engine, error, *words)`: the call raises it, says so, and leaves everything as it was."""

    @contextmanager
    def check(engine: DebugEngine, error: type[GroveError], *words: str, module: str = MODULE) -> Iterator[None]:
        before, looked = held(isolation, workers_of(engine, module)), picture(engine, module)
        with pytest.raises(error) as caught:
            yield
        told = str(caught.value)
        assert isinstance(caught.value, GroveError)
        assert [word for word in words if word not in told] == [], told
        caught.value.__traceback__ = None  # its frames hold what they were working on
        del caught
        assert picture(engine, module) == looked
        assert held(isolation, workers_of(engine, module)) == before

    return check


def kill(engine: DebugEngine, version: Version) -> None:
    """SIGKILL the worker of a version, and return once it is gone."""
    pid = engine.workers(MODULE)[version]
    pidfd = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10_000), "a SIGKILL was not obeyed within 10 s"
    finally:
        os.close(pidfd)


def end_zygote(isolation: ProcessIsolation) -> None:
    """SIGKILL the zygote, and return once it is gone."""
    pidfd = os.pidfd_open(isolation._zygote.pid)
    try:
        os.kill(isolation._zygote.pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10_000)
    finally:
        os.close(pidfd)


def all_gone(pids: Collection[int]) -> bool:
    """Wait until none of these processes runs; say whether that came."""
    deadline = time.monotonic() + GONE_SECONDS
    while any(runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.005)
    return True


def workers_of(engine: DebugEngine, module: str) -> set[int]:
    """Return the process ids of a module's workers."""
    return set(engine.workers(module).values()) if engine.is_version_loaded(module, ">=0") else set()


def picture(engine: DebugEngine, module: str = MODULE) -> Any:
    """Return everything that can be seen of a module, as a value."""
    if not engine.is_version_loaded(module, ">=0"):
        return None
    versions = engine.get_loaded_versions(module)
    shown = {version: engine.entities(module, version=str(version)) for version in versions}
    ids = sorted(shown[versions[0]]["id"].tolist())
    return (
        engine.stable_version(module),
        engine.get_traffic_split(module),
        engine.workers(module),
        engine.is_paused(module),
        len(engine.migration_history(module)),
        list(zip(ids, engine.locate(module, ids), strict=True)),
        {version: rows_by_id(columns) for version, columns in shown.items()},
    )


def rows_by_id(columns: Mapping[str, Any]) -> dict[int, tuple[object, ...]]:
    """Return the values of each entity: id -> one value a column, their bits."""
    names = [name for name in columns if name != "id"]
    bits = {name: [value.tobytes() for value in columns[name]] for name in names}
    return {each: tuple(bits[name][row] for name in names) for row, each in enumerate(columns["id"].tolist())}


def held(isolation: Shared, workers: set[int]) -> Any:
    """Return what this process and its isolation hold besides `workers`: strays, descriptors, tables, folders."""
    gc.collect()
    strays = (forked_by(isolation) if isinstance(isolation, ProcessIsolation) else spawned_by(isolation)) - workers
    maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
    return (
        strays,
        Counter(kind for kind in map(kind_of, Path("/proc/self/fd").iterdir()) if kind is not None),
        Counter(line.rpartition("grove:")[2] for line in maps if "grove:" in line),
        sorted(each.name for each in Path(tempfile.gettempdir()).glob("grove-*")),
    )


def forked_by(isolation: ProcessIsolation) -> set[int]:
    """Return the workers that run, the spare left out."""
    spare = isolation.start()  # what was forked before it is not the spare
    try:
        return {pid for pid in children_of(isolation._zygote.pid) if pid < spare.pid and runs(pid)}
    finally:
        spare.kill()
        spare.close()


def spawned_by(isolation: SpawnIsolation) -> set[int]:
    """Return the workers that run, and whatever else this process started; the spare left out."""
    spare = isolation._spare
    return {pid for pid in children_of(os.getpid()) if (spare is None or pid != spare.pid) and runs(pid)}


def children_of(pid: int) -> set[int]:
    """Return the processes that a process started and that were not reaped."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()))


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return False


def kind_of(descriptor: Path) -> str | None:
    """Return what a descriptor of this process is: files by name, the others by kind."""
    try:
        return str(descriptor.readlink()).partition(":[")[0]
    except FileNotFoundError:  # the one that listed the others
        return None
