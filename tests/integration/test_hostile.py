"""Versions that speak on the wire themselves: whatever they say, the engine goes on."""

from __future__ import annotations

import pytest
from packaging.version import Version

from grove_core import DebugEngine, Settings
from grove_core.base.errors import ProtocolError, UnloadRefused
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind

from .acts import start
from .conftest import OpenEngine, Refused
from .sources import BOTH, MODULE, SCHEMA_1, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
WIRE = """
import sys
from grove_core.author.entities import Birth
from grove_core.base.errors import WorkerError
from grove_core.wire.channel import Channel
from grove_core.wire.messages import AskWorld, Idle, Mapped

def wire():
    frame = sys._getframe()
    while type(frame.f_locals.get("channel")) is not Channel:  # the loop that calls it has it
        frame = frame.f_back
    return frame.f_locals["channel"]

def flood(message):
    while True:
        try:
            wire().send(message)
        except WorkerError:
            pass
"""


def first_fault(engine: DebugEngine) -> tuple[FaultKind, str]:
    fault, *_ = engine.tick(0.1).faults
    assert sorted(engine.entities(MODULE)["id"].tolist()) == list(range(10))
    return fault.kind, fault.message


@pytest.mark.parametrize(
    "names", ["('nonsense',)", "('n', 'n')", "('grove.arrival',)", "tuple(map(str, range(10_000)))"]
)
def test_who_asks_to_see_what_it_does_not_have_is_at_fault(open_engine: OpenEngine, names: str) -> None:
    engine = open_engine(BOTH | {"2.0.0": BOTH["2.0.0"] + WORLD.format(names=names)})
    start(engine, v1=0.5, v2=0.5)
    kind, message = first_fault(engine)
    assert kind is FaultKind.WRONG_REPLY
    assert "it asked to see (" in message
    assert len(message) < 400


WORLD = f"""
        if len(self.entities) != 8:
            wire().send(AskWorld({{names}}, ()))
            wire().receive(None)
{WIRE}
"""


def without_columns(open_engine: OpenEngine, count: int) -> DebugEngine:
    source = version(f"if len(e) != 8: e._births.append(Birth({count}, {{}}, None))", schema="", top=WIRE)
    engine = open_engine({"1.0.0": source})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    return engine


def test_newborn_fewer_than_none_are_a_fault(open_engine: OpenEngine) -> None:
    assert first_fault(without_columns(open_engine, -1)) == (
        FaultKind.WRONG_REPLY,
        "its reply does not fit: it asks for -1 newborn",
    )


@pytest.mark.parametrize("count", [4087, 10**12, 1 << 62])
def test_newborn_for_whom_there_is_no_room_take_no_memory(open_engine: OpenEngine, count: int) -> None:
    engine = without_columns(open_engine, count)
    assert engine.tick(0.1).faults == ()
    event = engine.events[-1]
    assert (event.kind, event.details["entities"]) == (EventKind.ENTITIES_FAILED, count)
    assert f"no room for {count} newborn, only for 4086" in event.details["reasons"][0]


def test_one_that_says_ever_more_while_it_is_asked_whether_it_is_idle_is_not_unloaded(
    open_engine: OpenEngine, refused: Refused
) -> None:
    busy = version("e.n += 1", schema=SCHEMA_1, body="def is_idle(self): flood(Mapped())", top=WIRE)
    engine = open_engine({"1.0.0": busy, "2.0.0": BOTH["2.0.0"]}, settings=Settings(idle_deadline_seconds=0.3))
    start(engine, v1=0.0, v2=1.0)
    with refused(engine, UnloadRefused, "is_idle"):
        engine.unload_module_version(MODULE, 1)
    assert engine.tick(0.1).entities == 10


def test_one_that_says_ever_more_while_it_has_to_let_go_is_ended(open_engine: OpenEngine) -> None:
    clinging = "\n    def __setattr__(self, name, value):\n        object.__setattr__(self, name, value)\n" + (
        "        if name == 'entities' and not len(value): flood(Idle(True))\n"
    )
    engine = open_engine(BOTH | {"1.0.0": V1 + clinging + WIRE})
    start(engine, v1=1.0)
    engine.load_module_version(MODULE, 2)
    assert engine.migrate_state(MODULE, 1, 2).entities == 10
    assert engine.tick(0.1).entities == 10
    assert sorted(engine.entities(MODULE)["id"].tolist()) == list(range(10))


def test_a_version_of_another_protocol_is_not_loaded(open_engine: OpenEngine, refused: Refused) -> None:
    top = "import grove_core.worker.importing as importing\nimporting.PROTOCOL = 7"
    engine = open_engine({"1.0.0": version("pass", top=top)})
    with refused(engine, ProtocolError, "it speaks protocol 7, the engine 1"):
        engine.load_module_version(MODULE, 1)
    assert engine.events[-1].kind is EventKind.LOAD_FAILED
