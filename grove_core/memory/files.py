"""Memory files: what the columns of a table lie in, and a worker maps by its descriptor."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

from grove_core.base.ways import MemoryKind, named, unlinked_file

_PUNCH_HOLE = 0x02
_KEEP_SIZE = 0x01
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def create(kind: MemoryKind, name: str) -> int:
    """Return the descriptor of a new, empty memory file, which no other process can find by a name.

    Args:
        kind: a memfd, or an unlinked file.
        name: what /proc shows for it.

    Raises:
        OSError: the system refuses.
    """
    if kind == MemoryKind.MEMFD:
        return os.memfd_create(named(name), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    return unlinked_file(name)


def seal(descriptor: int, kind: MemoryKind) -> None:
    """Forbid for ever that the file is shrunk: who maps what was cut off is killed by SIGBUS.

    An unlinked file cannot be sealed. There it rests on the workers, which close their descriptors once they
    have mapped their columns.
    """
    if kind == MemoryKind.MEMFD:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)


def reopen_read_only(descriptor: int) -> int:
    """Open the file once more, for reading only: what is mapped by it can never be made writable."""
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)


def punch(descriptor: int, offset: int, length: int) -> None:
    """Give back the pages of a range; the file keeps its size, and the range reads zeros, also where it is mapped.

    Pages that the range covers only in part stay, and are zeroed there. Where the file system cannot do it,
    nothing happens: the pages come back when the file is closed.

    Raises:
        OSError: the range or the descriptor is wrong.
    """
    if length <= 0:
        return
    if _libc.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, offset, length):
        code = ctypes.get_errno()
        if code not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise OSError(code, f"cannot give back {length} bytes at {offset}: {os.strerror(code)}")


def pages(descriptor: int) -> int:
    """Return the bytes that the file's pages take, as the system counts them."""
    return os.fstat(descriptor).st_blocks * 512
