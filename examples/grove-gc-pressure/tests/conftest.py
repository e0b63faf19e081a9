"""A machine made of files."""

from __future__ import annotations

from pathlib import Path

import pytest


class Machine:
    """The files in which Linux tells how memory is used, below a folder of a test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def meminfo(self, total: int, available: int) -> None:
        """Write /proc/meminfo, in kB."""
        self.write(
            "proc/meminfo",
            f"MemTotal:       {total} kB\nMemFree:         {available // 2} kB\nMemAvailable:   {available} kB\n"
            "HugePages_Total:       0\n",
        )

    def group(self, name: str, limit: int | None, current: int, inactive_file: int = 0) -> None:
        """Write the files of a control group with a limit, or with none."""
        folder = f"sys/fs/cgroup{name.rstrip('/')}"
        self.write(f"{folder}/memory.max", "max\n" if limit is None else f"{limit}\n")
        self.write(f"{folder}/memory.current", f"{current}\n")
        self.write(f"{folder}/memory.stat", f"anon {current - inactive_file}\ninactive_file {inactive_file}\n")

    def inside(self, name: str) -> None:
        """Write /proc/self/cgroup: this process is in that group."""
        self.write("proc/self/cgroup", f"0::{name}\n")

    def stalled(self, percent: float) -> None:
        """Write /proc/pressure/memory."""
        self.write(
            "proc/pressure/memory",
            f"some avg10={percent:.2f} avg60=0.10 avg300=0.05 total=12345\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n",
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with 1,000 kB of memory, half of it in use."""
    made = Machine(tmp_path / "machine")
    made.meminfo(1000, 500)
    return made
