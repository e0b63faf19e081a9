"""A table: the columns of one version's entities in one memory file.

Each column has a slot of address space large enough for the largest population, so nothing is ever remapped;
pages come with `reserve` and go with `close`. The file is sealed against shrinking: a worker that truncated
it would otherwise kill the engine by SIGBUS.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import Array
from grove_core.base.errors import OutOfMemory

PAGE = mmap.PAGESIZE
MAP_NORESERVE = 0x4000
"""Linux's flag; Python's mmap module names it only in later versions."""
GROWTH = 1.5
"""A table that grows gets at least this many times the rows it had, so that spawns are cheap on average."""


@dataclass(frozen=True)
class Slot:
    """Where a column lies in the file: byte offset, length of its address space, dtype."""

    name: str
    dtype: np.dtype[Any]
    offset: int
    length: int


class Table:
    """Columns of up to `max_rows` rows; the first `count` rows are alive.

    Args:
        name: what /proc shows for it.
        columns: column name -> dtype.
        max_rows: the largest population.
    """

    def __init__(self, name: str, columns: Mapping[str, np.dtype[Any]], max_rows: int) -> None:
        self.name = name
        self.max_rows = max_rows
        self.count = 0
        self.capacity = 0
        self.layout = 0
        """Changes whenever a row comes, goes or changes its place."""
        self.slots: dict[str, Slot] = {}
        self._arrays: dict[str, Array] = {}
        self._mappings: list[mmap.mmap] = []
        self._size = 0
        self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            self.add(columns)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        except BaseException:
            self.close()
            raise

    def add(self, columns: Mapping[str, np.dtype[Any]]) -> None:
        """Add slots for further columns; rows that are there hold zeros in them.

        Raises:
            OutOfMemory: no address space or pages.
        """
        start, slots = self._size, []
        end = start
        for name, dtype in columns.items():
            length = -(-self.max_rows * dtype.itemsize // PAGE) * PAGE
            slots.append(Slot(name, dtype, end, length))
            end += length
        if end == start:
            return
        try:
            os.ftruncate(self.descriptor, end)
            mapping = mmap.mmap(self.descriptor, end - start, mmap.MAP_SHARED | MAP_NORESERVE, offset=start)
        except (OSError, ValueError) as error:
            raise OutOfMemory(f"cannot map {end - start} bytes for {self.name}: {error}") from error
        mapping.madvise(mmap.MADV_DONTFORK)
        self._mappings.append(mapping)
        self._size = end
        for slot in slots:
            self._back(slot, 0, self.capacity)
            self.slots[slot.name] = slot
            self._arrays[slot.name] = np.frombuffer(mapping, slot.dtype, self.max_rows, slot.offset - start)

    def __contains__(self, name: object) -> bool:
        return name in self.slots

    def __getitem__(self, name: str) -> Array:
        """Return the live rows of a column, a view of shape (count,)."""
        return self._arrays[name][: self.count]

    def rows(self, name: str, start: int, stop: int) -> Array:
        """Return a view of rows that may lie beyond the live ones, within the capacity."""
        return self._arrays[name][start:stop]

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows in all; their pages exist afterwards, so that writing cannot fail.

        Raises:
            OutOfMemory: more than `max_rows`, or no pages are left.
        """
        if rows <= self.capacity:
            return
        if rows > self.max_rows:
            raise OutOfMemory(
                f"{self.name} would have {rows} rows, and {self.max_rows} are reserved; raise max_entities"
            )
        per_page = PAGE // min((s.dtype.itemsize for s in self.slots.values()), default=PAGE)
        wanted = min(self.max_rows, max(rows, int(self.capacity * GROWTH), per_page))
        for slot in self.slots.values():
            self._back(slot, self.capacity, wanted)
        self.capacity = wanted

    def append(self, rows: int) -> tuple[int, int]:
        """Reserve `rows` more and return their range. They are not alive until `count` says so."""
        self.reserve(self.count + rows)
        return self.count, self.count + rows

    def fill_holes(self, removed: NDArray[np.int64], total: int) -> int:
        """Move rows from the end of the first `total` into the holes `removed` leaves; return what remains.

        Nothing is alive or dead by it: the caller sets `count`. Doing it twice changes nothing, since the rows
        that move are not written.

        Args:
            removed: distinct row numbers below `total`, in any order.
            total: the number of rows to compact.
        """
        remaining = total - len(removed)
        holes = removed[removed < remaining]
        if len(holes):
            tail = np.ones(total - remaining, np.bool_)
            tail[removed[removed >= remaining] - remaining] = False
            movers = np.flatnonzero(tail) + remaining
            for array in self._arrays.values():
                array[holes] = array[movers]
        return remaining

    def read_only_descriptor(self) -> int:
        """Open the file once more, for reading only: what is mapped by it can never be made writable."""
        return os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def inode(self) -> int:
        """The file's inode, as /proc/PID/maps shows it."""
        return os.fstat(self.descriptor).st_ino

    @property
    def bytes(self) -> int:
        """The pages it holds, in bytes, as the system counts them; 0 once it is closed."""
        return 0 if self.descriptor < 0 else os.fstat(self.descriptor).st_blocks * 512

    def close(self) -> int:
        """Give back every page and return how many bytes that were, measured before and after.

        Pages go first, so that they come back even where somebody still holds a view; such a view reads zeros.
        """
        if self.descriptor < 0:
            return 0
        before = self.bytes
        for slot in self.slots.values():
            self._free(slot)
        returned = before - self.bytes
        self._arrays.clear()
        self.slots.clear()
        self.abandon()
        return returned

    def abandon(self) -> None:
        """Let go of the file without touching its pages, which a process that would not die may still write."""
        self._arrays.clear()
        self.count = 0
        for mapping in self._mappings:
            try:
                mapping.close()
            except BufferError:
                continue  # a view is still held somewhere; the mapping goes with it
        self._mappings.clear()
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def _back(self, slot: Slot, start: int, stop: int) -> None:
        first, last = start * slot.dtype.itemsize, stop * slot.dtype.itemsize
        if last <= first:
            return
        try:
            os.posix_fallocate(self.descriptor, slot.offset + first, last - first)
        except OSError as error:
            raise OutOfMemory(f"no pages for {stop} rows of {self.name}: {error.strerror}") from error

    def _free(self, slot: Slot) -> None:
        base = 0
        for mapping in self._mappings:
            if base <= slot.offset < base + len(mapping):
                mapping.madvise(mmap.MADV_REMOVE, slot.offset - base, slot.length)
            base += len(mapping)
