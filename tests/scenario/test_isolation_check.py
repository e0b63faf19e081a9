"""What the kernel says about a process is read rightly, and nothing foreign gets by."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from grove_core.scenario.isolation_check import Area, OwnSlot, OwnTable, inspect, judge, read_areas

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = mmap.PAGESIZE
INODE = 77
OWN = OwnTable(
    INODE,
    {
        0: OwnSlot("id", 2 * PAGE, False),
        2 * PAGE: OwnSlot("x", PAGE, True),
        5 * PAGE: OwnSlot("y", PAGE, True),
    },
)


def area(permissions: str, offset: int, pages: int, *, inode: int = INODE, name: str = "/memfd:t (deleted)") -> Area:
    return Area(0x1000, 0x1000 + pages * PAGE, permissions, offset * PAGE, inode, name)


def test_a_line_is_read() -> None:
    line = "7f2a1000-7f2a3000 rw-s 00001000 00:01 2053                       /memfd:grove table (deleted)"
    parsed = Area.parse(line)
    assert parsed == Area(0x7F2A1000, 0x7F2A3000, "rw-s", 0x1000, 2053, "/memfd:grove table (deleted)")
    assert parsed.matters
    assert not Area.parse("7f2a1000-7f2a3000 rw-p 00000000 00:00 0").matters


@pytest.mark.parametrize(
    "areas",
    [
        [area("r--s", 0, 2), area("rw-s", 2, 1), area("rw-s", 5, 1)],
        [area("r--s", 0, 3)],
        [area("r--s", 1, 1)],
        [area("r--s", 0, 4, inode=5, name="/usr/lib/gconv/gconv-modules.cache")],
        [],
    ],
    ids=["each column", "merged neighbours", "a part of a column", "a shared file for reading", "nothing"],
)
def test_own_columns_pass(areas: list[Area]) -> None:
    finding = judge(areas, OWN)
    assert finding.foreign == ()
    assert finding.areas == sum(each.matters for each in areas)


@pytest.mark.parametrize(
    ("mapped", "said"),
    [
        (area("r--s", 2, 1, inode=78), "not its own table"),
        (area("rw-p", 2, 1, inode=78), "not its own table"),
        (area("rw-s", 0, 1, inode=3, name="/dev/shm/other"), "not its own table"),
        (area("rw-s", 0, 0, inode=0, name=""), "not its own table"),
        (area("r--s", 2, 1, inode=78, name="/dev/shm/grove:t.x1 (deleted)"), "not its own table"),
        (area("rw-s", 3, 1), "none of its columns"),
        (area("rw-s", 2, 2), "none of its columns"),
        (area("rw-s", 0, 2), "column id can be written"),
        (area("rw-s", 0, 3), "column id can be written"),
    ],
)
def test_what_is_foreign_is_told(mapped: Area, said: str) -> None:
    (reason,) = judge([mapped], OWN).foreign
    assert said in reason


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A process that maps two pages of a memory file of its own, the second one for reading only."""
    program = (
        "import mmap, os, sys\n"
        "fd = os.memfd_create('table')\n"
        f"os.ftruncate(fd, {2 * PAGE})\n"
        f"a = mmap.mmap(fd, {PAGE})\n"
        f"b = mmap.mmap(fd, {PAGE}, prot=mmap.PROT_READ, offset={PAGE})\n"
        "print(os.fstat(fd).st_ino, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started


def test_a_real_process_is_looked_at(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    inode = int(process.stdout.readline())
    whole = {0: OwnSlot("x", PAGE, True), PAGE: OwnSlot("id", PAGE, False)}
    finding = inspect(process.pid, OwnTable(inode, whole))
    assert finding.areas == 2
    assert finding.foreign == ()
    assert len(inspect(process.pid, OwnTable(inode + 1, whole)).foreign) == 2
    assert len(inspect(process.pid, OwnTable(inode, {0: OwnSlot("x", PAGE, False)})).foreign) == 2


def test_a_process_that_is_gone_cannot_be_vouched_for(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert inspect(process.pid, OWN).foreign, "a zombie"
    process.wait()
    assert inspect(process.pid, OWN).foreign
    with pytest.raises(OSError, match=str(process.pid)):
        read_areas(process.pid)
