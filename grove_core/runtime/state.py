"""One module's live state: the only mutable aggregate."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID, ID_DTYPE, Schema
from grove_core.base.errors import UnknownVersion
from grove_core.base.records import MigrationRecord, Role, VersionRecord, VersionUse
from grove_core.base.versions import Requirement
from grove_core.memory.generations import Generations
from grove_core.memory.table import Table
from grove_core.migration.graph import LensGraph
from grove_core.migration.rows import Carried
from grove_core.parts.contracts import GcPolicy, Router, Worker
from grove_core.parts.discovery import resolve_loaded
from grove_core.routing.shares import salt
from grove_core.runtime.meter import Meter
from grove_core.wire.messages import Introduced

HISTORY = 10_000
"""How many migrations a module remembers."""
ARRIVAL = "grove.arrival"
ORIGIN = "grove.origin"
PINNED = "grove.pinned"
ENGINE_COLUMNS: dict[str, np.dtype[Any]] = {
    ARRIVAL: np.dtype("<i8"),
    ORIGIN: np.dtype("<i4"),
    PINNED: np.dtype("?"),
}
"""Columns that every table has besides its schema's; no worker maps them, and no schema can name them."""


class Condition(StrEnum):
    """Whether a module is ticked."""

    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True)
class Description:
    """A version as its package tells it: kept also when the version is not loaded."""

    record: VersionRecord
    schema: Schema
    introduced: Introduced


@dataclass
class LoadedVersion:
    """A version that is loaded: its worker, its memory, its totals."""

    version: Version
    description: Description
    table: Table
    generations: Generations
    config: dict[str, Any]
    loaded_at: float
    worker: Worker | None = None
    """None once it has failed and was not yet replaced."""
    document: bytes | None = None
    carried: dict[Carried, tuple[str, str, str | None]] = field(default_factory=dict)
    """What its table carries, and the slots for it: value, valid, image."""
    idle_since: float | None = None
    restarts: int = 0
    idle_asked: bool = False
    """Whether the worker owes an answer to `AskIdle`."""
    held: str | None = None
    """Why it was last kept from being collected."""
    output: str = ""
    output_dropped: int = 0
    output_logged_at: float = 0.0
    meter: Meter = field(default_factory=Meter)

    @property
    def schema(self) -> Schema:
        """The columns its author wrote."""
        return self.description.schema

    @property
    def count(self) -> int:
        """How many entities it has."""
        return self.table.count

    @property
    def memory_bytes(self) -> int:
        """The pages of its table and generations."""
        return self.table.bytes + self.generations.bytes


@dataclass(frozen=True)
class Intent:
    """Row changes that were decided: for each version, its rows in all once appended, and those to be removed.

    Written down before anything is published, and idempotent: it can be replayed after an interruption.
    """

    totals: Mapping[Version, int]
    removed: Mapping[Version, NDArray[np.int64]]


class ModuleState:
    """Everything that is true of one module now."""

    def __init__(self, name: str, router: Router) -> None:
        self.name = name
        self.router = router
        self.salt = salt(name)
        self.versions: dict[Version, LoadedVersion] = {}
        self.weights: dict[Version, float] = {}
        self.stable: Version | None = None
        self.previous: Version | None = None
        self.quarantined: set[Version] = set()
        self.condition = Condition.RUNNING
        self.graph = LensGraph(name)
        self.descriptions: dict[Version, Description] = {}
        self.described: set[Version] = set()
        """Installed versions whose lenses were read, or could not be, without loading them."""
        self.configs: dict[Version, dict[str, Any]] = {}
        self.documents: dict[Version, bytes] = {}
        """The last document of each version that is not loaded any more."""
        self.codes: list[Version] = []
        """The versions that origins are written as, by index."""
        self.split_number = 0
        self.next_id = 1
        self.history: deque[MigrationRecord] = deque(maxlen=HISTORY)
        self.gc_policy: GcPolicy | None = None
        self.intent: Intent | None = None

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


def table_columns(schema: Schema) -> dict[str, np.dtype[Any]]:
    """Return the columns of a new table for a schema: id, the schema's, the engine's."""
    return {ID: ID_DTYPE, **schema.dtypes, **ENGINE_COLUMNS}


def mutable_columns(schema: Schema) -> dict[str, np.dtype[Any]]:
    """Return the columns that a worker may write."""
    return {spec.name: spec.dtype for spec in schema.specs if not spec.constant}
