"""The migrators that the settings list, as the engine keeps them; what they do is done in a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from grove_core.base.errors import PluginFailed, SettingsError
from grove_core.parts.contracts import Migrator
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.parts.settings import Choice


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
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise SettingsError(
            f"the options of the migrator {choice.use!r} must be numbers, texts, lists and tables only: {error}"
        ) from None
    part: Migrator = catalogue.make(PartKind.MIGRATOR, choice.use, choice.options)
    return ChosenMigrator(choice.use, registered.plugin, registered.entry_point, choice.options, part)
