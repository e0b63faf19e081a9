"""One module's live state: the only mutable aggregate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.version import Version

from grove_core.author.schema import Scalar, Schema
from grove_core.base.comparison import Judgement
from grove_core.base.errors import UnknownVersion
from grove_core.base.health import BreakerState, BreakerStatus
from grove_core.base.limits import Limits
from grove_core.base.records import MigrationRecord, Role, VersionRecord, VersionUse
from grove_core.base.versions import Requirement
from grove_core.base.waiting import SystemWaiting, Waiting
from grove_core.memory.arena import Slot
from grove_core.memory.generations import Generations
from grove_core.memory.table import Rows, Table
from grove_core.migration.graph import Accepting, LensGraph, nobody_accepts
from grove_core.migration.rows import OpenRunner, nobody
from grove_core.parts.contracts import GcPolicy, Retry, Router
from grove_core.parts.discovery import resolve_loaded
from grove_core.parts.running import Worker
from grove_core.routing.shares import salt
from grove_core.rules.rule import Rule
from grove_core.runtime.state.directory import Directory
from grove_core.runtime.state.meter import Meter
from grove_core.runtime.state.past import Past
from grove_core.runtime.state.store import Store
from grove_core.wire.messages import Introduced

if TYPE_CHECKING:
    from grove_core.runtime.orders.asks import Problem
    from grove_core.runtime.rows.watch import Watch

HISTORY = 10_000
"""How many migrations a module remembers."""


def nothing_more() -> None:
    """Do what a change of rows alone needs besides."""


class Condition(StrEnum):
    """Whether a module is ticked."""

    RUNNING = "running"
    PAUSED = "paused"
    """No version of its entities runs."""
    STOPPED = "stopped"
    """Somebody paused it, to look at it."""


@dataclass(frozen=True)
class Description:
    """A version as its package tells it: kept also when the version is not loaded."""

    record: VersionRecord
    schema: Schema
    introduced: Introduced


@dataclass(frozen=True)
class Former:
    """A code that a version had before a patch, and what it kept last that is not per entity."""

    description: Description
    document: bytes | None


class Standing(NamedTuple):
    """What those that need a module came up with: which of its versions was stable, and which reload of that."""

    stable: Version
    renewals: int


@dataclass
class LoadedVersion:
    """A version that is loaded: its worker, its memory, its totals."""

    version: Version
    description: Description
    store: Store
    config: dict[str, Any]
    loaded_at: float
    worker: Worker | None = None
    """None once it has failed and was not yet replaced."""
    mapped: Store | None = None
    """The store whose columns the worker was told to map; another one than `store`, or None, until it is ticked."""
    limits: Limits = field(default_factory=Limits)
    newborn: Mapping[str, Scalar] = field(default_factory=dict)
    """What newborn get by its config, where they are not given it: column -> value."""
    failed: Problem | None = None
    """What it did wrong between two ticks, if its worker was ended for that: a fault of the next tick."""
    orders: int = 0
    """How many orders to process it was given."""
    calls: int = 0
    """How many calls of its services it was asked to answer."""
    directory: Directory = field(default_factory=Directory)
    """Where its entities are, for those calls."""
    document: bytes | None = None
    document_ahead: bool = False
    """Whether its worker's document has a tick that was taken back."""
    idle_since: float | None = None
    restarts: int = 0
    idle_asked: bool = False
    """Whether the worker owes an answer to `AskIdle`."""
    held: str | None = None
    """Why it was last kept from being collected."""
    output: str = ""
    output_dropped: int = 0
    output_logged_at: float = 0.0
    last_words: str = ""
    """The end of its output, kept where columns are fenced."""
    meter: Meter = field(default_factory=Meter)
    weighed: tuple[float, int | None] | None = None
    """When its memory was last measured for a comparison, by the clock, and what came of it."""
    bases: dict[str, Standing] = field(default_factory=dict)
    """The modules that it needs, as they were when its worker came up."""
    former: list[Former] = field(default_factory=list)
    """The codes that it had before its patches, the first one first: a patch can be undone."""
    replaced: Worker | None = None
    """The worker that it had before it was reloaded, until that has ended; its own where it was not."""
    renewals: int = 0
    """How often it was reloaded because of its bases: what needs it is reloaded then too."""
    unmet: frozenset[str] = frozenset()
    """The requirements that were told of as met no more."""

    @property
    def schema(self) -> Schema:
        """The columns its author wrote."""
        return self.description.schema

    @property
    def table(self) -> Table:
        """Its rows."""
        return self.store.table

    @property
    def generations(self) -> Generations:
        """Its rows as they were before the last ticks."""
        return self.store.generations

    @property
    def count(self) -> int:
        """How many entities it has."""
        return self.store.table.count


@dataclass(frozen=True)
class Adoption:
    """A version takes over all rows of another by taking over its memory; nothing that stays is copied."""

    source: Version
    target: Version
    given: Store
    """What the target has afterwards: the source's arena, laid out for the target's schema."""
    left: Store
    """What the source has afterwards: an empty store."""
    obsolete: Store
    """The target's memory until now, which was empty."""
    unused: tuple[Slot, ...]
    """Slots of the arena that nobody needs afterwards."""
    rows: int
    arrival: int
    origin: int
    pinned: int | None
    """What all rows are afterwards; None keeps what they were."""


@dataclass(frozen=True)
class Replacement:
    """A version goes on with another store, in which all of its rows were written anew."""

    version: Version
    given: Store
    """What it has afterwards; its rows are counted by the intent."""
    obsolete: Store
    """What it had until now."""


@dataclass(frozen=True)
class Intent:
    """Row changes that were decided: for each version, its rows in all once appended, and those to be removed.

    Written down before anything is published, and idempotent: it can be replayed after an interruption.
    """

    totals: Mapping[Version, int]
    removed: Mapping[Version, tuple[Rows, ...]]
    adoptions: tuple[Adoption, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    then: Callable[[], None] = nothing_more
    """What belongs to the change besides rows: weights, trust, the history. Done last; twice is once."""


@dataclass(frozen=True)
class LiveRule:
    """A rule that pins every entity it is true of."""

    number: int
    mark: int
    """What stands in the column `PINNED` of an entity that it pins, which is then in its version."""
    version: Version
    rule: Rule
    """Over the columns of its version."""


class ModuleState:
    """Everything that is true of one module now."""

    def __init__(self, name: str, router: Router, accepting: Accepting = nobody_accepts) -> None:
        self.name = name
        self.router = router
        self.salt = salt(name)
        self.versions: dict[Version, LoadedVersion] = {}
        self.weights: dict[Version, float] = {}
        self.stable: Version | None = None
        self.previous: Version | None = None
        self.trusted_until: dict[Version, float] = {}
        """The clock's time at which another version took over from one that was stable, and good."""
        self.quarantined: set[Version] = set()
        self.condition = Condition.RUNNING
        self.graph = LensGraph(name, accepting)
        self.open_runner: OpenRunner = nobody
        """Gives what runs the functions on the way of rows."""
        self.waiting: Waiting = SystemWaiting()
        self.descriptions: dict[Version, Description] = {}
        self.described: set[Version] = set()
        """Installed versions whose lenses were read, or could not be, without loading them."""
        self.configs: dict[Version, dict[str, Any]] = {}
        self.limits: dict[Version, Limits] = {}
        """As with `configs`: also of versions that are not loaded any more."""
        self.documents: dict[Version, bytes] = {}
        """The last document of each version that is not loaded any more."""
        self.codes: list[Version] = []
        """The versions that origins are written as, by index."""
        self.split_number = 0
        self.next_id = 1
        self.history: deque[MigrationRecord] = deque(maxlen=HISTORY)
        self.gc_policy: GcPolicy | None = None
        self.intent: Intent | None = None
        self.breakers: dict[Version, BreakerStatus] = {}
        """The versions that failed too often, and were not loaded by anybody since."""
        self.retries: dict[Version, Retry] = {}
        """How each of them is tried again."""
        self.judgements: Mapping[str, Judgement] = {}
        """What judges make of its canary while a rollout lasts, by their names. Replaced as a whole, never changed."""
        self.pin_rules: tuple[LiveRule, ...] = ()
        """The first that is true of an entity has it. None names a version that is not loaded."""
        self.rule_number = 0
        """The number of the latest rule."""
        self.past = Past()
        """Older states of it, where the settings keep some."""
        self.watch: Watch | None = None
        """Notes who fails for the first time, while a comparison is on."""

    def resolve(self, requirement: Requirement) -> LoadedVersion:
        """Return the loaded version that fits.

        Raises:
            UnknownVersion, AmbiguousVersion, InvalidRequirement: none fits, several do, or it is unreadable.
        """
        return self.versions[resolve_loaded(self.name, self.versions, requirement)]

    @property
    def stable_version(self) -> LoadedVersion:
        """The trusted version."""
        if self.stable is None or self.stable not in self.versions:
            raise UnknownVersion("no version is stable; load one", module=self.name)
        return self.versions[self.stable]

    @property
    def ordered(self) -> list[LoadedVersion]:
        """The loaded versions, lowest first."""
        return [self.versions[version] for version in sorted(self.versions)]

    @property
    def population(self) -> int:
        """How many entities the module has."""
        return sum(loaded.count for loaded in self.versions.values())

    def code(self, version: Version) -> int:
        """Return the number that stands for `version` in the column of origins."""
        if version not in self.codes:
            self.codes.append(version)
        return self.codes.index(version)

    def role(self, version: Version) -> Role:
        """Return what a loaded version is to the module."""
        if version == self.stable:
            return Role.STABLE
        if version == self.previous:
            return Role.PREVIOUS
        busy = self.weights.get(version, 0.0) > 0 or self.versions[version].count
        return Role.CANARY if busy else Role.IDLE

    def breaker(self, version: Version) -> BreakerState:
        """Return whether a version works as any, waits, or is on trial."""
        status = self.breakers.get(version)
        return BreakerState.CLOSED if status is None else status.state

    def uses(self) -> tuple[VersionUse, ...]:
        """Return how each loaded version is used."""
        return tuple(
            VersionUse(
                self.name,
                loaded.version,
                self.role(loaded.version),
                self.weights.get(loaded.version, 0.0),
                loaded.count,
                loaded.idle_since,
                loaded.restarts,
                loaded.meter.health,
                self.breaker(loaded.version),
            )
            for loaded in self.ordered
        )

    def note_idle(self, now: float) -> None:
        """Note since when each version has had neither weight nor entities."""
        for loaded in self.versions.values():
            if loaded.count or self.weights.get(loaded.version, 0.0) > 0:
                loaded.idle_since = None
                loaded.held = None
            elif loaded.idle_since is None:
                loaded.idle_since = now
