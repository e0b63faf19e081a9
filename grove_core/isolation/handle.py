"""The engine's end of one worker process."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.wire.channel import Channel, close_all
from grove_core.wire.messages import Ready, ToEngine

KILL_SECONDS = 2.0
"""How long a SIGKILL may take; a process in uninterruptible sleep may outlast it."""
PROCESS_GROUP = 4
"""Linux's PIDFD_SIGNAL_PROCESS_GROUP: the signal goes to the group that the process leads, or led. Since 6.9."""
CPU_CLOCK = 2
"""Linux's CPUCLOCK_SCHED: with a process id, the number of the clock that counts what all of its threads ran."""
STATUS_SECONDS = 0.02
OUTPUT_BYTES = 64 * 1024
"""The most that is read of a worker's output at a time."""


class ProcessWorker:
    """A worker process: its socket, its pidfd, the pipe of its output.

    Args:
        exit_status: how its wait status is found out, from its pid, in so many seconds.
        settled: called whenever nobody waits for it any more: it is ready, or was let go of.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        end: socket.socket,
        output: int,
        exit_status: Callable[[int, float], int | None],
        settled: Callable[[], None],
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.output = output
        self.printed = 0
        self._channel: Channel[ToEngine] = Channel(end, ToEngine)
        self._exit_status = exit_status
        self._settled = settled
        self._gone = False
        self._printed = ""
        self._ended: str | None = None

    def fileno(self) -> int:
        """The socket's descriptor: readable when an answer or EOF is there."""
        return self._channel.fileno()

    def send(self, message: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
        """Send without blocking; see `Channel.send`."""
        self._channel.send(message, descriptors)

    def receive(self, timeout: float) -> Any:
        """Return the next message, reading meanwhile what is printed: a full pipe would stop the worker.

        Raises:
            DeadlineExceeded, PeerDied, ProtocolError: see `Channel.receive`; a worker may not send descriptors.
        """
        deadline, gone = time.monotonic() + timeout, False
        while (message := self.receive_now()) is None:
            if gone:  # and yet there is no EOF: something that it started holds the other end of the socket
                raise PeerDied("it is gone")
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineExceeded(f"no answer within {timeout:g} s")
            poll = select.poll()
            poll.register(self._channel, self._channel.events)
            for descriptor in (self.pidfd, self.output):
                if descriptor >= 0:
                    poll.register(descriptor, select.POLLIN)
            ready = dict(poll.poll(left * 1000))
            gone = self.pidfd in ready
            if self.output in ready:
                self._printed = (self._printed + self._read_printed())[:OUTPUT_BYTES]
        return message

    def receive_now(self) -> Any:
        """Return a message that has arrived, or None."""
        message = self._without_descriptors(self._channel.receive_now())
        if isinstance(message, Ready):
            self._settled()
        return message

    def read_output(self) -> str:
        """Return what it printed since the last call, at most twice 64 KiB; never waits."""
        printed, self._printed = self._printed, ""
        return printed + self._read_printed()

    def _read_printed(self) -> str:
        if self.output < 0:
            return ""
        try:
            printed = os.read(self.output, OUTPUT_BYTES)
        except BlockingIOError:
            return ""
        if not printed:  # nobody holds the other end any more
            os.close(self.output)
            self.output = -1
        self.printed += len(printed)
        return printed.decode("utf-8", "replace")

    def kill(self) -> bool:
        """Send SIGKILL to it and to its group, and wait until it is gone; False if that does not come."""
        if self._gone:
            return True
        with contextlib.suppress(OSError):  # it leads no group yet; or no flag is known, and its parent does it
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL, None, PROCESS_GROUP)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self._gone = self.wait(KILL_SECONDS)
        return self._gone

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the process to be gone."""
        if self._gone:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def how_it_ended(self) -> str:
        """Say how the process ended, as far as it is known. It is found out once: the status comes only once."""
        if self._ended is None:
            self._ended = self._find_out_how_it_ended()
        return self._ended

    def _find_out_how_it_ended(self) -> str:
        status = self._exit_status(self.pid, STATUS_SECONDS) if self.wait(0.0) else None  # who lives has none
        if status is None:
            return "died"
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            named = number in set(signal.Signals)  # the real-time signals have no names
            return f"was killed by {signal.Signals(number).name if named else f'signal {number}'}"
        return f"exited with status {os.waitstatus_to_exitcode(status)}"

    def memory(self) -> tuple[int | None, int | None]:
        """Return its proportional and its private bytes, shared memory (the tables) left out."""
        measured = process_memory(self.pid)
        return (None, None) if measured is None else (measured.pss, measured.private)

    def cpu_seconds(self) -> float | None:
        """Return the CPU time that all of its threads took since it began; None once it is gone."""
        if self._gone:
            return None
        try:
            return time.clock_gettime(~self.pid << 3 | CPU_CLOCK)
        except OSError:
            return None

    def close(self) -> None:
        """Let go of the descriptors; the process must be gone, or be abandoned."""
        self._channel.close()
        for descriptor in (self.pidfd, self.output):
            if descriptor >= 0:
                os.close(descriptor)
        self.pidfd = self.output = -1
        self._settled()

    @staticmethod
    def _without_descriptors(received: tuple[Any, list[int]] | None) -> Any:
        if received is None:
            return None
        message, descriptors = received
        if descriptors:
            close_all(descriptors)
            raise ProtocolError("a worker sent descriptors")
        return message


@dataclass(frozen=True)
class ProcessMemory:
    """What /proc/PID/smaps_rollup says of a process, in bytes."""

    pss: int
    """Its proportional share, shared memory (the tables) left out."""
    anonymous: int
    """Of that, what no file stands behind: only this comes back to the system when processes end."""
    private: int
    """What it wrote and shares with nobody."""


def process_memory(pid: int) -> ProcessMemory | None:
    """Measure a process; None once it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return None
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in text.splitlines()[1:])}
    if "Pss_Anon" not in kib:  # a process that has ended and was not reaped yet, or an old kernel
        return None
    return ProcessMemory((kib["Pss"] - kib["Pss_Shmem"]) * 1024, kib["Pss_Anon"] * 1024, kib["Private_Dirty"] * 1024)
