"""The spatial hashing of gamelogic 3.0.0 against comparing everybody with everybody."""

import tracemalloc
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("gamelogic_v3", reason="gamelogic 3 is not installed")

from gamelogic_v3 import by_numba, by_numpy
from gamelogic_v3.by_numpy import NUMPY
from gamelogic_v3.pairs import Grid, Remembering, spread

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
MAKERS = {
    "numpy": lambda: NUMPY,
    "loops": lambda: by_numba.looping(
        by_numba.pack, by_numba.sort, by_numba.walk
    ),  # what numba compiles, run by Python
    "numba": by_numba.compiled,
}


@pytest.fixture(scope="module", params=["numpy", "loops", pytest.param("numba", marks=needs_numba)])
def search(request):
    return MAKERS[request.param]()


@pytest.fixture(scope="module", params=["numpy", pytest.param("numba", marks=needs_numba)])
def fast(request):
    return MAKERS[request.param]()


def brute(x, y, radius):
    r = np.float32(radius)
    with np.errstate(all="ignore"):
        dx, dy = x[:, None] - x, y[:, None] - y
        near = dx * dx + dy * dy < r * r
    np.fill_diagonal(near, False)
    return near.any(axis=1)


def same(search, x, y, radius):
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    x.flags.writeable = y.flags.writeable = False
    assert search(x, y, radius).tolist() == brute(x, y, radius).tolist()


def points(elements):
    return st.integers(0, 40).flatmap(lambda n: arrays(np.float32, (2, n), elements=elements))


near = st.floats(-4, 4, width=32)
grid = st.integers(-12, 12).map(lambda k: k / 4)
"""Multiples of a quarter: many pairs are exactly a radius apart."""
anything = st.floats(width=32, allow_nan=True, allow_infinity=True)
far = st.builds(lambda base, step: np.float32(base + step), st.sampled_from([-3e9, -1e9, 1e9, 3e9, 1e30]), near)
radii = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 3.0]) | st.floats(0, 5, width=32)


@given(xy=points(near | grid), radius=radii)
def test_scattered(search, xy, radius):
    same(search, *xy, radius)


@given(xy=points(grid), radius=st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.25]))
def test_exactly_a_radius_apart(search, xy, radius):
    same(search, *xy, radius)


@given(xy=points(anything | near), radius=st.floats(0, float(np.finfo(np.float32).max), width=32))
def test_any_float_and_any_radius(search, xy, radius):
    same(search, *xy, radius)


@given(xy=points(far | near | grid), radius=radii | st.sampled_from([64.0, 300.0, 1e6]))
def test_far_apart(search, xy, radius):
    same(search, *xy, radius)


@given(xy=points(near | grid | far), radius=st.floats(0.125, 5, width=32))
def test_keys_that_cannot_hold_the_cells(search, xy, radius):
    """`spread` gives keys that serve as well as packed ones."""
    x, y = xy
    assume(len(x) > 1)
    found = np.zeros(len(x), np.bool_)
    grid = Grid.over(x, y, radius)
    with np.errstate(over="ignore"):
        for keys in spread(x, y, grid):
            assert (keys == np.sort(keys)).all()
            search.walk(keys, grid.bits, x, y, np.square(np.float32(radius)), found)
    assert found.tolist() == brute(x, y, radius).tolist()


@pytest.mark.parametrize(
    ("side", "fits"),
    [(1e2, True), (1e4, True), (1e6, True), (1e8, False), (1e9, False), (1e12, False), (3e38, False)],
)
def test_any_span(search, side, fits):
    """With packed keys, and beyond what they can hold."""
    random = np.random.default_rng(6)
    x, y = random.uniform(-side, side, (2, 1000)).astype(np.float32)
    x, y = np.concatenate((x, x + np.float32(0.125))), np.concatenate((y, y - np.float32(0.25)))
    assert Grid.over(x, y, 0.5).fits == fits
    same(search, x, y, 0.5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 9), st.sampled_from([1, 64]))
@settings(max_examples=100)
def test_crowds_and_loners_in_small_blocks(seed, clusters, block, chunk):
    random = np.random.default_rng(seed)
    centres = random.uniform(-3, 3, (2, clusters))
    crowd = centres[:, random.integers(0, clusters, 100)] + random.normal(0, 0.02, (2, 100))
    xy = np.concatenate((crowd, random.uniform(-4, 4, (2, 40))), axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_numpy, "BLOCK", block)
        patch.setattr(by_numpy, "CHUNK", chunk)
        same(NUMPY, *xy, 0.5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(max_examples=50)
def test_crowds_and_loners(search, seed, clusters):
    random = np.random.default_rng(seed)
    centres = random.uniform(-3, 3, (2, clusters))
    crowd = centres[:, random.integers(0, clusters, 300)] + random.normal(0, 0.02, (2, 300))
    xy = np.concatenate((crowd, random.uniform(-4, 4, (2, 40))), axis=1)
    same(search, *xy, 0.5)


@pytest.mark.parametrize("crowd", [1, 5, 6, 7, 8, 300])
def test_a_crowd_between_two_loners_in_the_order(search, crowd):
    """In a row of cells the crowd stands after the first loner, and before the second, in the next row."""
    x = [0.05, 0.05, *[3.0] * crowd]
    y = [0.05, 0.35, *[0.05] * crowd]
    for sign in (1, -1):
        xs, ys = sign * np.float32(x), sign * np.float32(y)
        same(search, xs, ys, 0.5)
        same(search, ys, xs, 0.5)
        assert search(xs, ys, 0.5)[:2].all()
        assert not search(xs, ys, 0.25)[:2].any()


@pytest.mark.parametrize("radius", [1e-22, 3e-23, 1e-19, 1e18, 2e19, 1e30])
def test_a_radius_whose_square_leaves_the_normal_floats(search, radius):
    random = np.random.default_rng(3)
    same(search, *random.uniform(-3 * radius, 3 * radius, (2, 60)), radius)


@pytest.mark.parametrize("radius", [0.1, 0.5, 3.0])
def test_almost_a_radius_apart(search, radius):
    """Each has one partner at 0.97 to 1.01 radii along an axis: as many cells away as it can be."""
    random = np.random.default_rng(4)
    x = np.arange(1000) * 10 * radius + random.uniform(0, radius, 1000)
    apart = random.uniform(0.97, 1.01, 1000) * radius
    # The third stands between the two in the order of the cells, and is close to neither.
    xs, ys = np.concatenate((x, x + apart, x)), np.repeat([0, 0, 50 * radius], 1000)
    same(search, xs, ys, radius)
    same(search, -xs, ys, radius)
    same(search, ys, xs, radius)


@pytest.mark.parametrize("radius", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("along", [(1, 0), (0, 1)])
def test_hardly_less_than_a_radius_apart_wherever_the_cells_begin(fast, radius, along):
    """40,000 pairs on a lattice, each in another place within its cells."""
    random = np.random.default_rng(5)
    lattice = np.stack(np.meshgrid(np.arange(200), np.arange(200))).reshape(2, -1) * 3
    first = (lattice + random.uniform(0, 1, lattice.shape)) * radius
    x, y = np.concatenate((first, first + np.transpose([along]) * radius * 0.9999), axis=1).astype(np.float32)
    found = fast(x, y, radius)
    dx, dy = np.diff(x.reshape(2, -1), axis=0), np.diff(y.reshape(2, -1), axis=0)
    close = (dx * dx + dy * dy < np.square(np.float32(radius)))[0]
    assert close.sum() > 30_000
    assert found.tolist() == [*close, *close]


@pytest.mark.parametrize("spread", [0.0, 1e-3, 0.3, 2.0])
def test_a_crowd_takes_little_memory(fast, spread):
    """All pairs of 20,000 entities in one place would be 400 million."""
    random = np.random.default_rng(1)
    x, y = random.uniform(0, spread, (2, 20_000)).astype(np.float32)
    tracemalloc.start()
    found = fast(x, y, 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.all()
    assert peak < 16 << 20


@pytest.mark.parametrize("shape", ["one place", "one cell", "two places", "a line"])
def test_a_crowd_of_half_a_million_is_searched_in_passing(fast, shape):
    """All their pairs would be 250 billion, and the test would not end in time."""
    random = np.random.default_rng(7)
    x, y = np.zeros((2, 500_000), np.float32)
    if shape == "one cell":
        x, y = random.uniform(0, 0.2, (2, 500_000)).astype(np.float32)
    elif shape == "two places":  # not close, but in the same row of cells
        x[::2] = 0.6
    elif shape == "a line":
        x = np.linspace(0, 100, 500_000, dtype=np.float32)
    assert fast(x, y, 0.5).all()


def test_a_crowd_among_loners_who_are_all_within_its_reach(fast):
    around = np.stack(np.meshgrid(np.arange(-8, 9), np.arange(-2, 3))).reshape(2, -1) * 0.51
    loners = around[:, around.any(axis=0)]
    x, y = np.concatenate((loners, np.zeros((2, 100_000))), axis=1).astype(np.float32)
    found = fast(x, y, 0.5)
    assert not found[:84].any()
    assert found[84:].all()


def test_a_loner_beside_a_crowd(search):
    x = np.concatenate((np.zeros(5000), [0.7], [0.4])).astype(np.float32)
    found = search(x, np.zeros_like(x), 0.45)
    assert found.all()
    found = search(x[:-1], np.zeros_like(x[:-1]), 0.45)
    assert found[:-1].all()
    assert not found[-1]


@pytest.mark.parametrize("side", [20, 60, 300])
def test_many_scattered_points(search, side):
    random = np.random.default_rng(2)
    x, y = random.uniform(0, side, (2, 3000)).astype(np.float32)
    found = search(x, y, 0.5)
    assert 0 < found.sum() < 3000
    assert found.tolist() == brute(x, y, 0.5).tolist()


@needs_numba
def test_the_loops_are_compiled_for_all_that_may_come():
    """A type that is new would be compiled within a tick, which takes longer than a tick may."""
    search = by_numba.compiled()
    before = list(search.walk.signatures)
    assert len(before) == 1
    random = np.random.default_rng(9)
    for side in (10.0, 1e9):
        x, y = random.uniform(0, side, (2, 500)).astype(np.float32)
        search(x, y, 0.5)
        y[0] = np.nan
        x.flags.writeable = False
        search(x, y, 0.5)
    assert search.walk.signatures == before


@given(st.lists(points(near | grid | anything), min_size=1, max_size=6), radii)
def test_what_is_remembered_changes_no_answer(ticks, radius):
    remembering = Remembering(NUMPY)
    for x, y in ticks:
        assert remembering(x, y, radius).tolist() == brute(x, y, radius).tolist()


def test_points_that_hardly_move_are_walked_in_the_order_of_the_last_time(search):
    random = np.random.default_rng(5)
    remembering = Remembering(search)
    x, y = random.uniform(0, 30, (2, 700)).astype(np.float32)
    for _ in range(4):
        assert remembering(x, y, 0.5).tolist() == brute(x, y, 0.5).tolist()
        keys = x.take(remembering._order) // (0.25 * 16)
        assert (np.diff(keys) >= -1).all(), "by columns"
        x, y = (each + random.uniform(-0.05, 0.05, 700).astype(np.float32) for each in (x, y))
