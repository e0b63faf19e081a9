"""A/B: what the versions did over the last period of a rollout, as the difference between two samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
from packaging.version import Version

from grove_core.base.compared import Better, Figure, Metric
from grove_core.base.comparison import Observed, Summary
from grove_core.base.events import EventKind
from grove_core.base.histogram import Histogram
from grove_core.reporting.history import Story
from grove_core.reporting.recorded import Decision, Mean, Moment, Reading
from grove_core.reporting.series import reloaded
from grove_core.rollouts.comparing import metrics_of

BEGINS = frozenset({EventKind.ROLLOUT_STARTED, EventKind.ROLLOUT_STEP, EventKind.ROLLOUT_REBASED})


@dataclass(frozen=True)
class Period:
    """Versions side by side, from one sample to another."""

    stable: Version
    versions: tuple[Version, ...]
    """Stable first."""
    weight: float | None
    """The canary's."""
    begins: float
    """The clock's time of the first sample."""
    ends: float
    whole: bool
    """Whether the file has totals for it; if not, figures are what the samples say, without intervals."""
    metrics: tuple[Metric, ...]


def last_period(story: Story) -> Period | None:
    """Return what the versions did in the last step in which both had a weight, until it was over.

    If stable never had one, it is the last step; None without samples.
    """
    begun = [each for each in story.decisions if each.kind in BEGINS and each.told.weight != 0 and _weighs(each)]
    if not begun:
        return None
    first = ([each for each in begun if (each.told.weight or 0.0) < 1] or begun)[-1]
    after = story.decisions[story.decisions.index(first) + 1 :]
    over = next((each for each in after if each in begun or each.told.state.ended), None)
    moments = story.run.moments
    early = _nearest(moments, first)
    late = len(moments) - 1 if over is None else _nearest(moments, over)
    if early is None or late is None or late < early:
        return None
    stable, canary = Version(first.told.stable), Version(first.canary)
    seen, counted = {}, True
    had = moments[late] if over is None or not over.moments else moments[max(early, over.moments - 1)]
    for version in (stable, canary):
        before = moments[early].versions.get(str(version))
        now = next((got for each in moments[late:early:-1] if (got := each.versions.get(str(version)))), before)
        if now is None:
            return None
        had_by = had.versions.get(str(version), now).entities
        seen[version] = before, msgspec.structs.replace(now, entities=had_by)
        counted = counted and now.calls is not None
    if late == early:  # one sample: all that there is since the versions were loaded
        seen = {version: (None, now) for version, (_, now) in seen.items()}
    metrics = _exact(stable, seen) if counted else _rough(stable, seen)
    begins = moments[early].at if late > early else min(each.at for each in moments)
    return Period(
        stable, (stable, canary), first.told.weight, begins, moments[late].at, counted and late > early, tuple(metrics)
    )


Readings = dict[Version, tuple[Reading | None, Reading]]
"""For each version what it had done before the period, and after it."""


def _weighs(decision: Decision) -> bool:
    return decision.told.weight is not None or decision.kind is EventKind.ROLLOUT_REBASED


def _nearest(moments: list[Moment], decision: Decision) -> int | None:
    """Return the sample that is nearest in time: the last one before a decision, or the first one after it."""
    near = [index for index in (decision.moments - 1, decision.moments) if 0 <= index < len(moments)]
    return min(near, key=lambda index: abs(moments[index].at - decision.at), default=None)


def _exact(stable: Version, seen: Readings) -> Iterator[Metric]:
    return metrics_of(stable, {version: _observed(version, *both) for version, both in seen.items()})


def _observed(version: Version, before: Reading | None, now: Reading) -> Observed:
    nothing = Reading(now.version)
    early = nothing if before is None or reloaded(before, now) else before
    durations = _durations(now)
    if early.durations and durations.total:
        durations = durations.since(_durations(early))
    return Observed(
        version,
        now.entities,
        now.ticks - early.ticks,
        now.lost_ticks - early.lost_ticks,
        (now.calls or 0) - (early.calls or 0),
        now.failed_calls - early.failed_calls,
        durations,
        None if now.memory_usage_bytes is None else int(now.memory_usage_bytes),
        {name: _summary(early.observed.get(name), each) for name, each in now.observed.items()},
    )


def _durations(reading: Reading) -> Histogram:
    try:
        return Histogram.of_buckets(reading.durations)
    except (ValueError, OverflowError):
        return Histogram()


def _summary(before: Mean | None, now: Mean) -> Summary:
    early = before or Mean(0, 0.0, 0.0)
    total = now.count * now.mean - early.count * early.mean
    return Summary(now.count - early.count, total, (now.squares or 0.0) - (early.squares or 0.0), Histogram())


def _rough(stable: Version, seen: Readings) -> Iterator[Metric]:
    """Yield what the latest sample says of each version."""
    latest = {version: now for version, (_, now) in seen.items()}
    rows: tuple[tuple[str, str, Better, Mapping[Version, float | None]], ...] = (
        ("entities", "", Better.NEITHER, {each: now.entities for each, now in latest.items()}),
        ("ticks", "", Better.NEITHER, {each: now.ticks for each, now in latest.items()}),
        ("errors", "", Better.LOWER, {each: now.errors for each, now in latest.items()}),
        ("p50_ms", "ms", Better.LOWER, {each: now.p50_process_time_ms for each, now in latest.items()}),
        ("p99_ms", "ms", Better.LOWER, {each: now.p99_process_time_ms for each, now in latest.items()}),
        ("memory_mb", "MB", Better.LOWER, {each: _megabytes(now) for each, now in latest.items()}),
        *(
            (name, "", Better.NEITHER, {each: _mean(now, name) for each, now in latest.items()})
            for name in sorted({name for now in latest.values() for name in now.observed})
        ),
    )
    for name, unit, better, values in rows:
        base = values[stable]
        yield Metric(
            name,
            unit,
            better,
            {
                version: Figure(value, ratio=value / base if value is not None and base and version != stable else None)
                for version, value in values.items()
            },
        )


def _megabytes(reading: Reading) -> float | None:
    return None if reading.memory_usage_bytes is None else reading.memory_usage_bytes / 1e6


def _mean(reading: Reading, name: str) -> float | None:
    return reading.observed[name].mean if name in reading.observed else None
