"""What a worker is told before it may be ticked, and what it answers."""

from __future__ import annotations

from grove_core.author.schema import Schema
from grove_core.base.configs import mistaken
from grove_core.base.errors import ProtocolError, WorkerError
from grove_core.base.events import EventKind
from grove_core.base.limits import Limit, Limits
from grove_core.base.records import VersionRecord
from grove_core.parts.running import Peer, Worker
from grove_core.runtime.orders.awaiting import await_answer
from grove_core.runtime.orders.services import answering, offers
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.dependencies import standing_of
from grove_core.runtime.state.state import Description, LoadedVersion, ModuleState
from grove_core.wire.config_messages import CheckConfig, ConfigChecked
from grove_core.wire.faults import AT_LOAD, FaultPoint, Planned
from grove_core.wire.messages import PROTOCOL, Introduced, Load, Prepare, Ready


def introduce(
    context: Context,
    worker: Peer,
    record: VersionRecord,
    limits: Limits,
    deadline: Deadline,
    points: frozenset[FaultPoint] = AT_LOAD,
) -> Description:
    """Have a worker import a version and say what it is, and hold it to these limits from then on.

    Faults that wait for it at any of these points are taken along.

    Raises:
        LoadFailed, DeadlineExceeded, WorkerError, SchemaError: it did not.
    """
    assert record.version is not None
    faults = context.fault_plan.at_load(record.module, record.version, points)
    for fault in faults:
        told = {"fault": fault.kind.value, "point": fault.point.value, "tick": None}
        context.emit(EventKind.FAULT_INJECTED, record.module, record.version, **told)
    return introduced(context, worker, record, limits, deadline, faults)


def introduced(
    context: Context,
    worker: Peer,
    record: VersionRecord,
    limits: Limits,
    deadline: Deadline,
    faults: tuple[Planned, ...] = (),
) -> Description:
    """Have a worker import a version and say what it is; `faults` strike it as it is loaded."""
    worker.send(
        Load(
            PROTOCOL,
            record.module,
            str(record.version),
            record.entry_point,
            record.path,
            context.faults_allowed,
            faults,
            limits=limits,
            fenced=context.fenced,
        )
    )
    answer = await_answer(worker, deadline, limits, "imported", Introduced)
    if answer.protocol != PROTOCOL:
        raise ProtocolError(f"it speaks protocol {answer.protocol}, the engine {PROTOCOL}: two versions of grove-core")
    return Description(record, Schema.of(answer.specs), answer)


def initialise(context: Context, state: ModuleState, loaded: LoadedVersion, worker: Peer, deadline: Deadline) -> None:
    """Have a worker that was introduced initialise and warm up; it gets neither columns nor a document yet.

    Raises:
        InvalidConfig: its config is not as it describes it.
        LoadFailed, DeadlineExceeded, WorkerError: it did not become ready.
    """
    check_config(state, loaded, worker, deadline)
    loaded.bases = standing_of(context.modules, loaded.description)
    worker.send(Prepare((), loaded.config, None, str(loaded.version), offers(context, loaded.description)))

    await_answer(
        worker, deadline, loaded.limits, "initialised and warmed", Ready, answering(context, loaded.description, worker)
    )


def check_config(state: ModuleState, loaded: LoadedVersion, worker: Peer, deadline: Deadline) -> None:
    """Have a worker check the config of its version, and note what newborn get by it.

    Raises:
        InvalidConfig: it is not as the version describes it.
        LoadFailed, DeadlineExceeded, WorkerError: it did not say.
    """
    if loaded.description.introduced.checks_config:
        worker.send(CheckConfig(loaded.config))
        checked = await_answer(worker, deadline, loaded.limits, "asked about its config", ConfigChecked)
        if checked.mistakes:
            raise mistaken(state.name, loaded.version, checked.mistakes)
        loaded.newborn = checked.newborn


def refuse_unmeasured(worker: Worker, limits: Limits) -> None:
    """Refuse a limit that nobody could hold a version to."""
    if limits.cpu_ms is not None and worker.cpu_seconds() is None:
        raise WorkerError(
            f"{limits.told(Limit.CPU)} cannot be held: this isolation does not measure the CPU time of its workers"
        )
