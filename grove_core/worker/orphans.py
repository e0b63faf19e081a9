"""What versions start and leave behind: it comes to the zygote, and is ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


class Children:
    """The children of a zygote: the workers it forked, and the orphans that became its own.

    A version's processes belong to its worker's group, and end with it. One that left the group comes here once
    whoever started it has ended, since the zygote is a subreaper; it is nobody's any more, and is ended too.
    """

    def __init__(self) -> None:
        self._workers: set[int] = set()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # no child inherits it

    def add(self, worker: int) -> None:
        """Note a worker that was forked."""
        self._workers.add(worker)

    def reap(self) -> Iterator[tuple[int, int]]:
        """Yield process id and wait status of each worker that has ended; end what it left behind."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                pid = ended.si_pid
                own = pid in self._workers
                if own:
                    self._workers.discard(pid)
                    end_group(pid)
                _, status = os.waitpid(pid, 0)
                if own:
                    yield pid, status
        for pid in _children():
            if not {pid, _group(pid)} & self._workers:
                os.kill(pid, signal.SIGKILL)  # when it is reaped, what it started is found here in its turn

    def end(self) -> None:
        """End every child, and every orphan that becomes one by that; return once there is none."""
        while True:
            for pid in {*_children(), *self._workers}:
                os.kill(pid, signal.SIGKILL)
            try:
                pid, _ = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._workers.discard(pid)


def end_group(leader: int) -> None:
    """Kill what is left of the group that a child led; as long as it is not reaped, nobody else has its number."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left, or it gave itself other rights
        os.killpg(leader, signal.SIGKILL)


def _children() -> list[int]:
    """Return the children of this process, which has one thread; none where the system does not tell."""
    try:
        return list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()))
    except OSError:
        return []


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return pid
