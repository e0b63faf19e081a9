"""Back to a generation: the values of then, in one version, for corruption that was noticed late."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID, ID_DTYPE, Array
from grove_core.base.errors import BadGeneration, InvalidInput, UnknownGeneration
from grove_core.base.events import EventKind
from grove_core.base.kept import Restored, Since
from grove_core.base.records import MoveCause, RollbackReport, RollbackStep
from grove_core.base.versions import Requirement
from grove_core.memory.table import Rows, length
from grove_core.migration.plan import refuse_irreversible
from grove_core.migration.rows import Batch, migrate
from grove_core.parts.contracts import NEW
from grove_core.runtime.loading.loading import restart
from grove_core.runtime.orders.unloading import discard, end_worker
from grove_core.runtime.rows.moves import Moved, Newcomers, Transaction, extract, move, record
from grove_core.runtime.rows.split import handed_over
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import refuse_as_stable
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.past import KeptGeneration, KeptTable
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import ARRIVAL, FAILED, FREE, ORIGIN, PINNED
from grove_core.runtime.ticking.rollback import Unfinished, known, redirect, refuse_limit, reload, tell

Ids = NDArray[np.int64]


def go_back_to(
    context: Context,
    state: ModuleState,
    requirement: Requirement,
    number: int | None,
    since: Since,
    began: float,
    limit_ms: float,
) -> RollbackReport:
    """Give every entity the values of a generation, and move all of them to the version that fits.

    Args:
        context: the engine's parts.
        state: the module.
        requirement: a version that is loaded, or was.
        number: which generation.
        since: what becomes of those that were born or ended since.
        began: the monotonic time at which it was asked for.
        limit_ms: the downtime it is held against.

    Raises:
        GroveError: nothing moved.
    """
    refuse_limit(state, limit_ms)
    generation = _chosen(state, number, since)
    target = known(state, requirement)
    refuse_as_stable(context.modules, state, target)
    plan = _Plan.of(state, generation, since)
    plan.refuse_without_a_way(target)
    decided = time.perf_counter()
    at, restored = context.clock.now(), decided
    with _ready(context, state, target, generation) as (goal, reloaded, renewed):
        ready = time.perf_counter()
        state.split_number += 1
        sources = [loaded for loaded in state.ordered if loaded is not goal]
        weights = handed_over(state.weights, [loaded.version for loaded in sources], target)

        def settle() -> None:
            nonlocal restored
            restored = time.perf_counter()
            ways = [Moved(version, (), count, target) for version, count in moved.items()]
            record(state, ways, MoveCause.ROLLBACK, at, decided)
            for each in state.past:
                each.left |= each.number > generation.number
            redirect(context, state, sources, target, None, weights)

        with Transaction(state) as transaction:
            moved, pins, changed = plan.carry_out(transaction, goal)
            transaction.then = settle
    if pins:
        context.emit(EventKind.PINS_DROPPED, state.name, target, entities=pins)
    done = time.perf_counter()
    spent = {"backup": 0.0, "reload": ready - decided, "restore": restored - ready, "redirect": done - restored}
    report = Unfinished(
        state.name,
        tuple(loaded.version for loaded in sources),
        target,
        None,
        changed,
        reloaded,
        tuple(RollbackStep(name, seconds * 1000) for name, seconds in spent.items()),
        (done - decided) * 1000,
    )(True, began, limit_ms)
    report = replace(report, restored=plan.report(document=renewed))
    tell(context, report)
    return report


def _chosen(state: ModuleState, number: int | None, since: Since) -> KeptGeneration:
    """Find the generation that was asked for."""
    if not isinstance(since, Since):
        raise InvalidInput(f"since is {since!r}; it must be Since.KEEP or Since.UNDO", module=state.name)
    if number is None:
        raise InvalidInput("since says what was before which generation; give its number too", module=state.name)
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise InvalidInput(f"generation is {number!r}; it must be the number of one", module=state.name)
    found = state.past.find(int(number))
    if found is None:
        there = ", ".join(str(each.number) for each in state.past)
        hint = f"there are: {there}" if there else "there are none; the setting keep_generations says how many are kept"
        raise UnknownGeneration(f"no generation {number} is kept; {hint}", module=state.name)
    return found


@dataclass(frozen=True)
class _Plan:
    """Who lived at a generation, who lives now, and what becomes of each."""

    state: ModuleState
    generation: KeptGeneration
    since: Since
    then: dict[Version, tuple[KeptTable, NDArray[np.bool_]]]
    """Each version that had rows then: these, and which of them live now."""
    now: dict[Version, NDArray[np.bool_]]
    """For each loaded version, which of its rows lived then."""
    born: Ids
    """Who lives now and did not live then."""

    @classmethod
    def of(cls, state: ModuleState, generation: KeptGeneration, since: Since) -> _Plan:
        """Compare a generation with what is there."""
        kept = {version: table for version, table in generation.tables.items() if table.table.count}
        ids_then = _joined([each.table[ID] for each in kept.values()])
        ids_now = _joined([loaded.table[ID] for loaded in state.ordered])
        then = {version: (each, np.isin(each.table[ID], ids_now)) for version, each in kept.items()}
        now = {loaded.version: np.isin(loaded.table[ID], ids_then) for loaded in state.ordered}
        return cls(state, generation, since, then, now, ids_now[~np.isin(ids_now, ids_then)])

    def refuse_without_a_way(self, target: Version) -> None:
        """Refuse what no lens leads to the target, before anything is done.

        Raises:
            NoLensPath, MigrationRefused: it names the versions.
        """
        need = {version for version, (_, alive) in self.then.items() if alive.any() or self.since is Since.UNDO}
        if self.since is Since.KEEP:
            need |= {version for version, old in self.now.items() if not old.all()}
        for version in sorted(need):
            refuse_irreversible(self.state.graph.path(version, target))

    def carry_out(self, transaction: Transaction, goal: LoadedVersion) -> tuple[dict[Version, int], int, int]:
        """Write the target anew: those of the generation as they were, those born since as they are.

        Returns:
            How many came to the target from each other version, how many of them were pinned, and how many entities
            came or have other values.

        Raises:
            GroveError: rows cannot be migrated, break a rule, or have no room.
        """
        transaction.write_anew(goal)
        changed = sum(self._bring_back(transaction, version, goal) for version in self.then)
        moved, pins = {}, 0
        for version, old in self.now.items():
            loaded, born = self.state.versions[version], np.flatnonzero(~old)
            if self.since is Since.UNDO:
                born = born[:0]
            if loaded is goal:
                _stay(transaction, goal, born)
                continue
            if len(born):
                move(transaction, self.state, loaded, born, goal, pinned=FREE)
                changed += len(born)
            leaves: Rows = np.flatnonzero(old) if self.since is Since.KEEP else slice(0, loaded.count)
            if length(leaves):
                transaction.take_out(loaded, leaves)
            comes = np.concatenate([np.flatnonzero(old), born])
            if len(comes):
                moved[version] = len(comes)
                pins += int(np.count_nonzero(loaded.table[PINNED][comes]))
        return moved, pins, changed

    def _bring_back(self, transaction: Transaction, version: Version, goal: LoadedVersion) -> int:
        kept, alive = self.then[version]
        rows = np.arange(len(alive)) if self.since is Since.UNDO else np.flatnonzero(alive)
        if not len(rows):
            return 0
        batch = migrate(kept.batch(rows), self.state.graph.path(version, goal.version), self.state.open_runner)
        for spec in goal.schema.specs:
            if broken := spec.column.broken_rule(batch.columns[spec.name]):
                raise BadGeneration(
                    f"the rows of {version} in the generation {self.generation.number} would not be valid: column "
                    f"{spec.name} {broken}; go back to another one",
                    module=self.state.name,
                    version=goal.version,
                )
        transaction.bring_in(goal, self._newcomers(kept.table[ID][rows], batch, goal))
        return len(rows)

    def _newcomers(self, ids: Ids, batch: Batch, goal: LoadedVersion) -> Newcomers:
        """Say where rows came from: whoever is in the target stays there, and whoever is nowhere is born there."""
        arrival = np.zeros(len(ids), np.int64)
        origin = np.full(len(ids), NEW, np.int32)
        pinned = np.full(len(ids), FREE, np.uint8)
        failed = np.zeros(len(ids), np.uint8)
        for loaded in self.state.ordered:
            rows = rows_of(loaded.table, ids)
            here = np.flatnonzero(rows >= 0)
            failed[here] = loaded.table[FAILED][rows[here]]
            if loaded is goal:
                for values, name in ((arrival, ARRIVAL), (origin, ORIGIN), (pinned, PINNED)):
                    values[here] = loaded.table[name][rows[here]]
            elif len(here):
                arrival[here], origin[here] = self.state.split_number, self.state.code(loaded.version)
        return Newcomers(ids, batch, arrival, origin, pinned, failed)

    def report(self, *, document: bool) -> Restored:
        """Say what became of everybody; read only."""
        then = [(kept.table[ID], alive) for kept, alive in self.then.values()]
        restored, gone = (_joined([ids[alive == lives] for ids, alive in then]) for lives in (True, False))
        ids = restored, self.born, gone
        for each in ids:
            each.flags.writeable = False
        return Restored(
            self.generation.number,
            self.generation.at,
            self.since,
            *(len(restored), len(self.born), len(gone)),
            document,
            *ids,
        )


def _stay(transaction: Transaction, goal: LoadedVersion, rows: NDArray[np.int64]) -> None:
    """Bring in rows of the target that stay as they are."""
    if len(rows):
        engine = (goal.table[name][rows] for name in (ID, ARRIVAL, ORIGIN, PINNED, FAILED))
        ids, arrival, origin, pinned, failed = engine
        transaction.bring_in(goal, Newcomers(ids, extract(goal, rows), arrival, origin, pinned, failed))


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty(0, ID_DTYPE)


@contextmanager
def _ready(
    context: Context, state: ModuleState, target: Version, generation: KeptGeneration
) -> Iterator[tuple[LoadedVersion, bool, bool]]:
    """Have the target run with the document it had then; put back what there was if anything is raised within.

    Yields:
        The target, whether it had to be loaded, and whether its worker was started anew for its document.
    """
    document = generation.documents.get(target)
    if target not in state.versions:
        with _loaded(context, state, target, document) as goal:
            yield goal, True, document is not None
        return
    goal = state.versions[target]
    renewed = document is not None and document != goal.document
    if goal.worker is not None and not renewed:
        yield goal, False, False
        return
    worker, store, was = goal.worker, goal.store, (goal.document, goal.mapped, goal.idle_asked)
    try:
        if renewed:
            goal.document = document
        restart(context, state, goal)
        yield goal, False, renewed
    except BaseException:
        if goal.store is store and state.intent is None:  # nothing was published, and nothing will be
            if goal.worker is not worker:
                end_worker(goal)
            goal.worker, (goal.document, goal.mapped, goal.idle_asked) = worker, was
            worker = None
        raise
    finally:
        if worker is not None:
            if not worker.kill():  # what it maps is the target's no more
                context.emit(EventKind.MEMORY_ABANDONED, state.name, target)
            worker.close()


@contextmanager
def _loaded(context: Context, state: ModuleState, target: Version, document: bytes | None) -> Iterator[LoadedVersion]:
    """Load the target; end it if anything is raised within."""
    goal, weights = reload(context, state, target, document), state.weights
    try:
        yield goal
    except BaseException:
        if state.weights is weights and state.intent is None:  # nothing was published, and nothing will be
            discard(context, state, goal)
        raise
