"""What a worker is told before it may be ticked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from grove_core.author.schema import Schema
from grove_core.base.configs import mistaken
from grove_core.base.errors import DeadlineExceeded, LoadFailed, ProtocolError, WorkerError
from grove_core.base.events import EventKind
from grove_core.base.limits import Limit, Limits
from grove_core.base.records import VersionRecord
from grove_core.parts.running import Peer, Worker
from grove_core.runtime.context import Context
from grove_core.runtime.deadline import Deadline
from grove_core.runtime.services import answer, fail_between_ticks, offers
from grove_core.runtime.state import Description, LoadedVersion, ModuleState
from grove_core.wire.config_messages import CheckConfig, ConfigChecked
from grove_core.wire.faults import AT_LOAD, FaultPoint, Planned
from grove_core.wire.messages import PROTOCOL, Introduced, Load, Prepare, Raised, Ready
from grove_core.wire.service_messages import CallService

Answer = TypeVar("Answer")
Called = Callable[[CallService], None]


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
    answer = answer_of(worker, deadline, limits, "imported", Introduced)
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
    worker.send(Prepare((), loaded.config, None, str(loaded.version), offers(context, loaded.description)))
    called = answering(context, loaded.description, worker)
    answer_of(worker, deadline, loaded.limits, "initialised and warmed", Ready, called=called)


def answering(context: Context, description: Description, worker: Peer) -> Called:
    """Return what answers the services that a version calls while it is made ready."""

    def called(call: CallService) -> None:
        answer(context, description, worker, call, fail_between_ticks(context))

    return called


def check_config(state: ModuleState, loaded: LoadedVersion, worker: Peer, deadline: Deadline) -> None:
    """Have a worker check the config of its version, and note what newborn get by it.

    Raises:
        InvalidConfig: it is not as the version describes it.
        LoadFailed, DeadlineExceeded, WorkerError: it did not say.
    """
    if loaded.description.introduced.checks_config:
        worker.send(CheckConfig(loaded.config))
        checked = answer_of(worker, deadline, loaded.limits, "asked about its config", ConfigChecked)
        if checked.mistakes:
            raise mistaken(state.name, loaded.version, checked.mistakes)
        loaded.newborn = checked.newborn


def refuse_unmeasured(worker: Worker, limits: Limits) -> None:
    """Refuse a limit that nobody could hold a version to."""
    if limits.cpu_ms is not None and worker.cpu_seconds() is None:
        raise WorkerError(
            f"{limits.told(Limit.CPU)} cannot be held: this isolation does not measure the CPU time of its workers"
        )


def answer_of(
    worker: Peer,
    deadline: Deadline,
    limits: Limits,
    stage: str,
    kind: type[Answer],
    setting: str = "load_deadline_seconds",
    called: Called | None = None,
) -> Answer:
    """Wait for the answer to an order, by a deadline that a setting says.

    Args:
        worker: who was told.
        deadline: for all of it; what services take that it calls does not count.
        limits: what it is held to.
        stage: what is done with it, for messages.
        kind: what it must answer.
        setting: where the deadline is from, for messages.
        called: answers services that it calls; None where it may not.

    Raises:
        LoadFailed, DeadlineExceeded, WorkerError: there is none, or another one.
    """
    try:
        while isinstance(answer := worker.receive(deadline.left), CallService) and called is not None:
            with deadline.stopped():
                called(answer)
    except DeadlineExceeded:
        raise DeadlineExceeded(f"it was not {stage} within {deadline.seconds:g} s ({setting}); it was ended") from None
    if isinstance(answer, Raised) and answer.limit is not None:
        over = f"it went over {limits.told(answer.limit)} while it was {stage}"
        raise LoadFailed(f"{over}: {answer.error}\n{answer.traceback}".rstrip())
    if isinstance(answer, Raised):
        raise LoadFailed(f"it raised while it was {stage}: {answer.error}\n{answer.traceback}".rstrip())
    if not isinstance(answer, kind):
        raise ProtocolError(f"it answered {type(answer).__name__} where {kind.__name__} was due")
    return answer
