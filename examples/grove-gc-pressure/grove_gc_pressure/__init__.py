"""A plugin for Grove: the collection policy `pressure`, which unloads unused versions while memory is short."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grove_core.parts.contracts import GcPolicy
from grove_core.parts.hookspecs import hookimpl
from grove_gc_pressure.policy import Pressure

__all__ = ["Pressure", "grove_register_gc_policies"]


@hookimpl
def grove_register_gc_policies() -> Mapping[str, Callable[..., GcPolicy]]:
    """Offer `pressure`, with the options `above`, `measure`, `at_once` and `root`."""
    return {"pressure": Pressure}
