"""Configs that change while versions run: all versions have the new one, or all have the one they had."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from packaging.version import Version

from grove_core import DebugEngine, Limits
from grove_core.base.errors import (
    ConfigRefused,
    EngineClosed,
    InvalidConfig,
    InvalidInput,
    LoadFailed,
    UnknownModule,
    UnknownVersion,
)
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind

from .conftest import PATIENT, OpenEngine, Refused, kill
from .sources import MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
TOP = """
import msgspec
from typing import Annotated

class Enemy(msgspec.Struct):
    speed: Annotated[float, msgspec.Meta(ge=0)] = 1.0

class Rules(msgspec.Struct):
    speed: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 1.0
    names: list[str] = []
    enemies: dict[str, Enemy] = {}

def babble():
    from grove_core.wire.messages import Idle
    frame = sys._getframe()
    while "channel" not in frame.f_locals:
        frame = frame.f_back
    frame.f_locals["channel"].send(Idle(True))
"""
MOVES = "e.x += self.speed\ne.n += 1"
"""After a tick `x` tells with which config the version runs."""
INITIALIZE = "config_type = Rules\ndef initialize(self, config): self.speed = config.speed"
UPDATE = "def update_config(self, config):\n    self.speed = config.speed\n    {}\n    return True"
LENS = 'Lens("==1.*", "==2.*", [])'


def taking(more: str = "", lenses: str = LENS, process: str = MOVES) -> str:
    """Return a version that takes a config while it runs, and then does `more`."""
    return version(process, top=TOP, lenses=lenses, body=f"{INITIALIZE}\n{UPDATE.format(more or 'pass')}")


TAKES = taking()
RESTARTS = version(MOVES, top=TOP, lenses=LENS, body=INITIALIZE)
"""One that takes its config only at its start."""
FREE = version(
    "e.n += 1\ne.x += self.speed",
    lenses=LENS,
    body="def initialize(self, config): self.speed = config.get('speed', 1.0)",
)
"""One that does not describe its config."""


def start(open_engine: OpenEngine, second: str = TAKES, limits: Limits | None = None) -> DebugEngine:
    """Load two versions with two entities each, at speed 2."""
    engine = open_engine({"1.0.0": taking(lenses=""), "2.0.0": second})
    engine.load_module_version(MODULE, 1, config={"speed": 2.0})
    engine.spawn(MODULE, x=[0.0] * 4)
    engine.load_module_version(MODULE, 2, config={"speed": 2.0}, limits=limits)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    return engine


def speeds(engine: DebugEngine) -> dict[Version, set[float]]:
    """Tick, and return by how much the entities of each version moved."""
    before = engine.entities(MODULE)
    report = engine.tick(0.0)
    assert report.entities == len(before["id"])
    after = engine.entities(MODULE)
    places = engine.locate(MODULE, after["id"])
    was = dict(zip(before["id"].tolist(), before["x"].tolist(), strict=True))
    moved: dict[Version, set[float]] = {}
    for each, x, place in zip(after["id"].tolist(), after["x"].tolist(), places, strict=True):
        moved.setdefault(place, set()).add(x - was[each])
    return moved


def told(engine: DebugEngine, kind: EventKind) -> list[Mapping[str, Any]]:
    return [event.details for event in engine.events if event.kind is kind]


def test_all_versions_take_a_config(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    workers = engine.workers(MODULE)
    report = engine.config.update(MODULE, {"speed": 5.0, "names": ["a"]})
    assert (report.versions, report.restarted) == ((ONE, TWO), ())
    assert speeds(engine) == {ONE: {5.0}, TWO: {5.0}}
    assert engine.workers(MODULE) == workers
    assert engine.config.get(MODULE) == engine.config.get(MODULE, 2) == {"speed": 5.0, "names": ["a"]}
    assert [details["keys"] for details in told(engine, EventKind.CONFIG_UPDATED)] == [["names", "speed"]] * 2
    assert engine.config.update(MODULE, {"speed": 5.0, "names": ["a"]}).versions == (), "it is the same"


def test_one_version_takes_a_config(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    assert engine.config.update(MODULE, {"speed": 5.0}, 2).versions == (TWO,)
    assert speeds(engine) == {ONE: {2.0}, TWO: {5.0}}
    assert (engine.config.get(MODULE, 1), engine.config.get(MODULE, 2)) == ({"speed": 2.0}, {"speed": 5.0})


@pytest.mark.parametrize("second", [RESTARTS, FREE, taking("return False")])
def test_a_version_that_takes_none_while_it_runs_gets_a_new_worker(open_engine: OpenEngine, second: str) -> None:
    engine = start(open_engine, second)
    before, rows = engine.workers(MODULE), engine.entities(MODULE)
    report = engine.config.update(MODULE, {"speed": 5.0})
    assert (report.versions, report.restarted) == ((ONE, TWO), (TWO,))
    assert {name: column.tolist() for name, column in engine.entities(MODULE).items()} == {
        name: column.tolist() for name, column in rows.items()
    }
    assert engine.workers(MODULE)[ONE] == before[ONE]
    assert engine.workers(MODULE)[TWO] != before[TWO]
    assert speeds(engine) == {ONE: {5.0}, TWO: {5.0}}
    assert not [event for event in engine.events if event.kind is EventKind.FAULT]


def test_a_new_worker_goes_on_with_the_last_document(open_engine: OpenEngine) -> None:
    document = "\ndef get_state(self): return self.ticks\ndef set_state(self, ticks): self.ticks = ticks"
    begin = "\ndef initialize(self, config): self.speed, self.ticks = config.get('speed', 1.0), 0"
    count = "self.ticks += 1\ne.x += self.speed\ne.n = self.ticks\nself.mark_state_changed()"
    engine = open_engine({"1.0.0": version(count, body=begin + document)})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[0.0])
    engine.tick(0.0)
    assert engine.config.update(MODULE, {"speed": 3.0}).restarted == (ONE,)
    engine.tick(0.0)
    rows = engine.entities(MODULE)
    assert (rows["x"].tolist(), rows["n"].tolist()) == ([4.0], [2])


def test_changes_are_merged_into_what_each_version_has(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    engine.config.update(MODULE, {"speed": 3.0, "enemies": {"orc": {"speed": 1.0}, "elf": {"speed": 2.0}}}, 2)
    engine.config.update_partial(MODULE, {"names": ["b"], "enemies": {"orc": None, "elf": {"speed": 4.0}, "ant": {}}})
    assert engine.config.get(MODULE, 1) == {"speed": 2.0, "names": ["b"], "enemies": {"elf": {"speed": 4.0}, "ant": {}}}
    assert engine.config.get(MODULE, 2) == {"speed": 3.0, "names": ["b"], "enemies": {"elf": {"speed": 4.0}, "ant": {}}}
    assert speeds(engine) == {ONE: {2.0}, TWO: {3.0}}


def test_every_mistake_is_told_and_nobody_has_the_config(open_engine: OpenEngine, refused: Refused) -> None:
    engine = start(open_engine)
    wrong = {"speed": -1, "nmaes": [], "enemies": {"orc": {"speed": "fast"}, "red elf": {"speed": -1.0}}, "names": [1]}
    lines = [
        "speed: Expected `float` >= 0.0",
        "nmaes: there is no such key (did you mean 'names'?)",
        "enemies.orc.speed: Expected `float`, got `str`",
        "enemies['red elf'].speed: Expected `float` >= 0.0",
        "names[0]: Expected `str`, got `int`",
    ]
    with refused(engine, InvalidConfig, *lines, f"{MODULE}@1.0.0", f"{MODULE}@2.0.0"):
        engine.config.update(MODULE, wrong)
    with refused(engine, InvalidConfig, *lines, f"{MODULE}@2.0.0"):
        engine.config.update(MODULE, wrong, 2)
    with refused(engine, InvalidConfig, "speed: Expected"):
        engine.config.update_partial(MODULE, {"speed": []})
    assert engine.config.get(MODULE) == {"speed": 2.0}
    assert speeds(engine) == {ONE: {2.0}, TWO: {2.0}}
    assert len(told(engine, EventKind.CONFIG_REFUSED)) == 3
    assert "names[0]" in told(engine, EventKind.CONFIG_REFUSED)[0]["reason"]
    assert {event.module for event in engine.events if event.kind is EventKind.CONFIG_REFUSED} == {MODULE}


def test_a_load_checks_the_config_too(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({"1.0.0": TAKES})
    with refused(engine, InvalidConfig, f"{MODULE}@1.0.0", "speed: Expected", "more: there is no such key"):
        engine.load_module_version(MODULE, 1, config={"speed": "x", "more": 1})
    engine.load_module_version(MODULE, 1)
    described = engine.config.describe(MODULE)
    assert described is not None
    assert described["$defs"]["Rules"]["properties"]["speed"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 1000,
        "default": 1.0,
    }


def test_a_description_that_is_none(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(MOVES, body="config_type = dict"), "2.0.0": FREE})
    with pytest.raises(Exception, match="config_type must be a subclass of msgspec"):
        engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    assert engine.config.describe(MODULE) is None


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else {}


def endless() -> Any:
    config: dict[str, Any] = {}
    config["again"] = config
    return config


@pytest.mark.parametrize("config", [7, None, {1: 2}, ["a"], {"a": object()}, {"a": 1 << 70}, {"a": "\ud800"}, deep(65)])
def test_what_is_no_config(open_engine: OpenEngine, refused: Refused, config: Any) -> None:
    engine = start(open_engine)
    for call in (engine.config.update, engine.config.update_partial):
        with refused(engine, InvalidInput, "config must"):
            call(MODULE, config)


def test_what_is_no_config_at_all(open_engine: OpenEngine, refused: Refused) -> None:
    engine = start(open_engine)
    for config in (deep(900), endless()):
        with refused(engine, InvalidInput, "nested"):
            engine.config.update(MODULE, config)
    for error, module, wanted in ((UnknownModule, "other", None), (UnknownVersion, MODULE, 3)):
        for call in (engine.config.get, engine.config.describe):
            with refused(engine, error):
                call(module, wanted)
        with refused(engine, error):
            engine.config.update(module, {}, wanted)


def test_who_calls_holds_no_part_of_what_holds(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    given: dict[str, Any] = {"names": ["a"]}
    engine.config.update(MODULE, given)
    given["names"].append(7)
    engine.config.get(MODULE)["names"].append(8)
    assert engine.config.get(MODULE) == {"names": ["a"]}


def test_who_took_it_goes_back_where_another_one_raises(open_engine: OpenEngine) -> None:
    engine = start(open_engine, taking("if config.speed > 4: raise ValueError('too fast for me')"))
    workers = engine.workers(MODULE)
    with pytest.raises(ConfigRefused, match=r"2\.0\.0.*too fast for me"):
        engine.config.update(MODULE, {"speed": 5.0})
    assert engine.config.get(MODULE, 1) == engine.config.get(MODULE, 2) == {"speed": 2.0}
    assert speeds(engine) == {ONE: {2.0}, TWO: {2.0}}, "the one that raised had the other speed by then"
    assert engine.workers(MODULE) == workers
    assert engine.config.update(MODULE, {"speed": 3.0}).versions == (ONE, TWO)


def test_who_cannot_go_back_is_restarted(open_engine: OpenEngine) -> None:
    engine = start(open_engine, taking("if config.speed > 2 or self.speed < 3: raise ValueError('never')"))
    workers = engine.workers(MODULE)
    with pytest.raises(ConfigRefused, match="never"):
        engine.config.update(MODULE, {"speed": 5.0})
    assert engine.workers(MODULE)[TWO] != workers[TWO]
    assert speeds(engine) == {ONE: {2.0}, TWO: {2.0}}


def test_nobody_has_it_where_no_worker_becomes_ready_with_it(open_engine: OpenEngine, refused: Refused) -> None:
    fragile = "\n    if config.speed > 4: raise ValueError('not so fast')"
    fragile = INITIALIZE.replace("self.speed", "\n    self.speed") + fragile
    engine = start(open_engine, version(MOVES, top=TOP, lenses=LENS, body=fragile))
    with refused(engine, ConfigRefused, "2.0.0", "no worker could be made ready", "not so fast"):
        engine.config.update(MODULE, {"speed": 5.0})
    assert speeds(engine) == {ONE: {2.0}, TWO: {2.0}}


@pytest.mark.parametrize(
    ("does", "kind", "words"),
    [
        ("while config.speed > 4: pass", FaultKind.DEADLINE, "250 ms"),
        ("if config.speed > 4: os._exit(3)", FaultKind.DEATH, "exited with status 3"),
        ("if config.speed > 4: os.kill(os.getpid(), signal.SIGKILL)", FaultKind.DEATH, "SIGKILL"),
        ("if config.speed > 4: babble()", FaultKind.WRONG_REPLY, "it answered Idle where ConfigUpdated was due"),
    ],
)
def test_who_hangs_or_dies_of_it_is_a_fault_of_the_next_tick(
    open_engine: OpenEngine, does: str, kind: FaultKind, words: str
) -> None:
    engine = start(open_engine, taking(does), Limits(tick_ms=250.0) if kind is FaultKind.DEADLINE else None)
    with pytest.raises(ConfigRefused, match=words):
        engine.config.update(MODULE, {"speed": 5.0})
    with pytest.raises(ConfigRefused, match="has no worker"):
        engine.config.update(MODULE, {"speed": 6.0})
    report = engine.tick(0.0)
    (fault,) = report.faults
    assert (fault.version, fault.kind, report.entities) == (TWO, kind, 4)
    assert words in fault.message
    assert engine.stable_version(MODULE) == ONE
    assert speeds(engine) == {ONE: {2.0}}


def test_a_version_without_entities_that_hangs_is_a_fault_too(open_engine: OpenEngine) -> None:
    dies = taking("if config.speed > 4: os._exit(3)")
    engine = start(open_engine, dies)
    engine.set_traffic_split(MODULE, {1: 1.0})
    with pytest.raises(ConfigRefused, match="status 3"):
        engine.config.update(MODULE, {"speed": 5.0})
    assert [fault.version for fault in engine.tick(0.0).faults] == [TWO]
    assert engine.tick(0.0).faults == ()


def test_a_worker_that_was_killed_refuses_and_is_recovered(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    kill(engine, TWO)
    with pytest.raises(ConfigRefused, match="@2"):
        engine.config.update(MODULE, {"speed": 5.0})
    assert [fault.kind for fault in engine.tick(0.0).faults] == [FaultKind.DEATH]
    assert speeds(engine) == {ONE: {2.0}}
    assert engine.config.update(MODULE, {"speed": 5.0}).versions == (ONE,)


def test_restarts_and_rollbacks_get_what_held_last(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    engine.config.update(MODULE, {"speed": 7.0})
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    engine.rollback(MODULE, 1)
    assert speeds(engine) == {ONE: {7.0}}
    engine.unload_module_version(MODULE, 2)
    kill(engine, ONE)
    engine.tick(0.0)
    assert speeds(engine) == {ONE: {7.0}}, "restarted, since there is nothing to roll back to"


def test_who_is_loaded_without_a_config_gets_the_module_s(open_engine: OpenEngine) -> None:
    settings = msgspec.structs.replace(PATIENT, config={MODULE: {"speed": 4.0}})
    engine = open_engine({"1.0.0": taking(lenses=""), "2.0.0": TAKES}, settings=settings)
    engine.load_module_version(MODULE, 1)
    assert engine.config.get(MODULE) == {"speed": 4.0}
    engine.config.update_partial(MODULE, {"names": ["a"]})
    engine.config.update(MODULE, {"speed": 9.0}, 1)
    engine.load_module_version(MODULE, 2)
    assert engine.config.get(MODULE, 2) == {"speed": 4.0, "names": ["a"]}
    engine.unload_module_version(MODULE, 2)
    engine.load_module_version(MODULE, 2, config={})
    assert engine.config.get(MODULE, 2) == {}


BEARS = version(
    "if e.n.sum() == 0: e.spawn()\ne.n += 1",
    schema='x=Column("f4", low=0), n="i8", speed=Column("f4", default=7, high=100), constant=("speed",)',
    top=TOP,
    body=f"{INITIALIZE}\n{UPDATE.format('self.entities.x = 9.0')}\n"
    "newborn = {'speed': 'speed', 'x': 'enemies.orc.speed'}",
)
"""One whose newborn have the config's speed; where its config changes it tries to write rows."""


def test_entities_that_live_keep_what_they_were_born_with(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": BEARS})
    engine.load_module_version(MODULE, 1, config={"speed": 2.0})
    engine.spawn(MODULE, id=[1, 2], speed=[5.0, 6.0])
    engine.spawn(MODULE, id=3)
    engine.tick(0.0)  # and a version bears one
    engine.config.update(MODULE, {"speed": 3.0, "enemies": {"orc": {"speed": 0.5}}})
    engine.spawn(MODULE, id=[5, 6])
    rows = engine.entities(MODULE)
    assert dict(zip(rows["speed"].tolist(), rows["x"].tolist(), strict=True)) == {5.0: 0, 6.0: 0, 2.0: 0, 3.0: 0.5}
    assert sorted(rows["speed"].tolist()) == [2.0, 2.0, 3.0, 3.0, 5.0, 6.0]
    engine.despawn(MODULE, rows["id"])
    engine.spawn(MODULE)
    engine.tick(0.0)
    assert engine.entities(MODULE)["speed"].tolist() == [3.0, 3.0], "what a version bears too"
    kill(engine, ONE)
    engine.tick(0.0)
    engine.spawn(MODULE)
    assert engine.entities(MODULE)["speed"].tolist() == [3.0] * 3


def test_what_newborn_cannot_get_is_a_mistake(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({"1.0.0": BEARS})
    engine.load_module_version(MODULE, 1, config={"speed": 2.0})
    with refused(engine, InvalidConfig, "speed: newborn get it as their column speed: ", "above its highest value 100"):
        engine.config.update(MODULE, {"speed": 101.0})
    engine.spawn(MODULE)
    assert engine.entities(MODULE)["speed"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("newborn", "words"),
    [("{'sped': 'a'}", "no column is called 'sped'"), ("7", "must map columns"), ("{'x': 1}", "must map columns")],
)
def test_what_newborn_cannot_be(open_engine: OpenEngine, refused: Refused, newborn: str, words: str) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1", body=f"newborn = {newborn}")})
    with refused(engine, LoadFailed, words):
        engine.load_module_version(MODULE, 1)


def test_newborn_of_a_config_that_is_not_described(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1", body="newborn = {'x': 'tank.speed', 'n': 'more'}")})
    engine.load_module_version(MODULE, 1, config={"tank": {"speed": 2}})
    engine.spawn(MODULE)
    assert engine.config.update_partial(MODULE, {"tank": {"speed": 3}}).restarted == (ONE,)
    engine.spawn(MODULE)
    assert sorted(engine.entities(MODULE)["x"].tolist()) == [2.0, 3.0]
    for wrong in ("fast", [1, 2], {}, 1e300):
        with refused(engine, InvalidConfig, "tank.speed: newborn get it as their column x"):
            engine.config.update(MODULE, {"tank": {"speed": wrong}})
    engine.config.update(MODULE, {"tank": 5})
    engine.spawn(MODULE)
    assert sorted(engine.entities(MODULE)["x"].tolist()) == [0.0, 2.0, 3.0]


def test_a_closed_engine_changes_no_config(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    engine.close()
    calls = [lambda: engine.config.update(MODULE, {}), lambda: engine.config.watch(os.devnull), engine.config.unwatch]
    for call in calls:
        with pytest.raises(EngineClosed):
            call()


def test_what_is_another_value_is_another_config(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": FREE})
    engine.load_module_version(MODULE, 1, config={"a": 1, "b": float("nan")})
    for config, changed in (({"a": True}, ["a"]), ({"a": 1.0}, ["a"]), ({"b": float("nan")}, []), ({"a": None}, ["a"])):
        assert bool(engine.config.update_partial(MODULE, config).versions) == bool(changed)
        assert told(engine, EventKind.CONFIG_UPDATED)[-1]["keys"] == ["a"]


def test_a_large_config_arrives(open_engine: OpenEngine) -> None:
    engine = start(open_engine)
    names = [f"name {number}" for number in range(20_000)]
    engine.config.update(MODULE, {"speed": 5.0, "names": names})
    assert engine.config.get(MODULE, 2)["names"] == names
    assert speeds(engine) == {ONE: {5.0}, TWO: {5.0}}
