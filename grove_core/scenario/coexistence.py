"""`coexistence`: three versions of gamelogic through 150 simulated seconds, and what comes of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from grove_core.base.clock import ManualClock
from grove_core.base.errors import GroveError, InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import Pace, Realtime, at_once, conclude, progress, quiet
from grove_core.scenario.common.footprint import without_what_was_there
from grove_core.scenario.live import AfterTick, LiveRun, phases
from grove_core.scenario.report import render
from grove_core.scenario.result import Result
from grove_core.scenario.seen import Seen
from grove_core.wire.faults import InjectedKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from grove_core.parts.running import Isolation

TICKS_PER_SECOND = 60


class Coexistence:
    """One run of the scenario.

    Args:
        entities: how many live in the module, at least 1.
        fault: what v2 does wrong at 100 s.
        settings: the engine's; if None, the defaults with a deadline for ticks that fits so many entities.
        plugins: further plugins of the engine.
        clock: the engine's clock, at 0 or before; the run sets it.
        pace: called before each tick with its simulated time; returns when the tick is due. Default: at once.
        ticks_per_second: of simulated time; a tick's `dt` is one part of it.
        after_tick: called after each tick with the engine and the number of ticks done.
        isolation: where versions run, instead of what the settings choose.

    Raises:
        InvalidInput: `entities` or `ticks_per_second` is below 1.
    """

    def __init__(
        self,
        entities: int = 100,
        fault: InjectedKind = InjectedKind.RAISE,
        settings: Settings | None = None,
        plugins: Sequence[object] = (),
        *,
        clock: ManualClock | None = None,
        pace: Pace | None = None,
        ticks_per_second: int = TICKS_PER_SECOND,
        after_tick: AfterTick | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        if entities < 1 or ticks_per_second < 1:
            raise InvalidInput(
                f"entities and ticks_per_second must be at least 1, not {entities} and {ticks_per_second}"
            )
        self._settings = Settings(tick_deadline_ms=deadline_ms(entities)) if settings is None else settings
        self._plugins = plugins
        self._clock = ManualClock() if clock is None else clock
        self._pace: Pace = at_once if pace is None else pace
        self._after_tick: AfterTick = _unobserved if after_tick is None else after_tick
        self._isolation = isolation
        self._seen = Seen(entities, ticks_per_second, fault, phases(), tick_deadline_ms=self._settings.tick_deadline_ms)

    def run(self) -> Result:
        """Play the phases. One that meets a `GroveError` ends the run; its message stands in the phase."""
        phase = self._seen.phases[0]
        phase.started = True
        try:
            with DebugEngine(
                self._settings, clock=self._clock, plugins=self._plugins, isolation=self._isolation
            ) as engine:
                live = LiveRun(
                    engine,
                    self._clock,
                    self._settings,
                    self._seen,
                    pace=self._pace,
                    after_tick=self._after_tick,
                )
                with without_what_was_there():
                    for phase in self._seen.phases:
                        phase.started = True
                        live.play(phase)
        except GroveError as error:
            phase.error = f"{type(error).__name__}: {error}"
        return Result.of(self._seen)


def deadline_ms(entities: int) -> float:
    """Return how long a version may take for a tick with this population, where nobody chose it.

    The engine's default, 250 ms, up to 500,000 entities, then 0.5 ms a thousand: version 3 looks for neighbours among
    half of a million in some 60 ms, and a busy machine makes four times as much of it. At most 750 ms, since a lag is
    seen only when the deadline has passed, and the downtime of its rollback must stay below a second.
    """
    return min(750.0, max(Settings().tick_deadline_ms, entities / 2000))


def run_command(
    entities: int,
    fault: InjectedKind,
    realtime: bool,
    json_path: Path | None,
    settings: Settings | None,
    ticks_per_second: int = TICKS_PER_SECOND,
) -> int:
    """Run it for the command line: text on standard output, a bar on a terminal, JSON where it is asked for.

    Returns:
        The exit code: 0 if it passed, 1 if it failed or the JSON could not be written.
    """
    with quiet(), _progress(ticks_per_second) as after_tick:
        result = Coexistence(
            entities,
            fault,
            settings,
            pace=Realtime() if realtime else None,
            ticks_per_second=ticks_per_second,
            after_tick=after_tick,
        ).run()
    return conclude(render(result), result.document(), result.passed, json_path)


@contextmanager
def _progress(ticks_per_second: int) -> Iterator[AfterTick | None]:
    """Show a bar while the run lasts, on a terminal; elsewhere nothing."""
    plan = phases()
    with progress(plan[-1].stop * ticks_per_second, "ticks", plan[0].name) as told:

        def show(engine: DebugEngine, ticks: int) -> None:
            assert told is not None
            phase = next((p for p in plan if ticks <= p.stop * ticks_per_second), plan[-1])
            told(ticks, phase.name)

        yield None if told is None else show


def _unobserved(engine: DebugEngine, ticks: int) -> None:
    """Watch nothing."""
