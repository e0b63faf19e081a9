"""Faults on demand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from numpy.random import default_rng

from grove_core.base.errors import InvalidInput, Refused, WorkerError
from grove_core.base.events import EventKind
from grove_core.base.records import TickReport
from grove_core.base.versions import Requirement, matching
from grove_core.engine import MultiVersionEngine
from grove_core.runtime.state.injecting import PlannedAtLoad, RandomFaults
from grove_core.runtime.state.state import Condition, LoadedVersion
from grove_core.wire.faults import (
    AMOUNT_BYTES,
    AT_PATCH,
    IN_TICKS,
    LAG_SECONDS,
    NEEDS_ROWS,
    FaultPoint,
    InjectedKind,
    Planned,
)
from grove_core.wire.messages import Inject, Mapped, Raised, answers_idle

ANSWER_SECONDS = 5.0


class FaultCalls(MultiVersionEngine):
    """Has versions commit faults."""

    faults_allowed: ClassVar[bool] = True

    def inject_fault(
        self,
        module: str,
        version: Requirement,
        kind: InjectedKind | str,
        at: int | None = None,
        seconds: float = LAG_SECONDS,
        *,
        point: FaultPoint | str = FaultPoint.PROCESS,
        amount_bytes: int = AMOUNT_BYTES,
    ) -> None:
        """Have a version commit one fault, after its own code has run. Its package is not touched.

        Args:
            module: the module's name.
            version: a loaded version; for a point of its load, one that will be loaded, or that another one will be
                patched to; for the point of a patch only that.
            kind: one of `InjectedKind`.
            at: the number of the tick, as in `TickReport.number`; the next one if None.
            seconds: how long a lag lasts.
            point: where in the protocol, one of `FaultPoint`.
            amount_bytes: how much memory is taken, or how much is printed.

        Raises:
            InvalidInput: an unknown kind or point, two that do not go together, a tick that is over, or a version
                that has no column for it.
            NotFound, Refused: it is not loaded, or has no worker.
        """
        kind, point = _kind(kind, module), _point(point, module)
        if why := _no_pair(kind, point):
            raise InvalidInput(why, module=module)
        if not seconds >= 0 or not amount_bytes >= 0:
            raise InvalidInput("seconds and amount_bytes must be at least 0", module=module)
        if at is not None and point not in IN_TICKS:
            raise InvalidInput(f"{point.value} is reached in no tick; leave out `at`", module=module)
        fault = Planned(kind, point, at, float(seconds), int(amount_bytes))
        with self._turns.take("inject_fault"):
            if point in AT_PATCH:
                matching(version, [])  # tells now if it is no requirement
                self._context.fault_plan.waiting.append(PlannedAtLoad(module, version, fault))
                return
            loaded = self._state(module).resolve(version)
            if at is not None and at <= self._number:
                raise InvalidInput(f"tick {at} is over; the next one is {self._number + 1}", module=module)
            if why := _arm(loaded, fault):
                raise InvalidInput(why, module=module, version=loaded.version)

    def inject_faults_at_random(
        self,
        module: str,
        version: Requirement | None = None,
        *,
        rate: float,
        seed: int,
        kinds: Iterable[InjectedKind | str] = tuple(InjectedKind),
        points: Iterable[FaultPoint | str] = (FaultPoint.PROCESS,),
        seconds: float = LAG_SECONDS,
        amount_bytes: int = AMOUNT_BYTES,
    ) -> None:
        """Have versions commit faults at random from now on; `stop_faults` ends it. Each is told as an event.

        The same seed gives the same faults in the same run. A kind for which a version has no column is passed over.

        Args:
            module: the module's name; it need not be loaded yet.
            version: which versions of it; None for every one.
            rate: the probability of a fault in one tick of a version, and at its load, from 0 to 1.
            seed: of the generator.
            kinds: which kinds, each as likely as any other.
            points: at which points of the protocol.
            seconds: see `inject_fault`.
            amount_bytes: see `inject_fault`.

        Raises:
            InvalidInput: an unknown kind or point, or a rate that is no probability.
        """
        named = [_kind(kind, module) for kind in kinds]
        places = [_point(point, module) for point in points]
        choices = tuple((kind, point) for kind in named for point in places if _no_pair(kind, point) is None)
        if not 0 <= rate <= 1 or not choices:
            raise InvalidInput("rate must be from 0 to 1, and a kind must go with a point", module=module)
        with self._turns.take("inject_faults_at_random"):
            if version is not None:
                matching(version, [])
            self._context.fault_plan.at_random.append(
                RandomFaults(module, version, rate, choices, float(seconds), int(amount_bytes), default_rng(seed))
            )

    def stop_faults(self, module: str) -> None:
        """Inject nothing at random any more, and forget what waits for a load; what a worker was told stays."""
        with self._turns.take("stop_faults"):
            plan = self._context.fault_plan
            plan.at_random = [one for one in plan.at_random if one.module != module]
            plan.waiting = [one for one in plan.waiting if one.module != module]

    def _advance(self, dt: float) -> TickReport:
        """Tick, with the faults that are drawn for this tick."""
        if self._context.fault_plan.at_random:
            self._inject_drawn(self._number + 1)
        return super()._advance(dt)

    def _inject_drawn(self, number: int) -> None:
        for state in self._states.values():
            if state.condition is not Condition.RUNNING:
                continue
            for loaded in state.ordered:
                if not loaded.count:
                    continue
                for fault in self._context.fault_plan.in_tick(state.name, loaded.version, number):
                    try:
                        refused = _arm(loaded, fault)
                    except Refused:  # what is wrong with it the tick finds out
                        continue
                    if refused is None:
                        self._context.emit(
                            EventKind.FAULT_INJECTED,
                            state.name,
                            loaded.version,
                            fault=fault.kind.value,
                            point=fault.point.value,
                            tick=number,
                        )


def _arm(loaded: LoadedVersion, fault: Planned) -> str | None:
    """Tell a version's worker of a fault; return why it cannot commit it, or None.

    Raises:
        Refused: it has no worker that answers.
    """
    worker = loaded.worker
    if worker is None:
        raise Refused("it has no worker", version=loaded.version)
    try:
        worker.send(Inject(fault))
        answer = worker.receive(ANSWER_SECONDS)
        while isinstance(answer, Mapped) or (loaded.idle_asked and answers_idle(answer)):
            loaded.idle_asked = loaded.idle_asked and isinstance(answer, Mapped)
            answer = worker.receive(ANSWER_SECONDS)
    except WorkerError as error:
        raise Refused(f"it does not take a fault: {error.message}", version=loaded.version) from error
    return answer.error if isinstance(answer, Raised) else None


def _kind(given: InjectedKind | str, module: str) -> InjectedKind:
    try:
        return InjectedKind(given)
    except ValueError:
        known = ", ".join(kind.value for kind in InjectedKind)
        raise InvalidInput(f"{given!r} is no fault that can be injected; there are {known}", module=module) from None


def _point(given: FaultPoint | str, module: str) -> FaultPoint:
    try:
        return FaultPoint(given)
    except ValueError:
        known = ", ".join(point.value for point in FaultPoint)
        raise InvalidInput(f"{given!r} is no point of the protocol; there are {known}", module=module) from None


def _no_pair(kind: InjectedKind, point: FaultPoint) -> str | None:
    """Return why a fault cannot be committed at a point, or None."""
    if kind in NEEDS_ROWS and point not in IN_TICKS:
        return f"{kind.value} needs a tick; it can be injected at {' and '.join(sorted(IN_TICKS))} only"
    return None
