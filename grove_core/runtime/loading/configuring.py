"""Giving versions another config while they run: all of those that are named, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from grove_core.author.schema import Scalar
from grove_core.base.configs import Config, mistaken
from grove_core.base.errors import (
    ConfigRefused,
    DeadlineExceeded,
    GroveError,
    InvalidConfig,
    PackageError,
    PeerDied,
    ProtocolError,
    WorkerError,
)
from grove_core.base.interrupts import put_off
from grove_core.base.limits import Limit
from grove_core.base.records import FaultKind
from grove_core.runtime.loading.introducing import introduce
from grove_core.runtime.loading.loading import kept_on_success, prepare
from grove_core.runtime.orders.asks import Problem, flush_output, read_output
from grove_core.runtime.orders.unloading import end_worker, leave_memory, shut_down
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.state import LoadedVersion, ModuleState, nothing_more
from grove_core.wire.config_messages import CheckConfig, ConfigChecked, ConfigUpdated, UpdateConfig
from grove_core.wire.message import Message
from grove_core.wire.messages import (
    Mapped,
    Raised,
    answers_idle,
)
from grove_core.wire.service_messages import Served

Answer = TypeVar("Answer", bound=Message)


@dataclass
class Change:
    """One version, the config that it is to have, and how far it has come."""

    state: ModuleState
    loaded: LoadedVersion
    config: Config
    newborn: Mapping[str, Scalar] = field(default_factory=dict)
    """What newborn get by it."""
    told: bool = False
    """Whether its code may have the config."""
    awaited: bool = False
    """Whether its worker may still be at what it was asked."""
    fresh: LoadedVersion | None = None
    """It itself, with a worker that was made ready with the config beside the one it has, where it needs another."""
    problem: Problem | None = None
    """What it did wrong."""


@put_off()
def update(context: Context, changes: Sequence[Change], then: Callable[[], None] = nothing_more) -> None:
    """Give versions another config: all of them say that it would do, then all take it, or nobody has it.

    A version that takes none while it runs gets a worker that is made ready beside the one it has; they change places
    once everybody is done. One that hangs or dies of it has its worker ended, and the next tick treats that as any
    other fault; whoever took the config by then is given back the one that holds.

    Args:
        context: the engine's parts.
        changes: of versions that have a worker, each once.
        then: what belongs to the update besides; done last, and doing it twice is doing it once.

    Raises:
        InvalidConfig: with every mistake that any of them found.
        ConfigRefused: one did not take it.
    """
    decided = False

    def finish() -> None:
        if decided:
            _settle(context, changes, then)
        else:
            for change in reversed(changes):
                _go_back(context, change)

    try:
        try:
            _check_all(context, changes)
            for change in changes:
                _apply(context, change)
            decided = True
            finish()
        except BaseException:
            finish()
            raise
    except BaseException:
        finish()  # once more: an error may have struck while another one was dealt with
        raise


def _check_all(context: Context, changes: Sequence[Change]) -> None:
    """Have every version check its config before any of them takes it."""
    for change in changes:
        if change.loaded.worker is None:
            raise _refused(
                change, "it has no worker now; tick, so that it is recovered, or roll back if the module is paused"
            )
    found = []
    for change in changes:
        if change.loaded.description.introduced.checks_config:
            answer = _ask(context, change, CheckConfig(change.config), ConfigChecked)
            mistakes = (f"config: {answer.error}",) if isinstance(answer, Raised) else answer.mistakes
            if mistakes:
                found.append(mistaken(change.state.name, change.loaded.version, mistakes))
            elif isinstance(answer, ConfigChecked):
                change.newborn = answer.newborn
    if len(found) == 1:
        raise found[0]
    if found:
        raise InvalidConfig("\n".join(map(str, found)))


def _apply(context: Context, change: Change) -> None:
    """Have one version take its config, or have a worker ready that has it.

    Raises:
        ConfigRefused: it raised, failed, or no worker could be made ready with it.
    """
    if change.loaded.description.introduced.takes_config:
        change.told = True
        answer = _ask(context, change, UpdateConfig(change.config), ConfigUpdated)
        if isinstance(answer, Raised):
            raise _refused(change, f"its update_config raised {answer.error}\n{answer.traceback}".rstrip())
        if answer.taken:
            return
        change.told = False
    try:
        _make_ready(context, change, change.config)
    except GroveError as error:
        raise _refused(change, f"no worker could be made ready with it: {error.message}") from error


def _settle(context: Context, changes: Sequence[Change], then: Callable[[], None]) -> None:
    """Have what everybody took hold from now on. To do it twice is to do it once."""
    for change in changes:
        loaded = change.loaded
        if change.fresh is not None:
            if loaded.worker is not None and loaded.worker is not change.fresh.worker:
                shut_down(loaded.worker, context.settings.idle_deadline_seconds)
            _change_places(context, change.state, loaded, change.fresh)
        loaded.config = change.state.configs[loaded.version] = change.config
        loaded.newborn = change.newborn
    then()


def _go_back(context: Context, change: Change) -> None:
    """Have a version as it was before. To do it twice is to do it once."""
    loaded = change.loaded
    if change.fresh is not None and change.fresh.config is not loaded.config:
        if not end_worker(change.fresh) and loaded.count:  # it may map the columns
            leave_memory(context, change.state, loaded)
        change.fresh = None
    if change.problem is None and (change.told or change.awaited):
        try:
            _return_config(context, change)
        except GroveError as error:
            text = f"it could neither go back to the config that holds nor be restarted with it: {error.message}"
            change.problem = change.problem or Problem(FaultKind.RAISE, text)
    if change.problem is not None and loaded.worker is not None:
        read_output(context, change.state, loaded)
        flush_output(context, change.state, loaded)
        loaded.failed = change.problem
        if not end_worker(loaded):
            leave_memory(context, change.state, loaded)


def _return_config(context: Context, change: Change) -> None:
    """Give a version the config that holds once more; where that is not certain to have worked, a new worker too.

    Raises:
        GroveError: neither succeeded.
    """
    loaded = change.loaded
    if change.fresh is None and not change.awaited and loaded.worker is not None:
        answer = _ask(context, change, UpdateConfig(loaded.config), ConfigUpdated)
        if isinstance(answer, ConfigUpdated) and answer.taken:
            change.told = False
            return
    if change.fresh is None:
        _make_ready(context, change, loaded.config)
    assert change.fresh is not None
    _change_places(context, change.state, loaded, change.fresh)
    change.told = change.awaited = False


def _make_ready(context: Context, change: Change, config: Config) -> None:
    """Make a worker ready with a config, beside the one that the version has.

    Raises:
        GroveError: it did not become ready, and is gone.
    """
    state, loaded = change.state, change.loaded
    deadline = Deadline(context.waiting, context.settings.load_deadline_seconds)

    def leave(gone: bool) -> None:
        change.fresh = None
        if not gone and loaded.count:
            leave_memory(context, state, loaded)

    with kept_on_success(context, leave) as worker:
        fresh = replace(loaded, worker=None, config=config)
        description = introduce(context, worker, loaded.description.record, loaded.limits, deadline)
        if description.schema != loaded.schema:
            raise PackageError("its schema changed on disk since it was loaded")
        prepare(context, state, fresh, worker, deadline)
        change.fresh = fresh


def _change_places(context: Context, state: ModuleState, loaded: LoadedVersion, fresh: LoadedVersion) -> None:
    """End the worker that a version has, and let it go on with the other one. To do it twice is to do it once."""
    if loaded.worker is fresh.worker:
        return
    read_output(context, state, loaded)
    flush_output(context, state, loaded)
    if not end_worker(loaded):
        leave_memory(context, state, loaded)
    loaded.document, loaded.document_ahead = fresh.document, False
    loaded.mapped, loaded.idle_asked, loaded.failed = fresh.mapped, False, None
    loaded.worker = fresh.worker


def _ask(context: Context, change: Change, message: Message, kind: type[Answer]) -> Answer | Raised:
    """Ask a version something, and wait for the answer as long as a tick may take; what goes wrong is its problem.

    Raises:
        ConfigRefused: it did not answer.
    """
    limits, worker = change.loaded.limits, change.loaded.worker
    assert worker is not None
    limit_ms = context.settings.tick_deadline_ms if limits.tick_ms is None else limits.tick_ms
    change.awaited = True
    try:
        worker.send(message)
        answer = _receive(Deadline(context.waiting, limit_ms / 1000), change.loaded)
        if not isinstance(answer, kind | Raised):
            raise ProtocolError(f"it answered {type(answer).__name__} where {kind.__name__} was due")
    except DeadlineExceeded:
        which = "tick_deadline_ms" if limits.tick_ms is None else f"its limit {Limit.WALL}"
        text = f"it did not answer within {limit_ms:g} ms ({which}) when its config was to be changed"
        change.problem = Problem(FaultKind.DEADLINE, text)
    except PeerDied:
        worker.wait(0.05)  # its socket closes a moment before it is reaped
        text = f"its worker {worker.how_it_ended()} when its config was to be changed"
        change.problem = Problem(FaultKind.DEATH, text)
    except WorkerError as error:
        change.problem = Problem(FaultKind.WRONG_REPLY, error.message)
    else:
        change.awaited = False
        return answer
    raise _refused(change, change.problem.message)


def _receive(deadline: Deadline, loaded: LoadedVersion) -> object:
    """Wait for an answer, past those that may lie before it: to an interrupted move, and to a question given up."""
    assert loaded.worker is not None
    while True:
        left = deadline.left
        answer: object = loaded.worker.receive(left)
        if loaded.idle_asked and answers_idle(answer):
            loaded.idle_asked = False
        elif not isinstance(answer, Mapped | Served):
            return answer
        elif not left:  # who says ever more is mute
            raise DeadlineExceeded("no answer")


def _refused(change: Change, text: str) -> ConfigRefused:
    return ConfigRefused(f"the config is not changed: {text}", module=change.state.name, version=change.loaded.version)
