"""A plugin for Grove: the router `ring`, consistent hashing with bounded loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grove_core.parts.contracts import Router
from grove_core.parts.hookspecs import hookimpl
from grove_router_bounded.ring import Ring

__all__ = ["Ring", "grove_register_routers"]


@hookimpl
def grove_register_routers() -> Mapping[str, Callable[..., Router]]:
    """Offer `ring`, with the options `load` and `points`."""
    return {"ring": Ring}
