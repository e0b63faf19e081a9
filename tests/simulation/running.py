"""Running one schedule, from its seed to what came of it."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy
import structlog

from grove_core import ManualClock, MultiVersionEngine, Settings
from grove_core.collection import builtin as collection
from grove_core.engine import core as engines
from grove_core.faulting import builtin as faulting
from grove_core.memory import arena
from grove_core.parts import hookspecs
from grove_core.parts.settings import Choice
from grove_core.routing import builtin as routing
from grove_core.sinks import builtin as sinks

from .account import Account
from .process import processes
from .program import Program
from .schedule import Harm, Schedule, told
from .versions import RECORDS, installed
from .worker import SimulatedIsolation, SimulatedWaiting

ROUTERS = ("quota", "quota", "rendezvous", "modulo", "hashed")
POLICIES = ("immediate", "immediate", "breaker", "pause")


@dataclass(frozen=True)
class Outcome:
    """What came of a schedule."""

    seed: int
    error: BaseException | None
    counts: Counter[str]
    trace: tuple[tuple[float, str, str], ...]

    @property
    def lines(self) -> list[str]:
        """The trace as text."""
        return told(self.trace)


class _Discovery:
    @staticmethod
    @hookspecs.hookimpl
    def grove_discover_versions() -> list[Any]:
        """Return the versions under test."""
        return RECORDS


@contextlib.contextmanager
def simulations() -> Iterator[None]:
    """Let schedules be run meanwhile: with one plugin manager for all, no log, and simulated processes."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for plugin in (routing, collection, faulting, sinks, _Discovery()):
        manager.register(plugin)
    made, config = engines.make_plugin_manager, structlog.get_config()
    engines.make_plugin_manager = lambda plugins: (manager, [])  # type: ignore[assignment]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.collect()
    gc.freeze()  # what is there already is no schedule's
    try:
        with processes(), installed():
            yield
    finally:
        gc.unfreeze()
        signal.signal(signal.SIGINT, handler)
        structlog.configure(**config)
        engines.make_plugin_manager = made


@contextlib.contextmanager
def scarce(schedule: Schedule, isolation: SimulatedIsolation) -> Iterator[None]:
    """Have the system refuse files and descriptors now and then.

    Not while somebody writes who outlived SIGKILL: rows then need other memory, and without it nothing can save them.
    """
    create, reopen = arena.create, arena.reopen_read_only

    def refuse() -> None:
        if not isolation.survived and schedule.strikes(Harm.NO_MEMORY):
            schedule.note("engine", "gets no descriptor")
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def refusing_create(*given: Any) -> int:
        refuse()
        return create(*given)

    def refusing_reopen(*given: Any) -> int:
        refuse()
        return reopen(*given)

    arena.create, arena.reopen_read_only = refusing_create, refusing_reopen
    try:
        yield
    finally:
        arena.create, arena.reopen_read_only = create, reopen


def simulate(seed: int) -> Outcome:
    """Run one schedule, within `simulations`."""
    schedule = Schedule(seed)
    before = _descriptors()
    error: BaseException | None = None
    try:
        _run(schedule)
        if (_descriptors(), _mappings()) != (before, 0):
            gc.collect()
            if (left := (_descriptors() - before, _mappings())) != (0, 0):
                raise AssertionError(f"descriptors and mappings of tables are left: {left}")
    except Exception as raised:
        error = raised
    return Outcome(seed, error, schedule.counts, tuple(schedule.trace))


def run(seeds: Iterable[int]) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Run schedules; return what was counted, and the seeds that failed with their errors."""
    counts: Counter[str] = Counter()
    failed = []
    with simulations():
        for seed in seeds:
            outcome = simulate(seed)
            counts += outcome.counts
            counts["schedules"] += 1
            if outcome.error is not None:
                failed.append((seed, f"{type(outcome.error).__name__}: {outcome.error}"))
                del outcome  # an error holds on to what it was raised from
                gc.collect()
    return counts, failed


def _run(schedule: Schedule) -> None:
    settings = Settings(
        router=Choice(schedule.chance.choice(ROUTERS)),
        fault_policy=Choice(schedule.chance.choice(POLICIES)),
        tick_deadline_ms=20.0,
        idle_deadline_seconds=0.02,
        load_deadline_seconds=60.0,
        max_entities=512,
        keep_generations=schedule.chance.choice((0, 0, 2)),
    )
    isolation, clock = SimulatedIsolation(schedule), ManualClock()
    try:
        waiting = SimulatedWaiting(schedule, isolation)
        with (
            scarce(schedule, isolation),
            MultiVersionEngine(settings, clock=clock, isolation=isolation, waiting=waiting) as engine,
        ):
            account = Account(engine, isolation)
            try:
                Program(engine, clock, account, schedule).run()
            finally:
                schedule.calm = True
        left = [worker.process.called for worker in isolation.workers if not worker.closed]
        if left:
            raise AssertionError(f"the engine is closed, and holds {left}")
    finally:
        schedule.counts["workers"] += len(isolation.workers)
        isolation.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _mappings() -> int:
    return Path("/proc/self/maps").read_text("utf-8").count("grove:")
