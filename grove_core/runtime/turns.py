"""Whose turn it is: engine calls from any thread, one at a time, between ticks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from grove_core.base.errors import EngineClosed, InsideTick


class Turns:
    """A fair lock: whoever waits gets the next turn, also against a loop that ticks without a pause."""

    def __init__(self) -> None:
        self._next = threading.Lock()
        self._turn = threading.RLock()
        self._holder: int | None = None
        self.closed = False

    @contextmanager
    def take(self, call: str) -> Iterator[None]:
        """Wait for the turn of `call`.

        Raises:
            InsideTick: this thread has the turn: the call comes from inside another one.
            EngineClosed: the engine was closed.
        """
        me = threading.get_ident()
        if self._holder == me:
            raise InsideTick(f"{call} was called from inside a tick or another engine call; call it between ticks")
        try:
            with self._next:
                self._turn.acquire()
            self._holder = me
            if self.closed:
                raise EngineClosed(f"{call}: the engine was closed")
            yield
        finally:
            self._give_back(me)

    def _give_back(self, me: int) -> None:
        """End this thread's turn, wherever an interrupt struck: before it began, or while an earlier one ended."""
        if self._holder == me:
            self._holder = None
        with contextlib.suppress(RuntimeError):  # raised once this thread holds the lock no more
            while True:
                self._turn.release()
