"""The version's end, in a real worker: whatever a version does comes back as an answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from grove_core.author.lens import Add, Lens
from grove_core.author.schema import ID_DTYPE, Schema
from grove_core.base.errors import PeerDied
from grove_core.isolation.process import ProcessIsolation
from grove_core.memory.table import Table
from grove_core.wire.faults import InjectedKind, Planned
from grove_core.wire.messages import (
    PROTOCOL,
    AskIdle,
    Failed,
    Idle,
    Inject,
    Injected,
    Introduced,
    Load,
    Prepare,
    Raised,
    Ready,
    Shutdown,
    Slot,
    Spawned,
    Tick,
    Ticked,
)

SECONDS = 20.0
MAX_ROWS = 10_000
MOVING = """
from grove_core import Column, Module, Schema

class Main(Module):
    schema = Schema(loose=Column("f8", nan=True), n="i4", x="f4", speed="f4", constant="speed")

    def process(self, dt):
        self.entities.x += self.entities.speed * dt
        self.entities.n += 1
"""
KEEPING = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4")

    def initialize(self, config):
        self.document = {"ticks": 0, "config": dict(config), "seen": []}

    def process(self, dt):
        self.document["ticks"] += 1
        self.document["seen"].append(len(self.entities))
        self.entities.x += 1
        if dt > 0:
            self.mark_state_changed()

    def get_state(self):
        return self.document

    def set_state(self, document):
        self.document = document
"""


class Hosting:
    """A worker, and the engine's side of its conversation."""

    def __init__(self, isolation: ProcessIsolation, folder: Path) -> None:
        self.worker = isolation.start()
        self.folder = folder
        self.table: Table | None = None

    def ask(self, message: msgspec.Struct, *descriptors: int) -> Any:
        self.worker.send(message, descriptors)
        return self.worker.receive(SECONDS)

    def load(
        self, *, entry_point: str = "ledger_v1_0_0:Main", faults_allowed: bool = False, protocol: int = PROTOCOL
    ) -> Any:
        return self.ask(Load(protocol, "ledger", "1.0.0", entry_point, (str(self.folder),), faults_allowed))

    def prepare(
        self,
        introduced: Introduced,
        rows: int = 0,
        *,
        config: dict[str, Any] | None = None,
        document: bytes | None = None,
        giver: str = "1.0.0",
    ) -> Any:
        """Make a table of `rows` rows with ids 1, 2 ... and another version's column that the worker may not see."""
        schema = Schema.of(introduced.specs)
        table = Table.make("grove:test", {"id": ID_DTYPE, **schema.dtypes, "foreign": np.dtype("<f8")}, MAX_ROWS)
        self.table = table
        table.reserve(rows)
        table.count = rows
        table["id"][...] = np.arange(1, rows + 1)
        constant = {spec.name for spec in schema.specs if spec.constant} | {"id"}
        slots = tuple(
            Slot(name, slot.dtype.str, slot.offset, slot.length, name not in constant)
            for name, slot in table.slots.items()
            if name != "foreign"
        )
        read_only = table.arena.read_only_descriptor()
        try:
            return self.ask(Prepare(slots, config or {}, document, giver), table.arena.descriptor, read_only)
        finally:
            os.close(read_only)

    def ready(self, rows: int = 0, *, faults_allowed: bool = False) -> Table:
        assert isinstance(self.prepare(self.load(faults_allowed=faults_allowed), rows), Ready)
        assert self.table is not None
        return self.table

    def tick(
        self, number: int, dt: float = 0.5, start: int = 0, stop: int | None = None, *, catching_up: bool = False
    ) -> Any:
        assert self.table is not None
        return self.ask(Tick(number, dt, start, self.table.count if stop is None else stop, catching_up))

    def close(self) -> None:
        self.worker.kill()
        self.worker.close()
        if self.table is not None:
            self.table.arena.close()


@pytest.fixture
def hosting(isolation: ProcessIsolation, package: Callable[..., Path]) -> Iterator[Callable[[str], Hosting]]:
    """`hosting(source)`: a worker for a version with this source, not loaded yet."""
    made: list[Hosting] = []

    def host(source: str) -> Hosting:
        made.append(Hosting(isolation, package("ledger", "1.0.0", source)))
        return made[-1]

    yield host
    for one in made:
        one.close()


Host = Callable[[str], Hosting]


def in_process(body: str, schema: str = "x='f4'") -> str:
    return f"""
from grove_core import Module, Schema

class Main(Module):
    schema = Schema({schema})

    def process(self, dt):
        {body}
"""


def only_in_a_tick(body: str, schema: str = "x='f4'") -> str:
    """Code that the warm-up leaves out: no test ticks with its dt."""
    return in_process(f"if dt != 1 / 60: {body}", schema)


def test_a_version_introduces_itself(hosting: Host) -> None:
    source = """
from grove_core import Add, Lens, Module, Schema

class Main(Module):
    schema = Schema(x="f4", speed="f8", constant="speed")
    lenses = [Lens("==1.*", "==2.*", [Add("y")])]
    catch_up = False

    def get_dependencies(self):
        return ["other>=1"]

    def get_state(self):
        return {}

    def is_idle(self):
        return False
"""
    assert hosting(source).load() == Introduced(
        PROTOCOL,
        Schema(x="f4", speed="f8", constant="speed").specs,
        (Lens("==1.*", "==2.*", [Add("y")]),),
        ("other>=1",),
        False,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("", "AttributeError"),
        ("Main = 3", "not a subclass of grove_core.Module"),
        ("class Main:\n    schema = None", "not a subclass of grove_core.Module"),
        ("from grove_core import Module\nclass Main(Module): pass", "write `schema = Schema(...)` in the class"),
        ("from grove_core import Module\nclass Main(Module):\n    schema = {'x': 'f4'}", "has no schema"),
        ("from grove_core import Module, Schema\nclass Main(Module):\n    schema = Schema(x='S4')", "SchemaError"),
        (
            in_process("pass").replace("def process(self, dt)", "def __init__(self, needed)"),
            "TypeError: Main.__init__() missing",
        ),
        (in_process("pass").replace("schema =", "lenses = [object()]\n    schema ="), "TypeError"),
        ("raise ValueError('\\udc80')", "ValueError: \\udc80"),
        ("class Mute(Exception):\n    def __str__(self): raise self\nraise Mute", "Mute"),
    ],
)
def test_what_goes_wrong_at_import_is_told_and_the_worker_lives(hosting: Host, source: str, error: str) -> None:
    host = hosting(source)
    answer = host.load()
    assert isinstance(answer, Raised)
    assert answer.where == "import"
    assert error in answer.error
    assert answer.traceback
    assert isinstance(host.ask(AskIdle()), Raised | Idle)  # it still answers


def test_an_entry_point_that_is_not_there_is_told(hosting: Host) -> None:
    host = hosting(MOVING)
    for entry_point in ("ledger_v1_0_0:Other", "ledger_v9:Main", "ledger_v1_0_0:Main.nested"):
        answer = host.load(entry_point=entry_point)
        assert isinstance(answer, Raised)
        assert answer.where == "import"
    assert isinstance(host.load(), Introduced)


def test_another_protocol_is_refused(hosting: Host) -> None:
    answer = hosting(MOVING).load(protocol=PROTOCOL + 1)
    assert isinstance(answer, Raised)
    assert f"protocol {PROTOCOL + 1}" in answer.error


def test_a_traceback_names_the_line_that_raised(hosting: Host) -> None:
    host = hosting(only_in_a_tick("raise ValueError('here it is')"))
    host.ready(1)
    answer = host.tick(1)
    assert isinstance(answer, Raised)
    assert (answer.where, answer.error) == ("process", "ValueError: here it is")
    assert "raise ValueError('here it is')" in answer.traceback
    assert str(host.folder) in answer.traceback


@pytest.mark.parametrize("body", ["raise RuntimeError('no')", "raise SystemExit(1)", "return 1 / 0"])
@pytest.mark.parametrize("where", ["initialize(self, config)", "process(self, dt)"])
def test_what_goes_wrong_while_it_is_prepared_is_told(hosting: Host, where: str, body: str) -> None:
    host = hosting(f"{MOVING}\n    def {where}:\n        {body}")
    answer = host.prepare(host.load())
    assert isinstance(answer, Raised)
    assert answer.where == "initialize"
    assert host.worker.receive_now() is None
    assert not host.worker.wait(0)


@pytest.mark.parametrize(
    "raised", ["SystemExit(0)", "KeyboardInterrupt", "GeneratorExit", "MemoryError", "PeerDied('')"]
)
def test_whatever_process_raises_is_an_answer(hosting: Host, raised: str) -> None:
    host = hosting("from grove_core.base.errors import PeerDied" + only_in_a_tick(f"raise {raised}"))
    host.ready(1)
    for number in (1, 2):
        answer = host.tick(number)
        assert isinstance(answer, Raised)
        assert (answer.where, answer.error.partition(":")[0]) == ("process", raised.partition("(")[0])
    assert host.ask(AskIdle()) == Idle(True)


def test_a_tick_writes_its_own_rows_and_no_others(hosting: Host) -> None:
    host = hosting(MOVING)
    table = host.ready(1000)
    table["speed"][...] = np.arange(1000)
    table["foreign"][...] = 7
    answer = host.tick(5, 0.5, 100, 300)
    assert answer == Ticked(5, answer.ms)
    assert answer.ms > 0
    expected = np.zeros(1000)
    expected[100:300] = np.arange(100, 300) * 0.5
    assert table["x"].tolist() == expected.tolist()
    assert table["n"].tolist() == (expected > 0).astype(int).tolist()
    assert table["speed"].tolist() == list(range(1000))
    assert table["id"].tolist() == list(range(1, 1001))
    assert (table["foreign"] == 7).all()


def test_rows_that_come_later_are_seen(hosting: Host) -> None:
    host = hosting(MOVING)
    table = host.ready(10)
    start, stop = table.append(MAX_ROWS - 10)
    table.rows("speed", start, stop)[...] = 2
    table.count = stop
    assert isinstance(host.tick(1, 0.5), Ticked)
    assert table["x"].tolist() == [0.0] * 10 + [1.0] * (MAX_ROWS - 10)


def test_a_worker_maps_its_columns_and_nothing_else_of_the_table(hosting: Host) -> None:
    host = hosting(MOVING)
    table = host.ready(10)
    mapped: dict[int, str] = {}
    for line in Path(f"/proc/{host.worker.pid}/maps").read_text().splitlines():
        span, protection, offset, _, inode, *_ = line.split()
        if int(inode) == table.arena.inode and "grove:test" in line:
            low, high = (int(end, 16) for end in span.split("-"))
            for name, slot in table.slots.items():
                if slot.offset < int(offset, 16) + high - low and int(offset, 16) < slot.offset + slot.length:
                    mapped[slot.offset] = f"{name} {protection}"
    expected = {"id": "r--s", "loose": "rw-s", "n": "rw-s", "x": "rw-s", "speed": "r--s"}
    assert sorted(mapped.values()) == sorted(f"{name} {protection}" for name, protection in expected.items())
    held = [str(entry.readlink()) for entry in Path(f"/proc/{host.worker.pid}/fd").iterdir()]
    assert not [entry for entry in held if "memfd" in entry]


@pytest.mark.parametrize(
    "write",
    [
        "self.entities.speed += 1",
        "self.entities.speed[...] = 1",
        "self.entities.speed = 1",
        "self.entities.id[0] = 9",
    ],
)
def test_what_is_constant_cannot_be_written(hosting: Host, write: str) -> None:
    host = hosting(only_in_a_tick(write, "x='f4', speed='f4', constant='speed'"))
    table = host.ready(3)
    answer = host.tick(1)
    assert isinstance(answer, Raised)
    assert answer.where == "process"
    assert "read-only" in answer.error
    assert table["speed"].tolist() == [0, 0, 0]
    assert table["id"].tolist() == [1, 2, 3]


def test_the_warm_up_is_not_allowed_to_write_what_is_constant_either(hosting: Host) -> None:
    host = hosting(in_process("self.entities.speed += 1", "x='f4', speed='f4', constant='speed'"))
    answer = host.prepare(host.load(), 3)
    assert isinstance(answer, Raised)
    assert "read-only" in answer.error


def test_who_forces_a_constant_column_dies_by_it_and_writes_nothing(hosting: Host) -> None:
    """numpy's flag only guards against mistakes; behind it stands the mapping."""
    body = "__import__('ctypes').memset(self.entities.speed.ctypes.data, 1, 8)"
    host = hosting(only_in_a_tick(body, "x='f4', speed='f4', constant='speed'"))
    table = host.ready(3)
    with pytest.raises(PeerDied):
        host.tick(1)
    assert host.worker.wait(SECONDS)
    assert host.worker.how_it_ended() == "was killed by SIGSEGV"
    assert table["speed"].tolist() == [0, 0, 0]


def test_a_constant_column_cannot_be_made_writable(hosting: Host) -> None:
    host = hosting(
        """
import ctypes
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="i4", speed="f4", constant="speed")

    def process(self, dt):
        if dt != 1 / 60:
            for row, name in enumerate(("x", "speed", "id")):
                address = ctypes.c_void_p(self.entities[name].ctypes.data)
                self.entities.x[row] = ctypes.CDLL(None).mprotect(address, 4096, 3)  # to read and to write
"""
    )
    table = host.ready(3)
    assert isinstance(host.tick(1), Ticked)
    assert table["x"].tolist() == [0, -1, -1]


def test_the_warm_up_leaves_no_trace(hosting: Host) -> None:
    host = hosting(KEEPING)
    ready = host.prepare(host.load(), 4, config={"a": [1]})
    assert isinstance(ready, Ready)
    assert not ready.document_taken
    assert ready.document is not None
    fresh = {"ticks": 0, "config": {"a": [1]}, "seen": []}
    assert msgspec.msgpack.decode(ready.document) == fresh
    assert host.table is not None
    assert host.table["x"].tolist() == [0] * 4

    silent = host.tick(1, dt=0.0)
    assert silent.document is None  # the warm-up's change is forgotten too
    spoken = host.tick(2)
    assert msgspec.msgpack.decode(spoken.document) == {**fresh, "ticks": 2, "seen": [4, 4]}
    assert host.tick(3, dt=0.0).document is None


def test_births_and_deaths_of_the_warm_up_are_no_requests(hosting: Host) -> None:
    host = hosting(in_process("dt == 1 / 60 and (self.entities.spawn(x=1), self.entities.despawn(self.entities.id))"))
    host.ready(2)
    answer = host.tick(1)
    assert (answer.spawned, answer.despawned, answer.failed) == ((), (), ())


def test_a_document_of_its_own_version_is_taken(hosting: Host) -> None:
    host = hosting(KEEPING)
    given = {"ticks": 41, "config": {}, "seen": []}
    ready = host.prepare(host.load(), 1, document=msgspec.msgpack.encode(given))
    assert ready.document_taken
    assert msgspec.msgpack.decode(ready.document) == given
    assert msgspec.msgpack.decode(host.tick(1).document)["ticks"] == 42


def test_a_document_of_another_version_is_not_taken_unless_the_author_says_so(hosting: Host) -> None:
    document = msgspec.msgpack.encode({"ticks": 41, "config": {}, "seen": []})
    host = hosting(KEEPING)
    ready = host.prepare(host.load(), document=document, giver="0.9.0")
    assert not ready.document_taken
    assert msgspec.msgpack.decode(ready.document)["ticks"] == 0

    willing = hosting(
        KEEPING
        + """
    def migrate_state_from(self, from_version, state):
        self.document = {"ticks": state["ticks"] * 2, "config": from_version, "seen": []}
        return from_version == "0.9.0"
"""
    )
    ready = willing.prepare(willing.load(), document=document, giver="0.9.0")
    assert ready.document_taken
    assert msgspec.msgpack.decode(ready.document) == {"ticks": 82, "config": "0.9.0", "seen": []}


def test_a_document_that_cannot_cross_is_told(hosting: Host) -> None:
    host = hosting(KEEPING.replace("return self.document", "return {'x': object()}"))
    answer = host.prepare(host.load())
    assert isinstance(answer, Raised)
    assert "TypeError" in answer.error


def test_what_a_tick_asks_for_is_in_its_reply(hosting: Host) -> None:
    host = hosting(
        """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4", n="i2")

    def process(self, dt):
        e = self.entities
        if dt == 0.5:
            e.spawn(x=[1, 2], n=3)
            e.spawn(id=[70, -5], x=9)
            e.despawn([3, 1])
            e.fail(2, "why")
"""
    )
    host.ready(3)
    answer = host.tick(1, dt=0.25)
    assert answer == Ticked(1, answer.ms)
    answer = host.tick(2)

    def raw(dtype: str, *values: float) -> bytes:
        return np.array(values, dtype).tobytes()

    assert answer.spawned == (
        Spawned(2, {"x": raw("<f4", 1, 2), "n": raw("<i2", 3, 3)}, None),
        Spawned(2, {"x": raw("<f4", 9, 9), "n": raw("<i2", 0, 0)}, raw("<i8", 70, -5)),
    )
    assert answer.despawned == (raw("<i8", 1, 3),)
    assert answer.failed == (Failed(raw("<i8", 2), "why"),)
    answer = host.tick(3, dt=0.25)
    assert (answer.spawned, answer.despawned, answer.failed) == ((), (), ())


def test_ids_that_are_not_its_own_are_refused_at_once(hosting: Host) -> None:
    host = hosting(only_in_a_tick("self.entities.despawn(9)"))
    host.ready(10)
    answer = host.tick(1, 0.5, 0, 5)
    assert isinstance(answer, Raised)
    assert "UnknownEntity" in answer.error


def test_a_module_knows_when_it_catches_up(hosting: Host) -> None:
    host = hosting(in_process("self.entities.x[...] = self.catching_up"))
    table = host.ready(2)
    host.tick(1, catching_up=True)
    assert table["x"].tolist() == [1, 1]
    host.tick(2)
    assert table["x"].tolist() == [0, 0]


def test_a_version_may_be_busy(hosting: Host) -> None:
    host = hosting(MOVING + "\n    def is_idle(self):\n        return []")
    host.ready()
    assert host.ask(AskIdle()) == Idle(False)


@pytest.mark.parametrize(("body", "answer"), [("print('bye', flush=True)", Idle), ("1 / 0", Raised)])
def test_shutdown_is_called_and_the_worker_ends_also_if_it_raises(hosting: Host, body: str, answer: type) -> None:
    host = hosting(MOVING + f"\n    def shutdown(self):\n        {body}")
    host.ready()
    assert isinstance(host.ask(Shutdown()), answer)
    assert host.worker.wait(SECONDS)
    assert host.worker.read_output() == ("bye\n" if answer is Idle else "")


@pytest.mark.parametrize("kind", InjectedKind)
def test_no_fault_is_taken_where_faults_are_not_allowed(hosting: Host, kind: InjectedKind) -> None:
    host = hosting(MOVING)
    host.ready(1)
    answer = host.ask(Inject(Planned(kind)))
    assert isinstance(answer, Raised)
    assert "does not inject faults" in answer.error
    assert isinstance(host.tick(1), Ticked)


def armed(host: Hosting, kind: InjectedKind, at: int | None, seconds: float = 0.0) -> Table:
    table = host.ready(4, faults_allowed=True)
    table["speed"][...] = 1
    assert host.ask(Inject(Planned(kind, at=at, seconds=seconds))) == Injected()
    return table


@pytest.mark.parametrize("at", [None, 3])
def test_an_injected_raise_comes_once_after_the_work_was_done(hosting: Host, at: int | None) -> None:
    host = hosting(MOVING)
    table = armed(host, InjectedKind.RAISE, at)
    due = 1 if at is None else at
    answers = [host.tick(number) for number in range(1, 6)]
    assert [isinstance(answer, Raised) for answer in answers] == [number == due for number in range(1, 6)]
    assert answers[due - 1].error == "InjectedFault: an injected fault"
    assert table["n"].tolist() == [5] * 4


def test_an_injected_lag_is_measured(hosting: Host) -> None:
    host = hosting(MOVING)
    armed(host, InjectedKind.LAG, None, 0.2)
    assert host.tick(1).ms >= 200
    assert host.tick(2).ms < 200


def test_injected_corruption_is_nan_where_nan_is_a_fault(hosting: Host) -> None:
    host = hosting(MOVING)
    table = armed(host, InjectedKind.CORRUPTION, None)
    assert isinstance(host.tick(1, 0.5, 1, 3), Ticked)
    assert np.isnan(table["x"]).tolist() == [False, True, True, False]
    assert not np.isnan(table["loose"]).any()
    assert table["speed"].tolist() == [1] * 4
    table["x"][...] = 0
    host.tick(2)
    assert table["x"].tolist() == [0.5] * 4


def test_corruption_needs_a_column_that_can_be_corrupted(hosting: Host) -> None:
    schema = "n='i4', loose=Column('f4', nan=True), speed='f4', constant='speed'"
    host = hosting(in_process("pass", schema).replace("Module,", "Column, Module,"))
    host.ready(1, faults_allowed=True)
    answer = host.ask(Inject(Planned(InjectedKind.CORRUPTION)))
    assert isinstance(answer, Raised)
    assert "corruption needs a writable float column" in answer.error
    assert isinstance(host.tick(1), Ticked)


def test_an_injected_kill_is_a_real_one(hosting: Host) -> None:
    host = hosting(MOVING)
    table = armed(host, InjectedKind.KILL, 2)
    assert isinstance(host.tick(1), Ticked)
    with pytest.raises(PeerDied):
        host.tick(2)
    assert host.worker.wait(SECONDS)
    assert host.worker.how_it_ended() == "was killed by SIGKILL"
    assert table["n"].tolist() == [2] * 4
