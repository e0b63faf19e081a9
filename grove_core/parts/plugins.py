"""How plugins are found, and how a part is chosen among what they register."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

import importlib_metadata
import pluggy

from grove_core.base.errors import DuplicateName, PluginFailed, UnknownPart
from grove_core.base.showing import brief
from grove_core.parts import hookspecs
from grove_core.parts.choice import Choice
from grove_core.parts.metadata import entries_of, full_name, unshadowed

Part = TypeVar("Part")


class PartKind(StrEnum):
    """The kinds of part that plugins register, each with the hook that collects them."""

    ROUTER = "router"
    MIGRATOR = "migrator"
    GC_POLICY = "gc_policy"
    HOLD = "hold"
    FAULT_POLICY = "fault_policy"
    VALIDATOR = "validator"
    JUDGE = "judge"
    SINK = "sink"
    ISOLATION = "isolation"

    @property
    def hook(self) -> str:
        """The name of the hook."""
        plural = f"{self.value[:-1]}ies" if self.value.endswith("y") else f"{self.value}s"
        return f"grove_register_{plural}"


@dataclass(frozen=True)
class PluginRecord:
    """One plugin: where it comes from, and what is wrong with it, if anything is."""

    name: str
    distribution: str
    entry_point: str
    error: str | None = None


@dataclass(frozen=True)
class Registered:
    """One part that a plugin offers."""

    kind: PartKind
    name: str
    plugin: str
    factory: Callable[..., Any] = field(repr=False)
    entry_point: str | None = None
    """By which a worker can import the plugin; None for an object that was given to the engine."""


@dataclass
class Chosen(Generic[Part]):
    """A part that somebody chose, made, with what to call it when it fails."""

    name: str
    plugin: str
    part: Part
    told: bool = False
    """Whether it was reported that it fails."""


def make_plugin_manager(
    plugins: Iterable[object] = (),
) -> tuple[pluggy.PluginManager, list[PluginRecord]]:
    """Load every installed plugin, and `plugins` besides.

    Metadata is walked here rather than by pluggy, which stops at the first entry point that fails to load.
    A plugin that cannot be loaded is a record with its error, and the others still count.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    records = [_register(manager, *each) for each in _installed()]
    for plugin in plugins:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        manager.register(plugin, name=name if manager.get_plugin(name) is None else f"{name}#{id(plugin):x}")
    return manager, records


def each_result(manager: pluggy.PluginManager, hook: str) -> Iterable[tuple[str, Any | PluginFailed]]:
    """Call every implementation of `hook` by itself: yields the plugin's name, and its result or its failure."""
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        plugin = implementation.plugin_name
        try:
            result = implementation.function()
            yield plugin, list(result) if hook == "grove_discover_versions" else dict(result)
        except Exception as error:
            failure = PluginFailed(f"{hook} raised {type(error).__name__}: {error}", plugin=plugin)
            failure.__cause__ = error
            yield plugin, failure


class Catalogue:
    """Every part that the plugins of one manager register, and the failures of those that could not.

    Args:
        manager: has the plugins.
        records: where they come from, as far as that is known.
    """

    def __init__(self, manager: pluggy.PluginManager, records: Iterable[PluginRecord] = ()) -> None:
        self._entry_points = {record.name: record.entry_point for record in records}
        self.parts: dict[tuple[PartKind, str], Registered] = {}
        self.failures: list[PluginFailed] = []
        for kind in PartKind:
            for plugin, result in each_result(manager, kind.hook):
                if isinstance(result, PluginFailed):
                    self.failures.append(result)
                else:
                    self._add(kind, plugin, result)

    def _add(self, kind: PartKind, plugin: str, factories: Mapping[str, Callable[..., Any]]) -> None:
        for name, factory in factories.items():
            if other := self.parts.get((kind, name)):
                raise DuplicateName(
                    f"the {kind.value} {name!r} is registered by {other.plugin} and by {plugin}; uninstall one",
                    plugin=plugin,
                )
            self.parts[kind, name] = Registered(kind, name, plugin, factory, self._entry_points.get(plugin))

    def find(self, kind: PartKind, name: str) -> Registered:
        """Return the part called `name`.

        Raises:
            UnknownPart: no plugin registers that name.
        """
        registered = self.parts.get((kind, name))
        if registered is None:
            known = ", ".join(sorted(n for k, n in self.parts if k is kind)) or "none"
            raise UnknownPart(f"no plugin registers the {kind.value} {name!r}; there are: {known}")
        return registered

    def make(self, kind: PartKind, name: str, options: Mapping[str, Any]) -> Any:
        """Make the part called `name`.

        Raises:
            UnknownPart: no plugin registers that name.
            PluginFailed: its factory raised, or does not take these options.
        """
        registered = self.find(kind, name)
        try:
            return registered.factory(**options)
        except Exception as error:
            raise PluginFailed(
                f"the {kind.value} {name!r} cannot be made with {brief(dict(options))}: {error}",
                plugin=registered.plugin,
            ) from error

    def choose(self, kind: PartKind, choices: Iterable[Choice]) -> list[Chosen[Any]]:
        """Make the parts that somebody chose, in their order.

        Raises:
            UnknownPart, PluginFailed: see `make`.
        """
        return [
            Chosen(each.use, self.find(kind, each.use).plugin, self.make(kind, each.use, each.options))
            for each in choices
        ]


def _installed() -> Iterator[tuple[str, importlib_metadata.EntryPoint | ValueError]]:
    """Yield the entry points of installed plugins by name, each with its distribution; or why they cannot be told."""
    entries: list[tuple[str, importlib_metadata.EntryPoint]] = []
    for _, found in unshadowed(None):
        try:
            entries += [(full_name(found), entry) for entry in entries_of(found, hookspecs.GROUP)]
        except ValueError as error:
            yield full_name(found), error
    yield from sorted(entries, key=lambda each: each[1].name)


def _register(
    manager: pluggy.PluginManager, distribution: str, entry: importlib_metadata.EntryPoint | ValueError
) -> PluginRecord:
    if isinstance(entry, ValueError):
        return PluginRecord(distribution, distribution, "", str(entry))
    name = f"{distribution}:{entry.name}"
    try:
        manager.register(entry.load(), name=name)
    except (Exception, SystemExit) as error:
        return PluginRecord(name, distribution, entry.value, f"{type(error).__name__}: {error}")
    return PluginRecord(name, distribution, entry.value)
