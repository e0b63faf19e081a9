"""Each promise of a sink has one that breaks it, and is caught."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest

from grove_core.testing import SinkConformance

from .broken import caught, promises_of

EVENT = "test_it_takes_any_event"
SAMPLE = "test_it_takes_any_sample"
THREAD = "test_it_works_in_a_thread_that_did_not_make_it"
CHANGES = "test_it_changes_nothing"
CLOSING = "test_closing_leaves_nothing"


class Sound:
    """A sink that keeps its promises."""

    def event(self, event: Any) -> None:
        return

    def sample(self, sample: Any) -> None:
        return

    def close(self) -> None:
        return


class Dumping(Sound):
    """Writes what JSON has a form for."""

    def event(self, event: Any) -> None:
        json.dumps(event.details)


class OfModules(Sound):
    """Believes that everything happens to a module."""

    def event(self, event: Any) -> None:
        event.module.upper()


class InlineDumping:
    def event_inline(self, event: Any) -> None:
        json.dumps(event.details)

    def close(self) -> None:
        return


class Measuring(Sound):
    """Believes that everything can be measured."""

    def sample(self, sample: Any) -> None:
        sum(each.memory_usage_bytes for each in sample.versions)


class Lite(Sound):
    """Has a connection that works in the thread that made it only."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")

    def event(self, event: Any) -> None:
        self.connection.execute("select 1")

    def __del__(self) -> None:
        self.connection.close()


class Stamping(Sound):
    def event(self, event: Any) -> None:
        event.details["seen"] = True


class Sorting(Sound):
    def sample(self, sample: Any) -> None:
        sample.judgements.clear()


class Leaving(Sound):
    """Leaves a descriptor."""

    left: list[int] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.left.append(os.open("/dev/null", os.O_RDONLY))


class Working(Sound):
    """Leaves a thread."""

    over = threading.Event()

    def __init__(self) -> None:
        threading.Thread(target=self.over.wait, daemon=True).start()


class Locking(Sound):
    """Cannot be made anew: what it holds it never lets go of."""

    lock = threading.Lock()

    def __init__(self) -> None:
        if not self.lock.acquire(blocking=False):
            raise RuntimeError("the place is taken")


BROKEN: list[tuple[str, Callable[[], Any], str]] = [
    (EVENT, Dumping, "not JSON serializable"),
    (EVENT, OfModules, "'NoneType' object has no attribute 'upper'"),
    (EVENT, InlineDumping, "not JSON serializable"),
    (SAMPLE, Measuring, "NoneType"),
    (THREAD, Lite, "can only be used in that same thread"),
    (CHANGES, Stamping, "it changed"),
    (CHANGES, Sorting, "it changed"),
    (CLOSING, Leaving, "it left"),
    (CLOSING, Working, "it left"),
    (CLOSING, Locking, "the place is taken"),
]


@pytest.mark.parametrize(("test", "make", "why"), BROKEN)
def test_a_broken_sink_is_caught(test: str, make: Callable[[], Any], why: str) -> None:
    try:
        caught(SinkConformance, lambda self: make(), test, why)
    finally:
        Working.over.set()
        Working.over = threading.Event()
        while Leaving.left:
            os.close(Leaving.left.pop())


@pytest.mark.parametrize("test", sorted(promises_of(SinkConformance)))
def test_a_sound_one_is_not(test: str) -> None:
    getattr(type("Fine", (SinkConformance,), {"make": lambda self: Sound()})(), test)()


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in BROKEN} == promises_of(SinkConformance)
