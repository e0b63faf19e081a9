"""Several versions of one stateful module, side by side in a live system.

Names for authors are at hand at once; those for programs, and what stands behind them, on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from grove_core.author.entities import Entities
from grove_core.author.lens import Add, Cast, Drop, Lens, Map, Recode, Rename, Scale
from grove_core.author.module import Module
from grove_core.author.schema import Column, Schema
from grove_core.author.services import Needs, service
from grove_core.author.world import World

if TYPE_CHECKING:
    from grove_core.base.clock import Clock, ManualClock, SystemClock
    from grove_core.base.comparison import Objective
    from grove_core.base.errors import GroveError, PatchRefused
    from grove_core.base.kept import Since
    from grove_core.base.limits import Limits
    from grove_core.base.patches import PatchReport
    from grove_core.debug import DebugEngine
    from grove_core.engine import MultiVersionEngine
    from grove_core.parts.plans import Gate, Plan, Wait, Weigh
    from grove_core.parts.settings import Settings

_LATER = {
    "Clock": "grove_core.base.clock",
    "DebugEngine": "grove_core.debug",
    "Gate": "grove_core.parts.plans",
    "GroveError": "grove_core.base.errors",
    "Limits": "grove_core.base.limits",
    "ManualClock": "grove_core.base.clock",
    "MultiVersionEngine": "grove_core.engine",
    "Objective": "grove_core.base.comparison",
    "PatchRefused": "grove_core.base.errors",
    "PatchReport": "grove_core.base.patches",
    "Plan": "grove_core.parts.plans",
    "Settings": "grove_core.parts.settings",
    "Since": "grove_core.base.kept",
    "SystemClock": "grove_core.base.clock",
    "Wait": "grove_core.parts.plans",
    "Weigh": "grove_core.parts.plans",
}

__all__ = [
    "Add",
    "Cast",
    "Clock",
    "Column",
    "DebugEngine",
    "Drop",
    "Entities",
    "Gate",
    "GroveError",
    "Lens",
    "Limits",
    "ManualClock",
    "Map",
    "Module",
    "MultiVersionEngine",
    "Needs",
    "Objective",
    "PatchRefused",
    "PatchReport",
    "Plan",
    "Recode",
    "Rename",
    "Scale",
    "Schema",
    "Settings",
    "Since",
    "SystemClock",
    "Wait",
    "Weigh",
    "World",
    "service",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'grove_core' has no attribute {name!r}")
