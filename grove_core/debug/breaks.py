"""Where a debug engine stopped, and what is shown there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID
from grove_core.base.records import Fault, TickReport
from grove_core.base.ticks import FaultRows
from grove_core.debug.tables import aligned

SHOWN = 10
"""So many rows of a fault are printed; its `rows` has all of them."""


@dataclass(frozen=True)
class Break:
    """An engine paused itself, after the tick in which versions faulted. `print` it to read it.

    Its faults have the worker's `traceback`, and in `rows` the columns of the version's entities before the tick and as
    the worker left them.
    """

    tick: int
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return "\n".join(line for fault in self.faults for line in _told(fault))


class RunEnd(StrEnum):
    """Why ticking ended."""

    DONE = "done"
    """Every tick that was asked for was made."""
    MET = "met"
    """The condition came true."""
    AT_MOST = "at_most"
    """It did not, in so many ticks."""
    BREAK = "break"
    """The engine paused itself at a fault."""
    STOPPED = "stopped"
    """Somebody paused it meanwhile, from another thread."""


@dataclass(frozen=True)
class Run:
    """What `step` and `run_until` did. The engine is paused."""

    end: RunEnd
    ticks: int
    report: TickReport
    """Of the last tick."""


def _told(fault: Fault) -> Iterator[str]:
    yield f"Tick {fault.tick}: {fault.module}@{fault.version}, {fault.entities:,} entities: {fault.kind.value}"
    yield f"  {fault.message}"
    if fault.traceback:
        yield from (f"  | {line}" for line in fault.traceback.rstrip().splitlines())
    if fault.rows is None:
        yield "  Nothing was kept of its rows: it had none at hand, its tick stands, or there was no memory for them."
        return
    yield from _compared(fault.rows)


def _compared(rows: FaultRows) -> Iterator[str]:
    """Show the rows that changed, each column as it was and as it became."""
    names = [name for name in rows.before if name != ID]
    changed = {name: _differ(rows.before[name], rows.after[name]) for name in names}
    which = np.flatnonzero(np.logical_or.reduce(list(changed.values()))) if names else np.empty(0, np.int64)
    if not len(which):
        yield f"  No value of its {len(rows.before[ID]):,} rows had changed."
        return
    touched = [name for name in names if changed[name].any()]
    cells = [
        [str(rows.before[ID][row]), *(_change(rows, name, row, differs=changed[name][row]) for name in touched)]
        for row in which[:SHOWN]
    ]
    yield f"  {len(which):,} of its {len(rows.before[ID]):,} rows had changed:"
    yield from (f"  {line}" for line in aligned([ID, *touched], cells))
    if len(which) > SHOWN:
        yield f"  ... and {len(which) - SHOWN:,} more; see faults[...].rows"


def _differ(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values differ, bit for bit: NaN is like itself."""
    bits = np.dtype(f"u{before.dtype.itemsize}")
    return np.asarray(before.view(bits) != after.view(bits))


def _change(rows: FaultRows, name: str, row: int, *, differs: bool) -> str:
    before, after = rows.before[name][row].item(), rows.after[name][row].item()
    return f"{before!r} -> {after!r}" if differs else f"{before!r}"
