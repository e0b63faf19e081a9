"""The workers that a test starts, the versions it writes for them, and the memory it gives them."""

from __future__ import annotations

import mmap
import select
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.parts.running import Isolation, Worker
from grove_core.testing.versions import PLAIN, import_name, write_version
from grove_core.wire.messages import PROTOCOL, Introduced, Load, Prepare, Ready, Slot

MODULE, VERSION = "ledger", "1.0.0"

SPINNING = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print("spinning", flush=True)
while True:
    pass
"""
"""A version that never comes back from its import, and that no signal reaches which can be kept away."""


class Crew:
    """The workers of one isolation that a test started; `close` ends those that are left.

    Args:
        isolation: where they run; it is not closed with the crew.
        folder: where versions and memory are written.
        seconds: how long anything may take at most.
    """

    def __init__(self, isolation: Isolation, folder: Path, seconds: float) -> None:
        self.isolation = isolation
        self.seconds = seconds
        self.workers: list[Worker] = []
        self._folder = folder
        self._numbers = count()

    def start(self) -> Worker:
        """Start a worker."""
        worker = self.isolation.start()
        self.workers.append(worker)
        return worker

    def load(self, source: str = PLAIN) -> Worker:
        """Start a worker, and tell it to import a version with this source."""
        worker = self.start()
        folder = write_version(self._folder / str(next(self._numbers)), MODULE, VERSION, source)
        entry_point = f"{import_name(MODULE, VERSION)}:Main"
        worker.send(Load(PROTOCOL, MODULE, VERSION, entry_point, (str(folder),), False))
        return worker

    def introduced(self, source: str = PLAIN) -> Worker:
        """Start a worker, and have it import a version and say what it is."""
        worker = self.load(source)
        self.expect(worker, Introduced)
        return worker

    def prepare(self, worker: Worker, columns: dict[str, NDArray[Any]], config: dict[str, Any]) -> Ready:
        """Have a worker map memory that holds `columns`, `id` for reading only, and return its answer.

        Afterwards each of `columns` is a view of that memory.
        """
        path = self._folder / f"memory{next(self._numbers)}"
        path.write_bytes(bytes(mmap.PAGESIZE * len(columns)))
        with path.open("r+b") as writable, path.open("rb") as read_only:
            memory = mmap.mmap(writable.fileno(), 0)
            slots = []
            for number, (name, values) in enumerate(columns.items()):
                offset = number * mmap.PAGESIZE
                slots.append(Slot(name, values.dtype.str, offset, mmap.PAGESIZE, name != "id"))
                columns[name] = np.frombuffer(memory, values.dtype, len(values), offset)
                columns[name][:] = values
            worker.send(Prepare(tuple(slots), config, None, VERSION), [writable.fileno(), read_only.fileno()])
        ready: Ready = self.expect(worker, Ready)
        return ready

    def spinning(self) -> Worker:
        """Start a worker that is busy for ever, and wait until it is."""
        worker = self.load(SPINNING)
        self.printed(worker, "spinning")
        return worker

    def expect(self, worker: Worker, kind: type[Any]) -> Any:
        """Receive a message of this kind."""
        message = worker.receive(self.seconds)
        assert isinstance(message, kind), f"{message!r} came where {kind.__name__} was due"
        return message

    def printed(self, worker: Worker, last: str) -> str:
        """Read what a worker prints up to `last`, waiting at its `output`."""
        text = worker.read_output()
        while last not in text:
            more = worker.output >= 0 and readable(worker.output, self.seconds)
            assert more, f"`output` is not readable; so far it printed {text!r}"
            text += worker.read_output()
        return text

    def close(self) -> None:
        """End every worker that is left, and let go of it."""
        for worker in self.workers:
            worker.kill()
            worker.close()
        self.workers.clear()


def readable(descriptor: int, seconds: float = 0.0) -> bool:
    """Tell whether a descriptor is readable, or is so within some seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def open_descriptors() -> int:
    """Return how many descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))
