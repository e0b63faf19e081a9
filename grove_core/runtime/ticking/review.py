"""What happens where a version reports failed entities: by itself it is no fault, until the policy says it is."""

from __future__ import annotations

from grove_core.base.events import EventKind
from grove_core.base.records import Fault, FaultKind
from grove_core.parts.contracts import Finding, Pause, Restart, Rollback
from grove_core.runtime.orders.asks import Ask
from grove_core.runtime.orders.unloading import end_worker
from grove_core.runtime.rows.roles import pause
from grove_core.runtime.state.context import Context
from grove_core.runtime.ticking.restore import DEFAULT_LIMIT_MS, Recovery, roll_back, start_again, told
from grove_core.runtime.ticking.rollback import tell


def review(context: Context, order: Ask, recovery: Recovery) -> None:
    """Ask the policy about a version of which entities failed in this tick, and carry out what it says.

    The tick stands: nothing is restored, and nobody has to catch up.
    """
    state, loaded = order.state, order.loaded
    if context.reviewing is None or state.versions.get(loaded.version) is not loaded or loaded.worker is None:
        return
    try:
        verdict = context.reviewing.review(loaded.version, state.uses(), state.previous)
        if not isinstance(verdict, Finding | None):
            raise TypeError(f"it gave {verdict!r}")
    except Exception as error:
        plugin = type(context.reviewing).__name__
        context.reviewing = None
        context.emit(
            EventKind.PLUGIN_FAILED,
            state.name,
            loaded.version,
            plugin=plugin,
            error=f"review: {type(error).__name__}: {error}; it reviews no more",
        )
        return
    if verdict is None:
        return
    fault = Fault(state.name, loaded.version, FaultKind.ERRORS, verdict.reason, recovery.number, loaded.count)
    told(context, fault, recovery)
    decision = verdict.decision
    if isinstance(decision, Pause):
        pause(context, state, f"{loaded.version} failed too often: {fault.message}")
    elif isinstance(decision, Restart):
        if end_worker(loaded):
            start_again(context, order)
    elif isinstance(decision, Rollback) and decision.target != loaded.version:
        recovered = roll_back(context, order, fault, 0.0, decision)
        if recovered is not None and recovered.report is not None:
            recovery.rollbacks.append(recovered.report(False, order.asked_at, DEFAULT_LIMIT_MS))
            tell(context, recovery.rollbacks[-1])
