"""The engine's end of a zygote: one preloaded process per environment, which forks workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from itertools import count

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.base.interrupts import put_off
from grove_core.base.ways import WireKind
from grove_core.isolation.handle import KILL_SECONDS, ProcessWorker
from grove_core.isolation.interpreter import signature, start_interpreter
from grove_core.wire.channel import Channel, close_all, pair
from grove_core.wire.zygote_messages import Exited, Fork, Forked, FromZygote, Hurry

START_SECONDS = 30.0
FORK_SECONDS = 5.0
STATUSES = 256
"""How many exit statuses are remembered that nobody asked for yet."""
MODULE = "grove_core.worker.zygote"
UP = 0
"""The number with which a zygote says that it is up; no order has it."""


class Zygote:
    """Starts in a session of its own, so that Ctrl-C reaches the engine alone.

    Args:
        lifeline: the reading end of the pipe that its workers hang by.
        wire: what messages go through, to it and to its workers.

    Raises:
        OSError: the system refuses.
    """

    def __init__(self, lifeline: int, wire: WireKind) -> None:
        self._wire = wire
        ours, theirs = pair(wire)
        self._statuses: dict[int, int] = {}
        self._orders = count(1)
        self._asked: dict[int, tuple[socket.socket, int]] = {}
        """By their number: the end of the socket and the output of each worker that was ordered and not taken."""
        self._forked: dict[int, tuple[int, int]] = {}
        """Of those, by the same number, the process id and the pidfd of who has been forked by now."""
        self._signature = signature()
        try:
            self._process = start_interpreter(MODULE, (theirs.fileno(), lifeline))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel: Channel[FromZygote] = Channel(ours, FromZygote)
        self._up = False

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it lives, and what it preloaded is still what lies on disk."""
        return self._process.poll() is None and self._signature == signature()

    def wait_until_up(self) -> None:
        """Wait until it has preloaded everything.

        Raises:
            DeadlineExceeded, PeerDied: it could not start.
        """
        if not self._up:
            self._wait_for(UP, START_SECONDS)
            del self._forked[UP]
            self._up = True

    @property
    def asked(self) -> bool:
        """Whether a worker was ordered that nobody took yet."""
        return bool(self._asked)

    @put_off()  # between two lines a socket belongs to nobody
    def ask(self, after: float = 0.0) -> None:
        """Order a worker, without waiting for it; it is forked after so many seconds, or once it is taken.

        Raises:
            PeerDied: the zygote is gone.
            OSError: the system refuses.
        """
        ours, theirs = pair(self._wire)
        try:
            output, their_output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        os.set_blocking(their_output, True)
        number = next(self._orders)
        self._asked[number] = ours, output
        try:
            self._channel.send(Fork(number, after), [theirs.fileno(), their_output])
        except BaseException:
            del self._asked[number]
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(their_output)

    def take(self, settled: Callable[[], None]) -> ProcessWorker:
        """Return the worker that was ordered first, ordering one if none was.

        Args:
            settled: see `ProcessWorker`.

        Raises:
            PeerDied, DeadlineExceeded: the zygote cannot fork.
        """
        self.wait_until_up()
        if not self._asked:
            self.ask()
        number = next(iter(self._asked))
        if not self._arrived(number):
            self._channel.send(Hurry())
        self._wait_for(number, FORK_SECONDS)
        ours, output = self._asked.pop(number)
        pid, pidfd = self._forked.pop(number)
        return ProcessWorker(pid, pidfd, ours, output, self.exit_status, settled)

    def exit_status(self, pid: int, timeout: float) -> int | None:
        """Return a worker's wait status, waiting up to `timeout` seconds for it; None if it is not known."""
        deadline = time.monotonic() + timeout
        while pid not in self._statuses:
            if self._channel.fileno() < 0:  # this zygote was replaced, and the worker outlived it
                return None
            try:
                self._read(max(0.0, deadline - time.monotonic()))
            except (DeadlineExceeded, PeerDied, ProtocolError):
                return None
        return self._statuses.pop(pid)

    def close(self) -> None:
        """End the zygote, its spares, and what is left of its workers; return once it is gone."""
        self._channel.close()  # it clears up then, and ends
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the zygote and its spares at once, and return once it is gone; loaded workers live on."""
        self._process.kill()
        self._process.wait()
        for _, pidfd in self._forked.values():
            if pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)  # one that is stopped would not see the EOF
                os.close(pidfd)
        self._forked.clear()
        for ours, output in self._asked.values():
            ours.close()
            os.close(output)
        self._asked.clear()
        self._channel.close()

    def _arrived(self, number: int) -> bool:
        """Tell whether the worker with this number has been forked by now."""
        with contextlib.suppress(DeadlineExceeded):
            while number not in self._forked:
                self._read(0.0)
        return number in self._forked

    def _wait_for(self, number: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while number not in self._forked:
            self._read(max(0.0, deadline - time.monotonic()))

    def _read(self, timeout: float) -> None:
        """Take one message: forks and exits come in any order."""
        message, descriptors = self._channel.receive(timeout)
        if isinstance(message, Exited):
            self._statuses[message.pid] = message.status
            if len(self._statuses) > STATUSES:
                del self._statuses[next(iter(self._statuses))]
        elif isinstance(message, Forked):
            self._forked[message.order] = message.pid, descriptors.pop() if descriptors else -1
        close_all(descriptors)
