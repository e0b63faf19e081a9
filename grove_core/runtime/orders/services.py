"""Calls of services: who owns the entities answers, else stable; who fails at it is dealt with, and others are asked.

A version calls while it processes a tick, is made ready, or answers itself. What it needs has had its tick by then, and
waits. Nothing of what is given and answered is read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grove_core.author.services import Service
from grove_core.base.errors import DeadlineExceeded, GroveError, OutOfMemory, ProtocolError, ServiceFailed, WorkerError
from grove_core.base.records import FaultKind
from grove_core.base.showing import brief
from grove_core.parts.running import Peer, Worker
from grove_core.runtime.orders.asks import Calls, Problem, problem_of, read_output
from grove_core.runtime.orders.unloading import end_worker, leave_memory
from grove_core.runtime.rows.adoption import remap
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.dependencies import needs_of
from grove_core.runtime.state.state import Condition, Description, LoadedVersion, ModuleState
from grove_core.wire.messages import Mapped, Raised, answers_idle
from grove_core.wire.service_messages import Answered, AnswerPart, CallService, Offer, Serve, Served, Unanswered

TRIES = 2
"""So often stable may fail at the calls of one order: it may have been killed by chance, and restarted."""
ROUNDS = 20
"""All answers to the calls of one order may take so many times as long as one may."""

Failed = Callable[[ModuleState, LoadedVersion, Problem, int], None]
"""Deals with a version that failed at a call, for the so manieth time: afterwards it has another worker, or none."""
Ids = NDArray[np.int64]


@dataclass
class Question:
    """What one version is asked of a call."""

    loaded: LoadedVersion
    worker: Worker
    """Who is asked: it may have another one by the time that it is dealt with."""
    places: Ids | None
    """Which of the call's entities; None where it is about none."""
    rows: Ids | None
    """Their rows, -1 for those that nobody has."""
    call: int = 0
    answer: Served | None = None
    problem: Problem | None = None


def offers(context: Context, description: Description) -> tuple[Offer, ...]:
    """Return what a version can call: what stable offers of each module that it needs."""
    found = {}
    for need in needs_of(description):
        base = context.modules.get(need.module)
        if base is not None and base.stable is not None and base.stable in base.versions:
            services = base.versions[base.stable].description.introduced.services
            found[need.module] = Offer(need.module, str(base.stable), services)
    return tuple(found.values())


def answer(context: Context, asker: Description, worker: Peer, call: CallService, calls: Calls, failed: Failed) -> None:
    """Answer a call of a version, whatever becomes of it.

    Args:
        context: the engine's parts.
        asker: the version that calls.
        worker: its worker, which waits for the answer.
        call: what it asks.
        calls: what came of those before it in the same order, and those that they brought about.
        failed: deals with a version that fails at it.

    Raises:
        PeerDied, ProtocolError: see `Worker.send`.
    """
    message: Answered | Unanswered = Unanswered("the engine was interrupted")
    try:
        _refuse_more(context, calls)
        message = Answered(_Exchange(context, _base_of(context, asker, call), call, calls, failed).answers())
    except ServiceFailed as error:
        message = Unanswered(error.message, error.__notes__[0] if hasattr(error, "__notes__") else None)
    except GroveError as error:
        message = Unanswered(str(error))
    finally:
        _tell(worker, message)


def _tell(worker: Peer, message: Answered | Unanswered) -> None:
    """Send an answer; where there is no memory for it, that is the answer."""
    try:
        worker.send(message)
    except OutOfMemory as error:
        worker.send(Unanswered(error.message))


def answering(context: Context, asker: Description, worker: Peer) -> Callable[[CallService], None]:
    """Return what answers the calls of a version that is made ready.

    Who fails at one meanwhile has its worker ended; the next tick does more.
    """
    calls = Calls()

    def fail(state: ModuleState, loaded: LoadedVersion, problem: Problem, _: int) -> None:
        loaded.failed = problem
        read_output(context, state, loaded)
        if not end_worker(loaded):
            leave_memory(context, state, loaded)

    def called(call: CallService) -> None:
        answer(context, asker, worker, call, calls, fail)

    return called


def _refuse_more(context: Context, calls: Calls) -> None:
    """Refuse calls without end: no deadline of the caller's passes while it is answered.

    Raises:
        ServiceFailed: the answers before took too long already.
    """
    most = ROUNDS * context.settings.service_deadline_ms
    if calls.ms > most:
        raise ServiceFailed(
            f"the calls before it took {calls.ms:.0f} ms; all calls of one tick, or one load, may take {most:g} ms "
            f"({ROUNDS} times service_deadline_ms): ask for many entities at once"
        )


def _base_of(context: Context, asker: Description, call: CallService) -> ModuleState:
    """Return the module that is called.

    Raises:
        ServiceFailed: it is none that the caller needs, or none of its versions is there.
    """
    if call.base not in {need.module for need in needs_of(asker)}:
        raise ServiceFailed(f"{brief(call.base)} is no module that it needs")
    base = context.modules.get(call.base)
    if base is None or base.stable not in base.versions:
        raise ServiceFailed(f"no version of {call.base} is loaded")
    return base


class _Exchange:
    """One call, and what comes of it."""

    def __init__(self, context: Context, state: ModuleState, call: CallService, calls: Calls, failed: Failed) -> None:
        self._context, self._state, self._call, self._calls, self._failed = context, state, call, calls, failed
        try:
            self._ids = None if call.ids is None else np.frombuffer(call.ids, np.int64)
        except ValueError:
            raise ServiceFailed("its ids are no whole number of int64") from None

    def answers(self) -> tuple[AnswerPart, ...]:
        """Ask until all is answered.

        Raises:
            ServiceFailed: nobody can answer.
        """
        left = None if self._ids is None else np.arange(len(self._ids))
        done: list[Question] = []
        while True:
            asked = list(self._questions(left))
            self._ask(asked)
            done += [question for question in asked if question.answer is not None]
            bad = [(question, question.problem) for question in asked if question.problem is not None]
            if not bad:
                return self._parts(done)
            errors = [self._deal_with(question, problem) for question, problem in bad]
            for error in errors:
                if error is not None:
                    raise error
            if left is not None:
                left = np.sort(np.concatenate([each.places for each, _ in bad if each.places is not None]))

    def _deal_with(self, question: Question, problem: Problem) -> ServiceFailed | None:
        """Deal with a version that failed, unless that was done by the way; return why nobody else is to be asked."""
        loaded, state = question.loaded, self._state
        if loaded.worker is not question.worker or not self._is_loaded(loaded):
            return None
        if problem.kind is not FaultKind.RAISE or loaded.version != state.stable:
            times = self._calls.fail(state.name, loaded.version)
            self._failed(state, loaded, problem, times)
            if times < self._tries(loaded):
                return None
        error = ServiceFailed(f"{state.name}@{loaded.version}: {problem.message}")
        if problem.traceback:
            error.add_note(problem.traceback)
        return error

    def _tries(self, loaded: LoadedVersion) -> int:
        """Return how often a version may fail; one that is not stable goes to stable in the end."""
        return TRIES + (loaded.version != self._state.stable)

    def _is_loaded(self, loaded: LoadedVersion) -> bool:
        return self._state.versions.get(loaded.version) is loaded

    def _questions(self, places: Ids | None) -> Iterator[Question]:
        """Share entities out among the versions that have them; what nobody has is asked of stable, as all else is."""
        state, ids = self._state, self._ids
        stable = state.stable_version
        if ids is None or places is None:
            yield self._question(stable, None, None)
            return
        wanted = ids[places]
        unowned = np.ones(len(wanted), np.bool_)
        stables: Ids = np.full(len(wanted), -1, np.int64)
        for loaded in state.ordered:
            rows = loaded.directory.rows(loaded.table, wanted)
            unowned &= rows < 0
            if loaded is stable:
                stables = rows
            elif (here := np.flatnonzero(rows >= 0)).size:
                yield self._question(loaded, places[here], rows[here])
        here = np.flatnonzero(unowned | (stables >= 0))
        if here.size or not len(wanted):
            yield self._question(stable, places[here], stables[here])

    def _question(self, loaded: LoadedVersion, places: Ids | None, rows: Ids | None) -> Question:
        """Make a question for a version that can answer it.

        Raises:
            ServiceFailed: it offers no such service, or has no worker.
        """
        where = f"{self._state.name}@{loaded.version}"
        service = _service(loaded.description, self._call.name)
        if service is None or service.per_entity is (places is None):
            has = "has no such service" if service is None else "has one of that name that is called in another way"
            raise ServiceFailed(f"{where} {has}")
        if loaded.worker is None:
            paused = self._state.condition is Condition.PAUSED
            why = "the module is paused" if paused else loaded.failed and loaded.failed.message
            raise ServiceFailed(f"{where} has no worker now" + (f": {why}" if why else ""))
        times = self._calls.failures.get((self._state.name, loaded.version), 0)
        if times >= self._tries(loaded):
            raise ServiceFailed(f"{where} failed {times} times at calls before it, and is asked no more in this tick")
        return Question(loaded, loaded.worker, places, rows)

    def _ask(self, questions: list[Question]) -> None:
        """Ask all of them at once, and wait for each."""
        for question in questions:
            self._send(question)
        for question in questions:
            if question.problem is None:
                self._receive(question)

    def _send(self, question: Question) -> None:
        loaded, worker, ids = question.loaded, question.worker, self._call.ids
        try:
            if loaded.count and loaded.mapped is not loaded.store:
                remap(worker, loaded.store, loaded.schema)
                loaded.mapped = loaded.store
            loaded.calls += 1
            question.call = loaded.calls
            whole = question.places is None or (ids is not None and len(question.places) * 8 == len(ids))
            order = Serve(
                question.call,
                self._call.name,
                self._call.given,
                self._call.shared,
                loaded.count,
                ids,
                None if whole or question.places is None else question.places.tobytes(),
                None if question.rows is None else question.rows.tobytes(),
            )
            worker.send(order)
        except WorkerError as error:
            question.problem = problem_of(loaded, error)

    def _receive(self, question: Question) -> None:
        """Wait for an answer."""
        loaded, limit_ms = question.loaded, self._context.settings.service_deadline_ms
        deadline = Deadline(self._context.waiting, limit_ms / 1000)
        try:
            answered = self._answer_to(question, deadline)
        except DeadlineExceeded:
            text = f"the service {self._call.name} did not answer within {limit_ms:g} ms (service_deadline_ms)"
            question.problem = Problem(FaultKind.DEADLINE, text)
        except WorkerError as error:
            question.problem = problem_of(loaded, error)
        else:
            if isinstance(answered, Served):
                question.answer = answered
                loaded.meter.serve(answered.ms)
            else:
                text = f"the service {self._call.name} raised {answered.error}"
                question.problem = Problem(FaultKind.RAISE, text, answered.traceback)
        finally:
            self._calls.ms += (deadline.seconds - deadline.left) * 1000

    def _answer_to(self, question: Question, deadline: Deadline) -> Served | Raised:
        """Return the answer, past those that may lie before it; nested calls take their own time.

        Raises:
            DeadlineExceeded, PeerDied, ProtocolError: there is none.
        """
        while True:
            left = deadline.left
            answered: object = question.worker.receive(left)
            if isinstance(answered, CallService) or self._is_late(question, answered):
                if not left:  # who says ever more is mute
                    raise DeadlineExceeded("no answer")
                if isinstance(answered, CallService):
                    with deadline.stopped():
                        asker = question.loaded.description
                        answer(self._context, asker, question.worker, answered, self._calls, self._failed)
            elif isinstance(answered, Served) and answered.call == question.call:
                if not (math.isfinite(answered.ms) and answered.ms >= 0):
                    raise ProtocolError(f"it answered in {answered.ms} ms")
                return answered
            elif isinstance(answered, Raised) and answered.call in (0, question.call):
                return answered
            else:
                raise ProtocolError(f"it answered {type(answered).__name__} where Served was due")

    def _is_late(self, question: Question, answered: object) -> bool:
        """Tell whether a message answers what was asked before, and not waited for any more."""
        if question.loaded.idle_asked and answers_idle(answered):
            question.loaded.idle_asked = False
            return True
        earlier = isinstance(answered, Served | Raised) and 0 < answered.call < question.call
        return earlier or isinstance(answered, Mapped)

    def _parts(self, done: list[Question]) -> tuple[AnswerPart, ...]:
        """Return the answers; where one version answered for all entities, in their order, without their places."""
        if len(done) == 1:
            assert done[0].answer is not None
            return (AnswerPart(None, done[0].answer.result),)
        return tuple(
            AnswerPart(question.places.tobytes(), question.answer.result)
            for question in done
            if question.places is not None and question.answer is not None
        )


def _service(description: Description, name: str) -> Service | None:
    return next((each for each in description.introduced.services if each.name == name), None)
