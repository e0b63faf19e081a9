"""Counting what a version did, against a count by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.histogram import Histogram
from grove_core.runtime.state.meter import LATEST, Latest, Meter

ENTITIES = 6
ticks = st.lists(st.one_of(st.none(), st.sets(st.integers(0, ENTITIES - 1))), min_size=1, max_size=3 * LATEST)
"""Each tick is lost, or these entities failed in it."""


@given(ticks)
def test_health_is_what_a_count_by_hand_gives(seen: list[set[int] | None]) -> None:
    meter = Meter()
    errors, trials, firsts, marked, until = [], 0, 0, set(), 0
    for number, failed in enumerate(seen, 1):
        if failed is None:
            meter.lose(ENTITIES)
            errors.append(ENTITIES)
            continue
        meter.count(1.0, ENTITIES, np.array(sorted(failed), np.int64))
        errors.append(len(failed))
        if number > until:
            marked = set()
        if failed and not marked:
            until = number + LATEST
        trials += ENTITIES - len(marked)
        firsts += len(failed - marked)
        marked |= failed
    health, latest = meter.health, errors[-LATEST:]
    assert (health.calls, health.errors) == (ENTITIES * len(latest), sum(latest))
    assert (health.ticks, health.lost) == (len(seen), sum(failed is None for failed in seen))
    assert (health.trials, health.firsts) == (trials, firsts)
    streak = 0
    for failed in reversed(seen):
        if failed != set():
            break
        streak += 1
    assert health.streak == streak


def test_what_no_tick_was_lost_with_is_an_error_and_no_lost_tick() -> None:
    meter = Meter()
    meter.lose(0)
    assert (meter.errors, meter.health.lost, meter.health.ticks) == (1, 0, 0)
    assert (meter.lost, meter.calls, meter.failed_calls, meter.latest) == (0, 0, 0, None)


orders = st.tuples(st.integers(1, 4), st.none() | st.floats(0, 1000), st.integers(1, 9), st.integers(0, 9))
"""By how many the tick's number is higher than the last one's, how long it took (None: lost), entities, failed."""


@given(st.lists(orders, max_size=20))
def test_totals_are_what_a_count_by_hand_gives(seen: list[tuple[int, float | None, int, int]]) -> None:
    meter, number, kept = Meter(), 0, [one for one in seen if one[1] is not None]
    for step, ms, entities, failed in seen:
        number += step
        if ms is None:
            meter.lose(entities, number)
        else:
            meter.count(ms, entities, np.arange(min(failed, entities)), number)
    assert (meter.ticks, meter.lost) == (len(kept), len(seen) - len(kept))
    assert meter.calls == sum(entities for _, _, entities, _ in seen)
    assert meter.failed_calls == sum(
        entities if ms is None else min(failed, entities) for _, ms, entities, failed in seen
    )
    assert meter.durations.counts.tolist() == Histogram.of([ms for _, ms, _, _ in kept]).counts.tolist()
    assert meter.latest == (Latest(number, seen[-1][1], seen[-1][2]) if seen else None)


def test_the_latest_tick_is_all_that_a_version_did_in_it() -> None:
    meter = Meter()
    meter.count(2.0, 90, tick=5)
    meter.count(0.5, 10, tick=5)
    assert meter.latest == Latest(5, 2.0, 100)
    meter.lose(7, 5)
    assert meter.latest == Latest(5, None, 107)
    meter.count(0.5, 7, tick=5)
    assert meter.latest == Latest(5, None, 114) and meter.latest.lost
    meter.count(0.5, 7, tick=6)
    assert meter.latest == Latest(6, 0.5, 7) and not meter.latest.lost


values = st.lists(st.floats(-1e9, 1e9), max_size=6)


@given(st.lists(values, max_size=6), st.integers(0, 6))
def test_observed_values_are_summed_up_from_any_moment_on(parts: list[list[float]], moment: int) -> None:
    meter, before = Meter(), None
    for number, part in enumerate(parts):
        if number == moment and "v" in meter.observed:
            before = meter.observed["v"].summary()
        meter.observe("v", np.array(part))
    if "v" not in meter.observed:
        return
    late = [each for part in (parts[moment:] if before is not None else parts) for each in part]
    summary = meter.observed["v"].since(before)
    assert summary.count == len(late)
    assert summary.spread.counts.tolist() == Histogram.of(late).counts.tolist()
    assert abs(summary.total - sum(late)) <= 1e-4
    assert abs(summary.squares - sum(each * each for each in late)) <= 1e5
