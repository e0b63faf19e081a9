"""A version that sends anything while it is ticked, or loaded: the engine goes on, and nobody else loses an entity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core import DebugEngine, GroveError, ManualClock, Settings
from grove_core.wire.messages import AskWorld, Spawned, Ticked, ToEngine

from .budget import budget
from .drawn import mostly, mutated, of, packed

MODULE = "ledger"
SOUND = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4", n="i8")

    def process(self, dt):
        self.entities.n += 1
"""
HOSTILE = """
import gc
from grove_core import Module, Schema
from grove_core.wire.channel import Channel

def say(packets):
    wire = next(each for each in gc.get_objects() if type(each) is Channel)
    for packet in packets:
        try:
            wire.socket.send(packet)
        except OSError:
            pass

class Main(Module):
    schema = Schema(x="f4", n="i8")

    def initialize(self, config):
        self.said = config
        say(config["at first"])

    def process(self, dt):
        if len(self.entities) != 8:
            say(self.said["in a tick"])
            self.entities.n += 1
"""
SETTINGS = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, max_entities=1 << 10)
ENTITIES = 10
NEAR = st.builds(
    Ticked,
    st.integers(1, 3),
    st.floats(0, 9),
    st.lists(mostly(st.just(Spawned(1, {"x": bytes(4), "n": bytes(8)}, None)), of(Spawned)), max_size=2).map(tuple),
)
WATCHING = st.builds(AskWorld, st.lists(st.sampled_from(["id", "x", "n", "y", ""]), max_size=3).map(tuple), st.just(()))
SAID = st.lists(mutated((NEAR | WATCHING | of(ToEngine)).map(packed)).filter(len), max_size=3)


@pytest.fixture
def engine(package: Callable[..., Path], installed: Any, isolation: Any) -> Iterator[DebugEngine]:
    """An engine with ten entities in version 1, which is sound; version 2 is not."""
    folders = package(MODULE, "1.0.0", SOUND), package(MODULE, "2.0.0", HOSTILE)
    made = DebugEngine(SETTINGS, plugins=[installed(*folders)], clock=ManualClock(), isolation=isolation)
    made.load_module_version(MODULE, 1)
    made.spawn(MODULE, id=range(ENTITIES))
    yield made
    made.close()


@budget(40)
@given(mostly(st.just([]), SAID), SAID)
def test_whatever_a_version_sends_the_others_go_on(engine: DebugEngine, first: list[bytes], later: list[bytes]) -> None:
    others = set(range(ENTITIES))
    try:
        engine.load_module_version(MODULE, 2, config={"at first": first, "in a tick": later})
    except GroveError:
        assert len(engine.get_loaded_versions(MODULE)) == 1
    else:
        engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
        others = set(engine.entities(MODULE, version=1)["id"].tolist())
        for _ in range(2):
            engine.tick(0.1)
    if len(engine.get_loaded_versions(MODULE)) > 1:
        engine.set_traffic_split(MODULE, {1: 1.0})
        engine.unload_module_version(MODULE, 2)
    there = set(engine.entities(MODULE)["id"].tolist())
    assert others <= there
    engine.despawn(MODULE, sorted(there))
    engine.spawn(MODULE, id=range(ENTITIES))
    assert engine.tick(0.1).entities == ENTITIES
