"""Whose turn it is: engine calls from any thread, one at a time, between ticks."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Self

from grove_core.base.errors import EngineClosed, InsideTick
from grove_core.base.interrupts import put_off


class Turns:
    """A fair lock: whoever waits gets the next turn, also against a loop that ticks without a pause."""

    def __init__(self) -> None:
        self._next = threading.RLock()
        self._turn = threading.RLock()
        self._holder: tuple[int, FrameType] | None = None
        """The thread that has the turn, and the frame of its call."""
        self.closed = False

    def take(self, call: str) -> Turn:
        """Return the turn of `call`, to be entered with `with`.

        Raises:
            InsideTick: this thread has the turn: the call comes from inside another one.
            EngineClosed: the engine was closed.
        """
        return Turn(self, call)

    def wait(self, call: str, frame: FrameType) -> None:
        """Wait for the turn; see `take`. `frame` is the call's own."""
        me = threading.get_ident()
        holder = self._holder
        if holder is not None and holder[0] == me:
            if _is_running(holder[1]):
                raise InsideTick(f"{call} was called from inside a tick or another engine call; call it between ticks")
            self.give_back()  # an interrupt struck while an earlier call gave it back
        try:
            self._next.acquire()
            self._turn.acquire()
            self._holder = me, frame
            self._next.release()
            if self.closed:
                raise EngineClosed(f"{call}: the engine was closed")
        except BaseException:
            self.give_back()
            raise

    @property
    def is_mine(self) -> bool:
        """Whether this thread has the turn."""
        holder = self._holder
        return holder is not None and holder[0] == threading.get_ident()

    def give_back(self) -> None:
        """End this thread's turn, whole or half begun. It is done twice: an interrupt strikes only one of them."""
        try:
            self._let_go()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self.is_mine:
            self._holder = None
        for lock in (self._turn, self._next):
            with contextlib.suppress(RuntimeError):  # raised once this thread holds the lock no more
                while True:
                    lock.release()


class Turn:
    """The turn of one call."""

    __slots__ = ("_call", "_frame", "_longest", "_since", "_turns")

    def __init__(self, turns: Turns, call: str) -> None:
        self._turns = turns
        self._call = call
        self._frame: FrameType | None = None
        self._longest = self._since = 0.0

    def __enter__(self) -> Self:
        self._frame = sys._getframe(1)
        self._turns.wait(self._call, self._frame)
        self._since = time.perf_counter()
        return self

    @property
    def longest(self) -> float:
        """How many seconds in a row nobody else could have a turn, at the most so far."""
        return max(self._longest, time.perf_counter() - self._since)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Let others have their turns during a block within this one, and have it again after that.

        It comes back also where an interrupt strikes: what is put in order then must not be done beside others.

        Raises:
            EngineClosed: the engine was closed meanwhile; there is no turn then.
        """
        self._longest = self.longest
        try:
            try:
                self._turns.give_back()
                yield
            finally:
                self._have_again()
        finally:
            self._have_again()  # done twice: an interrupt strikes only one of them

    @put_off()
    def _have_again(self) -> None:
        if not self._turns.is_mine:
            assert self._frame is not None
            self._turns.wait(self._call, self._frame)
            self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._frame = None  # which holds this turn
        try:
            self._turns.give_back()
        finally:
            self._turns.give_back()


def _is_running(frame: FrameType) -> bool:
    """Tell whether a frame is one of those that led here."""
    here: FrameType | None = sys._getframe(1)
    while here is not None and here is not frame:
        here = here.f_back
    return here is frame
