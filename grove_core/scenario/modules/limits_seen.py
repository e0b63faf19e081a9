"""What is seen during a run of `limits`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.version import Version

from grove_core.parts.settings import Settings
from grove_core.scenario.common.brought import Bring, Brought
from grove_core.scenario.frame_clock import read_shares

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine

PATIENT = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, idle_deadline_seconds=5.0)
"""No deadline ends a version because the machine is busy."""
MEGABYTE = 1_000_000
NOTHING = "nothing"
"""What a case was seen as where nothing was refused."""
Watcher = Callable[["DebugEngine", str], None]
"""Called before values are compared with the engine, and with what was done."""


class Part(StrEnum):
    """The parts of a run, each with engines of its own."""

    STATE = "state"
    START = "start"
    CORRUPT = "corrupt"
    PRESSURE = "pressure"


class HangKind(StrEnum):
    """How an initialisation never ends."""

    SLEEPS = "sleeps"
    SPINS = "spins"
    FROM_FOLDER = "sleeps, from a folder"
    """It runs from a copy of a package, which must go as well."""


@dataclass(frozen=True)
class Taken:
    """How long something took, in ms."""

    ms: float
    waited_ms: float
    """For how much of it the engine was ready to run and had no processor; 0 where the system does not tell."""

    @property
    def own_ms(self) -> float:
        """What is left without that: what it is judged by, so that a busy machine does not decide."""
        return self.ms - self.waited_ms


@dataclass
class Way:
    """A way for all state out of where it is, and in again."""

    name: str
    out_of: list[Taken] = field(default_factory=list)
    into: list[Taken] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """Something that must be refused, or that fails, and what came of it."""

    part: Part
    name: str
    due: str
    """What it must be seen as."""
    seen_as: str
    wrong: tuple[str, ...]
    """What is not as it must be afterwards, a sentence each."""
    ms: float

    @property
    def as_due(self) -> bool:
        """Whether it was refused for what it is, and nothing is wrong afterwards."""
        return self.seen_as == self.due and not self.wrong


@dataclass(frozen=True)
class Hang:
    """An initialisation that never ends."""

    kind: HangKind
    seen_as: str
    over_ms: float
    """From its deadline to the return of the call."""
    held_mb: float
    """How much memory all processes had at the most meanwhile, beyond what they had before."""
    left: tuple[str, ...]
    """What is there afterwards that was not there before."""
    growth_mb: float | None
    """How much more memory all of it takes than before."""


@dataclass
class LimitsSeen:
    """All of it."""

    megabytes: int
    rounds: int
    parts: tuple[Part, ...]
    hang_kinds: tuple[HangKind, ...] = tuple(HangKind)
    slow_seconds: float = 0.0
    """How long the slow initialisation takes by itself."""
    deadline_seconds: float = 0.0
    """How long it may take."""
    rows: int = 0
    ways: list[Way] = field(default_factory=list)
    """Of the columns."""
    document: Way = field(default_factory=lambda: Way("as a document"))
    slow_ms: float | None = None
    """How long its load took; None if it was not loaded."""
    slow_wrong: list[str] = field(default_factory=list)
    hangs: list[Hang] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    pressure: list[Taken] = field(default_factory=list)
    """Reloads under memory pressure."""
    hog_bytes: int = 0
    """What another process had taken meanwhile, as the system counts it."""
    hoard_bytes: int = 0
    """What each version had taken itself."""
    room_bytes: int = 0
    """What its limit left it beyond that."""
    own_bytes: int = 0
    """What the engine's process may take more than it has, as address space."""
    compared: int = 0
    """How often all values were compared with the reference."""
    differences: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: str | None = None

    def of(self, part: Part) -> Sequence[Case]:
        """Return the cases of a part."""
        return [case for case in self.cases if case.part is part]


def brought() -> Brought:
    """Return a plugin that finds both versions of `archive` and of `ledger`."""
    return Brought(
        [
            Bring(module, Version(f"{major}.0.0"), f"{__package__}.{module}_v{major}:{module.capitalize()}")
            for module in ("archive", "ledger")
            for major in (1, 2)
        ]
    )


@contextmanager
def timed(into: list[Taken]) -> Iterator[None]:
    """Note how long something took; nothing if it raises."""
    before, began = _waited_ms(), time.perf_counter()
    yield
    ms = (time.perf_counter() - began) * 1000
    into.append(Taken(ms, min(ms, _waited_ms() - before)))


def _waited_ms() -> float:
    """Return for how long this process was ready to run and had no processor, since it began."""
    share = read_shares([os.getpid()]).get(os.getpid())
    return 0.0 if share is None else share.waited / 1e6
