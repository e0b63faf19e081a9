"""The engine over simulated workers: many schedules, one again and again, and engines that are broken on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grove_core.memory.generations import Snapshot
from grove_core.runtime.rows.moves import Transaction
from grove_core.runtime.ticking import commit, restore, tick

from .running import run, simulate, simulations

SCHEDULES = 2000
PARTS = 8
"""So many tests share them, which may run side by side."""
OFTEN = ("die", "hang", "survive", "garble", "faults", "recoveries", "interrupted ticks", "interrupted calls")
FEW = 1000
"""A broken engine is found within so many."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(600)
def test_whatever_happens_to_workers_no_entity_and_no_committed_tick_is_lost(part: int) -> None:
    counts, failed = run(range(part, SCHEDULES, PARTS))
    assert failed == []
    assert counts["schedules"] == SCHEDULES // PARTS
    assert [kind for kind in OFTEN if not counts[kind]] == [], "these never happened"


def test_the_same_seed_does_the_same_again() -> None:
    with simulations():
        for seed in range(40):
            first, again = simulate(seed), simulate(seed)
            assert first.trace == again.trace
            assert first.counts == again.counts
        assert simulate(1).trace != simulate(2).trace


def found(seeds: range) -> str:
    """Return what the first schedule that failed said; empty if none did."""
    with simulations():
        for seed in seeds:
            outcome = simulate(seed)
            if outcome.error is not None:
                assert str(simulate(seed).error) == str(outcome.error), "a seed that failed replays"
                return f"{type(outcome.error).__name__}: {outcome.error}"
    return ""


Break = Callable[[pytest.MonkeyPatch], None]


def restores_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Snapshot, "restore", lambda *_: None)


def validates_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tick, "validate", lambda *_: commit.NOTHING)


def moves_halfway(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Transaction, "take_out", lambda *_: None)


def keeps_memory_that_another_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(restore, "leave_memory", lambda *_: None)


@pytest.mark.parametrize(
    "broken", [restores_nothing, validates_nothing, moves_halfway, keeps_memory_that_another_writes]
)
def test_an_engine_that_is_broken_is_found(broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    assert "Broken" in found(range(FEW))
