"""`multi-module`, with few entities: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from packaging.version import Version

from grove_core.base.errors import InvalidInput
from grove_core.base.records import VersionRecord
from grove_core.parts.choice import Choice
from grove_core.parts.hookspecs import hookimpl
from grove_core.runtime.state.directory import Directory
from grove_core.runtime.ticking import tick as ticking
from grove_core.scenario.common.command import quiet
from grove_core.scenario.modules.battle_reference import ORDER
from grove_core.scenario.modules.multi_module import PATIENT, MultiModule, run_command
from grove_core.scenario.modules.multi_module_outcome import Assertion, Metric
from grove_core.scenario.modules.multi_module_seen import COURSE, Act

from .breaking import Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]
TANK = ("tank",)
SHORT = (Act.CANARY, Act.PROMOTION)


def run(modules: Sequence[str] = TANK, tanks: int = 8, **options: Any) -> Outcome:
    with quiet():
        return MultiModule(tanks, modules, **{"course": SHORT, **options}).run()


class Written:
    """A plugin with a version 2.0.1 of `tank`, that is version 2.0.0 but for what its process does besides."""

    def __init__(self, folder: Path, *process: str) -> None:
        lines = "\n".join(f"        {line}" for line in process)
        (folder / "odd_tank.py").write_text(
            "import mmap, os\n"
            "from grove_core.scenario.modules.battle_tank_v2 import Tank as Two\n"
            f"class Tank(Two):\n    def process(self, dt):\n        super().process(dt)\n{lines}\n"
        )
        self._folder = str(folder)

    @hookimpl
    def grove_discover_versions(self) -> list[VersionRecord]:
        return [
            VersionRecord("tank", Version("2.0.1"), "odd-tank", "odd_tank:Tank", self._folder, (self._folder,)),
        ]


def test_it_passes() -> None:
    result = run(ORDER, course=COURSE)
    assert_passed(result)
    document = json.loads(msgspec.json.encode(result.document()))
    assert (document["scenario"], document["tanks"]) == ("multi-module", 8)
    assert document["entities"] == {"map": 32, "tank": 8, "production": 4}
    assert [each["act"] for each in document["acts_played"]] == [*COURSE] * 3
    assert {each["act"]: each["reloaded"] for each in document["acts_played"] if each["module"] == "map"} == {
        "canary": [],
        "new stable": ["tank", "production"],
        "rollback": ["tank", "production"],
        "unload": [],
        "fault of canary": [],
        "fault of stable": ["tank", "production"],
    }
    assert document["metrics"]["ticks_in_order_percent"] == 100
    assert max(map(len, result.text().splitlines())) <= 80


def test_ticks_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ticking.levels
    monkeypatch.setattr(ticking, "levels", lambda states: given(states)[::-1])
    result = run(())
    assert_broken(result, Assertion.ORDER_KEPT, "production, then tank, then map", "8 of 8 entities of tank knew map")
    assert_broken(result, Assertion.ENTITIES_EXACT, "map_ticks is wrong in 8 of 8")


def test_modules_that_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticking, "levels", lambda states: [list(states)])
    impatient = msgspec.structs.replace(PATIENT, tick_deadline_ms=500.0)  # an answer that came too early is lost
    assert_broken(run((), settings=impatient), Assertion.ORDER_KEPT, "tick 1: map and tank and production")


def test_answers_of_a_version_that_does_not_have_the_entity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Directory, "rows", lambda self, table, ids: np.full(len(ids), -1))
    result = run(("map",), tanks=64, course=(Act.CANARY,))
    assert_broken(result, Assertion.OWNERS_ANSWER, "entities of tank were answered by another version of map")


def test_an_act_that_changes_a_byte_of_another_module() -> None:
    def change(engine: DebugEngine, acts: int) -> None:
        if acts == 1:
            (loaded,) = engine._states["map"].versions.values()
            loaded.table["height"][3] += 1

    result = run(watcher=change)
    assert_broken(result, Assertion.OTHERS_UNTOUCHED, "new stable of tank: map@1.0.0: height is wrong in 1 of 32")
    assert result.assertions[Assertion.ENTITIES_EXACT], "it is not the tank's"


def test_an_act_that_changes_a_document_of_another_module() -> None:
    def change(engine: DebugEngine, acts: int) -> None:
        if acts == 1:
            (loaded,) = engine._states["production"].versions.values()
            loaded.document = msgspec.msgpack.encode({"ticks": 0})

    words = "new stable of tank: production@1.0.0: its document is {'ticks': 0}, not {'ticks': 6}"
    assert_broken(run(watcher=change), Assertion.OTHERS_UNTOUCHED, words)


def test_an_act_that_replaces_a_worker_of_another_module() -> None:
    def replace(engine: DebugEngine, acts: int) -> None:
        if acts == 1:
            engine.load_module_version("map", 2)
            engine.migrate_state("map", 1, 2)

    words = ("new stable of tank: a worker of map was replaced", "32 entities of map were moved", "the split of map")
    assert_broken(run(watcher=replace), Assertion.OTHERS_UNTOUCHED, *words)


def test_dependents_that_are_not_reloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from grove_core.engine import engine as every_tick
    from grove_core.engine import splits

    for each in (splits, every_tick):
        monkeypatch.setattr(each, "renew", lambda context: None)
    result = run(patience=3)
    assert_broken(result, Assertion.DEPENDENTS_RELOADED, "new stable of tank: nothing was reloaded, not production")
    assert result.assertions[Assertion.OTHERS_UNTOUCHED]


def test_values_that_a_version_makes_otherwise(tmp_path: Path) -> None:
    odd = Written(tmp_path, "self.entities.y[0] += 1")
    result = run(plugins=[odd])
    assert_broken(result, Assertion.ENTITIES_EXACT, "tank@2.0.1: y is wrong in 1 of 8")
    assert result.assertions[Assertion.OTHERS_UNTOUCHED]


def test_a_version_that_fails_by_itself(tmp_path: Path) -> None:
    odd = Written(tmp_path, "if (self.entities.ticks > 4).any(): raise ValueError('no')")
    assert_broken(run(plugins=[odd]), Assertion.FAULTS_RECOVERED, "raise of tank: process raised", "ValueError: no")


def test_a_fault_that_is_not_rolled_back() -> None:
    paused = msgspec.structs.replace(PATIENT, fault_policy=Choice("pause"))
    result = run(settings=paused, course=(Act.CANARY, Act.CANARY_FAULT))
    assert_broken(result, Assertion.FAULTS_RECOVERED, "0 of 2 entities were brought back")


def test_a_router_that_is_not_exact() -> None:
    result = run(settings=msgspec.structs.replace(PATIENT, router=Choice("hashed")), tanks=64)
    assert_broken(result, Assertion.SPLITS_EXACT, "its weights are {1: 0.75, 2: 0.25}")


def test_a_worker_that_maps_what_is_not_its_own(tmp_path: Path) -> None:
    odd = Written(
        tmp_path,
        "if not hasattr(self, 'more'):",
        "    memory = os.memfd_create('another')",
        "    os.ftruncate(memory, mmap.PAGESIZE)",
        "    self.more = mmap.mmap(memory, mmap.PAGESIZE)",
        "    os.close(memory)",
    )
    result = run(plugins=[odd])
    assert_broken(result, Assertion.ISOLATED, "tank@2.0.1: /memfd:another", "is not its own table")
    assert result.assertions[Assertion.ENTITIES_EXACT]


def test_a_worker_that_dies() -> None:
    def kill(engine: DebugEngine, acts: int) -> None:
        if acts == 1:
            os.kill(engine.workers("map")[Version("1.0.0")], signal.SIGKILL)

    assert_broken(run(watcher=kill), Assertion.FAULTS_RECOVERED, "death of map")


def test_an_engine_that_does_not_survive() -> None:
    result = run(watcher=lambda engine, acts: engine.close())
    assert_broken(result, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert_broken(result, Assertion.EVERY_ACT_PLAYED)


def test_an_engine_that_leaves_something() -> None:
    keeping = Keeping(Kept.DESCRIPTOR)
    settings = msgspec.structs.replace(PATIENT, router=Choice("keeping"))
    try:
        assert_broken(run(settings=settings, plugins=[keeping]), Assertion.NOTHING_LEFT, Kept.DESCRIPTOR.value)
    finally:
        keeping.tidy_up()


def test_too_few_tanks_are_refused() -> None:
    with pytest.raises(InvalidInput):
        MultiModule(3)


def test_the_command_line_gets_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MultiModule.__init__.__kwdefaults__, "course", SHORT)
    path = tmp_path / "modules.json"
    code = run_command(4, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert document["metrics"][Metric.ACTS] == 6
    assert "TEST: Modules" in capsys.readouterr().out
