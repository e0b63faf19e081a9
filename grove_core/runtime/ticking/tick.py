"""One tick: generations; level by level orders, one poll, validation, commit, recovery; collection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from grove_core.base.events import EventKind
from grove_core.base.records import TickReport
from grove_core.base.ticks import Stage, VersionTime
from grove_core.runtime.orders.asks import Ask, Problem, flush_rest, gather, send
from grove_core.runtime.orders.collect import collect
from grove_core.runtime.orders.services import answer
from grove_core.runtime.rows.keeping import keep
from grove_core.runtime.rows.moves import settle
from grove_core.runtime.rows.pinning import keep as keep_pins
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import levels
from grove_core.runtime.state.state import Condition, LoadedVersion, ModuleState
from grove_core.runtime.ticking import breaker
from grove_core.runtime.ticking.commit import Effects, apply, count_observed, end_and_bear, validate
from grove_core.runtime.ticking.restore import Recovery, contain, join, recover, replace_failed, take_back
from grove_core.runtime.ticking.review import review
from grove_core.runtime.ticking.sampling import sample
from grove_core.wire.service_messages import CallService


def tick(context: Context, states: Sequence[ModuleState], number: int, dt: float) -> TickReport:
    """Advance every module by `dt` seconds. A fault of a version is handled here, and never raised.

    Modules that others need go first: these are sent their orders once those have committed, or recovered. All modules
    of a level work at once.

    To be called with signals put off: workers that were told to work must be waited for in any case. What else is
    raised within, such as a MemoryError, leaves no part of the tick.
    """
    began = time.perf_counter()
    for state in states:
        if settle(state):
            context.emit(EventKind.INTENT_REPLAYED, state.name)
        if state.watch is not None:
            state.watch.tick_begins()
    population = sum(state.population for state in states)
    running = [state for state in states if state.condition is Condition.RUNNING]
    clock = _Stages()
    checkpoint(running, number)
    if context.settings.keep_generations:
        keep(context, running, number)
    clock.ended(Stage.CHECKPOINT)
    order = _running(states)
    before = [(one, one.document, one.restarts) for state in running for one in state.versions.values()]
    recovery = Recovery(number, dt, before=before)
    recovery.answers = partial(_answer_call, context, recovery)
    try:
        for level in order:
            _work(context, level, recovery, clock)
    except BaseException:
        take_back(context, running, recovery)
        raise
    _carry_out(context, recovery)
    for state in running:
        if state.pin_rules and state.condition is Condition.RUNNING:
            keep_pins(context, state)
    clock.ended(Stage.COMMIT)
    for state in states:
        breaker.step(context, state)
    collected = [report for state in states for report in collect(context, state)]
    sample(context, states)
    flush_rest(context, states)
    clock.ended(Stage.COLLECT)
    return TickReport(
        number,
        (time.perf_counter() - began) * 1000,
        recovery.processed,
        max(0, population - recovery.processed),
        tuple(recovery.faults),
        tuple(recovery.rollbacks),
        tuple(collected),
        clock.ms,
        tuple(_time(order, began) for order in recovery.asked if order.sent),
        None,
        tuple(tuple(state.name for state in level) for level in order),
    )


def _time(order: Ask, began: float) -> VersionTime:
    """Tell when an order was sent and answered, from the beginning of its tick on."""
    return VersionTime(
        order.state.name,
        order.loaded.version,
        order.stop - order.start,
        order.catching_up,
        (order.asked_at - began) * 1000,
        None if order.answered_at is None else (order.answered_at - began) * 1000,
        None if order.reply is None else order.reply.ms,
    )


def _running(states: Sequence[ModuleState]) -> list[list[ModuleState]]:
    """Return the modules that are ticked, level by level."""
    every = [[state for state in level if state.condition is Condition.RUNNING] for level in levels(states)]
    return [level for level in every if level]


class _Stages:
    """Takes the time of one stage after the other."""

    def __init__(self) -> None:
        self.ms: dict[Stage, float] = {}
        self._began = time.perf_counter()

    def ended(self, stage: Stage) -> None:
        """Note that a stage is over, and the next one begins; one that comes several times is added up."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self._began) * 1000
        self._began = now


def _work(context: Context, level: Sequence[ModuleState], recovery: Recovery, clock: _Stages) -> None:
    """Have all modules of one level work at once, and commit what comes of it."""
    asks, silent = _orders(level)
    recovery.asked.extend(asks)
    for order in asks:
        send(context, order, recovery.number, recovery.dt, catching_up=False)
    gather(context, asks, silent, recovery.answers)
    clock.ended(Stage.WORK)
    _commit(context, [*asks, *_broken(silent)], recovery)
    clock.ended(Stage.COMMIT)


def _answer_call(context: Context, recovery: Recovery, order: Ask, call: CallService) -> None:
    """Answer a version that calls a service; who fails at it is recovered from at once, and asked again."""

    def failed(state: ModuleState, loaded: LoadedVersion, problem: Problem, times: int) -> None:
        replace_failed(context, state, loaded, problem, times, recovery)

    assert order.loaded.worker is not None
    answer(context, order.loaded.description, order.loaded.worker, call, order.calls, failed)


def checkpoint(states: Sequence[ModuleState], number: int) -> None:
    """Copy what workers can change into the generation of this tick."""
    for state in states:
        for loaded in state.versions.values():
            if loaded.count:
                loaded.generations.take(loaded.table, number)


def _orders(states: Sequence[ModuleState]) -> tuple[list[Ask], list[Ask]]:
    """Make the orders; versions without rows get none and are only watched."""
    every = [Ask(state, loaded, 0, loaded.count) for state in states for loaded in state.ordered]
    return [order for order in every if order.stop], [order for order in every if not order.stop]


def _broken(silent: Sequence[Ask]) -> list[Ask]:
    """Return the orders of versions that died idle; for those that live, an idle tick is a good one."""
    for order in silent:
        if order.problem is None and order.loaded.worker is not None:
            order.loaded.restarts = 0
    return [order for order in silent if order.problem is not None]


def _commit(context: Context, orders: Sequence[Ask], recovery: Recovery) -> None:
    """Commit what is good, contain and recover what is not.

    Workers that failed are ended and their rows restored before any row changes its place. Stable versions
    recover first, so that the others have somewhere to go.
    """
    claimed: dict[str, list[NDArray[np.int64]]] = {}
    bad = []
    for order in orders:
        mine = claimed.setdefault(order.state.name, [])
        effects: Effects | Problem = validate(context, order, recovery.number, recovery.dt, mine)
        if isinstance(effects, Problem):
            bad.append((order, *contain(context, order, effects, recovery)))
        else:
            recovery.processed += apply(context, order, effects, recovery.number)
            recovery.committed.append((order, effects))
    for order, fault, ms in sorted(bad, key=lambda one: one[0].loaded.version != one[0].state.stable):
        recover(context, order, fault, ms, recovery)
    for order in recovery.left:
        join(context, order, recovery)
    recovery.left.clear()  # what joined has had its tick, and a later level is of other modules


def _carry_out(context: Context, recovery: Recovery) -> None:
    """Do what versions asked for besides columns, once every row has its place and its tick."""
    for order, effects in recovery.committed:
        count_observed(order, effects)
    for order, effects in recovery.committed:
        end_and_bear(context, order, effects)
    for order, effects in recovery.committed:
        if len(effects.failed):
            review(context, order, recovery)
