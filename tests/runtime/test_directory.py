"""Rows are found by id, whether ids are dense, sparse or far apart, and again after rows changed their places."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grove_core.author.schema import ID
from grove_core.memory.table import Table
from grove_core.runtime.state.directory import Directory

NEAR = st.integers(-20, 20)
FAR = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.lists(st.one_of(NEAR, FAR), unique=True, max_size=30), min_size=1, max_size=3), st.lists(FAR | NEAR))
def test_rows_are_found_whatever_ids_there_are(columns: list[list[int]], asked: list[int]) -> None:
    table, directory = Table.make("ids", {ID: np.dtype(np.int64)}, 64), Directory()
    try:
        table.arena.reserve(64)
        for column in columns:
            table.count = len(column)
            table.layout += 1
            table[ID][:] = column
            wanted = [*column, *asked, *column[:3]]
            row_of = {each: row for row, each in enumerate(column)}
            for _ in range(3):
                found = directory.rows(table, np.array(wanted, np.int64))
                assert found.tolist() == [row_of.get(each, -1) for each in wanted]
    finally:
        table.arena.close()


@given(st.lists(NEAR, unique=True, min_size=1))
def test_ids_that_are_near_each_other_and_far_from_what_is_asked(column: list[int]) -> None:
    table, directory = Table.make("ids", {ID: np.dtype(np.int64)}, 64), Directory()
    try:
        table.arena.reserve(64)
        table.count = len(column)
        table[ID][:] = column
        extremes = np.array([-(2**63), 2**63 - 1, 0], np.int64)
        for _ in range(2):
            expected = [-1, -1, column.index(0) if 0 in column else -1]
            assert directory.rows(table, extremes).tolist() == expected
    finally:
        table.arena.close()
