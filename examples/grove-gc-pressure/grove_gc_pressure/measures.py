"""How short memory is, between 0 and 1, read from the files in which Linux tells it.

Every function takes `root`, the folder that holds `proc` and `sys`: "/" on a machine, a mount of the host's in a
container, a folder with files of its own in a test.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path


class Measure(StrEnum):
    """What is taken for the pressure."""

    USED = "used"
    """The share of memory in use: of the control group's limit where there is one, else of the machine's."""
    STALLED = "stalled"
    """The share of the last ten seconds in which some task waited for memory (pressure stall information)."""

    @property
    def read(self) -> Callable[[Path], float]:
        """Return the function that reads it."""
        return {Measure.USED: used, Measure.STALLED: stalled}[self]


def used(root: Path) -> float:
    """Return the share of memory in use, as the innermost limit has it.

    Raises:
        OSError, ValueError: the files are missing, or hold something else.
    """
    inside = _group_used(root)
    return _machine_used(root) if inside is None else inside


def stalled(root: Path) -> float:
    """Return `some avg10` of /proc/pressure/memory, as a share.

    Raises:
        OSError, ValueError: the file is missing, or holds something else.
    """
    path = root / "proc/pressure/memory"
    for line in path.read_text("ascii").splitlines():
        kind, *fields = line.split()
        if kind == "some":
            return float(dict(field.split("=") for field in fields)["avg10"]) / 100
    raise ValueError(f"{path} has no line `some`")


def _group_used(root: Path) -> float | None:
    """Return the share of the control group's limit (cgroup v2) in use, or None where no group has one.

    A limit further out holds as well, so the fullest group counts. Page cache that could be dropped at once
    (`inactive_file`) is no use of memory.
    """
    shares = []
    for group in _groups(root):
        limit = _text(group / "memory.max")
        current = _text(group / "memory.current")
        if limit is not None and current is not None and limit != "max":
            working = int(current) - _fields(_text(group / "memory.stat") or "").get("inactive_file", 0)
            shares.append(max(0, working) / max(1, int(limit)))
    return max(shares, default=None)


def _groups(root: Path) -> list[Path]:
    """Return the folders of this process's control group and of those around it, the innermost first."""
    top = root / "sys/fs/cgroup"
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        if line.startswith("0::/"):
            group = top / line.removeprefix("0::/")
            return [group, *(outer for outer in group.parents if outer.is_relative_to(top))]
    return []


def _machine_used(root: Path) -> float:
    """Return the share of the machine's memory that is not available."""
    path = root / "proc/meminfo"
    fields = _fields(path.read_text("ascii").replace(":", ""))
    if not fields.get("MemTotal") or "MemAvailable" not in fields:
        raise ValueError(f"{path} has no MemTotal and MemAvailable")
    return 1 - fields["MemAvailable"] / fields["MemTotal"]


def _fields(text: str) -> dict[str, int]:
    """Return name -> number of lines such as `MemTotal 16303428 kB`."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1}


def _text(path: Path) -> str | None:
    """Return what a file holds; None where there is no such file, as in the outermost group."""
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return None
