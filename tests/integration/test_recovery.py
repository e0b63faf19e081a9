"""Who takes over when stable fails, or several versions at once, or nobody can."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import Settings
from grove_core.base.errors import OutOfMemory
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.base.waiting import SystemWaiting
from grove_core.memory import arena
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice
from grove_core.runtime.ticking import tick as tick_module

from .acts import counted, kinds, start
from .conftest import OpenEngine, Refused, kill, picture, runs
from .sources import BOTH, MODULE, SCHEMA_1, V1, V2, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))


def test_stable_goes_back_to_previous_which_is_loaded_again_with_its_configuration(open_engine: OpenEngine) -> None:
    configured = version("e.n += self.by", schema=SCHEMA_1, body="def initialize(self, config): self.by = config['by']")
    engine = open_engine({"1.0.0": configured, "2.0.0": V2})
    engine.load_module_version(MODULE, 1, config={"by": 7})
    engine.spawn(MODULE, id=np.arange(10), n=np.arange(10) * 1000)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.1)
    assert report.rollbacks[0].reloaded and report.rollbacks[0].target == ONE
    assert counted(engine) == [107] * 10
    assert engine.get_loaded_versions(MODULE) == [ONE] == [engine.stable_version(MODULE)]
    assert engine.tick(0.1).faults == ()
    assert counted(engine) == [114] * 10


def test_stable_without_previous_is_restarted(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0)
    for number in range(1, 4):
        before = engine.workers(MODULE)[ONE]
        engine.inject_fault(MODULE, 1, "corruption")
        report = engine.tick(0.1)
        assert [fault.kind for fault in report.faults] == [FaultKind.RULE]
        assert (report.rollbacks, report.entities, report.skipped) == ((), 10, 0)
        assert counted(engine) == [number] * 10
        assert engine.workers(MODULE)[ONE] != before and not runs(before)
    assert engine.get_version_metrics(MODULE, 1).errors == 3


def test_a_restart_that_fails_pauses_and_a_rollback_by_hand_resumes(open_engine: OpenEngine, tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    body = f"def initialize(self, config):\n    if os.path.exists({str(flag)!r}): raise OSError('disk')"
    engine = open_engine({"1.0.0": version("e.n += 1", schema=SCHEMA_1, body=body)})
    start(engine, v1=1.0)
    engine.tick(0.1)
    flag.touch()
    kill(engine, ONE)
    report = engine.tick(0.1)
    assert (report.entities, report.skipped) == (0, 10)
    assert engine.is_paused(MODULE) and engine.workers(MODULE) == {}
    assert counted(engine) == [1] * 10
    assert kinds(engine)[-3:] == [EventKind.FAULT, EventKind.LOAD_FAILED, EventKind.PAUSED]
    report = engine.tick(0.1)
    assert (report.faults, report.entities, report.skipped) == ((), 0, 10), "a paused module is not ticked"
    flag.unlink()
    engine.rollback(MODULE, 1)
    assert not engine.is_paused(MODULE)
    assert engine.tick(0.1).entities == 10
    assert counted(engine) == [2] * 10


def test_a_version_that_fails_again_at_once_pauses_and_moving_its_entities_resumes(open_engine: OpenEngine) -> None:
    bad = version("e.n += 1\nif (e.n % 1000 == 2).any(): raise ValueError('two')", schema=SCHEMA_1)
    engine = open_engine({"1.0.0": bad, "2.0.0": V2})
    start(engine, v1=1.0)
    engine.tick(0.1)
    report = engine.tick(0.1)
    assert [fault.kind for fault in report.faults] == [FaultKind.RAISE] * 2
    assert engine.is_paused(MODULE) and report.skipped == 10
    assert counted(engine) == [1] * 10
    engine.load_module_version(MODULE, 2)
    engine.migrate_state(MODULE, 1, 2)
    assert not engine.is_paused(MODULE)
    assert engine.tick(0.1).entities == 10
    assert counted(engine) == [101] * 10


def test_a_target_that_does_not_catch_up_skips_and_says_so(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1", schema=SCHEMA_1, body="catch_up = False"), "2.0.0": V2})
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.1)
    assert (report.entities, report.skipped) == (5, 5)
    assert sorted(counted(engine)) == [2] * 5 + [100] * 5
    (skipped,) = [event for event in engine.events if event.kind is EventKind.CATCH_UP_SKIPPED]
    assert (skipped.version, skipped.details["entities"]) == (ONE, 5)


def test_a_version_can_tell_that_it_is_catching_up(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("e.n += 10 if self.catching_up else 1", schema=SCHEMA_1), "2.0.0": V2})
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(0.1)
    assert sorted(counted(engine)) == [1] * 5 + [10] * 5


def test_two_canaries_that_fail_in_one_tick(open_engine: OpenEngine) -> None:
    engine = open_engine({**BOTH, "3.0.0": V2})
    start(engine, v1=0.4, v2=0.3, v3=0.3)
    engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "raise")
    engine.inject_fault(MODULE, 3, "kill")
    report = engine.tick(0.1)
    assert {fault.version: fault.kind for fault in report.faults} == {TWO: FaultKind.RAISE, THREE: FaultKind.DEATH}
    assert [rollback.entities for rollback in report.rollbacks] == [3, 3]
    assert (report.entities, report.skipped) == (10, 0)
    assert sorted(counted(engine)) == [2] * 4 + [101] * 6
    assert engine.get_loaded_versions(MODULE) == [ONE]
    engine.tick(0.1)
    assert sorted(counted(engine)) == [3] * 4 + [102] * 6


@pytest.mark.parametrize("previous_is_loaded", [True, False])
def test_a_canary_and_stable_that_fail_in_one_tick(open_engine: OpenEngine, previous_is_loaded: bool) -> None:
    engine = open_engine({**BOTH, "3.0.0": V2})
    start(engine, v1=0.0, v2=1.0)
    if not previous_is_loaded:
        engine.unload_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 3)
    engine.set_traffic_split(MODULE, {2: 0.5, 3: 0.5})
    engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "raise")
    engine.inject_fault(MODULE, 3, "kill")
    report = engine.tick(0.1)
    assert len(report.faults) == 2 and (report.entities, report.skipped) == (10, 0)
    assert counted(engine) == [101] * 10
    assert engine.get_loaded_versions(MODULE) == [ONE] == [engine.stable_version(MODULE)]


def test_stable_and_previous_that_fail_in_one_tick(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.0, v2=1.0)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(0.1)
    kill(engine, ONE)
    kill(engine, TWO)
    report = engine.tick(0.1)
    assert {fault.version for fault in report.faults} == {ONE, TWO}
    assert (report.entities, report.skipped) == (10, 0)
    assert sorted(counted(engine)) == [2] * 5 + [101] * 5
    for _ in range(3):
        assert engine.tick(0.1).faults == ()
    assert sorted(counted(engine)) == [5] * 5 + [104] * 5


def test_stable_that_fails_while_it_catches_up(open_engine: OpenEngine) -> None:
    schema = SCHEMA_1.replace("fixed=", 'hit="i8", fixed=')
    only_ticks = version(
        "if self.catching_up: raise RuntimeError('not again')\ne.n += 100",
        schema=schema,
        lenses='Lens("==1.*", "==2.*", [Add("hit")])',
    )
    engine = open_engine({"1.0.0": V1, "2.0.0": only_ticks, "3.0.0": version("e.n += 5", schema=schema)})
    start(engine, v1=0.0, v2=1.0)
    engine.load_module_version(MODULE, 3)
    engine.set_traffic_split(MODULE, {2: 0.6, 3: 0.4})
    engine.inject_fault(MODULE, 3, "raise")
    report = engine.tick(0.1)
    assert [(fault.version, fault.entities) for fault in report.faults] == [(THREE, 4), (TWO, 4)]
    assert engine.get_loaded_versions(MODULE) == [ONE]
    assert sorted(counted(engine)) == [1] * 4 + [100] * 6, "who had this tick in version 2 has no second one"
    assert (report.entities, report.skipped) == (10, 0)


def test_a_canary_without_entities_is_given_up_too(open_engine: OpenEngine) -> None:
    two = V2
    three = version(
        "e.n += 1",
        schema='n="i8"',
        lenses='Lens("==2.*", "==3.*", [{}])'.format('Drop("x"), Drop("tag"), Drop("fixed"), Drop("hit")'),
    )
    engine = open_engine({"1.0.0": V1, "2.0.0": two, "3.0.0": three})
    start(engine, v1=1.0)
    engine.load_module_version(MODULE, 3)  # what leads there is in a version that is not loaded
    kill(engine, THREE)
    report = engine.tick(0.1)
    assert [(fault.version, fault.entities) for fault in report.faults] == [(THREE, 0)]
    assert (report.entities, engine.get_loaded_versions(MODULE)) == (10, [ONE])


def test_a_version_says_that_some_entities_failed(open_engine: OpenEngine) -> None:
    process = "e.n += 1\ne.x += dt\nbad = e.id % 2 == 1\ne.x[bad] = np.nan\ne.fail(e.id[bad], 'odd')"
    engine = open_engine({"1.0.0": version(process, schema=SCHEMA_1)})
    start(engine, v1=1.0)
    report = engine.tick(0.5)
    assert (report.faults, report.entities, report.skipped) == ((), 5, 5)
    assert counted(engine) == [1, 0] * 5
    columns = engine.entities(MODULE)
    assert sorted(zip(columns["id"].tolist(), columns["x"].tolist(), strict=True)) == [
        (each, 0.5 if each % 2 == 0 else 0.0) for each in range(10)
    ]
    metrics = engine.get_version_metrics(MODULE, 1)
    assert (metrics.errors, metrics.processed_entities) == (5, 5)
    event = next(event for event in engine.events if event.kind is EventKind.ENTITIES_FAILED)
    assert (event.details["entities"], event.details["reasons"]) == (5, ["odd"])


class Nonsense:
    """A plugin whose fault policy answers nothing that it may."""

    @hookimpl
    def grove_register_fault_policies(self) -> dict[str, Any]:
        return {"raises": lambda: Raises(), "mute": lambda: Mute()}


class Raises:
    def decide(self, fault: object, uses: object, previous: object) -> object:
        raise RuntimeError("no idea")


class Mute:
    def decide(self, fault: object, uses: object, previous: object) -> object:
        return None


@pytest.mark.parametrize(("policy", "told"), [("raises", "no idea"), ("mute", "None"), ("pause", None)])
def test_policies_that_do_not_roll_back(open_engine: OpenEngine, policy: str, told: str | None) -> None:
    settings = Settings(fault_policy=Choice(policy), tick_deadline_ms=20_000.0, max_entities=1 << 12)
    engine = open_engine(BOTH, settings=settings, plugins=(Nonsense(),))
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.1)
    assert engine.is_paused(MODULE)
    assert (report.entities, report.skipped) == (5, 5)
    assert sorted(counted(engine)) == [0] * 5 + [1] * 5
    failures = [event.details["error"] for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert failures == [] if told is None else told in failures[0]
    engine.rollback(MODULE, 1)
    assert engine.tick(0.1).entities == 10


def test_pins_are_dropped_by_a_fault_and_it_is_told(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    engine.pin(MODULE, [0, 1, 2], 2)
    engine.inject_fault(MODULE, 2, "kill")
    engine.tick(0.1)
    (dropped,) = [event for event in engine.events if event.kind is EventKind.PINS_DROPPED]
    assert dropped.details["entities"] == 3
    engine.load_module_version(MODULE, 2)
    assert EventKind.RELEASED in kinds(engine)
    engine.set_traffic_split(MODULE, {2: 1.0})
    assert engine.locate(MODULE, [0, 1, 2]) == [TWO] * 3


def test_a_rollback_by_hand_without_room_changes_nothing(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({**BOTH, "3.0.0": V2}, settings=Settings(max_entities=8))
    for major in (1, 2, 3):
        engine.load_module_version(MODULE, major)
    engine.set_traffic_split(MODULE, {2: 0.5, 3: 0.5, 1: 0.0})
    engine.spawn(MODULE, id=np.arange(12))
    looked = picture(engine)
    with pytest.raises(OutOfMemory, match="max_entities"):
        engine.rollback(MODULE, 1)
    assert picture(engine) == looked
    for call in (lambda: engine.rollback(MODULE, 1), lambda: engine.set_traffic_split(MODULE, {3: 1.0})):
        with refused(engine, OutOfMemory, "max_entities"):  # what the first one laid out for carried columns is kept
            call()


def test_a_rollback_that_has_to_load_its_target_and_has_no_room(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({**BOTH, "3.0.0": V2}, settings=Settings(max_entities=8))
    for major in (1, 2, 3):
        engine.load_module_version(MODULE, major)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    engine.set_traffic_split(MODULE, {2: 0.5, 3: 0.5})
    engine.spawn(MODULE, id=np.arange(12))
    with refused(engine, OutOfMemory, "max_entities"):
        engine.rollback(MODULE, 1)


def test_an_interrupt_before_a_version_was_told_blames_it_not(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    assert engine.tick(0.1).faults == ()
    before, told, real = sorted(counted(engine)), [], tick_module.send

    def interrupted(context: Any, order: Any, *args: Any, **kwargs: Any) -> None:
        told.append(order.loaded.version)
        if len(told) == 2:
            raise KeyboardInterrupt
        real(context, order, *args, **kwargs)

    monkeypatch.setattr(tick_module, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.tick(0.1)
    assert (told, sorted(counted(engine))) == ([ONE, TWO], before), "the tick did not happen"
    assert engine.tick(0.1).faults == ()
    assert sorted(counted(engine)) == [n + by for n, by in zip(before, [1] * 5 + [100] * 5, strict=True)]


def test_the_death_of_a_version_without_entities_costs_nobody_any_time(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0, v2=0.0)
    kill(engine, TWO)
    (report,) = engine.tick(0.1).rollbacks
    assert (report.entities, report.downtime_ms, report.within_limit) == (0, None, None)


class InterruptedOnce(SystemWaiting):
    """Is interrupted the first time that anybody waits."""

    struck = False

    def poll(self) -> Any:
        if not self.struck:
            self.struck = True
            raise KeyboardInterrupt
        return super().poll()


def test_a_tick_that_was_interrupted_is_not_in_the_document_either(open_engine: OpenEngine) -> None:
    body = """
ticks = 0
def get_state(self): return self.ticks
def set_state(self, document): self.ticks = document
"""
    source = version("self.ticks += 1\nself.mark_state_changed()\ne.n = self.ticks", schema=SCHEMA_1, body=body)
    engine = open_engine({"1.0.0": source}, waiting=InterruptedOnce())
    start(engine, v1=1.0)
    with pytest.raises(KeyboardInterrupt):
        engine.tick(0.1)
    for number in (1, 2):
        assert engine.tick(0.1).faults == ()
        assert set(engine.entities(MODULE)["n"].tolist()) == {number}


def test_an_answer_that_comes_twice_is_none_to_the_next_order(open_engine: OpenEngine) -> None:
    process = (
        "e.n += 1\nif not self.catching_up and dt == 0.5: self.world._sight._channel.send(Ticked(1, 0.1, order=1))"
    )
    twice = version(process, schema=SCHEMA_1, top="from grove_core.wire.messages import Ticked")
    engine = open_engine({"1.0.0": twice, "2.0.0": V2})
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.5)
    assert report.entities == sum(counted(engine)), "what is said to be ticked was"
    assert {fault.version for fault in report.faults} == {ONE, TWO}


def test_what_was_decided_of_no_rows_needs_no_memory(open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine({"1.0.0": V1, "1.1.0": V1})
    engine.load_module_version(MODULE, "1.0.0")
    engine.load_module_version(MODULE, "1.1.0")

    def refused(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(arena, "create", refused)
    assert engine.migrate_state(MODULE, "1.0.0", "1.1.0").entities == 0
    assert engine.get_traffic_split(MODULE) == {ONE: 0.0, Version("1.1.0"): 1.0}


def test_rows_that_cannot_be_shown_to_who_takes_over_skip_the_tick(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.0, v2=1.0)
    engine.tick(0.1)

    def refused(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(arena, "reopen_read_only", refused)
        engine.inject_fault(MODULE, 2, "raise")
        report = engine.tick(0.1)
    assert (report.entities, report.skipped, len(report.faults)) == (0, 10, 1)
    (skipped,) = [event for event in engine.events if event.kind is EventKind.CATCH_UP_SKIPPED]
    assert "Too many open files" in skipped.details["reason"]
    assert engine.tick(0.1).entities == 10
    assert counted(engine) == [101] * 10


def test_a_document_keeps_a_tick_that_was_committed_before_its_version_failed(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    body = """
ticks = 0
def get_state(self): return self.ticks
def set_state(self, document): self.ticks = document
"""
    process = f"""
if self.catching_up and not os.path.exists({str(tmp_path / "failed")!r}):
    os.mkdir({str(tmp_path / "failed")!r})
    os._exit(1)
self.ticks += 1
self.mark_state_changed()
e.n = self.ticks
"""
    engine = open_engine({"1.0.0": version(process, schema=SCHEMA_1, body=body), "2.0.0": V2})
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.1)
    assert ([fault.version for fault in report.faults], report.entities) == ([TWO, ONE], 10)
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [1] * 5 + [2] * 5
    engine.tick(0.1)
    assert set(engine.entities(MODULE)["n"].tolist()) == {3}


def test_who_answers_nonsense_in_a_tick_that_is_taken_back_is_ended(open_engine: OpenEngine) -> None:
    body = """
ticks = 0
def get_state(self): return self.ticks
def set_state(self, document): self.ticks = document
"""
    process = """
self.ticks += 1
self.mark_state_changed()
e.n = self.ticks
if dt == 0.5:
    channel, real = self.world._sight._channel, self.world._sight._channel.send
    def send(_):
        channel.send = real
        real(Ticked(0, 0.1))
    channel.send = send
"""
    top = "from grove_core.wire.messages import Ticked"
    engine = open_engine({"1.0.0": version(process, schema=SCHEMA_1, body=body, top=top)}, waiting=InterruptedOnce())
    start(engine, v1=1.0)
    with pytest.raises(KeyboardInterrupt):
        engine.tick(0.5)
    report = engine.tick(0.1)
    assert ([fault.kind for fault in report.faults], report.entities) == ([FaultKind.DEATH], 10)
    assert set(engine.entities(MODULE)["n"].tolist()) == {1}


def test_rows_that_nobody_could_take_over_have_their_tick_once_another_goes_back_to_their_version(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    kill(engine, ONE)
    engine.tick(0.1)  # it had nothing to do, and was restarted
    engine.spawn(MODULE, id=np.arange(10), n=np.arange(10) * 1000)
    kill(engine, TWO)
    engine.inject_fault(MODULE, 1, "raise")
    report = engine.tick(0.1)
    told = [event for event in kinds(engine) if event in {EventKind.PAUSED, EventKind.RESUMED}]
    assert told == [EventKind.PAUSED, EventKind.RESUMED], "stable had failed twice, then the canary went back to it"
    assert (report.entities, report.skipped) == (10, 0)
    assert counted(engine) == [1] * 10
    assert engine.tick(0.1).entities == 10
