"""What a run comes to: its metrics, what they are held against, and eleven assertions, all from what was seen.

A metric that nothing was seen of is None, and None meets no threshold.

Frames in which no version is loaded or lost have two budgets: p99 below 8 ms, and none over 16.7 ms. What decides is
the p99 of what frames took apart from waits for a processor, which the kernel accounts for: on a machine that is busy
with something else a tick of 0.3 ms waits several times that long. The p99 of all that they took is reported beside it,
and so is the worst frame, with what happened in it: a single pause of the machine, which the engine can neither
prevent nor hide, is the worst of nine thousand frames. The budgets are for up to 100,000 entities; above, nothing of
this decides.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from grove_core.base.records import RollbackReport
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.frames import Spread, ordinary
from grove_core.scenario.seen import Check, Phase, PhaseSeen, Seen, SplitSeen
from grove_core.wire.faults import SEEN_AS, InjectedKind

TOLERANCE = 2.0
"""How far a share may be from its weight, in percentage points."""
FRAME_MS = 16.7
"""The length of a frame at 60 Hz."""
FRAME_P99_MS = 8.0
"""What 99 of 100 frames must stay below where no version is loaded or lost."""
BUDGETED_ENTITIES = 100_000
"""The largest population whose frames are held against the budgets."""
UNUSED_SECONDS = 10.0
"""How long a version must be unused until it is collected."""
CANARY_PERCENT = 10
SPLITS = 6
"""One for the canary, four for the ramp, one for the three versions."""
RAMP_STEPS = 4
ROLLBACK_STEPS = 4


class Metric(StrEnum):
    """The metrics; shares are percent, never fractions."""

    VERSION_LOAD_TIME_MS = "version_load_time_ms"
    CANARY_ACCURACY = "canary_accuracy"
    TRAFFIC_SPLIT_ACCURACY = "traffic_split_accuracy"
    STATE_MIGRATION_TIME_MS = "state_migration_time_ms"
    MIGRATION_DATA_LOSS = "migration_data_loss"
    MIGRATION_STEPS = "migration_steps"
    RAMP_TICK_P99_MS = "ramp_tick_p99_ms"
    ROLLBACK_TIME_MS = "rollback_time_ms"
    ROLLBACK_DOWNTIME_MS = "rollback_downtime_ms"
    STATE_RECOVERY = "state_recovery"
    MEMORY_ISOLATION = "memory_isolation"
    GC_TRIGGER_TIME_S = "gc_trigger_time_s"
    GC_EFFICIENCY = "gc_efficiency"
    GC_TIME_MS = "gc_time_ms"
    MULTI_VERSION_COUNT = "multi_version_count"
    TOTAL_ENTITIES = "total_entities"
    FRAME_OWN_P99_MS = "frame_own_p99_ms"
    FRAME_P99_MS = "frame_p99_ms"
    FRAME_WORST_MS = "frame_worst_ms"


class Assertion(StrEnum):
    """What a run is to prove."""

    MULTI_VERSION_LOADING = "multi_version_loading"
    CANARY_DEPLOYMENT_ACCURATE = "canary_deployment_accurate"
    PROGRESSIVE_MIGRATION_NO_LOSS = "progressive_migration_no_loss"
    ROLLBACK_FAST_AND_SAFE = "rollback_fast_and_safe"
    MEMORY_ISOLATION_COMPLETE = "memory_isolation_complete"
    AUTO_GC_TRIGGERED = "auto_gc_triggered"
    THREE_WAY_COEXISTENCE = "three_way_coexistence"
    TRAFFIC_ROUTING_PRECISE = "traffic_routing_precise"
    TOTAL_ENTITIES_CONSTANT = "total_entities_constant"
    NO_CRASHES = "no_crashes"
    FRAMES_IN_TIME = "frames_in_time"


Metrics = dict[Metric, float | None]
Assertions = dict[Assertion, bool | None]
"""None: it says nothing about a run like this one."""


def tolerance(*splits: SplitSeen) -> float:
    """Return 2 percentage points, or as much as whole entities force upon the splits, if that is more."""
    return max([TOLERANCE, *(split.rounding for split in splits)])


def thresholds(seen: Seen) -> dict[Metric, Threshold]:
    """Return what every metric is held against."""
    return {
        Metric.VERSION_LOAD_TIME_MS: Threshold(below=200.0),
        Metric.CANARY_ACCURACY: Threshold(target=CANARY_PERCENT, within=tolerance(*seen.phases[Phase.CANARY].splits)),
        Metric.TRAFFIC_SPLIT_ACCURACY: Threshold(target=0.0, within=tolerance(*seen.splits)),
        Metric.STATE_MIGRATION_TIME_MS: Threshold(below=500.0),
        Metric.MIGRATION_DATA_LOSS: Threshold(target=0.0),
        Metric.MIGRATION_STEPS: Threshold(target=RAMP_STEPS),
        Metric.RAMP_TICK_P99_MS: Threshold(below=FRAME_MS),
        Metric.ROLLBACK_TIME_MS: Threshold(below=200.0),
        Metric.ROLLBACK_DOWNTIME_MS: Threshold(below=1000.0),
        Metric.STATE_RECOVERY: Threshold(target=100.0),
        Metric.MEMORY_ISOLATION: Threshold(target=100.0),
        Metric.GC_TRIGGER_TIME_S: Threshold(target=UNUSED_SECONDS),
        Metric.GC_EFFICIENCY: Threshold(above=95.0),
        Metric.GC_TIME_MS: Threshold(below=100.0),
        Metric.MULTI_VERSION_COUNT: Threshold(target=3),
        Metric.TOTAL_ENTITIES: Threshold(target=seen.entities),
        Metric.FRAME_OWN_P99_MS: Threshold(below=FRAME_P99_MS, binding=seen.entities <= BUDGETED_ENTITIES),
        Metric.FRAME_P99_MS: Threshold(below=FRAME_P99_MS, binding=False),
        Metric.FRAME_WORST_MS: Threshold(below=FRAME_MS, binding=False),
    }


def measure(seen: Seen) -> Metrics:
    """Compute every metric from what was seen."""
    ramp = seen.phases[Phase.RAMP]
    rollback, collection = seen.rollback, seen.collection
    recovered = seen.recovered if rollback else None
    plain = ordinary(seen.frames)
    frames, own = Spread.of(plain), Spread.of_own(plain)
    return {
        Metric.VERSION_LOAD_TIME_MS: max((load.ms for load in seen.loads), default=None),
        Metric.CANARY_ACCURACY: _canary_percent(seen),
        Metric.TRAFFIC_SPLIT_ACCURACY: max((split.deviation for split in seen.splits), default=None),
        Metric.STATE_MIGRATION_TIME_MS: max([*seen.migration_ms, *(split.ms for split in seen.splits)], default=None),
        Metric.MIGRATION_DATA_LOSS: _data_loss(seen),
        Metric.MIGRATION_STEPS: len(ramp.splits) if ramp.started else None,
        Metric.RAMP_TICK_P99_MS: _own_tick_p99(ramp),
        Metric.ROLLBACK_TIME_MS: rollback.rollback_ms if rollback else None,
        Metric.ROLLBACK_DOWNTIME_MS: rollback.downtime_ms if rollback else None,
        Metric.STATE_RECOVERY: 100 * recovered.right / seen.entities if recovered else None,
        Metric.MEMORY_ISOLATION: min((_isolation(check, seen.entities) for check in seen.checks), default=None),
        Metric.GC_TRIGGER_TIME_S: collection.idle_seconds if collection else None,
        Metric.GC_EFFICIENCY: _gc_efficiency(seen),
        Metric.GC_TIME_MS: collection.ms if collection else None,
        Metric.MULTI_VERSION_COUNT: seen.most_versions,
        Metric.TOTAL_ENTITIES: _farthest_total(seen),
        Metric.FRAME_OWN_P99_MS: own.p99 if own else None,
        Metric.FRAME_P99_MS: frames.p99 if frames else None,
        Metric.FRAME_WORST_MS: frames.max if frames else None,
    }


def judge(seen: Seen, metrics: Metrics) -> Assertions:
    """Compute every assertion: thresholds that were met, and what has to be true besides."""
    limits = thresholds(seen)

    def met(*names: Metric) -> bool:
        return all(limits[name].holds(metrics[name]) for name in names)

    entities = seen.entities
    complete = all(phase.complete for phase in seen.phases)
    sound = {p.phase: p.complete and p.check is not None and _sound(p.check, entities) for p in seen.phases}
    exact = all(split.counts == split.exact for split in seen.splits)
    return {
        Assertion.MULTI_VERSION_LOADING: met(Metric.MULTI_VERSION_COUNT, Metric.VERSION_LOAD_TIME_MS),
        Assertion.CANARY_DEPLOYMENT_ACCURATE: met(Metric.CANARY_ACCURACY)
        and all(split.counts == split.exact for split in seen.phases[Phase.CANARY].splits)
        and sound[Phase.CANARY],
        Assertion.PROGRESSIVE_MIGRATION_NO_LOSS: met(
            Metric.MIGRATION_DATA_LOSS,
            Metric.MIGRATION_STEPS,
            Metric.STATE_MIGRATION_TIME_MS,
            Metric.RAMP_TICK_P99_MS,
        )
        and sound[Phase.RAMP],
        Assertion.ROLLBACK_FAST_AND_SAFE: met(
            Metric.ROLLBACK_TIME_MS, Metric.ROLLBACK_DOWNTIME_MS, Metric.STATE_RECOVERY
        )
        and seen.rollback is not None
        and _automatic(seen.rollback, seen.fault)
        and sound[Phase.ROLLBACK],
        Assertion.MEMORY_ISOLATION_COMPLETE: met(Metric.MEMORY_ISOLATION) and complete,
        Assertion.AUTO_GC_TRIGGERED: met(Metric.GC_TRIGGER_TIME_S, Metric.GC_EFFICIENCY, Metric.GC_TIME_MS)
        and sound[Phase.COLLECTION],
        Assertion.THREE_WAY_COEXISTENCE: met(Metric.MULTI_VERSION_COUNT) and sound[Phase.THREE_WAY],
        Assertion.TRAFFIC_ROUTING_PRECISE: met(Metric.TRAFFIC_SPLIT_ACCURACY)
        and exact
        and len(list(seen.splits)) == SPLITS,
        Assertion.TOTAL_ENTITIES_CONSTANT: met(Metric.TOTAL_ENTITIES) and complete and not seen.ticks_short,
        Assertion.NO_CRASHES: complete and not seen.skipped and _only_the_injected_fault(seen),
        Assertion.FRAMES_IN_TIME: (met(Metric.FRAME_OWN_P99_MS) and complete)
        if limits[Metric.FRAME_OWN_P99_MS].binding
        else None,
    }


def _sound(check: Check, entities: int) -> bool:
    """Every entity is there, once, where it should be, and right in every column of every version."""
    return check.as_expected and check.right == entities and not check.foreign


def _automatic(report: RollbackReport, fault: InjectedKind) -> bool:
    return (
        report.fault is not None
        and report.fault.kind is SEEN_AS[fault]
        and report.fault.version.major == 2
        and report.target.major == 1
        and report.reloaded
        and len(report.steps) == ROLLBACK_STEPS
    )


def _only_the_injected_fault(seen: Seen) -> bool:
    faults = [(phase.phase, fault.version.major, fault.kind) for phase in seen.phases for fault in phase.faults]
    return faults == [(Phase.ROLLBACK, 2, SEEN_AS[seen.fault])]


def _canary_percent(seen: Seen) -> float | None:
    for split in seen.phases[Phase.CANARY].splits:
        entities = sum(split.counts.values())
        return 100 * split.counts.get(2, 0) / entities if entities else None
    return None


def _own_tick_p99(phase: PhaseSeen) -> float | None:
    """Return the p99 of ticks without their waits for a processor: what else the machine does decides nothing."""
    return float(np.percentile([frame.own_tick_ms for frame in phase.frames], 99)) if phase.frames else None


def _data_loss(seen: Seen) -> float | None:
    ramp = seen.phases[Phase.RAMP]
    lost = [seen.entities - sum(split.counts.values()) for split in ramp.splits]
    if ramp.check is not None:
        lost.append(ramp.check.lost)
    return 100 * max(lost) / seen.entities if lost else None


def _isolation(check: Check, entities: int) -> float:
    """The share of entities that are right, or that of areas which are a worker's own, if that is less."""
    own = check.areas - len(check.foreign_areas)
    return min(100 * check.right / entities, 100 * own / check.areas if check.areas else 0.0)


def _gc_efficiency(seen: Seen) -> float | None:
    report = seen.collection
    if report is None or report.returned_bytes is None or report.had.private is None:
        return None
    had = report.had.private + report.had.tables
    return 100 * report.returned_bytes / had if had else None


def _farthest_total(seen: Seen) -> int | None:
    """How many entities there were, whenever that was farthest from how many there should be."""
    totals = [check.total for check in seen.checks] + [sum(split.counts.values()) for split in seen.splits]
    return max(totals, key=lambda total: abs(total - seen.entities), default=None)
