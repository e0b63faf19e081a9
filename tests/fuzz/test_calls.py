"""A version that says anything as it calls services, or answers: whoever is sound goes on, and gets what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core import DebugEngine, GroveError, ManualClock, Settings
from grove_core.wire.messages import Raised, ToEngine
from grove_core.wire.service_messages import CallService, Served
from grove_core.worker.packing import pack

from .budget import budget
from .drawn import mostly, mutated, of, packed

SAY = """
import gc
import numpy as np
from grove_core import GroveError, Module, Needs, Schema, service
from grove_core.wire.channel import Channel

def say(packets):
    wire = next(each for each in gc.get_objects() if type(each) is Channel)
    for packet in packets:
        try:
            wire.socket.send(packet)
        except OSError:
            pass
"""
BANK = """
class Main(Module):
    schema = Schema(gold="f8")
    said = ()

    def initialize(self, config):
        self.said = config.get("said", ())

    def process(self, dt):
        self.entities.gold += 1

    @service
    def gold(self, ids):
        say(self.said)
        return self.entities.gold

    @service
    def price(self, item, *, many=1):
        return 2.5 * many
"""
SHOP = """
class Main(Module):
    schema = Schema(owner="i8", seen="f8")
    bank = Needs("bank")
    said = ()

    def initialize(self, config):
        say(config.get("at first", ()))
        self.said = config.get("in a tick", ())

    def process(self, dt):
        e = self.entities
        say(self.said)
        try:
            seen = self.bank.gold(e.owner)
        except GroveError:
            seen = None
        e.seen = seen if isinstance(seen, np.ndarray) else -1.0
"""
SETTINGS = Settings(
    tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, service_deadline_ms=20_000.0, max_entities=1 << 10
)
ENTITIES = 10
GIVEN = st.sampled_from([pack(value) for value in ([], [np.arange(2)], [1, {}], {"many": 2}, {"odd": None}, 7)])
CALLS = st.builds(
    CallService,
    mostly(st.just("bank"), st.text(max_size=4)),
    mostly(st.sampled_from(["gold", "price"]), st.text(max_size=4)),
    mostly(GIVEN, st.binary(max_size=9)),
    mostly(GIVEN, st.binary(max_size=9)),
    st.none() | mostly(st.lists(st.integers(-1, 12)).map(lambda ids: np.array(ids, "<i8").tobytes()), st.binary()),
)
RESULTS = st.sampled_from([pack(value) for value in (np.zeros(3), [np.zeros(5), {}], None)]) | st.binary(max_size=9)
ANSWERS = st.builds(Served, st.integers(0, 3), st.floats(0, 9), RESULTS) | st.builds(
    Raised, st.just("service"), st.text(max_size=9), st.just(""), st.none(), st.integers(0, 3)
)


def said(near: st.SearchStrategy[Any]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(mostly(near.map(packed), mutated((near | of(ToEngine)).map(packed)).filter(len)), max_size=3)


@pytest.fixture
def engine(package: Callable[..., Path], installed: Any, isolation: Any) -> Iterator[DebugEngine]:
    """An engine with ten entities in version 1 of both; who is version 2 says what it is told."""
    folders = [
        package(name, f"{n}.0.0", SAY + source) for name, source in (("bank", BANK), ("shop", SHOP)) for n in (1, 2)
    ]
    made = DebugEngine(SETTINGS, plugins=[installed(*folders)], clock=ManualClock(), isolation=isolation)
    made.load_module_version("bank", 1)
    made.load_module_version("shop", 1)
    made.spawn("bank", id=range(ENTITIES), gold=np.arange(ENTITIES) * 10.0)
    made.spawn("shop", id=range(ENTITIES), owner=np.arange(ENTITIES))
    yield made
    made.close()


@contextmanager
def canary(engine: DebugEngine, module: str, config: dict[str, Any]) -> Iterator[bool]:
    """Have version 2 of a module have half of its entities, if it comes up at all."""
    try:
        engine.load_module_version(module, 2, config=config)
    except GroveError:
        yield False
    else:
        engine.set_traffic_split(module, {1: 0.5, 2: 0.5})
        yield True
    if len(engine.get_loaded_versions(module)) > 1:
        engine.set_traffic_split(module, {1: 1.0})
        engine.unload_module_version(module, 2)


@budget(15)
@given(mostly(st.just([]), said(CALLS)), said(CALLS))
def test_whatever_is_asked_the_base_and_other_callers_go_on(
    engine: DebugEngine, first: list[bytes], later: list[bytes]
) -> None:
    pids = engine.workers("bank")
    with canary(engine, "shop", {"at first": first, "in a tick": later}):
        others = set(engine.entities("shop", version=1)["id"].tolist())
        report = engine.tick(0.1)
        shops, gold = engine.entities("shop"), engine.entities("bank")
        right = dict(zip(gold["id"].tolist(), gold["gold"].tolist(), strict=True))
        seen = dict(zip(shops["id"].tolist(), shops["seen"].tolist(), strict=True))
        assert {fault.module for fault in report.faults} <= {"shop"}
        assert {one: seen[one] for one in others} == {one: right[one] for one in others}
    assert engine.workers("bank") == pids
    engine.despawn("shop", engine.entities("shop")["id"])
    engine.spawn("shop", id=range(ENTITIES), owner=np.arange(ENTITIES))


@budget(15)
@given(said(ANSWERS | CALLS))
def test_whatever_is_answered_callers_go_on_and_no_tick_is_lost(engine: DebugEngine, packets: list[bytes]) -> None:
    before = engine.entities("bank")["gold"]
    with canary(engine, "bank", {"said": packets}):
        for _ in range(2):
            report = engine.tick(0.1)
            assert {fault.module for fault in report.faults} <= {"bank"}
            assert (report.entities, report.skipped) == (2 * ENTITIES, 0)
    assert sorted(engine.entities("bank")["gold"] - 2) == sorted(before)
    assert engine.tick(0.1).faults == ()
    assert (engine.entities("shop")["seen"] >= 1).all()
