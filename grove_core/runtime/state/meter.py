"""What one version did, counted as it happens."""

from __future__ import annotations

from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from grove_core.base.comparison import Summary
from grove_core.base.health import Health
from grove_core.base.histogram import Histogram

WINDOW = 4096
"""Of how many ticks the quantiles are taken."""
LATEST = 100
"""Of how many ticks `Health.calls` and `.errors` are, and for how many a failed entity is left out of `.trials`."""
NOBODY = np.empty(0, np.int64)


class Latest(msgspec.Struct, frozen=True):
    """What a version's latest tick came to, its catching up included."""

    tick: int
    ms: float | None
    """How long it took, the longest of its orders; None if it was lost to a fault."""
    entities: int
    """How many rows it was to process."""

    @property
    def lost(self) -> bool:
        """Whether it was lost, if only for some rows."""
        return self.ms is None


class Tally:
    """Values of one name, counted as they are observed."""

    __slots__ = ("count", "spread", "squares", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = self.squares = 0.0
        self.spread = Histogram()

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values, of shape (n,)."""
        self.count += len(values)
        self.total += float(values.sum())
        self.squares += float(np.square(values).sum())
        self.spread.add(values)

    def summary(self) -> Summary:
        """Return what it came to by now."""
        return Summary(self.count, self.total, self.squares, self.spread.copy())

    def since(self, before: Summary | None) -> Summary:
        """Return what came after `before`, a summary of this from an earlier time, or None for the beginning."""
        if before is None:
            return self.summary()
        return Summary(
            self.count - before.count,
            self.total - before.total,
            self.squares - before.squares,
            self.spread.since(before.spread),
        )


class Meter:
    """Totals since the version was loaded, and the durations of its latest ticks in milliseconds."""

    def __init__(self) -> None:
        self.ticks = 0
        self.processed = 0
        self.errors = 0
        self.lost = 0
        """Ticks that were lost to a fault, those in which it had nothing to do left out."""
        self.calls = 0
        """One for each entity and tick, lost ticks included."""
        self.failed_calls = 0
        """Those of `calls` that failed, by the version's own word or because the whole tick was lost."""
        self.durations = Histogram()
        """How long its committed ticks took, in ms."""
        self.observed: dict[str, Tally] = {}
        """What was observed of its entities, by name."""
        self.services = 0
        """How many calls of services it answered."""
        self.services_ms = 0.0
        """How long these took in all."""
        self.latest: Latest | None = None
        """None before the first."""
        self._total_ms = 0.0
        self._recent = np.zeros(WINDOW)
        self._latest: deque[tuple[int, int]] = deque(maxlen=LATEST)
        """Calls and errors of each of the latest ticks."""
        self._recent_calls = self._recent_errors = 0
        """The sums of these."""
        self._trials = self._firsts = self._last_trials = self._streak = 0
        self._marked = NOBODY
        """Entities that failed in this period, ascending."""
        self._marked_until = 0
        """The number of ticks, lost ones included, with which the period ends."""

    def count(self, ms: float, entities: int, failed: NDArray[np.int64] = NOBODY, tick: int = 0) -> None:
        """Count one committed tick.

        Args:
            ms: how long the version took.
            entities: so many rows it had.
            failed: the ids of those that failed by its own word, distinct.
            tick: its number.
        """
        self._recent[self.ticks % WINDOW] = ms
        self._total_ms += ms
        self.durations.count(ms)
        self._came_to(tick, ms, entities)
        self.ticks += 1
        self.processed += entities - len(failed)
        self.errors += len(failed)
        self._streak = 0 if len(failed) else self._streak + 1
        self._note(entities, len(failed))
        self._try(entities, failed)

    def lose(self, entities: int, tick: int = 0) -> None:
        """Count a fault, with which this tick of so many rows was lost; none if it had none to do."""
        self.errors += 1
        self._streak = 0
        if entities:
            self.lost += 1
            self._came_to(tick, None, entities)
            self._note(entities, entities)

    def serve(self, ms: float) -> None:
        """Count a call of a service that was answered."""
        self.services += 1
        self.services_ms += ms

    def observe(self, name: str, values: NDArray[np.float64]) -> None:
        """Count observed values: finite, of shape (n,)."""
        tally = self.observed.get(name)
        if tally is None:
            tally = self.observed[name] = Tally()
        tally.add(values)

    @property
    def health(self) -> Health:
        """How often it failed."""
        return Health(
            self._recent_calls,
            self._recent_errors,
            self.ticks + self.lost,
            self.lost,
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
            self._recent_calls -= old_calls
            self._recent_errors -= old_errors
        self._latest.append((calls, errors))
        self._recent_calls += calls
        self._recent_errors += errors
        self.calls += calls
        self.failed_calls += errors

    def _came_to(self, tick: int, ms: float | None, entities: int) -> None:
        """Note what an order came to; of several in one tick, make one."""
        before = self.latest
        if before is not None and before.tick == tick:
            ms = None if ms is None or before.ms is None else max(ms, before.ms)
            entities += before.entities
        self.latest = Latest(tick, ms, entities)

    def _try(self, entities: int, failed: NDArray[np.int64]) -> None:
        """Count the trials of a tick: an entity that failed before in this period is in none."""
        now = self.ticks + self.lost
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
