"""Ending a loaded version, by hand or by collection, and measuring what came back."""

from __future__ import annotations

import time
from collections.abc import Iterable

from grove_core.base.errors import DeadlineExceeded, UnloadRefused, WorkerError
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.records import Memory, Role, UnloadReport
from grove_core.base.showing import brief
from grove_core.base.waiting import Waiting
from grove_core.parts.running import Worker
from grove_core.runtime.rows.moves import Transaction
from grove_core.runtime.rows.ruling import naming
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import why_relied_on
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.wire.messages import AskIdle, Idle, Mapped, Shutdown, answers_call


def why_needed(context: Context, state: ModuleState, loaded: LoadedVersion) -> str | None:
    """Return the engine's own reason to keep a version, or None: entities, weight, rules and other modules keep one."""
    if loaded.count:
        return f"it has {loaded.count} entities; move them with set_traffic_split or migrate_state first"
    only = len(state.versions) == 1
    if state.weights.get(loaded.version, 0.0) > 0 and not only:
        return f"it has the weight {state.weights[loaded.version]:g}; give it to another version first"
    if (rules := naming(state, loaded.version)) and not only:
        text = brief(rules[0].rule.text)
        return f"the rule {rules[0].number}, {text}, pins entities to it; lift it with unpin_rule first"
    return why_relied_on(context.modules, state, loaded)


def unload(context: Context, state: ModuleState, loaded: LoadedVersion) -> UnloadReport:
    """Unload a version by hand, once it is idle.

    Raises:
        UnloadRefused: it is needed, it is stable, or it is not idle in time.
    """
    if reason := why_needed(context, state, loaded):
        raise UnloadRefused(reason, module=state.name, version=loaded.version)
    if state.role(loaded.version) is Role.STABLE and len(state.versions) > 1:
        raise UnloadRefused(
            "it is the stable version; give another one the weight 1 first",
            module=state.name,
            version=loaded.version,
        )
    limit = context.settings.idle_deadline_seconds
    end = context.waiting.now() + limit
    while not is_idle(loaded, max(0.0, end - context.waiting.now()), context.waiting):
        if context.waiting.now() >= end:
            raise UnloadRefused(
                f"its is_idle did not become true within {limit:g} s (idle_deadline_seconds)",
                module=state.name,
                version=loaded.version,
            )
    return end_version(context, state, loaded, EventKind.VERSION_UNLOADED, None)


def is_idle(loaded: LoadedVersion, timeout: float, waiting: Waiting) -> bool:
    """Ask a version whether it may be unloaded. One whose worker is gone or mute is not asked twice."""
    worker = loaded.worker
    if worker is None or not loaded.description.introduced.may_be_busy:
        return True
    end = waiting.now() + timeout
    try:
        if not loaded.idle_asked:
            worker.send(AskIdle())
            loaded.idle_asked = True  # an answer that comes too late for this call is taken by the next
        while isinstance(answer := worker.receive(max(0.0, end - waiting.now())), Mapped) or answers_call(answer):
            if waiting.now() >= end:  # one is what an interrupted move left unread; who sends ever more is mute
                return False
        loaded.idle_asked = False
    except DeadlineExceeded:
        return False
    except WorkerError:
        return True
    return answer.idle if isinstance(answer, Idle) else True


def end_version(
    context: Context, state: ModuleState, loaded: LoadedVersion, kind: EventKind, idle_seconds: float | None
) -> UnloadReport:
    """End a version that has no entities, and measure what it had and what came back."""
    began = time.perf_counter()
    had = memory_of(loaded)
    before = context.isolation.memory()
    with put_off():
        if loaded.worker is not None:
            shut_down(loaded.worker, context.settings.idle_deadline_seconds)
        tables = _end(context, state, loaded)
    after = context.isolation.memory()
    returned = None if before is None or after is None else before - after + tables
    report = UnloadReport(state.name, loaded.version, had, returned, (time.perf_counter() - began) * 1000, idle_seconds)
    context.emit(
        kind,
        state.name,
        loaded.version,
        had_bytes=had.total,
        private_bytes=had.private,
        table_bytes=had.tables,
        returned_bytes=returned,
        idle_seconds=idle_seconds,
        ms=round(report.ms, 3),
    )
    return report


def _end(context: Context, state: ModuleState, loaded: LoadedVersion) -> int:
    """Discard a version as a change that is finished later if it is interrupted; return what its tables gave back."""
    returned = 0

    def settle() -> None:
        nonlocal returned
        if state.versions.get(loaded.version) is loaded:
            returned = discard(context, state, loaded)

    with Transaction(state) as transaction:
        transaction.then = settle
    return returned


@put_off()
def discard(context: Context, state: ModuleState, loaded: LoadedVersion) -> int:
    """Kill a version's worker and give its memory back; return the bytes that its tables gave back."""
    gone = end_worker(loaded)
    if gone:
        returned = loaded.store.close()
    else:
        loaded.store.abandon()
        returned = 0
        context.emit(EventKind.MEMORY_ABANDONED, state.name, loaded.version)
    if loaded.document is not None:
        state.documents[loaded.version] = loaded.document
    state.versions.pop(loaded.version, None)
    state.weights.pop(loaded.version, None)
    if state.stable == loaded.version:
        state.stable = max(state.versions, key=lambda version: (state.weights.get(version, 0.0), version), default=None)
    return returned


@put_off()
def end_worker(loaded: LoadedVersion) -> bool:
    """Kill the worker, if there is one, and one that it replaced; tell whether both are certainly gone."""
    worker, replaced = loaded.worker, loaded.replaced
    gone = True
    if replaced is not None and replaced is not worker:
        gone = replaced.kill()
        replaced.close()
        loaded.replaced = None
    if worker is None:
        return gone
    gone = worker.kill() and gone
    worker.close()
    # Last, since what is interrupted before is done again. A store that was given away would keep its views.
    loaded.worker = loaded.mapped = None
    return gone


def leave_memory(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    """Copy the memory of a version whose worker would not die into new one; nobody reads or writes the old any more.

    Raises:
        OutOfMemory: no address space or pages.
    """
    context.emit(EventKind.MEMORY_ABANDONED, state.name, loaded.version)
    old = loaded.store
    loaded.store = old.copied(loaded.schema)
    old.abandon()


def memory_of(loaded: LoadedVersion) -> Memory:
    """Measure what a version holds."""
    pss, private = (None, None) if loaded.worker is None else loaded.worker.memory()
    return Memory(pss, private, loaded.store.arena.bytes)


def close_all(context: Context, states: Iterable[ModuleState]) -> None:
    """End every version of every module, whatever it has."""
    for state in states:
        for loaded in state.ordered:
            discard(context, state, loaded)
        state.past.close()


def shut_down(worker: Worker, timeout: float) -> None:
    """Let a version shut down by itself; what does not is killed afterwards."""
    try:
        worker.send(Shutdown())
        worker.receive(timeout)
        worker.wait(timeout)
    except WorkerError:
        return
