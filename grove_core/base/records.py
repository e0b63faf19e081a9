"""What calls return and what plugins are shown: frozen, measured, `None` where nothing could be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from packaging.version import Version

from grove_core.base.health import BreakerState, Health
from grove_core.base.kept import Restored
from grove_core.base.ticks import FaultRows, Stage, VersionTime


@dataclass(frozen=True)
class VersionRecord:
    """One installed version of a module, as its metadata tells it; nothing was imported."""

    module: str
    version: Version | None
    distribution: str
    entry_point: str
    """The entry point's value, such as `gamelogic_v2:GameLogic`."""
    location: str
    """The folder the distribution is installed in."""
    path: tuple[str, ...] = ()
    """Folders that the worker puts before its own `sys.path`; empty for what is installed."""
    error: str | None = None
    """Why the record is broken, or None."""
    dist_info: str = field(default="", compare=False)
    """The folder of the distribution's metadata: what is loaded is a copy of its files, as these tell them. Empty for a
    version that is no distribution of its own: that runs from where it lies."""


class Role(StrEnum):
    """What a loaded version is to its module."""

    STABLE = "stable"
    PREVIOUS = "previous"
    CANARY = "canary"
    IDLE = "idle"


class MoveCause(StrEnum):
    """Why entities changed their version."""

    SPLIT = "split"
    MIGRATE = "migrate"
    PIN = "pin"
    FAULT = "fault"
    ROLLBACK = "rollback"
    ROLLOUT = "rollout"
    """A rollout failed, was aborted or undone. What it gives to a canary comes with a split."""


class FaultKind(StrEnum):
    """What a version did wrong. The last four are limits that it went over, see `Limits`."""

    RAISE = "raise"
    WRONG_REPLY = "wrong_reply"
    DEADLINE = "deadline"
    DEATH = "death"
    RULE = "rule"
    ERRORS = "errors"
    """By its own word too many of its entities failed; the fault policy found that, and their ticks stand."""
    MEMORY = "memory"
    CPU = "cpu"
    DESCRIPTORS = "descriptors"
    OUTPUT = "output"


@dataclass(frozen=True)
class Fault:
    """One fault of one version."""

    module: str
    version: Version
    kind: FaultKind
    message: str
    tick: int
    entities: int
    """How many rows it had at hand."""
    traceback: str | None = None
    rows: FaultRows | None = field(default=None, compare=False, repr=False)
    """What it did to them; only where somebody asked for it, see `DebugEngine.break_on_fault`."""


@dataclass(frozen=True)
class VersionUse:
    """How a loaded version is used now: what policies decide by."""

    module: str
    version: Version
    role: Role
    weight: float
    entities: int
    idle_since: float | None
    """The clock's time since when it has had neither weight nor entities, or None."""
    restarts: int
    """How often it was restarted since its last good tick."""
    health: Health = field(default_factory=Health)
    breaker: BreakerState = BreakerState.CLOSED


@dataclass(frozen=True)
class LoadReport:
    """A version was loaded and is ready."""

    module: str
    version: Version
    distribution: str
    ms: float
    """From the call until ready."""
    ready_ms: float
    """Of these, from the order to a worker until it was ready: metadata was read before."""
    pulled_in: tuple[LoadReport, ...] = ()
    """What was loaded before it because it is needed, in the order in which it was loaded."""


@dataclass(frozen=True)
class Memory:
    """What a version holds, measured, in bytes."""

    pss: int | None
    """The process's proportional share: what is its own, and its part of what it shares. Tables left out."""
    private: int | None
    """What the process wrote and shares with no other: what must come back when it ends."""
    tables: int
    """Pages of its columns and of their generations."""

    @property
    def total(self) -> int:
        """The process's share and the tables."""
        return (self.pss or 0) + self.tables


@dataclass(frozen=True)
class UnloadReport:
    """A version was unloaded, by hand or by collection."""

    module: str
    version: Version
    had: Memory
    returned_bytes: int | None
    """What came back: the pages that the tables gave back, and by how much the anonymous memory of all workers
    and their zygote shrank."""
    ms: float
    idle_seconds: float | None
    """How long it had been unused when it was collected; None if it was unloaded by hand."""


@dataclass(frozen=True)
class SplitReport:
    """A split was met."""

    module: str
    weights: Mapping[Version, float]
    entities: Mapping[Version, int]
    moved: int
    normalised_from: float | None
    """The sum of the weights that were given, where it was not 1."""
    pinned_excess: Mapping[Version, int]
    """By how many pinned entities a version is over its share."""
    ms: float


@dataclass(frozen=True)
class MigrationRecord:
    """Entities changed their version."""

    module: str
    from_version: Version
    to_version: Version
    at: float
    """The clock's time."""
    cause: MoveCause
    entities: int
    path: tuple[Version, ...]
    """The versions whose schemas the rows went through, both ends included."""
    ms: float
    number: int
    """The number of the change that this was part of, from 1 on: what one call moves has one number."""
    forced: bool
    """Whether no function led that way: what the rows carried was taken, else defaults."""


@dataclass(frozen=True)
class Explanation:
    """Why an entity is in the version it is in. `print` it to read it as sentences."""

    module: str
    id: int
    version: Version
    role: Role
    pinned: bool
    number: int
    """The number of the change that brought it there; 0 if it was born there."""
    origin: Version | None
    """The version it came from; None if it was born where it is."""
    move: MigrationRecord | None
    """The change that brought it there; None if it was born there, or the history does not hold that change."""
    weight: float
    """The version's, from 0 to 1."""
    entities: int
    """How many the version has."""
    population: int
    """How many the module has."""
    router: str
    """The name of the router that decides at the next split."""
    carried: Mapping[Version, tuple[str, ...]]
    """What the row carries and its version does not know: whose columns, and their names."""
    at: float
    """The clock's time of this answer."""
    text: str
    """All of it as plain sentences, one a line."""
    rule: PinRule | None = None
    """The rule that pins it; None if it is not pinned, or by its id."""

    @property
    def share(self) -> float:
        """The version's part of the module's entities, from 0 to 1."""
        return self.entities / self.population

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PinRule:
    """A rule that fixes every entity it is true of to a version."""

    module: str
    number: int
    """From 1 on; of several rules that are true of an entity the one with the lowest number has it."""
    rule: str
    version: Version
    entities: int
    """How many it pins now."""


@dataclass(frozen=True)
class MigrationReport:
    """`migrate_state` moved every entity of a version."""

    module: str
    from_version: Version
    to_version: Version
    entities: int
    path: tuple[Version, ...]
    ms: float
    forced: bool
    """Whether no function led that way: what the rows carried was taken, else defaults."""


@dataclass(frozen=True)
class RollbackStep:
    """One step of a rollback."""

    name: str
    ms: float


@dataclass(frozen=True)
class RollbackReport:
    """Entities went back to an earlier version."""

    module: str
    from_versions: tuple[Version, ...]
    target: Version
    fault: Fault | None
    """What caused it; None if it was done by hand."""
    entities: int
    reloaded: bool
    """Whether the target had to be loaded."""
    steps: tuple[RollbackStep, ...]
    """backup (the rows are as the last commit left them), reload, restore (they are the target's), redirect."""
    rollback_ms: float
    """From the decision until the target was ready with the state."""
    downtime_ms: float | None
    """From the fault, its detection included, until those entities' next committed tick. None when they have
    not been ticked since; by hand, what the call took."""
    within_limit: bool | None
    """Whether the downtime stayed within the limit; None where there is no downtime to hold against it."""
    restored: Restored | None = None
    """What became of the entities where it went back to a generation; None where they kept their values."""


@dataclass(frozen=True)
class TickReport:
    """One tick."""

    number: int
    ms: float
    entities: int
    """Entities whose tick was committed."""
    skipped: int
    """Entities that had no tick: recovered without catch-up, failed, or of a paused module."""
    faults: tuple[Fault, ...] = ()
    rollbacks: tuple[RollbackReport, ...] = ()
    collected: tuple[UnloadReport, ...] = ()
    stages: Mapping[Stage, float] = field(default_factory=dict)
    """How long each stage took, in ms."""
    versions: tuple[VersionTime, ...] = ()
    """When each version was asked and answered, in the order in which they were asked."""
    paused: str | None = None
    """Why nothing was ticked: somebody paused the engine. None where it ticked."""
    levels: tuple[tuple[str, ...], ...] = ()
    """The modules that were ticked, in groups that worked at the same time: those that others need came before them."""
