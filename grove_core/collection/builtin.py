"""The collection policies and holds that come with Grove, registered as any plugin's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.collection.holds import Previous, Stable
from grove_core.collection.idle import Idle
from grove_core.parts.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grove_core.parts.contracts import GcPolicy, Hold


@hookimpl
def grove_register_gc_policies() -> Mapping[str, Callable[..., GcPolicy]]:
    """Offer `idle`, the default."""
    return {"idle": Idle}


@hookimpl
def grove_register_holds() -> Mapping[str, Callable[..., Hold]]:
    """Offer `stable`, in force by default, and `previous`."""
    return {"stable": Stable, "previous": Previous}
