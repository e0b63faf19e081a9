"""Counting what a version did, against a count by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grove_core.runtime.meter import LATEST, Meter

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
