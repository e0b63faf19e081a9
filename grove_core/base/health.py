"""How often a version failed, and what became of one that failed too often."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from packaging.version import Version


@dataclass(frozen=True)
class Health:
    """How often a version failed. A call is one entity in one tick."""

    calls: int = 0
    """In its latest 100 ticks."""
    errors: int = 0
    """Those of `calls` that failed, by its own word or because the whole tick was lost to a fault."""
    ticks: int = 0
    """All its ticks since it was loaded, those that were lost included."""
    lost: int = 0
    """Those of `ticks` that were lost to a fault."""
    trials: int = 0
    """Its calls since it was loaded in ticks that were not lost, those of entities left out that had failed by its own
    word less than 100 of its ticks ago: what one entity does again and again is no news."""
    firsts: int = 0
    """Those of `trials` that failed."""
    last_trials: int = 0
    """Those of `trials` that its last committed tick brought."""
    streak: int = 0
    """Its ticks since the last one that was lost, or in which an entity failed."""


class BreakerState(StrEnum):
    """Whether a version that failed too often gets work."""

    CLOSED = "closed"
    """It works as any."""
    OPEN = "open"
    """It was rolled back, and waits; for good if its attempts are used up."""
    HALF_OPEN = "half_open"
    """It is loaded again, and on trial with a small weight."""


@dataclass(frozen=True)
class BreakerStatus:
    """What became of a version that failed too often."""

    module: str
    version: Version
    state: BreakerState
    until: float | None
    """The clock's time at which an open one is tried again; None if never, or if it is on trial."""
    attempts: int
    """How often it was rolled back."""
    weight: float | None
    """What it gets back once its trial is over; None if somebody set the split meanwhile."""
    reason: str
    """Why it was rolled back the last time."""
