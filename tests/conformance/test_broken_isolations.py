"""Each promise of an isolation has one that breaks it, and is caught."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from grove_core.testing import IsolationConformance
from grove_core.testing.crew import Crew

from . import altered
from .broken import caught, promises_of

ANSWERS = "test_a_worker_does_what_messages_say"
READABLE = "test_fileno_turns_readable_when_an_answer_is_there"
WAITS = "test_receive_waits_as_long_as_it_is_told_and_no_longer"
PRINTS = "test_what_it_prints_can_be_read"
PRINTS_MUCH = "test_one_that_prints_much_is_not_stopped_by_it"
GONE = "test_one_that_is_gone_is_told_as_peer_died"
LAST = "test_its_last_answer_is_received_after_it_ended"
DEATH = "test_its_death_is_seen"
KILL = "test_kill_returns_once_it_is_gone"
ENDED = "test_how_it_ended_is_told"
CPU = "test_cpu_time_is_measured_or_none"
MEMORY = "test_memory_is_measured_or_none"
BROKEN: list[tuple[str, type[altered.Altered], str]] = [
    (ANSWERS, altered.Mute, "where Introduced was due"),
    ("test_workers_have_nothing_to_do_with_each_other", altered.Infectious, "gone|closed"),
    ("test_it_works_in_the_memory_whose_descriptors_it_is_sent", altered.WithoutDescriptors, "where Ready was due"),
    ("test_what_a_version_raises_is_an_answer", altered.WithoutTraceback, "the traceback is not told"),
    ("test_messages_of_any_size_cross", altered.OnlySmall, "too large"),
    (READABLE, altered.WrongFileno, "no answer came"),
    (READABLE, altered.AlwaysReadable, "no answer is due"),
    (WAITS, altered.Impatient, "before the time was over"),
    (WAITS, altered.ReturnsNone, "DID NOT RAISE"),
    (PRINTS, altered.OutLoud, "not readable"),
    (PRINTS, altered.Chatty, "nothing yet"),
    (PRINTS_MUCH, altered.Stopped, "no answer"),
    (PRINTS_MUCH, altered.Endless, "at a time"),
    ("test_what_it_prints_is_counted", altered.Uncounted, "2001 bytes"),
    ("test_sending_never_blocks", altered.Queueing, "DID NOT RAISE"),
    (GONE, altered.NeverDies, "DID NOT RAISE"),
    (GONE, altered.DiesAsEndOfFile, "the end of the file"),
    (GONE, altered.NothingArrived, "DID NOT RAISE"),
    (LAST, altered.Forgetful, "it is gone"),
    (LAST, altered.TwiceIdle, "DID NOT RAISE"),
    (DEATH, altered.SaidToBeGone, "`wait` says that it is gone"),
    (DEATH, altered.AnothersPidfd, "turn readable"),
    (KILL, altered.Merciful, "not killed"),
    (KILL, altered.Hasty, "and runs"),
    (ENDED, altered.Once, "something else"),
    (ENDED, altered.Silent, "nothing is told"),
    (MEMORY, altered.Pages, "64 MiB and more"),
    (MEMORY, altered.Remembered, "something is measured"),
    (CPU, altered.Timeless, "takes no CPU time"),
    (CPU, altered.Ghostly, "is measured"),
    ("test_workers_that_are_closed_leave_no_descriptor", altered.Leaking, "a descriptor a worker is left"),
]
BROKEN_WHOLLY: list[tuple[str, type[altered.Isolation], str]] = [
    (MEMORY, altered.Hoarding, "still counts"),
    ("test_close_ends_everything_it_started", altered.Careless, "runs on"),
    ("test_close_ends_everything_it_started", altered.Dropping, "descriptors are left"),
]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str, Callable[[], altered.Isolation], str], None]]:
    """`run(test, make, why)`: the test fails for that reason; what is left of it is ended."""
    made: list[altered.Isolation] = []

    def make(isolation: Callable[[], altered.Isolation]) -> altered.Isolation:
        made.append(isolation())
        return made[-1]

    def check(test: str, isolation: Callable[[], altered.Isolation], why: str) -> None:
        if "crew" not in signature(getattr(IsolationConformance, test)).parameters:
            caught(Quick, lambda self: make(isolation), test, why, tmp_path)
            return
        crew = Crew(make(isolation), tmp_path, Quick.seconds)
        try:
            caught(Quick, None, test, why, crew)
        finally:
            crew.close()

    yield check
    for each in made:
        each.real.close()
    while altered.LEFT:
        os.close(altered.LEFT.pop())


class Quick(IsolationConformance):
    seconds = 3.0


@pytest.mark.parametrize(("test", "worker", "why"), BROKEN)
def test_a_broken_worker_is_caught(run: Any, test: str, worker: Any, why: str) -> None:
    run(test, lambda: altered.Isolation(worker), why)


@pytest.mark.parametrize(("test", "isolation", "why"), BROKEN_WHOLLY)
def test_a_broken_isolation_is_caught(run: Any, test: str, isolation: Any, why: str) -> None:
    run(test, lambda: isolation(altered.Altered), why)


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in (*BROKEN, *BROKEN_WHOLLY)} == promises_of(IsolationConformance)


class TestWhatIsAlteredIsSound(IsolationConformance):
    """Where nothing is altered."""

    def make(self) -> Any:
        return altered.Isolation(altered.Altered)
