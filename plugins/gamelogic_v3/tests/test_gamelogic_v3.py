"""gamelogic 3.0.0 by itself, on the heap."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grove_core import Add, Entities, Lens, World

pytest.importorskip("gamelogic_v3", reason="gamelogic 3 is not installed")

from gamelogic_v3 import BLOCK, GameLogic
from gamelogic_v3.by_numpy import NUMPY

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
numbers = st.floats(-2000, 2000, width=32) | st.floats(0, 3, width=32)
rows = st.integers(1, 40).flatmap(lambda n: arrays(np.float32, (4, n), elements=numbers))


def made(config=None, **columns):
    module = GameLogic()
    module.initialize(config or {"pairs": "numpy"})
    module.entities = Entities.of(GameLogic.schema, id=np.arange(len(columns["x"])), **columns)
    return module


def close(x, y, radius):
    r = np.float32(radius)
    dx, dy = x[:, None] - x, y[:, None] - y
    near = dx * dx + dy * dy < r * r
    np.fill_diagonal(near, False)
    return near.any(axis=1)


def after(dt, x, y, vx, vy):
    vy = vy + np.float32(9.8 * dt)
    x, y = x + vx * np.float32(dt), y + vy * np.float32(dt)
    return x, y, vy, ~((x >= 0) & (x <= 1000) & (y >= 0) & (y <= 1000))


@given(rows, st.floats(0, 1), st.floats(0, 50, width=32))
def test_three_ticks_in_float32_bit_for_bit(values, dt, radius):
    x, y, vx, vy = values
    module = made({"radius": radius, "pairs": "numpy"}, x=x, y=y, vx=vx, vy=vy)
    for _ in range(3):
        module.process(dt)
        x, y, vy, outside = after(dt, x, y, vx, vy)
        e = module.entities
        assert (e.x.tobytes(), e.y.tobytes(), e.vy.tobytes()) == (x.tobytes(), y.tobytes(), vy.tobytes())
        assert e.collided.tolist() == (outside | close(x, y, radius)).tolist()
        assert e.mass.tolist() == [1.0] * len(x)


def test_the_default_radius_is_a_half_and_lies_outside():
    module = made(x=[1.0, 1.5, 5.0, 5.25, 9.0], y=[1.0] * 5)
    module.process(0.0)
    assert module.entities.collided.tolist() == [False, False, True, True, False]


def test_a_radius_of_0_leaves_only_the_bounds():
    module = made({"radius": 0, "pairs": "numpy"}, x=[1.0, 1.0, -1.0], y=[1.0] * 3)
    module.process(0.0)
    assert module.entities.collided.tolist() == [False, False, True]


@pytest.mark.parametrize("radius", [-1, float("nan"), float("inf"), 1e39, 10**400, "0.5", None, True])
def test_a_radius_that_does_not_fit_is_refused(radius):
    with pytest.raises(ValueError, match="radius"):
        GameLogic().initialize({"radius": radius})


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_every_row_of_every_block_advances_once(count):
    random = np.random.default_rng(count)
    x, y, vx, vy = random.uniform(-200, 1200, (4, count)).astype(np.float32)
    module = made({"radius": 0, "pairs": "numpy"}, x=x, y=y, vx=vx, vy=vy)
    module.process(0.1)
    e, expected = module.entities, after(0.1, x, y, vx, vy)
    assert [c.tobytes() for c in (e.x, e.y, e.vy, e.collided)] == [c.tobytes() for c in expected]


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


@pytest.mark.parametrize("pairs", ["", "fast", "Numpy", None, 1, True, ["numpy"]])
def test_an_unknown_way_to_search_is_refused(pairs):
    with pytest.raises(ValueError, match="pairs must be one of numpy, numba"):
        GameLogic().initialize({"pairs": pairs})


@pytest.mark.parametrize("among", ["", "others", "World", None, 1, ["world"]])
def test_unknown_others_are_refused(among):
    with pytest.raises(ValueError, match="among must be one of own, world"):
        GameLogic().initialize({"among": among})


def test_among_the_world_it_collides_with_whoever_was_near_at_the_last_tick():
    module = made({"among": "world"}, x=[5.0, 50.0], y=[5.0, 50.0], vx=[100.0, 0.0])
    x, y = [5.2, 5.0, 50.0, 90.0], [5.0, 5.0, 50.0, 90.0]
    module.world = World.of(GameLogic.schema, id=[9, 0, 1, 8], own=slice(1, 3), x=x, y=y)
    module.process(1.0)
    assert module.entities.x.tolist() == [105.0, 50.0]
    assert module.entities.collided.tolist() == [True, False], "0 was near 9, and is far away by now"


def test_without_numba_numpy_searches_and_asking_for_numba_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # as if it were not installed
    for config in ({"radius": 0.5}, {"pairs": "numpy"}):
        module = made(config, x=[5.0, 5.1, 9.0], y=[5.0] * 3)
        assert module._has_neighbour.search is NUMPY
        module.process(0.0)
        assert module.entities.collided.tolist() == [True, True, False]
    with pytest.raises(ImportError, match=r"pip install grove-gamelogic-v3\[numba\]"):
        GameLogic().initialize({"pairs": "numba"})


@needs_numba
def test_with_numba_it_gives_what_numpy_gives():
    random = np.random.default_rng(8)
    x, y, vx, vy = random.uniform(-5, 60, (4, 2000)).astype(np.float32)
    one, other = (made(c, x=x, y=y, vx=vx, vy=vy) for c in ({"pairs": "numba"}, {"pairs": "numpy"}))
    assert one._has_neighbour is not other._has_neighbour.search
    for _ in range(3):
        one.process(0.01)
        other.process(0.01)
        for name in one.entities:
            assert one.entities[name].tobytes() == other.entities[name].tobytes()
    assert 0 < one.entities.collided.sum() < 2000


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_numba_is_not_imported_where_it_is_not_wanted():
    run(
        "import sys, gamelogic_v3\n"
        "gamelogic_v3.GameLogic().initialize({'pairs': 'numpy'})\n"
        "assert 'numba' not in sys.modules"
    )


@needs_numba
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not list a process's threads")
def test_numba_starts_no_thread():
    run(
        "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'\n"
        "import numpy as np, gamelogic_v3\n"
        "module = gamelogic_v3.GameLogic(); module.initialize({'pairs': 'numba'})\n"
        "module._has_neighbour(*np.zeros((2, 50_000), np.float32), 0.5)\n"
        "assert len(os.listdir('/proc/self/task')) == 1"
    )
