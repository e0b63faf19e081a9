"""The engine's end of a zygote: one preloaded process per environment, which forks workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import msgspec
import numpy as np

import grove_core
from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.isolation.handle import ProcessWorker
from grove_core.wire.channel import Channel, close_all
from grove_core.wire.messages import Exited, Fork, Forked, FromZygote

START_SECONDS = 30.0
FORK_SECONDS = 5.0
STATUSES = 256
"""How many exit statuses are remembered that nobody asked for yet."""
PRELOADED = tuple(Path(str(package.__file__)) for package in (grove_core, np, msgspec))


class Zygote:
    """Starts in a session of its own, so that Ctrl-C reaches the engine alone.

    Args:
        lifeline: the reading end of the pipe that its workers hang by.
    """

    def __init__(self, lifeline: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._statuses: dict[int, int] = {}
        self._asked: deque[tuple[socket.socket, int]] = deque()
        self._forked: deque[tuple[int, int]] = deque()
        self._signature = _signature()
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
                [sys.executable, "-P", "-m", "grove_core.worker.zygote", str(theirs.fileno()), str(lifeline)],
                pass_fds=(theirs.fileno(), lifeline),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                    "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
                },
            )
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
        return self._process.poll() is None and self._signature == _signature()

    def wait_until_up(self) -> None:
        """Wait until it has preloaded everything.

        Raises:
            DeadlineExceeded, PeerDied: it could not start.
        """
        if not self._up:
            self._next_forked(START_SECONDS)
            self._up = True

    def ask(self) -> None:
        """Order a worker, without waiting for it.

        Raises:
            PeerDied: the zygote is gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, their_output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(their_output, True)
        try:
            self._channel.send(Fork(), [theirs.fileno(), their_output])
        except BaseException:
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(their_output)
        self._asked.append((ours, output))

    def take(self) -> ProcessWorker:
        """Return the worker that was ordered first, ordering one if none was.

        Raises:
            PeerDied, DeadlineExceeded: the zygote cannot fork.
        """
        self.wait_until_up()
        if not self._asked:
            self.ask()
        pid, pidfd = self._next_forked(FORK_SECONDS)
        ours, output = self._asked.popleft()
        return ProcessWorker(pid, pidfd, ours, output, self.exit_status)

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
        """End the zygote and its spares, and return once it is gone; loaded workers live on."""
        close_all([pidfd for _, pidfd in self._forked if pidfd >= 0])
        self._forked.clear()
        for ours, output in self._asked:
            ours.close()
            os.close(output)
        self._asked.clear()
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _next_forked(self, timeout: float) -> tuple[int, int]:
        deadline = time.monotonic() + timeout
        while not self._forked:
            self._read(max(0.0, deadline - time.monotonic()))
        return self._forked.popleft()

    def _read(self, timeout: float) -> None:
        """Take one message: forks and exits come in any order."""
        message, descriptors = self._channel.receive(timeout)
        if isinstance(message, Exited):
            self._statuses[message.pid] = message.status
            if len(self._statuses) > STATUSES:
                del self._statuses[next(iter(self._statuses))]
        elif isinstance(message, Forked):
            self._forked.append((message.pid, descriptors.pop() if descriptors else -1))
        close_all(descriptors)


def _signature() -> tuple[int, ...]:
    """Tell one state of the preloaded packages from another: a later fork must not run what was replaced."""
    return tuple(path.stat().st_mtime_ns if path.exists() else -1 for path in PRELOADED)
