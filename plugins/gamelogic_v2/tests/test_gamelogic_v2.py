"""gamelogic 2.0.0 by itself, on the heap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grove_core import Add, Entities, Lens

pytest.importorskip("gamelogic_v2", reason="gamelogic 2 is not installed")

from gamelogic_v2 import BLOCK, GameLogic

numbers = st.floats(-2000, 2000, width=32) | st.sampled_from([0.0, -0.0, 1000.0])
rows = st.integers(1, 40).flatmap(lambda n: arrays(np.float32, (4, n), elements=numbers))


def ticked(dt, **columns):
    module = GameLogic()
    module.initialize({})
    module.entities = Entities.of(GameLogic.schema, id=np.arange(len(columns["x"])), **columns)
    module.process(dt)
    return module.entities


@given(rows, st.floats(0, 10))
def test_moves_and_marks_in_float32_bit_for_bit(values, dt):
    x, y, vx, vy = values
    e = ticked(dt, x=x, y=y, vx=vx, vy=vy)
    x, y = x + vx * np.float32(dt), y + vy * np.float32(dt)
    assert e.x.tobytes() == x.tobytes()
    assert e.y.tobytes() == y.tobytes()
    assert e.collided.tolist() == [not (0 <= a <= 1000 and 0 <= b <= 1000) for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_every_row_of_every_block_moves_once(count):
    random = np.random.default_rng(count)
    x, y, vx, vy = random.uniform(-200, 1200, (4, count)).astype(np.float32)
    dt = 1 / 60
    e = ticked(dt, x=x, y=y, vx=vx, vy=vy)
    x, y = x + vx * np.float32(dt), y + vy * np.float32(dt)
    assert e.x.tobytes() == x.tobytes()
    assert e.y.tobytes() == y.tobytes()
    assert e.collided.tobytes() == ((x < 0) | (x > 1000) | (y < 0) | (y > 1000)).tobytes()


@pytest.mark.parametrize(
    ("x", "y", "collided"),
    [
        (0, 0, False),
        (1000, 1000, False),
        (500, 1000, False),
        (np.nextafter(np.float32(0), np.float32(-1)), 5, True),
        (np.nextafter(np.float32(1000), np.float32(2000)), 5, True),
        (5, -1, True),
        (5, 1001, True),
        (np.inf, 5, True),
        (5, -np.inf, True),
    ],
)
def test_the_bounds_lie_inside(x, y, collided):
    assert ticked(1 / 60, x=[x], y=[y]).collided.tolist() == [collided]


def test_a_mark_goes_when_the_entity_comes_back():
    module = GameLogic()
    module.entities = Entities.of(GameLogic.schema, id=[7], x=[-2.0], vx=[60.0], y=[5.0])
    marks = []
    for _ in range(4):
        module.process(1 / 60)
        marks.append(bool(module.entities.collided[0]))
    assert marks == [True, False, False, False]


def test_one_lens_leads_to_version_1():
    assert list(GameLogic.lenses) == [Lens("==1.*", "==2.*", [Add("collided")])]
    assert {s.name for s in GameLogic.schema.specs if s.constant} == {"vx", "vy"}
