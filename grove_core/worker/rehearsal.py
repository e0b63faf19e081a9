"""A rehearsal: a spare worker does once, for nobody, what a load will ask of it.

After a fork every page is the zygote's until the worker writes to it; the import of a version alone writes to some
200, if only to count references, and each costs a fault of several microseconds. After a rehearsal these pages are
the worker's own. It goes through the worker's own loop with real messages, and only the pages are left of it.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import select
import socket
import sys
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import grove_core.worker as package
from grove_core.author.schema import ID, ID_DTYPE, ColumnSpec
from grove_core.base.ways import WireKind, unlinked_file
from grove_core.wire.channel import Channel, pair
from grove_core.wire.messages import PROTOCOL, Introduced, Load, Prepare, Remap, Slot, Tick, ToEngine, ToWorker
from grove_core.worker import main

NAME = "rehearsed"
"""The version that is loaded: the module of this name beside this one."""
ROWS = 64


def rehearse(wire: Channel[ToWorker] | None = None, kind: WireKind = WireKind.SEQPACKET) -> list[Any]:
    """Load a version, tick it and forget it; a message that waits on `wire` cuts it short.

    Args:
        wire: the worker's own, if it has one yet.
        kind: what its messages go through.

    Returns:
        What was answered to each order.
    """
    ours, theirs = pair(kind)
    answers: list[Any] = []
    worker = _Prompted(theirs, _engine(Channel(ours, ToEngine), answers, wire))
    try:
        with contextlib.suppress(OSError):  # what the system refuses now it will refuse the load, which tells
            main.run(worker)
    finally:
        worker.close()
        sys.modules.pop(f"{package.__name__}.{NAME}", None)
        vars(package).pop(NAME, None)
        gc.collect()  # a class refers to itself
    return answers


class _Prompted(Channel[ToWorker]):
    """A worker's end of a wire whose other end is played: it has its turn before each message is read."""

    def __init__(self, end: socket.socket, engine: Generator[None]) -> None:
        super().__init__(end, ToWorker)
        self._engine = engine

    def receive(self, timeout: float | None) -> tuple[ToWorker, list[int]]:
        """Let the engine take its turn, and receive what it sent."""
        next(self._engine, None)
        return super().receive(timeout)

    def close(self) -> None:
        """Close both ends."""
        self._engine.close()
        super().close()


def _engine(channel: Channel[ToEngine], answers: list[Any], wire: Channel[ToWorker] | None) -> Generator[None]:
    """Play the engine: in each turn note the last answer and send the next order; in the last one hang up."""
    try:
        channel.send(Load(PROTOCOL, NAME, "1.0.0", f"{package.__name__}.{NAME}:Rehearsed", (), faults_allowed=False))
        yield
        introduced, _ = channel.receive(0)
        answers.append(introduced)
        if not isinstance(introduced, Introduced) or _waits(wire):
            return
        with _scratch(introduced.specs) as (slots, *descriptors):
            channel.send(Prepare(slots, {"high": 1.0}, None, "1.0.0"), descriptors)
            yield
            answers.append(channel.receive(0)[0])
            if not _waits(wire):
                channel.send(Tick(1, main.WARM_UP_SECONDS, 0, ROWS, catching_up=False))
                yield
                answers.append(channel.receive(0)[0])
            channel.send(Remap(()), descriptors)
            yield
            answers.append(channel.receive(0)[0])
    finally:
        channel.close()


@contextlib.contextmanager
def _scratch(specs: Sequence[ColumnSpec]) -> Iterator[tuple[tuple[Slot, ...], int, int]]:
    """Make memory with a page for each column; give the slots, and a descriptor for writing and one for reading."""
    columns = [(ID, ID_DTYPE.str, False), *((spec.name, spec.column.dtype, not spec.constant) for spec in specs)]
    page = mmap.PAGESIZE
    memory = unlinked_file("grove:rehearsal")
    try:
        os.ftruncate(memory, len(columns) * page)
        read_only = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            slots = (Slot(name, dtype, at * page, page, own) for at, (name, dtype, own) in enumerate(columns))
            yield tuple(slots), memory, read_only
        finally:
            os.close(read_only)
    finally:
        os.close(memory)


def _waits(wire: Channel[ToWorker] | None) -> bool:
    """Tell whether there is something to receive."""
    if wire is None:
        return False
    poll = select.poll()
    poll.register(wire, select.POLLIN)
    return bool(poll.poll(0))
