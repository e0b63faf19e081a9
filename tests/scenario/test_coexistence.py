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
from grove_core.base.ticks import Stage
from grove_core.base.ways import MemoryKind
from grove_core.cli.scenario import COEXISTENCE_FAULTS
from grove_core.parts.settings import Choice, Settings
from grove_core.scenario.coexistence import Coexistence, Realtime, deadline_ms, run_command
from grove_core.scenario.frames import Cause
from grove_core.scenario.metrics import BUDGETED_ENTITIES, Assertion, Metric
from grove_core.scenario.report import render
from grove_core.scenario.seen import Phase
from grove_core.wire.faults import SEEN_AS, InjectedKind

if TYPE_CHECKING:
    from pathlib import Path

    from grove_core.scenario.result import Result

pytestmark = [pytest.mark.needs(1, 2, 3), pytest.mark.timeout(300)]
SLOW_TICKS = 6
"""Ticks a simulated second, so that a run of 150 s takes few."""
HAPPENED = {
    0.0: (Cause.LOAD, Cause.SPAWN),
    10.0: (Cause.LOAD, Cause.SPLIT),
    50.0: (Cause.SPLIT,),
    60.0: (Cause.SPLIT,),
    70.0: (Cause.SPLIT,),
    80.0: (Cause.SPLIT,),
    90.0: (Cause.COLLECTION,),
    100.0: (Cause.LOAD, Cause.LOSS),
    120.0: (Cause.LOAD, Cause.SPLIT),
}
"""What happens in which frame, by the simulated time of its tick."""


def said(result: Result) -> str:
    return render(result)


@pytest.mark.parametrize("fault", COEXISTENCE_FAULTS)
def test_it_passes_with_every_fault(fault: InjectedKind) -> None:
    result = Coexistence(fault=fault, ticks_per_second=SLOW_TICKS).run()
    assert result.passed, said(result)
    (seen,) = result.seen.phases[Phase.ROLLBACK].faults
    assert seen.kind is SEEN_AS[fault]
    assert result.metrics[Metric.GC_TRIGGER_TIME_S] == 10.0
    assert result.metrics[Metric.CANARY_ACCURACY] == 10.0
    assert "✗" not in said(result)
    happened = {frame.second: frame.causes for frame in result.seen.frames if frame.causes}
    assert happened == HAPPENED


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
    assert result.seen.ticks == len(result.seen.frames) == 9000
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


def test_a_frame_is_its_tick_and_what_came_before_it() -> None:
    seen = Coexistence(ticks_per_second=SLOW_TICKS).run().seen
    for frame, reported in zip(seen.frames, (ms for phase in seen.phases for ms in phase.tick_ms), strict=True):
        assert sum(frame.stages.values()) <= reported <= frame.tick_ms <= frame.ms
        assert set(frame.stages) == set(Stage)
        if not {Cause.SPAWN, Cause.SPLIT, Cause.LOSS} & set(frame.causes):
            assert frame.ms == frame.tick_ms, "there was nothing but the tick"
    loads = {0.0: 0, 10.0: 1, 120.0: 5}
    for frame in seen.frames:
        if frame.second in loads:
            loaded = sum(load.ms for load in seen.phases[loads[frame.second]].loads)
            assert frame.ms - frame.tick_ms >= loaded


@pytest.mark.parametrize(
    ("entities", "ms"), [(1, 250), (100_000, 250), (500_000, 250), (1_000_000, 500), (1 << 24, 750)]
)
def test_the_deadline_of_a_tick_grows_with_the_population(entities: int, ms: float) -> None:
    assert deadline_ms(entities) == ms


def test_a_deadline_that_was_chosen_is_kept_and_either_is_shown() -> None:
    result = Coexistence(5, settings=Settings(tick_deadline_ms=300), ticks_per_second=1).run()
    assert "A version may take 300 ms for a tick (tick_deadline_ms)" in said(result)
    assert result.document()["tick_deadline_ms"] == 300
    assert "may take 250 ms" in said(Coexistence(5, ticks_per_second=1).run())


def test_it_passes_with_more_than_the_budgets_are_for() -> None:
    result = Coexistence(BUDGETED_ENTITIES + 1, ticks_per_second=1).run()
    assert result.assertions[Assertion.FRAMES_IN_TIME] is None
    assert result.passed, said(result)
    assert "decides nothing for 100001 entities" in said(result)
    assert result.document()["assertions"]["frames_in_time"] is None
    assert result.document()["frames"]["all"]["count"] == 150


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
    assert list(document) == [
        "result",
        "entities",
        "ticks_per_second",
        "tick_deadline_ms",
        "metrics",
        "thresholds",
        "assertions",
        "frames",
        "phases",
    ]
    assert (document["result"], document["entities"], document["tick_deadline_ms"]) == ("PASSED", 100, 250)
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
        "frames_in_time": True,
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
        "frame_own_p99_ms": {"below": 8},
        "frame_p99_ms": {"below": 8, "binding": False},
        "frame_worst_ms": {"below": 16.7, "binding": False},
    }
    assert thresholds == limits
    assert set(metrics) == {*limits, "performance_comparison"}
    for name, limit in limits.items():
        if not limit.get("binding", True):
            continue
        assert metrics[name] < limit.get("below", float("inf"))
        assert metrics[name] > limit.get("above", float("-inf"))
    frames = metrics["performance_comparison"]
    assert list(frames) == ["v1", "v2", "v3"]
    assert all(ms > 0 for ms in frames.values())


def test_the_frames_are_told_with_what_happened_in_them(outcome: Outcome) -> None:
    frames = outcome[1]["frames"]
    spread = {"count", "p50_ms", "p99_ms", "max_ms"}
    assert list(frames) == [
        "all",
        "without_load_or_loss",
        "without_load_or_loss_or_waits",
        "by_cause",
        "over_budget",
        "over_budget_without_waits",
        "worst",
        "loads_and_losses",
    ]
    assert (frames["all"]["count"], frames["without_load_or_loss"]["count"]) == (9000, 8996)
    assert {cause: told["count"] for cause, told in frames["by_cause"].items()} == {
        "tick_only": 8991,
        "load": 4,
        "spawn": 1,
        "split": 6,
        "loss": 1,
        "collection": 1,
    }
    assert all(set(told) == spread for told in (frames["all"], *frames["by_cause"].values()))
    assert frames["without_load_or_loss"]["p99_ms"] == outcome[1]["metrics"]["frame_p99_ms"]
    assert [frame["ms"] for frame in frames["worst"]] == sorted((f["ms"] for f in frames["worst"]), reverse=True)
    assert [frame["second"] for frame in frames["loads_and_losses"]] == [0, 10, 100, 120]
    for frame in (*frames["worst"], *frames["loads_and_losses"]):
        assert list(frame["stages"]) == ["checkpoint", "work", "commit", "collect"]


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
        "FRAMES",
        "Every frame with a load or a loss",
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
