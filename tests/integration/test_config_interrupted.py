"""Whatever strikes wherever in a change of configs: all versions have the new one, or all have the one they had."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grove_core import DebugEngine, ManualClock
from grove_core.base.errors import GroveError

from ..striking import Place, ctrl_c, error, places_of, strike
from .conftest import PATIENT, Shared
from .sources import MODULE
from .test_config import ONE, RESTARTS, TAKES, TWO, speeds, taking

ALL = "GROVE_STRIKE_ALL" in os.environ
EACH = 4
HASTY = msgspec.structs.replace(PATIENT, tick_deadline_ms=5000.0, load_deadline_seconds=10.0)
CASES = {
    "both take it": TAKES,
    "one needs another worker": RESTARTS,
    "one raises": taking("if config.speed > 4: raise ValueError('too fast')"),
    "one raises, and cannot go back": taking("if config.speed > 2 or self.speed < 3: raise ValueError('never')"),
}
OURS = ("configs", "runtime")
"""The folders whose lines take memory while a config is changed."""


@pytest.fixture(autouse=True)
def _raises() -> Iterator[None]:
    """Have Ctrl-C raise, also where the tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


Opened = Callable[[str], contextlib.AbstractContextManager[tuple[DebugEngine, ManualClock]]]


@pytest.fixture
def opened(package: Any, installed: Any, isolation: Shared) -> Opened:
    """Open an engine over two versions with two entities each, at speed 2."""
    first, folders = package(MODULE, "1.0.0", taking(lenses="")), {}

    @contextlib.contextmanager
    def make(second: str) -> Iterator[tuple[DebugEngine, ManualClock]]:
        if second not in folders:
            folders[second] = package(MODULE, "2.0.0", second)
        clock = ManualClock()
        found = installed(first, folders[second])
        with DebugEngine(HASTY, plugins=[found], clock=clock, isolation=isolation) as engine:
            engine.load_module_version(MODULE, 1, config={"speed": 2.0})
            engine.spawn(MODULE, x=[0.0] * 4)
            engine.load_module_version(MODULE, 2, config={"speed": 2.0})
            engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
            yield engine, clock

    return make


def update(engine: DebugEngine) -> None:
    with contextlib.suppress(GroveError):
        engine.config.update(MODULE, {"speed": 5.0})


def some(places: list[tuple[Place, int]], seed: str) -> list[tuple[Place, int]]:
    """Choose some places, spread over all of them, others for each call."""
    step = max(1.0, len(places) / EACH)
    first = sum(seed.encode()) % max(1, int(step))
    chosen = (int(first + step * number) for number in range(EACH))
    return places if ALL else [places[each] for each in chosen if each < len(places)]


def wrong(engine: DebugEngine) -> str:
    """Say what is not as before, nor as after."""
    moved = speeds(engine)
    held = {version: engine.config.get(MODULE, str(version)) for version in engine.get_loaded_versions(MODULE)}
    if held not in ({ONE: {"speed": each}, TWO: {"speed": each}} for each in (2.0, 5.0)):
        return f"what is told to hold: {held}"
    return "" if moved == {version: {held[version]["speed"]} for version in held} else f"{held}, but {moved}"


@pytest.mark.timeout(3600 if ALL else 120)
@pytest.mark.parametrize("how", [ctrl_c, error])
@pytest.mark.parametrize("name", CASES)
def test_all_or_nobody_has_it(opened: Opened, name: str, how: Callable[[], None]) -> None:
    with opened(CASES[name]) as (engine, _):
        places = [one for one in places_of(lambda: update(engine)) if how is ctrl_c or one[0][0].startswith(OURS)]
        assert wrong(engine) == ""
    assert len(places) > 50
    found = {}
    for place, nth in some(places, f"{name}{how.__name__}"):
        with opened(CASES[name]) as (engine, _):
            strike(lambda engine=engine: update(engine), place, nth, how)
            if said := wrong(engine):
                found[f"{place[0]}:{place[1]} ({nth})"] = said
    assert found == {}


@pytest.mark.timeout(3600 if ALL else 120)
def test_a_watched_file_is_taken_whole_or_not_at_all(opened: Opened, tmp_path: Path) -> None:
    file, found = tmp_path / "grove.toml", {}

    def ready(engine: DebugEngine, clock: ManualClock) -> None:
        file.write_text(f"[grove.config.{MODULE}]\nspeed = 2.0\n")
        engine.config.watch(file)
        file.write_text(f"[grove.config.{MODULE}]\nspeed = 5.00\n")
        engine.tick(0.0)
        clock.advance(1.0)

    with opened(RESTARTS) as (engine, clock):
        ready(engine, clock)
        places = [one for one in places_of(lambda: engine.tick(0.0)) if one[0][0].startswith("configs")]
        assert wrong(engine) == ""
    for place, nth in some(places, "watch"):
        with opened(RESTARTS) as (engine, clock):
            ready(engine, clock)
            strike(lambda engine=engine: engine.tick(0.0), place, nth, error)
            if said := wrong(engine):
                found[f"{place[0]}:{place[1]} ({nth})"] = said
    assert found == {}
