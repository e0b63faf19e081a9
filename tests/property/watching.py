"""What the machine sees of an engine, and what it does to its processes."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from grove_core import DebugEngine

from .ledger import COLUMNS, LEDGER
from .model import Module


def of(version: int) -> Version:
    """Return the version with a major number."""
    return Version(f"{version}.0.0")


def kill(engine: DebugEngine, version: int) -> None:
    """SIGKILL the worker of a version, and return once it is gone."""
    pid = engine.workers(LEDGER)[of(version)]
    pidfd = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10_000), "a SIGKILL was not obeyed within 10 s"
    finally:
        os.close(pidfd)


def values_of(engine: DebugEngine, version: int) -> dict[int, dict[str, int]]:
    """Return every entity as a version shows it: id -> column -> value."""
    shown = engine.entities(LEDGER, version=str(of(version)))
    assert set(shown) == {"id", *COLUMNS[version]}
    columns = {name: array.tolist() for name, array in shown.items()}
    ids = columns.pop("id")
    assert len(ids) == len(set(ids)), "an entity stands in two versions"
    return {each: {name: columns[name][row] for name in columns} for row, each in enumerate(ids)}


def mapped_by(pid: int, slots: Mapping[int, object]) -> dict[tuple[int, int], bool]:
    """Return the table columns that a process maps: (inode, offset) -> whether it may write them.

    The kernel shows neighbours as one area where they lie side by side in both the file and the process; `slots` has
    the offsets at which columns begin.
    """
    mapped: dict[tuple[int, int], bool] = {}
    for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and "grove:" in fields[5]:
            low, high = (int(address, 16) for address in fields[0].split("-"))
            start = int(fields[2], 16)
            for offset in (start, *(each for each in slots if start < each < start + high - low)):
                mapped[int(fields[4]), offset] = "w" in fields[1]
    return mapped


def outcome(engine: DebugEngine, model: Module) -> Any:
    """Return the whole assignment and state, as a value."""
    if not model.loaded:
        return engine.is_version_loaded(LEDGER, ">=0")
    ids = sorted(model.rows)
    return (
        engine.get_traffic_split(LEDGER),
        engine.locate(LEDGER, ids),
        {version: values_of(engine, version) for version in model.loaded},
    )
