from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks import measuring
from benchmarks.figures import Series, Who
from benchmarks.measuring import BURST, Box, Round, clocked, sample, together

OURS, MEMCPY = Series("tick"), Series("tick", Who.MEMCPY)


def counting(series: Series, log: list[Series]) -> Round:
    """A round that notes its turn, and measures how many there were before it."""

    def once() -> Mapping[Series, float]:
        log.append(series)
        return {series: float(len(log) - 1)}

    return once


def test_one_round_alone_counts_each_time_but_the_first() -> None:
    log: list[Series] = []
    samples = sample(Box(0.0, least=7), counting(OURS, log))
    assert samples[OURS].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_several_take_turns_in_bursts_and_the_first_of_a_burst_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "BURST_SECONDS", math.inf)
    log: list[Series] = []
    samples = sample(Box(0.0, least=BURST + 1), counting(OURS, log), counting(MEMCPY, log))
    turn = [OURS] * (BURST + 1) + [MEMCPY] * (BURST + 1)
    assert log == [OURS, MEMCPY, *turn, *turn]
    counted = [2 + first + place for first in (0, len(turn)) for place in range(1, BURST + 1)]
    assert samples[OURS].tolist() == counted
    assert samples[MEMCPY].tolist() == [place + BURST + 1 for place in counted]


def test_a_burst_of_what_is_slow_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "BURST_SECONDS", -1.0)
    log: list[Series] = []
    samples = sample(Box(0.0, least=2), counting(OURS, log), counting(MEMCPY, log))
    turn = [OURS] * 2 + [MEMCPY] * 2
    assert log == [OURS, MEMCPY, *turn, *turn]
    assert samples[OURS].tolist() == [3, 7]


def test_no_more_than_the_most_however_large_the_box() -> None:
    log: list[Series] = []
    assert len(sample(Box(60.0, least=1, most=20), counting(OURS, log))[OURS]) == 20


def test_a_full_box_ends_it() -> None:
    def slow() -> Mapping[Series, float]:
        time.sleep(0.02)
        return {OURS: 0.0}

    assert len(sample(Box(0.05, least=1, most=10_000), slow)[OURS]) < 100


def test_what_comes_before_and_after_is_done_each_time() -> None:
    done: list[str] = []
    once = clocked(
        OURS, lambda: done.append("do"), before=lambda: done.append("before"), after=lambda: done.append("after")
    )
    samples = sample(Box(0.0, least=3), once)
    assert done == ["before", "do", "after"] * 4
    assert samples[OURS].shape == (3,)
    assert (samples[OURS] >= 0).all()


def test_together_measures_both_in_one_turn() -> None:
    log: list[Series] = []
    samples = sample(Box(0.0, least=2), together(counting(OURS, log), counting(MEMCPY, log)))
    assert log == [OURS, MEMCPY] * 3
    assert np.array_equal(samples[MEMCPY] - samples[OURS], [1, 1])


def test_garbage_is_gone_before_the_first_sample_and_the_collector_stays_on() -> None:
    class Knot:
        alive = 0

        def __init__(self) -> None:
            self.me = self
            Knot.alive += 1

        def __del__(self) -> None:
            Knot.alive -= 1

    def look() -> Mapping[Series, float]:
        assert gc.isenabled()
        seen.append(Knot.alive)
        return {OURS: 0.0}

    seen: list[int] = []
    Knot()
    sample(Box(0.0, least=1), look)
    assert seen[1] == 0


def test_what_a_round_raises_is_raised() -> None:
    def broken() -> Mapping[Series, float]:
        raise RuntimeError("a version faulted")

    with pytest.raises(RuntimeError, match="a version faulted"):
        sample(Box(0.0), broken)
