"""The circuit breaker in an engine: what is borne, what opens it, the trial, and who has the last word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from packaging.version import Version

from grove_core import DebugEngine, Limits, ManualClock
from grove_core.base.events import EventKind
from grove_core.base.health import BreakerState
from grove_core.base.records import FaultKind
from grove_core.parts.contracts import Restart
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice

from .conftest import PATIENT, OpenEngine, kill
from .sources import MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
GOOD = version("e.n += 1", schema='n="i8", bad="i8"')
FAILING = version(
    "e.n += 1\nif (e.bad > 0).any(): e.fail(e.id[e.bad > 0], 'it is bad')",
    schema='n="i8", bad="i8"',
    lenses='Lens("==1.*", "==2.*", [])',
)
COOLDOWN = 10.0


def settings(**options: Any) -> Any:
    options = {"cooldown_seconds": COOLDOWN, "trial": 0.1, "trial_ticks": 5, **options}
    return msgspec.structs.replace(PATIENT, fault_policy=Choice("breaker", options))


def start(open_engine: OpenEngine, **options: Any) -> tuple[DebugEngine, ManualClock]:
    clock = ManualClock()
    engine = open_engine({"1.0.0": GOOD, "2.0.0": FAILING}, settings=settings(**options), clock=clock)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0] * 20)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    return engine, clock


def spoil(engine: DebugEngine, entities: int) -> None:
    """Have so many entities of version 2 fail from now on, by replacing them."""
    theirs = engine.entities(MODULE, version="2.0.0")
    ids = [one for one, where in zip(theirs["id"], engine.locate(MODULE, theirs["id"]), strict=True) if where == TWO]
    engine.despawn(MODULE, ids[:entities])
    engine.spawn(MODULE, bad=[1] * entities)
    bad = engine.entities(MODULE)
    engine.pin(MODULE, bad["id"][bad["bad"] > 0], 2)
    engine.unpin(MODULE, bad["id"][bad["bad"] > 0])


def kinds(engine: DebugEngine) -> list[EventKind]:
    watched = {EventKind.BREAKER_OPENED, EventKind.BREAKER_HALF_OPENED, EventKind.BREAKER_CLOSED}
    return [event.kind for event in engine.events if event.kind in watched]


def ticks(engine: DebugEngine, clock: ManualClock, number: int) -> None:
    for _ in range(number):
        clock.advance(0.1)
        assert engine.tick(0.1).faults == ()


def test_a_single_fault_is_borne(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine, least=1_000_000)
    ticks(engine, clock, 3)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.1)
    assert [fault.kind for fault in report.faults] == [FaultKind.RAISE]
    assert (report.rollbacks, report.entities) == ((), 20)
    assert engine.get_traffic_split(MODULE) == {ONE: 0.5, TWO: 0.5}
    assert engine.breakers(MODULE) == {}
    assert engine.entities(MODULE)["n"].tolist() == [4] * 20


def test_failed_entities_open_it_and_their_tick_stands(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    spoil(engine, 1)
    ticks(engine, clock, 1)  # ten calls show nothing yet
    clock.advance(0.1)
    (fault,) = engine.tick(0.1).faults
    assert (fault.version, fault.kind) == (TWO, FaultKind.ERRORS), fault
    status = engine.breakers(MODULE)[TWO]
    assert (status.state, status.attempts, status.weight) == (BreakerState.OPEN, 1, 0.5)
    assert status.until == pytest.approx(clock.now() + COOLDOWN)
    assert engine.get_loaded_versions(MODULE) == [ONE]
    shown = engine.entities(MODULE)
    assert sorted(zip(shown["bad"].tolist(), shown["n"].tolist(), strict=True)) == [(0, 2)] * 19 + [(1, 0)]


def test_after_the_cooldown_it_is_tried_and_gets_back_what_it_had(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    ticks(engine, clock, 2)
    engine.inject_fault(MODULE, 2, "raise")
    clock.advance(0.1)
    engine.tick(0.1)
    assert engine.breakers(MODULE)[TWO].state is BreakerState.OPEN, "10 of its last 30 calls"
    clock.advance(COOLDOWN - 0.1)
    ticks(engine, clock, 1)
    assert engine.breakers(MODULE)[TWO].state is BreakerState.HALF_OPEN
    assert engine.get_traffic_split(MODULE) == {ONE: 0.9, TWO: 0.1}
    assert engine.locate(MODULE, engine.entities(MODULE)["id"]).count(TWO) == 2
    ticks(engine, clock, 5)
    assert engine.breakers(MODULE) == {}
    assert engine.get_traffic_split(MODULE) == {ONE: 0.5, TWO: 0.5}
    assert kinds(engine) == [EventKind.BREAKER_OPENED, EventKind.BREAKER_HALF_OPENED, EventKind.BREAKER_CLOSED]
    released = [event for event in engine.events if event.kind is EventKind.RELEASED]
    assert [event.version for event in released] == [TWO]
    assert engine.entities(MODULE)["n"].tolist() == [9] * 20


def test_a_trial_is_held_to_the_version_s_own_limits(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.unload_module_version(MODULE, 2)
    limits = Limits(output_bytes=10_000)
    engine.load_module_version(MODULE, 2, limits=limits)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    ticks(engine, clock, 2)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(0.1)
    assert engine.get_loaded_versions(MODULE) == [ONE]
    clock.advance(COOLDOWN)
    ticks(engine, clock, 1)
    assert engine.breakers(MODULE)[TWO].state is BreakerState.HALF_OPEN
    assert engine._states[MODULE].versions[TWO].limits == limits


def test_a_stable_version_that_is_tried_becomes_stable_again(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    engine.set_traffic_split(MODULE, {2: 1.0})
    ticks(engine, clock, 1)
    engine.inject_fault(MODULE, 2, "kill")
    clock.advance(0.1)
    engine.tick(0.1)
    assert engine.stable_version(MODULE) == ONE
    clock.advance(COOLDOWN)
    ticks(engine, clock, 6)
    assert engine.stable_version(MODULE) == TWO


def test_each_failed_trial_doubles_the_cooldown_until_it_is_left_alone(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine, attempts=3)
    ticks(engine, clock, 1)
    waits = []
    for _ in range(3):
        engine.inject_fault(MODULE, 2, "raise")
        clock.advance(0.1)
        engine.tick(0.1)
        status = engine.breakers(MODULE)[TWO]
        assert status.state is BreakerState.OPEN
        waits.append(None if status.until is None else round(status.until - clock.now(), 6))
        clock.advance(100 * COOLDOWN)
        ticks(engine, clock, 1)
    assert waits == [COOLDOWN, 2 * COOLDOWN, None]
    assert (engine.breakers(MODULE)[TWO].attempts, engine.get_loaded_versions(MODULE)) == (3, [ONE])
    engine.load_module_version(MODULE, 2)
    assert engine.breakers(MODULE) == {}, "somebody asked for it"


def test_what_cannot_be_loaded_for_its_trial_fails_it(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    ticks(engine, clock, 1)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(0.1)
    engine.inject_fault(MODULE, 2, "raise", point="import")
    clock.advance(COOLDOWN)
    ticks(engine, clock, 1)
    status = engine.breakers(MODULE)[TWO]
    assert (status.state, status.attempts) == (BreakerState.OPEN, 2)
    assert "could not be tried again" in status.reason
    clock.advance(2 * COOLDOWN)
    ticks(engine, clock, 6)
    assert engine.get_traffic_split(MODULE) == {ONE: 0.5, TWO: 0.5}


def test_a_split_by_hand_ends_a_trial_and_is_not_changed_after(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    ticks(engine, clock, 1)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(0.1)
    engine.set_traffic_split(MODULE, {1: 1.0})
    clock.advance(COOLDOWN)
    ticks(engine, clock, 1)
    assert engine.get_traffic_split(MODULE) == {ONE: 0.9, TWO: 0.1}
    ticks(engine, clock, 5)
    assert engine.breakers(MODULE) == {}
    assert engine.get_traffic_split(MODULE) == {ONE: 0.9, TWO: 0.1}, "nobody said that it gets more"


def test_the_death_of_a_version_without_work_is_tried_once_and_forgotten(open_engine: OpenEngine) -> None:
    engine, clock = start(open_engine)
    engine.set_traffic_split(MODULE, {1: 1.0})
    kill(engine, TWO)
    engine.tick(0.1)
    engine.tick(0.1)
    clock.advance(COOLDOWN)
    ticks(engine, clock, 2)
    assert engine.breakers(MODULE) == {}
    assert engine.get_traffic_split(MODULE) == {ONE: 1.0, TWO: 0.0}


class Raises:
    def decide(self, fault: object, uses: object, previous: object) -> Restart:
        return Restart()

    def review(self, version: object, uses: object, previous: object) -> object:
        raise RuntimeError("no opinion")


class Plugin:
    @hookimpl
    def grove_register_fault_policies(self) -> Any:
        return {"raises": Raises}


def test_a_review_that_raises_is_told_and_not_asked_again(open_engine: OpenEngine) -> None:
    chosen = msgspec.structs.replace(PATIENT, fault_policy=Choice("raises"))
    engine = open_engine({"1.0.0": GOOD, "2.0.0": FAILING}, settings=chosen, plugins=(Plugin(),))
    engine.load_module_version(MODULE, 2)
    engine.spawn(MODULE, bad=[1, 0])
    for _ in range(3):
        assert engine.tick(0.1).faults == ()
    failed = [event.details["error"] for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert len(failed) == 1 and "no opinion" in failed[0]
