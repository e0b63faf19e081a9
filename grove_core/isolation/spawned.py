"""The isolation `spawn`: every version in a fresh interpreter, for systems where no zygote may fork."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable

from grove_core.base.errors import WorkerError
from grove_core.base.ways import WireKind
from grove_core.isolation.handle import KILL_SECONDS, ProcessWorker, process_memory
from grove_core.isolation.interpreter import signature, start_interpreter
from grove_core.wire.channel import pair

MODULE = "grove_core.worker.alone"


class SpawnedWorker(ProcessWorker):
    """A worker that is a child of this process, and is reaped as soon as it is seen to be gone."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        pidfd: int,
        end: socket.socket,
        output: int,
        settled: Callable[[], None],
    ) -> None:
        super().__init__(process.pid, pidfd, end, output, lambda _, timeout: wait_status(process, timeout), settled)
        self._process = process

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the process to be gone."""
        gone = super().wait(timeout)
        if gone:
            reap(self._process)
        return gone


class SpawnIsolation:
    """Starts workers one by one, and keeps a spare: an interpreter that has imported everything, and waits.

    The next spare is started once the worker that was taken is ready or let go of: it would compete with the load.

    Every worker hangs by the lifeline, a pipe whose one end is here: when it closes, the system kills them.

    Args:
        wire: what messages go through, one of `WireKind`.

    Raises:
        WorkerError: no interpreter can be started.
    """

    def __init__(self, wire: str = WireKind.SEQPACKET) -> None:
        self._wire = WireKind(wire)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._spare: SpawnedWorker | None = None
        self._lifeline, self._end = os.pipe2(os.O_CLOEXEC)
        try:
            self._prepare_spare()
        except BaseException:
            self.close()
            raise

    def start(self) -> ProcessWorker:
        """Return a worker that waits for its first message: the spare, if there is one.

        Raises:
            WorkerError: no interpreter can be started.
        """
        return self._take_spare() or self._spawn()

    def memory(self) -> int | None:
        """Return the anonymous bytes of every worker together, shared pages once.

        The spare is left out: it may be coming up, and would take what another one is giving back.
        """
        spare = None if self._spare is None else self._spare.pid
        measured = [process_memory(process.pid) for process in self._running() if process.pid != spare]
        return sum(memory.anonymous for memory in measured if memory is not None)

    def close(self) -> None:
        """End the spare, and every worker that is left."""
        self._drop_spare()
        for descriptor in (self._end, self._lifeline):
            if descriptor >= 0:
                os.close(descriptor)
        self._end = self._lifeline = -1
        for process in self._processes:
            process.kill()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):  # not even SIGKILL ends it; nothing of ours is in it
                process.wait(KILL_SECONDS)
        self._processes.clear()

    def _take_spare(self) -> SpawnedWorker | None:
        """Return the spare, if it lives and what it imported still lies on disk."""
        if self._spare is not None and (self._imported != signature() or self._spare.wait(0)):
            self._drop_spare()
        spare, self._spare = self._spare, None
        return spare

    def _refill(self) -> None:
        """Start a spare, unless there is one."""
        if self._end < 0 or self._spare is not None:
            return
        with contextlib.suppress(WorkerError):  # the next start tries again, and tells
            self._prepare_spare()

    def _prepare_spare(self) -> None:
        self._imported = signature()
        self._spare = self._spawn()

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.kill()
            self._spare.close()
            self._spare = None

    def _spawn(self) -> SpawnedWorker:
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as passed_on:
            try:
                end, their_end = pair(self._wire)
                kept.callback(end.close)
                passed_on.callback(their_end.close)
                output, their_output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                kept.callback(os.close, output)
                passed_on.callback(os.close, their_output)
                os.set_blocking(their_output, True)
                process = start_interpreter(MODULE, (their_end.fileno(), self._lifeline), their_output)
                self._processes = [*self._running(), process]
                pidfd = os.pidfd_open(process.pid)
            except OSError as error:
                raise WorkerError(f"no interpreter can be started: {error.strerror}") from error
            kept.pop_all()
        return SpawnedWorker(process, pidfd, end, output, self._refill)

    def _running(self) -> list[subprocess.Popen[bytes]]:
        """Return the processes that run, and reap those that do not."""
        return [process for process in self._processes if reap(process) is None]


def reap(process: subprocess.Popen[bytes]) -> int | None:
    """Reap a child if it has ended, and kill before what is left of its group: nobody else has its number until then.

    Returns its exit code; None if it has not ended.
    """
    if process.returncode is None:
        with contextlib.suppress(ChildProcessError):  # somebody else reaped it
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
                    os.killpg(process.pid, signal.SIGKILL)
    return process.poll()


def wait_status(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    """Return a child's wait status, waiting up to `timeout` seconds for it; None if it has not ended."""
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    return -code if code < 0 else code << 8
