"""Signals at a moment when something must be done to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from types import FrameType, TracebackType

Handler = Callable[[int, FrameType | None], object]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
"""The signals whose handlers may raise in a program: Ctrl-C, and what programs commonly handle."""
SIGNALS = tuple(signal.Signals[name] for name in NAMES if name in signal.Signals.__members__)


class put_off(ContextDecorator):  # noqa: N801  used as a function is, as contextlib's own
    """Put signals that the program handles in Python off until the end of the block: handlers may raise only then.

    Only the main thread is ever interrupted; elsewhere this does nothing. Blocks may stand within each other.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._noted: list[tuple[int, FrameType | None]] = []

    def _recreate_cm(self) -> put_off:
        return put_off()

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        except BaseException:
            self._put_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        handlers = self._put_back()
        for number, frame in self._noted:
            handlers[number](number, frame)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted.append((number, frame))

    def _put_back(self) -> dict[int, Handler]:
        handlers, self._handlers = self._handlers, {}
        for number in reversed(handlers):  # Ctrl-C last: it may strike at once, and the others must be back by then
            signal.signal(number, handlers[number])
        return handlers
