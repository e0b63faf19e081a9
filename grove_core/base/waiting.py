"""How the engine waits for several workers at once, and holds them to deadlines."""

from __future__ import annotations

import select
import time
from typing import Protocol


class Poll(Protocol):
    """Waits for descriptors; what `select.poll` does."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor."""
        ...

    def unregister(self, descriptor: int, /) -> None:
        """Watch it no more."""
        ...

    def poll(self, milliseconds: float, /) -> list[tuple[int, int]]:
        """Return what is ready, waiting up to so long for the first; those that are ready come even with 0."""
        ...


class Waiting(Protocol):
    """The time by which deadlines are held, and polls that know it."""

    def now(self) -> float:
        """Return monotonic seconds from any fixed origin."""
        ...

    def poll(self) -> Poll:
        """Return a poll that watches nothing yet."""
        ...


class SystemWaiting:
    """The machine's own time, and its own poll."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.perf_counter()

    def poll(self) -> Poll:
        """Return a `select.poll`."""
        return select.poll()
