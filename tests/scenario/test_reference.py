"""The reference computes what is written about the versions, and sees every kind of difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.scenario.reference import Reference, touching

DT = 1 / 60
NAMES = ("x", "y", "vx", "vy")


def reference(count: int = 6, seed: int = 1) -> Reference:
    random = np.random.default_rng(seed)
    ids = np.arange(count)[::-1] * 7 - 20
    columns = {name: random.uniform(-50, 1050, count).astype(np.float32) for name in NAMES}
    return Reference(ids, columns)


def test_every_version_moves_as_its_formula_says() -> None:
    ours = reference(3)
    ours.assign(ours.ids, np.array([1, 2, 3]))
    x, y, vx, vy = (getattr(ours, name).copy() for name in NAMES)
    ours.tick(DT)
    for row, major in enumerate((1, 2, 3)):
        speed = np.float32(vy[row] + np.float32(9.8 * DT)) if major == 3 else vy[row]
        assert ours.vy[row] == speed
        assert ours.x[row] == np.float32(x[row] + np.float32(vx[row] * np.float32(DT)))
        assert ours.y[row] == np.float32(y[row] + np.float32(speed * np.float32(DT)))


def test_rows_are_sorted_by_id_whatever_their_order() -> None:
    ours = Reference(np.array([5, -3]), {name: np.array([1, 2], np.float32) for name in NAMES})
    assert ours.columns(1)["id"].tolist() == [-3, 5]
    assert ours.columns(1)["x"].tolist() == [2, 1]


def test_what_collided_says_stays_as_the_last_version_that_knows_it_left_it() -> None:
    at = {"x": [999.99, 500], "y": [5, 5], "vx": [60, 0], "vy": [0, 0]}
    ours = Reference(np.array([1, 2]), {name: np.array(values, np.float32) for name, values in at.items()})
    ours.tick(DT)
    assert ours.columns(2)["collided"].tolist() == [False, False], "v1 knows nothing of it"
    ours.assign(ours.ids, np.array([2, 2]))
    assert ours.columns(2)["collided"].tolist() == [False, False], "v2 has not run yet"
    ours.tick(DT)
    ours.assign(ours.ids, np.array([1, 1]))
    ours.vx[:] = -600
    ours.tick(DT)
    assert ours.columns(2)["collided"].tolist() == [True, False]


def test_only_entities_of_v3_touch_each_other() -> None:
    ours = Reference(
        np.arange(4),
        {
            "x": np.array([10, 10.4, 10.2, 700], np.float32),
            **{n: np.zeros(4, np.float32) + 9 for n in NAMES[1:]},
        },
    )
    ours.assign(ours.ids, np.array([3, 3, 2, 3]))
    ours.tick(DT)
    assert ours.columns(3)["collided"].tolist() == [True, True, False, False]


def test_entities_that_other_calls_processed_do_not_touch_each_other() -> None:
    at = {"x": [10, 10.1, 10.2, 700], "y": [9, 9, 9, 9], "vx": [0, 0, 0, 0], "vy": [0, 0, 0, 0]}
    ours = Reference(np.arange(4), {name: np.array(values, np.float32) for name, values in at.items()})
    ours.assign(ours.ids, np.full(4, 3))
    ours.tick(DT, np.array([1, 3, 1, 3]))
    assert ours.columns(3)["collided"].tolist() == [True, False, True, False]
    ours.tick(DT)
    assert ours.columns(3)["collided"].tolist() == [True, True, True, False]


@given(st.integers(0, 60), st.sampled_from([1.0, 5.0, 1000.0]), st.integers(0, 2**32 - 1))
def test_touching_is_what_every_pair_says(count: int, field: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = (random.uniform(0, field, count).astype(np.float32) for _ in range(2))
    x[: count // 4] = x[-1:] if count else 0  # some stand above each other
    dx, dy = x[:, None] - x, y[:, None] - y
    near = dx * dx + dy * dy < np.float32(0.25)
    np.fill_diagonal(near, False)
    assert (touching(x, y) == near.any(axis=1)).all()


def test_an_exact_copy_in_any_order_is_right() -> None:
    ours = reference()
    found = {name: values[::-1].copy() for name, values in ours.columns(3).items()}
    comparison = ours.compare(3, found)
    assert comparison.right.all()
    assert (comparison.lost, comparison.foreign, comparison.differences) == (0, 0, ())


@pytest.mark.parametrize("value", [np.nextafter(np.float32(0), np.float32(1)), np.float32(-0.0), np.nan])
def test_one_bit_is_a_difference(value: np.float32) -> None:
    ours = reference()
    ours.x[2] = 0
    found = {name: values.copy() for name, values in ours.columns(2).items()}
    found["x"][2] = value
    comparison = ours.compare(2, found)
    assert np.flatnonzero(~comparison.right).tolist() == [2]
    assert comparison.differences == ("x differs in 1 of 6 entities",)


def test_what_is_lost_foreign_or_doubled_is_counted() -> None:
    ours = reference()
    found = {name: values.copy() for name, values in ours.columns(1).items()}
    found["id"][0], found["id"][1] = 999, found["id"][2]
    comparison = ours.compare(1, found)
    assert (comparison.lost, comparison.foreign) == (2, 2)
    assert not comparison.right[:2].any()


@pytest.mark.parametrize("change", ["missing", "extra", "dtype"])
def test_other_columns_are_wrong_for_everybody(change: str) -> None:
    ours = reference()
    found = {name: values.copy() for name, values in ours.columns(2).items()}
    if change == "missing":
        del found["collided"]
    elif change == "extra":
        found["mass"] = np.ones(6, np.float32)
    else:
        found["x"] = found["x"].astype(np.float64)
    assert not ours.compare(2, found).right.any()


def test_a_million_entities_are_compared_in_seconds() -> None:
    random = np.random.default_rng(3)
    count = 1_000_000
    columns = {n: random.uniform(0, 1000, count).astype(np.float32) for n in NAMES}
    ours = Reference(np.arange(count), columns)
    ours.assign(ours.ids, np.full(count, 3))
    ours.tick(DT)
    assert ours.compare(3, ours.columns(3)).right.all()
    assert 0.3 < ours.collided.mean() < 0.9, "at this density about half of them touch another one"
