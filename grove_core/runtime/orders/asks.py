"""Asking workers to process rows, and waiting for all of them at once."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from grove_core.base.errors import PeerDied, WorkerError
from grove_core.base.events import EventKind
from grove_core.base.limits import Limit
from grove_core.base.records import FaultKind
from grove_core.base.waiting import Poll
from grove_core.parts.running import Worker
from grove_core.runtime.orders.world import show
from grove_core.runtime.rows.adoption import remap
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.wire.messages import AskWorld, Mapped, Raised, Tick, Ticked, answers_call, answers_idle
from grove_core.wire.service_messages import CallService, Unanswered

OUTPUT_LIMIT = 64 * 1024
"""How much of a worker's output is kept until it is logged; what comes after is dropped, and counted."""
LAST_WORDS = 16 * 1024
"""How much of the end of its output is kept where columns are fenced: what Python prints as it dies."""
REACHED = {
    Limit.MEMORY: FaultKind.MEMORY,
    Limit.CPU: FaultKind.CPU,
    Limit.WALL: FaultKind.DEADLINE,
    Limit.DESCRIPTORS: FaultKind.DESCRIPTORS,
    Limit.OUTPUT: FaultKind.OUTPUT,
}
"""What going over a limit is called."""
OUTPUT_SECONDS = 1.0
"""How long a worker's output is gathered before it is logged."""


@dataclass(frozen=True)
class Problem:
    """What a version did wrong, before anybody decided what it means."""

    kind: FaultKind
    message: str
    traceback: str | None = None


@dataclass
class Calls:
    """What came of the services that were called for one order."""

    ms: float = 0.0
    """How long they were waited for; what recovered meanwhile does not count."""
    failures: dict[tuple[str, Version], int] = field(default_factory=dict)
    """How often a version of a module failed at them."""

    def fail(self, module: str, version: Version) -> int:
        """Count a failure, and return for the how manieth time it is."""
        times = self.failures[module, version] = self.failures.get((module, version), 0) + 1
        return times


@dataclass
class Ask:
    """One order to process the rows from `start` to `stop` of one version, and what came of it."""

    state: ModuleState
    loaded: LoadedVersion
    start: int
    stop: int
    number: int = 0
    """The tick it was sent in."""
    order: int = 0
    """Which of its version's orders it is."""
    sent: bool = False
    """Whether its version may be at it."""
    worker: Worker | None = None
    """Who it was sent to."""
    catching_up: bool = False
    """Whether its rows redo the tick."""
    asked_at: float = 0.0
    """The monotonic time at which it was sent, in seconds."""
    answered_at: float | None = None
    """The same of its answer; None if there is none."""
    deadline: float = 0.0
    """The time of `Context.waiting` until which it must be answered."""
    limit_ms: float = 0.0
    """How long that was when it was sent."""
    cpu: float | None = None
    """The CPU time that its worker had taken by then, in seconds, where that is limited."""
    printed: int = 0
    """How many bytes it had printed by then, where that is limited."""
    calls: Calls = field(default_factory=Calls)
    reply: Ticked | None = None
    problem: Problem | None = None

    @property
    def open(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.reply is None and self.problem is None

    @property
    def awaited(self) -> bool:
        """Whether its version is at it."""
        return self.sent and self.open

    def note(self, problem: Problem) -> None:
        """Note what went wrong. A worker that dies after its reply has done its work; the next tick finds out."""
        if self.open:
            self.problem = problem


def send(context: Context, order: Ask, number: int, dt: float, *, catching_up: bool) -> None:
    """Send an order. A worker that is gone is the order's problem, not an error."""
    worker = order.worker = order.loaded.worker
    order.number, order.asked_at = number, time.perf_counter()
    order.catching_up = catching_up
    limits = order.loaded.limits
    order.limit_ms = context.settings.tick_deadline_ms if limits.tick_ms is None else limits.tick_ms
    order.deadline = context.waiting.now() + order.limit_ms / 1000
    try:
        if worker is None:
            raise PeerDied("it has no worker")
        if order.loaded.mapped is not order.loaded.store:
            remap(worker, order.loaded.store, order.loaded.schema)
            order.loaded.mapped = order.loaded.store
        if limits.cpu_ms is not None:
            order.cpu = worker.cpu_seconds()
        if limits.output_bytes is not None:
            read_output(context, order.state, order.loaded)  # what was printed before does not count
            order.printed = worker.printed
        order.sent = True
        document = order.loaded.document if order.loaded.document_ahead else None
        order.loaded.orders += 1
        order.order = order.loaded.orders
        worker.send(Tick(number, dt, order.start, order.stop, catching_up, document, order.order))
        order.loaded.document_ahead = False
    except WorkerError as error:
        order.problem = problem_of(order.loaded, error)


Answers = Callable[[Ask, CallService], None]
"""Answers a version that calls a service while it processes an order; raises what `Worker.send` does."""


def unanswered(order: Ask, call: CallService) -> None:
    """Answer a call of a service where nobody is asked any more."""
    assert order.loaded.worker is not None
    order.loaded.worker.send(Unanswered("the tick that it was called in is given up"))


def gather(context: Context, asks: Sequence[Ask], silent: Iterable[Ask] = (), answers: Answers = unanswered) -> None:
    """Wait for every answer, death or deadline; one poll for all of them.

    Args:
        context: what to wait with, and where output goes.
        asks: the orders that were sent.
        silent: orders over no rows, which were not sent: their workers are only watched for their death.
        answers: answers the services that are called; what that takes is added to everybody's deadline.
    """
    waiting = context.waiting
    poll, watched = _watch(waiting.poll(), (*asks, *silent))
    while True:
        now, waited_for = waiting.now(), [order for order in asks if order.open]
        left = max(0.0, min((order.deadline for order in waited_for), default=now) - now)
        for descriptor, _ in poll.poll(left * 1000):
            call = _serve(context, watched[descriptor], descriptor, poll)
            if call is not None:
                _answer(context, watched[descriptor], call, answers, waited_for)
        for order in waited_for:
            if order.open and order.deadline <= now:  # what was there by then has been served
                order.problem = _too_late(order)
        if not any(order.open for order in asks):
            return


def _too_late(order: Ask) -> Problem:
    limits = order.loaded.limits
    which = "tick_deadline_ms" if limits.tick_ms is None else f"its limit {Limit.WALL}"
    return _over_cpu(order) or Problem(FaultKind.DEADLINE, f"it did not answer within {order.limit_ms:g} ms ({which})")


def _over_cpu(order: Ask) -> Problem | None:
    """Hold a version to its limit of CPU time, if it has one."""
    limits, worker = order.loaded.limits, order.loaded.worker
    if limits.cpu_ms is None or worker is None or order.cpu is None or (now := worker.cpu_seconds()) is None:
        return None
    spent = (now - order.cpu) * 1000
    if spent <= limits.cpu_ms:
        return None
    return Problem(FaultKind.CPU, f"it took {spent:.3f} ms of CPU time, over {limits.told(Limit.CPU)}")


def _over_output(order: Ask) -> Problem | None:
    """Hold a version to its limit of output, if it has one."""
    limits, worker = order.loaded.limits, order.loaded.worker
    if limits.output_bytes is None or worker is None:
        return None
    printed = worker.printed - order.printed
    if printed <= limits.output_bytes:
        return None
    return Problem(FaultKind.OUTPUT, f"it printed {printed} bytes or more, over {limits.told(Limit.OUTPUT)}")


def _watch(poll: Poll, orders: Iterable[Ask]) -> tuple[Poll, dict[int, Ask]]:
    """Watch for answers, deaths and output of every worker that still has something to say."""
    watched = {}
    for order in orders:
        worker = order.loaded.worker
        if worker is None and order.loaded.failed is not None:
            order.note(order.loaded.failed)
        if worker is None or order.problem is not None:
            continue
        for descriptor in (worker.fileno(), worker.pidfd, worker.output):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
                watched[descriptor] = order
    return poll, watched


def _serve(context: Context, order: Ask, descriptor: int, poll: Poll) -> CallService | None:
    """Take what one descriptor has: output, an answer, the news that the worker is gone, or a call, to be answered."""
    worker = order.loaded.worker
    if worker is None:
        return None
    if descriptor == worker.output:
        more = read_output(context, order.state, order.loaded)
        if order.awaited and (over := _over_output(order)):
            order.note(over)
        if not (more and order.awaited):  # one that prints on is stopped by its full pipe until its next tick
            poll.unregister(descriptor)
        return None
    try:
        answer = worker.receive_now()
        if isinstance(answer, CallService) and order.awaited:
            return answer
        if answer is not None:
            _take(context, order, answer)
            return None
    except WorkerError as error:
        problem = problem_of(order.loaded, error)
    else:
        if descriptor != worker.pidfd:
            return None
        problem = _death(order.loaded)
    poll.unregister(descriptor)
    order.note(problem)
    return None


def _answer(context: Context, order: Ask, call: CallService, answers: Answers, waited_for: Iterable[Ask]) -> None:
    """Have a call answered; nobody's deadline comes any nearer meanwhile."""
    began = context.waiting.now()
    try:
        answers(order, call)
    except WorkerError as error:
        order.note(problem_of(order.loaded, error))
    finally:
        took = context.waiting.now() - began
        for other in waited_for:
            other.deadline += took


def _take(context: Context, order: Ask, answer: object) -> None:
    """File an answer under its order; a version that looks at the world gets to see it.

    Raises:
        PeerDied, ProtocolError: it cannot be answered.
    """
    if order.loaded.idle_asked and answers_idle(answer):
        order.loaded.idle_asked = False
    elif order.problem is not None or isinstance(answer, Mapped) or answers_call(answer):
        return  # what was wrong first is what was wrong, and for the others nobody waits any more
    elif order.reply is not None:
        order.problem = Problem(FaultKind.WRONG_REPLY, f"it sent {type(answer).__name__} unasked")
    elif isinstance(answer, Ticked):
        order.answered_at = time.perf_counter()
        if order.loaded.limits.output_bytes is not None:
            read_output(context, order.state, order.loaded)  # all that it printed before it answered
        order.problem = _over_cpu(order) or _over_output(order)
        order.reply = answer if order.problem is None else None
    elif isinstance(answer, AskWorld):
        show(order.state, order.loaded, order.number, answer)
    elif isinstance(answer, Raised):
        order.answered_at = time.perf_counter()
        order.problem = _raised(order, answer)
    else:
        order.problem = Problem(FaultKind.WRONG_REPLY, f"it answered {type(answer).__name__} where Ticked was due")


def _raised(order: Ask, answer: Raised) -> Problem:
    text = f"{answer.where} raised {answer.error}"
    if answer.limit is None:
        return Problem(FaultKind.RAISE, text, answer.traceback)
    over = f"it went over {order.loaded.limits.told(answer.limit)}: {text}"
    return Problem(REACHED[answer.limit], over, answer.traceback)


def problem_of(loaded: LoadedVersion, error: WorkerError) -> Problem:
    """Return what a version did wrong whose worker could not be spoken with."""
    return _death(loaded) if isinstance(error, PeerDied) else Problem(FaultKind.WRONG_REPLY, error.message)


def _death(loaded: LoadedVersion) -> Problem:
    worker = loaded.worker
    if worker is None:
        return loaded.failed or Problem(FaultKind.DEATH, "it has no worker")
    worker.wait(0.05)  # its socket closes a moment before it is reaped; the status makes the better message
    return Problem(FaultKind.DEATH, f"its worker {worker.how_it_ended()}")


def read_output(context: Context, state: ModuleState, loaded: LoadedVersion) -> bool:
    """Gather what a worker printed; tell whether there can be more. Logged once a second, never a line a tick."""
    if loaded.worker is None:
        return False
    text = loaded.worker.read_output()
    if context.fenced and text:
        loaded.last_words = (loaded.last_words + text)[-LAST_WORDS:]
    room = OUTPUT_LIMIT - len(loaded.output)
    loaded.output += text[:room]
    loaded.output_dropped += max(0, len(text) - room)
    _flush_when_due(context, state, loaded)
    return loaded.worker.output >= 0


def flush_rest(context: Context, states: Iterable[ModuleState]) -> None:
    """Log what versions printed last that have printed nothing since."""
    for state in states:
        for loaded in state.versions.values():
            _flush_when_due(context, state, loaded)


def _flush_when_due(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    if loaded.output and time.monotonic() - loaded.output_logged_at >= OUTPUT_SECONDS:
        flush_output(context, state, loaded)


def flush_output(context: Context, state: ModuleState, loaded: LoadedVersion) -> None:
    """Log what was gathered."""
    if loaded.output:
        context.emit(
            EventKind.WORKER_OUTPUT,
            state.name,
            loaded.version,
            text=loaded.output.rstrip(),
            dropped=loaded.output_dropped,
        )
    loaded.output, loaded.output_dropped, loaded.output_logged_at = "", 0, time.monotonic()
