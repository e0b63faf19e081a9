"""Memory files of both kinds: what is given back is given back, and what may not be written cannot be."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grove_core.base.ways import MemoryKind
from grove_core.memory.files import create, pages, punch, reopen_read_only, seal

PAGE = mmap.PAGESIZE
SIZE = 16 * PAGE


@pytest.fixture(params=MemoryKind)
def kind(request: pytest.FixtureRequest) -> MemoryKind:
    return MemoryKind(request.param)


@pytest.fixture
def file(kind: MemoryKind) -> Iterator[int]:
    """A file with pages behind all of it."""
    descriptor = create(kind, "grove:test")
    os.ftruncate(descriptor, SIZE)
    seal(descriptor, kind)
    os.posix_fallocate(descriptor, 0, SIZE)
    yield descriptor
    os.close(descriptor)


def test_a_new_file_is_empty_and_bears_its_name(kind: MemoryKind) -> None:
    descriptor = create(kind, "grove:test@1.0+local/x")
    try:
        assert (os.fstat(descriptor).st_size, os.fstat(descriptor).st_nlink, pages(descriptor)) == (0, 0, 0)
        assert "grove:test@1.0+local_x" in str(Path(f"/proc/self/fd/{descriptor}").readlink())
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_pages_are_counted(file: int) -> None:
    assert pages(file) == SIZE


def test_what_is_punched_comes_back_and_reads_zeros(file: int) -> None:
    with mmap.mmap(file, SIZE) as mapped:
        mapped[:] = b"x" * SIZE
        punch(file, PAGE, 3 * PAGE)
        assert pages(file) == SIZE - 3 * PAGE
        assert mapped[:] == b"x" * PAGE + bytes(3 * PAGE) + b"x" * (SIZE - 4 * PAGE)
        assert os.fstat(file).st_size == SIZE
        mapped[PAGE] = 1  # a page that was given back can be had again; the system may bring its neighbours along
        assert SIZE - 3 * PAGE < pages(file) <= SIZE


def test_pages_that_are_covered_in_part_stay(file: int) -> None:
    with mmap.mmap(file, SIZE) as mapped:
        mapped[:] = b"x" * SIZE
        punch(file, PAGE + 10, PAGE)
        assert pages(file) == SIZE
        assert mapped[PAGE + 10 : 2 * PAGE + 10] == bytes(PAGE)
        assert mapped[: PAGE + 10] == b"x" * (PAGE + 10)


def test_nothing_is_punched_where_there_is_nothing(file: int) -> None:
    punch(file, 0, 0)
    punch(file, 0, -PAGE)
    assert pages(file) == SIZE


def test_what_cannot_be_punched_is_told(file: int) -> None:
    read_only = reopen_read_only(file)
    try:
        with pytest.raises(OSError, match="cannot give back"):
            punch(read_only, 0, PAGE)
    finally:
        os.close(read_only)
    assert pages(file) == SIZE


def test_what_was_reopened_for_reading_cannot_be_written(file: int) -> None:
    read_only = reopen_read_only(file)
    try:
        assert os.fstat(read_only).st_ino == os.fstat(file).st_ino
        with pytest.raises(PermissionError):
            mmap.mmap(read_only, SIZE)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(read_only, b"!", 0)
        with mmap.mmap(read_only, SIZE, prot=mmap.PROT_READ) as mapped:
            os.pwrite(file, b"seen", 0)
            assert mapped[:4] == b"seen"
    finally:
        os.close(read_only)


def test_a_memfd_that_is_sealed_cannot_be_shrunk_and_an_unlinked_file_can(file: int, kind: MemoryKind) -> None:
    os.ftruncate(file, 2 * SIZE)
    if kind is MemoryKind.MEMFD:
        with pytest.raises(PermissionError):
            os.ftruncate(file, SIZE)
    else:
        os.ftruncate(file, SIZE)


def test_another_process_shares_it(file: int) -> None:
    program = (
        "import mmap, sys\n"
        f"with mmap.mmap(int(sys.argv[1]), {SIZE}) as mapped:\n"
        "    assert mapped[:4] == b'ours'\n"
        "    mapped[4:10] = b'theirs'\n"
    )
    with mmap.mmap(file, SIZE) as mapped:
        mapped[:4] = b"ours"
        subprocess.run([sys.executable, "-c", program, str(file)], pass_fds=[file], check=True, timeout=60)
        assert mapped[:10] == b"ourstheirs"
