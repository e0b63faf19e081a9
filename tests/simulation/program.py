"""What a program does to an engine in one schedule: calls at random, and ticks between them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from packaging.version import Version

from grove_core import GroveError, ManualClock, MultiVersionEngine
from grove_core.base.errors import OutOfMemory

from .account import Account, Broken
from .model import FIRST, THIRD, Row
from .schedule import Schedule, shown
from .versions import CLASSES, MODULE, THOUSAND

DTS = (0.25, 0.5, 0.1)
IDLE_SECONDS = 5.0
"""After so long what nobody uses is collected, by the injected clock."""
OFTEN = 0.6
"""How likely it is that a paused module is helped, rather than anything else done."""
GOOD_TICKS = 8
"""So many ticks in which nothing happens are enough to find out all that happened before."""


class Program:
    """Calls an engine, and has the account checked after each call.

    Args:
        engine: the engine.
        clock: its clock.
        account: knows what must be true.
        schedule: draws the calls.
    """

    def __init__(self, engine: MultiVersionEngine, clock: ManualClock, account: Account, schedule: Schedule) -> None:
        self._engine = engine
        self._clock = clock
        self._account = account
        self._schedule = schedule
        every: dict[Callable[[], None], int] = {
            self.tick: 12,
            self.load: 4,
            self.split: 4,
            self.retire: 2,
            self.unload: 1,
            self.migrate: 1,
            self.rollback: 1,
            self.spawn: 1,
            self.despawn: 1,
            self.pin: 1,
            self.unpin: 1,
            self.look: 1,
            self.collect: 1,
            self.rest: 1,
        }
        self._steps, self._weights = list(every), list(every.values())

    @property
    def chance(self) -> random.Random:
        """Where choices come from."""
        return self._schedule.chance

    def run(self) -> None:
        """Do everything: begin well, go through a number of calls, end well."""
        self._schedule.calm = True
        self._load(FIRST)
        for version in self._schedule.pick(CLASSES, 3):
            self._load(version)
        self._spawn(self.chance.randint(1, 24))
        self.split()
        self._schedule.calm = False
        for _ in range(self.chance.randint(5, 20)):
            step = self.chance.choices(self._steps, self._weights)[0]
            if self._account.paused and self.chance.random() < OFTEN:
                step = self.rollback
            step()
        self._schedule.calm = True
        self._end_well()

    def _end_well(self) -> None:
        """Nothing more happens: what is left of it is found out, and then everybody has a good tick."""
        if self._account.state is None:
            self._load(FIRST)
        for _ in range(GOOD_TICKS):
            faults, good = self._tick()
            if self._account.paused:
                stable = self._account.state.stable if self._account.state else None
                if not self._call("rollback", MODULE, str(stable)):
                    raise Broken(f"the module is paused, and a rollback to {stable} does not help")
            elif good and not faults:
                return
        raise Broken(f"after {GOOD_TICKS} ticks in which nothing happened there was no good one")

    # -- the calls -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Advance by some time."""
        self._tick()

    def load(self) -> None:
        """Load any version."""
        self._load(self.version())

    def unload(self) -> None:
        """Unload any version."""
        self._call("unload_module_version", MODULE, str(self.version()))
        if self._account.state is None:
            self._account.check()

    def retire(self) -> None:
        """Empty a version, and unload it: by hand, or by leaving it to collection."""
        loaded = self.loaded()
        if len(loaded) > 1:
            old, new = self.chance.sample(loaded, 2)
            self._call("migrate_state", MODULE, str(old), str(new))
            if self.chance.random() < OFTEN:
                self._call("unload_module_version", MODULE, str(old))
            else:
                self._call("enable_auto_gc", MODULE, IDLE_SECONDS)
                for _ in range(2):
                    self._tick()
                    self._clock.advance(2 * IDLE_SECONDS)

    def split(self) -> None:
        """Share out at random: halves, or all to one."""
        versions = self._schedule.pick(self.loaded(), 3)
        parts = [self.chance.choice((0, 1, 1, 2, 5)) for _ in versions]
        total = sum(parts) or 1
        self._call("set_traffic_split", MODULE, {str(v): part / total for v, part in zip(versions, parts, strict=True)})

    def migrate(self) -> None:
        """Migrate from any loaded version to any other."""
        self._call("migrate_state", MODULE, *(str(self.chance.choice(self.loaded())) for _ in range(2)))

    def rollback(self) -> None:
        """Go back to any version, loaded or not."""
        self._call("rollback", MODULE, str(self.version()))

    def spawn(self) -> None:
        """Give birth to some."""
        self._spawn(self.chance.randint(1, 8))

    def despawn(self) -> None:
        """End some."""
        if ids := self.some():
            before = len(self._account.rows)
            state = self._account.state
            self._call("despawn", MODULE, ids, then=lambda _: self._account.ended(ids))
            if state is not None and state.population not in (before, before - len(ids)):
                raise Broken("some were ended and others not")

    def pin(self) -> None:
        """Pin some."""
        self._call("pin", MODULE, self.some(), str(self.chance.choice(self.loaded())))

    def unpin(self) -> None:
        """Unpin some."""
        self._call("unpin", MODULE, self.some())

    def look(self) -> None:
        """Look at everything in the schema of any version."""
        version = self.chance.choice(self.loaded())

        def compare(columns: Any) -> None:
            ids = columns.pop("id").tolist()
            rows = dict(zip(ids, zip(*(one.tolist() for one in columns.values()), strict=True), strict=True))
            expected = {each: row.shown(version) for each, row in self._account.rows.items()}
            if rows != expected or len(ids) != len(rows):
                raise Broken(f"entities(version={version}) shows {shown(rows)}, and must show {shown(expected)}")

        self._call("entities", MODULE, version=str(version), then=compare)

    def collect(self) -> None:
        """Turn collection on or off, and let what is idle be so for long enough."""
        if self.chance.random() < 0.3:
            self._call("disable_auto_gc", MODULE)
        else:
            self._call("enable_auto_gc", MODULE, IDLE_SECONDS)
        self._clock.advance(2 * IDLE_SECONDS)

    def rest(self) -> None:
        """Do nothing for a while, in which workers may end or go on."""
        self._schedule.rest(self._schedule.lag())
        self._clock.advance(IDLE_SECONDS)

    # -- how they are made ---------------------------------------------------------------------------------

    def version(self) -> Version:
        """Draw a version, loaded or not."""
        return self.chance.choice(list(CLASSES))

    def loaded(self) -> list[Version]:
        """Return the loaded versions; the first one if there are none, so that calls are refused."""
        return sorted(self._account.state.versions) if self._account.state else [FIRST]

    def some(self) -> list[int]:
        """Draw some entities."""
        return self._schedule.pick(sorted(self._account.rows), 6) if self._account.rows else []

    def _load(self, version: Version) -> None:
        self._call("load_module_version", MODULE, str(version))

    def _spawn(self, count: int) -> None:
        state = self._account.state
        if state is None:
            return
        chance, schema = self.chance, state.stable
        rows = [
            Row(chance.randint(-50, 50), chance.random(), chance.randint(-5000, 5000), chance.randint(-3, 9))
            for _ in range(count)
        ]
        if schema == THIRD:
            names = ("total", "x", "coarse", "fine", "step")
            values = [(row.a, row.x, row.grain // THOUSAND, row.grain % THOUSAND, row.step) for row in rows]
        else:
            names = ("a", "x", "grain", "step")
            values = [(row.a, row.x, row.grain, row.step) for row in rows]
        columns = dict(zip(names, map(list, zip(*values, strict=True)), strict=True))
        self._call("spawn", MODULE, then=lambda ids: self._account.born(ids.tolist(), rows), **columns)

    def _tick(self) -> tuple[int, bool]:
        """Tick once; return how many faults there were, and whether everybody was served."""
        account, engine, dt = self._account, self._engine, self.chance.choice(DTS)
        was_paused, known, over = account.paused, len(engine.events), account.over
        report = None
        self._schedule.note("program", f"tick({dt})")
        try:
            report = engine.tick(dt)
        except KeyboardInterrupt:
            self._schedule.counts["interrupted ticks"] += 1
        except OutOfMemory:
            self._schedule.counts["refused ticks"] += 1
        self._schedule.counts["ticks"] += 1
        events = list(engine.events)[known:]
        if report is not None:
            self._schedule.counts["faults"] += len(report.faults)
            self._schedule.counts["recoveries"] += len(report.rollbacks)
        account.ticked(report, dt, was_paused, events)
        account.blamed(events, over)
        account.check()
        if report is None:
            return 0, False
        told = [f"{fault.version}: {fault.kind}" for fault in report.faults]
        self._schedule.note("program", f"  {report.entities} ticked, {report.skipped} not; {told}")
        failed = sum(event.details["entities"] for event in events if event.kind.value == "entities_failed")
        return len(report.faults), report.skipped == failed

    def _call(self, name: str, *given: Any, then: Callable[[Any], None] | None = None, **named: Any) -> bool:
        """Make a call, and tell whether it was carried out; one that fails must leave everything as it was."""
        before = self._account.picture()
        self._schedule.note("program", f"{name}({', '.join(map(shown, given))}, {shown(named)})")
        self._schedule.counts["calls"] += 1
        try:
            result = getattr(self._engine, name)(*given, **named)
        except GroveError as error:
            self._schedule.note("program", f"  {type(error).__name__}: {shown(error.message)}")
            self._schedule.counts["refused"] += 1
            self._account.check()
            if self._account.picture() != before:
                raise Broken(f"{name} failed and changed {before} to {self._account.picture()}") from error
            return False
        except KeyboardInterrupt:
            self._schedule.counts["interrupted calls"] += 1
            self._account.check()
            return False
        if then is not None:
            then(result)
        self._account.check()
        return True
