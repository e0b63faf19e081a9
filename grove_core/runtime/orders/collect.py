"""Collection: versions that nobody uses are unloaded by themselves."""

from __future__ import annotations

from grove_core.base.events import EventKind
from grove_core.base.records import UnloadReport, VersionUse
from grove_core.runtime.orders.unloading import end_version, is_idle, why_needed
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import LoadedVersion, ModuleState

IDLE_ANSWER_SECONDS = 0.005
"""How long a tick waits for `is_idle`; what does not answer in time is asked again in the next."""


def collect(context: Context, state: ModuleState) -> list[UnloadReport]:
    """Unload what the policy proposes, unless something holds it."""
    now = context.clock.now()
    state.note_idle(now)
    policy = state.gc_policy
    if policy is None or not any(loaded.idle_since is not None for loaded in state.versions.values()):
        return []
    uses = {use.version: use for use in state.uses()}
    try:
        proposed = sorted(set(policy.collect(tuple(uses.values()), now)) & uses.keys())
    except Exception as error:
        state.gc_policy = None
        context.emit(
            EventKind.PLUGIN_FAILED,
            state.name,
            plugin=type(policy).__name__,
            error=f"collect raised {type(error).__name__}: {error}; collection is off for this module",
        )
        return []
    reports = []
    for version in proposed:
        loaded = state.versions[version]
        reason = _held(context, state, loaded, uses[version])
        if reason is None:
            since = now if loaded.idle_since is None else loaded.idle_since
            reports.append(end_version(context, state, loaded, EventKind.VERSION_COLLECTED, now - since))
        elif reason != loaded.held:
            loaded.held = reason
            context.emit(EventKind.COLLECTION_HELD, state.name, version, reason=reason)
    return reports


def _held(context: Context, state: ModuleState, loaded: LoadedVersion, use: VersionUse) -> str | None:
    """Return why a version is kept, or None. A hold that raises holds."""
    if reason := why_needed(context, state, loaded):
        return reason
    for name, hold in context.holds.items():
        try:
            reason = hold.reason(use)
        except Exception as error:
            reason = f"the hold raised {type(error).__name__}: {error}"
        if reason is not None:
            return f"{name}: {reason}"
    if not is_idle(loaded, IDLE_ANSWER_SECONDS, context.waiting):
        return "its is_idle is not true"
    return None
