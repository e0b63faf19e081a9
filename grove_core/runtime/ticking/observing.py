"""What a version did from one moment on: what judges are shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from grove_core.base.comparison import Observed, Summary
from grove_core.base.histogram import Histogram
from grove_core.runtime.orders.unloading import memory_of
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.meter import Meter
from grove_core.runtime.state.state import LoadedVersion

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


class Since(Observed):
    """What a version did after `before`: what takes longer to tell is told once somebody asks, as of then.

    Args:
        context: the engine's parts.
        loaded: the version.
        before: what it had done; `NOTHING` if it was loaded anew since.
    """

    def __init__(self, context: Context, loaded: LoadedVersion, before: Totals) -> None:
        meter = loaded.meter
        self.__dict__.update(
            version=loaded.version,
            entities=loaded.count,
            ticks=meter.ticks - before.ticks,
            lost=meter.lost - before.lost,
            calls=meter.calls - before.calls,
            errors=meter.failed_calls - before.failed_calls,
        )
        self._context, self._loaded, self._before = context, loaded, before

    @cached_property
    def durations(self) -> Histogram:
        """See `Observed`."""
        return self._loaded.meter.durations.since(self._before.durations)

    @cached_property
    def memory_bytes(self) -> int | None:
        """See `Observed`; measured once a second at most."""
        return _memory(self._context, self._loaded)

    @cached_property
    def values(self) -> Mapping[str, Summary]:
        """See `Observed`."""
        before = self._before.observed
        return {name: tally.since(before.get(name)) for name, tally in self._loaded.meter.observed.items()}


def observed_since(context: Context, loaded: LoadedVersion, totals: Totals) -> Observed:
    """Return what a version did after `totals`; all that it did if it was loaded anew since.

    To be looked at before the next tick.
    """
    return Since(context, loaded, totals if totals.meter is loaded.meter else NOTHING)


def _memory(context: Context, loaded: LoadedVersion) -> int | None:
    """Return what a version holds, measured now or a moment ago."""
    now = context.clock.now()
    if loaded.weighed is None or not 0 <= now - loaded.weighed[0] < MEMORY_SECONDS:
        had = memory_of(loaded)
        loaded.weighed = (now, None if had.pss is None else had.total)
    return loaded.weighed[1]
