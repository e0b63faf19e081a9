"""Whatever strikes wherever in an engine call leaves all of it, or nothing; and the engine goes on.

Each call is run once to find the lines of the package that it comes to; then once more for each of them, and struck
there: by Ctrl-C, and by an error. A test takes some of the lines; with GROVE_STRIKE_ALL set it takes all.
"""

from __future__ import annotations

import contextlib
import os
import signal
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
EACH = 5
"""How many places of each call are struck, unless all are."""
ALLOCATE = ("author", "memory", "migration", "routing", "runtime")
"""The folders whose lines take memory for rows: where an error for want of it is to be expected."""
HASTY = msgspec.structs.replace(PATIENT, tick_deadline_ms=5000.0, load_deadline_seconds=10.0)


@pytest.fixture(autouse=True)
def _raises() -> Iterator[None]:
    """Have Ctrl-C raise, also where the tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


def goes_on(engine: DebugEngine) -> str:
    """Tick, and say what was wrong with that; a module that a policy has paused is not ticked."""
    if not engine.is_version_loaded(MODULE, ">=0") or engine.is_paused(MODULE):
        return ""
    engine.resume()
    count = len(engine.entities(MODULE)["id"])
    report = engine.tick(0.0)
    good = (report.entities, len(engine.entities(MODULE)["id"])) == (count, count)
    return "" if good else f"; the tick after it was {report}"


def _mixed(left: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> str:
    """Say which parts are as they were before and which as they are after."""
    parts = [part for part in sorted({*left, *before, *after}) if before.get(part) != after.get(part)]
    told = [
        "before" if left.get(part) == before.get(part) else "after" if left.get(part) == after.get(part) else "neither"
        for part in parts
    ]
    same = [part for part in sorted(left) if part not in parts and left[part] != before.get(part)]
    return f"{dict(zip(parts, told, strict=True))}, changed: {same}"


def same_values(left: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Tell whether all entities have their tick, or none of them; whatever became of versions that failed.

    Where it strikes while the fault policy is asked, the module pauses, as for a policy that raises.
    """
    if left["paused"]:
        return True
    ticks = [{each: row[1] for each, row in seen.get("values", {}).items()} for seen in (left, before, after)]
    return ticks[0] in ticks[1:]


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_leaves_all_or_nothing(opened: Opened, name: str) -> None:
    assert struck(opened, name, ctrl_c, lambda left, before, after: left in (before, after)) == {}


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("tick")])
def test_an_error_leaves_all_or_nothing(opened: Opened, name: str) -> None:
    assert struck(opened, name, error, lambda left, before, after: left in (before, after)) == {}


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("tick")])
def test_an_error_in_a_tick_leaves_every_entity_its_tick_or_none(opened: Opened, name: str) -> None:
    """A recovery that was done by then stays: a version that failed may be gone though the tick did not happen."""
    assert struck(opened, name, error, same_values) == {}


def struck(opened: Opened, name: str, how: Callable[[], None], fine: Callable[..., bool]) -> dict[str, str]:
    """Strike a call at one place after the other; return what was wrong after which."""
    case, wrong = CALLS[name], {}
    with opened(case) as engine:
        before = shown(engine)
        places = [
            one for one in places_of(lambda: case.call(engine)) if how is ctrl_c or one[0][0].startswith(ALLOCATE)
        ]
        after = shown(engine)
    for place, nth in some(places, f"{name}{how.__name__}"):
        with opened(case) as engine:
            strike(lambda engine=engine: case.call(engine), place, nth, how)
            left = shown(engine)
            said = "" if fine(left, before, after) else _mixed(left, before, after)
            said += goes_on(engine)
        if said:
            wrong[f"{place[0]}:{place[1]} ({nth})"] = said
    return wrong
