"""What one version did, summed up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.version import Version


@dataclass(frozen=True)
class Average:
    """Observed values of one name, in short."""

    count: int
    mean: float
    squares: float | None = field(default=None, compare=False)
    """The sum of their squares; with it there is an interval for the mean."""


@dataclass(frozen=True)
class VersionMetrics:
    """What one version did since it was loaded."""

    version: Version
    entities: int
    traffic_percent: float
    """The share of the module's entities it has; 0 where the module has none."""
    traffic_percent_set: float
    """The share it was given by the split."""
    ticks: int
    processed_entities: int
    """Cumulative: one for each entity and committed tick."""
    avg_process_time_ms: float | None
    p50_process_time_ms: float | None
    p99_process_time_ms: float | None
    """Over the latest 4,096 ticks."""
    memory_usage_bytes: int | None
    """Process and tables, see `Memory`."""
    uptime_seconds: float
    errors: int
    """Faults, and entities the version said had failed."""
    module: str = ""
    observed: Mapping[str, Average] = field(default_factory=dict)
    """What was observed of its entities, by name; see `observe`."""
    calls: int = 0
    """One for each entity and tick, lost ticks included."""
    failed_calls: int = 0
    """Those of `calls` that failed, by the version's own word or because the whole tick was lost."""
    lost_ticks: int = 0
    """Ticks that were lost to a fault."""
    durations: Mapping[int, int] = field(default_factory=dict)
    """How long its committed ticks took, in ms: bucket of `Histogram` -> count; `Histogram.of_buckets` reads it."""
    service_calls: int = 0
    """Calls of its services that it answered."""
    avg_service_ms: float | None = None
    """How long it took for one of them."""
