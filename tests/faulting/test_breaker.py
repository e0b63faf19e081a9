"""When the breaker opens: not on chance where it looks at evidence, and soon enough where there is any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from packaging.version import Version

from grove_core.base.errors import PluginFailed
from grove_core.base.health import BreakerState, Health
from grove_core.base.records import Fault, FaultKind, Role, VersionUse
from grove_core.faulting.breaker import Breaker
from grove_core.faulting.evidence import Evidence
from grove_core.parts.contracts import Finding, Pause, Restart, ReviewingPolicy, Rollback
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.runtime.state.meter import Meter
from grove_core.testing import FaultPolicyConformance

ONE, TWO = Version("1.0.0"), Version("2.0.0")
STABLE = VersionUse("game", ONE, Role.STABLE, 0.9, 90, None, 0)


NEW = Health()


def use(health: Health = NEW, **changed: object) -> VersionUse:
    return replace(VersionUse("game", TWO, Role.CANARY, 0.1, 10, None, 0, health), **changed)


def fault(kind: FaultKind = FaultKind.RAISE, version: Version = TWO) -> Fault:
    return Fault("game", version, kind, "it broke", 7, 10)


class TestConformance(FaultPolicyConformance):
    def make(self) -> Breaker:
        return Breaker()


class TestConformanceByEvidence(FaultPolicyConformance):
    def make(self) -> Breaker:
        return Breaker("evidence")


@pytest.mark.parametrize(
    ("health", "trips"),
    [
        (Health(calls=19, errors=19), False),
        (Health(calls=20, errors=1), False),
        (Health(calls=20, errors=2), True),
        (Health(calls=1000, errors=50), False),
        (Health(calls=1000, errors=51), True),
    ],
)
def test_by_rate_it_opens_above_5_percent_of_at_least_20_calls(health: Health, trips: bool) -> None:
    breaker, uses = Breaker(), [STABLE, use(health)]
    decision = breaker.decide(fault(), uses, None)
    assert isinstance(decision, Rollback) is trips
    assert trips or decision == Restart()
    verdict = breaker.review(TWO, uses, None)
    assert isinstance(verdict, Finding) is trips


def test_a_version_that_never_comes_up_again_is_rolled_back_at_once() -> None:
    assert isinstance(Breaker().decide(fault(), [STABLE, use(restarts=1)], None), Rollback)


def test_on_trial_nothing_is_borne() -> None:
    on_trial = use(breaker=BreakerState.HALF_OPEN)
    assert isinstance(Breaker().decide(fault(), [STABLE, on_trial], None), Rollback)
    verdict = Breaker().review(TWO, [STABLE, on_trial], None)
    assert verdict is not None and "on trial" in verdict.reason


def test_where_there_is_nowhere_to_go_it_is_started_again_and_then_paused() -> None:
    bad = Health(calls=100, errors=100)
    alone = replace(use(bad), role=Role.STABLE)
    assert Breaker().decide(fault(), [alone], None) == Restart()
    assert Breaker().decide(fault(), [replace(alone, restarts=1)], None) == Pause()
    assert Breaker().review(TWO, [alone], None) is None, "its ticks are good; it goes on"
    assert isinstance(Breaker().decide(fault(), [alone], ONE), Rollback)


def trials_until_open(rate: float, entities: int, ticks: int, breaker: Breaker, seed: int) -> int | None:
    """Run a version whose entities fail by chance; return after how many trials it is given up, or None."""
    generator, meter, ids = np.random.default_rng(seed), Meter(), np.arange(entities)
    for _ in range(ticks):
        failed = ids[generator.random(entities) < rate]
        meter.count(1.0, entities, failed)
        if len(failed) and breaker.review(TWO, [STABLE, use(meter.health)], None) is not None:
            return meter.health.trials
    return None


@pytest.mark.parametrize("entities", [1, 10, 100])
def test_by_evidence_a_healthy_version_with_2_percent_errors_is_left_alone(entities: int) -> None:
    opened = [trials_until_open(0.02, entities, 3000 // entities + 100, Breaker("evidence"), s) for s in range(100)]
    assert opened == [None] * 100


def test_by_rate_chance_opens_it_in_most_runs() -> None:
    opened = [trials_until_open(0.02, 1, 3000, Breaker(), seed) for seed in range(100)]
    assert sum(one is not None for one in opened) > 50


@pytest.mark.parametrize(("rate", "most"), [(0.2, 300), (0.5, 200), (1.0, 100)])
@pytest.mark.parametrize("entities", [1, 10, 100])
def test_by_evidence_a_bad_version_is_found_out(rate: float, most: int, entities: int) -> None:
    opened = [trials_until_open(rate, entities, 3000, Breaker("evidence"), seed) for seed in range(40)]
    assert all(one is not None for one in opened)
    assert float(np.median([one for one in opened if one is not None])) <= most


@pytest.mark.parametrize("entities", [10, 100])
def test_by_evidence_a_version_that_was_good_for_long_is_found_out_at_once(entities: int) -> None:
    breaker, meter, ids = Breaker("evidence"), Meter(), np.arange(entities)
    for _ in range(20_000):
        meter.count(1.0, entities)
    meter.count(1.0, entities, ids)
    assert breaker.review(TWO, [STABLE, use(meter.health)], None) is not None


def test_one_entity_that_always_fails_is_no_bad_version() -> None:
    breaker, meter = Breaker("evidence"), Meter()
    for _ in range(3000):
        meter.count(1.0, 10, np.array([3]))
        assert breaker.review(TWO, [STABLE, use(meter.health)], None) is None


@pytest.mark.parametrize(("every", "trips"), [(50, False), (3, True)])
def test_by_evidence_lost_ticks_count_by_themselves(every: int, trips: bool) -> None:
    breaker, meter, decisions = Breaker("evidence"), Meter(), []
    for tick in range(1, 600):
        if tick % every:
            meter.count(1.0, 10)
        else:
            meter.lose(10)
            decisions.append(breaker.decide(fault(), [STABLE, use(meter.health)], None))
    assert any(isinstance(one, Rollback) for one in decisions) is trips


def test_a_version_that_was_loaded_anew_starts_with_a_clean_sheet() -> None:
    evidence, bad = Evidence(0.05, 1000.0), Meter()
    for _ in range(4):
        bad.lose(10)
        over = evidence.why_over(use(bad.health))
    assert over is not None and "ticks failed" in over
    fresh = Meter()
    fresh.lose(10)
    assert evidence.why_over(use(fresh.health)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"test": "guess"},
        {"limit": 0.0},
        {"limit": 1.0},
        {"least": 0},
        {"trial": 0.0},
        {"trial_ticks": 0},
        {"attempts": 0},
        {"cooldown_seconds": -1.0},
        {"test": "evidence", "patience": 0.5},
        {"unknown": 1},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    manager, records = make_plugin_manager()
    with pytest.raises(PluginFailed, match="breaker"):
        Catalogue(manager, records).make(PartKind.FAULT_POLICY, "breaker", options)


def test_it_reviews() -> None:
    assert isinstance(Breaker(), ReviewingPolicy)
