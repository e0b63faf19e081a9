"""What happens after a fault: rows are restored, the policy decides, entities move on or the version restarts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from grove_core.base.errors import GroveError, OutOfMemory, PeerDied
from grove_core.base.events import EventKind
from grove_core.base.records import Fault, MoveCause, RollbackReport
from grove_core.parts.contracts import Decision, Pause, Restart, Rollback
from grove_core.runtime.loading.loading import restart
from grove_core.runtime.orders.asks import Answers, Ask, Problem, flush_output, gather, read_output, send, unanswered
from grove_core.runtime.orders.fencing import explained
from grove_core.runtime.orders.unloading import end_worker, leave_memory
from grove_core.runtime.orders.witness import look
from grove_core.runtime.rows.mending import mend
from grove_core.runtime.rows.moves import settle
from grove_core.runtime.rows.roles import pause, settle_roles
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import Condition, LoadedVersion, ModuleState
from grove_core.runtime.ticking.breaker import opened
from grove_core.runtime.ticking.commit import Effects, apply, misplaced, validate
from grove_core.runtime.ticking.gone import Gone, before_tick, give_back
from grove_core.runtime.ticking.rollback import Recovered, go_back, tell

DEFAULT_LIMIT_MS = 1000.0
"""The downtime that an automatic rollback is held against."""


@dataclass
class Recovery:
    """What the recovery from the faults of one tick came to."""

    number: int
    dt: float
    faults: list[Fault] = field(default_factory=list)
    rollbacks: list[RollbackReport] = field(default_factory=list)
    processed: int = 0
    asked: list[Ask] = field(default_factory=list)
    """Every order of the tick, catch-ups included."""
    before: list[tuple[LoadedVersion, bytes | None, int]] = field(default_factory=list)
    """The document of each version before the tick, and how often it had been restarted."""
    left: list[Ask] = field(default_factory=list)
    """Orders whose rows nothing could take over, until a version that recovers later goes back to theirs."""
    gone: list[Gone] = field(default_factory=list)
    """Rows that had had their tick as their version failed at an answer, and may have gone to another one since."""
    answers: Answers = unanswered
    """Answers the services that versions call."""
    committed: list[tuple[Ask, Effects]] = field(default_factory=list)
    """What was asked for besides columns is carried out once every row has its place."""


def contain(context: Context, order: Ask, problem: Problem, recovery: Recovery) -> tuple[Fault, float]:
    """End the worker and give its rows back as the last commit left them. Also returns how long that took, in ms.

    Rows are written only once the worker is certainly gone; if that does not come, its memory is abandoned
    and they are rebuilt in another table.
    """
    began = time.perf_counter()
    state, loaded = order.state, order.loaded
    read_output(context, state, loaded)
    if context.fenced:
        problem = explained(loaded, problem)
    flush_output(context, state, loaded)
    if not end_worker(loaded):
        leave_memory(context, state, loaded)  # what its worker could write is restored below
    snapshot = loaded.generations.of(recovery.number)
    rows = look(order, recovery.number) if context.keep_fault_rows else None
    mended = ""
    if snapshot.tick == recovery.number and order.stop > order.start:
        mended = mend(context, state, loaded, np.arange(order.start, order.stop), recovery.number)
        snapshot.restore(loaded.table, order.start, order.stop)
    loaded.meter.lose(order.stop - order.start, recovery.number)
    fault = Fault(
        state.name,
        loaded.version,
        problem.kind,
        f"{problem.message}; {mended}" if mended else problem.message,
        recovery.number,
        order.stop - order.start,
        problem.traceback,
        rows,
    )
    told(context, fault, recovery)
    return fault, (time.perf_counter() - began) * 1000


def told(context: Context, fault: Fault, recovery: Recovery) -> None:
    """Report a fault with the tick, and log it."""
    recovery.faults.append(fault)
    context.emit(
        EventKind.FAULT,
        fault.module,
        fault.version,
        fault=fault.kind.value,
        message=fault.message,
        tick=fault.tick,
        entities=fault.entities,
        traceback=fault.traceback,
    )


def take_back(context: Context, states: Sequence[ModuleState], recovery: Recovery) -> None:
    """Undo a tick that was interrupted before it was committed as a whole: it did not happen.

    Workers finish what they were told, within the deadline, so that no late answer meets a later tick; one that
    does not is ended, and the next tick treats it as any other death. Who was told nothing yet has nothing to finish.
    A recovery that was done by then stays; its rows are as they were before the tick, in the version they went to.
    """
    for state in states:
        settle(state)
    sent = [order for order in recovery.asked if order.sent]
    gather(context, sent)
    for order in sent:
        nonsense = order.reply is not None and misplaced(order, order.reply, recovery.number) is not None
        failed = (order.problem is not None or nonsense) and order.loaded.worker is order.worker
        if failed:
            order.loaded.restarts = 0  # whether it failed by itself nobody can say
            if not end_worker(order.loaded):
                leave_memory(context, order.state, order.loaded)
        if order.reply is not None and order.reply.document is not None:
            order.loaded.document_ahead = True
    for loaded, document, restarts in recovery.before:
        loaded.document, loaded.restarts = document, restarts
    for state in states:
        _as_before(state, recovery.number)
    for gone in recovery.gone:
        give_back(gone)


def _as_before(state: ModuleState, number: int) -> None:
    """Give all rows the values of this tick's generation, and nobody has failed in it for the first time."""
    for loaded in state.versions.values():
        snapshot = loaded.generations.of(number)
        if snapshot.tick == number:
            snapshot.restore(loaded.table, 0, min(snapshot.count, loaded.count))
    if state.watch is not None:
        state.watch.take_back(state)


def recover(
    context: Context,
    order: Ask,
    fault: Fault,
    backup_ms: float,
    recovery: Recovery,
    decided: Decision | None = None,
) -> None:
    """Carry out what the policy decides, unless that is decided already, and have the recovered rows catch up."""
    state, loaded = order.state, order.loaded
    if state.versions.get(loaded.version) is not loaded:  # a recovery before this one took its rows along
        return
    if loaded.worker is not None:
        join(context, order, recovery)
        return
    decision = decided or _decide(context, state, loaded, fault)
    recovered: Recovered | None = None
    if isinstance(decision, Rollback) and decision.target != loaded.version:
        recovered = roll_back(context, order, fault, backup_ms, decision)
        if recovered is None:
            decision = Restart()
    if recovered is None and not isinstance(decision, Pause):
        recovered = start_again(context, order)
    if recovered is None:
        recovery.left.append(order)
        pause(context, state, f"{loaded.version} failed and nothing could take over: {fault.message}")
        return
    caught_up = _catch_up(context, recovered, recovery)
    if recovered.report is not None:
        served = caught_up and order.stop > order.start  # a version without rows served nobody
        recovery.rollbacks.append(recovered.report(served, order.asked_at, DEFAULT_LIMIT_MS))
        tell(context, recovery.rollbacks[-1])


def replace_failed(
    context: Context, state: ModuleState, loaded: LoadedVersion, problem: Problem, times: int, recovery: Recovery
) -> None:
    """Deal with a version that failed at a call of another module, for the so manieth time.

    Its rows have had their tick, and keep it. As others cannot go on without it, it is restarted however often it was
    before; where it is not stable and that was of no use, its rows go to stable, whatever the policy says.
    """
    order = Ask(state, loaded, 0, 0, problem=problem)
    order.asked_at = time.perf_counter()
    loaded.restarts = 0
    gone = before_tick(state, loaded, recovery.number)
    fault, ms = contain(context, order, problem, recovery)
    if gone is not None:
        recovery.gone.append(gone)
    stable = state.stable
    forced = Rollback(stable) if times > 1 and stable is not None and stable != loaded.version else None
    recover(context, order, fault, ms, recovery, forced)


def join(context: Context, order: Ask, recovery: Recovery) -> None:
    """Have rows catch up whose version another one went back to, and had it restarted; else nothing."""
    state, loaded = order.state, order.loaded
    if state.versions.get(loaded.version) is loaded and loaded.worker is not None:
        _catch_up(context, Recovered(state, loaded, [(order.start, order.stop)], None), recovery)


def _decide(context: Context, state: ModuleState, loaded: LoadedVersion, fault: Fault) -> Decision:
    """Ask the fault policy. One that raises or answers nonsense must not lose the tick: the module pauses."""
    decision: object
    try:
        decision = context.fault_policy.decide(fault, state.uses(), state.previous)
    except Exception as error:
        decision = error
    if isinstance(decision, Rollback | Restart | Pause):
        return decision
    context.emit(
        EventKind.PLUGIN_FAILED,
        state.name,
        loaded.version,
        plugin=type(context.fault_policy).__name__,
        error=f"decide gave {decision!r}",
    )
    return Pause()


def roll_back(context: Context, order: Ask, fault: Fault, backup_ms: float, decision: Rollback) -> Recovered | None:
    """Move the rows to the target; None if it cannot be had. Only the rows of the order have a tick to redo."""
    weight = order.state.weights.get(order.loaded.version, 0.0)
    try:
        recovered = go_back(context, order.state, [order.loaded], decision.target, fault, MoveCause.FAULT, backup_ms)
    except GroveError as error:
        context.emit(EventKind.LOAD_FAILED, order.state.name, decision.target, error=f"no rollback to it: {error}")
        return None
    opened(context, order.state, order.loaded.version, decision.retry, weight, fault.message)
    recovered.rows = [(first + order.start, first + order.stop) for first, _ in recovered.rows]
    return recovered


def start_again(context: Context, order: Ask) -> Recovered | None:
    """Restart the version itself; None if it does not come up.

    A worker that dies as it comes up gets a second try: who killed the last one may have met the spare as well.
    """
    loaded, state = order.loaded, order.state
    if loaded.restarts:
        return None
    loaded.restarts += 1
    try:
        try:
            restart(context, state, loaded)
        except PeerDied as error:
            context.emit(EventKind.LOAD_FAILED, state.name, loaded.version, error=f"no restart at once: {error}")
            restart(context, state, loaded)
    except GroveError as error:
        context.emit(EventKind.LOAD_FAILED, state.name, loaded.version, error=f"no restart: {error}")
        return None
    except BaseException:
        loaded.restarts -= 1  # it was not the version that failed
        raise
    context.emit(EventKind.RESTARTED, state.name, loaded.version, entities=loaded.count)
    settle_roles(context, state)
    return Recovered(state, loaded, [(order.start, order.stop)], None)


def _catch_up(context: Context, recovered: Recovered, recovery: Recovery) -> bool:
    """Have recovered rows redo the tick they lost, and tell whether they did; a fault meanwhile is handled as any."""
    state, loaded = recovered.state, recovered.loaded
    ticked = True
    for start, stop in recovered.rows:
        if stop == start:
            continue
        order = Ask(state, loaded, start, stop)
        if reason := _ask_again(context, order, recovery):
            context.emit(EventKind.CATCH_UP_SKIPPED, state.name, loaded.version, entities=stop - start, reason=reason)
            ticked = False
            continue
        gather(context, [order], answers=recovery.answers)
        effects = validate(context, order, recovery.number, recovery.dt, [])
        if isinstance(effects, Problem):
            fault, ms = contain(context, order, effects, recovery)
            recover(context, order, fault, ms, recovery)
            return state.condition is Condition.RUNNING
        recovery.processed += apply(context, order, effects, recovery.number)
        recovery.committed.append((order, effects))
    return ticked


def _ask_again(context: Context, order: Ask, recovery: Recovery) -> str | None:
    """Order rows to redo the tick; return why they have to skip it, or None."""
    loaded = order.loaded
    if not loaded.description.introduced.catch_up:
        return "its catch_up is False"
    loaded.generations.of(recovery.number).extend(loaded.table, order.start, order.stop, recovery.number)
    recovery.asked.append(order)
    try:
        send(context, order, recovery.number, recovery.dt, catching_up=True)
    except OutOfMemory as error:
        return error.message
    return None
