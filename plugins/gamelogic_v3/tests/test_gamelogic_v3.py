"""gamelogic 3.0.0 by itself, on the heap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grove_core import Add, Entities, Lens

pytest.importorskip("gamelogic_v3", reason="gamelogic 3 is not installed")

from gamelogic_v3 import GameLogic

numbers = st.floats(-2000, 2000, width=32) | st.floats(0, 3, width=32)
rows = st.integers(1, 40).flatmap(lambda n: arrays(np.float32, (4, n), elements=numbers))


def made(config=None, **columns):
    module = GameLogic()
    module.initialize(config or {})
    module.entities = Entities.of(GameLogic.schema, id=np.arange(len(columns["x"])), **columns)
    return module


def close(x, y, radius):
    r = np.float32(radius)
    dx, dy = x[:, None] - x, y[:, None] - y
    near = dx * dx + dy * dy < r * r
    np.fill_diagonal(near, False)
    return near.any(axis=1)


@given(rows, st.floats(0, 1), st.floats(0, 50, width=32))
def test_three_ticks_in_float32_bit_for_bit(values, dt, radius):
    x, y, vx, vy = values
    module = made({"radius": radius}, x=x, y=y, vx=vx, vy=vy)
    for _ in range(3):
        module.process(dt)
        vy = vy + np.float32(9.8 * dt)
        x, y = x + vx * np.float32(dt), y + vy * np.float32(dt)
        outside = ~((x >= 0) & (x <= 1000) & (y >= 0) & (y <= 1000))
        e = module.entities
        assert (e.x.tobytes(), e.y.tobytes(), e.vy.tobytes()) == (x.tobytes(), y.tobytes(), vy.tobytes())
        assert e.collided.tolist() == (outside | close(x, y, radius)).tolist()
        assert e.mass.tolist() == [1.0] * len(x)


def test_the_default_radius_is_a_half_and_lies_outside():
    module = made(x=[1.0, 1.5, 5.0, 5.25, 9.0], y=[1.0] * 5)
    module.process(0.0)
    assert module.entities.collided.tolist() == [False, False, True, True, False]


def test_a_radius_of_0_leaves_only_the_bounds():
    module = made({"radius": 0}, x=[1.0, 1.0, -1.0], y=[1.0] * 3)
    module.process(0.0)
    assert module.entities.collided.tolist() == [False, False, True]


@pytest.mark.parametrize("radius", [-1, float("nan"), float("inf"), 1e39, 10**400, "0.5", None, True])
def test_a_radius_that_does_not_fit_is_refused(radius):
    with pytest.raises(ValueError, match="radius"):
        GameLogic().initialize({"radius": radius})


def test_buffers_are_kept_and_grow():
    module = made(x=np.arange(10.0))
    module.process(0.1)
    first = module._steps
    module.process(0.1)
    assert module._steps is first
    for rows in (25, 3, 11):
        x = np.arange(rows, dtype=np.float32)
        module.entities = Entities.of(GameLogic.schema, id=np.arange(rows), x=x, vx=[1.0] * rows)
        module.process(1.0)
        assert module.entities.x.tolist() == (x + 1).tolist()
    assert len(module._steps) == 25


def test_values_that_are_not_finite_do_not_disturb_the_others():
    module = made(x=[5.0, 5.1, 9.0], y=[5.0] * 3)
    module.entities.x[2] = np.nan
    module.process(0.0)
    assert module.entities.collided.tolist() == [True, True, False]
    module.entities.x[0] = np.inf
    module.process(0.0)
    assert module.entities.collided.tolist() == [True, False, False]


def test_one_lens_leads_to_version_2():
    assert list(GameLogic.lenses) == [Lens("==2.*", "==3.*", [Add("mass")])]
    assert {s.name for s in GameLogic.schema.specs if s.constant} == {"vx"}
    assert GameLogic.schema["mass"].column.default == 1.0
