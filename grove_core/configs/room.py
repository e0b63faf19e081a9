"""`engine.config`: what people and programs call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grove_core.base.configs import Config, ConfigReport, config_of, merged
from grove_core.base.versions import Requirement
from grove_core.configs.holding import Holding
from grove_core.configs.watching import Watched
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.turns import Turns


class Configs:
    """Changes what versions got as their config, while they run. A call that fails leaves everything as it was.

    Args:
        holding: the configs of modules.
        turns: whose turn it is.
        state: gives a module that has a loaded version, or raises `UnknownModule`.
    """

    def __init__(self, holding: Holding, turns: Turns, state: Callable[[str], ModuleState]) -> None:
        self._holding, self._turns, self._state = holding, turns, state

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
            self._holding.take(watched.read(), watched)

    def unwatch(self) -> None:
        """Look at no file any more. What came from it still holds."""
        with self._turns.take("config.unwatch"):
            self._holding.watched = None

    def _one(self, module: str, version: Requirement | None) -> LoadedVersion:
        state = self._state(module)
        return state.stable_version if version is None else state.resolve(version)

    def _change(self, module: str, version: Requirement | None, make: Callable[[Config], Config]) -> ConfigReport:
        state = self._state(module)
        return self._holding.change(state, None if version is None else state.resolve(version), make)
