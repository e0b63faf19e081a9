"""Columns as the worker maps them: its own version's, and no others; constant ones for reading only."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence

import numpy as np

from grove_core.author.schema import Columns
from grove_core.memory.table import MAP_NORESERVE
from grove_core.wire.messages import Slot

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_FAILED = ctypes.c_void_p(-1).value


def map_columns(slots: Sequence[Slot], writable: int, read_only: int) -> Columns:
    """Map each slot for as long as the process lives.

    Python's own mmap would keep a descriptor of the table open for each mapping, and with it a way to map
    what is not this worker's to write.

    Args:
        slots: where the columns lie.
        writable: the table's descriptor, opened for reading and writing.
        read_only: the same, opened for reading.

    Raises:
        OSError: the system refuses.
    """
    columns: Columns = {}
    for slot in slots:
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if slot.writable else 0)
        flags = mmap.MAP_SHARED | MAP_NORESERVE
        source = writable if slot.writable else read_only
        address = _libc.mmap(None, slot.length, protection, flags, source, slot.offset)
        if address == _FAILED or address is None:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot map column {slot.name}: {os.strerror(code)}")
        _libc.madvise(address, slot.length, mmap.MADV_DONTFORK)
        memory = (ctypes.c_char * slot.length).from_address(address)
        dtype = np.dtype(slot.dtype)
        column = np.frombuffer(memoryview(memory).cast("B"), dtype, slot.length // dtype.itemsize)
        column.flags.writeable = slot.writable
        columns[slot.name] = column
    return columns
