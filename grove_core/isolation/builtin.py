"""The built-in isolations, registered as any plugin's would be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.running import Isolation


@hookimpl
def grove_register_isolations() -> Mapping[str, Callable[..., Isolation]]:
    """Register `process` and `spawn`."""
    from grove_core.isolation.process import ProcessIsolation
    from grove_core.isolation.spawned import SpawnIsolation

    return {"process": ProcessIsolation, "spawn": SpawnIsolation}
