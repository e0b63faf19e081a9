"""Events and samples as lines of JSON: how they are written, and what is read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import msgspec
import numpy as np

from grove_core.base.events import Event
from grove_core.base.histogram import Histogram
from grove_core.base.metrics import VersionMetrics
from grove_core.base.samples import Sample
from grove_core.base.showing import brief

DEPTH: Final = 20
"""So deep what an event tells is written as it is; what lies deeper is written as text."""
WIDTH: Final = 1000
"""So many values of one array are written; of the others only how many there are."""


class RecordedEvent(msgspec.Struct, frozen=True, tag_field="type", tag="event"):
    """An event, as it was written."""

    wall: float
    """Seconds since 1970."""
    at: float
    """The engine's clock's time, in seconds."""
    kind: str
    """One of `EventKind`, or what a later version of Grove tells."""
    module: str | None = None
    version: str | None = None
    details: dict[str, Any] = {}


class RecordedSample(msgspec.Struct, frozen=True, tag_field="type", tag="sample"):
    """A sample, as it was written."""

    wall: float
    at: float
    module: str
    versions: tuple[dict[str, Any], ...]
    """The fields of `VersionMetrics`, the version as text."""
    judgements: dict[str, Any] = {}
    """For each judge `verdict`, `reason` and `evidence`."""


Recorded = RecordedEvent | RecordedSample
_DECODER: Final[msgspec.json.Decoder[Recorded]] = msgspec.json.Decoder(Recorded)


def line_of(item: Event | Sample) -> bytes:
    """Return an event or a sample as one line of JSON, its end included. What JSON has no form for becomes text."""
    recorded = _event(item) if isinstance(item, Event) else _sample(item)
    return msgspec.json.encode(recorded) + b"\n"


def parse(line: bytes) -> Recorded:
    """Read one line.

    Raises:
        ValueError: it is no event and no sample; says where.
    """
    try:
        return _DECODER.decode(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def plain(value: Any, depth: int = DEPTH) -> Any:
    """Return a value as JSON has it, or as near as may be: versions, and whatever else has no form, become text."""
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)  # a numpy.float64 is one too, and JSON has no form for it
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 64 else brief(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")  # half of a surrogate pair is no text
    if isinstance(value, np.generic):
        return plain(value.item(), depth) if isinstance(value, np.bool_ | np.number) else str(value)
    if depth == 0:
        return brief(value)
    return _deep(value, depth - 1)


def _deep(value: Any, depth: int) -> Any:
    if isinstance(value, Histogram):
        return {name: value.quantile(part) for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name), depth) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(name): plain(each, depth) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return _some(value.ravel().tolist()) if value.size > WIDTH else plain(value.tolist(), depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, depth) for each in value]
    return _text(value)


def _key(name: Any) -> str:
    return _text(name.value if isinstance(name, Enum) else name)


def _some(values: list[Any]) -> list[Any]:
    return [*plain(values[:WIDTH], 1), f"... and {len(values) - WIDTH} more"]


def _text(value: Any) -> str:
    try:
        return str(plain(str(value)))
    except Exception:
        return brief(value)


def _event(event: Event) -> RecordedEvent:
    version = None if event.version is None else str(event.version)
    details = {_key(name): plain(value) for name, value in event.details.items()}
    return RecordedEvent(event.wall, float(event.at), event.kind.value, event.module, version, details)


def _sample(sample: Sample) -> RecordedSample:
    return RecordedSample(
        sample.wall, float(sample.at), sample.module, tuple(map(_version, sample.versions)), plain(sample.judgements)
    )


def _version(metrics: VersionMetrics) -> dict[str, Any]:
    """Return a version's metrics; of `durations` there are hundreds, and each is a pair of integers already."""
    return {**plain(dataclasses.replace(metrics, durations={})), "durations": metrics.durations}
