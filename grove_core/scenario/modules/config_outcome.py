"""What a run of `config` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section
from grove_core.scenario.modules.cases import SHOWN, held, net_p50_ms, notes, table, worst_ms
from grove_core.scenario.modules.config_cases import Case
from grove_core.scenario.modules.turrets import MODULE

if TYPE_CHECKING:
    from grove_core.scenario.modules.config import ConfigSeen

UPDATE_MS = 50.0
REFUSED_MS = 10.0
FILE_MS = 100.0
WIDTH = 76
LEGEND = (
    "p50 and worst: in real time, all versions together; net, below: without the time for which engine and workers had "
    "no processor, as far as the kernel tells it. What hangs is given up after 500 ms, its limit. grove.toml: the tick "
    "that reads the change, whole; modules run with it in that tick."
)


class Metric(StrEnum):
    """The metrics."""

    UPDATE_P50_MS = "update_net_p50_ms"
    UPDATE_WORST_MS = "update_worst_ms"
    PARTIAL_P50_MS = "partial_net_p50_ms"
    RESTART_P50_MS = "restart_net_p50_ms"
    INVALID_P50_MS = "invalid_net_p50_ms"
    RAISED_P50_MS = "raised_net_p50_ms"
    REFUSED_WORST_MS = "refused_worst_ms"
    FILE_P50_MS = "file_net_p50_ms"
    FILE_WORST_MS = "file_worst_ms"
    CASES = "cases"
    WRONG = "wrong"
    DIFFERENCES = "differences"
    REAL_SECONDS = "real_seconds"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    EVERY_CASE_PLAYED = "every_case_played"
    UPDATES_FAST = "updates_fast"
    EVERY_WORKER_HAS_IT = "every_worker_has_it"
    ONE_VERSION_ALONE = "one_version_alone"
    MERGES_EXACT = "merges_exact"
    THE_LIVING_KEEP_THEIRS = "the_living_keep_theirs"
    EVERY_MISTAKE_TOLD = "every_mistake_told"
    REFUSED_CHANGES_NOTHING = "refused_changes_nothing"
    REFUSED_FAST = "refused_fast"
    FAILURES_CONTAINED = "failures_contained"
    WHAT_HELD_LAST_COMES_BACK = "what_held_last_comes_back"
    FILE_FOLLOWED = "file_followed"
    FILE_FAST = "file_fast"
    BAD_FILE_CHANGES_NOTHING = "bad_file_changes_nothing"
    ENTITIES_EXACT = "entities_exact"
    NOTHING_LEFT = "nothing_left"


CASES: Mapping[Assertion, tuple[Case, ...]] = {
    Assertion.EVERY_WORKER_HAS_IT: (Case.UPDATE, Case.RESTART),
    Assertion.ONE_VERSION_ALONE: (Case.ONE,),
    Assertion.MERGES_EXACT: (Case.PARTIAL, Case.MERGES),
    Assertion.THE_LIVING_KEEP_THEIRS: (Case.NEWBORN,),
    Assertion.EVERY_MISTAKE_TOLD: (Case.MISTAKES,),
    Assertion.REFUSED_CHANGES_NOTHING: (Case.INVALID, Case.RAISE),
    Assertion.FAILURES_CONTAINED: (Case.HANG, Case.DEATH),
    Assertion.WHAT_HELD_LAST_COMES_BACK: (Case.ANEW,),
    Assertion.FILE_FOLLOWED: (Case.FILE,),
    Assertion.BAD_FILE_CHANGES_NOTHING: (Case.BAD_FILE,),
}
"""What is proven by cases in which nothing was wrong."""
FAST: Mapping[Assertion, Mapping[Metric, Case]] = {
    Assertion.UPDATES_FAST: {Metric.UPDATE_P50_MS: Case.UPDATE, Metric.PARTIAL_P50_MS: Case.PARTIAL},
    Assertion.REFUSED_FAST: {Metric.INVALID_P50_MS: Case.INVALID, Metric.RAISED_P50_MS: Case.RAISE},
    Assertion.FILE_FAST: {Metric.FILE_P50_MS: Case.FILE},
}
"""What is proven by how long cases took."""


def gauges(cases: int) -> dict[Metric, Gauge]:
    """Return what the metrics of so many cases are held against."""
    update, refused = Threshold(below=UPDATE_MS), Threshold(below=REFUSED_MS)
    return {
        Metric.UPDATE_P50_MS: Gauge("Update of all versions, p50 net", "{:.1f}ms", update),
        Metric.UPDATE_WORST_MS: Gauge("The same, worst of all", "{:.1f}ms", Threshold(below=UPDATE_MS, binding=False)),
        Metric.PARTIAL_P50_MS: Gauge("Update by changes, p50 net", "{:.1f}ms", update),
        Metric.RESTART_P50_MS: Gauge(
            "Update with a new worker, p50 net", "{:.1f}ms", Threshold(below=UPDATE_MS, binding=False)
        ),
        Metric.INVALID_P50_MS: Gauge("Refused as not described, p50 net", "{:.1f}ms", refused),
        Metric.RAISED_P50_MS: Gauge("Refused and rolled back, p50 net", "{:.1f}ms", refused),
        Metric.REFUSED_WORST_MS: Gauge("Both, worst of all", "{:.1f}ms", Threshold(below=REFUSED_MS, binding=False)),
        Metric.FILE_P50_MS: Gauge("A change of grove.toml, p50 net", "{:.1f}ms", Threshold(below=FILE_MS)),
        Metric.FILE_WORST_MS: Gauge("The same, worst of all", "{:.1f}ms", Threshold(below=FILE_MS, binding=False)),
        Metric.CASES: Gauge("Cases", "{:d}", Threshold(target=cases)),
        Metric.WRONG: Gauge("What was wrong in them", "{:d}", Threshold(target=0)),
        Metric.DIFFERENCES: Gauge("Of it, differences from the reference", "{:d}", Threshold(target=0)),
        Metric.REAL_SECONDS: Gauge("The run, in real time", "{:.1f}s", Threshold(below=30.0, binding=False)),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    }


def outcome(seen: ConfigSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    metrics, by = _measured(seen), gauges(len(seen.played))
    alive = seen.error is None
    differences = [f"{each.case}: {sentence}" for each in seen.cases for sentence in each.differences]

    def fast(of: Mapping[Metric, Case]) -> bool | None:
        there = [metric for metric, case in of.items() if case in seen.played]
        return all(by[metric].threshold.holds(metrics[metric]) for metric in there) if there else None

    proven = {assertion: held(seen.cases, seen.played, *cases) for assertion, cases in CASES.items()}
    return Outcome(
        title="Config: changed while versions run",
        facts={"scenario": "config", "entities": seen.entities, "rounds": seen.rounds},
        about=(
            f"{seen.entities:,} entities in two versions at a time. After each change and refusal a tick",
            "shows who runs with which config; every value is held against a reference.",
        ),
        gauges=by,
        metrics=metrics,
        assertions={
            assertion: proven[assertion]
            if assertion in proven
            else fast(FAST[assertion])
            if assertion in FAST
            else _whole(seen, alive)[assertion]
            for assertion in Assertion
        },
        notes={
            **{assertion: notes(seen.cases, *cases) for assertion, cases in CASES.items()},
            Assertion.ENTITIES_EXACT: differences[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(
            Section("What was changed", (*table(seen.cases), "", *textwrap.wrap(LEGEND, WIDTH))),
            Section("How mistakes are told", tuple(_told(seen))),
        ),
        details={"cases": [case.document() for case in seen.cases]},
        error=seen.error,
    )


def _whole(seen: ConfigSeen, alive: bool) -> dict[Assertion, bool]:
    return {
        Assertion.ENGINE_ALIVE: alive,
        Assertion.EVERY_CASE_PLAYED: len(seen.cases) == len(seen.played) and alive,
        Assertion.ENTITIES_EXACT: not any(case.differences for case in seen.cases) and alive,
        Assertion.NOTHING_LEFT: not seen.left and alive,
    }


def _measured(seen: ConfigSeen) -> dict[Metric, float | None]:
    return {
        Metric.UPDATE_P50_MS: net_p50_ms(seen.cases, Case.UPDATE),
        Metric.UPDATE_WORST_MS: worst_ms(seen.cases, Case.UPDATE),
        Metric.PARTIAL_P50_MS: net_p50_ms(seen.cases, Case.PARTIAL),
        Metric.RESTART_P50_MS: net_p50_ms(seen.cases, Case.RESTART),
        Metric.INVALID_P50_MS: net_p50_ms(seen.cases, Case.INVALID),
        Metric.RAISED_P50_MS: net_p50_ms(seen.cases, Case.RAISE),
        Metric.REFUSED_WORST_MS: worst_ms(seen.cases, Case.INVALID, Case.RAISE),
        Metric.FILE_P50_MS: net_p50_ms(seen.cases, Case.FILE),
        Metric.FILE_WORST_MS: worst_ms(seen.cases, Case.FILE),
        Metric.CASES: len(seen.cases),
        Metric.WRONG: sum(len(case.wrong) + len(case.differences) for case in seen.cases),
        Metric.DIFFERENCES: sum(len(case.differences) for case in seen.cases),
        Metric.REAL_SECONDS: seen.real_seconds,
        Metric.LEFT_OVER: len(seen.left),
    }


def _told(seen: ConfigSeen) -> Iterator[str]:
    """Show an error, as far as one version has it: they describe the same."""
    told = next((case.told for case in seen.cases if case.case is Case.MISTAKES and case.told), "")
    for line in told.partition(f"\n{MODULE}@")[0].splitlines():
        yield from textwrap.wrap(line, WIDTH, initial_indent="", subsequent_indent="        ")
