"""Whatever strikes wherever in a patch: the new code has the place, whole, or the old one has it; nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from grove_core import DebugEngine, ManualClock

from ..striking import Place, ctrl_c, error, places_of, strike
from .conftest import PATIENT, Shared, held, workers_of
from .interrupted import shown
from .patched import SCHEMA, adding
from .sources import MODULE

ALL = "GROVE_STRIKE_ALL" in os.environ
EACH = 4
HASTY = msgspec.structs.replace(PATIENT, tick_deadline_ms=5000.0, load_deadline_seconds=10.0, keep_generations=1)
ADDING_2 = adding(100, schema=f'hit="i8", {SCHEMA}', lenses='Lens("==1.*", "==2.*", [Add("hit")])')
OURS = ("runtime", "engine", "rollouts")
"""The folders whose lines take memory during a patch."""


@pytest.fixture(autouse=True)
def _raises() -> Iterator[None]:
    """Have Ctrl-C raise, also where the tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


Opened = Callable[[], contextlib.AbstractContextManager[DebugEngine]]


@pytest.fixture
def opened(package: Any, installed: Any, isolation: Shared) -> Opened:
    """Open an engine over two versions with entities each; 1.0.1 lies where 1.0.0 does, and came after it."""
    first = package(MODULE, "1.0.0", adding(1))
    package(MODULE, "1.0.1", adding(1000), into=first)
    second = package(MODULE, "2.0.0", ADDING_2)

    @contextlib.contextmanager
    def make() -> Iterator[DebugEngine]:
        before = held(isolation, set())
        with DebugEngine(HASTY, plugins=[installed(first, second)], clock=ManualClock(), isolation=isolation) as engine:
            engine.load_module_version(MODULE, "1.0.0")
            engine.spawn(MODULE, x=np.arange(8.0), tag=np.arange(8), fixed=np.arange(8.0))
            engine.load_module_version(MODULE, 2)
            engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
            engine.pin_where(MODULE, "tag == 1", 1)
            engine.tick(0.25)
            yield engine
            assert held(isolation, workers_of(engine, MODULE))[0] == set()
        assert held(isolation, set()) == before

    return make


def patch(engine: DebugEngine) -> None:
    engine.patch_module_version(MODULE, 1)


def undo(engine: DebugEngine) -> None:
    engine.undo_patch(MODULE, 1)


def nothing(engine: DebugEngine) -> None:
    """Be ready as it is."""


def some(places: list[tuple[Place, int]], seed: str) -> list[tuple[Place, int]]:
    """Choose some places, spread over all of them, others for each call."""
    step = max(1.0, len(places) / EACH)
    first = sum(seed.encode()) % max(1, int(step))
    chosen = (int(first + step * number) for number in range(EACH))
    return places if ALL else [places[each] for each in chosen if each < len(places)]


def works(engine: DebugEngine) -> str:
    """Tick, and say what is wrong with what each version did."""
    before = engine.entities(MODULE)
    was = dict(zip(before["id"].tolist(), before["n"].tolist(), strict=True))
    where = dict(zip(was, map(str, engine.locate(MODULE, list(was))), strict=True))
    report = engine.tick(0.0)
    after = engine.entities(MODULE)
    added = {each: n - was[each] for each, n in zip(after["id"].tolist(), after["n"].tolist(), strict=True)}
    right = {each: {"1.0.0": 1, "1.0.1": 1000, "2.0.0": 100}[version] for each, version in where.items()}
    return "" if added == right and not report.faults else f"{added} instead of {right}; {report.faults}"


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("how", [ctrl_c, error])
@pytest.mark.parametrize(("ready", "call"), [(nothing, patch), (patch, undo)], ids=["patch", "undo"])
def test_all_or_nothing(
    opened: Opened, ready: Callable[..., None], call: Callable[..., None], how: Callable[[], None]
) -> None:
    with opened() as engine:
        ready(engine)
        before = shown(engine)
        places = [one for one in places_of(lambda: call(engine)) if how is ctrl_c or one[0][0].startswith(OURS)]
        after = shown(engine)
        assert before != after
        assert works(engine) == ""
    assert len(places) > 100
    found = {}
    for place, nth in some(places, f"{call.__name__}{how.__name__}"):
        with opened() as engine:
            ready(engine)
            strike(lambda engine=engine: call(engine), place, nth, how)
            left = shown(engine)
            said = "" if left in (before, after) else str([key for key in left if left[key] != after[key]])
            if said := said + works(engine):
                found[f"{place[0]}:{place[1]} ({nth})"] = said
    assert found == {}
