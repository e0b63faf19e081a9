"""Memory for messages that are too large for a packet: handed over as a descriptor, read once, and copied.

Sealed memory cannot change under its reader. An unlinked file could, so it is copied before it is looked at;
what its writer cut off or changed meanwhile is then no message, and is refused as one.
"""

from __future__ import annotations

import fcntl
import os
import stat

from grove_core.base.errors import ProtocolError
from grove_core.base.ways import unlinked_file

NAME = "grove:message"


def sealed(content: bytes) -> int:
    """Return the descriptor of a memfd that holds `content` and can never change again.

    Raises:
        OSError: the system has no memory for it.
    """
    memory = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        _write(memory, content)
        fcntl.fcntl(
            memory,
            fcntl.F_ADD_SEALS,
            fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
        )
    except BaseException:
        os.close(memory)
        raise
    return memory


def unlinked(content: bytes) -> int:
    """Return the descriptor of an unlinked file that holds `content`.

    Raises:
        OSError: the system has no room for it.
    """
    memory = unlinked_file(NAME)
    try:
        _write(memory, content)
    except BaseException:
        os.close(memory)
        raise
    return memory


def read_sealed(memory: int, size: int) -> bytes:
    """Return what a sealed memfd of `size` bytes holds.

    Raises:
        ProtocolError: it is not sealed, or of another size.
        OSError: it cannot be read, or is no memory at all.
    """
    seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)
    if not (seals & fcntl.F_SEAL_WRITE and seals & fcntl.F_SEAL_SHRINK):
        raise ProtocolError("the memory of a large message is not sealed")
    return read_file(memory, size)


def read_file(memory: int, size: int) -> bytes:
    """Return what a file of `size` bytes holds.

    Raises:
        ProtocolError: it is of another size, or no file.
        OSError: it cannot be read.
    """
    status = os.fstat(memory)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        raise ProtocolError(f"the memory of a large message is no file of {size} bytes")
    return os.pread(memory, size, 0)


def _write(memory: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(memory, view) :]
