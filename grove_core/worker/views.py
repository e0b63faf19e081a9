"""Columns as the worker maps them: its own version's, and no others; constant ones for reading only."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence

import numpy as np

from grove_core.author.schema import Columns
from grove_core.memory.arena import MAP_NORESERVE
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
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value


def map_columns(slots: Sequence[Slot], writable: int, read_only: int) -> Columns:
    """Map each slot, until `unmap_columns`.

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
        columns[slot.name] = np.asarray(_Pages(address, slot))
    return columns


class _Pages:
    """A slot's address, as numpy asks for it: without a ctypes array, whose type would have to be made for each."""

    def __init__(self, address: int, slot: Slot) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": slot.dtype,
            "shape": (slot.length // np.dtype(slot.dtype).itemsize,),
            "data": (address, not slot.writable),
        }


def unmap_columns(slots: Sequence[Slot], columns: Columns) -> None:
    """Let go of what `map_columns` returned for these slots.

    A view that the author kept against the rules ends the worker by SIGSEGV when it is used: these rows are
    another version's now.

    Raises:
        OSError: the system refuses.
    """
    for slot in slots:
        if _libc.munmap(columns[slot.name].ctypes.data, slot.length):
            raise OSError(ctypes.get_errno(), f"cannot unmap column {slot.name}")
