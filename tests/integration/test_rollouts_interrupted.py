"""Whatever strikes wherever in a call of a rollout leaves all of it, or nothing; or the next tick ends it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest

from grove_core import DebugEngine, ManualClock, Plan
from grove_core.base.rollouts import RolloutState
from grove_core.parts.choice import Choice

from ..striking import ctrl_c, error, places_of, strike
from .conftest import PATIENT, Shared
from .rolling import counts, split
from .sources import MODULE, V1, V2
from .test_rollouts import FAILS, Judges

EACH = 4
"""How many places of each call are struck, unless all are."""
ALL = "GROVE_STRIKE_ALL" in os.environ
ALLOCATE = ("author", "memory", "migration", "routing", "runtime", "rollouts")
"""The folders whose lines take memory: where an error for want of it is to be expected."""
HASTY = msgspec.structs.replace(PATIENT, tick_deadline_ms=5000.0, load_deadline_seconds=10.0)
RAMP = Plan.ramp((0.25, 0.5), bake_seconds=1.0, judges=(Choice("always", {"verdict": "pass"}),))
BLUE = Plan.blue_green(judges=(FAILS,))


@pytest.fixture(autouse=True)
def _raises() -> Iterator[None]:
    """Have Ctrl-C raise, also where the tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class Case:
    """How the engine is made ready, and the call that is struck."""

    ready: Callable[[DebugEngine], object]
    call: Callable[[DebugEngine, ManualClock], object]


def started(plan: Plan = RAMP) -> Callable[[DebugEngine], object]:
    return lambda engine: engine.rollouts.start(MODULE, 2, plan)


def promoted(engine: DebugEngine) -> None:
    engine.rollouts.start(MODULE, 2, RAMP)
    engine.rollouts.promote(MODULE)


def tick(engine: DebugEngine, clock: ManualClock) -> None:
    clock.advance(1.1)
    engine.tick(0.25)


CASES: dict[str, Case] = {
    "start": Case(lambda engine: None, lambda engine, clock: engine.rollouts.start(MODULE, 2, RAMP)),
    "promote by a step": Case(started(), lambda engine, clock: engine.rollouts.promote_step(MODULE)),
    "promote": Case(started(), lambda engine, clock: engine.rollouts.promote(MODULE)),
    "abort": Case(started(), lambda engine, clock: engine.rollouts.abort(MODULE)),
    "undo": Case(promoted, lambda engine, clock: engine.rollouts.undo(MODULE)),
    "pause": Case(started(), lambda engine, clock: engine.rollouts.pause(MODULE)),
    "a tick that takes a step": Case(started(), tick),
    "a tick that fails it": Case(started(BLUE), tick),
}


def shown(engine: DebugEngine) -> dict[str, Any]:
    """Return what must be wholly as before, or wholly as after."""
    ids = np.arange(8)
    return {
        "rollouts": [(each.state, each.step, each.attempt) for each in engine.rollouts.history()],
        "loaded": engine.get_loaded_versions(MODULE),
        "stable": engine.stable_version(MODULE),
        "split": split(engine),
        "counts": counts(engine),
        "where": engine.locate(MODULE, ids),
        "ids": sorted(engine.entities(MODULE)["id"].tolist()),
    }


Opened = Callable[[Case], Any]


@pytest.fixture
def opened(package: Any, installed: Any, isolation: Shared) -> Opened:
    found = installed(package(MODULE, "1.0.0", V1), package(MODULE, "2.0.0", V2))

    @contextlib.contextmanager
    def make(case: Case) -> Iterator[tuple[DebugEngine, ManualClock]]:
        clock = ManualClock()
        with DebugEngine(HASTY, plugins=[found, Judges()], clock=clock, isolation=isolation) as engine:
            engine.load_module_version(MODULE, 1)
            engine.spawn(MODULE, id=np.arange(8))
            case.ready(engine)
            yield engine, clock

    return make


def settled(engine: DebugEngine) -> dict[str, Any]:
    """Tick once, and return what there is then; whether somebody or it itself ended it does not matter."""
    report = engine.tick(0.0)
    assert (report.entities, report.skipped) == (8, 0)
    seen = shown(engine)
    ends = {RolloutState.ABORTED: RolloutState.FAILED}
    seen["rollouts"] = [(ends.get(state, state), step, attempt) for state, step, attempt in seen["rollouts"]]
    return seen


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("how", [ctrl_c, error], ids=lambda how: how.__name__)
@pytest.mark.parametrize("name", CASES)
def test_all_or_nothing(opened: Opened, name: str, how: Callable[[], None]) -> None:
    case = CASES[name]
    with opened(case) as (engine, clock):
        before = shown(engine)
        every = places_of(lambda: case.call(engine, clock))
        places = [one for one in every if how is ctrl_c or one[0][0].startswith(ALLOCATE)]
        after = shown(engine)
    if how is error:  # where a worker is ordered, sockets belong to nobody between two lines: only signals are put off
        places = [one for one in places if not one[0][0].startswith("isolation")]
    with opened(case) as (engine, clock):
        waited = settled(engine)
        case.call(engine, clock)
        ended = settled(engine)
    chosen = places if ALL else places[sum(name.encode()) % 7 :: max(1, len(places) // EACH)]
    for place, nth in chosen:
        with opened(case) as (engine, clock):
            strike(lambda call=case.call, on=engine, at=clock: call(on, at), place, nth, how)
            left = shown(engine)
            fine = left in (before, after)
            then = settled(engine)
        if name.startswith("a tick"):  # what it cannot do makes it pause, and an error on the wire is a death
            ((where, _, _),) = left["rollouts"]
            paused = where is RolloutState.PAUSED and left["counts"] in (before["counts"], after["counts"])
            fine = fine or paused or (where is RolloutState.FAILED and left["split"] == {1: 1.0})
        assert fine or then in (waited, ended), f"{place} ({nth}): {left}, then {then}"
        assert then["ids"] == list(range(8))
