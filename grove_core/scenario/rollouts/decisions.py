"""What an engine told of its rollouts, and whether somebody who was not there could tell from it why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from grove_core.base.comparison import Verdict
from grove_core.base.events import EventKind
from grove_core.sinks.reading import read_events
from grove_core.sinks.recorded import RecordedEvent

if TYPE_CHECKING:
    from pathlib import Path

    from grove_core.base.events import Event

ROLLOUTS = {kind.value for kind in EventKind if kind.value.startswith("rollout_")}
"""The kinds of events that tell of a rollout."""
BY_JUDGES: Mapping[EventKind, Verdict] = {
    EventKind.ROLLOUT_STEP: Verdict.PASS,
    EventKind.ROLLOUT_PROMOTED: Verdict.PASS,
    EventKind.ROLLOUT_FAILED: Verdict.FAIL,
}
"""What the worst verdict must be where a rollout decided by itself."""


@dataclass(frozen=True)
class Decision:
    """One event of a rollout, as JSON has it."""

    kind: str
    at: float
    module: str | None
    version: str | None
    details: Mapping[str, Any]

    @classmethod
    def of(cls, event: Event) -> Decision:
        """Take it from an event."""
        details = msgspec.json.decode(msgspec.json.encode(dict(event.details)))
        version = None if event.version is None else str(event.version)
        return cls(event.kind.value, event.at, event.module, version, details)

    @property
    def rollout(self) -> int:
        """The number of its rollout."""
        return int(self.details["rollout"])

    @property
    def judges(self) -> Mapping[str, Mapping[str, Any]]:
        """What each judge said: `verdict`, `reason` and its figures, by the judge's name."""
        return self.details.get("evidence") or {}

    def lacks(self) -> Iterator[str]:
        """Yield what is missing to understand it, a sentence each."""
        if not self.details.get("reason"):
            yield f"{self.kind} has no reason"
        expected = BY_JUDGES.get(EventKind(self.kind))
        if expected is None:
            return
        if not self.judges:
            yield f"{self.kind} names no judge"
        for name, said in self.judges.items():
            figures = {key: value for key, value in said.items() if key not in {"verdict", "reason"}}
            if not said.get("reason"):
                yield f"{self.kind}: the judge {name} gives no reason"
            if not figures or not all(
                isinstance(each, int | float) and math.isfinite(each) for each in figures.values()
            ):
                yield f"{self.kind}: the judge {name} gives no figures, or such as are none"
        if expected.value not in {said.get("verdict") for said in self.judges.values()}:
            yield f"{self.kind}: no judge says {expected.value}"


def decisions(events: Iterable[Event]) -> list[Decision]:
    """Return what was told of rollouts."""
    return [Decision.of(event) for event in events if event.kind.value in ROLLOUTS]


def written(path: Path) -> list[Decision]:
    """Return what the sink `jsonl` wrote of rollouts.

    Raises:
        OSError: the file cannot be read.
    """
    return [
        Decision(each.kind, each.at, each.module, each.version, each.details)
        for each in read_events(path)
        if isinstance(each, RecordedEvent) and each.kind in ROLLOUTS
    ]
