"""What configs there are besides those that versions have: the module's own, and what the watched file says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

from grove_core.base.configs import Config, ConfigReport, config_of, same
from grove_core.base.errors import GroveError, SettingsError
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.configs.watching import Watched
from grove_core.runtime.loading.configuring import Change, update
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import LoadedVersion, ModuleState


class Holding:
    """Holds the configs of modules, and changes them together with those of their versions, in a turn that was taken.

    Args:
        context: the engine's parts.
        loaded: gives a module that has a loaded version, or None.
    """

    def __init__(self, context: Context, loaded: Callable[[str], ModuleState | None]) -> None:
        self._context, self._loaded = context, loaded
        tables = context.settings.config
        self._tables: dict[str, Config] = {module: config_of(table) for module, table in tables.items()}
        """What the file says, or said when it was last taken."""
        self._held = dict(self._tables)
        self.watched: Watched | None = None

    def of(self, module: str, given: Mapping[str, Any] | None) -> Config:
        """Return the config for a version that is being loaded: what is given, else the module's.

        Raises:
            InvalidInput: it cannot be one.
        """
        return config_of(self._held.get(module, {}) if given is None else given)

    def change(self, state: ModuleState, one: LoadedVersion | None, make: Callable[[Config], Config]) -> ConfigReport:
        """Make another config of that of one version, or of all versions of a module and of its own.

        Raises:
            InvalidConfig, ConfigRefused: nothing has changed.
        """
        chosen = state.ordered if one is None else [one]
        changes = [Change(state, loaded, make(loaded.config)) for loaded in chosen]
        held = {state.name: make(self._held.get(state.name, {}))} if one is None else {}
        return self._carry_out([state.name], changes, lambda: self._held.update(held), None)[0]

    def take(self, tables: Mapping[str, Config], watched: Watched) -> None:
        """Give modules what a file says of them now and did not say before, and watch it from now on.

        Raises:
            InvalidConfig, ConfigRefused: nothing has changed.
        """
        news = {
            module: config_of(table) for module, table in tables.items() if not same(table, self._tables.get(module))
        }
        states = [state for module in news if (state := self._loaded(module)) is not None]
        changes = [Change(state, loaded, news[state.name]) for state in states for loaded in state.ordered]

        def then() -> None:
            self._held.update(news)
            self._tables = dict(tables)
            self.watched = watched

        self._carry_out([state.name for state in states], changes, then, watched.path)

    def follow(self) -> None:
        """Look at the watched file, if it is time to. Never raises what is wrong with it: that is an event."""
        watched = self.watched
        if watched is None:
            return
        try:
            tables = watched.changed(self._context.clock.now())
            if tables is None:
                return
            self.take(tables, watched)
        except SettingsError as error:
            self._context.emit(EventKind.CONFIG_REFUSED, reason=str(error), path=str(watched.path))
        except GroveError:  # an event tells of it
            pass
        watched.done()

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
                keys = sorted(key for key in {*old, *each.config} if not same(_part(old, key), _part(each.config, key)))
                told = {"keys": keys, "restarted": each.fresh is not None, "ms": round(ms, 3), **origin}
                self._context.emit(EventKind.CONFIG_UPDATED, each.state.name, each.loaded.version, **told)
        return [_report(module, real, ms) for module in modules]


def _part(config: Config, key: str) -> list[Any]:
    """Return what a config has for a key, as a list: an empty one where it does not have it."""
    return [config[key]] if key in config else []


def _report(module: str, changes: Iterable[Change], ms: float) -> ConfigReport:
    mine = [each for each in changes if each.state.name == module]
    return ConfigReport(
        module,
        tuple(each.loaded.version for each in mine),
        tuple(each.loaded.version for each in mine if each.fresh is not None),
        ms,
    )
