"""Which version is trusted, which was before, and whether the module may be ticked."""

from __future__ import annotations

from packaging.version import Version

from grove_core.base.events import EventKind
from grove_core.runtime.rows.ruling import drop, naming
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import Condition, ModuleState


def entrust(context: Context, state: ModuleState, version: Version) -> None:
    """Make a version stable; the former stable becomes previous."""
    if state.stable == version:
        return
    state.previous = state.stable
    if state.stable is not None:
        state.trusted_until[state.stable] = context.clock.now()
    state.stable = version
    context.emit(
        EventKind.STABLE_CHANGED,
        state.name,
        version,
        previous=None if state.previous is None else str(state.previous),
    )


def settle_roles(context: Context, state: ModuleState) -> None:
    """Note what is idle, and resume a paused module once every entity has a version that runs."""
    state.note_idle(context.clock.now())
    if state.condition is Condition.PAUSED and all(
        loaded.worker is not None or not loaded.count for loaded in state.versions.values()
    ):
        state.condition = Condition.RUNNING
        context.emit(EventKind.RESUMED, state.name)


def pause(context: Context, state: ModuleState, reason: str) -> None:
    """Stop ticking a module; its entities stay where they are."""
    if state.condition is Condition.RUNNING:
        state.condition = Condition.PAUSED
        context.emit(EventKind.PAUSED, state.name, reason=reason)


def quarantine(context: Context, state: ModuleState, version: Version, reason: str) -> None:
    """Keep a version from rollouts until it is loaded explicitly; no rule pins to it any more."""
    state.quarantined.add(version)
    drop(context, state, naming(state, version), f"it was quarantined: {reason}")
    if state.previous == version:
        state.previous = None
    context.emit(EventKind.QUARANTINED, state.name, version, reason=reason)


def release(context: Context, state: ModuleState, version: Version) -> None:
    """Lift a quarantine, because somebody asked for the version by name."""
    if version in state.quarantined:
        state.quarantined.discard(version)
        context.emit(EventKind.RELEASED, state.name, version)
