"""Generations: what was copied comes back bit for bit, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from grove_core.memory.generations import GENERATIONS, Generations, Snapshot
from grove_core.memory.table import Table

WRITABLE: dict[str, np.dtype[Any]] = {"x": np.dtype("<f4"), "n": np.dtype("<i2")}
COLUMNS: dict[str, np.dtype[Any]] = {"id": np.dtype("<i8"), **WRITABLE, "fixed": np.dtype("<f8")}
MAX_ROWS = 300


@contextmanager
def made(rows: int) -> Iterator[tuple[Table, Generations]]:
    live = Table.make("live", COLUMNS, MAX_ROWS)
    try:
        generations = Generations.make(live.arena, WRITABLE)
        born(live, rows, 1)
        yield live, generations
    finally:
        live.arena.close()


def born(live: Table, rows: int, first: int) -> tuple[int, int]:
    start, stop = live.append(rows)
    live.rows("id", start, stop)[...] = np.arange(first, first + rows)
    scribble(live, start, stop, first)
    live.rows("fixed", start, stop)[...] = first
    live.count = stop
    live.layout += 1
    return start, stop


def scribble(live: Table, start: int, stop: int, seed: int) -> None:
    """Write random bits, NaN with a payload among them, into what a worker may write."""
    generator = np.random.default_rng(seed)
    for name, dtype in WRITABLE.items():
        raw = generator.bytes((stop - start) * dtype.itemsize)
        live.rows(name, start, stop)[...] = np.frombuffer(raw, dtype)


def bits(table: Table | Snapshot, *names: str) -> dict[str, bytes]:
    return {name: table[name].tobytes() for name in names or table.slots}


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    rows = draw(st.integers(0, 120))
    start = draw(st.integers(0, rows))
    return rows, start, draw(st.integers(start, rows))


@given(ranges(), st.integers(0, 9))
def test_restore_brings_back_these_rows_and_no_others(case: tuple[int, int, int], tick: int) -> None:
    rows, start, stop = case
    with made(rows) as (live, generations):
        before = {name: live[name].copy() for name in COLUMNS}
        generations.take(live, tick)
        scribble(live, 0, rows, 99)
        after = {name: live[name].copy() for name in COLUMNS}
        generations.of(tick).restore(live, start, stop)
        for name in COLUMNS:
            expected = after[name].copy()
            expected[start:stop] = before[name][start:stop]
            assert live[name].tobytes() == expected.tobytes()


@given(st.data())
def test_scattered_rows_come_back_and_no_others(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 80))
    chosen = data.draw(st.lists(st.integers(0, rows - 1), unique=True)) if rows else []
    with made(rows) as (live, generations):
        before = {name: live[name].copy() for name in WRITABLE}
        generations.take(live, 4)
        scribble(live, 0, rows, 99)
        after = {name: live[name].copy() for name in WRITABLE}
        generations.of(4).restore_rows(live, np.array(chosen, np.int64))
        for name in WRITABLE:
            expected = after[name].copy()
            expected[chosen] = before[name][chosen]
            assert live[name].tobytes() == expected.tobytes()


@given(st.integers(0, 60), st.integers(0, 60))
def test_rows_that_joined_later_are_restored_too(rows: int, joined: int) -> None:
    with made(rows) as (live, generations):
        generations.take(live, 7)
        start, stop = born(live, joined, 1000)
        before = bits(live)
        generations.of(7).extend(live, start, stop, 7)
        scribble(live, 0, stop, 99)
        snapshot = generations.of(7)
        assert (snapshot.count, snapshot.tick) == (stop, 7)
        assert snapshot["id"].tobytes() == before["id"]
        snapshot.restore(live, 0, stop)
        assert bits(live) == before


@given(st.integers(0, 20), st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_rows_between_those_that_were_there_and_those_that_joined_are_taken_in(
    there: int, between: int, joined: int, taken: bool
) -> None:
    with made(there) as (live, generations):
        if taken:
            generations.take(live, 7)
        born(live, between, 1000)
        start, stop = born(live, joined, 2000)
        before = bits(live)
        snapshot = generations.of(7)
        snapshot.extend(live, start, stop, 7)
        assert snapshot.count == stop
        assert {name: snapshot[name].tobytes() for name in ("id", *WRITABLE)} == {
            name: before[name] for name in ("id", *WRITABLE)
        }


@given(st.lists(st.tuples(st.integers(0, 15), st.lists(st.integers(0, 40), unique=True, max_size=6)), max_size=10))
def test_each_tick_restores_its_own_state_while_rows_come_and_go(steps: list[tuple[int, list[int]]]) -> None:
    """Between ticks rows are born and die, so rows change their places; the ids must follow."""
    with made(10) as (live, generations):
        next_id = 11
        previous: dict[str, bytes] | None = None
        for tick, (births, deaths) in enumerate(steps):
            removed = np.array([row for row in deaths if row < live.count], np.int64)
            if len(removed):
                live.count = live.fill_holes([removed], live.count)
                live.layout += 1
            if births:
                born(live, births, next_id)
                next_id += births
            before = bits(live)
            generations.take(live, tick)
            snapshot = generations.of(tick)
            assert snapshot.tick == tick
            assert bits(snapshot) == {name: before[name] for name in ("id", *WRITABLE)}
            if previous is not None:  # the one before stays whole
                assert bits(generations.of(tick - 1)) == previous
            previous = bits(snapshot)
            scribble(live, 0, live.count, tick + 100)
            if tick % 2:
                snapshot.restore(live, 0, live.count)
                assert bits(live) == before


def test_only_ids_and_what_a_worker_may_write_are_copied() -> None:
    with made(5) as (live, generations):
        generations.take(live, 0)
        assert len(generations.snapshots) == GENERATIONS
        for snapshot in generations.snapshots:
            assert set(snapshot.slots) == {"id", *WRITABLE}
        assert [snapshot.tick for snapshot in generations.snapshots] == [0, -1]


def test_they_lie_in_the_tables_arena_and_go_with_it() -> None:
    with made(200) as (live, generations):
        generations.take(live, 0)
        generations.take(live, 1)
        held: NDArray[np.float32] = generations.of(0)["x"]
        places = [slot.offset for one in (live, *generations.snapshots) for slot in one.slots.values()]
        assert len(set(places)) == len(places)
        had = live.arena.bytes
        assert live.arena.close() == had > 0
        assert not held.any()
        assert (live.arena.bytes, live.arena.close()) == (0, 0)
