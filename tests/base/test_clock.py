"""The clocks that decide."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.clock import Clock, ManualClock, SystemClock


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock: Clock = ManualClock(5.0)
    assert clock.now() == clock.now() == 5.0


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_it_shows_the_sum_of_its_advances(steps: list[float]) -> None:
    clock = ManualClock()
    expected = 0.0
    for step in steps:
        clock.advance(step)
        expected += step
        assert clock.now() == expected


@pytest.mark.parametrize("earlier", [9.99, -1.0, math.nan])
def test_it_never_goes_back(earlier: float) -> None:
    clock = ManualClock(10.0)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.set(earlier)
    assert clock.now() == 10.0
    clock.set(10.0)


def test_the_systems_clock_never_goes_back() -> None:
    clock = SystemClock()
    shown = [clock.now() for _ in range(1000)]
    assert shown == sorted(shown)
