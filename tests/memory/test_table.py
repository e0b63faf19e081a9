"""Columns in a memory file: what a table holds, what it refuses, and that pages really come back."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import OutOfMemory
from grove_core.memory.arena import PAGE
from grove_core.memory.table import Table

COLUMNS: dict[str, np.dtype[Any]] = {"id": np.dtype("<i8"), "x": np.dtype("<f4"), "flag": np.dtype("?")}
MAX_ROWS = 100_000

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@pytest.fixture
def table() -> Iterator[Table]:
    made = Table.make("table", COLUMNS, MAX_ROWS)
    yield made
    made.arena.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def fill(table: Table, rows: int) -> None:
    """Append rows that can be told apart, in every column."""
    start, stop = table.append(rows)
    numbers = np.arange(start, stop)
    table.rows("id", start, stop)[...] = numbers + 1
    table.rows("x", start, stop)[...] = numbers / 2
    table.rows("flag", start, stop)[...] = numbers % 3 == 0
    table.count = stop


def held(table: Table, rows: int) -> list[tuple[float, ...]]:
    """The first rows, each as a tuple of all its columns."""
    return list(zip(*(table.rows(name, 0, rows).tolist() for name in table.slots), strict=True))


def test_slots_are_page_aligned_and_lie_apart(table: Table) -> None:
    end = 0
    for name, dtype in COLUMNS.items():
        slot = table.slots[name]
        assert slot.dtype == dtype
        assert slot.offset % PAGE == slot.length % PAGE == 0
        assert slot.offset >= end
        assert slot.length >= MAX_ROWS * dtype.itemsize
        end = slot.offset + slot.length
    assert os.fstat(table.arena.descriptor).st_size >= end
    assert table.arena.inode == os.fstat(table.arena.descriptor).st_ino
    assert "x" in table
    assert "y" not in table


def test_a_new_table_holds_no_pages_however_much_it_reserves() -> None:
    table = Table.make("large", COLUMNS, 1 << 24)
    try:
        assert (table.count, table.arena.capacity, table.arena.bytes) == (0, 0, 0)
        table.reserve(10)
        assert 0 < table.arena.bytes <= 64 * PAGE
    finally:
        table.arena.close()


def test_reserved_rows_have_pages_before_they_are_written(table: Table) -> None:
    table.reserve(50_000)
    before = table.arena.bytes
    assert before >= 50_000 * sum(dtype.itemsize for dtype in COLUMNS.values())
    for name in COLUMNS:
        table.rows(name, 0, table.arena.capacity)[...] = 1
    assert table.arena.bytes == before


def test_reserve_never_shrinks_and_keeps_what_is_there(table: Table) -> None:
    fill(table, 100)
    before = held(table, 100)
    table.reserve(40_000)
    capacity = table.arena.capacity
    assert capacity >= 40_000
    table.reserve(1)
    assert table.arena.capacity == capacity
    assert held(table, 100) == before


def test_a_view_stays_good_when_the_table_grows(table: Table) -> None:
    fill(table, 10)
    view = table["x"]
    fill(table, 60_000)
    view[3] = 42
    assert table["x"][3] == 42
    assert len(table["x"]) == 60_010


def test_appended_rows_are_not_alive_until_count_says_so(table: Table) -> None:
    fill(table, 5)
    assert table.append(7) == (5, 12)
    assert table.append(7) == (5, 12)
    assert (table.count, len(table["id"])) == (5, 5)


def test_what_is_over_max_rows_is_refused_and_changes_nothing(table: Table) -> None:
    fill(table, 10)
    before = held(table, 10), table.count, table.arena.capacity, table.arena.bytes
    for refused in (lambda: table.reserve(MAX_ROWS + 1), lambda: table.append(MAX_ROWS - 9)):
        with pytest.raises(OutOfMemory, match=r"raise max_entities"):
            refused()
    assert (held(table, 10), table.count, table.arena.capacity, table.arena.bytes) == before
    table.reserve(MAX_ROWS)
    assert table.arena.capacity == MAX_ROWS


def test_no_address_space_is_out_of_memory_and_leaves_no_descriptor() -> None:
    before = open_descriptors()
    table = Table.make("huge", {"x": np.dtype("<f8")}, 1 << 58)
    with pytest.raises(OutOfMemory, match=r"cannot map .* \(max_entities\)"):
        table.reserve(1)
    assert (table.count, table.arena.capacity) == (0, 0)
    table.arena.close()
    assert open_descriptors() == before


def test_a_table_without_rows_takes_no_file() -> None:
    before = open_descriptors()
    table = Table.make("idle", {"x": np.dtype("<f8")}, 1000)
    table.add({"y": np.dtype("?")})
    assert table["x"].tolist() == table["y"].tolist() == []
    assert table["y"].dtype == np.bool_
    assert open_descriptors() == before
    assert table.arena.bytes == 0
    assert table.arena.close() == 0
    assert table.arena.descriptor < 0, "what is closed is not opened again"


def test_the_file_cannot_be_shrunk(table: Table) -> None:
    size = os.fstat(table.arena.descriptor).st_size
    with pytest.raises(PermissionError):
        os.ftruncate(table.arena.descriptor, size - PAGE)
    with pytest.raises(PermissionError):
        os.ftruncate(table.arena.descriptor, 0)
    assert os.fstat(table.arena.descriptor).st_size == size


def test_what_is_mapped_read_only_cannot_be_made_writable(table: Table) -> None:
    fill(table, 3)
    slot = table.slots["id"]
    descriptor = table.arena.read_only_descriptor()
    try:
        with pytest.raises(PermissionError):
            mmap.mmap(descriptor, slot.length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=slot.offset)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")
        address = libc.mmap(None, slot.length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, slot.offset)
        assert address not in (None, ctypes.c_void_p(-1).value)
        try:
            assert (ctypes.c_int64 * 3).from_address(address)[:] == [1, 2, 3]
            assert libc.mprotect(address, slot.length, mmap.PROT_READ | mmap.PROT_WRITE) == -1
            assert ctypes.get_errno() == errno.EACCES
        finally:
            libc.munmap(address, slot.length)
    finally:
        os.close(descriptor)


def test_slots_can_be_added_to_rows_that_are_there(table: Table) -> None:
    fill(table, 1000)
    before, old, pages = held(table, 1000), dict(table.slots), table.arena.bytes
    table.add({"later": np.dtype("<f8"), "mask": np.dtype("?")})
    assert table.arena.bytes - pages >= table.arena.capacity * 9  # they are there before they are written
    assert {name: table.slots[name] for name in old} == old
    assert not table["later"].any()
    assert not table["mask"].any()
    table["later"][...] = 7
    assert [row[:3] for row in held(table, 1000)] == before
    fill(table, 5000)
    assert table["later"][:1000].tolist() == [7] * 1000
    table.fill_holes([np.array([0])], 6000)
    assert table["later"][0] == 0
    with pytest.raises(PermissionError):
        os.ftruncate(table.arena.descriptor, os.fstat(table.arena.descriptor).st_size - PAGE)


@pytest.mark.parametrize("keep", [False, True], ids=["no view held", "a view held"])
def test_close_returns_every_page(keep: bool) -> None:
    table = Table.make("closed", COLUMNS, MAX_ROWS)
    fill(table, 50_000)
    table.add({"later": np.dtype("<f8")})
    watcher = os.dup(table.arena.descriptor)
    view = table["x"] if keep else None
    try:
        had = os.fstat(watcher).st_blocks * 512
        assert had == table.arena.bytes > 0
        assert table.arena.close() == had
        assert os.fstat(watcher).st_blocks == 0
        assert (table.arena.bytes, table.arena.close()) == (0, 0)
        assert view is None or not view.any()
    finally:
        os.close(watcher)


def test_abandoned_memory_keeps_its_pages() -> None:
    before = open_descriptors()
    table = Table.make("abandoned", COLUMNS, MAX_ROWS)
    fill(table, 100)
    watcher = os.dup(table.arena.descriptor)
    try:
        table.drop_views()
        table.arena.abandon()
        assert os.fstat(watcher).st_blocks > 0
        assert table.arena.close() == 0
        assert os.fstat(watcher).st_blocks > 0
    finally:
        os.close(watcher)
    assert open_descriptors() == before


@dataclass(frozen=True)
class Compaction:
    live: int
    appended: int
    removed: list[int]


@st.composite
def compactions(draw: st.DrawFn) -> Compaction:
    live, appended = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    total = live + appended
    removed = draw(st.lists(st.integers(0, total - 1), unique=True)) if total else []
    return Compaction(live, appended, removed)


@given(compactions())
def test_compaction_keeps_exactly_the_survivors_and_twice_is_once(case: Compaction) -> None:
    table = Table.make("holes", COLUMNS, 200)
    try:
        total = case.live + case.appended
        fill(table, total)
        table.count = case.live
        removed = np.array(case.removed, np.int64)
        rows = held(table, total)
        survivors = sorted(row for number, row in enumerate(rows) if number not in case.removed)

        remaining = table.fill_holes([removed], total)
        assert table.count == case.live
        assert remaining == total - len(removed)
        once = held(table, total)
        assert sorted(once[:remaining]) == survivors
        stayed = [number for number in range(remaining) if number not in case.removed]
        assert [once[number] for number in stayed] == [rows[number] for number in stayed]

        assert table.fill_holes([removed], total) == remaining
        assert held(table, total) == once
    finally:
        table.arena.close()


@given(st.lists(st.one_of(st.integers(1, 30), st.floats(0, 1)), max_size=12))
def test_rows_come_and_go_as_in_a_set(steps: list[int | float]) -> None:
    """An integer appends so many rows; a fraction removes about so much of what is there."""
    table = Table.make("model", COLUMNS, 400)
    model: dict[int, tuple[float, ...]] = {}
    generator, next_id = np.random.default_rng(0), 1
    try:
        for step in steps:
            if isinstance(step, int):
                start, stop = table.append(step)
                ids = np.arange(next_id, next_id + step)
                next_id += step
                table.rows("id", start, stop)[...] = ids
                table.rows("x", start, stop)[...] = ids * 2
                table.rows("flag", start, stop)[...] = ids % 2
                table.count = stop
                model |= {one: (one, one * 2.0, bool(one % 2)) for one in ids.tolist()}
            else:
                removed = np.flatnonzero(generator.random(table.count) < step)
                for one in table["id"][removed].tolist():
                    del model[one]
                table.count = table.fill_holes([removed], table.count)
            assert sorted(held(table, table.count)) == sorted(model.values())
    finally:
        table.arena.close()
