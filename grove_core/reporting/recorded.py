"""What the report takes of recorded events and samples: typed, and what is none of it left out."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from packaging.version import InvalidVersion, Version

from grove_core.base.events import EventKind
from grove_core.base.rollouts import RolloutState
from grove_core.sinks.recorded import RecordedEvent, RecordedSample

DECISIONS: Final = frozenset(kind.value for kind in EventKind if kind.value.startswith("rollout_")) | {
    EventKind.GATE_OPENED.value
}
"""The kinds of events that tell of a rollout."""


class Mean(msgspec.Struct, frozen=True):
    """Observed values of one name, since the version was loaded."""

    count: int
    mean: float
    squares: float | None = None


class Reading(msgspec.Struct):
    """One version in one sample: what the report needs of `VersionMetrics`, by the same names."""

    version: str
    entities: int = 0
    traffic_percent_set: float = 0.0
    ticks: int = 0
    processed_entities: int = 0
    p50_process_time_ms: float | None = None
    p99_process_time_ms: float | None = None
    memory_usage_bytes: float | None = None
    uptime_seconds: float = 0.0
    errors: int = 0
    observed: dict[str, Mean] = {}
    calls: int | None = None
    """None in a file that has no such totals."""
    failed_calls: int = 0
    lost_ticks: int = 0
    durations: dict[int, int] = {}
    """Kept of samples beside a decision only: of the others nobody asks, and they are large."""


class Said(msgspec.Struct, frozen=True):
    """What a judge said."""

    verdict: str
    reason: str = ""
    evidence: dict[str, Any] = {}

    @property
    def figures(self) -> dict[str, float]:
        """Those that it rests on, by their names."""
        return {
            name: float(value)
            for name, value in self.evidence.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


class Moment(msgspec.Struct, frozen=True):
    """One sample."""

    at: float
    versions: dict[str, Reading]
    judgements: dict[str, Said]


class Told(msgspec.Struct, frozen=True):
    """The details of an event of a rollout."""

    rollout: int
    plan: str
    stable: str
    state: RolloutState
    step: int
    steps: int
    reason: str = ""
    attempt: int = 1
    evidence: dict[str, dict[str, Any]] = {}
    what: str | None = None
    """The step that it took, in words."""
    weight: float | None = None
    """The canary's in that step."""
    entities: int | None = None
    """How many went back."""
    gate: str | None = None


class Decision(msgspec.Struct, frozen=True):
    """One event of a rollout."""

    at: float
    wall: float
    kind: EventKind
    canary: str
    told: Told
    moments: int
    """How many samples came before it."""

    @property
    def said(self) -> dict[str, Said]:
        """What the judges had said by then."""
        return {
            judge: Said(
                str(figures.get("verdict", "")),
                str(figures.get("reason", "")),
                {name: value for name, value in figures.items() if name not in ("verdict", "reason")},
            )
            for judge, figures in self.told.evidence.items()
        }


class Split(msgspec.Struct, frozen=True):
    """How a module's entities were shared out from then on."""

    at: float
    moments: int
    """How many samples came before it."""
    weights: dict[str, float]
    entities: dict[str, int]


def moment(sample: RecordedSample) -> Moment:
    """Read a sample; versions and judgements that are none are left out."""
    versions: dict[str, Reading] = {}
    for each in sample.versions:
        try:
            reading = msgspec.convert(each, Reading, str_keys=True)
            versions[str(Version(reading.version))] = reading
        except (msgspec.ValidationError, InvalidVersion):
            continue
    judgements: dict[str, Said] = {}
    for name, said in sample.judgements.items():
        try:
            judgements[name] = msgspec.convert(said, Said)
        except msgspec.ValidationError:
            continue
    return Moment(sample.at, versions, judgements)


def decision(event: RecordedEvent, moments: int) -> Decision | None:
    """Read an event of a rollout; None if it is none that is known, or lacks something."""
    if event.kind not in DECISIONS or event.version is None:
        return None
    try:
        told = msgspec.convert(event.details, Told)
        canary = str(Version(event.version))
        Version(told.stable)
    except (msgspec.ValidationError, InvalidVersion):
        return None
    return Decision(event.at, event.wall, EventKind(event.kind), canary, told, moments)


def split(event: RecordedEvent, moments: int) -> Split | None:
    """Read an event that tells of a split; None if it tells of none."""
    if event.kind != EventKind.SPLIT_SET:
        return None
    try:
        return msgspec.convert({**event.details, "at": event.at, "moments": moments}, Split)
    except msgspec.ValidationError:
        return None
