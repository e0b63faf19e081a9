"""Where a version's columns are mapped: in one place, or behind a fence that traps views kept from earlier ticks."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from typing import Protocol

from grove_core.author.schema import Columns
from grove_core.wire.messages import Slot
from grove_core.worker.views import map_columns, unmap_columns

PLACES = 16
"""In so many ticks no column lies where it lay before: a view that is kept for longer may find its place open again."""
PROT_NONE = 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Place(Protocol):
    """Where columns are mapped."""

    def open(self) -> Columns:
        """Return the columns, to be used until `close`."""
        ...

    def close(self) -> None:
        """Let nobody use what `open` returned."""
        ...

    def unmap(self) -> None:
        """Let go of all columns, for good; see `unmap_columns`."""
        ...


class Unfenced:
    """Columns that lie where they lie, and can be reached at any time. What is mapped is told as with `map_columns`."""

    def __init__(self, slots: Sequence[Slot], writable: int, read_only: int) -> None:
        self._slots = slots
        self._columns = map_columns(slots, writable, read_only)

    def open(self) -> Columns:
        """Return the columns."""
        return self._columns

    def close(self) -> None:
        """Leave them open."""

    def unmap(self) -> None:
        """Let go of them."""
        unmap_columns(self._slots, self._columns)


class Fenced:
    """Columns mapped in several places, of which one can be reached during a tick and none between two.

    The next tick uses the next place. So a view from an earlier tick meets a page that nobody may touch, wherever it is
    used, and ends the worker by SIGSEGV.
    """

    def __init__(self, slots: Sequence[Slot], writable: int, read_only: int) -> None:
        self._slots = slots
        self._places = [map_columns(slots, writable, read_only) for _ in range(PLACES)]
        self._place = 0
        for columns in self._places:
            for slot in slots:
                _protect(columns, slot, PROT_NONE)

    def open(self) -> Columns:
        """Open the next place and return its columns; one that was left open is closed."""
        self.close()
        self._place = (self._place + 1) % PLACES
        columns = self._places[self._place]
        for slot in self._slots:
            _protect(columns, slot, mmap.PROT_READ | (mmap.PROT_WRITE if slot.writable else 0))
        return columns

    def close(self) -> None:
        """Close the place that is open."""
        for slot in self._slots:
            _protect(self._places[self._place], slot, PROT_NONE)

    def unmap(self) -> None:
        """Let go of every place."""
        for columns in self._places:
            unmap_columns(self._slots, columns)


def _protect(columns: Columns, slot: Slot, protection: int) -> None:
    """Say how a slot may be reached.

    Raises:
        OSError: the system refuses.
    """
    if _libc.mprotect(columns[slot.name].ctypes.data, slot.length, protection):
        code = ctypes.get_errno()
        raise OSError(code, f"cannot fence column {slot.name}: {os.strerror(code)}")
