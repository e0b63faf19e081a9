"""A plugin for Grove: the migrator `by_name`, for versions that no lens joins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grove_core.parts.contracts import Migrator
from grove_core.parts.hookspecs import hookimpl
from grove_migrator_by_name.migrator import ByName

__all__ = ["ByName", "grove_register_migrators"]


@hookimpl
def grove_register_migrators() -> Mapping[str, Callable[..., Migrator]]:
    """Offer `by_name`, with the option `least`."""
    return {"by_name": ByName}
