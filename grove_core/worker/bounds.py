"""Holding a version to its limits of memory and descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from grove_core.base.limits import Limit, Limits

MEMORY_ROOM = 16 << 20
"""Bytes that the worker itself may have beyond what its version may."""
DESCRIPTOR_ROOM = 16
"""The same for descriptors: those that come with a message, and what it opens to read."""
LIMITS_OF = {errno.ENOMEM: Limit.MEMORY, errno.EMFILE: Limit.DESCRIPTORS}
"""The limits that the system tells by an error's number."""


class Bounds:
    """Holds a version to its limits of memory and descriptors, while its code runs: `with bounds: ...`.

    Outside of that there is some room more, so that a version that took everything can still be answered for.
    It binds a process, so that what a version starts has as much again for itself.

    Args:
        limits: what the version may take, besides what this process has now.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits: set[Limit] = set()
        self._inside: list[tuple[int, tuple[int, int]]] = []
        self._outside: list[tuple[int, tuple[int, int]]] = []
        if limits.memory_bytes is not None:
            self._bind(Limit.MEMORY, resource.RLIMIT_DATA, data_bytes() + limits.memory_bytes, MEMORY_ROOM)
        if limits.descriptors is not None:
            own = own_descriptors()
            most = max(len(own) + limits.descriptors, max(own) + 1)  # what is limited is the number of the next one
            self._bind(Limit.DESCRIPTORS, resource.RLIMIT_NOFILE, most, DESCRIPTOR_ROOM)

    def _bind(self, limit: Limit, what: int, most: int, room: int) -> None:
        _, hard = resource.getrlimit(what)
        ceiling = most + room if hard == resource.RLIM_INFINITY else min(most + room, hard)
        self._limits.add(limit)
        self._inside.append((what, (min(most, ceiling), ceiling)))
        self._outside.append((what, (ceiling, ceiling)))

    def __enter__(self) -> None:
        for what, values in self._inside:
            resource.setrlimit(what, values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for what, values in self._outside:
            resource.setrlimit(what, values)

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Give the worker its room for something that it does in the midst of the version's code."""
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def behind(self, error: BaseException) -> Limit | None:
        """Return the limit that is behind an exception, or behind one that it came of; None if none is."""
        seen: set[int] = set()
        cause: BaseException | None = error
        while cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            if (limit := _told_by(cause)) in self._limits:
                return limit
            cause = cause.__cause__ or cause.__context__
        return None


def _told_by(error: BaseException) -> Limit | None:
    """Return the limit that an exception speaks of, whether it is one of ours or the system's."""
    if isinstance(error, MemoryError):
        return Limit.MEMORY
    if isinstance(error, OSError):
        return LIMITS_OF.get(error.errno or 0)
    if isinstance(error, ImportError):  # of a library that the system did not load, it tells in words alone
        return next((limit for number, limit in LIMITS_OF.items() if os.strerror(number) in str(error.msg)), None)
    return None


def data_bytes() -> int:
    """Return what RLIMIT_DATA counts of this process, in bytes: private memory that may be written."""
    told = Path("/proc/self/status").read_text("ascii", "replace")
    return int(told.partition("VmData:")[2].split()[0]) * 1024


def own_descriptors() -> set[int]:
    """Return the descriptors that this process has open."""
    found = set()
    for descriptor in [int(each.name) for each in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):  # the one that listed the others
            os.fstat(descriptor)
            found.add(descriptor)
    return found
