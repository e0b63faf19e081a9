"""Isolations and workers that are real, but for one thing that is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.isolation.process import ProcessIsolation
from grove_core.wire.messages import Idle, Raised

LEFT: list[int] = []
"""Descriptors that something broken did not close."""


def left(descriptor: int) -> int:
    LEFT.append(descriptor)
    return descriptor


class Altered:
    """A real worker, but for what a subclass does."""

    def __init__(self, worker: Any) -> None:
        self.real = worker

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Isolation:
    """The isolation `process`, with altered workers."""

    def __init__(self, worker: Callable[[Any], Any]) -> None:
        self.real = ProcessIsolation()
        self.alter = worker

    def start(self) -> Any:
        return self.alter(self.real.start())

    def memory(self) -> int | None:
        return self.real.memory()

    def close(self) -> None:
        self.real.close()


class Mute(Altered):
    def receive(self, timeout: float) -> Any:
        self.real.receive(timeout)


class Infectious(Altered):
    """Kills another one with itself."""

    last: Any = None

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self.other, Infectious.last = Infectious.last, worker

    def kill(self) -> bool:
        if self.other is not None:
            self.other.kill()
        return bool(self.real.kill())


class WithoutDescriptors(Altered):
    def send(self, message: Any, descriptors: Any = ()) -> None:
        self.real.send(message)


class WithoutTraceback(Altered):
    def receive(self, timeout: float) -> Any:
        answer = self.real.receive(timeout)
        return Raised(answer.where, answer.error, "") if isinstance(answer, Raised) else answer


class OnlySmall(Altered):
    def send(self, message: Any, descriptors: Any = ()) -> None:
        if len(repr(message)) > 100_000:
            raise ProtocolError("too large")
        self.real.send(message, descriptors)


class WrongFileno(Altered):
    def fileno(self) -> int:
        return int(self.real.output)


class AlwaysReadable(Altered):
    def fileno(self) -> int:
        return left(os.open("/dev/null", os.O_RDONLY))


class Impatient(Altered):
    def receive(self, timeout: float) -> Any:
        return self.real.receive(timeout / 10)


class ReturnsNone(Altered):
    def receive(self, timeout: float) -> Any:
        try:
            return self.real.receive(timeout)
        except DeadlineExceeded:
            return None


class OutLoud(Altered):
    """Loses what was printed."""

    def read_output(self) -> str:
        self.real.read_output()
        return ""


class Chatty(Altered):
    def read_output(self) -> str:
        return "ready\n" + str(self.real.read_output())


class Stopped(Altered):
    """Does not read what is printed while it waits: a full pipe stops the worker."""

    def receive(self, timeout: float) -> Any:
        deadline = time.monotonic() + min(timeout, 1.0)
        while (message := self.real.receive_now()) is None:
            if time.monotonic() > deadline:
                raise DeadlineExceeded("no answer")
        return message


class Endless(Altered):
    def read_output(self) -> str:
        return str(self.real.read_output()) * 100


class Queueing(Altered):
    """Keeps what the worker does not take, however much it is."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self.queue: list[Any] = []

    def send(self, message: Any, descriptors: Any = ()) -> None:
        try:
            self.real.send(message, descriptors)
        except ProtocolError:
            self.queue.append(message)


class NeverDies(Altered):
    def send(self, message: Any, descriptors: Any = ()) -> None:
        try:
            self.real.send(message, descriptors)
        except PeerDied:
            return


class DiesAsEndOfFile(Altered):
    def receive(self, timeout: float) -> Any:
        try:
            return self.real.receive(timeout)
        except PeerDied as error:
            raise EOFError("the end of the file") from error


class NothingArrived(Altered):
    def receive_now(self) -> Any:
        try:
            return self.real.receive_now()
        except PeerDied:
            return None


class Forgetful(Altered):
    """An answer is lost if the worker is gone."""

    def receive(self, timeout: float) -> Any:
        if self.real.wait(0):
            raise PeerDied("it is gone")
        return self.real.receive(timeout)


class TwiceIdle(Altered):
    """Answers for a worker that is gone."""

    def receive(self, timeout: float) -> Any:
        try:
            return self.real.receive(timeout)
        except PeerDied:
            return Idle(True)


class SaidToBeGone(Altered):
    def wait(self, timeout: float) -> bool:
        return True


class AnothersPidfd(Altered):
    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self.pidfd = left(os.pidfd_open(os.getpid()))


class Merciful(Altered):
    """Does not kill, and says so."""

    def kill(self) -> bool:
        return False


class Hasty(Altered):
    """Says that it is gone, and did nothing yet."""

    def kill(self) -> bool:
        return True

    def close(self) -> None:
        self.real.kill()
        self.real.close()


class Once(Altered):
    asked = False

    def how_it_ended(self) -> str:
        told = "died" if self.asked else str(self.real.how_it_ended())
        self.asked = True
        return told


class Silent(Altered):
    def how_it_ended(self) -> str:
        return ""


class Pages(Altered):
    """Counts in pages, and for ever."""

    def memory(self) -> tuple[int | None, int | None]:
        pss, private = self.real.memory()
        return (pss or 4096) // 4096, (private or 4096) // 4096


class Remembered(Altered):
    def memory(self) -> tuple[int | None, int | None]:
        return 100 << 20, 100 << 20


class Uncounted(Altered):
    """Counts characters."""

    printed = 0

    def read_output(self) -> str:
        text = str(self.real.read_output())
        self.printed += len(text)
        return text


class Timeless(Altered):
    """Takes no time."""

    def cpu_seconds(self) -> float | None:
        return 1.0


class Ghostly(Altered):
    """Is gone, and took some time."""

    def cpu_seconds(self) -> float | None:
        return float(self.real.cpu_seconds() or 1.0)


class Leaking(Altered):
    """Lets go of its process, and of one descriptor too few."""

    def close(self) -> None:
        left(os.dup(self.real.pidfd))
        self.real.close()


class Hoarding(Isolation):
    """What it measures never falls."""

    most = 0

    def memory(self) -> int | None:
        self.most = max(self.most, self.real.memory() or 0)
        return self.most


class Careless(Isolation):
    """Closing ends nothing."""

    def close(self) -> None:
        return


class Dropping(Isolation):
    """Closing ends everything, and leaves a descriptor."""

    def close(self) -> None:
        self.real.close()
        left(os.open("/dev/null", os.O_RDONLY))
