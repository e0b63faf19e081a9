"""gamelogic 1.0.0 by itself, on the heap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grove_core import Entities
from grove_core.base.errors import GroveError

pytest.importorskip("gamelogic_v1", reason="gamelogic 1 is not installed")

from gamelogic_v1 import BLOCK, GameLogic

numbers = st.floats(-1e6, 1e6, width=32)
rows = st.integers(1, 40).flatmap(lambda n: arrays(np.float32, (4, n), elements=numbers))


def ticked(dt, **columns):
    module = GameLogic()
    module.initialize({})
    module.entities = Entities.of(GameLogic.schema, id=np.arange(len(columns["x"])), **columns)
    module.process(dt)
    return module.entities


@given(rows, st.floats(0, 10))
def test_moves_in_float32_bit_for_bit(values, dt):
    x, y, vx, vy = values
    e = ticked(dt, x=x, y=y, vx=vx, vy=vy)
    assert e.x.tobytes() == (x + vx * np.float32(dt)).tobytes()
    assert e.y.tobytes() == (y + vy * np.float32(dt)).tobytes()
    assert e.vx.tobytes() == vx.tobytes()
    assert e.vy.tobytes() == vy.tobytes()


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_every_row_of_every_block_moves_once(count):
    random = np.random.default_rng(count)
    x, y, vx, vy = random.uniform(-1e3, 1e3, (4, count)).astype(np.float32)
    dt = 1 / 60
    e = ticked(dt, x=x, y=y, vx=vx, vy=vy)
    assert e.x.tobytes() == (x + vx * np.float32(dt)).tobytes()
    assert e.y.tobytes() == (y + vy * np.float32(dt)).tobytes()


def test_writes_into_the_columns_it_was_given():
    module = GameLogic()
    module.entities = Entities.of(GameLogic.schema, id=[1, 2], x=[0.0, 1.0], vx=[60.0, -60.0])
    before = module.entities.x
    module.process(1 / 60)
    assert module.entities.x is before
    assert before.tolist() == [1.0, 0.0]


def test_speeds_are_constant():
    assert {s.name for s in GameLogic.schema.specs if s.constant} == {"vx", "vy"}
    entities = Entities.of(GameLogic.schema, id=[1])
    with pytest.raises(ValueError, match="read-only"):
        entities.vx += 1


def test_a_column_it_does_not_have_is_refused():
    with pytest.raises(GroveError, match="mass"):
        Entities.of(GameLogic.schema, id=[1], mass=[1.0])
