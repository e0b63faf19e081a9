"""Back to an earlier version: load it if it is not loaded, move the rows, hand over weight and trust."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from packaging.version import Version

from grove_core.base.errors import InvalidInput, LoadFailed, MigrationRefused, UnknownVersion
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.records import Fault, MoveCause, RollbackReport, RollbackStep
from grove_core.base.versions import Requirement, matching
from grove_core.runtime.loading.loading import load, restart
from grove_core.runtime.orders.unloading import discard
from grove_core.runtime.rows.moves import Moved, Transaction, move, record
from grove_core.runtime.rows.roles import quarantine, release, settle_roles
from grove_core.runtime.rows.split import handed_over
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import refuse_as_stable
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import FREE, PINNED
from grove_core.runtime.ticking.breaker import closed_by_hand


@dataclass
class Unfinished:
    """A rollback whose rows have not been ticked since."""

    module: str
    sources: tuple[Version, ...]
    target: Version
    fault: Fault | None
    entities: int
    reloaded: bool
    steps: tuple[RollbackStep, ...]
    rollback_ms: float

    def __call__(self, ticked: bool, since: float, limit_ms: float) -> RollbackReport:
        """Finish the report: `since` is the monotonic time from which these entities had no service."""
        downtime = (time.perf_counter() - since) * 1000 if ticked else None
        return RollbackReport(
            self.module,
            self.sources,
            self.target,
            self.fault,
            self.entities,
            self.reloaded,
            self.steps,
            self.rollback_ms,
            downtime,
            None if downtime is None else downtime <= limit_ms,
        )


@dataclass
class Recovered:
    """Rows that have a running version again, and have a tick to catch up with."""

    state: ModuleState
    loaded: LoadedVersion
    rows: list[tuple[int, int]]
    report: Unfinished | None


def go_back(
    context: Context,
    state: ModuleState,
    sources: Sequence[LoadedVersion],
    target: Version,
    fault: Fault | None,
    cause: MoveCause,
    backup_ms: float,
    reason: str | None = None,
) -> Recovered:
    """Move every entity and all weight of `sources` to `target`; `reason` is why, where no fault is.

    A version that faulted is given up and its memory freed; one that was only left stays loaded, idle.
    Both are quarantined.

    Raises:
        GroveError: the target cannot be loaded, or no lens leads there; nothing moved.
    """
    decided = time.perf_counter()
    clock = decided
    steps = [RollbackStep("backup", backup_ms)]

    def step(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        steps.append(RollbackStep(name, (now - clock) * 1000))
        clock = now

    before, at = state.split_number, context.clock.now()
    moved: list[Moved] = []

    def settle() -> None:
        if len(steps) == 2:  # not once more where it is done again
            step("restore")
        record(state, moved, cause, at, decided)
        redirect(context, state, sources, target, fault, weights, reason)

    reloaded = target not in state.versions
    try:
        goal = reload(context, state, target) if reloaded else state.versions[target]
        if goal.worker is None:
            restart(context, state, goal)
        step("reload")
        weights = handed_over(state.weights, [source.version for source in sources], target)
        rows, pins = _move_all(state, sources, goal, moved, settle)
    except BaseException:
        if reloaded and len(steps) <= 2 and state.intent is None:  # nothing was published, and nothing will be
            if target in state.versions:
                discard(context, state, state.versions[target])
            state.split_number = before
        raise
    if pins:
        context.emit(EventKind.PINS_DROPPED, state.name, target, entities=pins)
    step("redirect")
    unfinished = Unfinished(
        state.name,
        tuple(source.version for source in sources),
        target,
        fault,
        sum(each.entities for each in moved),
        reloaded,
        tuple(steps),
        (time.perf_counter() - decided) * 1000,
    )
    return Recovered(state, goal, rows, unfinished)


def _move_all(
    state: ModuleState,
    sources: Sequence[LoadedVersion],
    goal: LoadedVersion,
    moved: list[Moved],
    then: Callable[[], None],
) -> tuple[list[tuple[int, int]], int]:
    """Move every row of `sources` in one transaction; return where to, and how many were pinned."""
    state.split_number += 1
    rows, pins = [], 0
    with Transaction(state) as transaction:
        for source in sorted(sources, key=lambda one: -one.count):  # the first may be adopted
            count = source.count
            if not count:
                continue  # no lens needs to lead from a version that has nothing to move
            pins += int(np.count_nonzero(source.table[PINNED]))
            placed, hops = move(transaction, state, source, slice(0, count), goal, pinned=FREE)
            rows.append(placed)
            moved.append(Moved(source.version, hops, count))
        transaction.then = then
    return rows, pins


def go_back_by_hand(
    context: Context, state: ModuleState, requirement: Requirement, began: float, limit_ms: float
) -> RollbackReport:
    """Move every entity of every other version to the one that fits, because somebody said so.

    Args:
        context: the engine's parts.
        state: the module.
        requirement: a version that is loaded, or was.
        began: the monotonic time at which it was asked for.
        limit_ms: the downtime it is held against.

    Raises:
        GroveError: nothing moved.
    """
    refuse_limit(state, limit_ms)
    target = known(state, requirement)
    refuse_as_stable(context.modules, state, target)
    sources = [loaded for loaded in state.ordered if loaded.version != target]
    recovered = go_back(context, state, sources, target, None, MoveCause.ROLLBACK, 0.0)
    assert recovered.report is not None
    report = recovered.report(True, began, limit_ms)
    tell(context, report)
    return report


def refuse_limit(state: ModuleState, limit_ms: float) -> None:
    """Refuse a limit that nothing could keep."""
    if not limit_ms > 0:
        raise InvalidInput(f"max_downtime_ms is {limit_ms!r}; it must be above 0", module=state.name)


def tell(context: Context, report: RollbackReport) -> None:
    """Log a rollback that is finished."""
    restored = report.restored
    what = () if restored is None else ("generation", "since", "restored", "born", "gone", "document")
    context.emit(
        EventKind.ROLLED_BACK,
        report.module,
        report.target,
        source=[str(version) for version in report.from_versions],
        entities=report.entities,
        reloaded=report.reloaded,
        rollback_ms=round(report.rollback_ms, 3),
        downtime_ms=None if report.downtime_ms is None else round(report.downtime_ms, 3),
        within_limit=report.within_limit,
        **{name: getattr(restored, name) for name in what},
    )


def known(state: ModuleState, requirement: Requirement) -> Version:
    """Find a version that is loaded, else the highest that was."""
    if not matching(requirement, state.versions):
        was_loaded = matching(requirement, state.configs)
        if was_loaded:
            return was_loaded[-1]
    return state.resolve(requirement).version


def reload(context: Context, state: ModuleState, target: Version, document: bytes | None = None) -> LoadedVersion:
    """Load a version again. What cannot read the document of a later one goes on from the last of its own.

    Args:
        context: the engine's parts.
        state: the module.
        target: was loaded before.
        document: one of its own to start from; None for stable's.
    """
    description = state.descriptions.get(target)
    if description is None:
        raise UnknownVersion(
            "it was never loaded, so there is nothing to go back to", module=state.name, version=target
        )
    stable, config, own = state.stable, state.configs.get(target, {}), state.documents.get(target)
    limits = state.limits.get(target)
    try:
        return load(context, state, description.record, config, None, document, limits)
    except (MigrationRefused, LoadFailed):
        if own is None or document is not None:
            raise
        return load(context, state, description.record, config, None, own, limits)
    finally:
        state.stable = stable


@put_off()
def redirect(
    context: Context,
    state: ModuleState,
    sources: Sequence[LoadedVersion],
    target: Version,
    fault: Fault | None,
    weights: Mapping[Version, float],
    reason: str | None = None,
) -> None:
    """Hand over weight and trust. The target is stable if the stable version was left; nothing is previous then.

    To do it twice is to do it once. `weights` are those that there are then.
    """
    state.weights = dict(weights)
    left = {source.version for source in sources}
    if state.stable in left:
        state.previous = None
        state.stable = target
        context.emit(EventKind.STABLE_CHANGED, state.name, target, previous=None)
    for source in sources:
        why = fault.message if fault is not None else reason or f"rolled back to {target} by hand"
        quarantine(context, state, source.version, why)
        if fault is not None or source.worker is None:
            discard(context, state, source)
    if fault is None:  # somebody asked for it
        release(context, state, target)
        closed_by_hand(state, target)
    settle_roles(context, state)
