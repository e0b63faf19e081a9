"""Ctrl-C at a moment when something must be done to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class _Noted:
    """Handles Ctrl-C by noting it."""

    frame: FrameType | None = None
    struck = False

    def __call__(self, _: int, frame: FrameType | None) -> None:
        self.struck, self.frame = True, frame


@contextmanager
def put_off() -> Iterator[None]:
    """Put Ctrl-C off until the end of the block: its handler is called, and may raise, only then.

    Only the main thread is ever interrupted; elsewhere this does nothing. Blocks may stand within each other.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted = _Noted()
    handler: Callable[[int, FrameType | None], object] | int | None = signal.signal(signal.SIGINT, noted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
        if noted.struck and handler != signal.SIG_IGN:
            if callable(handler):
                handler(signal.SIGINT, noted.frame)
            else:
                signal.raise_signal(signal.SIGINT)
