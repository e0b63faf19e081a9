"""What every call of the engine stands on: its parts, its modules, whose turn it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from packaging.version import Version

from grove_core.base.clock import Clock, SystemClock
from grove_core.base.errors import InvalidInput, UnknownModule
from grove_core.base.events import Event, EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.limits import Limits
from grove_core.base.records import LoadReport, VersionRecord
from grove_core.base.versions import Requirement
from grove_core.base.waiting import SystemWaiting, Waiting
from grove_core.configs.holding import Holding
from grove_core.configs.room import Configs
from grove_core.parts.discovery import choose, collect
from grove_core.parts.plugins import Catalogue, make_plugin_manager
from grove_core.parts.running import Isolation
from grove_core.parts.settings import Settings
from grove_core.rollouts.comparing import Baselines
from grove_core.rollouts.room import Rollouts
from grove_core.rollouts.roster import Roster
from grove_core.rollouts.starting import Calls
from grove_core.runtime.loading import loading
from grove_core.runtime.loading.bases import Bases
from grove_core.runtime.loading.graphs import complete_graph
from grove_core.runtime.loading.mapping import new_state
from grove_core.runtime.loading.renewing import end_replaced
from grove_core.runtime.orders import unloading
from grove_core.runtime.rows.moves import settle
from grove_core.runtime.rows.roles import release
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState
from grove_core.runtime.state.turns import Turns
from grove_core.runtime.ticking import breaker


class Core:
    """Wires the parts, and knows the modules. What it is made of is told by `MultiVersionEngine`."""

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
        self._states = self._context.modules
        self._packages = self._context.packages
        self._turns = Turns()
        self._number = 0
        self._baselines = Baselines(self._context)
        self._roster = Roster(self._context, self._calls())
        self._rollouts = Rollouts(self._roster, self._turns)
        self._holding = Holding(self._context, self._settled)
        self._configs = Configs(self._holding, self._turns, self._state)
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
    def config(self) -> Configs:
        """Where the configs of modules are changed while they run: update, update_partial, get, describe, watch."""
        return self._configs

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
        for name in list(self._states):
            self._settled(name)
        state = self._settled(module) or new_state(self._context, module)
        bases = Bases(self._context, self._enter, lambda name: self._holding.of(name, None))
        try:
            given = self._holding.of(module, config)
            records = self.versions() if path is None else self._packages.records(path)
            record = self._packages.own(choose(records, module, version))
            ready = time.perf_counter()
            loaded = loading.load(
                self._context,
                state,
                record,
                given,
                lambda root: bases.load_for(root, records if path is None else [*records, *self.versions()]),
                limits=_limits(module, limits),
                entered=lambda: self._enter(state, record),
            )
        except BaseException:
            if not state.versions.keys() & bases.wanted:
                bases.take_back()
            raise
        finally:
            if not state.versions:
                self._states.pop(module, None)
            self._keep_packages(state)
        now = time.perf_counter()
        report = LoadReport(
            module,
            loaded.version,
            record.distribution,
            (now - began) * 1000,
            (now - ready) * 1000,
            tuple(bases.reports),
        )
        for each in (*report.pulled_in, report):
            self._context.emit(
                EventKind.VERSION_LOADED,
                each.module,
                each.version,
                distribution=each.distribution,
                ms=round(each.ms, 3),
                ready_ms=round(each.ready_ms, 3),
                **({} if each is report else {"needed_by": f"{module}@{loaded.version}"}),
            )
        return report

    def _calls(self) -> Calls:
        """Return what rollouts need of this engine, in a turn that they took."""

        def installed(module: str, version: Requirement) -> Version | None:
            return choose(self.versions(), module, version).version

        def unload(module: str, version: Version) -> None:
            state = self._state(module)
            try:
                unloading.unload(self._context, state, state.resolve(str(version)))
            finally:
                self._forget_if_empty(state)

        return Calls(
            self._states.get,
            self._ready,
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
            end_replaced(self._context, state)
            self._forget_if_empty(state)
        return self._states.get(module)

    def _state(self, module: str) -> ModuleState:
        state = self._settled(module)
        if state is None:
            loaded = ", ".join(sorted(self._states)) or "none"
            raise UnknownModule(f"no version of {module!r} is loaded; loaded modules: {loaded}")
        return state

    def _ready(self, module: str) -> ModuleState:
        """Return a module, all that is installed of the ways between its versions known."""
        state = self._state(module)
        complete_graph(self._context, state, self.versions)
        return state

    def _enter(self, state: ModuleState, record: VersionRecord) -> None:
        """Take a version in that somebody asked for by name."""
        assert record.version is not None
        self._states[state.name] = state
        release(self._context, state, record.version)
        breaker.closed_by_hand(state, record.version)

    def _keep_packages(self, *states: ModuleState) -> None:
        """Remove copies of which no module knows a version any more, and that no patch can be undone to."""
        every = (*self._states.values(), *states)
        known = [one for state in every for one in state.descriptions.values()]
        former = [one.description for state in every for loaded in state.versions.values() for one in loaded.former]
        self._packages.keep(one.record.path for one in (*known, *former))


def _limits(module: str, limits: Limits | None) -> Limits | None:
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidInput(f"limits must be Limits(...), not {limits!r}", module=module)
    return limits
