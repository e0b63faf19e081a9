"""Every error that Grove raises, in one tree.

GroveError
├── NotFound
│   ├── UnknownModule            no such module is installed or loaded
│   ├── UnknownVersion           no such version is installed or loaded
│   ├── UnknownEntity            an id that is not alive
│   ├── UnknownGeneration        no generation with this number is kept
│   ├── UnknownRollout           no rollout of this module was started
│   └── UnknownPart              settings name a router, policy ... that no plugin registers
├── InvalidInput
│   ├── InvalidRequirement       not a version, not a specifier
│   ├── AmbiguousVersion         a requirement that fits two loaded versions
│   ├── InvalidWeights           negative, NaN, empty, far from 1
│   ├── InvalidColumns           other names, lengths or types than the schema's
│   ├── DuplicateEntity          an id that lives already, or twice in one call
│   ├── InvalidRule              a rule for pins that cannot be read, or names what is not there
│   ├── InvalidConfig            a config that is not as the module describes it
│   ├── InvalidPlan              a plan of a rollout that cannot be carried out
│   └── SettingsError            a settings file that does not fit
├── PackageError
│   ├── BrokenPackage            metadata that cannot be read
│   ├── UnsettledPackage         files that change while they are copied, or are not those of a RECORD
│   ├── ConflictingPackages      two distributions claim one version or one import package
│   ├── SchemaError              a schema that cannot be laid out
│   ├── LensError                a lens whose steps do not fit its two schemas
│   └── DependencyError          what a version requires of other modules cannot be had, or goes in a circle
├── Refused
│   ├── AlreadyLoaded
│   ├── UnloadRefused            it has entities or weight, or others rely on it
│   ├── NoLensPath               no chain of lenses leads from one version to the other
│   ├── MigrationRefused         a version does not accept another one's document, or a way is irreversible
│   ├── BadGeneration            a generation holds values that break a rule
│   ├── Quarantined              a version that was rolled back, and not loaded by anybody since
│   ├── RequirementBroken        a loaded version of another module would not take the new stable version
│   ├── RolloutActive            a rollout owns the module's split
│   ├── ConfigRefused            a version did not take a config
│   ├── PatchRefused             code that cannot take the place of what is loaded
│   │   └── NothingToPatch       it is what runs already
│   ├── WrongTransition          a rollout cannot go this way from where it is
│   ├── InsideTick               a call from inside a tick
│   ├── EngineClosed
│   └── OutOfMemory              the table is full, or the system has no pages left
├── WorkerError
│   ├── LoadFailed               a version raised while it was loaded
│   ├── DeadlineExceeded
│   ├── ServiceFailed            nobody answered a call of a service
│   ├── PeerDied                 the other end of the wire is gone
│   └── ProtocolError            the other end sent what it may not
└── PluginError
    ├── DuplicateName            two plugins register one name
    └── PluginFailed             a plugin raised, or answered what its contract forbids
"""

from __future__ import annotations


class GroveError(Exception):
    """The root. `module`, `version` and `plugin` say where, and stand before the message."""

    def __init__(
        self,
        message: str,
        *,
        module: str | None = None,
        version: object = None,
        plugin: str | None = None,
    ) -> None:
        self.message = message
        self.module = module
        self.version = None if version is None else str(version)
        self.plugin = plugin
        super().__init__(message)

    def __str__(self) -> str:
        where = self.module or ""
        if self.version is not None:
            where = f"{where}@{self.version}"
        if self.plugin is not None:
            where = f"{where} plugin {self.plugin}".strip()
        return f"{where}: {self.message}" if where else self.message


class NotFound(GroveError):
    """What was named does not exist."""


class UnknownModule(NotFound):
    """No such module is installed or loaded."""


class UnknownVersion(NotFound):
    """No such version is installed or loaded."""


class UnknownEntity(NotFound):
    """An id that is not alive."""


class UnknownGeneration(NotFound):
    """No generation with this number is kept."""


class UnknownRollout(NotFound):
    """No rollout of this module was started."""


class UnknownPart(NotFound):
    """Settings name a part that no plugin registers."""


class InvalidInput(GroveError):
    """The caller's values do not fit."""


class InvalidRequirement(InvalidInput):
    """Neither a major number, nor an exact version, nor a specifier."""


class AmbiguousVersion(InvalidInput):
    """A requirement that fits two loaded versions."""


class InvalidWeights(InvalidInput):
    """Weights that are negative, NaN, empty, or far from a sum of 1."""


class InvalidColumns(InvalidInput):
    """Columns with other names, lengths or types than the schema's."""


class DuplicateEntity(InvalidInput):
    """An id that lives already, or stands twice in one call."""


class InvalidRule(InvalidInput):
    """A rule for pins that cannot be read, or names what is not there."""


class InvalidPlan(InvalidInput):
    """A plan of a rollout that cannot be carried out; the message has every mistake, with its path."""


class InvalidConfig(InvalidInput):
    """A config that is not as the module describes it; the message has every mistake, with its path."""


class SettingsError(InvalidInput):
    """A settings file that does not fit."""


class PackageError(GroveError):
    """A version package, or its metadata, is wrong."""


class BrokenPackage(PackageError):
    """Metadata that cannot be read."""


class UnsettledPackage(PackageError):
    """A folder or wheel that is being written, or whose installation broke off."""


class ConflictingPackages(PackageError):
    """Two distributions claim one version or one import package."""


class SchemaError(PackageError):
    """A schema that cannot be laid out."""


class LensError(PackageError):
    """A lens whose steps do not turn its one schema into exactly the other, or whose function failed."""


class DependencyError(PackageError):
    """What a version requires of other modules cannot be had, or goes in a circle."""


class Refused(GroveError):
    """A call that makes sense, but not now; nothing was changed."""


class AlreadyLoaded(Refused):
    """The version is loaded."""


class UnloadRefused(Refused):
    """The version has entities or weight, others rely on it, or it is not idle."""


class NoLensPath(Refused):
    """No chain of lenses leads from one version to the other."""


class MigrationRefused(Refused):
    """A version does not accept another one's document, or the way to it has a Map that has no way back."""


class BadGeneration(Refused):
    """A generation holds values that break a rule: something wrote them between two ticks."""


class Quarantined(Refused):
    """A version that was rolled back, and not loaded by anybody since."""


class RequirementBroken(Refused):
    """A version that would become stable, and that a loaded version of another module in use does not take."""


class RolloutActive(Refused):
    """A rollout owns the module's split; abort it first."""


class ConfigRefused(Refused):
    """A version did not take a config: it raised or failed at it, or cannot be asked now."""


class PatchRefused(Refused):
    """Code that cannot take the place of what is loaded: another schema, another minor version, or nothing new."""


class NothingToPatch(PatchRefused):
    """Code that is what runs already."""


class WrongTransition(Refused):
    """A rollout cannot go this way from where it is."""


class InsideTick(Refused):
    """An engine call from inside a tick."""


class EngineClosed(Refused):
    """The engine was closed."""


class OutOfMemory(Refused):
    """A table is full, or the system has no pages left."""


class WorkerError(GroveError):
    """A worker did not do what it was asked to."""


class LoadFailed(WorkerError):
    """A version raised while it was imported, initialised or warmed."""


class DeadlineExceeded(WorkerError):
    """A worker did not answer in time."""


class ServiceFailed(WorkerError):
    """Nobody answered a call of a service: its module is paused, or failed at it and could not recover."""


class PeerDied(WorkerError):
    """The other end of the wire is gone."""


class ProtocolError(WorkerError):
    """The other end sent what it may not."""


class PluginError(GroveError):
    """A plugin is at fault."""


class DuplicateName(PluginError):
    """Two plugins register one name."""


class PluginFailed(PluginError):
    """A plugin raised, or answered what its contract forbids."""
