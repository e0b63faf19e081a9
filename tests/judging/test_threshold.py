"""What is beyond a bound, and what is said about it; every option that makes no sense is refused with its path."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from grove_core.base.comparison import Observed, Verdict
from grove_core.base.errors import PluginFailed
from grove_core.base.histogram import Histogram
from grove_core.judging.threshold import DEFAULTS, Threshold
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager

from .made import comparison, observed, summary

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE


def judged(canary: Observed | None = None, stable: Observed | None = None, **metrics: dict[str, object]) -> Verdict:
    return Threshold(metrics or None).judge(comparison(None, canary, stable)).verdict


def canary(entities: int = 100, **changed: Any) -> Observed:
    return observed("2.0.0", entities, **changed)


def stable(entities: int = 900, **changed: Any) -> Observed:
    return observed("1.0.0", entities, **changed)


def test_by_default_errors_fail_and_time_and_memory_are_for_a_person() -> None:
    assert set(DEFAULTS) == {"error_rate", "p99_ms", "memory_bytes"}
    assert judged() is PASS
    assert judged(canary(errors=5000)) is PASS
    assert judged(canary(errors=5001)) is FAIL
    assert judged(canary(ms=2.4)) is PASS
    assert judged(canary(ms=2.7)) is INCONCLUSIVE
    assert judged(canary(memory_bytes=60 << 20)) is PASS
    assert judged(canary(memory_bytes=61 << 20)) is INCONCLUSIVE
    assert judged(canary(errors=5001, ms=9.0)) is FAIL


def test_it_says_what_is_beyond_what() -> None:
    told = Threshold().judge(comparison(None, canary(errors=6000, memory_bytes=70 << 20)))
    assert told.reason == (
        "error_rate is 0.06, beyond its limit 0.05; "
        "memory_bytes is 7.34003e+07 and stable's 3.14573e+07, which allows for 6.29146e+07"
    )
    assert told.evidence["error_rate"] == 0.06
    assert told.evidence["error_rate.limit"] == 0.05
    assert told.evidence["memory_bytes.bound"] == 60 << 20
    assert Threshold().judge(comparison()).reason == "every metric is within its bounds"


@pytest.mark.parametrize(
    ("rule", "beside", "bound"),
    [
        ({"tolerance": 0.5}, 10.0, 15.0),
        ({"slack": 2.0}, 10.0, 12.0),
        ({"tolerance": 0.5, "slack": 2.0}, 10.0, 17.0),
        ({"tolerance": 0.5}, -10.0, -5.0),
        ({"limit": 11.0}, 10.0, 11.0),
        ({"limit": 11.0, "tolerance": 0.5}, 10.0, 11.0),
        ({"limit": 99.0, "tolerance": 0.5}, 10.0, 15.0),
        ({"better": "higher", "tolerance": 0.5}, 10.0, 5.0),
        ({"better": "higher", "slack": 2.0}, 10.0, 8.0),
        ({"better": "higher", "tolerance": 0.5}, -10.0, -15.0),
        ({"better": "higher", "limit": 9.0}, 10.0, 9.0),
    ],
)
@pytest.mark.parametrize("critical", [True, False])
def test_a_bound_is_beside_stable_or_absolute(
    rule: dict[str, object], beside: float, bound: float, critical: bool
) -> None:
    worse = -1e-6 if rule.get("better") == "higher" else 1e-6
    rules, other = {"joy": {**rule, "critical": critical}}, stable(values={"joy": summary(beside)})
    assert judged(canary(values={"joy": summary(bound - worse)}), other, **rules) is PASS
    assert judged(canary(values={"joy": summary(bound + worse)}), other, **rules) is (
        FAIL if critical else INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("metric", "changed", "beyond"),
    [
        ("error_rate", {"errors": 1000}, 0.0099),
        ("lost_ticks", {"lost": 3}, 2.92),
        ("p50_ms", {"durations": Histogram.of([1.0] * 90 + [8.0] * 10)}, 0.98),
        ("p95_ms", {"durations": Histogram.of([1.0] * 90 + [8.0] * 10)}, 7.9),
        ("p99_ms", {"durations": Histogram.of([1.0] * 90 + [8.0] * 10)}, 7.9),
        ("avg_ms", {"durations": Histogram.of([1.0] * 90 + [8.0] * 10)}, 1.68),
        ("memory_bytes", {"memory_bytes": 1000}, 999),
        ("revenue", {"values": {"revenue": summary(7.0)}}, 6.99),
    ],
)
def test_metrics_are_what_they_are_called(metric: str, changed: dict[str, Any], beyond: float) -> None:
    seen = canary(**changed)
    assert judged(seen, **{metric: {"limit": beyond, "critical": True}}) is FAIL
    assert judged(seen, **{metric: {"limit": beyond * 1.03, "critical": True}}) is PASS


def test_what_was_not_measured_is_inconclusive_however_critical() -> None:
    held: dict[str, object] = {"limit": 1.0, "tolerance": 0.5, "critical": True}
    assert judged(canary(memory_bytes=None), memory_bytes={**held, "limit": 1e9}) is INCONCLUSIVE
    assert judged(stable=stable(memory_bytes=None), memory_bytes={**held, "limit": 1e9}) is INCONCLUSIVE
    assert judged(joy=held) is INCONCLUSIVE
    assert judged(canary(values={"joy": summary(0.5)}), joy=held) is INCONCLUSIVE, "stable has none"
    assert judged(canary(values={"joy": replace(summary(1.0), total=math.nan)}), joy=held) is INCONCLUSIVE
    assert judged(canary(values={"joy": summary(2.0)}), joy=held) is FAIL


def test_of_too_few_nothing_is_said() -> None:
    bad = canary(1, ticks=59, errors=59)
    told = Threshold().judge(comparison(None, bad))
    assert told.verdict is INCONCLUSIVE
    assert "error_rate is of 59 so far, and has to be of 60" in told.reason
    assert Threshold(least=59).judge(comparison(None, bad)).verdict is FAIL
    joy = {"joy": {"limit": 1.0, "critical": True}}
    assert judged(canary(values={"joy": summary(2.0, 59)}), **joy) is INCONCLUSIVE
    assert judged(canary(values={"joy": summary(2.0, 60)}), **joy) is FAIL
    assert judged(canary(0, ticks=0)) is INCONCLUSIVE


def test_what_grows_with_the_entities_may() -> None:
    large, small = canary(900, ms=9.0, memory_bytes=270 << 20), stable(100)
    assert judged(large, small) is PASS
    assert judged(canary(900, ms=20.0), small) is INCONCLUSIVE
    assert judged(canary(100, ms=9.0), stable(900)) is INCONCLUSIVE
    assert judged(canary(900, errors=20_000), stable(100, errors=1000), error_rate={"tolerance": 0.5}) is INCONCLUSIVE


def test_with_all_entities_in_the_canary_there_are_only_limits() -> None:
    nobody = stable(0, ticks=0)
    told = Threshold().judge(comparison(None, canary(1000, ms=50.0), nobody))
    assert told.verdict is PASS
    assert told.reason == (
        "p99_ms is not held against stable, which has no entities; "
        "memory_bytes is not held against stable, which has no entities"
    )
    assert judged(canary(errors=99_999), nobody) is FAIL
    assert judged(canary(), nobody, p99_ms={"tolerance": 0.5}) is INCONCLUSIVE, "nothing is left to judge by"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"metrics": {}}, "^metrics must map names to tables"),
        ({"metrics": ["p99_ms"]}, "^metrics must map names to tables"),
        ({"metrics": {"P99": {"limit": 1}}}, "^metrics: 'P99' is no name"),
        ({"metrics": {3: {"limit": 1}}}, "^metrics: 3 is no name"),
        ({"metrics": {"p99_ms": 3}}, r"^metrics\.p99_ms must be a table, not 3"),
        ({"metrics": {"p99_ms": {}}}, r"^metrics\.p99_ms needs a tolerance, a slack or a limit"),
        ({"metrics": {"p99_ms": {"tolerence": 1}}}, r"^metrics\.p99_ms: there is no 'tolerence', only better, "),
        ({"metrics": {"p99_ms": {"tolerance": -0.1}}}, r"^metrics\.p99_ms\.tolerance .*at least 0, not -0\.1"),
        ({"metrics": {"p99_ms": {"tolerance": True}}}, r"^metrics\.p99_ms\.tolerance .*not True"),
        ({"metrics": {"p99_ms": {"slack": math.inf}}}, r"^metrics\.p99_ms\.slack .*not inf"),
        ({"metrics": {"p99_ms": {"limit": math.nan}}}, r"^metrics\.p99_ms\.limit must be a finite number, not nan"),
        ({"metrics": {"p99_ms": {"limit": 10**400}}}, r"^metrics\.p99_ms\.limit must be a finite number, not 1000"),
        ({"metrics": {"p99_ms": {"limit": "1 ms"}}}, r"^metrics\.p99_ms\.limit .*not '1 ms'"),
        ({"metrics": {"p99_ms": {"limit": 1, "better": "less"}}}, r"^metrics\.p99_ms\.better must be lower or higher"),
        ({"metrics": {"p99_ms": {"limit": 1, "better": []}}}, r"^metrics\.p99_ms\.better must be lower or higher"),
        ({"metrics": {"p99_ms": {"limit": 1, "critical": 1}}}, r"^metrics\.p99_ms\.critical must be true or false"),
        ({"least": 0}, "^least must be a whole number"),
        ({"least": 1.5}, "^least must be a whole number"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Threshold(**options)


def test_both_judges_come_through_the_hook() -> None:
    catalogue = Catalogue(make_plugin_manager()[0])
    assert {name for kind, name in catalogue.parts if kind is PartKind.JUDGE} >= {"evidence", "threshold"}
    assert isinstance(catalogue.make(PartKind.JUDGE, "threshold", {"least": 10}), Threshold)
    with pytest.raises(PluginFailed, match=r"'threshold'.*metrics\.joy needs a tolerance"):
        catalogue.make(PartKind.JUDGE, "threshold", {"metrics": {"joy": {}}})
