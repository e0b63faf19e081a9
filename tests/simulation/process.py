"""A simulated worker process: the real worker's loop in a thread, which runs only while the engine waits.

One thread runs at a time, ever: whoever resumes another one waits until it pauses or ends. So nothing depends on how
the system schedules threads.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import socket
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from grove_core.wire.channel import Channel
from grove_core.wire.messages import Idle, Raised, Ticked, ToWorker
from grove_core.worker import main, views

from .schedule import Harm, Point, Schedule


class Killed(BaseException):
    """The process is gone; nothing of it may go on."""


class Harmed(Exception):
    """What a version raises because the schedule says so."""


class Condition(StrEnum):
    """What a process does while others run."""

    LISTENING = "listening"
    """It waits for an order."""
    STALLED = "stalled"
    """It is in the middle of something."""
    ENDED = "ended"


def reach(point: Point) -> Harm | None:
    """Tell the schedule where a version is; returns what the version has to do wrong by itself."""
    process = threading.current_thread()
    return process.reach(point) if isinstance(process, Process) else None


class Process(threading.Thread):
    """Runs the real worker over its end of a real wire.

    Args:
        schedule: says what happens to it.
        called: its name in the trace.
        end: its end of the wire.
    """

    def __init__(self, schedule: Schedule, called: str, end: socket.socket) -> None:
        super().__init__(daemon=True)
        self.schedule = schedule
        self.called = called
        self.condition = Condition.LISTENING
        self.mapped: dict[int, int] = {}
        """What it maps: address -> length."""
        self.harmed = False
        """Whether anything ever happened to it."""
        self.unkillable = False
        self.error: BaseException | None = None
        """What was raised that no process may raise."""
        self._wire = Wire(end, self)
        self._dying = False
        self._stalls = 0
        self._go, self._paused = _thread.allocate_lock(), _thread.allocate_lock()
        self._go.acquire()
        self._paused.acquire()

    # -- what the others do to it --------------------------------------------------------------------------

    def arrive(self) -> None:
        """Have it look whether there is an order."""
        if self.condition is Condition.LISTENING:
            self._resume()

    def go_on(self) -> None:
        """Have it go on, if it stalls."""
        if self.condition is Condition.STALLED:
            self._resume()

    def die(self) -> None:
        """End it, wherever it is."""
        if self.condition is Condition.ENDED:
            return
        self._dying = True
        if self.ident is None:
            self._wire.close()
            self.condition = Condition.ENDED
        else:
            self._resume()

    def _resume(self) -> None:
        if self.ident is None:
            self.start()
        else:
            self._go.release()
        self._paused.acquire()
        if self.error is not None:
            raise self.error

    # -- what it does itself -------------------------------------------------------------------------------

    def run(self) -> None:
        """Be a worker."""
        try:
            with contextlib.suppress(Killed):
                main.run(self._wire)
        except BaseException as error:
            self.error = error
        finally:
            self._end()

    def listen(self) -> None:
        """Wait for an order."""
        self._pause(Condition.LISTENING)
        self.reach(Point.RECEIVED)

    def reach(self, point: Point) -> Harm | None:
        """Have happen what happens at this point; returns what the caller has to do wrong.

        Raises:
            Killed: it dies.
            Harmed: a version raises.
        """
        self.check()
        kind = self.schedule.harm(point)
        if kind is None:
            return None
        self.harmed = True
        self.schedule.note(self.called, f"{kind} at {point}")
        if kind is Harm.DIE:
            self._dying = True
            raise Killed
        if kind is Harm.RAISE:
            raise Harmed(f"at {point}")
        if kind in (Harm.LAG, Harm.HANG):
            self._stall(self.schedule.lag() if kind is Harm.LAG else None)
            return None
        return kind

    def check(self) -> None:
        """Raise `Killed` if it is gone."""
        if self._dying:
            raise Killed

    def _stall(self, seconds: float | None) -> None:
        self._stalls += 1
        stall = self._stalls

        def end() -> None:
            if self._stalls == stall:
                self.go_on()

        if seconds is not None:
            self.schedule.at(seconds, end)
        self._pause(Condition.STALLED)

    def _pause(self, condition: Condition) -> None:
        self.condition = condition
        self._paused.release()
        self._go.acquire()
        self.check()

    def _end(self) -> None:
        """What the system does with a process that ended."""
        for address, length in self.mapped.items():
            views._libc.real.munmap(address, length)  # type: ignore[attr-defined]
        self.mapped.clear()
        self._wire.close()
        self.condition = Condition.ENDED
        self.schedule.note(self.called, "is gone")
        self._paused.release()


class Wire(Channel[ToWorker]):
    """A process's end of the wire."""

    def __init__(self, end: socket.socket, process: Process) -> None:
        super().__init__(end, ToWorker)
        self._process = process
        self._last: msgspec.Struct | None = None

    def receive(self, timeout: float | None) -> tuple[ToWorker, list[int]]:
        """Wait for an order."""
        while (received := self.receive_now()) is None:
            self._process.listen()
        return received

    def send(self, message: msgspec.Struct, descriptors: Any = ()) -> None:
        """Send an answer, or what comes of it.

        Raises:
            PeerDied: the engine let go of it.
        """
        process, schedule = self._process, self._process.schedule
        match process.reach(Point.REPLY):
            case None:
                self._send(message)
            case Harm.TWICE:
                self._send(message)
                self._send(message)
            case Harm.GARBLE:
                packet = msgspec.msgpack.encode(message)
                cut = int(schedule.chance.random() * len(packet))
                self.send_raw(packet[:cut] or b"\xc1")
            case Harm.OTHER:
                self._send(schedule.chance.choice((Idle(True), Ticked(0, 1.0), Raised("?", "?", ""))))
            case Harm.OLD if self._last is not None and not _same(self._last, message):
                self._send(self._last)
            case _:
                schedule.note(process.called, "sends nothing")
        self._last = message
        process.reach(Point.REPLIED)

    def _send(self, message: msgspec.Struct) -> None:
        self._process.schedule.note(self._process.called, type(message).__name__)
        super().send(message)


def _same(one: msgspec.Struct, other: msgspec.Struct) -> bool:
    """Tell whether nobody could tell the one answer from the other."""
    return isinstance(one, Ticked) and isinstance(other, Ticked) and one.order == other.order


class Mappings:
    """Stands for the system's account of who maps what: the mappings of a process go when it ends."""

    def __init__(self, real: ctypes.CDLL) -> None:
        self.real = real
        self.madvise = real.madvise

    def mmap(self, address: None, length: int, *how: int) -> int | None:
        """Map as the system does."""
        mapped: int | None = self.real.mmap(address, length, *how)
        process = threading.current_thread()
        if isinstance(process, Process) and mapped is not None:
            process.mapped[mapped] = length
        return mapped

    def munmap(self, address: int, length: int) -> int:
        """Unmap as the system does."""
        process = threading.current_thread()
        if isinstance(process, Process):
            process.mapped.pop(address, None)
        unmapped: int = self.real.munmap(address, length)
        return unmapped


@contextlib.contextmanager
def processes() -> Iterator[None]:
    """Let processes be simulated meanwhile."""
    real = views._libc
    views._libc = Mappings(real)  # type: ignore[assignment]
    try:
        yield
    finally:
        views._libc = real
