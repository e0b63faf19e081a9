"""The engine for development and tests."""

from __future__ import annotations

from grove_core.debug.control import ControlCalls


class DebugEngine(ControlCalls):
    """For development and tests: it stops where you want it to, shows everything, and lets faults be injected."""
