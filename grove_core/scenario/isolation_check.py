"""Whether a worker maps nothing but its own version's columns, as the kernel tells it in /proc/PID/maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Area:
    """One line of /proc/PID/maps."""

    start: int
    stop: int
    permissions: str
    """Such as `rw-s`."""
    offset: int
    inode: int
    name: str

    @classmethod
    def parse(cls, line: str) -> Area:
        """Read a line such as `7f2a1000-7f2a3000 rw-s 00001000 00:01 2053  /memfd:gamelogic (deleted)`."""
        addresses, permissions, offset, _, inode, *name = line.split(maxsplit=5)
        start, _, stop = addresses.partition("-")
        return cls(int(start, 16), int(stop, 16), permissions, int(offset, 16), int(inode), "".join(name).strip())

    @property
    def writable(self) -> bool:
        """Whether the process may write it, or could allow itself to: what is private is its own copy."""
        return "w" in self.permissions

    @property
    def matters(self) -> bool:
        """Whether other processes can have it: a memory file, an unlinked one too, or what is shared and writable."""
        shared = "s" in self.permissions
        return self.name.startswith("/memfd:") or (shared and (self.writable or self.name.endswith(" (deleted)")))


@dataclass(frozen=True)
class OwnSlot:
    """A column that the version may map."""

    column: str
    length: int
    """Bytes of address space."""
    writable: bool


@dataclass(frozen=True)
class OwnTable:
    """What the worker of a version may map."""

    inode: int
    slots: Mapping[int, OwnSlot]
    """By their offset in the file."""


@dataclass(frozen=True)
class Finding:
    """What a worker maps."""

    areas: int
    """How many areas it shares, or could share, with others."""
    foreign: tuple[str, ...]
    """Why some of them are not its own, a sentence each; or that it could not be looked at."""


def read_areas(pid: int) -> list[Area]:
    """Return what a process maps.

    Raises:
        OSError: it is gone, or may not be looked at.
    """
    return [Area.parse(line) for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()]


def inspect(pid: int, own: OwnTable) -> Finding:
    """Look at one worker. A worker that is gone cannot be vouched for: that counts as a foreign area."""
    try:
        areas = read_areas(pid)
    except OSError as error:
        return Finding(1, (f"worker {pid} cannot be looked at: {error.strerror}",))
    if not areas:
        return Finding(1, (f"worker {pid} has ended and maps nothing",))
    return judge(areas, own)


def judge(areas: Iterable[Area], own: OwnTable) -> Finding:
    """Hold areas against what a version may map: its own columns, and constant ones for reading only."""
    shared = [area for area in areas if area.matters]
    foreign = [reason for area in shared if (reason := _complaint(area, own)) is not None]
    return Finding(len(shared), tuple(foreign))


def _complaint(area: Area, own: OwnTable) -> str | None:
    if area.inode != own.inode:
        return f"{area.name or 'shared memory'} (inode {area.inode}) is not its own table"
    position, end = area.offset, area.offset + area.stop - area.start
    while position < end:  # neighbours that the kernel merged are one area
        start, slot = _slot_at(position, own)
        if slot is None:
            return f"offset {position} of its table is none of its columns"
        if area.writable and not slot.writable:
            return f"its column {slot.column} can be written, and is read only"
        position = start + slot.length
    return None


def _slot_at(position: int, own: OwnTable) -> tuple[int, OwnSlot | None]:
    for start, slot in own.slots.items():
        if start <= position < start + slot.length:
            return start, slot
    return position, None
