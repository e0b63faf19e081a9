"""What one version did, counted as it happens."""

from __future__ import annotations

import numpy as np

WINDOW = 4096
"""Of how many ticks the quantiles are taken."""


class Meter:
    """Totals since the version was loaded, and the durations of its latest ticks in milliseconds."""

    def __init__(self) -> None:
        self.ticks = 0
        self.processed = 0
        self.errors = 0
        self._total_ms = 0.0
        self._recent = np.zeros(WINDOW)

    def count(self, ms: float, entities: int) -> None:
        """Count one committed tick."""
        self._recent[self.ticks % WINDOW] = ms
        self._total_ms += ms
        self.ticks += 1
        self.processed += entities

    @property
    def average_ms(self) -> float | None:
        """The mean of all ticks, or None before the first."""
        return self._total_ms / self.ticks if self.ticks else None

    def quantile_ms(self, quantile: float) -> float | None:
        """A quantile (0 to 1) over the latest ticks, or None before the first."""
        recent = self._recent[: min(self.ticks, WINDOW)]
        return float(np.quantile(recent, quantile)) if len(recent) else None
