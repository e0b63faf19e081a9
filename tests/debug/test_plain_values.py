"""Whatever a dump holds becomes strict JSON; a table keeps every cell."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.base.records import Role
from grove_core.debug.dumping import as_json
from grove_core.debug.tables import aligned

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.sampled_from([Role.STABLE, Version("1.0rc1"), np.float32("nan"), np.int8(-3), np.bool_(True), np.arange(3)]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_a_dump_is_strict_json_whatever_it_holds(value: Any) -> None:
    made = as_json({"value": value})
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_what_json_lacks_is_text() -> None:
    assert as_json({"x": [float("nan"), float("-inf"), 1.5], "v": {Version("2.0.0"): Role.CANARY}}) == {
        "x": ["nan", "-inf", 1.5],
        "v": {"2.0.0": "canary"},
    }


CELLS = st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5)))
def test_a_table_keeps_every_cell_in_its_column(rows: list[list[str]]) -> None:
    titles, *cells = rows
    assert [line.split() for line in aligned(titles, cells)] == rows
