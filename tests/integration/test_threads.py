"""Calls from other threads wait for their turn; calls from inside a tick are errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from packaging.version import Version

from grove_core import DebugEngine, ManualClock, Settings
from grove_core.base.errors import EngineClosed, InsideTick
from grove_core.base.events import EventKind
from grove_core.base.records import Fault, VersionUse
from grove_core.parts.contracts import Population, Rollback
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice

from .conftest import OpenEngine, Refused
from .sources import BOTH, MODULE

TICKS = 60


def together(*calls: Callable[[], None]) -> list[BaseException]:
    """Run each call in a thread of its own until all have ended; return what they raised."""
    raised: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def test_calls_from_many_threads_are_applied_between_ticks(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)

    def tick() -> None:
        for _ in range(TICKS):
            assert engine.tick(0.1).faults == ()

    def bear(first: int) -> Callable[[], None]:
        def call() -> None:
            for number in range(first, first + 40):
                engine.spawn(MODULE, id=[number], n=[0])

        return call

    def split() -> None:
        for share in np.linspace(0, 1, 30):
            engine.set_traffic_split(MODULE, {1: 1 - share, 2: share})

    def look() -> None:
        for _ in range(30):
            ids = engine.entities(MODULE)["id"]
            assert len(set(ids.tolist())) == len(ids)
            assert sum(engine.get_version_metrics(MODULE, major).entities for major in (1, 2)) >= len(ids)

    assert together(tick, bear(0), bear(1000), split, look) == []
    assert sorted(engine.entities(MODULE)["id"].tolist()) == [*range(40), *range(1000, 1040)]
    assert engine.get_version_metrics(MODULE, 2).entities == 80


def test_a_call_gets_its_turn_though_somebody_ticks_without_a_pause(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    asked, answered = threading.Event(), threading.Event()
    waited: list[int] = []

    def tick() -> None:
        while not answered.is_set():
            number = engine.tick(0.1).number
            if asked.is_set():
                waited.append(number)

    def ask() -> None:
        for _ in range(20):
            asked.set()
            engine.get_traffic_split(MODULE)
            asked.clear()
        answered.set()

    assert together(tick, ask) == []
    assert len(waited) <= 20 * 3, "each call waited for a few ticks at the most"


def test_closing_while_another_thread_ticks(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(10))
    ticking = threading.Event()

    def tick() -> None:
        while True:
            engine.tick(0.1)
            ticking.set()

    def close() -> None:
        assert ticking.wait(30)
        engine.close()

    (error,) = together(tick, close)
    assert isinstance(error, EngineClosed)


class Meddler:
    """A plugin whose parts call the engine from inside."""

    engine: DebugEngine

    @hookimpl
    def grove_register_routers(self) -> dict[str, Any]:
        return {"meddling": lambda: self}

    @hookimpl
    def grove_register_gc_policies(self) -> dict[str, Any]:
        return {"meddling": lambda unused_threshold_seconds: self}

    @hookimpl
    def grove_register_fault_policies(self) -> dict[str, Any]:
        return {"meddling": lambda: self}

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        self.engine.despawn(MODULE, population.ids)
        raise AssertionError("the engine let itself be called")

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        self.engine.tick(0.1)
        raise AssertionError("the engine let itself be called")

    def decide(self, fault: Fault, uses: Sequence[VersionUse], previous: Version | None) -> Rollback:
        self.engine.rollback(MODULE, 1)
        raise AssertionError("the engine let itself be called")


def meddled(open_engine: OpenEngine, **parts: Any) -> DebugEngine:
    meddler = Meddler()
    settings = Settings(**{name: Choice("meddling") for name in parts}, tick_deadline_ms=20_000.0)
    meddler.engine = open_engine(BOTH, settings=settings, plugins=(meddler,), clock=ManualClock())
    meddler.engine.load_module_version(MODULE, 1)
    meddler.engine.load_module_version(MODULE, 2)
    return meddler.engine


def test_a_router_that_calls_the_engine(open_engine: OpenEngine, refused: Refused) -> None:
    engine = meddled(open_engine, router=True)
    for call in (
        lambda: engine.spawn(MODULE, id=[1, 2]),
        lambda: engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5}),
    ):
        with refused(engine, InsideTick, "despawn", "between ticks"):
            call()


def test_a_collection_policy_that_calls_the_engine(open_engine: OpenEngine) -> None:
    engine = meddled(open_engine, gc_policy=True)
    engine.enable_auto_gc(MODULE)
    assert engine.tick(0.1).faults == ()
    (failed,) = [event.details["error"] for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert "InsideTick" in failed and "tick was called from inside" in failed


def test_a_fault_policy_that_calls_the_engine(open_engine: OpenEngine) -> None:
    engine = meddled(open_engine, fault_policy=True)
    engine.spawn(MODULE, id=range(4))
    engine.inject_fault(MODULE, 1, "raise")
    assert engine.tick(0.1).skipped == 4
    (failed,) = [event.details["error"] for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert "InsideTick" in failed
    assert engine.is_paused(MODULE)


def test_the_same_thread_may_call_again_after_an_error(open_engine: OpenEngine, refused: Refused) -> None:
    engine = meddled(open_engine, router=True)
    with pytest.raises(InsideTick):
        engine.spawn(MODULE, id=[1])
    assert engine.tick(0.1).entities == 0
