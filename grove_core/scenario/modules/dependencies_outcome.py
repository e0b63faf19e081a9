"""What a run of `dependencies` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section
from grove_core.scenario.modules.cases import SHOWN, held, net_p50_ms, notes, table, worst_ms
from grove_core.scenario.modules.dependencies_cases import REFUSED, Case

if TYPE_CHECKING:
    from grove_core.scenario.modules.dependencies import DependenciesSeen

RELOAD_MS = 200.0
CYCLE_MS = 50.0
GROWTH_MB = 5.0
WIDTH = 76
LEGEND = (
    "p50 and worst: in real time; net, below: without the time for which engine and workers had no processor, as far "
    "as the kernel tells it. A version says what it needs only once its code runs: what is not loaded is started for "
    "that, in a process of its own, one after the other."
)


class Metric(StrEnum):
    """The metrics."""

    RELOAD_P50_MS = "reload_net_p50_ms"
    RELOAD_WORST_MS = "reload_worst_ms"
    CYCLE_P50_MS = "cycle_net_p50_ms"
    CYCLE_WORST_MS = "cycle_worst_ms"
    NEW_CYCLE_P50_MS = "new_cycle_net_p50_ms"
    LOAD_MS = "load_ms"
    CASES = "cases"
    WRONG = "wrong"
    DIFFERENCES = "differences"
    HALF_LOADED = "half_loaded"
    MEMORY_GROWTH_MB = "memory_growth_mb"
    REAL_SECONDS = "real_seconds"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    EVERY_CASE_PLAYED = "every_case_played"
    WHAT_IS_NEEDED_IS_LOADED = "what_is_needed_is_loaded"
    BASES_ARE_TICKED_FIRST = "bases_are_ticked_first"
    DEPENDENTS_RELOADED = "dependents_reloaded"
    RELOADS_FAST = "reloads_fast"
    INDEPENDENT_UNTOUCHED = "independent_untouched"
    WHAT_IS_NEEDED_STAYS = "what_is_needed_stays"
    CYCLES_REFUSED = "cycles_refused"
    CYCLES_REFUSED_FAST = "cycles_refused_fast"
    OUT_OF_RANGE_REFUSED = "out_of_range_refused"
    FAILURES_EXPLAINED = "failures_explained"
    NOTHING_HALF_LOADED = "nothing_half_loaded"
    ENTITIES_EXACT = "entities_exact"
    NOTHING_LEFT = "nothing_left"


CASES: Mapping[Assertion, tuple[Case, ...]] = {
    Assertion.WHAT_IS_NEEDED_IS_LOADED: (Case.PULLED, Case.DIAMOND),
    Assertion.BASES_ARE_TICKED_FIRST: (Case.ORDER,),
    Assertion.DEPENDENTS_RELOADED: (Case.CANARY, Case.RELOAD, Case.FAULT, Case.IN_TURN),
    Assertion.WHAT_IS_NEEDED_STAYS: (Case.UNLOAD,),
    Assertion.CYCLES_REFUSED: (Case.CYCLE, Case.NEW_CYCLE),
    Assertion.OUT_OF_RANGE_REFUSED: (Case.RANGE,),
    Assertion.FAILURES_EXPLAINED: (Case.MISSING, Case.CONFLICT),
}
"""What is proven by cases in which nothing was wrong."""
FAST: Mapping[Assertion, tuple[Metric, Case]] = {
    Assertion.RELOADS_FAST: (Metric.RELOAD_P50_MS, Case.RELOAD),
    Assertion.CYCLES_REFUSED_FAST: (Metric.CYCLE_P50_MS, Case.CYCLE),
}
"""What is proven by how long a case took."""


def gauges(cases: int) -> dict[Metric, Gauge]:
    """Return what the metrics of so many cases are held against."""
    reload, cycle = Threshold(below=RELOAD_MS, binding=False), Threshold(below=CYCLE_MS, binding=False)
    return {
        Metric.RELOAD_P50_MS: Gauge("Base changed, both reloaded, p50 net", "{:.1f}ms", Threshold(below=RELOAD_MS)),
        Metric.RELOAD_WORST_MS: Gauge("The same, worst of all", "{:.1f}ms", reload),
        Metric.CYCLE_P50_MS: Gauge("What closes a cycle refused, p50 net", "{:.1f}ms", Threshold(below=CYCLE_MS)),
        Metric.CYCLE_WORST_MS: Gauge("The same, worst of all", "{:.1f}ms", cycle),
        Metric.NEW_CYCLE_P50_MS: Gauge("A cycle of three refused, p50 net", "{:.1f}ms", cycle),
        Metric.LOAD_MS: Gauge("Load that brings two along", "{:.1f}ms", Threshold(below=200.0, binding=False)),
        Metric.CASES: Gauge("Cases", "{:d}", Threshold(target=cases)),
        Metric.WRONG: Gauge("What was wrong in them", "{:d}", Threshold(target=0)),
        Metric.DIFFERENCES: Gauge("Of it, differences from the reference", "{:d}", Threshold(target=0)),
        Metric.HALF_LOADED: Gauge("Left of what was refused", "{:d}", Threshold(target=0)),
        Metric.MEMORY_GROWTH_MB: Gauge("Memory growth by it, most", "{:.2f}MB", Threshold(below=GROWTH_MB)),
        Metric.REAL_SECONDS: Gauge("The run, in real time", "{:.1f}s", Threshold(below=30.0, binding=False)),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    }


def outcome(seen: DependenciesSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    metrics, by = _measured(seen), gauges(len(seen.played))
    differences = [f"{each.case}: {sentence}" for each in seen.cases for sentence in each.differences]
    proven = {
        **{assertion: held(seen.cases, seen.played, *cases) for assertion, cases in CASES.items()},
        **{
            assertion: by[metric].threshold.holds(metrics[metric]) if case in seen.played else None
            for assertion, (metric, case) in FAST.items()
        },
        **_whole(seen, memory=by[Metric.MEMORY_GROWTH_MB].threshold.holds(metrics[Metric.MEMORY_GROWTH_MB])),
    }
    return Outcome(
        title="Dependencies: modules that need each other",
        facts={"scenario": "dependencies", "entities": seen.entities, "rounds": seen.rounds},
        about=(
            f"{seen.entities:,} entities in each of map <- units <- ai, and of chat, which needs nothing.",
            "All of it is held against a reference after every case.",
        ),
        gauges=by,
        metrics=metrics,
        assertions={assertion: proven[assertion] for assertion in Assertion},
        notes={
            **{assertion: notes(seen.cases, *cases) for assertion, cases in CASES.items()},
            Assertion.INDEPENDENT_UNTOUCHED: seen.touched[:SHOWN],
            Assertion.NOTHING_HALF_LOADED: seen.half[:SHOWN],
            Assertion.ENTITIES_EXACT: differences[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(
            Section("What was asked of it", (*table(seen.cases), "", *textwrap.wrap(LEGEND, WIDTH))),
            Section("What was refused", tuple(_told(seen))),
        ),
        details={"cases": [case.document() for case in seen.cases]},
        error=seen.error,
    )


def _whole(seen: DependenciesSeen, *, memory: bool) -> dict[Assertion, bool | None]:
    """Tell what is proven by the run as a whole."""
    alive, refused = seen.error is None, any(case in REFUSED for case in seen.played)
    return {
        Assertion.ENGINE_ALIVE: alive,
        Assertion.EVERY_CASE_PLAYED: len(seen.cases) == len(seen.played) and alive,
        Assertion.INDEPENDENT_UNTOUCHED: not seen.touched and alive,
        Assertion.NOTHING_HALF_LOADED: (not seen.half and memory and alive) if refused else None,
        Assertion.ENTITIES_EXACT: not any(case.differences for case in seen.cases) and alive,
        Assertion.NOTHING_LEFT: not seen.left and alive,
    }


def _measured(seen: DependenciesSeen) -> dict[Metric, float | None]:
    return {
        Metric.RELOAD_P50_MS: net_p50_ms(seen.cases, Case.RELOAD),
        Metric.RELOAD_WORST_MS: worst_ms(seen.cases, Case.RELOAD),
        Metric.CYCLE_P50_MS: net_p50_ms(seen.cases, Case.CYCLE),
        Metric.CYCLE_WORST_MS: worst_ms(seen.cases, Case.CYCLE),
        Metric.NEW_CYCLE_P50_MS: net_p50_ms(seen.cases, Case.NEW_CYCLE),
        Metric.LOAD_MS: worst_ms(seen.cases, Case.PULLED),
        Metric.CASES: len(seen.cases),
        Metric.WRONG: sum(len(case.wrong) + len(case.differences) for case in seen.cases),
        Metric.DIFFERENCES: sum(len(case.differences) for case in seen.cases),
        Metric.HALF_LOADED: len(seen.half),
        Metric.MEMORY_GROWTH_MB: max(seen.growth_mb, default=None),
        Metric.REAL_SECONDS: seen.real_seconds,
        Metric.LEFT_OVER: len(seen.left),
    }


def _told(seen: DependenciesSeen) -> Iterator[str]:
    """Show what the engine said of each case in which it refused something."""
    for case in seen.cases:
        for number, line in enumerate(case.told.splitlines()):
            yield from textwrap.wrap(line, WIDTH, initial_indent="  " * (number > 0), subsequent_indent="      ")
