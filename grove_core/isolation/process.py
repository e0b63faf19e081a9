"""The isolation `process`: every version in a process of its own, forked from a zygote."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from grove_core.base.errors import WorkerError
from grove_core.base.ways import WireKind
from grove_core.isolation.handle import ProcessWorker, process_memory
from grove_core.isolation.zygote import Zygote

SPARE_SECONDS = 0.02
"""How long the next spare waits to be forked: a little more than a frame at 60 Hz."""


class ProcessIsolation:
    """Takes workers from a zygote, and keeps one spare forked. A zygote that died or is stale is replaced.

    The next spare is forked a frame after the worker that was taken was ready or let go of: a fork holds a processor
    for a millisecond or two, and its rehearsal another, while the load ends and entities catch up.

    Every worker hangs by the lifeline, a pipe whose one end is here: when it closes, the system kills them.

    Args:
        wire: what messages go through, one of `WireKind`.
    """

    def __init__(self, wire: str = WireKind.SEQPACKET) -> None:
        self._wire = WireKind(wire)
        self._taken: set[int] = set()
        """The process ids of workers that were taken; a child of the zygote that is none of them is a spare."""
        self._lifeline, self._end = os.pipe2(os.O_CLOEXEC)
        try:
            self._zygote = Zygote(self._lifeline, self._wire)
        except BaseException:
            os.close(self._lifeline)
            os.close(self._end)
            raise
        try:
            self._zygote.wait_until_up()
            self._zygote.ask()
        except BaseException:
            self.close()
            raise

    def start(self) -> ProcessWorker:
        """Return a worker that waits for its first message: the spare, if there is one.

        Raises:
            WorkerError: no zygote can be started, or it cannot fork.
        """
        try:
            if not self._zygote.usable:
                self._replace()
            try:
                return self._take()
            except WorkerError:
                self._replace()
                return self._take()
        except OSError as error:
            raise WorkerError(f"no worker can be started: {error.strerror}") from error

    def memory(self) -> int | None:
        """Return the anonymous bytes of the zygote and every worker together, shared pages once.

        What is a spare's own is left out: it comes and goes when it likes, also between two looks.
        """
        zygote = self._zygote.pid
        try:
            children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text("ascii").split()
        except OSError:
            return None
        measured = {pid: process_memory(pid) for pid in (zygote, *map(int, children))}
        self._taken &= measured.keys()
        return sum(
            memory.anonymous - (0 if pid in self._taken or pid == zygote else memory.private)
            for pid, memory in measured.items()
            if memory is not None
        )

    def close(self) -> None:
        """End the zygote, the spare, every worker that is left, and whatever they started."""
        for descriptor in (self._end, self._lifeline):
            if descriptor >= 0:
                os.close(descriptor)
        self._end = self._lifeline = -1
        self._zygote.close()

    def _take(self) -> ProcessWorker:
        worker = self._zygote.take(self._refill)
        while worker.wait(0):  # the spare died while nobody looked
            worker.close()
            worker = self._zygote.take(self._refill)
        self._taken.add(worker.pid)
        return worker

    def _refill(self) -> None:
        """Order a spare, unless there is one."""
        if self._end < 0 or self._zygote.asked:
            return
        with contextlib.suppress(WorkerError, OSError):  # what is wrong the next start finds out, and tells
            self._zygote.ask(SPARE_SECONDS)

    def _replace(self) -> None:
        """Start another zygote; the workers of the old one live on."""
        self._zygote.kill()
        self._zygote = Zygote(self._lifeline, self._wire)
