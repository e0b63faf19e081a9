"""Ctrl-C at a moment when something must be done to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from grove_core.base.interrupts import put_off


@pytest.fixture(autouse=True)
def _raises() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def strike() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_comes_at_the_end_of_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with put_off():
            strike()
            strike()
            done.append("all of it")
        done.append("more")
    assert done == ["all of it"]
    with pytest.raises(KeyboardInterrupt):
        strike()


def test_blocks_within_each_other_put_it_off_to_the_last_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), put_off():
        with put_off():
            strike()
        done.append("the outer block")
    assert done == ["the outer block"]


def test_what_the_block_raises_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, put_off():
        strike()
        raise ValueError("first")
    assert isinstance(caught.value.__context__, ValueError)
    with pytest.raises(ValueError, match="alone"), put_off():
        raise ValueError("alone")


def test_who_ignores_it_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with put_off():
        strike()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_are_never_interrupted() -> None:
    passed = []

    def block() -> None:
        with put_off():
            passed.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert passed == [signal.default_int_handler]
