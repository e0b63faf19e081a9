"""Reloading what depends on a module that has another stable version: a new worker over the same memory."""

from __future__ import annotations

import time

from grove_core.base.errors import GroveError
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.parts.running import Worker
from grove_core.runtime.loading.loading import restart
from grove_core.runtime.orders.unloading import end_worker, is_idle, leave_memory, shut_down
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import levels, needs_of, standing_of
from grove_core.runtime.state.state import LoadedVersion, ModuleState, Standing

IDLE_ANSWER_SECONDS = 0.005
"""How long `is_idle` is waited for; what is busy, or does not answer in time, is asked again after the next tick."""


def renew(context: Context) -> None:
    """Reload versions whose bases are others than when their workers came up, bases first; tell of what is not met.

    Rows stay where they are, and the document is the last that was committed. The new worker must be ready before the
    old one goes: where it does not come up the version goes on as it was, and that is told.
    """
    for state in context.modules.values():
        end_replaced(context, state)
    if not any(loaded.bases for state in context.modules.values() for loaded in state.versions.values()):
        return
    for level in levels(context.modules.values()):
        for state in level:
            for loaded in state.ordered:
                _tell_unmet(context, state, loaded)
                _follow(context, state, loaded)


def _follow(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    """Reload one version if a base of it has changed, and it is idle."""
    now, worker = standing_of(context.modules, loaded.description), loaded.worker
    changed = [base for base, standing in now.items() if loaded.bases.get(base) != standing]
    if not changed or worker is None or not is_idle(loaded, IDLE_ANSWER_SECONDS, context.waiting):
        return
    began = time.perf_counter()
    bases = {base: str(now[base].stable) for base in changed}
    try:
        _replace(context, state, loaded, worker, now)
    except GroveError as error:
        text = f"it was not reloaded for {bases}, and goes on with the worker it had: {error.message}"
        context.emit(EventKind.LOAD_FAILED, state.name, loaded.version, error=text)
        return
    ms = (time.perf_counter() - began) * 1000
    context.emit(EventKind.DEPENDENT_RELOADED, state.name, loaded.version, bases=bases, ms=round(ms, 3))


def _replace(
    context: Context, state: ModuleState, loaded: LoadedVersion, old: Worker, now: dict[str, Standing]
) -> None:
    """Give a version a new worker; it keeps the old one if anything is raised.

    Raises:
        GroveError: the new one did not become ready.
    """
    was = (loaded.document, loaded.document_ahead, loaded.mapped, loaded.idle_asked)
    loaded.replaced = old  # from now on it is not forgotten, whatever strikes
    try:
        restart(context, state, loaded)
        loaded.renewals += 1
    except BaseException as error:
        with put_off():
            if loaded.worker is not old:
                loaded.replaced = None  # it stays after all
                if not end_worker(loaded) and loaded.count:
                    leave_memory(context, state, loaded)
            loaded.worker = old
            loaded.document, loaded.document_ahead, loaded.mapped, loaded.idle_asked = was
            if isinstance(error, GroveError):  # it failed by itself, and would do so after every tick
                loaded.bases = now
        raise
    finally:
        end_replaced(context, state)


def end_replaced(context: Context, state: ModuleState) -> None:
    """End the workers that were replaced; those that an error kept from it before, too."""
    for loaded in state.versions.values():
        if loaded.replaced is not None:
            _end(context, state, loaded, loaded.replaced)


@put_off()
def _end(context: Context, state: ModuleState, loaded: LoadedVersion, replaced: Worker) -> None:
    if replaced is not loaded.worker:
        shut_down(replaced, context.settings.idle_deadline_seconds)
        gone = replaced.kill()
        replaced.close()
        if not gone and loaded.count:  # what it maps is the version's no more
            leave_memory(context, state, loaded)
    loaded.replaced = None


def _tell_unmet(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    """Tell once of a requirement that is met no more: a fault may have taken the version that did."""
    unmet = set()
    for need in needs_of(loaded.description):
        base = context.modules.get(need.module)
        if base is None or not any(map(need.fits, base.versions)):
            unmet.add(need.text)
            if need.text not in loaded.unmet:
                there = [] if base is None else sorted(map(str, base.versions))
                context.emit(
                    EventKind.REQUIREMENT_UNMET, state.name, loaded.version, requirement=need.text, loaded=there
                )
    loaded.unmet = frozenset(unmet)
