"""An exception that strikes at a chosen place: wherever a line of the engine begins, as an interrupt would."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import grove_core
from grove_core import GroveError

PACKAGE = str(Path(grove_core.__file__).parent)
Place = tuple[str, int]
"""A file of the package, and the number of a line."""


class Struck(MemoryError):
    """What strikes where an error is asked for."""


def error() -> None:
    """Strike as a line does that finds no memory."""
    raise Struck("no memory is left")


def ctrl_c() -> None:
    """Strike as Ctrl-C does: by the signal's handler, which may have been put off."""
    signal.raise_signal(signal.SIGINT)


@contextmanager
def watched(see: Callable[[Place], None]) -> Iterator[None]:
    """Call `see` before each line of the package that this thread comes to."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE):
            return None
        if event == "line":
            see((name[len(PACKAGE) + 1 :], frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def places_of(call: Callable[[], object]) -> list[tuple[Place, int]]:
    """Run a call; return the places that it comes to, in order, each as it is first and as it is last come to."""
    times: dict[Place, int] = {}

    def see(place: Place) -> None:
        times[place] = times.get(place, 0) + 1

    with watched(see):
        call()
    return [(place, nth) for place, last in times.items() for nth in sorted({1, last})]


def strike(call: Callable[[], object], place: Place, nth: int, how: Callable[[], None] = error) -> bool:
    """Run a call, and strike where it comes to a place for the nth time; tell whether that came up out of it."""
    left = nth

    def see(now: Place) -> None:
        nonlocal left
        if now == place:
            left -= 1
            if left == 0:
                how()

    try:
        with watched(see):
            call()
    except (Struck, KeyboardInterrupt, GroveError):  # an error may come up as what it did to a part
        return True
    return False
