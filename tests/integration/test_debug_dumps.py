"""What a debug engine tells of itself: dumps as JSON, a status as tables, and all of it true."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.errors import InvalidInput, UnknownEntity, UnknownModule, UnknownVersion
from grove_core.base.records import Role
from grove_core.debug.status import Doing
from grove_core.parts.settings import Choice
from grove_core.runtime.state.state import Condition, Intent

from .conftest import PATIENT, OpenEngine, kill
from .sources import BOTH, MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
KEEPS = version(
    "e.n += 1\nself.seen += 1\nself.mark_state_changed()",
    schema='x=Column("f8", nan=True), n="i8"',
    body="""
def initialize(self, config):
    self.seen = 0
def get_state(self):
    return {"seen": self.seen, "raw": b"bytes", "deep": [1, {"a": None}]}
def set_state(self, document):
    self.seen = document["seen"]
""",
)


@pytest.fixture
def both(open_engine: OpenEngine) -> DebugEngine:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1, config={"speed": 3})
    engine.spawn(MODULE, id=range(10), x=[float(each) for each in range(10)])
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(0.0)
    opened: DebugEngine = engine
    return opened


def strict(dump: dict[str, Any]) -> dict[str, Any]:
    """Check that JSON gives the same dump back."""
    assert json.loads(json.dumps(dump, allow_nan=False)) == dump
    return dump


def test_a_module_is_dumped_with_all_of_its_versions(both: DebugEngine) -> None:
    both.pin_where(MODULE, "x > 8", 2)
    dump = strict(both.dump_state(MODULE, rows=2))
    assert (dump["stable"], dump["entities"], dump["condition"]) == ("1.0.0", 10, "running")
    assert dump["weights"] == {"1.0.0": 0.5, "2.0.0": 0.5}
    assert dump["versions"]["1.0.0"]["config"] == {"speed": 3}
    assert [len(each["rows"]["id"]) for each in dump["versions"].values()] == [2, 2]
    assert [rule["rule"] for rule in dump["pin_rules"]] == ["x > 8"]
    assert dump["history"][0]["to_version"] == "2.0.0"
    both.rollback(MODULE, 1)
    dump = strict(both.dump_state(MODULE))
    assert dump["quarantined"] == ["2.0.0"]
    assert sorted(dump["versions"]["1.0.0"]["rows"]["id"]) == list(range(10))


def test_a_version_is_dumped_as_it_is(both: DebugEngine) -> None:
    dump = strict(both.dump_state(MODULE, 2))
    here = [each for each, where in enumerate(both.locate(MODULE, range(10))) if where == TWO]
    assert dump["rows"]["id"] == here
    assert dump["rows"]["x"] == [float(each) for each in here]
    assert dump["rows"]["hit"] == [1] * 5
    assert (dump["role"], dump["weight"], dump["entities"]) == ("canary", 0.5, 5)
    assert dump["pid"] == both.workers(MODULE)[TWO]
    assert {each["name"]: each["constant"] for each in dump["schema"]}["fixed"] is True
    assert dump["generations"] == [{"tick": 1, "entities": 5}]
    assert dump["metrics"]["ticks"] == 1
    with pytest.raises(UnknownVersion):
        both.dump_state(MODULE, 3)
    with pytest.raises(UnknownModule):
        both.dump_state("nobody")
    for wrong in (-1, 1.5, "many"):
        with pytest.raises(InvalidInput):
            both.dump_state(MODULE, rows=wrong)  # type: ignore[arg-type]


def test_an_entity_is_dumped_with_what_it_was_and_what_it_carries(both: DebugEngine) -> None:
    here = [each for each, where in enumerate(both.locate(MODULE, range(10))) if where == TWO]
    dump = strict(both.dump_state(MODULE, id=here[0]))
    assert (dump["id"], dump["version"], dump["origin"]) == (here[0], "2.0.0", "1.0.0")
    assert (dump["columns"]["n"], dump["before_last_tick"]["n"]) == (100, 0)
    assert "fixed" not in dump["before_last_tick"], "nobody could have changed it"
    assert dump["carried"] == []
    both.migrate_state(MODULE, 2, 1)
    dump = strict(both.dump_state(MODULE, id=here[0]))
    assert [(each["of"], each["column"], each["value"]) for each in dump["carried"]] == [("2.0.0", "hit", 1)]
    assert any("1.0.0" in line for line in dump["explanation"])
    both.spawn(MODULE, id=[77])
    assert both.dump_state(MODULE, id=77)["before_last_tick"] is None
    with pytest.raises(UnknownEntity):
        both.dump_state(MODULE, id=1000)
    with pytest.raises(InvalidInput):
        both.dump_state(MODULE, 1, id=0)
    with pytest.raises(InvalidInput):
        both.dump_state(MODULE, id=[0, 1])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        both.dump_state(MODULE, id="zero")  # type: ignore[arg-type]


def test_documents_and_values_that_json_lacks_are_dumped(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": KEEPS})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[float("nan"), float("-inf"), 1.5])
    engine.tick(0.0)
    dump = strict(engine.dump_state(MODULE, 1))
    assert dump["rows"]["x"] == ["nan", "-inf", 1.5]
    assert dump["document"] == {"seen": 1, "raw": "b'bytes'", "deep": [1, {"a": None}]}
    whole = strict(engine.dump_state(MODULE))["versions"]["1.0.0"]
    assert whole.keys() == dump.keys()
    assert {name for name in dump if whole[name] != dump[name]} <= {"metrics"}, "memory is measured each time"


def test_the_status_tells_what_each_version_does(both: DebugEngine) -> None:
    status = both.detailed_status()
    (module,) = status.modules
    assert [each.doing for each in module.versions] == [Doing.WORKING, Doing.WORKING]
    assert [each.pid for each in module.versions] == list(both.workers(MODULE).values())
    assert [each.generations for each in module.versions] == [(1,), (1,)]
    assert [len(each.last) for each in module.versions] == [1, 1]
    assert status.last_tick is not None
    assert status.last_tick.number == 1
    assert (module.entities, module.condition, module.intent) == (10, Condition.RUNNING, None)
    both.set_traffic_split(MODULE, {1: 1.0})
    both.pause(MODULE)
    both.pause()
    status = both.detailed_status()
    (module,) = status.modules
    assert [(each.role, each.doing) for each in module.versions] == [
        (Role.STABLE, Doing.PAUSED),
        (Role.IDLE, Doing.IDLE),
    ]
    assert status.paused == "somebody paused it"
    text = str(status)
    assert "paused: somebody paused it" in text
    assert "counter is stopped: 10 entities" in text
    for each in module.versions:
        assert f"{each.pid}" in text


def test_the_status_shows_a_lost_worker_a_pending_change_a_rollout_and_queues(
    open_engine: OpenEngine, tmp_path: Any
) -> None:
    sinks = (Choice("structlog", {}), Choice("jsonl", {"path": str(tmp_path / "events.jsonl")}))
    engine = open_engine(BOTH, settings=msgspec.structs.replace(PATIENT, sinks=sinks))
    assert "There was no tick yet." in str(engine.detailed_status())
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[0.0] * 4)
    engine.rollouts.start(MODULE, 2)
    engine.tick(0.0)
    state = engine._states[MODULE]
    state.intent = Intent({ONE: state.versions[ONE].count}, {})
    status = engine.detailed_status()
    assert status.modules[0].intent == f"1.0.0 has {state.versions[ONE].count} rows"
    assert "still to be done: 1.0.0 has" in str(status)
    assert state.intent is not None, "who looks changes nothing"
    state.intent = None
    assert [each.number for each in status.rollouts] == [1]
    assert "Rollout 1 of counter" in str(status)
    assert [(each.sink, each.failure) for each in status.sinks] == [("structlog", None), ("jsonl", None)]
    kill(engine, ONE)
    assert engine.detailed_status().modules[0].versions[0].memory.pss is None
