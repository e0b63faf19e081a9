"""Loading and unloading a version. A load that fails leaves no process, no memory, no change."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from packaging.version import Version

from grove_core.base.errors import (
    AlreadyLoaded,
    GroveError,
    MigrationRefused,
    PackageError,
)
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.limits import Limits
from grove_core.base.records import VersionRecord
from grove_core.migration.plan import Endpoint
from grove_core.parts.running import Worker
from grove_core.runtime.loading.introducing import check_config, introduce, introduced, refuse_unmeasured
from grove_core.runtime.orders.awaiting import await_answer
from grove_core.runtime.orders.services import answering, offers
from grove_core.runtime.orders.unloading import leave_memory
from grove_core.runtime.rows.roles import settle_roles
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.dependencies import refuse_unmet, standing_of
from grove_core.runtime.state.state import (
    Description,
    LoadedVersion,
    ModuleState,
    nothing_more,
)
from grove_core.runtime.state.store import Store
from grove_core.wire.channel import close_all
from grove_core.wire.messages import (
    Prepare,
    Ready,
    Slot,
)


def load(
    context: Context,
    state: ModuleState,
    record: VersionRecord,
    config: dict[str, Any],
    meet: Callable[[Description], None] | None = None,
    document: bytes | None = None,
    limits: Limits | None = None,
    entered: Callable[[], None] = nothing_more,
) -> LoadedVersion:
    """Load a version until it is ready, within the deadline for all of it.

    Args:
        record: an installed version, not broken.
        config: what its `initialize` gets.
        meet: sees to what it requires, once that is known; None: it must be loaded already.
        document: one of its own to start from; None for stable's.
        limits: what it may take; None for what the settings say.
        entered: called once it is one of the module's, as a part of the load.

    Raises:
        InvalidConfig: its config is not as it describes it.
        AlreadyLoaded, LoadFailed, DeadlineExceeded, WorkerError: it did not become ready.
        PackageError: its schema, a lens or a requirement does not fit.
        MigrationRefused: it does not take stable's document.
        GroveError: what `meet` raises.
    """
    assert record.version is not None
    if record.version in state.versions:
        raise AlreadyLoaded("it is loaded already; unload it first", module=state.name, version=record.version)
    deadline = Deadline(context.waiting, context.settings.load_deadline_seconds)
    limits = context.settings.limits if limits is None else limits
    known = state.descriptions.get(record.version)
    stable, weights = state.stable, state.weights
    memory: list[Store] = []

    def give_back(gone: bool) -> None:
        for store in memory:
            if gone:
                store.close()
            else:
                store.abandon()

    try:
        with kept_on_success(context, give_back) as worker:
            refuse_unmeasured(worker, limits)
            description = introduce(context, worker, record, limits, deadline)
            if meet is not None:
                with deadline.stopped():
                    meet(description)
            refuse_unmet(context.modules, description)
            join(state, description)
            limit, kind = context.settings.max_entities, context.settings.memory
            store = Store.make(f"grove:{state.name}", description.schema, limit, kind)
            memory.append(store)
            loaded = LoadedVersion(record.version, description, store, config, context.clock.now(), worker)
            loaded.document, loaded.limits = document, limits
            prepare(context, state, loaded, worker, deadline)
            with put_off():
                _enter(context, state, loaded)
                entered()
    except BaseException as error:
        state.versions.pop(record.version, None)
        state.stable, state.weights = stable, weights
        forget(state, record.version, known)
        if isinstance(error, GroveError):
            error.module, error.version = state.name, str(record.version)
            context.emit(EventKind.LOAD_FAILED, state.name, record.version, error=error.message)
        raise
    return loaded


def _enter(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    """Make a version that is ready one of the module's. The first is stable, and has all the weight."""
    state.versions[loaded.version] = loaded
    state.configs[loaded.version], state.limits[loaded.version] = loaded.config, loaded.limits
    if state.stable is None:
        state.stable = loaded.version
        state.weights = {loaded.version: 1.0}
    settle_roles(context, state)


def prepare(context: Context, state: ModuleState, loaded: LoadedVersion, worker: Worker, deadline: Deadline) -> None:
    """Have a worker that was introduced map its columns, initialise, warm up and take a document over.

    Raises:
        InvalidConfig: its config is not as it describes it.
        LoadFailed, DeadlineExceeded, WorkerError: it did not become ready.
        MigrationRefused: it has a document, and does not take the one there is.
    """
    check_config(state, loaded, worker, deadline)
    document, giver = _document_for(state, loaded)
    bases = offers(context, loaded.description)
    with put_off():  # nothing waits in here, and what is opened is closed
        slots, descriptors = _columns_of(loaded)
        try:
            worker.send(Prepare(slots, loaded.config, document, str(giver), bases), descriptors)
        finally:
            close_all(descriptors[1:])

    ready = await_answer(
        worker, deadline, loaded.limits, "initialised and warmed", Ready, answering(context, loaded.description, worker)
    )
    if document is not None and not ready.document_taken:
        if loaded.description.introduced.keeps_document:
            raise MigrationRefused(
                f"it does not take the document of {giver}; let migrate_state_from({str(giver)!r}, state) "
                f"take it over and return True"
            )
        context.emit(EventKind.DOCUMENT_LEFT, state.name, loaded.version, giver=str(giver))
    loaded.document, loaded.document_ahead = ready.document, False
    loaded.worker, loaded.failed = worker, None
    loaded.mapped = loaded.store if slots else None
    loaded.idle_asked = False
    loaded.bases = standing_of(context.modules, loaded.description)


def _columns_of(loaded: LoadedVersion) -> tuple[tuple[Slot, ...], list[int]]:
    """Return what its worker is to map, and the descriptors of that, the second to be closed; nothing without rows."""
    if not loaded.count:
        return (), []
    arena = loaded.store.arena
    return loaded.store.worker_slots(loaded.schema), [arena.descriptor, arena.read_only_descriptor()]


def restart(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    """Give a loaded version, whose worker is gone, a new one over the same memory and the last document.

    Raises:
        GroveError: it did not become ready; it still has no worker.
    """
    deadline = Deadline(context.waiting, context.settings.load_deadline_seconds)

    def leave(gone: bool) -> None:
        if not gone and loaded.count:  # it may map the columns by now
            leave_memory(context, state, loaded)

    with kept_on_success(context, leave) as worker:
        description = introduce(context, worker, loaded.description.record, loaded.limits, deadline)
        if description.schema != loaded.schema:
            raise PackageError("its schema changed on disk since it was loaded")
        prepare(context, state, loaded, worker, deadline)


def describe(context: Context, state: ModuleState, record: VersionRecord) -> None:
    """Have a short-lived worker introduce a version that is not loaded, so that its lenses can be used.

    Raises:
        GroveError: it cannot be imported, or its lenses do not fit.
    """
    join(state, learn(context, record))


def learn(context: Context, record: VersionRecord) -> Description:
    """Have a version introduce itself in a short-lived worker; nothing else knows of it, and no planned fault strikes.

    It is imported from the copy that it would run from.

    Raises:
        GroveError: it cannot be imported.
    """
    record = context.packages.own(record)
    deadline = Deadline(context.waiting, context.settings.load_deadline_seconds)
    with kept_on_success(context, lambda _: None) as worker:
        description = introduced(context, worker, record, context.settings.limits, deadline)
        with put_off():
            worker.kill()
            worker.close()
    return description


@contextlib.contextmanager
def kept_on_success(context: Context, undo: Callable[[bool], None]) -> Iterator[Worker]:
    """Start a worker, and end it if anything is raised.

    Args:
        context: the engine's parts.
        undo: called then, with whether the worker is certainly gone.
    """
    worker: Worker | None = None
    try:
        with put_off():  # who is being started cannot be ended yet
            worker = context.isolation.start()
        yield worker
    except BaseException:
        with put_off():
            if worker is not None:
                gone = worker.kill()
                worker.close()
                undo(gone)
        raise


def join(state: ModuleState, description: Description) -> None:
    """Add a version's schema and lenses to the graph, checking every lens that touches it."""
    version = description.record.version
    assert version is not None
    state.graph.add(Endpoint(version, description.schema), description.introduced.lenses)
    state.graph.check(version)
    state.descriptions[version] = description


def forget(state: ModuleState, version: Version, known: Description | None) -> None:
    """Put the graph back to what was known of a version before a load that failed."""
    if state.descriptions.get(version) is known and known is None:
        if version in state.graph.versions:
            state.graph.remove(version)
    elif known is None:
        del state.descriptions[version]
        state.graph.remove(version)
    else:
        state.descriptions[version] = known
        state.graph.add(Endpoint(version, known.schema), known.introduced.lenses)


def _document_for(state: ModuleState, loaded: LoadedVersion) -> tuple[bytes | None, Version]:
    """Choose the document to start from: its own last one, else stable's."""
    if loaded.document is not None:
        return loaded.document, loaded.version
    stable = state.versions.get(state.stable) if state.stable is not None else None
    return (None, loaded.version) if stable is None else (stable.document, stable.version)
