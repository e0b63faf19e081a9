"""What a run of `multi-module` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.scenario.modules.multi_module_seen import MultiModuleSeen

ACT_MS = 200.0
FRAME_MS = 16.7
SHOWN = 10
"""How many sentences of a kind are shown."""
WIDTH = 76
LEGEND = (
    "in: the engine's call, or the tick with the fault. reloaded: what needs the module, in the order in which it got "
    "new workers; its entities and documents stay. Whatever the act is not about is compared bit for bit after it, "
    "with arrays that never met the engine. In every tick a tank asks the map about its tile, by a service, and a "
    "factory asks about its tank: it must be told of this tick, by the version that has the tile or the tank."
)


class Metric(StrEnum):
    """The metrics."""

    ACTS = "acts"
    TICKS_IN_ORDER_PERCENT = "ticks_in_order_percent"
    STRANGERS = "strangers"
    TOUCHED = "touched"
    RELOADS_WRONG = "reloads_wrong"
    DIFFERENCES = "differences"
    UNEVEN = "uneven"
    FAULTS_WRONG = "faults_wrong"
    AREAS = "areas"
    FOREIGN_AREAS = "foreign_areas"
    ACT_P50_MS = "act_p50_ms"
    ACT_WORST_MS = "act_worst_ms"
    TICK_P50_MS = "tick_p50_ms"
    TICK_WORST_MS = "tick_worst_ms"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    EVERY_ACT_PLAYED = "every_act_played"
    ORDER_KEPT = "order_kept"
    OWNERS_ANSWER = "owners_answer"
    OTHERS_UNTOUCHED = "others_untouched"
    DEPENDENTS_RELOADED = "dependents_reloaded"
    ENTITIES_EXACT = "entities_exact"
    SPLITS_EXACT = "splits_exact"
    FAULTS_RECOVERED = "faults_recovered"
    ISOLATED = "isolated"
    NOTHING_LEFT = "nothing_left"


def gauges(seen: MultiModuleSeen) -> dict[Metric, Gauge]:
    """Return what the metrics are held against."""
    none, frame = Threshold(target=0), Threshold(below=FRAME_MS, binding=False)
    act = Threshold(below=ACT_MS, binding=False)
    return {
        Metric.ACTS: Gauge("Acts played", "{:d}", Threshold(target=seen.acts_planned)),
        Metric.TICKS_IN_ORDER_PERCENT: Gauge(
            "Ticks in the order Map, Tank, Production", "{:g}%", Threshold(target=100.0)
        ),
        Metric.STRANGERS: Gauge("Answers from another version than the entity's", "{:d}", none),
        Metric.TOUCHED: Gauge("Changes of modules that an act was not about", "{:d}", none),
        Metric.RELOADS_WRONG: Gauge("Dependents reloaded wrongly, or not", "{:d}", none),
        Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", none),
        Metric.UNEVEN: Gauge("Splits that are not exact", "{:d}", none),
        Metric.FAULTS_WRONG: Gauge("Faults that were not recovered, or not injected", "{:d}", none),
        Metric.AREAS: Gauge("Areas of shared memory that workers map", "{:d}", Threshold(above=0)),
        Metric.FOREIGN_AREAS: Gauge("Of them, areas that are not their own", "{:d}", none),
        Metric.ACT_P50_MS: Gauge("An act, p50", "{:.1f}ms", act),
        Metric.ACT_WORST_MS: Gauge("An act, worst", "{:.1f}ms", act),
        Metric.TICK_P50_MS: Gauge("A tick of all three modules, p50", "{:.2f}ms", frame),
        Metric.TICK_WORST_MS: Gauge("A tick, worst, with a fault", "{:.2f}ms", frame),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", none),
    }


def outcome(seen: MultiModuleSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    held, metrics = gauges(seen), _measured(seen)

    def met(*names: Metric) -> bool:
        return all(held[name].threshold.holds(metrics[name]) for name in names)

    alive = seen.error is None
    return Outcome(
        title="Modules: Map, Tank and Production, each changed while the others go on",
        facts={
            "scenario": "multi-module",
            "tanks": seen.tanks,
            "entities": dict(seen.entities),
            "modules": list(seen.modules),
            "ticks": seen.ticks,
        },
        about=tuple(_about(seen)),
        gauges=held,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.EVERY_ACT_PLAYED: met(Metric.ACTS),
            Assertion.ORDER_KEPT: met(Metric.TICKS_IN_ORDER_PERCENT),
            Assertion.OWNERS_ANSWER: met(Metric.STRANGERS) and alive,
            Assertion.OTHERS_UNTOUCHED: met(Metric.TOUCHED) and alive,
            Assertion.DEPENDENTS_RELOADED: met(Metric.RELOADS_WRONG) and alive,
            Assertion.ENTITIES_EXACT: met(Metric.DIFFERENCES) and alive,
            Assertion.SPLITS_EXACT: met(Metric.UNEVEN) and alive,
            Assertion.FAULTS_RECOVERED: met(Metric.FAULTS_WRONG) and alive,
            Assertion.ISOLATED: met(Metric.AREAS, Metric.FOREIGN_AREAS),
            Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
        },
        notes={
            Assertion.ORDER_KEPT: seen.disorder[:SHOWN],
            Assertion.OWNERS_ANSWER: seen.strangers[:SHOWN],
            Assertion.OTHERS_UNTOUCHED: seen.touched[:SHOWN],
            Assertion.DEPENDENTS_RELOADED: seen.reloads_wrong[:SHOWN],
            Assertion.ENTITIES_EXACT: seen.differences[:SHOWN],
            Assertion.SPLITS_EXACT: seen.uneven[:SHOWN],
            Assertion.FAULTS_RECOVERED: seen.faults_wrong[:SHOWN],
            Assertion.ISOLATED: seen.foreign[:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(Section("What was done", tuple(_table(seen))),),
        details={"acts_played": seen.acts, "compared": seen.compared},
        error=seen.error,
    )


def _measured(seen: MultiModuleSeen) -> dict[Metric, float | None]:
    acts = [each.ms for each in seen.acts]
    return {
        Metric.ACTS: len(seen.acts),
        Metric.TICKS_IN_ORDER_PERCENT: 100 * seen.in_order / seen.ticks if seen.ticks else None,
        Metric.STRANGERS: len(seen.strangers),
        Metric.TOUCHED: len(seen.touched),
        Metric.RELOADS_WRONG: len(seen.reloads_wrong),
        Metric.DIFFERENCES: len(seen.differences),
        Metric.UNEVEN: len(seen.uneven),
        Metric.FAULTS_WRONG: len(seen.faults_wrong),
        Metric.AREAS: seen.areas,
        Metric.FOREIGN_AREAS: len(seen.foreign),
        Metric.ACT_P50_MS: percentile(acts, 50),
        Metric.ACT_WORST_MS: max(acts, default=None),
        Metric.TICK_P50_MS: percentile(seen.tick_ms, 50),
        Metric.TICK_WORST_MS: max(seen.tick_ms, default=None),
        Metric.LEFT_OVER: len(seen.left),
    }


def _about(seen: MultiModuleSeen) -> Iterator[str]:
    counts = ", ".join(f"{module} {count:,}" for module, count in seen.entities.items())
    changed = ", ".join(seen.modules) or "nothing"
    text = (
        f"Entities: {counts}. Tank needs Map, Production needs Tank. {seen.ticks} ticks; {changed} changed in turn, "
        f"and all of it compared {seen.compared // 3} times."
    )
    yield from textwrap.wrap(text, WIDTH)


def _table(seen: MultiModuleSeen) -> Iterator[str]:
    yield f"{'module':<12}{'act':<18}{'moved':>8}{'in':>11}  reloaded"
    for each in seen.acts:
        late = f", after {each.waited} ticks" if each.waited else ""
        reloaded = ", ".join(each.reloaded) + late or "-"
        yield f"{each.module:<12}{each.act:<18}{each.moved:>8,}{each.ms:>9.1f}ms  {reloaded}"
    yield ""
    yield from textwrap.wrap(LEGEND, WIDTH)
