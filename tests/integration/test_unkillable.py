"""Workers that survive SIGKILL: what they may still write is read by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core.base.events import EventKind
from grove_core.isolation.process import ProcessIsolation

from .acts import counted, kinds, start
from .conftest import OpenEngine, runs
from .sources import MODULE, SCHEMA_1, version

ONE = Version("1.0.0")


class Unkillable:
    """A real worker that no SIGKILL reaches."""

    def __init__(self, worker: Any) -> None:
        self.real = worker
        self.pid = worker.pid

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def kill(self) -> bool:
        """Say what is true: it was not killed."""
        return False

    def close(self) -> None:
        """Keep its socket open, at whose end it would end by itself."""


class Isolation:
    """The isolation `process`, whose workers survive as long as `unkillable`."""

    def __init__(self) -> None:
        self.real = ProcessIsolation()
        self.unkillable = True
        self.survivors: list[Any] = []

    def start(self) -> Any:
        worker = self.real.start()
        if not self.unkillable:
            return worker
        self.survivors.append(worker)
        return Unkillable(worker)

    def memory(self) -> int | None:
        return self.real.memory()

    def close(self) -> None:
        for worker in self.survivors:
            worker.close()
        self.real.close()


@pytest.fixture
def isolation_of_survivors() -> Iterator[Isolation]:
    isolation = Isolation()
    yield isolation
    isolation.close()


def inodes(pid: int) -> set[int]:
    """Return the inodes of what a process maps and holds open."""
    lines = Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()
    files = {each.stat().st_ino for each in Path(f"/proc/{pid}/fd").iterdir()}
    return files | {int(line.split()[4]) for line in lines}


def test_a_restart_that_fails_and_cannot_be_killed_leaves_its_memory_too(
    open_engine: OpenEngine, isolation_of_survivors: Isolation, tmp_path: Path
) -> None:
    """The second worker was given the columns, and fails afterwards."""
    isolation, flag = isolation_of_survivors, tmp_path / "broken"
    body = f"def initialize(self, config):\n    if os.path.exists({str(flag)!r}): raise ValueError('broken')"
    engine = open_engine({"1.0.0": version("e.n += 1", schema=SCHEMA_1, body=body)}, isolation=isolation)
    start(engine, v1=1.0)
    engine.tick(0.1)
    first, _ = engine.table_slots(MODULE, 1)
    engine.inject_fault(MODULE, 1, "raise")
    flag.touch()
    assert len(engine.tick(0.1).faults) == 1 and engine.is_paused(MODULE)
    assert kinds(engine).count(EventKind.MEMORY_ABANDONED) == 2
    told, second = (worker.pid for worker in isolation.survivors)
    assert runs(told) and runs(second)
    now, _ = engine.table_slots(MODULE, 1)
    assert now != first and now not in inodes(told) | inodes(second)
    flag.unlink()
    isolation.unkillable = False
    engine.rollback(MODULE, 1)
    assert counted(engine) == [1] * 10
    assert engine.tick(0.1).entities == 10
    assert counted(engine) == [2] * 10
