"""`leaks`, run for some cycles: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.runtime.copies.packages import Packages
from grove_core.scenario.common.command import quiet
from grove_core.scenario.common.holdings import Holdings
from grove_core.scenario.reliability.leaks import Assertion, Leaks, Metric

from .breaking import KEPT, PATIENT, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.parts.running import Worker
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.needs(1, 2, 3), pytest.mark.timeout(300)]


def run(cycles: int = 20, **options: Any) -> Outcome:
    with quiet():
        return Leaks(cycles, settings=PATIENT, **options).run()


def test_it_passes() -> None:
    result = run()
    assert_passed(result, Assertion.MEMORY_GIVEN_BACK)  # that takes more cycles than a test has
    assert result.metrics[Metric.CYCLES] == 20
    assert result.metrics[Metric.MEMORY_GROWTH_MB] is not None
    assert result.document()["events"] >= 60


def test_an_engine_that_keeps_memory() -> None:
    kept = []
    result = run(watcher=lambda engine, done: kept.append(np.ones(KEPT, np.uint8)))
    assert_broken(result, Assertion.MEMORY_GIVEN_BACK)
    assert result.assertions[Assertion.NOTHING_LEFT]
    growth = result.metrics[Metric.MEMORY_GROWTH_MB]
    assert growth is not None
    assert growth > len(kept) * KEPT / 1e6 / 2, "a part of it was kept before the first look"


def test_copies_that_are_never_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Packages.keep
    monkeypatch.setattr(Packages, "keep", lambda self, used: None)
    monkeypatch.setattr(Packages, "close", lambda self: keep(self, ()))
    assert_broken(run(), Assertion.NOTHING_LEFT, "folders more")


def test_a_worker_that_is_left() -> None:
    left: list[Worker] = []

    def leave(engine: DebugEngine, done: int) -> None:
        if done == 5:
            left.append(engine._context.isolation.start())

    result = run(10, watcher=leave)
    for worker in left:
        worker.close()
    assert_broken(result, Assertion.NOTHING_LEFT, "process ", "descriptor ", "with the same version as before")


def test_an_unload_that_is_refused() -> None:
    def hold(engine: DebugEngine, done: int) -> None:
        if done == 5:
            engine.close()

    result = run(watcher=hold)
    assert_broken(result, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert_broken(result, Assertion.EVERY_CYCLE_DONE)
    assert_broken(result, Assertion.ENTITIES_UNTOUCHED, "not looked at")


def test_too_few_cycles_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Leaks(9)


def test_what_is_there_beyond_what_was() -> None:
    before = Holdings({1: "a"}, {"socket": 2}, {"grove:x": 1}, frozenset({"one"}))
    now = Holdings({2: "a", 3: "b"}, {"socket": 3}, {"grove:x": 1, "grove:y": 2}, frozenset({"two"}))
    assert now.beyond(before) == [
        "process 2 (a)",
        "process 3 (b)",
        "descriptor socket (1 more)",
        "mapping grove:y (2 more)",
        "folder two",
    ]
    assert now.more_than(before) == ["process b (1 more)", "descriptor socket (1 more)", "mapping grove:y (2 more)"]
    assert before.beyond(before) == before.more_than(before) == []
