"""What is done in a run of `multi-module`, and what is seen of it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Act(StrEnum):
    """What is done with a module."""

    CANARY = "canary"
    CANARY_FAULT = "fault of canary"
    PROMOTION = "new stable"
    ROLLBACK = "rollback"
    UNLOAD = "unload"
    STABLE_FAULT = "fault of stable"


COURSE = (
    Act.CANARY,
    Act.PROMOTION,
    Act.ROLLBACK,
    Act.UNLOAD,
    Act.CANARY,
    Act.CANARY_FAULT,
    Act.CANARY,
    Act.PROMOTION,
    Act.STABLE_FAULT,
)
"""What is done with each module, one after the other; it ends as it began."""
OTHER_STABLE = frozenset({Act.PROMOTION, Act.ROLLBACK, Act.STABLE_FAULT})
"""After these another version is stable, and what needs the module is reloaded."""
FAULTS = frozenset({Act.CANARY_FAULT, Act.STABLE_FAULT})


@dataclass(frozen=True)
class ActSeen:
    """An act, and what came of it."""

    module: str
    act: Act
    ms: float
    """The engine's call, or the tick with the fault."""
    moved: int
    """How many entities of the module changed their version."""
    reloaded: tuple[str, ...]
    """The modules that were reloaded, in their order."""
    waited: int
    """Ticks until they were: a dependent that is busy is reloaded later."""


@dataclass
class MultiModuleSeen:
    """What was seen during a run. Sentences say what is not as it must be."""

    tanks: int
    modules: tuple[str, ...]
    course: tuple[Act, ...]
    entities: Mapping[str, int] = field(default_factory=dict)
    acts: list[ActSeen] = field(default_factory=list)
    tick_ms: array[float] = field(default_factory=lambda: array("d"))
    ticks: int = 0
    in_order: int = 0
    """Ticks in which each module began after the one before it had ended."""
    disorder: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Answers of services that came from another version than that of the entity."""
    compared: int = 0
    """How often a module was compared with the reference, every column of it."""
    touched: list[str] = field(default_factory=list)
    """What an act did to modules that it was not about."""
    reloads_wrong: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    uneven: list[str] = field(default_factory=list)
    faults_wrong: list[str] = field(default_factory=list)
    areas: int = 0
    foreign: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def acts_planned(self) -> int:
        """How many acts there ought to be."""
        return len(self.course) * len(self.modules)
