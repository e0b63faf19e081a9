"""`hot-reload`: tanks drive at 60 Hz in one thread, while another one puts other code in their version's place.

Each round goes from 1.0.0 to 1.0.1, to changed code of 1.0.1, and back by two undos; on the way come code with a syntax
error and code with another schema, which must be refused. Each tick tells by which code it was done.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grove_core.base.errors import GroveError, InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import Pace, Realtime, at_once, conclude, progress, quiet
from grove_core.scenario.common.footprint import Footprint, Growth, without_what_was_there
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.frame_clock import FrameClock
from grove_core.scenario.modules.hot_reload_code import MODULE, Code, Tanks, written
from grove_core.scenario.modules.hot_reload_frames import Frames, Waits
from grove_core.scenario.modules.hot_reload_outcome import outcome

if TYPE_CHECKING:
    from grove_core.author.schema import Columns
    from grove_core.base.patches import PatchReport
    from grove_core.base.records import TickReport
    from grove_core.scenario.common.outcome import Outcome

TICKS_PER_SECOND = 60
GAP = 15
"""So many ticks at least lie between two changes."""
WARM = 1
"""So many rounds are over before memory is measured for the first time: from then on 1.0.1 is known."""
PATIENCE_SECONDS = 60.0
"""How long a tick is waited for before the run is given up."""
LAST = (1, 2, 3, 2, 1)
"""The codes of one round, by their numbers."""


@dataclass(frozen=True)
class Refusal:
    """What was to be refused, and with which words it was; None if it was not."""

    code: Code
    error: str | None
    text: str = ""


@dataclass
class HotReloadSeen:
    """What was seen during a run."""

    entities: int
    rounds: int
    settings: Settings
    patches: list[PatchReport] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    """How long the call of each of them took, measured by the caller."""
    refusals: list[Refusal] = field(default_factory=list)
    patched: Frames = field(default_factory=Frames)
    """The frames during which a call of a patch or an undo was on, or right after which."""
    plain: Frames = field(default_factory=Frames)
    """The others."""
    codes: list[int] = field(default_factory=list)
    """By which code ticks were done, each once as long as it did not change."""
    missed: list[str] = field(default_factory=list)
    """Ticks in which a tank had none, or a fault."""
    differences: list[str] = field(default_factory=list)
    document_ticks: int | None = None
    """How many ticks the document tells of at the end."""
    growth: Growth | None = None
    left: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def ticks(self) -> int:
        """How many there were."""
        return len(self.patched.ms) + len(self.plain.ms)


class HotReload:
    """One run of the scenario.

    Args:
        entities: how many tanks there are, at least 1.
        rounds: how often it goes there and back, four changes each, at least 2.
        settings: the engine's.
        plugins: further plugins of the engine.
        pace: called before each tick with its time. Default: at once.
        advance: ticks the engine. Default: once.
        told: called after each change with how many there were.

    Raises:
        InvalidInput: nothing to be patched, or no round after the first.
    """

    def __init__(
        self,
        entities: int = 50,
        rounds: int = 10,
        *,
        settings: Settings | None = None,
        plugins: Sequence[object] = (),
        pace: Pace = at_once,
        advance: Callable[[DebugEngine, float], TickReport] = DebugEngine.tick,
        told: Callable[[int], None] | None = None,
    ) -> None:
        if entities < 1 or rounds <= WARM:
            raise InvalidInput(f"there must be at least one tank, and {WARM + 1} rounds")
        self._seen = HotReloadSeen(entities, rounds, Settings() if settings is None else settings)
        self._plugins, self._pace, self._advance, self._told = plugins, pace, advance, told

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, belongings = self._seen, Belongings()
        before = belongings.take()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="hot-reload-") as folder,
                DebugEngine(seen.settings, plugins=self._plugins) as engine,
                without_what_was_there(),
            ):
                paths = written(Path(folder))
                _Run(engine, seen, belongings, paths, self._pace, self._advance, self._told).play()
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)


class _Run:
    """One engine, and the two threads that use it."""

    def __init__(
        self,
        engine: DebugEngine,
        seen: HotReloadSeen,
        belongings: Belongings,
        paths: dict[Code, str],
        pace: Pace,
        advance: Callable[[DebugEngine, float], TickReport],
        told: Callable[[int], None] | None,
    ) -> None:
        self._engine, self._seen, self._belongings, self._paths = engine, seen, belongings, paths
        self._pace, self._advance, self._told = pace, advance, told
        self._tanks = Tanks(seen.entities)
        self._clock = FrameClock()
        self._ticked = threading.Condition()
        self._chance = random.Random(20)  # noqa: S311  no secret hangs by it
        self._changing = self._touched = False
        """Whether the other thread is in a call that changes code; or was, at any time since the last tick."""
        self._workers: tuple[int, ...] = ()
        """The processes of the versions, as they were before the latest tick."""
        self._patcher: int | None = None
        """The other thread, as the system numbers it."""
        self._over = False
        """Whether nobody ticks any more."""
        self._failure: BaseException | None = None

    def play(self) -> None:
        """Play it to its end.

        Raises:
            Exception: what either thread met with.
        """
        seen, engine = self._seen, self._engine
        engine.load_module_version(MODULE, Code.FIRST.value, path=self._paths[Code.FIRST])
        engine.spawn(MODULE, id=self._tanks.ids, **self._tanks.columns)
        for _ in range(GAP):
            self._frame()
        self._rounds(WARM)
        footprint, holdings = Footprint.take(engine, self._belongings), self._belongings.take()
        self._rounds(seen.rounds - WARM)
        self._look(engine.entities(MODULE))
        seen.growth = Footprint.take(engine, self._belongings).growth(footprint)
        seen.left += [f"{what}, with the same code" for what in self._belongings.take().more_than(holdings)]
        found = engine.dump_state(MODULE, engine.stable_version(MODULE))["document"]
        seen.document_ticks = found["ticks"]

    def _rounds(self, count: int) -> None:
        """Tick while the other thread patches so many rounds, and a little longer."""
        self._over = False
        other = threading.Thread(target=self._patch, args=(count,), name="patcher")
        try:
            other.start()  # may be interrupted once the thread is there
            while other.is_alive():
                self._frame()
        finally:
            with self._ticked:
                self._over = True
                self._ticked.notify()
            if other.ident is not None:
                other.join()
        if self._failure is not None:
            raise self._failure

    def _frame(self) -> None:
        """Tick once, when it is time to, and look at what the tick before did.

        All of that is the frame's time: whichever of these calls comes first has to wait for a turn that is taken.
        """
        seen, dt = self._seen, 1 / TICKS_PER_SECOND
        self._pace(seen.ticks * dt)
        waits = Waits((os.getpid(), *self._workers), self._patcher)
        with self._clock.call():
            found = self._engine.entities(MODULE)
            self._workers = tuple(self._engine.workers(MODULE).values())
            report = self._advance(self._engine, dt)
        frame = self._clock.end(seen.ticks * dt, report, waits.ms(self._clock.last_ms))
        if seen.ticks:
            self._look(found)
        number = seen.ticks + 1
        (seen.patched if self._touched else seen.plain).add(frame)
        self._touched = self._changing
        if report.entities != seen.entities or report.faults:
            told = [fault.message for fault in report.faults] or f"{report.entities} tanks had it"
            seen.missed.append(f"tick {number}: {told}")
        with self._ticked:
            self._ticked.notify()

    def _look(self, found: Columns) -> None:
        """Hold every tank after the latest tick against the reference, which is told only by which code it was done."""
        seen, number = self._seen, self._seen.ticks
        codes = np.unique(found["code"]).tolist()
        if len(codes) != 1 or codes[0] not in LAST:
            seen.differences.append(f"tick {number} was done by the codes {codes}")
            return
        if not seen.codes or seen.codes[-1] != codes[0]:
            seen.codes.append(codes[0])
        self._tanks.tick(1 / TICKS_PER_SECOND, codes[0])
        seen.differences += [f"tick {number}: {sentence}" for sentence in self._tanks.differences(found)]

    def _patch(self, rounds: int) -> None:
        """Patch and undo; runs in the other thread."""
        self._patcher = threading.get_native_id()
        try:
            for _ in range(rounds):
                self._change(lambda: self._to(Code.PATCH))
                self._refused(Code.BROKEN)
                self._change(lambda: self._to(Code.CHANGED))
                self._refused(Code.OTHER_SCHEMA)
                self._change(lambda: self._engine.undo_patch(MODULE, 1))
                self._change(lambda: self._engine.undo_patch(MODULE, 1))
            self._wait(GAP)
        except BaseException as error:
            self._failure = error
        finally:
            self._patcher = None

    def _to(self, code: Code) -> PatchReport:
        return self._engine.patch_module_version(MODULE, 1, path=self._paths[code])

    def _change(self, call: Callable[[], PatchReport]) -> None:
        """Change code, after some ticks of the code that is there."""
        self._wait(GAP)
        began = time.perf_counter()
        with self._during():
            report = call()
        self._seen.wall_ms.append((time.perf_counter() - began) * 1000)
        self._seen.patches.append(report)
        if self._told is not None:
            self._told(len(self._seen.patches))

    def _refused(self, code: Code) -> None:
        """Try to patch to what must be refused."""
        self._wait(GAP)
        try:
            with self._during():
                self._to(code)
        except GroveError as error:
            self._seen.refusals.append(Refusal(code, type(error).__name__, str(error)))
        else:
            self._seen.refusals.append(Refusal(code, None))
            self._engine.undo_patch(MODULE, 1)

    @contextmanager
    def _during(self) -> Iterator[None]:
        """Tell the frames that code is being changed."""
        self._changing = self._touched = True
        try:
            yield
        finally:
            self._changing = False

    def _wait(self, ticks: int) -> None:
        """Wait for so many ticks, and then for a moment that is drawn: a change may come at any time of a frame.

        Raises:
            TimeoutError: they do not come.
        """
        until = self._seen.ticks + ticks
        with self._ticked:
            if not self._ticked.wait_for(lambda: self._over or self._seen.ticks >= until, PATIENCE_SECONDS):
                raise TimeoutError(f"there was no tick for {PATIENCE_SECONDS:g} s")
        if self._over:
            raise TimeoutError("the loop ended")
        time.sleep(self._chance.uniform(0, 1 / TICKS_PER_SECOND))


def run_command(entities: int, patches: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    with quiet(), progress(4 * patches, "changes", "Hot reload") as told:
        each = None if told is None else lambda done: told(done, "Hot reload")
        result = HotReload(entities, patches, pace=Realtime(), told=each).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
