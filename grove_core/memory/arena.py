"""An arena: one memory file, cut into slots of address space, one a column.

A slot is large enough for the largest population, so nothing is ever remapped because of growth; pages come
with `reserve` and go with `close`. A slot that is given up keeps its pages and is used again: fresh pages cost
many times what a copy does. The file is sealed against shrinking where the system can do it: a worker that truncated
it would otherwise kill the engine by SIGBUS.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from grove_core.author.schema import Array
from grove_core.base.errors import OutOfMemory
from grove_core.base.ways import MemoryKind
from grove_core.memory.files import create, pages, punch, reopen_read_only, seal

PAGE = mmap.PAGESIZE
MAP_NORESERVE = 0x4000
"""Linux's flag; Python's mmap module names it only in later versions."""
GROWTH = 1.5
"""An arena that grows gets at least this many times the rows it had, so that spawns are cheap on average."""

NO_FILE, CLOSED = -2, -1

COLUMNS = 32
"""Address space is taken for so many columns of 8 bytes at least: a mapping costs a system call and a descriptor."""


class Slot(msgspec.Struct, frozen=True):
    """Where a column lies in the file: its dtype, byte offset, and length of address space."""

    dtype: np.dtype[Any]
    offset: int
    length: int

    def __hash__(self) -> int:
        return self.offset


class Views(dict[str, Array]):
    """The arrays of slots, by the names of their columns; each is made when it is first asked for."""

    def __init__(self, arena: Arena, slots: Mapping[str, Slot]) -> None:
        super().__init__()
        self._arena = arena
        self._slots = slots

    def __missing__(self, name: str) -> Array:
        array = self[name] = self._arena.array(self._slots[name])
        return array


class Arena:
    """Memory for columns of up to `max_rows` rows each.

    Its file is made when it is first needed: laying columns out is arithmetic, and many arenas never get a row.

    Args:
        name: what /proc shows for it.
        max_rows: the largest population.
        kind: what kind of file it is.
    """

    def __init__(self, name: str, max_rows: int, kind: MemoryKind = MemoryKind.MEMFD) -> None:
        self.name = name
        self.max_rows = max_rows
        self.kind = kind
        self.capacity = 0
        """So many rows of every slot in use have pages."""
        self._file = NO_FILE
        self._mappings: list[tuple[int, mmap.mmap]] = []
        """Where each begins, and it."""
        self._size = self._used = self._mapped = 0
        """Bytes of address space: laid out in all, given to slots, and mapped already."""
        self._arrays: dict[Slot, Array | None] = {}
        """The slots in use, and the arrays of those that were asked for."""
        self._backed: dict[int, int] = {}
        """Byte offset of a slot -> bytes of it that have pages."""
        self._free: list[Slot] = []

    def allocate(self, dtypes: Sequence[np.dtype[Any]]) -> list[Slot]:
        """Return a slot for each dtype. What lies in it is undefined.

        Raises:
            OutOfMemory: no pages; nothing was allocated.
        """
        lengths = [self._length(dtype.itemsize) for dtype in dtypes]
        free, slots = list(self._free), []
        if sum(lengths) > self._size - self._used:
            self._used = self._size  # a slot lies in one mapping
            self._size += max(sum(lengths), COLUMNS * self._length(8))
        for dtype, length in zip(dtypes, lengths, strict=True):
            fitting = next((slot for slot in free if slot.length == length), None)
            if fitting is None:
                slots.append(Slot(dtype, self._used, length))
                self._used += length
            else:
                free.remove(fitting)
                slots.append(Slot(dtype, fitting.offset, length))
        self._free = [*free, *slots]  # until all of them have their pages
        for slot in slots:
            self._back(slot, self.capacity)
        self._free = free
        self._arrays.update(dict.fromkeys(slots))
        return slots

    def free(self, slots: Iterable[Slot]) -> None:
        """Give slots up; their pages stay for whoever is given them next."""
        for slot in slots:
            if slot in self._arrays:
                del self._arrays[slot]
                self._free.append(slot)

    def array(self, slot: Slot) -> Array:
        """Return all `max_rows` rows of a slot; what lies beyond the capacity has no pages yet."""
        array = self._arrays[slot]
        if array is None:
            array = self._arrays[slot] = self._view(slot)
        return array

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows in all; their pages exist afterwards, so that writing cannot fail.

        Raises:
            OutOfMemory: more than `max_rows`, or no file, address space or pages are left.
        """
        if rows <= self.capacity:
            return
        if rows > self.max_rows:
            raise OutOfMemory(
                f"{self.name} would have {rows} rows, and {self.max_rows} are reserved; raise max_entities"
            )
        self._map()
        per_page = PAGE // min((slot.dtype.itemsize for slot in self._arrays), default=PAGE)
        wanted = min(self.max_rows, max(rows, int(self.capacity * GROWTH), per_page))
        for slot in self._arrays:
            self._back(slot, wanted)
        self.capacity = wanted

    @property
    def descriptor(self) -> int:
        """The file's descriptor, long enough for every slot; below 0 once it is closed.

        Raises:
            OutOfMemory: the system gives no file or address space.
        """
        if self._file != CLOSED:
            self._map()
        return self._file

    def read_only_descriptor(self) -> int:
        """Open the file once more, for reading only: what is mapped by it can never be made writable.

        Raises:
            OutOfMemory: the system gives no descriptor.
        """
        descriptor = self.descriptor
        try:
            return reopen_read_only(descriptor)
        except OSError as error:
            raise OutOfMemory(f"{self.name} cannot be opened once more: {error.strerror}") from error

    @property
    def inode(self) -> int:
        """The file's inode, as /proc/PID/maps shows it."""
        return os.fstat(self.descriptor).st_ino

    @property
    def bytes(self) -> int:
        """The pages it holds, in bytes, as the system counts them; 0 where it has no file, or is closed."""
        return 0 if self._file < 0 else pages(self._file)

    def close(self) -> int:
        """Give back every page and return how many bytes that were, measured before and after.

        Pages go first, so that they come back even where somebody still holds a view; such a view reads zeros.
        """
        before = self.bytes
        if self._file >= 0:
            punch(self._file, 0, self._mapped)
        returned = before - self.bytes
        self.abandon()
        return returned

    def abandon(self) -> None:
        """Let go of the file without touching its pages, which a process that would not die may still write."""
        self._arrays.clear()
        self._free.clear()
        for _, mapping in self._mappings:
            try:
                mapping.close()
            except BufferError:
                continue  # a view is still held somewhere; the mapping goes with it
        self._mappings.clear()
        descriptor, self._file = self._file, CLOSED  # first: whoever is interrupted here must not close it twice
        if descriptor >= 0:
            os.close(descriptor)

    def _length(self, itemsize: int) -> int:
        return -(-self.max_rows * itemsize // PAGE) * PAGE

    def _map(self) -> None:
        """Make the file, if there is none, and map what was laid out and is not mapped yet."""
        length = self._size - self._mapped
        if self._file != NO_FILE and not length:
            return
        try:
            if self._file == NO_FILE:
                self._file = create(self.kind, self.name)
                seal(self._file, self.kind)
            if not length:
                return
            os.ftruncate(self._file, self._size)
            mapping = mmap.mmap(self._file, length, mmap.MAP_SHARED | MAP_NORESERVE, offset=self._mapped)
        except (OSError, ValueError, OverflowError) as error:
            raise OutOfMemory(
                f"cannot map {length} bytes for {self.name}, room for {self.max_rows} rows (max_entities): {error}"
            ) from error
        mapping.madvise(mmap.MADV_DONTFORK)
        self._mappings.append((self._mapped, mapping))
        self._mapped = self._size

    def _view(self, slot: Slot) -> Array:
        self._map()
        start, mapping = next(one for one in reversed(self._mappings) if one[0] <= slot.offset)
        return np.frombuffer(mapping, slot.dtype, self.max_rows, slot.offset - start)

    def _back(self, slot: Slot, rows: int) -> None:
        """Have pages behind the first `rows` rows of a slot."""
        have, wanted = self._backed.get(slot.offset, 0), rows * slot.dtype.itemsize
        if wanted <= have:
            return
        self._map()
        try:
            os.posix_fallocate(self._file, slot.offset + have, wanted - have)
        except OSError as error:
            raise OutOfMemory(f"no pages for {rows} rows of {self.name}: {error.strerror}") from error
        self._backed[slot.offset] = wanted
