"""The scenario, run for real: it passes with every fault, and says so where it can be read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from grove_core.base.errors import InvalidInput
from grove_core.base.ways import MemoryKind
from grove_core.parts.settings import Choice, Settings
from grove_core.scenario.coexistence import Coexistence, Realtime, run_command
from grove_core.scenario.metrics import FAULT_SEEN, Assertion, Metric
from grove_core.scenario.report import render
from grove_core.scenario.seen import Phase
from grove_core.wire.messages import InjectedKind

if TYPE_CHECKING:
    from pathlib import Path

    from grove_core.scenario.result import Result

pytestmark = [pytest.mark.needs(1, 2, 3), pytest.mark.timeout(300)]
SLOW_TICKS = 6
"""Ticks a simulated second, so that a run of 150 s takes few."""


def said(result: Result) -> str:
    return render(result)


@pytest.mark.parametrize("fault", InjectedKind)
def test_it_passes_with_every_fault(fault: InjectedKind) -> None:
    result = Coexistence(fault=fault, ticks_per_second=SLOW_TICKS).run()
    assert result.passed, said(result)
    (seen,) = result.seen.phases[Phase.ROLLBACK].faults
    assert seen.kind is FAULT_SEEN[fault]
    assert result.metrics[Metric.GC_TRIGGER_TIME_S] == 10.0
    assert result.metrics[Metric.CANARY_ACCURACY] == 10.0
    assert "✗" not in said(result)


def test_it_passes_without_memfd_and_packets() -> None:
    settings = Settings(memory=MemoryKind.FILE, isolation=Choice("process", {"wire": "stream"}))
    result = Coexistence(settings=settings, ticks_per_second=SLOW_TICKS).run()
    assert result.passed, said(result)


def test_it_passes_without_forks_but_for_the_time_that_an_interpreter_takes() -> None:
    settings = Settings(memory=MemoryKind.FILE, isolation=Choice("spawn", {"wire": "stream"}))
    result = Coexistence(settings=settings, ticks_per_second=SLOW_TICKS).run()
    missed = {assertion for assertion, held in result.assertions.items() if not held}
    assert missed <= {Assertion.MULTI_VERSION_LOADING, Assertion.ROLLBACK_FAST_AND_SAFE}, said(result)
    exact = {Metric.MULTI_VERSION_COUNT: 3, Metric.STATE_RECOVERY: 100, Metric.MEMORY_ISOLATION: 100}
    assert {metric: result.metrics[metric] for metric in exact} == exact


def test_it_passes_at_60_hz() -> None:
    result = Coexistence().run()
    assert result.passed, said(result)
    assert result.seen.ticks == 9000
    counts = [phase.check.counts for phase in result.seen.phases if phase.check]
    assert counts == [{1: 100}, {1: 90, 2: 10}, {1: 0, 2: 100}, {2: 100}, {1: 100}, {1: 20, 2: 30, 3: 50}]
    assert [dict(split.counts) for split in result.seen.splits] == [
        {1: 90, 2: 10},
        {1: 70, 2: 30},
        {1: 50, 2: 50},
        {1: 20, 2: 80},
        {1: 0, 2: 100},
        {1: 20, 2: 30, 3: 50},
    ]
    collected = result.seen.phases[Phase.COLLECTION]
    assert [report.version.major for report in collected.collected] == [1]


@pytest.mark.parametrize("entities", [1, 3, 7, 2049])
def test_any_number_of_entities_is_shared_out_exactly(entities: int) -> None:
    result = Coexistence(entities, ticks_per_second=SLOW_TICKS).run()
    assert result.passed, said(result)
    assert ("Entities are whole" in said(result)) == (entities < 10)


def test_the_routers_of_the_specification_will_do_for_a_hundred() -> None:
    settings = Settings(router=Choice("modulo"))
    result = Coexistence(settings=settings, ticks_per_second=SLOW_TICKS).run()
    assert result.passed, said(result)


@pytest.mark.parametrize(("entities", "ticks_per_second"), [(0, 60), (-1, 60), (1, 0)])
def test_less_than_one_is_refused(entities: int, ticks_per_second: int) -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        Coexistence(entities, ticks_per_second=ticks_per_second)


def test_ticks_are_paced_and_observed() -> None:
    paced: list[float] = []
    observed: list[int] = []
    result = Coexistence(
        2, ticks_per_second=2, pace=paced.append, after_tick=lambda engine, ticks: observed.append(ticks)
    ).run()
    assert paced == [tick / 2 for tick in range(300)]
    assert observed == list(range(1, 301))
    assert result.seen.ticks == 300


def test_real_time_is_kept_and_what_is_late_is_not_waited_for() -> None:
    pace = Realtime()
    start = time.monotonic()
    for tick in range(6):
        pace(tick / 60)
    assert time.monotonic() - start >= 5 / 60
    late = time.monotonic()
    pace(-10)
    assert time.monotonic() - late < 0.05


def grove(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    program = "import sys; from grove_core.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "scenario", "coexistence", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def outcome(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    path = tmp_path_factory.mktemp("coexistence") / "result.json"
    done = grove("--fault", "kill", "--json", str(path))
    return done, json.loads(path.read_text("utf-8")) if path.exists() else {}


Outcome = tuple[subprocess.CompletedProcess[str], dict[str, Any]]


def test_the_command_passes_and_writes_what_was_asked_for(outcome: Outcome) -> None:
    done, document = outcome
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(document) == ["result", "entities", "metrics", "thresholds", "assertions", "phases"]
    assert (document["result"], document["entities"]) == ("PASSED", 100)
    assert document["assertions"] == {
        "multi_version_loading": True,
        "canary_deployment_accurate": True,
        "progressive_migration_no_loss": True,
        "rollback_fast_and_safe": True,
        "memory_isolation_complete": True,
        "auto_gc_triggered": True,
        "three_way_coexistence": True,
        "traffic_routing_precise": True,
        "total_entities_constant": True,
        "no_crashes": True,
    }


def test_metrics_are_percent_and_have_their_thresholds(outcome: Outcome) -> None:
    metrics, thresholds = outcome[1]["metrics"], outcome[1]["thresholds"]
    exact = {
        "canary_accuracy": 10,
        "traffic_split_accuracy": 0,
        "migration_data_loss": 0,
        "migration_steps": 4,
        "state_recovery": 100,
        "memory_isolation": 100,
        "gc_trigger_time_s": 10,
        "multi_version_count": 3,
        "total_entities": 100,
    }
    assert {name: metrics[name] for name in exact} == exact
    limits: dict[str, dict[str, float]] = {
        "version_load_time_ms": {"below": 200},
        "canary_accuracy": {"target": 10, "within": 2},
        "traffic_split_accuracy": {"target": 0, "within": 2},
        "state_migration_time_ms": {"below": 500},
        "migration_data_loss": {"target": 0},
        "migration_steps": {"target": 4},
        "ramp_tick_p99_ms": {"below": 16.7},
        "rollback_time_ms": {"below": 200},
        "rollback_downtime_ms": {"below": 1000},
        "state_recovery": {"target": 100},
        "memory_isolation": {"target": 100},
        "gc_trigger_time_s": {"target": 10},
        "gc_efficiency": {"above": 95},
        "gc_time_ms": {"below": 100},
        "multi_version_count": {"target": 3},
        "total_entities": {"target": 100},
    }
    assert thresholds == limits
    assert set(metrics) == {*limits, "performance_comparison"}
    for name, limit in limits.items():
        assert metrics[name] < limit.get("below", float("inf"))
        assert metrics[name] > limit.get("above", float("-inf"))
    frames = metrics["performance_comparison"]
    assert list(frames) == ["v1", "v2", "v3"]
    assert all(ms > 0 for ms in frames.values())


def test_phases_tell_their_seconds_ticks_and_counts(outcome: Outcome) -> None:
    phases = outcome[1]["phases"]
    assert all(list(phase) == ["name", "seconds", "ticks", "counts", "notes"] for phase in phases)
    assert [(phase["seconds"], phase["ticks"]) for phase in phases] == [
        (10, 600),
        (40, 2400),
        (40, 2400),
        (10, 600),
        (20, 1200),
        (30, 1800),
    ]
    assert phases[-1]["counts"] == {"v1": 20, "v2": 30, "v3": 50}
    assert any("fault of v2: death" in note for note in phases[4]["notes"])


def test_the_text_says_the_same(outcome: Outcome) -> None:
    text = outcome[0].stdout
    assert re.search(r"^Result: .* PASSED$", text, re.MULTILINE)
    assert "✗" not in text
    assert "\x1b" not in text, "piped output is plain"
    for said_so in (
        "=== Phase 0: Setup Baseline (10s) ===",
        "v1: 90 entities (90.0%) ✓",
        "t=80s: Traffic split → 100% v2, 0% v1",
        "✓ v1 was unloaded automatically",
        "4. Traffic redirected",
        "against v1",
        "METRICS SUMMARY",
        "✓ multi_version_loading (3 versions loaded)",
    ):
        assert said_so in text
    assert not outcome[0].stderr


@pytest.mark.parametrize("arguments", [["--entities", "0"], ["--entities", "many"], ["--fault", "fire"]])
def test_usage_errors(arguments: list[str]) -> None:
    done = grove(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


def test_a_terminal_that_knows_no_check_marks_is_no_reason_to_fall(outcome: Outcome) -> None:
    done = grove("--entities", "5", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout


def test_json_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "missing" / "result.json"
    assert run_command(1, InjectedKind.RAISE, False, path, Settings()) == 1
    assert str(path) in capsys.readouterr().err


def test_settings_that_name_no_part_end_in_a_message() -> None:
    result = Coexistence(settings=Settings(router=Choice("dice")), ticks_per_second=SLOW_TICKS).run()
    assert not result.passed
    assert not any(result.assertions[each] for each in Assertion)
    assert "UnknownPart" in (result.seen.phases[0].error or "")
    assert "dice" in said(result)
