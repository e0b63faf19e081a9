"""The plainer ways behave the same: no memfd, no SEQPACKET, no fork. And what is forced is what is taken."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.errors import PluginFailed, SettingsError
from grove_core.base.records import FaultKind
from grove_core.base.ways import MemoryKind, WireKind, memory_folder
from grove_core.parts.settings import Choice, Settings

from .acts import counted, start
from .conftest import PATIENT, OpenEngine, kill
from .sources import BOTH, MODULE, version

TYPES = {"0001": WireKind.STREAM, "0005": WireKind.SEQPACKET}
"""Types of sockets, as /proc/net/unix has them."""
ONE, TWO = Version("1.0.0"), Version("2.0.0")
LARGE = version(
    "self.document['ticks'] += 1\nself.mark_state_changed()",
    body="""
def initialize(self, config):
    self.document = {"ticks": 0, "ballast": "x" * 300_000}

def get_state(self):
    return self.document

def set_state(self, document):
    self.document = document
""",
)
"""A version whose document is larger than any packet."""


def memory_of(pid: int) -> set[MemoryKind]:
    """Return what lies under the columns that a process maps."""
    lines = [line for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines() if "grove:" in line]
    names = [line.split(maxsplit=5)[5] for line in lines]
    assert all(name.startswith(("/memfd:", f"{memory_folder()}/")) for name in names)
    return {MemoryKind.MEMFD if name.startswith("/memfd:") else MemoryKind.FILE for name in names}


def wire_of(pid: int) -> WireKind:
    """Return what a worker's one socket is."""
    (name,) = [name for each in Path(f"/proc/{pid}/fd").iterdir() if (name := str(each.readlink()))[:7] == "socket:"]
    table = [line.split() for line in Path("/proc/net/unix").read_text("utf-8").splitlines()[1:]]
    (kind,) = [fields[4] for fields in table if fields[6] == name.removeprefix("socket:[").removesuffix("]")]
    return TYPES[kind]


def forked(pid: int) -> bool:
    """Tell whether a worker is a zygote's child, and not ours."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("PPid:")[2].split()[0]) != os.getpid()


def pid_of(engine: DebugEngine, version: Version = ONE) -> int:
    return engine.workers(MODULE)[version]


def test_the_ways_that_are_forced_are_taken(open_engine: OpenEngine, ways: Any) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1)
    engine.tick(0.1)  # it maps its columns with the first tick that it has rows in
    pid = pid_of(engine)
    taken = (memory_of(pid), wire_of(pid), forked(pid))
    if ways == "plain":
        assert taken == ({MemoryKind.FILE}, WireKind.STREAM, False)
    else:
        assert taken == ({MemoryKind.MEMFD}, WireKind.SEQPACKET, True)


def test_a_file_of_settings_chooses_them(tmp_path: Path) -> None:
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nmemory = "file"\nisolation = {use = "spawn", wire = "stream"}\n')
    settings = Settings.read(file)
    assert settings.memory is MemoryKind.FILE
    assert settings.isolation == Choice("spawn", {"wire": "stream"})


def test_a_way_that_there_is_not_is_told(tmp_path: Path) -> None:
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nmemory = "disk"\n')
    with pytest.raises(SettingsError, match="disk"):
        Settings.read(file)
    with pytest.raises(SettingsError, match="'disk' is not among: memfd, file"):
        Settings(memory="disk")
    for use in ("process", "spawn"):
        with pytest.raises(PluginFailed, match="'pigeon' is not among: seqpacket, stream"):
            DebugEngine(Settings(isolation=Choice(use, {"wire": "pigeon"})))


@pytest.fixture(params=itertools.product(["process", "spawn"], WireKind, MemoryKind), ids="-".join)
def engine(request: pytest.FixtureRequest, open_engine: OpenEngine) -> DebugEngine:
    """An engine with a large document in version 3, for each way there is; it has an isolation of its own."""
    use, wire, memory = request.param
    chosen = Choice(use, {"wire": wire.value})
    settings = msgspec.structs.replace(PATIENT, isolation=chosen, memory=memory)
    made = open_engine({**BOTH, "3.0.0": LARGE}, settings=settings, isolation=None)
    assert made.settings.isolation == chosen
    return made


def test_each_way_is_taken_by_the_settings(engine: DebugEngine) -> None:
    start(engine, v1=1)
    engine.tick(0.1)
    pid, choice = pid_of(engine), engine.settings.isolation
    assert memory_of(pid) == {engine.settings.memory}
    assert wire_of(pid) == choice.options["wire"]
    assert forked(pid) == (choice.use == "process")


def test_a_canary_that_dies_loses_nothing_in_any_way(engine: DebugEngine) -> None:
    start(engine, v1=0.5, v2=0.5)
    assert engine.tick(0.1).faults == ()
    assert sorted(counted(engine)) == [1] * 5 + [100] * 5
    kill(engine, TWO)
    report = engine.tick(0.1)
    assert [fault.kind for fault in report.faults] == [FaultKind.DEATH]
    assert "SIGKILL" in report.faults[0].message
    assert report.entities == 10
    assert sorted(counted(engine)) == [2] * 5 + [101] * 5
    engine.load_module_version(MODULE, 2)
    for weights in ({1: 0.5, 2: 0.5}, {1: 1.0}):
        engine.set_traffic_split(MODULE, weights)
        assert engine.tick(0.1).entities == 10
    unloaded = engine.unload_module_version(MODULE, 2)
    assert unloaded.had.tables > 0
    assert unloaded.returned_bytes is not None
    assert unloaded.returned_bytes >= unloaded.had.tables


def test_what_is_larger_than_a_packet_goes_both_ways_in_any_way(engine: DebugEngine) -> None:
    engine.load_module_version(MODULE, 3)
    engine.spawn(MODULE, id=range(10))
    assert engine.tick(0.1).faults == ()
    kill(engine, Version("3.0.0"))
    assert len(engine.tick(0.1).faults) == 1
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 10)
