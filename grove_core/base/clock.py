"""The injected clock. It decides (idle, uptime); the monotonic clock measures and holds deadlines."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds from any fixed origin, never going back."""

    def now(self) -> float:
        """Return the time in seconds."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is set, for simulations and tests."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the time it was last set to, in seconds."""
        return self._now

    def set(self, now: float) -> None:
        """Move to `now`; an earlier time is refused.

        Raises:
            ValueError: `now` lies before the present time.
        """
        if not now >= self._now:
            raise ValueError(f"the clock shows {self._now} s and cannot go back to {now} s")
        self._now = now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        self.set(self._now + seconds)
