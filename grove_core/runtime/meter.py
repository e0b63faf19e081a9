"""What one version did, counted as it happens."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from grove_core.base.health import Health

WINDOW = 4096
"""Of how many ticks the quantiles are taken."""
LATEST = 100
"""Of how many ticks `Health.calls` and `.errors` are, and for how many a failed entity is left out of `.trials`."""
NOBODY = np.empty(0, np.int64)


class Meter:
    """Totals since the version was loaded, and the durations of its latest ticks in milliseconds."""

    def __init__(self) -> None:
        self.ticks = 0
        self.processed = 0
        self.errors = 0
        self._total_ms = 0.0
        self._recent = np.zeros(WINDOW)
        self._latest: deque[tuple[int, int]] = deque(maxlen=LATEST)
        """Calls and errors of each of the latest ticks."""
        self._calls = self._errors = 0
        """The sums of these."""
        self._lost = self._trials = self._firsts = self._last_trials = self._streak = 0
        self._marked = NOBODY
        """Entities that failed in this period, ascending."""
        self._marked_until = 0
        """The number of ticks, lost ones included, with which the period ends."""

    def count(self, ms: float, entities: int, failed: NDArray[np.int64] = NOBODY) -> None:
        """Count one committed tick.

        Args:
            ms: how long the version took.
            entities: so many rows it had.
            failed: the ids of those that failed by its own word, distinct.
        """
        self._recent[self.ticks % WINDOW] = ms
        self._total_ms += ms
        self.ticks += 1
        self.processed += entities - len(failed)
        self.errors += len(failed)
        self._streak = 0 if len(failed) else self._streak + 1
        self._note(entities, len(failed))
        self._try(entities, failed)

    def lose(self, entities: int) -> None:
        """Count a fault, with which a tick of so many rows was lost; none if it had none to do."""
        self.errors += 1
        self._streak = 0
        if entities:
            self._lost += 1
            self._note(entities, entities)

    @property
    def health(self) -> Health:
        """How often it failed."""
        return Health(
            self._calls,
            self._errors,
            self.ticks + self._lost,
            self._lost,
            self._trials,
            self._firsts,
            self._last_trials,
            self._streak,
        )

    @property
    def average_ms(self) -> float | None:
        """The mean of all ticks, or None before the first."""
        return self._total_ms / self.ticks if self.ticks else None

    def quantile_ms(self, quantile: float) -> float | None:
        """A quantile (0 to 1) over the latest ticks, or None before the first."""
        recent = self._recent[: min(self.ticks, WINDOW)]
        return float(np.quantile(recent, quantile)) if len(recent) else None

    def _note(self, calls: int, errors: int) -> None:
        if len(self._latest) == LATEST:
            old_calls, old_errors = self._latest[0]
            self._calls -= old_calls
            self._errors -= old_errors
        self._latest.append((calls, errors))
        self._calls += calls
        self._errors += errors

    def _try(self, entities: int, failed: NDArray[np.int64]) -> None:
        """Count the trials of a tick: an entity that failed before in this period is in none."""
        now = self.ticks + self._lost
        if len(self._marked) and now > self._marked_until:
            self._marked = NOBODY
        if not len(failed):
            self._last_trials = max(0, entities - len(self._marked))
            self._trials += self._last_trials
            return
        if not len(self._marked):
            self._marked_until = now + LATEST
        marked = np.union1d(self._marked, failed)
        firsts = len(marked) - len(self._marked)
        self._last_trials = max(firsts, entities - len(self._marked))
        self._trials += self._last_trials
        self._firsts += firsts
        self._marked = marked
