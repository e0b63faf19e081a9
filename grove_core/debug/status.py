"""How an engine is, in detail: as values, and as tables to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from packaging.version import Version

from grove_core.base.health import BreakerState
from grove_core.base.records import Memory, Role, TickReport
from grove_core.base.rollouts import RolloutStatus
from grove_core.base.ticks import VersionTime
from grove_core.debug.tables import aligned
from grove_core.runtime.state.sinks import SinkStatus
from grove_core.runtime.state.state import Condition

MIB = 1024 * 1024
UNKNOWN = "-"


class Doing(StrEnum):
    """What a version does, between two ticks."""

    WORKING = "working"
    """It has entities, and is ticked."""
    IDLE = "idle"
    """It has none, and waits."""
    PAUSED = "paused"
    """It has entities, and its module is not ticked."""
    GONE = "gone"
    """Its worker failed, and was not replaced yet."""


@dataclass(frozen=True)
class VersionDetail:
    """One loaded version."""

    version: Version
    role: Role
    doing: Doing
    pid: int | None
    weight: float
    entities: int
    ticks: int
    """Committed ones, since it was loaded."""
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    last: tuple[VersionTime, ...]
    """Its orders in the latest tick."""
    memory: Memory
    generations: tuple[int, ...]
    """The ticks before which its rows were taken, of those that are there."""
    restarts: int
    breaker: BreakerState
    quarantined: bool
    patches: int = 0
    """How many patches of it can be undone."""


@dataclass(frozen=True)
class ModuleDetail:
    """One module, its versions lowest first."""

    module: str
    condition: Condition
    stable: Version | None
    previous: Version | None
    entities: int
    intent: str | None
    """A change of rows that was decided and is not yet done; the next call or tick does it."""
    kept_generations: int
    pin_rules: int
    versions: tuple[VersionDetail, ...]


@dataclass(frozen=True)
class DetailedStatus:
    """An engine. `print` it to read it as tables."""

    at: float
    """The clock's time."""
    paused: str | None
    """Why it does not tick; None if it does."""
    last_tick: TickReport | None
    """None before the first."""
    modules: tuple[ModuleDetail, ...]
    rollouts: tuple[RolloutStatus, ...]
    """Those that are on."""
    sinks: tuple[SinkStatus, ...]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"The engine {'ticks' if self.paused is None else f'is paused: {self.paused}'} ({self.at:,.3f} s)."
        yield from _tick(self.last_tick)
        for module in self.modules:
            yield ""
            yield from _module(module)
        for rollout in self.rollouts:
            yield ""
            yield str(rollout)
        if self.sinks:
            yield ""
            yield from aligned(
                ["sink", "waiting", "events dropped", "samples dropped", "state"],
                [
                    [each.sink, f"{each.waiting:,}", f"{each.events_dropped:,}", f"{each.samples_dropped:,}", _on(each)]
                    for each in self.sinks
                ],
            )


def _tick(report: TickReport | None) -> Iterator[str]:
    if report is None:
        yield "There was no tick yet."
        return
    stages = ", ".join(f"{stage} {ms:.3f}" for stage, ms in report.stages.items())
    done = f"{report.entities:,} entities, {report.skipped:,} left out"
    yield f"Tick {report.number} took {report.ms:.3f} ms ({stages}): {done}."


def _module(module: ModuleDetail) -> Iterator[str]:
    yield (
        f"{module.module} is {module.condition}: {module.entities:,} entities, stable {module.stable or 'none'}, "
        f"previous {module.previous or 'none'}, {module.kept_generations} kept generations, {module.pin_rules} rules"
    )
    if module.intent is not None:
        yield f"  still to be done: {module.intent}"
    titles = ["version", "role", "does", "pid", "weight", "entities", "ticks", "errors", "p50 ms", "p99 ms"]
    titles += ["sent ms", "answered ms", "process MB", "tables MB", "generations", "restarts", "breaker"]
    yield from (f"  {line}" for line in aligned(titles, [_cells(each) for each in module.versions]))


def _cells(each: VersionDetail) -> list[str]:
    last = each.last[-1] if each.last else None
    return [
        f"{each.version}{f' (patched {each.patches}x)' if each.patches else ''}",
        f"{each.role}{', quarantined' if each.quarantined else ''}",
        each.doing,
        UNKNOWN if each.pid is None else str(each.pid),
        f"{each.weight:g}",
        f"{each.entities:,}",
        f"{each.ticks:,}",
        f"{each.errors:,}",
        _ms(each.p50_ms),
        _ms(each.p99_ms),
        _ms(None if last is None else last.sent_ms),
        _ms(None if last is None else last.answered_ms),
        UNKNOWN if each.memory.pss is None else f"{each.memory.pss / MIB:.1f}",
        f"{each.memory.tables / MIB:.1f}",
        ", ".join(map(str, each.generations)) or UNKNOWN,
        str(each.restarts),
        each.breaker,
    ]


def _ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _on(sink: SinkStatus) -> str:
    return "on" if sink.failure is None else f"off: {sink.failure}"
