"""What a process holds besides memory: processes, descriptors, mappings of tables, folders of packages."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.runtime.copies.claims import folder_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TABLES = "grove:"
"""What the name of every table's file begins with."""
GONE_SECONDS = 2.0
"""How long processes that were killed may take to be gone."""
SAME_SECONDS = 0.1
"""For how long processes must stay the same to count as settled."""


@dataclass(frozen=True)
class Holdings:
    """What this process holds at one moment, and what runs on its behalf."""

    processes: Mapping[int, str] = field(default_factory=dict)
    """Process id -> its name, of all that run."""
    descriptors: Mapping[str, int] = field(default_factory=dict)
    """Kind -> how many are open; files by their name."""
    mappings: Mapping[str, int] = field(default_factory=dict)
    """Name of a table -> how many areas of it are mapped."""
    folders: frozenset[str] = frozenset()
    """Folders of unpacked and copied packages."""

    def beyond(self, other: Holdings) -> list[str]:
        """Say what is here and not in `other`, a sentence each."""
        return [
            *(f"process {pid} ({name})" for pid, name in self.processes.items() if pid not in other.processes),
            *self._things_beyond(other),
            *(f"folder {name}" for name in sorted(self.folders - other.folders)),
        ]

    def more_than(self, other: Holdings) -> list[str]:
        """The same where processes and folders may be others than before, as long as there are no more."""
        here, there = Counter(self.processes.values()), Counter(other.processes.values())
        more = len(self.folders) - len(other.folders)
        return [
            *_more("process", here, there),
            *self._things_beyond(other),
            *[f"{more} folders more"] * (more > 0),
        ]

    def _things_beyond(self, other: Holdings) -> list[str]:
        return [
            *_more("descriptor", self.descriptors, other.descriptors),
            *_more("mapping", self.mappings, other.mappings),
        ]


class Belongings:
    """Finds what runs on behalf of this process, also once its parent has ended.

    An engine starts every process in a session of its own, which a fork stays in. Sessions are noted while their
    leaders live. Those that there are already are somebody else's, and what comes of them is left out: another engine
    of this process may have ordered a spare just now.
    """

    def __init__(self) -> None:
        self._others = _led()
        self._sessions: set[int] = set()

    def note(self) -> None:
        """Note the sessions of the processes that this one started."""
        self._sessions |= _led() - self._others

    def take(self) -> Holdings:
        """Return what is held now."""
        self.note()
        return Holdings(self.processes(), _descriptors(), _mappings(), _folders())

    def processes(self) -> dict[int, str]:
        """Return what runs: process id -> name."""
        return {
            each.pid: each.name
            for each in _running()
            if each.session not in self._others and (each.session in self._sessions or each.parent == os.getpid())
        }

    def left(self, before: Holdings) -> list[str]:
        """Say what is there beyond `before`, once what was killed had its time to end."""
        end = time.monotonic() + GONE_SECONDS
        while (left := self.take().beyond(before)) and time.monotonic() < end:
            time.sleep(0.01)
        return left

    def settle(self) -> None:
        """Wait until the processes are the same for a while: an engine orders its next spare a little later."""
        end = time.monotonic() + GONE_SECONDS
        self.note()
        last, since = self.processes(), time.monotonic()
        while (now := time.monotonic()) < end and now - since < SAME_SECONDS:
            time.sleep(SAME_SECONDS / 10)
            if (there := self.processes()) != last:
                last, since = there, time.monotonic()


@dataclass(frozen=True)
class _Process:
    pid: int
    name: str
    parent: int
    session: int


def _running() -> Iterator[_Process]:
    """Yield every process that has not ended."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text("utf-8", "replace")
        except OSError:  # gone, or not to be looked at
            continue
        start, _, rest = text.rpartition(")")
        state, parent, _, session = rest.split()[:4]
        if state not in "ZX":
            yield _Process(int(entry.name), start.partition("(")[2], int(parent), int(session))


def _led() -> set[int]:
    """Return the sessions that children of this process lead, or live in."""
    own = os.getsid(0)
    return {each.session for each in _running() if each.parent == os.getpid() and each.session != own}


def _descriptors() -> Counter[str]:
    kinds: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            kinds[_kind(entry.readlink())] += 1
        except FileNotFoundError:  # the one that listed the others
            continue
    return kinds


def _kind(opened: Path) -> str:
    """Return what a descriptor is: files by their name, which folders of copies have as one."""
    name = folder_prefix() if opened.name.startswith(folder_prefix()) else str(opened)
    return name.partition(":[")[0]


def _mappings() -> Counter[str]:
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    return Counter(line[line.index(TABLES) :] for line in lines if TABLES in line)


def _folders() -> frozenset[str]:
    return frozenset(each.name for each in Path(tempfile.gettempdir()).glob(f"{folder_prefix()}*"))


def _more(what: str, here: Mapping[str, int], there: Mapping[str, int]) -> Iterator[str]:
    for kind, count in sorted(here.items()):
        if (more := count - there.get(kind, 0)) > 0:
            yield f"{what} {kind} ({more} more)"
