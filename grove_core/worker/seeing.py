"""The worker's end of the world: asked for while a tick is processed, mapped for reading only, and kept mapped."""

from __future__ import annotations

from typing import Any

import numpy as np

from grove_core.author.schema import Array, Columns
from grove_core.base.errors import Refused
from grove_core.wire.channel import Channel, close_all
from grove_core.wire.messages import AskWorld, Hide, Part, Seen, Show, Slot, ToWorker
from grove_core.worker.bounds import Bounds
from grove_core.worker.views import map_columns, unmap_columns


class Looking:
    """Shows a version the whole module, in the tick that was begun last.

    The engine is asked at the first look in a tick, for all columns that were ever looked at: so one question a tick
    is enough, and none is asked where nobody looks.

    Args:
        channel: the worker's own; while a tick is processed nothing else is to be received.
        bounds: what the version is held to; the descriptors that come with an answer are not its own.
    """

    def __init__(self, channel: Channel[ToWorker], bounds: Bounds) -> None:
        self._channel = channel
        self._bounds = bounds
        self._names: list[str] = []
        self._mapped: dict[tuple[int, int], _Mapping] = {}
        self._rooms: Columns = {}
        self._shown: Show | None = None
        self._rows: slice | None = None

    def begin(self, rows: slice) -> None:
        """Begin a tick over these rows of the version's table."""
        self._shown, self._rows = None, rows

    def end(self) -> None:
        """Let nobody look until the next tick: the rows may change their places."""
        self._shown = self._rows = None

    @property
    def own(self) -> slice:
        """See `Sight`."""
        shown = self._ask() if self._shown is None else self._shown
        assert self._rows is not None
        before = sum(part.rows for part in shown.parts[: shown.own])
        return slice(before + self._rows.start, before + self._rows.stop)

    def column(self, name: str) -> Array:
        """See `Sight`."""
        if name not in self._names:
            self._learn(name)
        shown = self._ask() if self._shown is None else self._shown
        place = self._names.index(name)
        parts = [self._view(part, part.columns[place]) for part in shown.parts]
        return parts[0] if len(parts) == 1 else self._joined(name, parts)

    def _joined(self, name: str, parts: list[Array]) -> Array:
        """Put parts together in memory that is kept from tick to tick: fresh pages cost more than the copy."""
        rows = sum(map(len, parts))
        room = self._rooms.get(name)
        if room is None or len(room) < rows:
            room = self._rooms[name] = np.empty(rows + rows // 8, parts[0].dtype)
        whole = room[:rows]
        np.concatenate(parts, out=whole)
        whole.flags.writeable = False
        return whole

    def _learn(self, name: str) -> None:
        """Ask for one more column, from now on; one that cannot be shown is forgotten."""
        self._names.append(name)
        try:
            self._ask()
        except Refused:
            self._names.remove(name)
            raise

    def _ask(self) -> Show:
        """Ask until everything is mapped.

        Raises:
            Refused: this is no time to look, or it cannot be shown.
        """
        if self._rows is None:
            raise Refused(
                "the world can be looked at in `process` only, and what it showed is valid for that call only"
            )
        while True:
            self._channel.send(AskWorld(tuple(self._names), tuple(self._mapped)))
            with self._bounds.lifted():
                answer, descriptors = self._channel.receive(None)
            try:
                if isinstance(answer, Hide):
                    raise Refused(f"the world cannot be shown: {answer.reason}")
                assert isinstance(answer, Show)
                self._map(answer, dict(zip(answer.opened, descriptors, strict=True)))
            finally:
                close_all(descriptors)
            if all((seen.arena, seen.offset) in self._mapped for seen in _seen(answer)):
                self._shown = answer
                return answer

    def _map(self, shown: Show, descriptors: dict[int, int]) -> None:
        """Map what is new and can be mapped, and let go of arenas that are shown no more."""
        there = {seen.arena for seen in _seen(shown)}
        for arena, offset in [key for key in self._mapped if key[0] not in there]:
            self._mapped.pop((arena, offset)).close()
        for seen in _seen(shown):
            key = seen.arena, seen.offset
            if key not in self._mapped and seen.arena in descriptors:
                self._mapped[key] = _Mapping(seen, descriptors[seen.arena])

    def _view(self, part: Part, seen: Seen) -> Array:
        return self._mapped[seen.arena, seen.offset].view(seen.dtype)[: part.rows]


class _Mapping:
    """One slot of another version's memory, mapped for reading."""

    def __init__(self, seen: Seen, descriptor: int) -> None:
        self._slots = (Slot("", seen.dtype, seen.offset, seen.length, False),)
        self._columns: Columns = map_columns(self._slots, -1, descriptor)

    def view(self, dtype: str) -> Array:
        """Return all of it; what lies there may have another dtype by now."""
        view: np.ndarray[Any, Any] = self._columns[""].view(dtype)
        return view

    def close(self) -> None:
        """Let go of it."""
        unmap_columns(self._slots, self._columns)


def _seen(shown: Show) -> list[Seen]:
    return [seen for part in shown.parts for seen in part.columns]
