"""Level 7: the same engine with everything visible, and faults on demand."""

from grove_core.debug.engine import DebugEngine

__all__ = ["DebugEngine"]
