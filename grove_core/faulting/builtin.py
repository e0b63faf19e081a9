"""The fault policies that come with Grove, registered as any plugin's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.faulting.breaker import Breaker
from grove_core.faulting.immediate import AlwaysPause, Immediate
from grove_core.parts.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grove_core.parts.contracts import FaultPolicy


@hookimpl
def grove_register_fault_policies() -> Mapping[str, Callable[..., FaultPolicy]]:
    """Offer `immediate`, the default, `breaker` and `pause`."""
    return {"immediate": Immediate, "breaker": Breaker, "pause": AlwaysPause}
