"""How much memory an engine takes, measured so that two looks can be compared."""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.isolation.handle import process_memory
from grove_core.scenario.common.holdings import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.holdings import Belongings

METHOD = (
    "Memory: anonymous pages by /proc/PID/smaps_rollup, of the engine's process,",
    "and of zygote, spare and workers together with shared pages once; and the",
    "pages of all tables. Python's garbage is collected before, and the processes",
    "are left until they are the same for 0.1 s. What there was at the start is",
    "left out of Python's collections (guide, Frames).",
)
"""How it is measured, for a text."""


@contextmanager
def without_what_was_there() -> Iterator[None]:
    """Leave what was made until now out of Python's collections, as a program with a budget does.

    One of them took 13 to 32 ms of a frame; and since they come the rarer the more there is, garbage takes less room.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class Footprint:
    """Bytes at one moment; None where the system does not tell."""

    engine: int | None
    """Anonymous pages of this process."""
    workers: int | None
    """Anonymous pages of the zygote, the spare and the workers."""
    tables: int
    """Pages of the columns, which the engine shares with workers."""

    @classmethod
    def take(cls, engine: DebugEngine, belongings: Belongings) -> Footprint:
        """Measure."""
        gc.collect()
        belongings.settle()
        own = process_memory(os.getpid())
        return cls(None if own is None else own.anonymous, engine.workers_bytes(), _tables())

    def growth(self, before: Footprint) -> Growth:
        """Return what there is more than before."""
        return Growth(
            _difference(self.engine, before.engine),
            _difference(self.workers, before.workers),
            self.tables - before.tables,
        )


@dataclass(frozen=True)
class Growth:
    """How many bytes there are more; None where it could not be measured."""

    engine: int | None
    workers: int | None
    tables: int

    @property
    def total(self) -> int | None:
        """All of it, or None."""
        return None if self.engine is None or self.workers is None else self.engine + self.workers + self.tables

    @property
    def megabytes(self) -> float | None:
        """The total in MB."""
        return None if self.total is None else self.total / 1e6

    def line(self) -> str:
        """Say where it grew."""
        parts = {"engine": self.engine, "zygote, spare and workers": self.workers, "tables": self.tables}
        told = (f"{name} {'not measured' if n is None else f'{n / 1e6:+.2f}MB'}" for name, n in parts.items())
        return "Growth: " + ", ".join(told)

    def document(self) -> dict[str, int | None]:
        """Return it for JSON, in bytes."""
        return {"engine": self.engine, "workers": self.workers, "tables": self.tables, "total": self.total}


def _difference(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before


def _tables() -> int:
    """Return the bytes of every file of columns that this process holds."""
    sizes: dict[tuple[int, int], int] = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if TABLES in str(entry.readlink()):
                found = entry.stat()
                sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
        except OSError:  # closed meanwhile
            continue
    return sum(sizes.values())
