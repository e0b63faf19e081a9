"""`stress`, run for some simulated seconds: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from grove_core.base.errors import InvalidInput
from grove_core.memory.table import Table
from grove_core.scenario.common.command import quiet
from grove_core.scenario.reliability.stress import Stress, StressSeen
from grove_core.scenario.reliability.stress_outcome import Assertion, Metric, outcome

from .breaking import PATIENT, Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.needs(1, 2, 3), pytest.mark.timeout(300)]


def run(seconds: int = 20, **options: Any) -> Outcome:
    with quiet():
        return Stress(seconds, 100, **{"settings": PATIENT, **options}).run()


def test_it_passes_and_every_version_is_reloaded() -> None:
    loaded: list[str] = []

    def watch(engine: DebugEngine, ticks: int) -> None:
        loaded.append(str(engine.stable_version("gamelogic")))

    result = run(20, watcher=watch)
    assert_passed(result, Assertion.RELOADS_FAST, Assertion.FRAMES_FAST)  # how fast it is, a busy machine decides
    assert result.metrics[Metric.RELOADS] == 3
    assert result.document()["ticks"] == 1200 == len(loaded)
    assert len(set(loaded)) > 1, "the stable version was reloaded, and another one was trusted"


@pytest.mark.parametrize("what", [Kept.DESCRIPTOR, Kept.MAPPING, Kept.FOLDER, Kept.PROCESS])
def test_an_engine_that_leaves_something(what: Kept) -> None:
    keeping = Keeping(what)
    try:
        assert_broken(run(settings=keeping.settings, plugins=[keeping]), Assertion.NOTHING_LEFT, what.value)
    finally:
        keeping.tidy_up()


def test_an_engine_that_keeps_memory() -> None:
    keeping = Keeping(Kept.MEMORY)
    assert_broken(run(settings=keeping.settings, plugins=[keeping]), Assertion.MEMORY_BOUNDED)


def test_a_move_that_changes_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Table.fill_holes

    def fill_holes(self: Table, *args: Any) -> int:
        count = given(self, *args)
        self["x"][:1] += 1
        return count

    monkeypatch.setattr(Table, "fill_holes", fill_holes)
    assert_broken(run(10), Assertion.ENTITIES_EXACT, "x differs in")


def test_a_death_among_the_ticks() -> None:
    def kill(engine: DebugEngine, ticks: int) -> None:
        if ticks == 100:
            os.kill(engine.workers("gamelogic")[engine.stable_version("gamelogic")], signal.SIGKILL)

    result = run(10, watcher=kill)
    assert_broken(result, Assertion.NO_FAULTS, "death of 1.")
    assert result.assertions[Assertion.ENTITIES_EXACT], "nothing is lost all the same"


def test_an_engine_that_does_not_survive() -> None:
    def stop(engine: DebugEngine, ticks: int) -> None:
        if ticks == 100:
            engine.close()

    assert_broken(run(10, watcher=stop), Assertion.ENGINE_ALIVE, "EngineClosed")


def test_reloads_that_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    from grove_core.debug import DebugEngine

    unload = DebugEngine.unload_module_version

    def slow(self: DebugEngine, *args: Any) -> Any:
        time.sleep(1.05)
        return unload(self, *args)

    monkeypatch.setattr(DebugEngine, "unload_module_version", slow)
    result = run(10)
    assert_broken(result, Assertion.RELOADS_FAST)
    assert result.assertions[Assertion.ENTITIES_EXACT]


def test_seconds_with_too_few_frames() -> None:
    seen = StressSeen(10, 100, PATIENT)
    seen.frame_ms.extend([1.0] * 1140 + [40.0] * 60)
    seen.reload_ms.append(50.0)
    result = outcome(seen)
    assert result.metrics[Metric.FPS_WORST_SECOND] == 25
    assert_broken(result, Assertion.FRAMES_FAST)


@pytest.mark.parametrize(("seconds", "entities"), [(9, 100), (10, 2)])
def test_too_little_for_a_reload_is_refused(seconds: int, entities: int) -> None:
    with pytest.raises(InvalidInput):
        Stress(seconds, entities)
