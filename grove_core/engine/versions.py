"""Calls about versions: what is there, loaded, collected; what each did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.version import Version

from grove_core.base.compared import VersionsCompared
from grove_core.base.events import EventKind
from grove_core.base.health import BreakerStatus
from grove_core.base.limits import Limits
from grove_core.base.metrics import VersionMetrics
from grove_core.base.needs import Dependency, ServiceOffered
from grove_core.base.records import (
    LoadReport,
    UnloadReport,
)
from grove_core.base.versions import Requirement, matching
from grove_core.engine.core import Core
from grove_core.runtime.orders import queries, unloading
from grove_core.runtime.state.dependencies import dependencies, services
from grove_core.runtime.state.state import Condition


class VersionCalls(Core):
    """Loads and unloads versions, and tells of them."""

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

        What it requires of modules that are not loaded is loaded before it: of each the highest installed version with
        which all of it goes together. All of it is loaded, or nothing.

        Args:
            module: the module's name.
            version: a major number (the highest installed final of it), an exact version, or a specifier.
            path: a wheel, a project's source folder, or a folder filled by `pip install --target`; None for what is
                installed. What runs is a copy of it either way.
            config: what the version's `initialize` gets; None for the module's, see `engine.config`.
            limits: what the version may take, instead of what the settings say; kept for reloads and restarts.

        Raises:
            NotFound, InvalidInput, PackageError, AlreadyLoaded, WorkerError: it is not loaded, nothing is left of it.
        """
        with self._turns.take("load_module_version"):
            return self._load(module, version, path, config, limits)

    def unload_module_version(self, module: str, version: Requirement) -> UnloadReport:
        """Unload a version that has neither entities nor weight, and that no other module needs, once it is idle.

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

    def dependencies(self, module: str | None = None) -> list[Dependency]:
        """Return what the loaded versions of a module need of others, and what meets it; None: of every module.

        Raises:
            UnknownModule: no version of it is loaded.
        """
        with self._turns.take("dependencies"):
            names = sorted(self._states) if module is None else [self._state(module).name]
            return dependencies(self._states, names)

    def services(self, module: str | None = None) -> list[ServiceOffered]:
        """Return what the loaded versions of a module answer to those that need it; None: of every module.

        Raises:
            UnknownModule: no version of it is loaded.
        """
        with self._turns.take("services"):
            names = sorted(self._states) if module is None else [self._state(module).name]
            return services(self._states, names)

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

    def is_paused(self, module: str) -> bool:
        """Tell whether the module is not ticked: no version of its entities runs, or a `DebugEngine` paused it."""
        with self._turns.take("is_paused"):
            return self._state(module).condition is not Condition.RUNNING

    def get_version_metrics(self, module: str, version: Requirement) -> VersionMetrics:
        """Return what a loaded version did and holds, measured."""
        with self._turns.take("get_version_metrics"):
            state = self._state(module)
            return queries.metrics(self._context, state, state.resolve(version))

    def compare_versions(self, module: str) -> VersionsCompared:
        """Hold the loaded versions against stable, over the time since the split or what is loaded was last changed.

        Print the answer to read it as a table; `document()` is for JSON.
        """
        with self._turns.take("compare_versions"):
            return self._baselines.compare(self._state(module))

    def breakers(self, module: str) -> dict[Version, BreakerStatus]:
        """Return the versions that failed too often, and what became of each; see the fault policy `breaker`."""
        with self._turns.take("breakers"):
            return dict(sorted(self._state(module).breakers.items()))
