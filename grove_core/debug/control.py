"""Stopping an engine and going on: by hand, tick by tick, until something is true, at a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from grove_core.base.errors import InvalidInput
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.records import Fault, TickReport
from grove_core.base.showing import brief
from grove_core.debug.breaks import Break, Run, RunEnd
from grove_core.debug.faulting import FaultCalls
from grove_core.debug.levels import LevelCalls
from grove_core.debug.showing import ShowCalls
from grove_core.engine.engine import refuse_dt
from grove_core.runtime.rows.roles import settle_roles
from grove_core.runtime.state.state import Condition

FRAME_SECONDS = 1 / 60
AT_MOST = 10_000
"""How many ticks `run_until` makes, unless told otherwise."""


class ControlCalls(FaultCalls, ShowCalls, LevelCalls):
    """Pauses an engine, and takes it on by single ticks."""

    _pause_asked: bool = False
    """Whether somebody paused it since `step` or `run_until` began."""
    _last_break: Break | None = None
    _breaks: frozenset[str | None] = frozenset()
    """The modules at whose faults it pauses; None stands for every one."""

    def pause(self, module: str | None = None) -> None:
        """Stop ticking, after the tick that is under way: the whole engine, or one module.

        `tick` of an engine that is paused does nothing, and says so: see `TickReport.paused`. Every other call works as
        always. A module that is paused keeps its entities and workers, and is left out of ticks. Twice is once.

        Raises:
            UnknownModule: nothing was paused.
        """
        with self._turns.take("pause"), put_off():
            if module is None:
                self._pause_asked = True
                self._stop("somebody paused it")
                return
            state = self._state(module)
            if state.condition is not Condition.STOPPED:
                state.condition = Condition.STOPPED
                self._context.emit(EventKind.PAUSED, module, reason="somebody paused it")

    def resume(self, module: str | None = None) -> None:
        """Go on after a pause: the whole engine, or one module. What was not paused goes on as it does.

        For rollouts the time of the pause does not count; single steps meanwhile take the time that the clock says.
        A module of whose entities no version runs stays paused for that.

        Raises:
            UnknownModule: nothing was resumed.
        """
        with self._turns.take("resume"), put_off():
            if module is not None:
                state = self._state(module)
                if state.condition is Condition.STOPPED:
                    state.condition = Condition.PAUSED
                    settle_roles(self._context, state)
            elif self._paused is not None:
                self._paused = None
                self._roster.stand_still()
                self._context.emit(EventKind.RESUMED)

    def tick(self, dt: float) -> TickReport:
        """Advance every module, unless the engine is paused; see `MultiVersionEngine.tick`."""
        with self._turns.take("tick"):
            if self._paused is not None:
                refuse_dt(dt)
                entities = sum(state.population for state in self._states.values())
                return TickReport(self._number, 0.0, 0, entities, paused=self._paused)
            return self._advance(dt)

    def step(self, n: int = 1, dt: float = FRAME_SECONDS) -> Run:
        """Make `n` ticks of `dt` seconds, also of an engine that is paused. It is paused afterwards.

        Fewer, if it pauses itself at a fault, or somebody pauses it from another thread.

        Raises:
            InvalidInput: `n` is below 1, or `dt` is no number of seconds; nothing was ticked.
        """
        _refuse_below_one("n", n)
        return self._run("step", n, dt, lambda _: False, RunEnd.DONE)

    def run_until(
        self, condition: Callable[[Self, TickReport], object], dt: float = FRAME_SECONDS, *, at_most: int = AT_MOST
    ) -> Run:
        """Tick until a condition is true, which is asked after each tick. The engine is paused afterwards.

        Args:
            condition: gets this engine, of which it may call anything, and the report of the tick. What it raises is
                raised here, after that tick.
            dt: the seconds of each tick.
            at_most: how many ticks are made.

        Raises:
            InvalidInput: `at_most` is below 1, or `dt` is no number of seconds; nothing was ticked.
        """
        if not callable(condition):
            raise InvalidInput(f"condition must be callable with the engine and a report, not {brief(condition)}")
        _refuse_below_one("at_most", at_most)
        return self._run("run_until", at_most, dt, lambda report: bool(condition(self, report)), RunEnd.AT_MOST)

    def break_on_fault(self, module: str | None = None) -> None:
        """Pause the engine by itself after a tick with a fault, of one module or of any; `last_break` shows it.

        The tick is done by then, the recovery from the fault included. From now on the rows of versions that fault are
        copied, as they were before the tick and as the worker left them.
        """
        with self._turns.take("break_on_fault"):
            self._breaks = self._breaks | {module}
            self._context.keep_fault_rows = True

    def clear_breaks(self) -> None:
        """Pause at no fault any more, and forget the last one."""
        with self._turns.take("clear_breaks"):
            self._breaks, self._last_break = frozenset(), None
            self._context.keep_fault_rows = False

    @property
    def last_break(self) -> Break | None:
        """The faults at which the engine paused itself the last time; None if it did not."""
        return self._last_break

    @property
    def paused(self) -> str | None:
        """Why the engine does not tick; None if it does."""
        return self._paused

    def _advance(self, dt: float) -> TickReport:
        """Tick, and pause if a fault is to be looked at: also where a signal comes with the end of the tick."""
        with put_off():
            report = super()._advance(dt)
            if self._breaks and (faults := tuple(fault for fault in report.faults if self._breaks_at(fault))):
                self._last_break = Break(report.number, faults)
                self._paused = None  # this reason goes before any other
                self._stop(f"{faults[0].module}@{faults[0].version} faulted in tick {report.number}")
        return report

    def _breaks_at(self, fault: Fault) -> bool:
        return None in self._breaks or fault.module in self._breaks

    def _stop(self, reason: str) -> None:
        """Pause, in a turn that was taken. The reason that came first stands."""
        if self._paused is None:
            self._paused = reason
            self._context.emit(EventKind.PAUSED, reason=reason)

    def _run(self, call: str, most: int, dt: float, is_over: Callable[[TickReport], bool], otherwise: RunEnd) -> Run:
        """Make ticks, each in a turn of its own, until one is the last. For everybody else the engine is paused."""
        refuse_dt(dt)
        ticks, report = 0, None
        while True:
            with self._turns.take(call):
                if report is None:
                    self._pause_asked = False
                elif self._pause_asked:
                    return Run(RunEnd.STOPPED, ticks, report)
                self._stop(f"{call} was called")
                report = self._advance(dt)
                broke = self._last_break is not None and self._last_break.tick == report.number
            ticks += 1
            if broke:
                return Run(RunEnd.BREAK, ticks, report)
            if is_over(report):
                return Run(RunEnd.MET, ticks, report)
            if ticks == most:
                return Run(otherwise, ticks, report)


def _refuse_below_one(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"{name} is {brief(value)}; it must be a whole number, at least 1")
