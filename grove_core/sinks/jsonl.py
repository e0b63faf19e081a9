"""The sink `jsonl`: events and samples as lines of a file, which `grove events` reads."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from grove_core.base.events import Event
from grove_core.base.samples import Sample
from grove_core.sinks.recorded import line_of

PATH: Final = "grove-events.jsonl"
LEAST_BYTES: Final = 1024
"""The smallest size at which a file is rotated."""


class JsonLines:
    """Appends one JSON object a line to a file; whatever is told of is in the file a moment later.

    Every line is handed to the system as it comes: an engine that is killed loses none that was written. A file has
    one engine that writes it, which holds a lock on it. What is no file on a disk, such as /dev/stderr or a named pipe,
    is neither locked nor rotated.

    Args:
        path: the file; its folder must be there.
        max_bytes: a file that would grow larger is renamed first: `path` to `path.1`, that to `path.2`, and so on;
            0 to let it grow.
        keep: how many renamed files are kept besides.

    Raises:
        ValueError: an option is out of its range, or another engine writes the file.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str = PATH, max_bytes: int = 64 << 20, keep: int = 8) -> None:
        if not isinstance(max_bytes, int) or (max_bytes != 0 and max_bytes < LEAST_BYTES):
            raise ValueError(f"max_bytes must be 0 or at least {LEAST_BYTES}, not {max_bytes!r}")
        if not isinstance(keep, int) or not 1 <= keep <= 10_000:
            raise ValueError(f"keep must be from 1 to 10000, not {keep!r}")
        self._path = Path(path)
        self._keep = keep
        self._descriptor, self._size = self._opened()
        self._most = max_bytes if self._path.is_file() else 0

    def event(self, event: Event) -> None:
        """Write an event."""
        self._write(line_of(event))

    def sample(self, sample: Sample) -> None:
        """Write a sample."""
        self._write(line_of(sample))

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write(self, line: bytes) -> None:
        if self._most and self._size and self._size + len(line) > self._most:
            self._rotate()
        left = memoryview(line)
        while left:
            written = os.write(self._descriptor, left)
            self._size += written
            left = left[written:]

    def _rotate(self) -> None:
        """Rename the file and those before it, and begin a new one; the oldest is overwritten by the one after it."""
        self.close()
        for number in range(self._keep - 1, 0, -1):
            older = rotated(self._path, number)
            if older.exists():
                older.replace(rotated(self._path, number + 1))
        self._path.replace(rotated(self._path, 1))
        self._descriptor, self._size = self._opened()

    def _opened(self) -> tuple[int, int]:
        """Open the file, locked; return its descriptor and size."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            return descriptor, _claimed(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise ValueError(f"{self._path} is written by another engine; give this one a path of its own") from None
        except BaseException:
            os.close(descriptor)
            raise


def _claimed(descriptor: int) -> int:
    """Lock a file, and end its last line if it has no end; return its size."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return 0
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":  # who wrote it was killed, or had no room
        size += os.write(descriptor, b"\n")
    return size


def rotated(path: Path, number: int) -> Path:
    """Return where a file is that was renamed so often."""
    return path.with_name(f"{path.name}.{number}")
