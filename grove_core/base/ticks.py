"""What a tick tells in detail: its stages, when each version was asked and answered, what a fault did to its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray
from packaging.version import Version


class Stage(StrEnum):
    """The stages of a tick, in their order."""

    CHECKPOINT = "checkpoint"
    """What workers can change is copied into the generation."""
    WORK = "work"
    """Orders are sent, and answers waited for."""
    COMMIT = "commit"
    """Answers are validated and carried out; what failed is contained, and its rows catch up."""
    COLLECT = "collect"
    """Versions that nobody uses are unloaded, and those that failed too often are tried again."""


@dataclass(frozen=True)
class VersionTime:
    """One order to one version in one tick. Times are in ms since the tick began."""

    module: str
    version: Version
    entities: int
    catching_up: bool
    """Whether its rows redid the tick, after a fault."""
    sent_ms: float
    answered_ms: float | None
    """None if no answer came."""
    process_ms: float | None
    """How long its own code took, as its worker measured it; None if it did not say."""


@dataclass(frozen=True, eq=False)
class FaultRows:
    """The rows of a faulted version, copied: column -> values of shape (entities,), `id` among them, in one order."""

    before: Mapping[str, NDArray[Any]]
    """As the last tick left them."""
    after: Mapping[str, NDArray[Any]]
    """As its worker left them, before they were restored."""
