"""Shares, thresholds and tolerances; what was not seen meets nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.scenario.live import phases
from grove_core.scenario.metrics import Metric, Threshold, judge, measure, thresholds, tolerance
from grove_core.scenario.report import render
from grove_core.scenario.result import Result
from grove_core.scenario.seen import Phase, Seen, SplitSeen, exact_shares
from grove_core.wire.faults import InjectedKind

percents = st.lists(st.integers(0, 100), min_size=1, max_size=4).map(
    lambda cuts: {
        major: stop - start
        for major, (start, stop) in enumerate(zip([0, *sorted(cuts)], [*sorted(cuts), 100], strict=True), 1)
    }
)


@given(st.integers(0, 10_000), percents)
def test_shares_are_whole_complete_and_nearer_than_one(entities: int, percent: dict[int, int]) -> None:
    shares = exact_shares(entities, percent)
    assert sum(shares.values()) == entities
    for major, part in percent.items():
        assert abs(100 * shares[major] - entities * part) < 100
        assert part or not shares[major]


@pytest.mark.parametrize(
    ("entities", "percent", "shares"),
    [
        (100, {1: 90, 2: 10}, {1: 90, 2: 10}),
        (7, {1: 90, 2: 10}, {1: 6, 2: 1}),
        (7, {1: 20, 2: 30, 3: 50}, {1: 1, 2: 2, 3: 4}),
        (1, {1: 50, 2: 50}, {1: 1, 2: 0}),
        (3, {1: 30, 2: 70}, {1: 1, 2: 2}),
        (1, {1: 20, 2: 30, 3: 50}, {1: 0, 2: 0, 3: 1}),
    ],
)
def test_shares_by_largest_remainder(entities: int, percent: dict[int, int], shares: dict[int, int]) -> None:
    assert exact_shares(entities, percent) == shares


def split(percent: dict[int, int], counts: dict[int, int]) -> SplitSeen:
    return SplitSeen(10, percent, counts, 1.0)


def test_a_deviation_is_that_of_the_worst_version_also_of_one_that_was_not_asked_for() -> None:
    assert split({1: 90, 2: 10}, {1: 85, 2: 15}).deviation == 5
    assert split({1: 90, 2: 10}, {1: 90, 2: 7, 3: 3}).deviation == 3
    assert split({1: 90, 2: 10}, {1: 90, 2: 10}).deviation == 0
    assert split({1: 90, 2: 10}, {1: 0, 2: 0}).deviation == 100


def test_the_tolerance_is_two_unless_whole_entities_force_more() -> None:
    assert tolerance() == 2
    assert tolerance(split({1: 90, 2: 10}, {1: 80, 2: 20})) == 2, "never because of what was counted"
    assert tolerance(split({1: 90, 2: 10}, {1: 6, 2: 1})) == pytest.approx(100 / 7 - 10)


@pytest.mark.parametrize(
    ("threshold", "held", "broken"),
    [
        (Threshold(below=200), 199.9, 200.0),
        (Threshold(above=95), 95.1, 95.0),
        (Threshold(target=10, within=2), 12.0, 12.1),
        (Threshold(target=100), 100.0, 99.99),
        (Threshold(below=200), 0.0, float("nan")),
        (Threshold(above=95), 96.0, float("nan")),
        (Threshold(target=10), 10.0, float("nan")),
    ],
)
def test_thresholds(threshold: Threshold, held: float, broken: float) -> None:
    assert threshold.holds(held)
    assert not threshold.holds(broken)
    assert not threshold.holds(None)


def test_a_run_of_which_nothing_was_seen_proves_nothing() -> None:
    seen = Seen(100, 60, InjectedKind.RAISE, phases())
    metrics = measure(seen)
    limits = thresholds(seen)
    assert set(metrics) == set(limits) == set(Metric)
    assert not any(limits[metric].holds(value) for metric, value in metrics.items())
    assert not any(judge(seen, metrics).values())
    text = render(Result.of(seen))
    assert "✓" not in text
    assert text.count("Not run") == len(Phase)
    assert "FAILED" in text


def test_the_phases_follow_each_other_without_a_gap() -> None:
    plan = phases()
    assert [phase.phase for phase in plan] == list(Phase)
    assert [phase.start for phase in plan[1:]] == [phase.stop for phase in plan[:-1]]
    assert (plan[0].start, plan[-1].stop) == (0, 150)
