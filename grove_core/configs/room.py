"""`engine.config`: what people and programs call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

from grove_core.base.configs import Config, ConfigReport, config_of, merged, same
from grove_core.base.errors import GroveError, SettingsError
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.versions import Requirement
from grove_core.configs.watching import Watched
from grove_core.runtime.configuring import Change, update
from grove_core.runtime.context import Context
from grove_core.runtime.state import LoadedVersion, ModuleState
from grove_core.runtime.turns import Turns


class Configs:
    """Changes what versions got as their config, while they run. A call that fails leaves everything as it was.

    Args:
        context: the engine's parts.
        turns: whose turn it is.
        loaded: gives a module that has a loaded version, or None.
        state: the same, raising `UnknownModule` instead.
    """

    def __init__(
        self,
        context: Context,
        turns: Turns,
        loaded: Callable[[str], ModuleState | None],
        state: Callable[[str], ModuleState],
    ) -> None:
        self._context, self._turns = context, turns
        self._loaded, self._state = loaded, state
        self._tables: dict[str, Config] = {
            module: config_of(table) for module, table in context.settings.config.items()
        }
        """What the file says, or said when it was last taken."""
        self._held = dict(self._tables)
        self._watched: Watched | None = None

    def of(self, module: str, given: Mapping[str, Any] | None) -> Config:
        """Return the config for a version that is being loaded: what is given, else the module's.

        Raises:
            InvalidInput: it cannot be one.
        """
        return config_of(self._held.get(module, {}) if given is None else given)

    def update(self, module: str, config: Mapping[str, Any], version: Requirement | None = None) -> ConfigReport:
        """Give a module another config, in place of the whole one that it has.

        Args:
            module: the module's name.
            config: as with `load_module_version`.
            version: the loaded version that gets it; None for all of them, and those that are loaded later without one.

        Raises:
            NotFound, InvalidInput: nothing has changed; an `InvalidConfig` has every mistake.
            ConfigRefused: nothing has changed; a version whose code hung or died of it is a fault of the next tick.
        """
        with self._turns.take("config.update"):
            given = config_of(config)
            return self._change(module, version, lambda _: given)

    def update_partial(
        self, module: str, changes: Mapping[str, Any], version: Requirement | None = None
    ) -> ConfigReport:
        """Merge changes into the config of a module, of each version into its own: a JSON Merge Patch (RFC 7396).

        Tables are merged, at any depth; None removes a key; all else takes the place of what was there.

        Args:
            module: the module's name.
            changes: what is to be different.
            version: as with `update`.

        Raises:
            NotFound, InvalidInput, ConfigRefused: as with `update`.
        """
        with self._turns.take("config.update_partial"):
            given = config_of(changes)
            return self._change(module, version, lambda before: merged(before, given))

    def get(self, module: str, version: Requirement | None = None) -> Config:
        """Return a copy of the config that a loaded version was given, without defaults of its own.

        Args:
            module: the module's name.
            version: which one; None for stable.

        Raises:
            NotFound: it is not loaded.
        """
        with self._turns.take("config.get"):
            return config_of(self._one(module, version).config)

    def describe(self, module: str, version: Requirement | None = None) -> dict[str, Any] | None:
        """Return what the config of a loaded version may be, as a JSON Schema; None if it does not say.

        Args:
            module: the module's name.
            version: which one; None for stable.

        Raises:
            NotFound: it is not loaded.
        """
        with self._turns.take("config.describe"):
            schema = self._one(module, version).description.introduced.config_schema
            return None if schema is None else config_of(schema)

    def watch(self, path: str | Path) -> None:
        """Take the tables `[grove.config.MODULE]` of a settings file now, and whenever it has changed.

        It is looked at in ticks, once a second by the clock, and read once two looks find it the same: written in place
        or replaced. Tables that changed are given to their modules, all of them or none; what cannot be read or is
        refused changes nothing, and is an event `config_refused`. Modules that it does not name keep what they have.

        Raises:
            SettingsError, InvalidInput, ConfigRefused: nothing has changed, and it is not watched.
        """
        with self._turns.take("config.watch"):
            watched = Watched(path)
            self._take(watched.read(), watched)
            self._watched = watched

    def unwatch(self) -> None:
        """Look at no file any more. What came from it still holds."""
        with self._turns.take("config.unwatch"):
            self._watched = None

    def follow(self) -> None:
        """Look at the watched file, if it is time to. Never raises what is wrong with it: that is an event."""
        watched = self._watched
        if watched is None:
            return
        try:
            tables = watched.changed(self._context.clock.now())
        except SettingsError as error:
            self._context.emit(EventKind.CONFIG_REFUSED, reason=str(error), path=str(watched.path))
            return
        if tables is not None:
            try:
                self._take(tables, watched)
            except GroveError:
                return  # it was told

    def _one(self, module: str, version: Requirement | None) -> LoadedVersion:
        state = self._state(module)
        return state.stable_version if version is None else state.resolve(version)

    def _change(self, module: str, version: Requirement | None, make: Callable[[Config], Config]) -> ConfigReport:
        state = self._state(module)
        chosen = state.ordered if version is None else [state.resolve(version)]
        changes = [Change(state, loaded, make(loaded.config)) for loaded in chosen]
        held = {} if version is not None else {module: make(self._held.get(module, {}))}
        return self._carry_out([module], changes, lambda: self._held.update(held), None)[0]

    def _take(self, tables: Mapping[str, Config], watched: Watched) -> None:
        """Give modules what a file says of them now and did not say before."""
        news = {
            module: config_of(table) for module, table in tables.items() if not same(table, self._tables.get(module))
        }
        states = [state for module in news if (state := self._loaded(module)) is not None]
        changes = [Change(state, loaded, news[state.name]) for state in states for loaded in state.ordered]

        def then() -> None:
            self._held.update(news)
            self._tables = dict(tables)

        self._carry_out([state.name for state in states], changes, then, watched.path)

    def _carry_out(
        self, modules: Sequence[str], changes: Iterable[Change], then: Callable[[], None], path: Path | None
    ) -> list[ConfigReport]:
        """Make changes, those that change nothing left out, and tell of them: one report for each module."""
        began = time.perf_counter()
        real = [each for each in changes if not same(each.config, each.loaded.config)]
        before = [each.loaded.config for each in real]
        origin: dict[str, Any] = {} if path is None else {"path": str(path)}
        with put_off():
            try:
                update(self._context, real, then)
            except GroveError as error:
                module = modules[0] if len(modules) == 1 else error.module
                version = None if error.version is None else Version(error.version)
                self._context.emit(EventKind.CONFIG_REFUSED, module, version, reason=error.message, **origin)
                raise
            ms = (time.perf_counter() - began) * 1000
            for each, old in zip(real, before, strict=True):
                keys = sorted(key for key in {*old, *each.config} if not same(old.get(key), each.config.get(key)))
                told = {"keys": keys, "restarted": each.fresh is not None, "ms": round(ms, 3), **origin}
                self._context.emit(EventKind.CONFIG_UPDATED, each.state.name, each.loaded.version, **told)
        return [_report(module, real, ms) for module in modules]


def _report(module: str, changes: Iterable[Change], ms: float) -> ConfigReport:
    mine = [each for each in changes if each.state.name == module]
    return ConfigReport(
        module,
        tuple(each.loaded.version for each in mine),
        tuple(each.loaded.version for each in mine if each.fresh is not None),
        ms,
    )
