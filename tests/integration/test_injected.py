"""Every fault that can be injected, at every point of the protocol: what the engine makes of it, and what is left."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from packaging.version import Version

from grove_core import DebugEngine, MultiVersionEngine, Settings
from grove_core.base.errors import InvalidInput, InvalidRequirement, UnknownModule, WorkerError
from grove_core.base.events import EventKind
from grove_core.wire.faults import AT_LOAD, NEEDS_ROWS, SEEN_AS, FaultPoint, InjectedKind

from .conftest import PATIENT, OpenEngine, picture, runs
from .sources import BOTH, MODULE, V1, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
WAITS = {InjectedKind.LAG, InjectedKind.HANG}
"""The kinds that are seen once a deadline has passed."""
HARMLESS = [InjectedKind.MEMORY, InjectedKind.FLOOD, InjectedKind.FORK]
"""The kinds that are no fault unless a limit is set."""
BREEDS = version("if len(e) < 9: e.spawn(n=[7])\ne.n += 1", schema='n="i8"')
SMALL = 1 << 20


def settings_for(kind: InjectedKind) -> Settings:
    if kind not in WAITS:
        return PATIENT
    return msgspec.structs.replace(PATIENT, tick_deadline_ms=2000.0, load_deadline_seconds=3.0)


@pytest.mark.parametrize("kind", SEEN_AS)
def test_a_fault_in_a_tick_is_seen_for_what_it_is_and_costs_nobody_anything(
    open_engine: OpenEngine, kind: InjectedKind
) -> None:
    engine = open_engine(BOTH, settings=settings_for(kind))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0, 3.0, 4.0], tag=[1, 2, 3, 4])
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(0.0)
    engine.inject_fault(MODULE, 2, kind, seconds=60.0)
    report = engine.tick(0.0)
    assert [(fault.version, fault.kind) for fault in report.faults] == [(TWO, SEEN_AS[kind])], report.faults
    assert (report.entities, report.skipped) == (4, 0)
    shown = engine.entities(MODULE)
    assert sorted(shown["tag"].tolist()) == [1, 2, 3, 4]
    assert sorted(shown["n"].tolist()) == [2, 2, 101, 101], "version 1 did what version 2 could not"
    assert engine.tick(0.0).faults == ()


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_no_fault_without_a_limit_leaves_the_tick_good(open_engine: OpenEngine, kind: InjectedKind) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0])
    engine.inject_fault(MODULE, 1, kind, amount_bytes=SMALL)
    assert engine.tick(0.0).faults == ()
    assert engine.tick(0.0).faults == ()
    assert engine.entities(MODULE)["n"].tolist() == [2]


def test_wrong_values_that_keep_every_rule_pass(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    ids = engine.spawn(MODULE, x=[1.0, 2.0, 3.0])
    engine.inject_fault(MODULE, 1, "wrong")
    assert engine.tick(0.0).faults == ()
    shown = engine.entities(MODULE)
    assert dict(zip(shown["id"].tolist(), shown["x"].tolist(), strict=True)) == dict(
        zip(ids.tolist(), [3.0, 2.0, 1.0], strict=True)
    )


@pytest.mark.parametrize("point", sorted(AT_LOAD))
@pytest.mark.parametrize("kind", [kind for kind in SEEN_AS if kind not in NEEDS_ROWS])
def test_a_fault_while_it_is_loaded_fails_the_load_and_leaves_nothing(
    open_engine: OpenEngine, kind: InjectedKind, point: FaultPoint
) -> None:
    engine = open_engine(BOTH, settings=settings_for(kind))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0])
    engine.tick(0.0)
    before = picture(engine)
    engine.inject_fault(MODULE, "2.0.0", kind, point=point, seconds=60.0)
    with pytest.raises(WorkerError) as caught:
        engine.load_module_version(MODULE, 2)
    assert caught.value.module == MODULE
    assert picture(engine) == before
    assert engine.tick(0.0).faults == ()
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    assert engine.tick(0.0).faults == ()
    assert engine.entities(MODULE)["n"].tolist() == [102, 102]


@pytest.mark.parametrize("kind", [InjectedKind.RAISE, InjectedKind.KILL, InjectedKind.GARBAGE, InjectedKind.HANG])
def test_a_fault_while_newborn_are_asked_for_bears_nobody_twice(open_engine: OpenEngine, kind: InjectedKind) -> None:
    engine = open_engine({"1.0.0": BREEDS}, settings=settings_for(kind))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0])
    engine.inject_fault(MODULE, 1, kind, point="spawn")
    (fault,) = engine.tick(0.0).faults
    assert fault.kind is SEEN_AS[kind]
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [1, 7]


@pytest.mark.parametrize("kind", [kind for kind in SEEN_AS if kind not in NEEDS_ROWS])
def test_a_fault_while_entities_move_loses_none(open_engine: OpenEngine, kind: InjectedKind) -> None:
    engine = open_engine(BOTH, settings=settings_for(kind))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0, 2.0, 3.0, 4.0])
    engine.load_module_version(MODULE, 2)
    engine.tick(0.0)
    engine.inject_fault(MODULE, 1, kind, point="migrate", seconds=60.0)
    engine.migrate_state(MODULE, 1, 2)  # version 1 has to let go of its columns
    engine.tick(0.0)
    assert engine.entities(MODULE)["n"].tolist() == [101] * 4
    assert engine.stable_version(MODULE) == TWO
    if not engine.is_version_loaded(MODULE, 1):  # it was ended for it
        engine.load_module_version(MODULE, 1)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(0.0)
    assert sorted(engine.entities(MODULE)["x"].tolist()) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", [kind for kind in SEEN_AS if kind not in NEEDS_ROWS])
def test_a_fault_at_its_shutdown_keeps_nobody_from_unloading_it(open_engine: OpenEngine, kind: InjectedKind) -> None:
    engine = open_engine(BOTH, settings=settings_for(kind))
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    pid = engine.workers(MODULE)[TWO]
    engine.inject_fault(MODULE, 2, kind, point="unload", seconds=60.0)
    engine.unload_module_version(MODULE, 2)
    assert engine.get_loaded_versions(MODULE) == [ONE]
    assert not runs(pid)


def seen(engine: DebugEngine) -> list[Any]:
    return [
        (event.details["tick"], event.version, event.details["fault"], event.details["point"])
        for event in engine.events
        if event.kind is EventKind.FAULT_INJECTED
    ]


def test_the_same_seed_injects_the_same_faults(open_engine: OpenEngine) -> None:
    runs_seen = []
    for seed in (7, 7, 8):
        engine = open_engine({"1.0.0": V1})
        engine.inject_faults_at_random(MODULE, rate=0.3, seed=seed, kinds=["raise", "kill", "exit", "corruption"])
        engine.stop_faults("another")
        engine.load_module_version(MODULE, 1)
        engine.spawn(MODULE, x=[1.0, 2.0])
        faults = [fault.tick for _ in range(40) for fault in engine.tick(0.0).faults]
        injected = seen(engine)
        assert sorted({tick for tick, *_ in injected}) == sorted(set(faults)), "each is seen in its tick"
        engine.stop_faults(MODULE)
        assert [fault for _ in range(20) for fault in engine.tick(0.0).faults] == []
        assert engine.entities(MODULE)["n"].tolist() == [60, 60]
        runs_seen.append(injected)
    assert runs_seen[0] == runs_seen[1] != runs_seen[2]
    assert len(runs_seen[0]) > 3


def test_a_production_engine_has_no_faults_to_give(open_engine: OpenEngine) -> None:
    assert not hasattr(MultiVersionEngine, "inject_fault")
    assert not hasattr(MultiVersionEngine, "inject_faults_at_random")


def test_what_cannot_be_injected_is_refused_and_said(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    for error, words, call in (
        (InvalidInput, "no fault that can be injected", lambda: engine.inject_fault(MODULE, 1, "explode")),
        (InvalidInput, "no point of the protocol", lambda: engine.inject_fault(MODULE, 1, "raise", point="lunch")),
        (InvalidInput, "needs a tick", lambda: engine.inject_fault(MODULE, 1, "corruption", point="import")),
        (InvalidInput, "leave out `at`", lambda: engine.inject_fault(MODULE, 1, "raise", at=9, point="unload")),
        (InvalidInput, "at least 0", lambda: engine.inject_fault(MODULE, 1, "lag", seconds=-1.0)),
        (InvalidInput, "at least 0", lambda: engine.inject_fault(MODULE, 1, "flood", amount_bytes=-1)),
        (InvalidRequirement, "not a version", lambda: engine.inject_fault(MODULE, "x y", "raise", point="import")),
        (UnknownModule, "nobody", lambda: engine.inject_fault("nobody", 1, "raise")),
        (InvalidInput, "rate", lambda: engine.inject_faults_at_random(MODULE, rate=1.5, seed=1)),
        (InvalidInput, "kind", lambda: engine.inject_faults_at_random(MODULE, rate=0.5, seed=1, kinds=[])),
        (InvalidInput, "fault", lambda: engine.inject_faults_at_random(MODULE, rate=0.5, seed=1, kinds=["x"])),
    ):
        with pytest.raises(error, match=words):
            call()
