"""An interrupt anywhere in an engine call leaves all of it, or nothing; and the engine goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from grove_core import DebugEngine, ManualClock

from ..striking import Place, places_of, strike
from .conftest import PATIENT, Shared
from .interrupted import CALLS, Interruptible, shown
from .sources import MODULE


@pytest.fixture
def opened(package: Any, installed: Any, isolation: Shared) -> Any:
    @contextlib.contextmanager
    def make(case: Interruptible, folders: dict[str, Any]) -> Iterator[DebugEngine]:
        for number, source in case.sources.items():
            if number not in folders:
                folders[number] = package(MODULE, number, source)
        settings, clock = (
            msgspec.structs.replace(PATIENT, tick_deadline_ms=2000.0, load_deadline_seconds=3.0, **case.settings),
            ManualClock(),
        )
        found = installed(*(folders[number] for number in case.sources))
        with DebugEngine(settings, plugins=[found], clock=clock, isolation=isolation) as engine:
            case.ready(engine, clock)
            yield engine

    return make


def outcome(
    opened: Any, case: Interruptible, folders: dict[str, Any], place: Place, nth: int, before: Any, after: Any
) -> str:
    """Strike once; say what was left: nothing, all, or what is wrong."""
    with opened(case, folders) as engine:
        if not strike(lambda: case.call(engine), place, nth):
            return "not struck"
        left = shown(engine)
        verdict = "nothing" if left == before else "all" if left == after else f"neither: {left}"
        if engine.is_version_loaded(MODULE, ">=0"):
            count = len(engine.entities(MODULE)["id"])
            report = engine.tick(0.0)
            if (report.entities, len(engine.entities(MODULE)["id"])) != (count, count):
                verdict += f", and a tick after it was {report}"
        return verdict


@pytest.mark.parametrize("name", CALLS)
def test_it(opened: Any, name: str) -> None:
    case, folders = CALLS[name], {}
    with opened(case, folders) as engine:
        before = shown(engine)
        places = places_of(lambda: case.call(engine))
        after = shown(engine)
    wrong = []
    for place, nth in places:
        import time

        t = time.time()
        open("/tmp/place.log", "a").write(f"{name} {place} {nth}\n")
        said = outcome(opened, case, folders, place, nth, before, after)
        open("/tmp/place.log", "a").write(f"   {time.time() - t:.2f} {said[:100]}\n")
        if said not in ("nothing", "all", "not struck"):
            wrong.append(f"{place[0]}:{place[1]} ({nth}) {said[:300]}")
    print(len(places), "places", len(wrong), "wrong")
    assert wrong == []
