"""What a version may take: over a limit is a fault with its name, and the other versions go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine, Limits, Settings
from grove_core.base.errors import InvalidInput, LoadFailed, WorkerError
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.runtime.orders.asks import OUTPUT_LIMIT
from grove_core.runtime.state.context import REMEMBERED_TEXT

from .acts import counted, kinds, start
from .conftest import OpenEngine, Refused
from .sources import MODULE, SCHEMA_1, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
MIB = 1 << 20
TOP = """
import threading

def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

def spin_in_a_thread(seconds):
    thread = threading.Thread(target=spin, args=(seconds,))
    thread.start()
    thread.join()
"""


def canary(does: str) -> str:
    """Return the source of a version 2 that does something in its second tick."""
    lines = "\n".join(f"    {line}" for line in does.splitlines())
    process = f"e.n += 100\nif (e.n % 1000 > 150).any():\n{lines}"
    return version(process, schema=SCHEMA_1, lenses='Lens("==1.*", "==2.*", [])', top=TOP)


def tick_twice(engine: DebugEngine, limits: Limits) -> Any:
    """Give half of ten entities to version 2 with these limits, and tick twice; return the second report."""
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=np.arange(10), x=0.0, n=np.arange(10) * 1000)
    engine.load_module_version(MODULE, 2, limits=limits)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    assert engine.tick(0.1).faults == ()
    return engine.tick(0.1)


HOARDS = f"self.hoard = np.ones({64 * MIB}, 'u1')"
CRUMBS = "self.hoard = []\nwhile True: self.hoard.append(bytearray(100))"
WRAPS = f"try: {HOARDS}\nexcept MemoryError as error: raise ValueError('mine') from error"
OPENS = "self.files = [open('/dev/null') for _ in range(11)]"
PRINTS = "print('x' * 10_000)"
FLOODS = "while True: print('la')"


@pytest.mark.parametrize(
    ("does", "limits", "kind", "told"),
    [
        (HOARDS, Limits(memory_bytes=32 * MIB), FaultKind.MEMORY, f"memory_bytes = {32 * MIB}"),
        (CRUMBS, Limits(memory_bytes=32 * MIB), FaultKind.MEMORY, f"memory_bytes = {32 * MIB}"),
        (WRAPS, Limits(memory_bytes=32 * MIB), FaultKind.MEMORY, "ValueError: mine"),
        ("spin(0.2)", Limits(cpu_ms=50), FaultKind.CPU, "cpu_ms = 50"),
        ("spin_in_a_thread(0.2)", Limits(cpu_ms=50), FaultKind.CPU, "cpu_ms = 50"),
        ("while True: pass", Limits(cpu_ms=50, tick_ms=2_000.0), FaultKind.CPU, "cpu_ms = 50"),
        ("time.sleep(60)", Limits(tick_ms=300.0), FaultKind.DEADLINE, "300 ms (its limit tick_ms)"),
        (OPENS, Limits(descriptors=10), FaultKind.DESCRIPTORS, "descriptors = 10"),
        (PRINTS, Limits(output_bytes=10_000), FaultKind.OUTPUT, "output_bytes = 10000"),
        (FLOODS, Limits(output_bytes=10_000), FaultKind.OUTPUT, "output_bytes = 10000"),
    ],
    ids=[
        "one block",
        "many objects",
        "wrapped",
        "cpu",
        "cpu of a thread",
        "cpu for ever",
        "wall",
        "files",
        "output",
        "flood",
    ],
)
def test_over_a_limit_is_a_fault_with_its_name(
    open_engine: OpenEngine, does: str, limits: Limits, kind: FaultKind, told: str
) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": canary(does)})
    report = tick_twice(engine, limits)
    assert [(fault.version, fault.kind) for fault in report.faults] == [(TWO, kind)]
    assert told in report.faults[0].message
    assert (report.entities, report.skipped) == (10, 0)
    assert sorted(counted(engine)) == [2] * 5 + [101] * 5, "what went over a limit was not committed"
    assert engine.get_loaded_versions(MODULE) == [ONE]


@pytest.mark.parametrize(
    ("does", "limits"),
    [
        (HOARDS, Limits(memory_bytes=96 * MIB)),
        ("time.sleep(0.3)", Limits(cpu_ms=200, tick_ms=20_000)),
        (OPENS, Limits(descriptors=11)),
        (PRINTS, Limits(output_bytes=10_001)),
        (f"{HOARDS}\n{OPENS}\n{PRINTS}\nspin(0.1)", Limits()),
    ],
    ids=["memory", "cpu", "descriptors", "output", "none"],
)
def test_up_to_a_limit_is_none(open_engine: OpenEngine, does: str, limits: Limits) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": canary(does)})
    assert tick_twice(engine, limits).faults == ()
    assert sorted(counted(engine)) == [2] * 5 + [200] * 5


@pytest.mark.parametrize(
    ("top", "body", "limits", "told"),
    [
        (
            f"hoard = bytearray({64 * MIB})",
            "",
            Limits(memory_bytes=32 * MIB),
            f"memory_bytes = {32 * MIB} while it was im",
        ),
        ("", f"def initialize(self, config): {HOARDS}", Limits(memory_bytes=32 * MIB), "while it was initialised"),
        (
            "files = [open('/dev/null') for _ in range(99)]",
            "",
            Limits(descriptors=10),
            "descriptors = 10 while it was im",
        ),
    ],
    ids=["import", "initialize", "files"],
)
def test_a_load_that_goes_over_a_limit(
    open_engine: OpenEngine, refused: Refused, top: str, body: str, limits: Limits, told: str
) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": version("pass", top=top, body=body)})
    engine.load_module_version(MODULE, 1)
    with refused(engine, LoadFailed, told):
        engine.load_module_version(MODULE, 2, limits=limits)


def test_limits_that_are_none_at_all(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({"1.0.0": V1})
    with refused(engine, InvalidInput, "limits must be Limits(...), not {'cpu_ms': 3}"):
        engine.load_module_version(MODULE, 1, limits={"cpu_ms": 3})  # type: ignore[arg-type]


def test_a_library_that_finds_no_memory_tells_in_words(open_engine: OpenEngine) -> None:
    words = "libx.so: failed to map segment from shared object: Cannot allocate memory"
    engine = open_engine({"1.0.0": version("pass", top=f"raise ImportError({words!r})")})
    with pytest.raises(LoadFailed, match="over its limit memory_bytes"):
        engine.load_module_version(MODULE, 1, limits=Limits(memory_bytes=MIB))
    with pytest.raises(LoadFailed, match="it raised while it was imported"):
        engine.load_module_version(MODULE, 1)


def test_columns_are_nobodys_memory(open_engine: OpenEngine) -> None:
    """Two columns of 12 MiB in all, and the address space that is reserved for 16 million rows."""
    engine = open_engine({"1.0.0": version("e.n += 1\ne.x[:] = 1")}, settings=Settings(tick_deadline_ms=20_000.0))
    engine.load_module_version(MODULE, 1, limits=Limits(memory_bytes=2 * MIB))
    engine.spawn(MODULE, id=np.arange(MIB), n=0)
    assert engine.tick(0.1).faults == ()


def test_grove_has_room_where_the_version_has_none(open_engine: OpenEngine) -> None:
    """At its limit of descriptors it can be shown the world, and be given other columns."""
    process = """
e.n += 100
self.files = getattr(self, "files", None) or [open("/dev/null") for _ in range(10)]
assert len(self.world.n) in (8, 10)
try:
    open("/dev/null")
except OSError:
    e.x += 1
"""
    engine = open_engine({"1.0.0": V1, "2.0.0": version(process, schema=SCHEMA_1, lenses='Lens("==1.*", "==2.*", [])')})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    engine.load_module_version(MODULE, 2, limits=Limits(descriptors=10))
    for weights in ({1: 0.5, 2: 0.5}, {2: 1.0}, {1: 0.5, 2: 0.5}, {2: 1.0}):
        engine.set_traffic_split(MODULE, weights)
        assert engine.tick(0.1).faults == ()
    assert engine.entities(MODULE)["x"].max() >= 2


def test_what_is_printed_counts_for_its_tick(open_engine: OpenEngine) -> None:
    """Not for the load before it, and not for the tick after it."""
    loud = version("e.n += 1\nprint('x' * 99)", top="print('x' * 10_000)")
    engine = open_engine({"1.0.0": loud})
    engine.load_module_version(MODULE, 1, limits=Limits(output_bytes=100))
    engine.spawn(MODULE, id=range(10))
    for _ in range(20):
        assert engine.tick(0.1).faults == ()


@pytest.fixture
def twice(open_engine: OpenEngine, tmp_path: Path) -> Any:
    """An engine whose version 1 hoards once a file is there, and the file."""
    flag = tmp_path / "hoard"
    process = f"e.n += 1\nif os.path.exists({str(flag)!r}): {HOARDS}"
    return lambda **kwargs: (
        open_engine({"1.0.0": version(process, schema=SCHEMA_1), "2.0.0": V2_SAME}, **kwargs),
        flag,
    )


V2_SAME = version("e.n += 100", schema=SCHEMA_1, lenses='Lens("==1.*", "==2.*", [])')


def test_a_restart_keeps_the_limits(twice: Any) -> None:
    engine, flag = twice()
    engine.load_module_version(MODULE, 1, limits=Limits(memory_bytes=32 * MIB))
    engine.spawn(MODULE, id=range(10))
    engine.inject_fault(MODULE, 1, "raise")
    engine.tick(0.1)
    flag.touch()
    assert [fault.kind for fault in engine.tick(0.1).faults] == [FaultKind.MEMORY]
    (failed,) = [event for event in engine.events if event.kind is EventKind.LOAD_FAILED]
    assert "no restart" in failed.details["error"] and "over its limit memory_bytes" in failed.details["error"]
    assert engine.is_paused(MODULE)
    flag.unlink()
    engine.rollback(MODULE, 1)
    assert engine.tick(0.1).entities == 10


def test_a_reload_keeps_the_limits(twice: Any) -> None:
    engine, flag = twice()
    engine.load_module_version(MODULE, 1, limits=Limits(memory_bytes=32 * MIB))
    engine.spawn(MODULE, id=range(10))
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    engine.rollback(MODULE, 1)
    flag.touch()
    assert engine.tick(0.1).faults[0].kind is FaultKind.MEMORY


def test_the_settings_limits_are_for_all_that_have_none_of_their_own(twice: Any) -> None:
    engine, flag = twice(settings=Settings(tick_deadline_ms=20_000.0, limits=Limits(memory_bytes=32 * MIB)))
    flag.touch()
    with pytest.raises(LoadFailed, match="memory_bytes"):
        engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 1, limits=Limits(cpu_ms=10_000))
    engine.spawn(MODULE, id=range(10))
    assert engine.tick(0.1).faults == ()


class Unmeasured:
    """A real isolation, whose workers' CPU time cannot be measured."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def start(self) -> Any:
        worker = self.real.start()
        worker.cpu_seconds = lambda: None
        return worker


def test_a_limit_that_cannot_be_held_is_refused(open_engine: OpenEngine, isolation: Any) -> None:
    engine = open_engine({"1.0.0": V1}, isolation=Unmeasured(isolation))
    with pytest.raises(WorkerError, match="cpu_ms = 5 cannot be held"):
        engine.load_module_version(MODULE, 1, limits=Limits(cpu_ms=5))
    engine.load_module_version(MODULE, 1)


FLOOD = """
import threading

def flood():
    while True:
        os.write(1, b"x" * 4096)

threading.Thread(target=flood, daemon=True).start()
"""


@pytest.fixture
def flooded(open_engine: OpenEngine) -> Iterator[DebugEngine]:
    """An engine with ten entities in version 1, and a version 2 whose thread never stops printing."""
    flooding = version("e.n += 100", schema=SCHEMA_1, lenses='Lens("==1.*", "==2.*", [])', top=FLOOD)
    engine = open_engine({"1.0.0": V1, "2.0.0": flooding})
    start(engine, v1=1.0)
    engine.load_module_version(MODULE, 2)
    yield engine


def test_a_flood_of_an_idle_version_costs_one_read_a_tick(flooded: DebugEngine) -> None:
    worker = flooded._states[MODULE].versions[TWO].worker
    assert worker is not None
    before, ticks = worker.printed, 200
    for _ in range(ticks):
        report = flooded.tick(0.1)
        assert (report.faults, report.entities) == ((), 10)
    assert 0 < worker.printed - before <= ticks * 64 * 1024


def test_a_flood_is_kept_within_bounds(flooded: DebugEngine) -> None:
    flooded.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    loaded = flooded._states[MODULE].versions[TWO]
    for _ in range(200):
        report = flooded.tick(0.1)
        assert (report.faults, report.entities) == ((), 10)
        assert len(loaded.output) <= OUTPUT_LIMIT
    texts = [event.details["text"] for event in flooded.events if event.kind is EventKind.WORKER_OUTPUT]
    assert texts and max(map(len, texts)) <= REMEMBERED_TEXT + 100
    assert loaded.output_dropped > 0


def test_a_flood_in_a_tick_ends_with_its_deadline(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": canary("while True: os.write(1, b'x' * 4096)")})
    report = tick_twice(engine, Limits(tick_ms=500.0))
    assert [fault.kind for fault in report.faults] == [FaultKind.DEADLINE]
    assert sorted(counted(engine)) == [2] * 5 + [101] * 5
    assert EventKind.WORKER_OUTPUT in kinds(engine)
