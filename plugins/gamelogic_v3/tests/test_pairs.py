"""The spatial hashing of gamelogic 3.0.0 against comparing everybody with everybody."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("gamelogic_v3", reason="gamelogic 3 is not installed")

from gamelogic_v3 import pairs
from gamelogic_v3.pairs import has_neighbour


def brute(x, y, radius):
    r = np.float32(radius)
    with np.errstate(all="ignore"):
        dx, dy = x[:, None] - x, y[:, None] - y
        near = dx * dx + dy * dy < r * r
    np.fill_diagonal(near, False)
    return near.any(axis=1)


def same(x, y, radius):
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    assert has_neighbour(x, y, radius).tolist() == brute(x, y, radius).tolist()


def points(elements):
    return st.integers(0, 40).flatmap(lambda n: arrays(np.float32, (2, n), elements=elements))


near = st.floats(-4, 4, width=32)
grid = st.integers(-12, 12).map(lambda k: k / 4)
"""Multiples of a quarter: many pairs are exactly a radius apart."""
anything = st.floats(width=32, allow_nan=True, allow_infinity=True)
far = st.builds(lambda base, step: np.float32(base + step), st.sampled_from([-3e9, -1e9, 1e9, 3e9, 1e30]), near)
radii = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 3.0]) | st.floats(0, 5, width=32)


@given(points(near | grid), radii)
def test_scattered(xy, radius):
    same(*xy, radius)


@given(points(grid), st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.25]))
def test_exactly_a_radius_apart(xy, radius):
    same(*xy, radius)


@given(points(anything | near), st.floats(0, float(np.finfo(np.float32).max), width=32))
def test_any_float_and_any_radius(xy, radius):
    same(*xy, radius)


@given(points(far | near | grid), radii | st.sampled_from([64.0, 300.0, 1e6]))
def test_far_apart(xy, radius):
    same(*xy, radius)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(max_examples=50)
def test_crowds_and_loners_in_small_chunks(seed, clusters):
    random = np.random.default_rng(seed)
    centres = random.uniform(-3, 3, (2, clusters))
    crowd = centres[:, random.integers(0, clusters, 300)] + random.normal(0, 0.02, (2, 300))
    xy = np.concatenate((crowd, random.uniform(-4, 4, (2, 40))), axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CHUNK", 64)
        same(*xy, 0.5)


@pytest.mark.parametrize("radius", [1e-22, 3e-23, 1e-19, 1e18, 2e19, 1e30])
def test_a_radius_whose_square_leaves_the_normal_floats(radius):
    random = np.random.default_rng(3)
    same(*random.uniform(-3 * radius, 3 * radius, (2, 60)), radius)


@pytest.mark.parametrize("radius", [0.1, 0.5, 3.0])
def test_almost_a_radius_apart(radius):
    """Each has one partner at 0.97 to 1.01 radii along an axis: as many cells away as it can be."""
    random = np.random.default_rng(4)
    x = np.arange(1000) * 10 * radius + random.uniform(0, radius, 1000)
    apart = random.uniform(0.97, 1.01, 1000) * radius
    # The third stands between the two in the order of the cells, and is close to neither.
    xs, ys = np.concatenate((x, x + apart, x)), np.repeat([0, 0, 50 * radius], 1000)
    same(xs, ys, radius)
    same(-xs, ys, radius)
    same(ys, xs, radius)


@pytest.mark.parametrize("spread", [0.0, 1e-3, 0.3, 2.0])
def test_a_crowd_takes_little_memory(spread):
    """All pairs of 20,000 entities in one place would be 400 million."""
    random = np.random.default_rng(1)
    x, y = random.uniform(0, spread, (2, 20_000)).astype(np.float32)
    tracemalloc.start()
    found = has_neighbour(x, y, 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.all()
    assert peak < 16 << 20


def test_a_loner_beside_a_crowd():
    x = np.concatenate((np.zeros(5000), [0.7], [0.4])).astype(np.float32)
    found = has_neighbour(x, np.zeros_like(x), 0.45)
    assert found.all()
    found = has_neighbour(x[:-1], np.zeros_like(x[:-1]), 0.45)
    assert found[:-1].all()
    assert not found[-1]


def test_many_scattered_points():
    random = np.random.default_rng(2)
    x, y = random.uniform(0, 60, (2, 3000)).astype(np.float32)
    found = has_neighbour(x, y, 0.5)
    assert 0 < found.sum() < 3000
    assert found.tolist() == brute(x, y, 0.5).tolist()
