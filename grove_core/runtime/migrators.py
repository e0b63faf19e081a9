"""The migrators that the settings list: what they accept is asked here, what they do is done in a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from grove_core.base.errors import PluginFailed, SettingsError
from grove_core.base.events import EventKind
from grove_core.migration.plan import Endpoint, MigratorFunction
from grove_core.parts.contracts import Migrator
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.parts.settings import Choice

if TYPE_CHECKING:
    from grove_core.migration.graph import Accepting
    from grove_core.runtime.context import Context


@dataclass(frozen=True)
class ChosenMigrator:
    """A migrator of the settings: the part, and what a worker needs to make it once more."""

    name: str
    plugin: str
    entry_point: str
    options: Mapping[str, Any]
    part: Migrator


def choose_migrators(catalogue: Catalogue, choices: Iterable[Choice]) -> tuple[ChosenMigrator, ...]:
    """Make the migrators that the settings list, in their order.

    Raises:
        UnknownPart, PluginFailed: one is not registered, cannot be made, or no worker could import it.
        SettingsError: options that cannot be sent to a worker.
    """
    return tuple(_chosen(catalogue, choice) for choice in choices)


def accepting(context: Context, module: str) -> Accepting:
    """Return what finds the first migrator that accepts; one that raises becomes an event, and the others count."""

    def find(source: Endpoint, target: Endpoint) -> MigratorFunction | None:
        for place, chosen in enumerate(context.migrators):
            try:
                accepted = bool(chosen.part.accepts(source, target))
            except Exception as error:
                text = f"the migrator {chosen.name!r} raised in accepts: {type(error).__name__}: {error}"
                context.emit(EventKind.PLUGIN_FAILED, module, target.version, plugin=chosen.plugin, error=text)
                continue
            if accepted:
                return MigratorFunction(chosen.name, place)
        return None

    return find


def _chosen(catalogue: Catalogue, choice: Choice) -> ChosenMigrator:
    registered = catalogue.find(PartKind.MIGRATOR, choice.use)
    if registered.entry_point is None:
        raise PluginFailed(
            f"the migrator {choice.use!r} runs in a worker, which cannot import an object given as `plugins=[...]`; "
            f"install the plugin as a package with an entry point in the group grove_core.plugins",
            plugin=registered.plugin,
        )
    try:
        msgspec.msgpack.encode(choice.options)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(
            f"the options of the migrator {choice.use!r} must be numbers, texts, lists and tables only: {error}"
        ) from None
    part: Migrator = catalogue.make(PartKind.MIGRATOR, choice.use, choice.options)
    return ChosenMigrator(choice.use, registered.plugin, registered.entry_point, choice.options, part)
