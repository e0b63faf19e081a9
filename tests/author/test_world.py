"""A world on the heap, for authors' tests: what it shows and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from grove_core import Column, Schema, World
from grove_core.base.errors import InvalidColumns, InvalidInput

SCHEMA = Schema(x="f4", mass=Column("f4", default=2.0))


def test_it_shows_columns_and_whose_rows_are_own() -> None:
    world = World.of(SCHEMA, id=[5, 6, 7], own=slice(1, 3), x=[1, 2, 3])
    assert len(world) == 3
    assert list(world) == ["id", "x", "mass"]
    assert world.id.tolist() == [5, 6, 7]
    assert world.x[world.own].tolist() == [2.0, 3.0]
    assert world["mass"].tolist() == [2.0, 2.0, 2.0]
    assert world.x.dtype == np.float32


def test_all_rows_are_own_unless_it_is_said() -> None:
    assert World.of(SCHEMA, id=range(4)).own == slice(0, 4)


def test_nothing_can_be_written() -> None:
    world = World.of(SCHEMA, id=[1], x=[1.0])
    for name in world:
        with pytest.raises(ValueError, match="read-only"):
            world[name][:] = 0


def test_a_column_that_there_is_not_is_told() -> None:
    with pytest.raises(AttributeError, match="no column is called 'y'; there are id, x, mass"):
        _ = World.of(SCHEMA, id=[1]).y


@pytest.mark.parametrize("own", [slice(0, 3), slice(-1, 1), slice(2, 1)])
def test_own_rows_must_be_among_them(own: slice) -> None:
    with pytest.raises(InvalidInput, match="own must be a slice of 2 entities"):
        World.of(SCHEMA, id=[1, 2], own=own)


def test_columns_must_fit() -> None:
    with pytest.raises(InvalidColumns):
        World.of(SCHEMA, id=[1, 2], x=[1.0])
