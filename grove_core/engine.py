"""The engine: what a program calls. It wires the parts and delegates."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from packaging.version import Version

from grove_core.author.schema import Columns, as_ids
from grove_core.base.clock import Clock, SystemClock
from grove_core.base.compared import VersionsCompared
from grove_core.base.errors import InvalidColumns, InvalidInput, UnknownModule
from grove_core.base.events import Event, EventKind
from grove_core.base.health import BreakerStatus
from grove_core.base.interrupts import put_off
from grove_core.base.kept import GenerationRecord, Since
from grove_core.base.limits import Limits
from grove_core.base.records import (
    Explanation,
    LoadReport,
    MigrationRecord,
    MigrationReport,
    PinRule,
    RollbackReport,
    SplitReport,
    TickReport,
    UnloadReport,
    VersionMetrics,
    VersionRecord,
)
from grove_core.base.versions import Requirement, matching
from grove_core.base.waiting import SystemWaiting, Waiting
from grove_core.parts.discovery import choose, collect
from grove_core.parts.plugins import Catalogue, make_plugin_manager
from grove_core.parts.running import Isolation
from grove_core.parts.settings import Settings
from grove_core.rollouts.comparing import Baselines
from grove_core.rollouts.room import Rollouts
from grove_core.rollouts.roster import Roster
from grove_core.rollouts.starting import Calls
from grove_core.runtime import breaker, keeping, loading, pinning, queries, ruling, split, unloading
from grove_core.runtime.context import Context
from grove_core.runtime.explaining import explain
from grove_core.runtime.graphs import complete_graph
from grove_core.runtime.mapping import new_state
from grove_core.runtime.moves import settle
from grove_core.runtime.packages import Packages
from grove_core.runtime.revert import go_back_to
from grove_core.runtime.roles import release, settle_roles
from grove_core.runtime.rollback import go_back_by_hand
from grove_core.runtime.state import Condition, ModuleState
from grove_core.runtime.tick import tick
from grove_core.runtime.turns import Turns
from grove_core.runtime.values import observe


class MultiVersionEngine:
    """Runs several versions of stateful modules side by side.

    Calls may come from any thread; they are carried out one at a time, between ticks. A call that fails
    leaves everything as it was.

    Args:
        settings: which parts, which limits.
        clock: decides idle times and uptimes; the machine's monotonic clock if None.
        plugins: further plugins, besides those that are installed.
        isolation: where versions run, instead of what the settings choose; it is not closed with the engine.
        waiting: how workers are waited for during ticks; by the machine's own time and poll if None.
    """

    faults_allowed: ClassVar[bool] = False
    """Whether faults may be injected: only into a `DebugEngine`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        plugins: Iterable[object] = (),
        isolation: Isolation | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        settings = settings or Settings()
        self._manager, self.plugin_records = make_plugin_manager(plugins)
        catalogue = Catalogue(self._manager, self.plugin_records)
        self._own_isolation = isolation is None
        self._context = Context(
            settings=settings,
            clock=clock or SystemClock(),
            catalogue=catalogue,
            isolation=isolation,
            waiting=waiting or SystemWaiting(),
            faults_allowed=self.faults_allowed,
        )
        self._states: dict[str, ModuleState] = {}
        self._packages = Packages()
        self._turns = Turns()
        self._number = 0
        self._baselines = Baselines(self._context)
        self._roster = Roster(self._context, self._calls())
        self._rollouts = Rollouts(self._roster, self._turns)
        for record in self.plugin_records:
            if record.error is not None:
                self._context.emit(EventKind.PLUGIN_FAILED, plugin=record.name, error=record.error)
        for failure in catalogue.failures:
            self._context.emit(EventKind.PLUGIN_FAILED, plugin=failure.plugin, error=failure.message)
        if self._packages.swept:
            self._context.emit(EventKind.COPIES_SWEPT, folders=self._packages.swept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def events(self) -> deque[Event]:
        """What happened, the latest 10,000 events, oldest first."""
        return self._context.events

    @property
    def rollouts(self) -> Rollouts:
        """Where canaries become stable by themselves: start, pause, resume, promote, abort, retry, undo."""
        return self._rollouts

    @property
    def settings(self) -> Settings:
        """What the engine was told at its start."""
        return self._context.settings

    def versions(self) -> list[VersionRecord]:
        """Return every installed version of every module, broken ones with their cause; nothing is imported."""
        records, failures = collect(self._manager)
        for failure in failures:
            self._context.emit(EventKind.PLUGIN_FAILED, plugin=failure.plugin, error=failure.message)
        return records

    def load_module_version(
        self,
        module: str,
        version: Requirement,
        *,
        path: str | None = None,
        config: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> LoadReport:
        """Load a version until it is ready. The first version of a module becomes stable, with weight 1.

        Args:
            module: the module's name.
            version: a major number (the highest installed final of it), an exact version, or a specifier.
            path: a wheel, or a folder filled by `pip install --target`; None for what is installed.
            config: what the version's `initialize` gets.
            limits: what the version may take, instead of what the settings say; kept for reloads and restarts.

        Raises:
            NotFound, InvalidInput, PackageError, AlreadyLoaded, WorkerError: it is not loaded, nothing is left of it.
        """
        with self._turns.take("load_module_version"):
            return self._load(module, version, path, config, limits)

    def unload_module_version(self, module: str, version: Requirement) -> UnloadReport:
        """Unload a version that has neither entities nor weight, once it is idle.

        Raises:
            NotFound, UnloadRefused: it stays loaded.
        """
        with self._turns.take("unload_module_version"):
            state = self._state(module)
            self._roster.refuse_unload(module, state.resolve(version).version)
            try:
                return unloading.unload(self._context, state, state.resolve(version))
            finally:
                self._forget_if_empty(state)

    def set_traffic_split(self, module: str, weights: Mapping[Requirement, float]) -> SplitReport:
        """Share the module's entities out by weight: exactly, with the fewest moves, pins first.

        A version with the weight 1 becomes stable.

        Raises:
            InvalidWeights, NotFound, Refused, PluginError: nothing moved.
        """
        with self._turns.take("set_traffic_split"):
            state = self._state(module)
            self._roster.refuse_split(module)
            complete_graph(self._context, state, self.versions)
            report = split.set_split(self._context, state, weights)
            breaker.split_by_hand(self._context, state)
            return report

    def get_traffic_split(self, module: str) -> dict[Version, float]:
        """Return the weight of each loaded version, their sum being 1."""
        with self._turns.take("get_traffic_split"):
            state = self._state(module)
            return {version: state.weights.get(version, 0.0) for version in sorted(state.versions)}

    def migrate_state(
        self, module: str, from_version: Requirement, to_version: Requirement, *, force: bool = False
    ) -> MigrationReport:
        """Move every entity of one loaded version, and its weight, to another.

        Args:
            module: the module's name.
            from_version: is empty afterwards.
            to_version: gets them.
            force: go also where nobody wrote a function for this direction: what rows carry is taken, else defaults.

        Raises:
            NotFound, InvalidInput, Refused, LensError, PluginFailed: nothing moved.
        """
        with self._turns.take("migrate_state"):
            state = self._state(module)
            self._roster.refuse_split(module)
            source, target = state.resolve(from_version), state.resolve(to_version)
            if source is target:
                raise InvalidInput(
                    f"from_version and to_version are both {source.version}",
                    module=module,
                    version=source.version,
                )
            complete_graph(self._context, state, self.versions)
            way = state.graph.path(source.version, target.version)
            if force:
                way = tuple(hop.forced() for hop in way)
            return split.migrate_all(self._context, state, source, target, way)

    def rollback(
        self,
        module: str,
        target_version: Requirement,
        max_downtime_ms: float = 1000.0,
        *,
        generation: int | None = None,
        since: Since = Since.KEEP,
    ) -> RollbackReport:
        """Move every entity of every other version back to `target_version`, which is loaded if it is not.

        The others stay loaded without weight, in quarantine. The target becomes stable. A limit that is missed
        is reported, not enforced: `within_limit` is False then.

        With a generation every entity that lived then and lives now also gets the values it had then, and the target
        the document it had.

        Args:
            module: the module's name.
            target_version: gets all entities.
            max_downtime_ms: the limit, in milliseconds.
            generation: the number of one of `generations`; None to leave values as they are.
            since: what becomes of entities that were born or ended after that generation.

        Raises:
            NotFound, InvalidInput, Refused, WorkerError, LensError, PluginFailed: nothing moved.
        """
        began = time.perf_counter()
        with self._turns.take("rollback"):
            state = self._state(module)
            complete_graph(self._context, state, self.versions)
            if generation is None and since is Since.KEEP:
                report = go_back_by_hand(self._context, state, target_version, began, max_downtime_ms)
            else:
                report = go_back_to(self._context, state, target_version, generation, since, began, max_downtime_ms)
            self._roster.rolled_back(module, report.target)
            return report

    def generations(self, module: str) -> list[GenerationRecord]:
        """Return the older states of a module that are kept (`keep_generations`), oldest first."""
        with self._turns.take("generations"):
            return keeping.generations(self._state(module))

    def enable_auto_gc(self, module: str, unused_threshold_seconds: float = 60.0) -> None:
        """Unload versions by themselves once they have been unused for so long, by the clock.

        Raises:
            NotFound, PluginFailed: there is no such module, or the policy does not take the threshold.
        """
        with self._turns.take("enable_auto_gc"):
            state = self._state(module)
            state.gc_policy = self._context.make_gc_policy(unused_threshold_seconds)
            self._context.emit(EventKind.GC_ENABLED, module, threshold_seconds=unused_threshold_seconds)

    def disable_auto_gc(self, module: str) -> None:
        """Keep unused versions until they are unloaded by hand."""
        with self._turns.take("disable_auto_gc"):
            self._state(module).gc_policy = None
            self._context.emit(EventKind.GC_DISABLED, module)

    def get_loaded_versions(self, module: str) -> list[Version]:
        """Return the loaded versions, lowest first."""
        with self._turns.take("get_loaded_versions"):
            return sorted(self._state(module).versions)

    def is_version_loaded(self, module: str, version: Requirement) -> bool:
        """Tell whether a version that fits is loaded."""
        with self._turns.take("is_version_loaded"):
            state = self._settled(module)
            return state is not None and bool(matching(version, state.versions))

    def stable_version(self, module: str) -> Version:
        """Return the trusted version."""
        with self._turns.take("stable_version"):
            return self._state(module).stable_version.version

    def get_version_metrics(self, module: str, version: Requirement) -> VersionMetrics:
        """Return what a loaded version did and holds, measured."""
        with self._turns.take("get_version_metrics"):
            state = self._state(module)
            return queries.metrics(self._context, state, state.resolve(version))

    def spawn(self, module: str, *, id: ArrayLike | None = None, **columns: ArrayLike) -> NDArray[np.int64]:
        """Give birth to entities; columns are of stable's schema, and what is left out gets its default.

        Values are arrays of one length, or scalars. Each entity goes to the version with the largest deficit.

        Args:
            module: the module's name.
            id: ids that are not alive; None to be given some.
            columns: name -> values.

        Returns:
            The ids, int64, in the order of the columns.

        Raises:
            InvalidInput, Refused: nobody was born.
        """
        with self._turns.take("spawn"):
            state = self._state(module)
            source = state.stable_version
            given = None if id is None else _ids(module, id)
            try:
                count, filled = source.schema.conform(columns, None if given is None else len(given))
            except InvalidColumns as error:
                raise InvalidColumns(error.message, module=module, version=source.version) from None
            complete_graph(self._context, state, self.versions)
            ids = split.spawn(state, source, filled, count, given)
            settle_roles(self._context, state)
            return ids

    def despawn(self, module: str, ids: ArrayLike) -> int:
        """End entities; return how many.

        Raises:
            UnknownEntity, InvalidInput: nobody was ended.
        """
        with self._turns.take("despawn"):
            state = self._state(module)
            given = _ids(module, ids)
            split.despawn(state, given)
            settle_roles(self._context, state)
            return len(given)

    def entities(self, module: str, *, version: Requirement | None = None) -> Columns:
        """Copy all entities: column name -> array, `id` among them, in no promised order.

        Args:
            module: the module's name.
            version: in whose schema they are shown; stable's if None. It must be loaded.
        """
        with self._turns.take("entities"):
            state = self._state(module)
            shown_as = state.stable_version if version is None else state.resolve(version)
            complete_graph(self._context, state, self.versions)
            return queries.entities(state, shown_as)

    def locate(self, module: str, ids: ArrayLike) -> list[Version]:
        """Return the version of each id.

        Raises:
            UnknownEntity, InvalidInput: an id is not alive, or stands twice.
        """
        with self._turns.take("locate"):
            return queries.locate(self._state(module), _ids(module, ids))

    def explain(self, module: str, id: int) -> Explanation:
        """Tell why an entity is where it is; print the answer, or read its fields.

        Raises:
            UnknownEntity, InvalidInput: the id is not alive, or it is not one id.
        """
        with self._turns.take("explain"):
            return explain(self._context, self._state(module), _ids(module, id))

    def pin(self, module: str, ids: ArrayLike, version: Requirement) -> int:
        """Fix entities to a loaded version; return how many had to move. Pins count towards a version's share.

        Raises:
            NotFound, InvalidInput, Refused: nothing changed.
        """
        with self._turns.take("pin"):
            state = self._state(module)
            complete_graph(self._context, state, self.versions)
            return split.pin(self._context, state, _ids(module, ids), state.resolve(version))

    def unpin(self, module: str, ids: ArrayLike) -> None:
        """Let entities move again that are pinned by their ids, from the next split on.

        Raises:
            UnknownEntity, InvalidInput: nothing changed.
        """
        with self._turns.take("unpin"):
            split.unpin(self._state(module), _ids(module, ids))

    def observe(self, module: str, name: str, values: ArrayLike, ids: ArrayLike) -> int:
        """Tell of what became of entities: player feedback, revenue. Rollouts compare it between versions.

        Each value counts for the version that its entity is in now. Values of entities that are not alive are left
        out: what comes from outside may come late.

        Args:
            module: the module's name.
            name: like `[a-z][a-z0-9_]*`; up to 64 of them.
            values: finite numbers of shape (n,), or one that is everybody's.
            ids: whose they are, of shape (n,), also several times the same.

        Returns:
            How many values were counted.

        Raises:
            NotFound, InvalidInput: nothing was counted.
        """
        with self._turns.take("observe"):
            return observe(self._state(module), name, values, _ids(module, ids))

    def compare_versions(self, module: str) -> VersionsCompared:
        """Hold the loaded versions against stable, over the time since the split or what is loaded was last changed.

        Print the answer to read it as a table; `document()` is for JSON.
        """
        with self._turns.take("compare_versions"):
            return self._baselines.compare(self._state(module))

    def pin_where(self, module: str, rule: str, version: Requirement) -> PinRule:
        """Fix to a loaded version every entity that a rule is true of, now and as entities change.

        The rule is kept true at births and after each tick: who it is true of is moved there and pinned, who it is
        true of no more is free to move from the next split on. Pins by id go before rules, and earlier rules before
        later ones.

        Args:
            module: the module's name.
            rule: a condition over `id` and the columns of `version`, such as "x > 900 and guild == 7"; the entities
                of other versions are read as that version would have them.
            version: where they are fixed to.

        Returns:
            The rule, with its number.

        Raises:
            InvalidRule: it cannot be read, or not be held against the entities of a loaded version.
            NotFound, InvalidInput, Refused: nothing changed.
        """
        with self._turns.take("pin_where"):
            state = self._state(module)
            complete_graph(self._context, state, self.versions)
            return pinning.pin_where(self._context, state, rule, state.resolve(version))

    def unpin_rule(self, module: str, number: int) -> None:
        """Lift a rule by its number; whom it pinned may move again, from the next split on.

        Raises:
            NotFound, InvalidRule: there is none with this number; nothing changed.
        """
        with self._turns.take("unpin_rule"):
            pinning.unpin_rule(self._context, self._state(module), number)

    def pin_rules(self, module: str) -> list[PinRule]:
        """Return the rules that pin entities, in the order in which they go."""
        with self._turns.take("pin_rules"):
            state = self._state(module)
            return [ruling.told(state, rule) for rule in state.pin_rules]

    def migration_history(self, module: str) -> list[MigrationRecord]:
        """Return the latest 10,000 migrations, oldest first."""
        with self._turns.take("migration_history"):
            return list(self._state(module).history)

    def is_paused(self, module: str) -> bool:
        """Tell whether the module is not ticked, because no version of its entities runs."""
        with self._turns.take("is_paused"):
            return self._state(module).condition is Condition.PAUSED

    def breakers(self, module: str) -> dict[Version, BreakerStatus]:
        """Return the versions that failed too often, and what became of each; see the fault policy `breaker`."""
        with self._turns.take("breakers"):
            return dict(sorted(self._state(module).breakers.items()))

    def tick(self, dt: float) -> TickReport:
        """Advance every module by `dt` seconds.

        Raises:
            InvalidInput: `dt` is negative or not finite.
        """
        with self._turns.take("tick"):
            if not (isinstance(dt, int | float | np.floating) and 0 <= dt < float("inf")):
                raise InvalidInput(f"dt is {dt!r}; it must be a number of seconds, at least 0")
            with put_off():
                self._number += 1
                report = tick(self._context, list(self._states.values()), self._number, float(dt))
                self._roster.after_tick(report, float(dt))
                for state in self._states.values():
                    self._baselines.follow(state)
            return report

    def close(self) -> None:
        """End every worker, give back all memory, and have sinks write what is left. Closing twice is allowed."""
        if self._turns.closed:
            return
        with self._turns.take("close"), put_off():
            self._turns.closed = True
            unloading.close_all(self._context, self._states.values())
            self._states.clear()
            if self._own_isolation:
                self._context.isolation.close()
            self._packages.close()
            self._context.close_sinks()

    def _load(
        self,
        module: str,
        version: Requirement,
        path: str | None,
        config: Mapping[str, Any] | None,
        limits: Limits | None,
    ) -> LoadReport:
        began = time.perf_counter()
        state = self._settled(module) or new_state(self._context, module)
        others = {name: sorted(one.versions) for name, one in self._states.items()}
        try:
            records = self.versions() if path is None else self._packages.records(path)
            record = choose(records, module, version)
            ready = time.perf_counter()
            loaded = loading.load(
                self._context,
                state,
                record,
                _config(config),
                others,
                limits=_limits(module, limits),
                entered=lambda: self._enter(state, record),
            )
        finally:
            if not state.versions:
                self._states.pop(module, None)
            self._keep_packages(state)
        now = time.perf_counter()
        report = LoadReport(module, loaded.version, record.distribution, (now - began) * 1000, (now - ready) * 1000)
        self._context.emit(
            EventKind.VERSION_LOADED,
            module,
            loaded.version,
            distribution=record.distribution,
            ms=round(report.ms, 3),
            ready_ms=round(report.ready_ms, 3),
        )
        return report

    def _calls(self) -> Calls:
        """Return what rollouts need of this engine, in a turn that they took."""

        def state(module: str) -> ModuleState:
            found = self._state(module)
            complete_graph(self._context, found, self.versions)
            return found

        def installed(module: str, version: Requirement) -> Version | None:
            return choose(self.versions(), module, version).version

        def unload(module: str, version: Version) -> None:
            unloading.unload(self._context, self._state(module), self._state(module).resolve(str(version)))

        return Calls(
            self._states.get,
            state,
            lambda module, version, path, config: self._load(module, version, path, config, None).version,
            unload,
            installed,
        )

    def _forget_if_empty(self, state: ModuleState) -> None:
        """Forget a module whose last version is unloaded, however that call ended."""
        if not state.versions:
            state.past.close()
            self._states.pop(state.name, None)
            self._baselines.forget(state.name)
            self._keep_packages()

    def _settled(self, module: str) -> ModuleState | None:
        """Return a module once what was decided of it is done; None if it has no version."""
        state = self._states.get(module)
        if state is not None:
            settle(state)
            self._forget_if_empty(state)
        return self._states.get(module)

    def _state(self, module: str) -> ModuleState:
        state = self._settled(module)
        if state is None:
            loaded = ", ".join(sorted(self._states)) or "none"
            raise UnknownModule(f"no version of {module!r} is loaded; loaded modules: {loaded}")
        return state

    def _enter(self, state: ModuleState, record: VersionRecord) -> None:
        """Take a version in that somebody asked for by name."""
        assert record.version is not None
        self._states[state.name] = state
        release(self._context, state, record.version)
        breaker.closed_by_hand(state, record.version)

    def _keep_packages(self, *states: ModuleState) -> None:
        """Remove unpacked wheels of which no module knows a version any more."""
        known = [one for state in (*self._states.values(), *states) for one in state.descriptions.values()]
        self._packages.keep(one.record.path for one in known)


def _ids(module: str, given: ArrayLike) -> NDArray[np.int64]:
    try:
        return as_ids(given)
    except InvalidColumns as error:
        raise InvalidColumns(error.message, module=module) from None


def _limits(module: str, limits: Limits | None) -> Limits | None:
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidInput(f"limits must be Limits(...), not {limits!r}", module=module)
    return limits


def _config(config: Mapping[str, Any] | None) -> dict[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise InvalidInput(f"config must map names to values, not {config!r}")
    try:
        msgspec.msgpack.encode(dict(config))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"config must hold numbers, texts, lists and tables only: {error}") from None
    return dict(config)
