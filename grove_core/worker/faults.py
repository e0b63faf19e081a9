"""Faults committed on purpose, around a version's code and never inside it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from grove_core.author.entities import Entities
from grove_core.author.schema import Array, ColumnSpec, Schema
from grove_core.base.ways import unlinked_file
from grove_core.wire.channel import LARGEST, Channel
from grove_core.wire.faults import IN_TICKS, FaultPoint, InjectedKind, Planned
from grove_core.wire.messages import Overflow, Ticked

EXIT_STATUS = 3
NO_MESSAGE = b"\xc1 is no msgpack"
LINE = b"this is an injected flood of output, of which there is far too much for anybody to read...\n"


class InjectedFault(Exception):
    """What an injected raise raises."""


class FaultInjector:
    """Holds faults, and commits each at its point: once, in the tick it is meant for.

    Args:
        channel: the worker's end of the wire.
        planned: those that the engine had planned before the version was loaded.
    """

    def __init__(self, channel: Channel[Any], planned: Iterable[Planned] = ()) -> None:
        self._channel = channel
        self._planned = list(planned)
        self._taken: list[Array] = []
        self._closed = False
        self._deeds: dict[InjectedKind, Callable[[Planned, int, Entities | None], None]] = {
            InjectedKind.RAISE: _raise,
            InjectedKind.LAG: lambda fault, *_: time.sleep(fault.seconds),
            InjectedKind.HANG: _hang,
            InjectedKind.KILL: lambda *_: os.kill(os.getpid(), signal.SIGKILL),
            InjectedKind.EXIT: lambda *_: os._exit(EXIT_STATUS),
            InjectedKind.MEMORY: lambda fault, *_: self._taken.append(np.ones(fault.bytes, np.uint8)),
            InjectedKind.CORRUPTION: lambda fault, _, entities: _overwrite(fault.kind, entities),
            InjectedKind.RANGE: lambda fault, _, entities: _overwrite(fault.kind, entities),
            InjectedKind.WRONG: lambda fault, _, entities: _overwrite(fault.kind, entities),
            InjectedKind.GARBAGE: lambda *_: self._channel.send_raw(NO_MESSAGE),
            InjectedKind.OVERSIZED: self._send_oversized,
            InjectedKind.LATE: lambda _, tick, __: self._channel.send(Ticked(tick - 1, 0.0)),
            InjectedKind.FLOOD: _flood,
            InjectedKind.FORK: _fork,
            InjectedKind.CLOSE: self._close,
        }

    def arm(self, fault: Planned, schema: Schema) -> None:
        """Hold a fault.

        Raises:
            ValueError: the version has no column in which it could be committed.
        """
        if fault.kind in WRITES:
            _column(fault.kind, schema.specs)
        self._planned.append(fault)

    def reach(self, point: FaultPoint, tick: int = 0, entities: Entities | None = None) -> None:
        """Commit the faults that are meant for this point, and for this tick if it is one."""
        if not self._planned:
            return
        due = [fault for fault in self._planned if fault.point is point and (fault.at is None or fault.at == tick)]
        passed = [fault for fault in self._planned if point in IN_TICKS and fault.at is not None and fault.at < tick]
        self._planned = [fault for fault in self._planned if fault not in due and fault not in passed]
        for fault in due:
            self._deeds[fault.kind](fault, tick, entities)

    def _send_oversized(self, *_: object) -> None:
        """Send what is over the limit: memory that is as large as it says, and takes no pages."""
        memory = unlinked_file("oversized")
        try:
            os.ftruncate(memory, LARGEST + 1)
            self._channel.send(Overflow(LARGEST + 1), [memory])
        finally:
            os.close(memory)

    def _close(self, *_: object) -> None:
        """Close the socket and wait for nothing, as long as it takes."""
        self._channel.close()
        while True:
            signal.pause()


def _raise(*_: object) -> None:
    raise InjectedFault("an injected fault")


def _hang(*_: object) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


def _flood(fault: Planned, *_: object) -> None:
    left = fault.bytes
    while left > 0:
        left -= os.write(1, (LINE * 500)[:left])


def _fork(*_: object) -> None:
    if os.fork() == 0:
        with contextlib.suppress(BaseException):
            while True:
                signal.pause()
        os._exit(0)


def _column(kind: InjectedKind, specs: Iterable[ColumnSpec]) -> ColumnSpec:
    """Return the first column in which a fault can be committed.

    Raises:
        ValueError: there is none.
    """
    fits, wanted = WRITES[kind]
    for spec in specs:
        if not spec.constant and fits(spec):
            return spec
    raise ValueError(f"{kind.value} needs {wanted}; this version has none")


def _overwrite(kind: InjectedKind, entities: Entities | None) -> None:
    assert entities is not None
    spec = _column(kind, entities._schema.specs)
    column = entities[spec.name]
    if kind is InjectedKind.CORRUPTION:
        column[...] = np.nan
    elif kind is InjectedKind.RANGE:
        column[...] = _beyond(spec)
    else:
        column[...] = column[::-1].copy()


def _beyond(spec: ColumnSpec) -> int | float | None:
    """Return a value that the column's dtype holds and its rules refuse; None if there is none."""
    for bound, step in ((spec.column.low, -1), (spec.column.high, 1)):
        if bound is None:
            continue
        if spec.dtype.kind == "f":
            return float(np.nextafter(spec.dtype.type(bound), spec.dtype.type(step * np.inf)))
        bounds = np.iinfo(spec.dtype)
        if bounds.min <= int(bound) + step <= bounds.max:
            return int(bound) + step
    return None


WRITES: dict[InjectedKind, tuple[Callable[[ColumnSpec], bool], str]] = {
    InjectedKind.CORRUPTION: (
        lambda spec: spec.dtype.kind == "f" and not spec.column.nan,
        "a writable float column that refuses NaN",
    ),
    InjectedKind.RANGE: (
        lambda spec: spec.dtype.kind != "b" and _beyond(spec) is not None,
        "a writable column with low or high, beyond which its dtype has values",
    ),
    InjectedKind.WRONG: (lambda _: True, "a writable column"),
}
"""The kinds that write into a column: which column fits, in words too."""
