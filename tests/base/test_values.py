"""Observed values and objectives: what they may be, and what is said of those that may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.comparison import Objective
from grove_core.base.errors import InvalidInput
from grove_core.base.values import LARGEST, read_name, read_values


@pytest.mark.parametrize("name", ["a", "revenue", "p_99", "a" * 64])
def test_names_that_are_taken(name: str) -> None:
    assert read_name(name) == name
    assert Objective(name, at_least=0).name == name


@pytest.mark.parametrize("name", ["", "A", "9a", "_a", "a-b", "a\n", "a" * 65, "ä", None, 3, b"a"])
def test_names_that_are_refused(name: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be called"):
        read_name(name)
    with pytest.raises(ValueError, match="name is"):
        Objective(name, at_least=0)


@pytest.mark.parametrize("given_", [[1, 2], [True, False], np.array([1, 2], "u1"), np.array([1, 2], "f2"), (1.5, 2)])
def test_numbers_become_a_copy_in_float64(given_: Any) -> None:
    values = read_values("v", given_, 2)
    assert (values.dtype, values.shape) == (np.dtype("f8"), (2,))
    assert values.tolist() == [float(each) for each in given_]
    assert not np.may_share_memory(values, np.asarray(given_))
    own = np.ones(3)
    assert not np.may_share_memory(read_values("v", own), own)


def test_one_number_is_everybodys() -> None:
    assert read_values("v", 3, 4).tolist() == [3.0] * 4
    assert read_values("v", 3).tolist() == [3.0]
    assert read_values("v", [], 0).tolist() == []


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ([1, 2, 3], "3 values of v are given for 2"),
        ([np.nan, 1], "is nan"),
        ([1, -np.inf], "is -inf"),
        ([1e101, 1], "is 1e[+]101"),
        ([10**400, 1], "numbers"),
        ([[1, 2]], "2 dimensions"),
        (["1", "2"], "no number"),
        ([1, "2"], "no number"),
        ([1j, 2], "no number"),
        ([[1], [2, 3]], "numbers"),
        (None, "no number"),
    ],
)
def test_values_that_are_refused(given_: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_values("v", given_, 2)


@given(st.lists(st.floats(), min_size=1, max_size=9))
def test_finite_values_are_taken_and_no_others(values: list[float]) -> None:
    good = all(abs(each) <= LARGEST for each in values)
    try:
        assert read_values("v", values).tolist() == values
    except InvalidInput:
        assert not good
    else:
        assert good


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "has no bound"),
        ({"at_least": float("nan")}, "at_least is nan"),
        ({"at_most": float("inf")}, "at_most is inf"),
        ({"at_most": "9"}, "at_most is '9'"),
        ({"at_most": True}, "at_most is True"),
        ({"at_least": 2, "at_most": 1}, "no value is both"),
    ],
)
def test_objectives_without_sense_are_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Objective("rating", **options)


@pytest.mark.parametrize("name", ["errors", "ticks"])
def test_an_objective_is_not_called_like_another_contest(name: str) -> None:
    with pytest.raises(ValueError, match="contest of its own"):
        Objective(name, at_most=1)
