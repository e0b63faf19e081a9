"""What a run of `races` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.parts.folders import QUIET_SECONDS
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile
from grove_core.scenario.reliability.rewriting import Manner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.scenario.reliability.races import RacesSeen

SUCCESS_PERCENT = 99.0
SHOWN = 10
"""How many sentences of a kind are shown."""


class Metric(StrEnum):
    """The metrics; shares are percent, never fractions."""

    LOADS = "loads"
    OVERLAPPED_PERCENT = "overlapped_percent"
    CORRUPT = "corrupt"
    BEYOND_WHAT_CAN_BE_TOLD = "beyond_what_can_be_told"
    SUCCESS_PERCENT = "success_percent"
    REFUSED = "refused"
    RESTARTED_OTHERWISE = "restarted_otherwise"
    LOAD_P50_MS = "load_p50_ms"
    LOAD_P99_MS = "load_p99_ms"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    WRITINGS_MET_LOADS = "writings_met_loads"
    HALF_WRITTEN_CODE_NEVER_RUNS = "half_written_code_never_runs"
    RELOADS_SUCCEED = "reloads_succeed"
    RESTARTS_RUN_THE_SAME = "restarts_run_the_same"
    NOTHING_LEFT = "nothing_left"


GAUGES: dict[Metric, Gauge] = {
    Metric.LOADS: Gauge("Loads", "{:d}", Threshold(above=0)),
    Metric.OVERLAPPED_PERCENT: Gauge("Loads during which it was written", "{:.1f}%", Threshold(above=50.0)),
    Metric.CORRUPT: Gauge("Half-written code that ran", "{:d}", Threshold(target=0)),
    Metric.BEYOND_WHAT_CAN_BE_TOLD: Gauge(
        "The same where nobody could tell", "{:d}", Threshold(target=0, binding=False)
    ),
    Metric.SUCCESS_PERCENT: Gauge("Loads that succeeded", "{:.1f}%", Threshold(above=SUCCESS_PERCENT)),
    Metric.REFUSED: Gauge("Loads refused: it is being written, or gone", "{:d}", Threshold(target=0, binding=False)),
    Metric.RESTARTED_OTHERWISE: Gauge("Restarts that ran something else", "{:d}", Threshold(target=0)),
    Metric.LOAD_P50_MS: Gauge(
        "Load, its wait for the writer included, p50", "{:.1f}ms", Threshold(1000, binding=False)
    ),
    Metric.LOAD_P99_MS: Gauge(
        "Load, its wait for the writer included, p99", "{:.1f}ms", Threshold(1000, binding=False)
    ),
    Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
}


def outcome(seen: RacesSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    races = seen.races
    corrupt = [f"load {n}: {race.corrupt}" for n, race in enumerate(races, 1) if race.corrupt and not race.beyond]
    beyond = sum(race.corrupt is not None and race.beyond for race in races)
    refused = [f"load {n}: {race.refused}" for n, race in enumerate(races, 1) if race.refused]
    otherwise = [f"load {n}: {race.restarted_otherwise}" for n, race in enumerate(races, 1) if race.restarted_otherwise]
    good = len(races) - len(corrupt) - beyond - len(refused)
    metrics: dict[Metric, float | None] = {
        Metric.LOADS: len(races),
        Metric.OVERLAPPED_PERCENT: 100 * sum(race.overlapped for race in races) / len(races) if races else None,
        Metric.CORRUPT: len(corrupt),
        Metric.BEYOND_WHAT_CAN_BE_TOLD: beyond,
        Metric.SUCCESS_PERCENT: 100 * good / len(races) if races else None,
        Metric.REFUSED: len(refused),
        Metric.RESTARTED_OTHERWISE: len(otherwise),
        Metric.LOAD_P50_MS: percentile([race.ms for race in races], 50),
        Metric.LOAD_P99_MS: percentile([race.ms for race in races], 99),
        Metric.LEFT_OVER: len(seen.left),
    }

    def met(name: Metric) -> bool:
        return GAUGES[name].threshold.holds(metrics[name])

    alive = seen.error is None and len(races) == seen.loads
    return Outcome(
        title="Races: a package that is rewritten while it is loaded",
        facts={"scenario": "races", "loads": seen.loads, "seed": seen.seed},
        about=(
            f"{seen.loads} loads by path of a package of three files, seed {seen.seed}; another process writes it",
            "anew meanwhile, file by file. Every other one has a RECORD with the hashes of its files.",
        ),
        gauges=GAUGES,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.WRITINGS_MET_LOADS: met(Metric.OVERLAPPED_PERCENT),
            Assertion.HALF_WRITTEN_CODE_NEVER_RUNS: met(Metric.CORRUPT) and alive,
            Assertion.RELOADS_SUCCEED: met(Metric.SUCCESS_PERCENT),
            Assertion.RESTARTS_RUN_THE_SAME: met(Metric.RESTARTED_OTHERWISE) and alive,
            Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
        },
        notes={
            Assertion.HALF_WRITTEN_CODE_NEVER_RUNS: corrupt[:SHOWN],
            Assertion.RELOADS_SUCCEED: refused[:SHOWN],
            Assertion.RESTARTS_RUN_THE_SAME: otherwise[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(Section("Loads by how it was written", tuple(_table(seen))),),
        details={"by_manner": _documents(seen)},
        error=seen.error,
    )


def _documents(seen: RacesSeen) -> list[dict[str, object]]:
    return [
        {
            "manner": manner.value,
            "with_record": with_record,
            "loads": len(group),
            "overlapped": sum(race.overlapped for race in group),
            "ran_before": sum(race.ran is not None and not race.newest for race in group),
            "ran_newest": sum(race.newest for race in group),
            "refused": sum(race.refused is not None for race in group),
            "corrupt": sum(race.corrupt is not None for race in group),
        }
        for manner in Manner
        for with_record in (True, False)
        if (group := [race for race in seen.races if race.manner is manner and race.with_record is with_record])
    ]


def _table(seen: RacesSeen) -> Iterator[str]:
    yield f"{'written':<12}{'RECORD':<8}{'loads':>6}{'met':>6}{'ran old':>9}{'ran new':>9}{'refused':>9}{'corrupt':>9}"
    for one in _documents(seen):
        numbers = f"{one['loads']:>6}{one['overlapped']:>6}{one['ran_before']:>9}{one['ran_newest']:>9}"
        kept = "yes" if one["with_record"] else "no"
        yield f"{one['manner']:<12}{kept:<8}{numbers}{one['refused']:>9}{one['corrupt']:>9}"
    yield from (
        "",
        "met: there was a moment at which it was loaded and written. ran old, ran new: all files",
        "were of the writing before, or of the one beside the load. Each version is killed and",
        "restarted once the new one is written, and must run what it ran.",
        f"Nobody could tell: no RECORD, and a writer that rested for {1000 * QUIET_SECONDS:g} ms halfway.",
    )
