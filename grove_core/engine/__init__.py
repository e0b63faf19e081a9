"""Level 6: what a program calls; it wires the parts and delegates."""

from grove_core.engine.engine import MultiVersionEngine

__all__ = ["MultiVersionEngine"]
