"""Waiting for the answers of a version that is being loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from grove_core.base.errors import DeadlineExceeded, LoadFailed, ProtocolError
from grove_core.base.limits import Limits
from grove_core.parts.running import Peer
from grove_core.runtime.state.deadline import Deadline
from grove_core.wire.messages import Raised
from grove_core.wire.service_messages import CallService

Answer = TypeVar("Answer")


def await_answer(
    worker: Peer,
    deadline: Deadline,
    limits: Limits,
    stage: str,
    kind: type[Answer],
    called: Callable[[CallService], None] | None = None,
    setting: str = "load_deadline_seconds",
) -> Answer:
    """Wait for the answer to an order.

    Args:
        worker: who was told.
        deadline: for all of it; what services take that it calls does not count.
        limits: what it is held to.
        stage: what is done with it, for messages.
        kind: what it must answer.
        called: answers a service that it calls; None where it may not.
        setting: what the deadline is set by, for messages.

    Raises:
        LoadFailed, DeadlineExceeded, WorkerError: it answered something else, or nothing.
    """
    try:
        while isinstance(answer := worker.receive(left := deadline.left), CallService) and called is not None:
            if not left:  # who calls ever more is mute
                raise DeadlineExceeded("no answer")
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
