"""Calls of services: who owns the entities answers, else stable; who fails at it is dealt with, and others are asked.

A version calls while it processes a tick, is made ready, or answers itself. What it needs has had its tick by then, and
waits. Nothing of what is given and answered is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.services import Service
from grove_core.base.errors import DeadlineExceeded, GroveError, ProtocolError, ServiceFailed, WorkerError
from grove_core.base.records import FaultKind
from grove_core.base.showing import brief
from grove_core.parts.running import Peer
from grove_core.runtime.orders.asks import Problem, problem_of, read_output
from grove_core.runtime.orders.unloading import end_worker, leave_memory
from grove_core.runtime.rows.adoption import remap
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.dependencies import needs_of
from grove_core.runtime.state.state import Condition, Description, LoadedVersion, ModuleState
from grove_core.wire.messages import Mapped, Raised, answers_idle
from grove_core.wire.service_messages import Answered, AnswerPart, CallService, Offer, Serve, Served, Unanswered

TRIES = 2
"""So often a version is asked one call: it may have been killed by chance, and restarted."""

Failed = Callable[[ModuleState, LoadedVersion, Problem, int], None]
"""Deals with a version that failed at a call, for the so manieth time: afterwards it has another worker, or none."""
Ids = NDArray[np.int64]


@dataclass
class Question:
    """What one version is asked of a call."""

    loaded: LoadedVersion
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


def answer(context: Context, asker: Description, worker: Peer, call: CallService, failed: Failed) -> None:
    """Answer a call of a version, whatever becomes of it.

    Args:
        context: the engine's parts.
        asker: the version that calls.
        worker: its worker, which waits for the answer.
        call: what it asks.
        failed: deals with a version that fails at it.

    Raises:
        PeerDied, ProtocolError: see `Worker.send`.
    """
    message: Answered | Unanswered = Unanswered("the engine was interrupted")
    try:
        message = Answered(_Exchange(context, _base_of(context, asker, call), call, failed).answers())
    except ServiceFailed as error:
        message = Unanswered(error.message, error.__notes__[0] if hasattr(error, "__notes__") else None)
    except GroveError as error:
        message = Unanswered(str(error))
    finally:
        worker.send(message)


def fail_between_ticks(context: Context) -> Failed:
    """Return what deals with a version that fails while nothing is ticked: its worker ends, the next tick does more."""

    def fail(state: ModuleState, loaded: LoadedVersion, problem: Problem, _: int) -> None:
        loaded.failed = problem
        read_output(context, state, loaded)
        if not end_worker(loaded):
            leave_memory(context, state, loaded)

    return fail


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

    def __init__(self, context: Context, state: ModuleState, call: CallService, failed: Failed) -> None:
        self._context, self._state, self._call, self._failed = context, state, call, failed
        self._failures: dict[Version, int] = {}
        """How often each version failed at it."""
        try:
            self._ids = None if call.ids is None else np.frombuffer(call.ids, np.int64)
        except ValueError:
            raise ServiceFailed("its ids are no whole number of int64") from None

    def answers(self) -> tuple[AnswerPart, ...]:
        """Ask until all is answered.

        Raises:
            ServiceFailed: nobody can answer.
        """
        ids = self._ids
        left: list[Ids | None] = [None if ids is None else np.arange(len(ids))]
        done: list[Question] = []
        while True:
            asked = [question for places in left for question in self._questions(places)]
            self._ask(asked)
            done += [question for question in asked if question.answer is not None]
            bad = [(question, question.problem) for question in asked if question.problem is not None]
            if not bad:
                return self._parts(done)
            left = [question.places for question, _ in bad]
            for question, problem in bad:
                self._deal_with(question.loaded, problem)

    def _deal_with(self, loaded: LoadedVersion, problem: Problem) -> None:
        """Deal with a version that failed, unless that was done by the way.

        Raises:
            ServiceFailed: nobody else is to be asked.
        """
        if loaded.worker is None or not self._is_loaded(loaded):
            return
        blameless = problem.kind is FaultKind.RAISE and loaded.version == self._state.stable
        if not blameless:
            self._failures[loaded.version] = times = self._failures.get(loaded.version, 0) + 1
            self._failed(self._state, loaded, problem, times)
            if times < TRIES + (loaded.version != self._state.stable):  # one that is not goes to stable in the end
                return
        error = ServiceFailed(f"{self._state.name}@{loaded.version}: {problem.message}")
        if problem.traceback:
            error.add_note(problem.traceback)
        raise error

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
            raise ServiceFailed(f"{where} has no worker now" + (": the module is paused" * paused))
        return Question(loaded, places, rows)

    def _ask(self, questions: list[Question]) -> None:
        """Ask all of them at once, and wait for each."""
        for question in questions:
            self._send(question)
        for question in questions:
            if question.problem is None:
                self._receive(question)

    def _send(self, question: Question) -> None:
        loaded, ids = question.loaded, self._call.ids
        assert loaded.worker is not None
        try:
            if loaded.count and loaded.mapped is not loaded.store:
                remap(loaded.worker, loaded.store, loaded.schema)
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
            loaded.worker.send(order)
        except WorkerError as error:
            question.problem = problem_of(loaded, error)

    def _receive(self, question: Question) -> None:
        """Wait for an answer, past those that may lie before it; nested calls take their own time."""
        loaded, limit_ms = question.loaded, self._context.settings.service_deadline_ms
        worker = loaded.worker
        assert worker is not None
        deadline = Deadline(self._context.waiting, limit_ms / 1000)
        try:
            while question.answer is None:
                left = deadline.left
                answered: object = worker.receive(left)
                if isinstance(answered, CallService):
                    with deadline.stopped():
                        answer(self._context, loaded.description, worker, answered, self._failed)
                elif isinstance(answered, Served) and answered.call == question.call:
                    question.answer = answered
                elif isinstance(answered, Raised) and not (loaded.idle_asked and answers_idle(answered)):
                    text = f"the service {self._call.name} raised {answered.error}"
                    question.problem = Problem(FaultKind.RAISE, text, answered.traceback)
                    return
                elif not self._is_late(loaded, answered):
                    raise ProtocolError(f"it answered {type(answered).__name__} where Served was due")
                elif not left:  # who says ever more is mute
                    raise DeadlineExceeded("no answer")
        except DeadlineExceeded:
            text = f"the service {self._call.name} did not answer within {limit_ms:g} ms (service_deadline_ms)"
            question.problem = Problem(FaultKind.DEADLINE, text)
        except WorkerError as error:
            question.problem = problem_of(loaded, error)
        else:
            loaded.meter.serve(question.answer.ms)

    def _is_late(self, loaded: LoadedVersion, answered: object) -> bool:
        """Tell whether a message answers what was asked before, and not waited for any more."""
        if loaded.idle_asked and answers_idle(answered):
            loaded.idle_asked = False
            return True
        return isinstance(answered, Mapped) or (isinstance(answered, Served) and answered.call < loaded.calls)

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
