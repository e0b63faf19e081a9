"""What sinks are given besides events: how a module does, once in a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grove_core.base.comparison import Judgement
from grove_core.base.metrics import VersionMetrics


@dataclass(frozen=True)
class Sample:
    """How one module does at one moment."""

    module: str
    at: float
    """The injected clock's time, in seconds."""
    wall: float
    """Seconds since 1970, by the machine's clock: what other programs know this moment as."""
    versions: tuple[VersionMetrics, ...]
    """Every loaded version, the lowest first."""
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    """What the judges make of the canary while a rollout lasts, by their names."""
