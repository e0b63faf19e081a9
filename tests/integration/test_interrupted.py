"""Whatever strikes wherever in an engine call leaves all of it, or nothing; and the engine goes on.

Each call is run once to find the lines of the package that it comes to; then once more for each of them, and struck
there: by Ctrl-C, and by an error. A test takes some of the lines; with GROVE_STRIKE_ALL set it takes all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from grove_core import DebugEngine, ManualClock

from ..striking import Place, ctrl_c, error, places_of, strike
from .conftest import PATIENT, Shared
from .interrupted import CALLS, Interruptible, shown
from .sources import MODULE

ALL = "GROVE_STRIKE_ALL" in os.environ
EACH = 12
"""How many places of each call are struck, unless all are."""
HASTY = msgspec.structs.replace(PATIENT, tick_deadline_ms=5000.0, load_deadline_seconds=10.0)

Opened = Callable[[Interruptible], Any]


@pytest.fixture
def opened(package: Any, installed: Any, isolation: Shared) -> Opened:
    folders: dict[tuple[str, str], Any] = {}

    @contextlib.contextmanager
    def make(case: Interruptible) -> Iterator[DebugEngine]:
        for number, source in case.sources.items():
            if (number, source) not in folders:
                folders[number, source] = package(MODULE, number, source)
        found = installed(*(folders[one] for one in case.sources.items()))
        clock = ManualClock()
        with DebugEngine(HASTY, plugins=[found], clock=clock, isolation=isolation) as engine:
            case.ready(engine, clock)
            yield engine

    return make


def some(places: list[tuple[Place, int]], seed: str) -> list[tuple[Place, int]]:
    """Choose some places, spread over all of them, others for each call."""
    if ALL or len(places) <= EACH:
        return places
    step = len(places) / EACH
    first = sum(seed.encode()) % max(1, int(step))
    return [places[int(first + step * number)] for number in range(EACH) if first + step * number < len(places)]


def what_is_left(engine: DebugEngine, before: Any, after: Any) -> str:
    """Say whether nothing of a call is left, all of it, or something else, and how the engine goes on."""
    left = shown(engine)
    verdict = "nothing" if left == before else "all" if left == after else f"neither: {left}"
    if engine.is_version_loaded(MODULE, ">=0"):
        count = len(engine.entities(MODULE)["id"])
        report = engine.tick(0.0)
        if (report.entities, len(engine.entities(MODULE)["id"])) != (count, count):
            verdict += f"; the tick after it was {report}"
    return verdict


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("how", [ctrl_c, error])
@pytest.mark.parametrize("name", CALLS)
def test_it_leaves_all_or_nothing(opened: Opened, name: str, how: Callable[[], None]) -> None:
    case = CALLS[name]
    with opened(case) as engine:
        before = shown(engine)
        places = places_of(lambda: case.call(engine))
        after = shown(engine)
    wrong = {}
    for place, nth in some(places, f"{name}{how.__name__}"):
        with opened(case) as engine:
            strike(lambda engine=engine: case.call(engine), place, nth, how)
            left = what_is_left(engine, before, after)
        if left not in ("nothing", "all"):
            wrong[f"{place[0]}:{place[1]} ({nth})"] = left
    assert wrong == {}
