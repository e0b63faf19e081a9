"""What a version did from one moment on: what judges are shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grove_core.base.comparison import Observed, Summary
from grove_core.base.histogram import Histogram
from grove_core.runtime.context import Context
from grove_core.runtime.meter import Meter
from grove_core.runtime.state import LoadedVersion
from grove_core.runtime.unloading import memory_of

MEMORY_SECONDS = 1.0
"""How long a measurement of a version's memory is good, by the clock: it takes a hundred times as long as the rest."""


@dataclass(frozen=True)
class Totals:
    """What a version had done at one moment; everything since it was loaded."""

    meter: Meter | None = None
    """What counts them; None for the totals of nobody, who did nothing."""
    ticks: int = 0
    lost: int = 0
    calls: int = 0
    failed_calls: int = 0
    durations: Histogram = field(default_factory=Histogram)
    observed: Mapping[str, Summary] = field(default_factory=dict)


NOTHING = Totals()


def snapshot(loaded: LoadedVersion) -> Totals:
    """Return what a version has done by now."""
    meter = loaded.meter
    return Totals(
        meter,
        meter.ticks,
        meter.lost,
        meter.calls,
        meter.failed_calls,
        meter.durations.copy(),
        {name: tally.summary() for name, tally in meter.observed.items()},
    )


def observed_since(context: Context, loaded: LoadedVersion, totals: Totals) -> Observed:
    """Return what a version did after `totals`; all that it did if it was loaded anew since."""
    meter = loaded.meter
    before = totals if totals.meter is meter else NOTHING
    return Observed(
        loaded.version,
        loaded.count,
        meter.ticks - before.ticks,
        meter.lost - before.lost,
        meter.calls - before.calls,
        meter.failed_calls - before.failed_calls,
        meter.durations.since(before.durations),
        _memory(context, loaded),
        {name: tally.since(before.observed.get(name)) for name, tally in meter.observed.items()},
    )


def _memory(context: Context, loaded: LoadedVersion) -> int | None:
    """Return what a version holds, measured now or a moment ago."""
    now = context.clock.now()
    if loaded.weighed is None or not 0 <= now - loaded.weighed[0] < MEMORY_SECONDS:
        had = memory_of(loaded)
        loaded.weighed = (now, None if had.pss is None else had.total)
    return loaded.weighed[1]
