"""What a part promises. Each is a Protocol: nothing is inherited, a plugin's class need only fit.

A factory makes a part: it is called once, with the options that the settings give, and the engine then
holds the plain object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.base.comparison import Comparison, Judgement
from grove_core.base.records import Fault, VersionUse

NEW = -1
"""The value of `Population.current` and `.origin` for an entity that had no version before."""


@dataclass(frozen=True)
class Population:
    """The entities to be routed, pinned ones left out; every array has one value an entity, read only.

    The order of the entities means nothing: a router's answer must not depend on it.
    """

    versions: tuple[Version, ...]
    weights: tuple[float, ...]
    """One a version, their sum is 1."""
    ids: NDArray[np.int64]
    keys: NDArray[np.uint64]
    """The id, hashed with the module's salt: distinct ids have distinct keys."""
    current: NDArray[np.int32]
    """Index into `versions` of the version it is in, or `NEW`."""
    arrival: NDArray[np.int64]
    """The number of the split that brought it into its version; 0 where it was born there."""
    origin: NDArray[np.int32]
    """Index of the version it came from with that split, or `NEW`."""

    @property
    def size(self) -> int:
        """The number of entities."""
        return len(self.ids)

    def group(self, version: int) -> Group:
        """Return the entities whose `current` is `version`: an index into `versions`, or `NEW`.

        A router that asks for the groups it takes entities from never looks at those that stay.
        """
        rows = np.flatnonzero(self.current == version)
        return Group(rows, self.keys[rows], self.arrival[rows], lambda chosen: self.origin[rows[chosen]])

    def counts(self) -> NDArray[np.int64]:
        """Return how many entities are in each version; new ones are in none."""
        there = self.current[self.current != NEW]
        return np.bincount(there, minlength=len(self.versions)).astype(np.int64, copy=False)


@dataclass(frozen=True)
class Group:
    """The entities of a population that are in one version; every array has one value an entity."""

    rows: NDArray[np.int64]
    """Their places in the population."""
    keys: NDArray[np.uint64]
    arrival: NDArray[np.int64]
    origin: Callable[[NDArray[np.int64]], NDArray[np.int32]]
    """Gives `Population.origin` of those at the given places in this group."""


class Router(Protocol):
    """Shares entities out among versions. Pure: the same population and quota give the same answer.

    Example, a whole plugin::

        class Lowest:
            def route(self, population, quota):
                target = np.empty(len(population.ids), np.int32)
                target[np.argsort(population.ids)] = np.repeat(np.arange(len(quota)), quota)
                return target

        @hookimpl
        def grove_register_routers():
            return {"lowest": Lowest}
    """

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return for each entity the index of its version. `quota` is the exact count for each version."""
        ...


class Layout(Protocol):
    """What a migrator needs to know of a schema; what it is given is a `grove_core.Schema`."""

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """Column name -> numpy dtype; `id` left out."""
        ...


class Endpoint(Protocol):
    """One end of a migration."""

    @property
    def version(self) -> Version:
        """The version."""
        ...

    @property
    def schema(self) -> Layout:
        """Its columns."""
        ...


class Migrator(Protocol):
    """Takes rows between two versions that no chain of lenses joins. It knows no module: only versions and columns.

    `accepts` is asked in the engine's process. `migrate` runs in a fresh worker that imports the plugin by its
    entry point, so the plugin must be installed. Example, a whole plugin::

        class Widen:
            def accepts(self, source, target):
                return source.schema.dtypes.keys() == target.schema.dtypes.keys()

            def migrate(self, rows, source, target):
                return {name: rows[name].astype(dtype) for name, dtype in target.schema.dtypes.items()}

        @hookimpl
        def grove_register_migrators():
            return {"widen": Widen}
    """

    def accepts(self, source: Endpoint, target: Endpoint) -> bool:
        """Tell whether it can take rows this way. Pure: asked once for two versions; the way back by itself."""
        ...

    def migrate(self, rows: dict[str, NDArray[Any]], source: Endpoint, target: Endpoint) -> Mapping[str, NDArray[Any]]:
        """Return columns of the target, one value for each row, in the order of the rows.

        A column that is not returned passes where the source has it with this dtype; else it comes back from
        what the rows carry, or gets its default. What the target has not as the source had it is carried, and
        comes back bit for bit on the way back unless what was returned for it has changed meanwhile. So that
        it does, a column that both have is returned both ways or neither.

        Args:
            rows: every column of the source, read only, `id` left out.
            source: where they are.
            target: where they go.
        """
        ...


class GcPolicy(Protocol):
    """Proposes versions for collection; the engine's own rules and the holds may still refuse."""

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        """Return the versions to unload. `now` is the injected clock's time."""
        ...


class Hold(Protocol):
    """Keeps a version from being collected. Raising counts as held."""

    def reason(self, use: VersionUse) -> str | None:
        """Return why the version must stay, or None."""
        ...


@dataclass(frozen=True)
class Retry:
    """How a version that was rolled back is tried again: loaded anew, with a small weight for some ticks."""

    after_seconds: float
    """By the clock; twice as long each time that it failed again."""
    weight: float
    """Its share while it is on trial, above 0; never more than it had."""
    ticks: int
    """So many ticks without a failure end the trial: it gets back what it had."""
    attempts: int
    """So many rollbacks end it: it is left alone then."""


@dataclass(frozen=True)
class Rollback:
    """Entities and weight of the faulted version go to `target`, which is loaded if it is not."""

    target: Version
    retry: Retry | None = None
    """None: it is not tried again unless somebody loads it."""


@dataclass(frozen=True)
class Restart:
    """The version is started again from the committed state."""


@dataclass(frozen=True)
class Pause:
    """The module is not ticked until somebody acts; its entities stay where they are."""


Decision = Rollback | Restart | Pause


@dataclass(frozen=True)
class Finding:
    """A version fails too often."""

    reason: str
    decision: Decision


class FaultPolicy(Protocol):
    """Decides what a fault does."""

    def decide(self, fault: Fault, uses: Sequence[VersionUse], previous: Version | None) -> Decision:
        """Return what is to be done. `previous` is the stable version before this one; it may not be loaded."""
        ...


@runtime_checkable
class ReviewingPolicy(FaultPolicy, Protocol):
    """A fault policy that also has a say where a version reports failed entities, which by itself is no fault."""

    def review(self, version: Version, uses: Sequence[VersionUse], previous: Version | None) -> Finding | None:
        """Return why a version fails too often and what is to be done, or None: it goes on.

        Called after a tick that was committed, in which entities of this version failed by its own word.
        """
        ...


@dataclass(frozen=True)
class Commit:
    """What a version wrote in one tick, before it is committed; every array has one value an entity, read only.

    Entities that the version said had failed are left out: they are restored.
    """

    module: str
    version: Version
    tick: int
    """The number of the tick."""
    dt: float
    """Its seconds."""
    ids: NDArray[np.int64]
    before: Mapping[str, NDArray[Any]]
    """Every column of the version's schema, as the last commit left it."""
    after: Mapping[str, NDArray[Any]]
    """The same columns as they are to be committed, the schema's rules kept; constant ones are those of `before`."""

    @property
    def size(self) -> int:
        """The number of entities, at least one."""
        return len(self.ids)


class Validator(Protocol):
    """Says whether what a version wrote may be committed: called for each version and tick, over whole columns.

    It runs in the engine's process, so its time is the tick's. Arrays are views of the engine's memory, valid for the
    call. Example, a whole plugin::

        class NoneIsLost:
            def refuse(self, commit):
                if commit.module != "bank":
                    return None
                change = commit.after["balance"].sum() - commit.before["balance"].sum()
                return f"{change} came from nowhere" if change else None

        @hookimpl
        def grove_register_validators():
            return {"none-is-lost": NoneIsLost}
    """

    def refuse(self, commit: Commit) -> str | None:
        """Return in a sentence what is wrong, or None. A sentence is a fault: nothing of the tick is committed."""
        ...


class Judge(Protocol):
    """Says what is to be made of a canary, beside stable over the same period. Pure: asked up to once a tick.

    A rollout goes on while nothing fails, and takes its next step once all judges pass at the end of the step's time;
    of several judges the worst verdict counts. Arrays are views of the engine's memory, valid for the call. Example,
    a whole plugin::

        class NoSlower:
            def judge(self, comparison):
                canary, stable = (side.durations.quantile(0.5) for side in (comparison.canary, comparison.stable))
                if canary is None or stable is None:
                    return Judgement(Verdict.INCONCLUSIVE, "one of them had no tick")
                verdict = Verdict.FAIL if canary > 2 * stable else Verdict.PASS
                return Judgement(verdict, f"{canary:.3f} ms beside {stable:.3f} ms", {"ratio": canary / stable})

        @hookimpl
        def grove_register_judges():
            return {"no-slower": NoSlower}
    """

    def judge(self, comparison: Comparison) -> Judgement:
        """Return a verdict with its reason. To raise counts as inconclusive, and is reported."""
        ...
