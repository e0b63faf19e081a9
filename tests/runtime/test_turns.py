"""One call at a time, and whoever waits is next."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from grove_core.base.errors import EngineClosed, InsideTick
from grove_core.runtime.state.turns import Turns

from ..striking import places_of, strike

SECONDS = 20.0


def waits(turns: Turns) -> bool:
    """Whether somebody stands next in line for the turn."""
    if turns._next.acquire(blocking=False):
        turns._next.release()
        return False
    return True


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_call_from_inside_a_call_is_an_error_and_the_turn_stays() -> None:
    turns = Turns()
    with turns.take("tick"):
        with pytest.raises(InsideTick, match=r"^spawn was called from inside"), turns.take("spawn"):
            pytest.fail("it had the turn twice")
        got = threading.Event()

        def other() -> None:
            with turns.take("other"):
                got.set()

        thread = threading.Thread(target=other)
        thread.start()
        eventually(lambda: waits(turns))
        assert not got.is_set()
    thread.join(SECONDS)
    assert got.is_set()
    with turns.take("spawn"):
        pass


def test_a_call_that_raises_gives_its_turn_back() -> None:
    turns = Turns()
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), turns.take("tick"):
            raise KeyboardInterrupt
    with turns.take("tick"):
        pass


def test_after_the_end_every_call_is_refused_and_none_hangs() -> None:
    turns = Turns()
    refused: list[EngineClosed] = []

    def late() -> None:
        try:
            with turns.take("spawn"):
                pytest.fail("the engine is closed")
        except EngineClosed as error:
            refused.append(error)

    with turns.take("close"):
        thread = threading.Thread(target=late)
        thread.start()
        eventually(lambda: waits(turns))
        turns.closed = True
    thread.join(SECONDS)
    late()
    assert [error.message for error in refused] == ["spawn: the engine was closed"] * 2


def test_only_one_has_the_turn() -> None:
    turns = Turns()
    inside, most, calls = 0, 0, 0

    def call() -> None:
        nonlocal inside, most, calls
        for _ in range(200):
            with turns.take("call"):
                inside += 1
                most = max(most, inside)
                calls += 1
                time.sleep(0)  # let go of the interpreter: another thread would come in here
                inside -= 1

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert (inside, most, calls) == (0, 1, 1600)


def test_who_waits_comes_before_who_returns_at_once() -> None:
    """A loop that ticks without a pause takes the next turn only after the one who waited."""
    turns = Turns()
    for _ in range(50):
        order: list[str] = []

        def wait(order: list[str] = order) -> None:
            with turns.take("spawn"):
                order.append("spawn")

        with turns.take("tick"):
            thread = threading.Thread(target=wait)
            thread.start()
            eventually(lambda: waits(turns))
            order.append("tick")
        with turns.take("tick"):
            order.append("tick")
        thread.join(SECONDS)
        assert order == ["tick", "spawn", "tick"]


def test_nobody_starves_beside_a_loop_without_a_pause() -> None:
    turns = Turns()
    done = threading.Event()
    ticks = 0

    def loop() -> None:
        nonlocal ticks
        while not done.is_set():
            with turns.take("tick"):
                ticks += 1

    def call() -> None:
        for _ in range(50):
            with turns.take("call"):
                pass

    ticking = threading.Thread(target=loop)
    ticking.start()
    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    try:
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(SECONDS)
            assert not caller.is_alive()
    finally:
        done.set()
        ticking.join(SECONDS)
    assert ticks > 0


def test_an_interrupt_anywhere_in_a_turn_keeps_nobody_from_the_next() -> None:
    def call(turns: Turns) -> None:
        with turns.take("tick"):
            pass

    for place, nth in places_of(lambda: call(Turns())):
        turns, got = Turns(), threading.Event()
        strike(lambda turns=turns: call(turns), place, nth)
        call(turns)

        def other(turns: Turns = turns, got: threading.Event = got) -> None:
            call(turns)
            got.set()

        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        thread.join(SECONDS)
        assert got.is_set(), f"nobody gets a turn after an interrupt at {place}, {nth}"


def test_an_interrupt_while_others_have_their_turns_strikes_once_the_turn_is_back() -> None:
    """Whoever gave it away may have something to put in order, and must not do that beside others."""
    lost: list[tuple[object, int]] = []

    def call(turns: Turns, place: object = None, nth: int = 0) -> None:
        with turns.take("patch_module_version") as turn:
            try:
                with turn.aside():
                    pass
            finally:
                if not turns.is_mine:
                    lost.append((place, nth))

    places = places_of(lambda: call(Turns()))
    assert len(places) > 10
    for place, nth in places:
        strike(lambda place=place, nth=nth: call(Turns(), place, nth), place, nth)
    assert lost == []


def test_an_interrupt_that_comes_while_the_turn_is_waited_for_strikes_once_it_is_back() -> None:
    turns, away, before = Turns(), threading.Event(), signal.signal(signal.SIGINT, signal.default_int_handler)

    def other() -> None:
        away.wait(SECONDS)
        with turns.take("tick"):
            eventually(lambda: waits(turns))
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt), turns.take("patch_module_version") as turn:
            try:
                with turn.aside():
                    away.set()
                    eventually(lambda: turns._holder is not None)
            finally:
                assert turns.is_mine
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join(SECONDS)
