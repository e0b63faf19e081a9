"""The ways of Linux that have a plainer one with the same behaviour, for systems that refuse the first."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  nothing is looked up there by its name
NAME_LENGTH = 200
"""The longest name that a file is given; memfd takes 249 bytes, file systems 255 with a random part."""


class Way(StrEnum):
    """A choice that is made by its name."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"{value!r} is not among: {', '.join(cls)}")


class MemoryKind(Way):
    """What columns lie in."""

    MEMFD = "memfd"
    """A memory file that was never in a folder, sealed against shrinking."""
    FILE = "file"
    """An unlinked temporary file, in a memory file system if there is one. It cannot be sealed."""


class WireKind(Way):
    """What messages go through."""

    SEQPACKET = "seqpacket"
    """Packets; what is over the size of one goes as a sealed memfd."""
    STREAM = "stream"
    """Bytes, in frames with their length; what is over the size of one goes as an unlinked file."""


def unlinked_file(name: str) -> int:
    """Return the descriptor of a new, empty file that stands in no folder any more and was opened by nobody else.

    Its pages are memory where `/dev/shm` is a memory file system, else they are the cache of a disk. A process
    that is killed in the middle leaves an empty file.

    Args:
        name: what /proc shows for it, with a random part behind it.

    Raises:
        OSError: no folder for temporary files takes it.
    """
    path = memory_folder() / f"{named(name)}.{os.urandom(8).hex()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        path.unlink()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def memory_folder() -> Path:
    """Return where files are memory, else where temporary files go."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        mounts = []
    there = any(line.split()[1:3] == [str(SHARED_MEMORY), "tmpfs"] for line in mounts)
    if there and os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        return SHARED_MEMORY
    import tempfile  # takes longer than everything else that a worker imports, numpy left out

    return Path(tempfile.gettempdir())


def named(name: str) -> str:
    """Return a name that every file can bear."""
    return name.replace("/", "_")[:NAME_LENGTH]
