"""The engine's end of simulated workers, and how it waits for them."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

from grove_core.base.errors import DeadlineExceeded, ProtocolError, WorkerError
from grove_core.base.ways import WireKind
from grove_core.wire.channel import Channel, close_all, pair
from grove_core.wire.messages import Load, Tick, ToEngine

from .process import Condition, Process
from .schedule import Harm, Schedule

LATENCY = 0.002
"""The most seconds after which an order is taken up, where nothing happens."""
KILL_SECONDS = 2.0
SURVIVE = 0.1
"""The probability that a worker outlives SIGKILL; few are ever killed."""
PIDFDS = 1 << 20
"""Added to a worker's number: a token for its death that is no descriptor."""


class SimulatedWorker:
    """Keeps the contract `Worker` in simulated time."""

    def __init__(self, schedule: Schedule, number: int) -> None:
        ours, theirs = pair(WireKind.SEQPACKET)
        self.pid = number
        self.pidfd = PIDFDS + number
        self.output = -1
        self.closed = False
        self.version: str | None = None
        self.process = Process(schedule, f"worker {number}", theirs)
        self._schedule = schedule
        self._channel: Channel[ToEngine] = Channel(ours, ToEngine)
        self._gone = False

    def fileno(self) -> int:
        """See `Worker`."""
        return self._channel.fileno()

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """See `Worker`."""
        if self._schedule.strikes(Harm.FULL):
            self.process.harmed = True
            self._schedule.note(self.process.called, "takes no message")
            raise ProtocolError("its queue is full")
        if isinstance(message, Load):
            self.version = message.version
            self.process.called = f"{self.pid}: {self.version}"
        text = f"rows {message.start} to {message.stop} in {message.number}" if isinstance(message, Tick) else ""
        self._schedule.note("engine", f"{type(message).__name__} to {self.process.called} {text}".rstrip())
        self._channel.send(message, descriptors)
        self._schedule.at(self._schedule.chance.uniform(0.0, LATENCY), self.process.arrive)

    def receive(self, timeout: float) -> Any:
        """See `Worker`."""
        schedule, deadline = self._schedule, self._schedule.now + timeout
        while (message := self.receive_now()) is None:
            if schedule.now >= deadline:
                raise DeadlineExceeded("no answer in time")
            schedule.advance(deadline)
        return message

    def receive_now(self) -> Any:
        """See `Worker`."""
        received = self._channel.receive_now()
        if received is None:
            return None
        message, descriptors = received
        close_all(descriptors)
        return message

    def read_output(self) -> str:
        """See `Worker`: it prints nothing."""
        return ""

    def wait(self, timeout: float) -> bool:
        """See `Worker`."""
        deadline = self._schedule.now + timeout
        while self.process.condition is not Condition.ENDED and self._schedule.now < deadline:
            self._schedule.advance(deadline)
        return self.process.condition is Condition.ENDED

    def kill(self) -> bool:
        """See `Worker`; one that outlives it goes on some time later, and ends then."""
        schedule, process = self._schedule, self.process
        if process.condition is Condition.ENDED:
            return True
        schedule.note("engine", f"SIGKILL to {process.called}")
        if process.unkillable or schedule.strikes(Harm.SURVIVE, SURVIVE):
            if not process.unkillable:
                process.unkillable = True
                schedule.note(process.called, "survives")
                schedule.at(KILL_SECONDS + schedule.lag(), process.go_on)
            return self.wait(KILL_SECONDS)
        process.die()
        return True

    def how_it_ended(self) -> str:
        """See `Worker`."""
        return "was killed by SIGKILL"

    def memory(self) -> tuple[int | None, int | None]:
        """See `Worker`: nothing is measured."""
        return None, None

    def close(self) -> None:
        """See `Worker`."""
        self._channel.close()
        self.closed = True
        self._schedule.at(0.0, self.process.arrive)  # it reads that nobody is there


class SimulatedIsolation:
    """Keeps the contract `Isolation` with simulated workers."""

    def __init__(self, schedule: Schedule) -> None:
        self.workers: list[SimulatedWorker] = []
        self._schedule = schedule

    def start(self) -> SimulatedWorker:
        """See `Isolation`."""
        if self._schedule.strikes(Harm.NO_WORKER):
            self._schedule.note("engine", "gets no worker")
            raise WorkerError("no worker can be started")
        self.workers.append(SimulatedWorker(self._schedule, len(self.workers) + 1))
        return self.workers[-1]

    @property
    def survived(self) -> bool:
        """Whether somebody runs who outlived SIGKILL."""
        return any(
            worker.process.unkillable and worker.process.condition is not Condition.ENDED for worker in self.workers
        )

    def memory(self) -> int | None:
        """See `Isolation`: nothing is measured."""
        return None

    def close(self) -> None:
        """See `Isolation`; this also ends those that outlived SIGKILL."""
        for worker in self.workers:
            worker.process.die()
            if worker.process.ident is not None:
                worker.process.join()


class SimulatedWaiting:
    """Keeps the contract `Waiting` in simulated time."""

    def __init__(self, schedule: Schedule, isolation: SimulatedIsolation) -> None:
        self._schedule = schedule
        self._isolation = isolation

    def now(self) -> float:
        """See `Waiting`."""
        return self._schedule.now

    def poll(self) -> SimulatedPoll:
        """See `Waiting`."""
        return SimulatedPoll(self._schedule, self._isolation)


class SimulatedPoll:
    """Keeps the contract `Poll`: what is ready comes in any order, and not all of it at once."""

    def __init__(self, schedule: Schedule, isolation: SimulatedIsolation) -> None:
        self._schedule = schedule
        self._isolation = isolation
        self._sockets = select.poll()
        self._pidfds: list[int] = []

    def register(self, descriptor: int, events: int) -> None:
        """See `Poll`."""
        if descriptor > PIDFDS:
            self._pidfds.append(descriptor)
        else:
            self._sockets.register(descriptor, events)

    def unregister(self, descriptor: int) -> None:
        """See `Poll`."""
        if descriptor > PIDFDS:
            self._pidfds.remove(descriptor)
        else:
            self._sockets.unregister(descriptor)

    def poll(self, milliseconds: float) -> list[tuple[int, int]]:
        """See `Poll`."""
        schedule, deadline = self._schedule, self._schedule.now + milliseconds / 1000
        while True:
            if ready := self._ready():
                return schedule.some_of(ready)
            if schedule.now >= deadline:
                return []
            schedule.advance(deadline)

    def _ready(self) -> list[tuple[int, int]]:
        """Return what is ready, in an order that does not depend on the numbers the system gives out."""
        sockets, order = dict(self._sockets.poll(0)), {w.fileno(): w.pid for w in self._isolation.workers}
        dead = [each for each in self._pidfds if self._is_gone(each)]
        ordered = sorted(sockets, key=lambda each: order[each])
        return [(each, sockets[each]) for each in ordered] + [(each, select.POLLIN) for each in dead]

    def _is_gone(self, pidfd: int) -> bool:
        return self._isolation.workers[pidfd - PIDFDS - 1].process.condition is Condition.ENDED
