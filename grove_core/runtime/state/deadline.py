"""A limit on what takes several steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from grove_core.base.waiting import Waiting


class Deadline:
    """A limit on several steps together, by the time that deadlines are held by."""

    def __init__(self, waiting: Waiting, seconds: float) -> None:
        self.seconds = seconds
        self._waiting = waiting
        self._end = waiting.now() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at the least."""
        return max(0.0, self._end - self._waiting.now())

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out the time of a block, in which others are waited for."""
        began = self._waiting.now()
        yield
        self._end += self._waiting.now() - began
