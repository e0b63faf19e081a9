"""What becomes of versions when a module that they need gets another stable version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.errors import Refused, RequirementBroken
from grove_core.base.events import Event, EventKind

from ..striking import ctrl_c, error, places_of, strike
from .conftest import OpenEngine
from .conftest import Refused as Check
from .depending import Sources, folders_of, module

Open = Callable[[Sources], DebugEngine]
KEEPS = """
def initialize(self, config):
    self.ticks = 0
def get_state(self): return {"ticks": self.ticks}
def set_state(self, document): self.ticks = document["ticks"]
def migrate_state_from(self, from_version, document):
    self.ticks = document["ticks"]
    return True
"""
COUNTING = "e.n += 1\nself.ticks += 1\nself.mark_state_changed()"


@pytest.fixture
def opened(open_engine: OpenEngine, package: Any, installed: Any) -> Open:
    return lambda sources: open_engine({}, plugins=(installed(*folders_of(package, sources)),))


def game(needs_physics: str = "physics", **rest: str) -> Sources:
    """Render needs world, that needs physics; chat needs nothing."""
    return {
        "physics": {"1": module(), "2": module()},
        "world": {"1": module([needs_physics], COUNTING, KEEPS), **rest},
        "render": {"1": module(["world"], COUNTING, KEEPS)},
        "chat": {"1": module(process=COUNTING, body=KEEPS)},
    }


def running(engine: DebugEngine) -> DebugEngine:
    """Load all of it, with physics 1 stable, entities everywhere, and a tick."""
    engine.load_module_version("physics", 1)
    engine.load_module_version("render", 1)
    engine.load_module_version("chat", 1)
    for name in ("physics", "world", "render", "chat"):
        engine.spawn(name, n=np.arange(5))
    engine.load_module_version("physics", 2)
    engine.tick(0.1)
    return engine


def workers(engine: DebugEngine) -> dict[str, dict[Version, int]]:
    return {name: engine.workers(name) for name in engine._states}


def sums(engine: DebugEngine, *but: str) -> dict[tuple[str, str, str], str]:
    """Return a checksum of every column of every version, the engine's own included, and of the documents."""
    found = {}
    for name, state in engine._states.items():
        for version, loaded in state.versions.items() if name not in but else ():
            for column in loaded.table.slots:
                digest = hashlib.sha256(loaded.table[column].tobytes()).hexdigest()
                found[name, str(version), column] = digest
            found[name, str(version), "document"] = str(loaded.document)
    return found


def reloaded(engine: DebugEngine) -> list[Event]:
    return [event for event in engine.events if event.kind is EventKind.DEPENDENT_RELOADED]


def test_a_new_stable_version_reloads_what_needs_it_base_first(opened: Open) -> None:
    engine = running(opened(game()))
    engine.set_traffic_split("physics", {1: 0.5, 2: 0.5})
    assert reloaded(engine) == [], "a canary is no new base"
    before, kept = workers(engine), sums(engine, "physics")
    engine.set_traffic_split("physics", {2: 1})
    assert [(event.module, event.details["bases"]) for event in reloaded(engine)] == [
        ("world", {"physics": "2"}),
        ("render", {"world": "1"}),
    ]
    after = workers(engine)
    assert {name for name in after if after[name] != before[name]} == {"world", "render"}
    assert sums(engine, "physics") == kept, "state is kept, to the last byte"
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 20)
    assert {str(loaded.document) for loaded in engine._states["world"].versions.values()} == {r"b'\x81\xa5ticks\x02'"}
    assert workers(engine) == after, "once is enough"
    engine.rollback("physics", 1)
    assert len(reloaded(engine)) == 4
    engine.migrate_state("physics", 1, 2)
    assert len(reloaded(engine)) == 6
    assert engine.tick(0.1).entities == 20


def test_a_reload_of_one_module_changes_no_byte_of_another(opened: Open) -> None:
    engine = running(opened(game()))
    others = sums(engine, "chat"), {name: pids for name, pids in workers(engine).items() if name != "chat"}
    engine.despawn("chat", engine.entities("chat")["id"])
    engine.unload_module_version("chat", 1)
    engine.load_module_version("chat", 1)
    engine.spawn("chat", n=0)
    assert (sums(engine, "chat"), {n: pids for n, pids in workers(engine).items() if n != "chat"}) == others


def test_a_fault_of_a_base_reloads_what_needs_it_within_the_tick(opened: Open) -> None:
    engine = running(opened(game("physics>=1")))
    engine.set_traffic_split("physics", {2: 1})
    engine.inject_fault("physics", 2, "raise")
    report = engine.tick(0.1)
    assert (len(report.faults), report.entities) == (1, 20)
    assert engine.stable_version("physics") == Version("1")
    assert [event.module for event in reloaded(engine)] == ["world", "render"] * 2
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 20)


def test_what_one_in_use_does_not_take_does_not_become_stable(opened: Open, refused: Check) -> None:
    sources = game("physics<2", **{"2": module(["physics>=2"], COUNTING, KEEPS)})
    engine = running(opened(sources))
    words = ("physics@2", "world@1, which is in use, requires 'physics<2'")
    with refused(engine, RequirementBroken, *words, module="physics"):
        engine.set_traffic_split("physics", {2: 1})
    with refused(engine, RequirementBroken, *words, module="physics"):
        engine.rollback("physics", 2)
    with refused(engine, RequirementBroken, *words, module="physics"):
        engine.migrate_state("physics", 1, 2)
    engine.set_traffic_split("physics", {1: 0.5, 2: 0.5})
    with refused(engine, RequirementBroken, *words, module="physics"):
        engine.migrate_state("physics", 1, 2)
    engine.load_module_version("world", 2)
    engine.set_traffic_split("world", {2: 1})
    engine.set_traffic_split("physics", {2: 1})
    with refused(engine, RequirementBroken, "world@2", "physics>=2", module="physics"):
        engine.set_traffic_split("physics", {1: 1})
    engine.inject_fault("physics", 2, "raise")
    report = engine.tick(0.1)  # nobody can refuse a fault; who needs what is gone is told
    assert report.entities == 20
    engine.tick(0.1)
    (told,) = [event for event in engine.events if event.kind is EventKind.REQUIREMENT_UNMET]
    assert (told.module, str(told.version), told.details) == (
        "world",
        "2",
        {"requirement": "physics>=2", "loaded": ["1"]},
    )


def test_a_rollout_is_refused_too_but_not_one_of_both(opened: Open, refused: Check) -> None:
    sources = game("physics<2", **{"2": module(["physics>=2"], COUNTING, KEEPS)})
    engine = running(opened(sources))
    engine.rollouts.start("physics", 2)
    with refused(engine, RequirementBroken, "physics@2", "world@1, which is in use", module="physics"):
        engine.rollouts.promote("physics")
    engine.rollouts.abort("physics")
    engine.unload_module_version("physics", 2)
    engine.load_module_version("physics", 2)
    engine.rollouts.start_group({"physics": 2, "world": 2})
    engine.rollouts.promote("physics")
    assert {str(engine.stable_version(name)) for name in ("physics", "world")} == {"2"}
    assert engine.tick(0.1).entities == 20
    assert {event.module for event in reloaded(engine)} == {"world", "render"}


def test_a_rollout_that_does_not_start_unloads_what_was_pulled_in(opened: Open) -> None:
    sources = game(**{"2": module(["physics>=2", "floor"], COUNTING, KEEPS)})
    engine = running(opened({**sources, "floor": {"1": module(["ground"])}, "ground": {"1": module()}}))
    engine.unload_module_version("physics", 2)
    before = workers(engine)
    with pytest.raises(Refused):
        engine.rollouts.start_group({"physics": 2, "world": 2, "chat": 1})  # that is stable
    loads = [event.module for event in engine.events if event.kind is EventKind.VERSION_LOADED][-4:]
    assert loads == ["physics", "ground", "floor", "world"]
    assert {name: pids for name, pids in workers(engine).items() if pids} == before


def test_one_that_does_not_come_up_again_goes_on_with_what_it_had(opened: Open, tmp_path: Any) -> None:
    once = f"""
def initialize(self, config):
    self.ticks = 0
    if os.path.exists({str(tmp_path / "up")!r}): raise ValueError("only once")
    open({str(tmp_path / "up")!r}, "w").close()
"""
    sources = {**game(), "world": {"1": module(["physics"], COUNTING, once)}}
    engine = running(opened(sources))
    before, kept = workers(engine), sums(engine, "physics")
    engine.set_traffic_split("physics", {2: 1})
    (failed,) = [event for event in engine.events if event.kind is EventKind.LOAD_FAILED]
    assert "only once" in failed.details["error"]
    assert "goes on with the worker it had" in failed.details["error"]
    assert (workers(engine)["world"], sums(engine, "physics")) == (before["world"], kept)
    assert engine.tick(0.1).entities == 20
    assert len([event for event in engine.events if event.kind is EventKind.LOAD_FAILED]) == 1


def test_one_that_is_busy_is_reloaded_once_it_is_idle(opened: Open) -> None:
    busy = (
        "def initialize(self, config): self.ticks = 0\ndef is_idle(self): return self.ticks > 3  # one is the warm-up's"
    )
    sources = {**game(), "world": {"1": module(["physics"], COUNTING, busy)}}
    engine = running(opened(sources))
    engine.set_traffic_split("physics", {2: 1})
    assert reloaded(engine) == []
    engine.tick(0.1)
    assert reloaded(engine) == []
    while not reloaded(engine):  # one that does not answer at once is asked again
        assert engine.tick(0.1).faults == ()
    assert [event.module for event in reloaded(engine)] == ["world", "render"]


@pytest.mark.struck
@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("how", [ctrl_c, error])
def test_a_reload_that_is_struck_loses_nothing_and_is_made_up_for(opened: Open, how: Callable[[], None]) -> None:
    engine = running(opened(game()))
    turn = 0

    def other_way() -> None:
        engine.set_traffic_split("physics", {2 - turn % 2: 1})

    files = ("renewing.py", "splits.py", *(["loading.py"] if how is ctrl_c else []))
    places = [one for one in places_of(other_way) if one[0][0].endswith(files)]
    assert len(places) > 40
    for place, nth in places[:: len(places) // 15]:
        turn += 1
        kept = sums(engine, "physics")
        strike(other_way, place, nth, how)
        assert sums(engine, "physics") == kept, place
        other_way()  # if it did not happen
        report = engine.tick(0.1)
        assert (report.faults, report.entities) == ((), 20), place
        standing = engine._states["world"].ordered[0].bases["physics"].stable
        assert standing == engine.stable_version("physics"), place
