"""`races`: a package that is rewritten on disk while it is loaded, a thousand times.

Another process rewrites it file by file. What runs must be of one writing: the three files of the package tell its
number, and the entities show it. The version is restarted once the next writing is there, and must run what it ran.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.random import default_rng

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput, NotFound, PackageError, UnsettledPackage, WorkerError
from grove_core.debug import DebugEngine
from grove_core.parts.folders import QUIET_SECONDS
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.common.written import write
from grove_core.scenario.reliability.races_outcome import outcome
from grove_core.scenario.reliability.rewriting import MODULE, VERSION, Manner, Order, Writer, files
from grove_core.wire.faults import InjectedKind

if TYPE_CHECKING:
    from grove_core.scenario.common.outcome import Outcome

ENTITIES = 4
EARLIEST, LATEST = -0.02, 0.005
"""When the writing begins, in seconds after the load is asked for: before, while and after the package is copied."""
PATIENT = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0)
Watcher = Callable[[DebugEngine, int], None]
"""Called after each load with the engine and the number of loads."""


@dataclass(frozen=True)
class RaceSeen:
    """One load, and the writing beside it."""

    manner: Manner
    with_record: bool
    ms: float
    """How long the load took, with its waiting for the package to settle."""
    overlapped: bool
    """Whether there was a moment at which it was loaded and written."""
    ran: int | None
    """The number of the writing that ran; None if none did."""
    newest: bool
    """Whether that was the writing beside the load, not the one before."""
    refused: str | None = None
    """Why it was not loaded."""
    corrupt: str | None = None
    """What ran, or failed, that was not of one writing."""
    beyond: bool = False
    """Whether nobody could have told: without a RECORD, and the writer paused for longer than what counts as quiet."""
    restarted_otherwise: str | None = None
    """What it ran after its restart, if that was another one."""


@dataclass
class RacesSeen:
    """What was seen during a run."""

    loads: int
    seed: int
    races: list[RaceSeen] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: str | None = None


class Races:
    """One run of the scenario.

    Args:
        loads: how many, at least 1.
        seed: of what is written when and how.
        plugins: further plugins of the engine.
        watcher: called after each load.

    Raises:
        InvalidInput: there is nothing to load.
    """

    def __init__(
        self,
        loads: int = 1000,
        seed: int = 1,
        *,
        plugins: Sequence[object] = (),
        watcher: Watcher | None = None,
    ) -> None:
        if loads < 1:
            raise InvalidInput(f"there must be at least 1 load, not {loads}")
        self._seen = RacesSeen(loads, seed)
        self._random = default_rng(seed)
        self._plugins = plugins
        self._watcher = watcher

    def run(self) -> Outcome:
        """Play it. What the engine raises where it must not ends the run, and stands in the outcome."""
        seen, belongings = self._seen, Belongings()
        before = belongings.take()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="races-") as folder,
                Writer() as writer,
                DebugEngine(PATIENT, clock=ManualClock(), plugins=self._plugins) as engine,
            ):
                belongings.note()
                self._play(engine, writer, Path(folder))
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engine was closed" for what in belongings.left(before)]
        return outcome(seen)

    def _play(self, engine: DebugEngine, writer: Writer, root: Path) -> None:
        folders = {with_record: root / f"record_{with_record}" for with_record in (True, False)}
        for with_record, folder in folders.items():
            write(folder, files(0, with_record=with_record))
        last = dict.fromkeys(folders, 0)
        for number in range(1, self._seen.loads + 1):
            with_record = bool(number % 2)
            manner = list(Manner)[int(self._random.integers(len(Manner)))]
            after, seed = float(self._random.uniform(EARLIEST, LATEST)), int(self._random.integers(1 << 30))
            order = Order(str(folders[with_record]), number, manner, with_record, max(0.0, after), seed)
            writer.order(order)
            time.sleep(max(0.0, -after))
            self._seen.races.append(self._race(engine, writer, order, last[with_record]))
            last[with_record] = number
            if self._watcher is not None:
                self._watcher(engine, number)

    def _race(self, engine: DebugEngine, writer: Writer, order: Order, last: int) -> RaceSeen:
        """Load while it is written, let it run, restart it when it is written, and unload it."""
        began, refused, corrupt = time.monotonic(), None, None
        try:
            engine.load_module_version(MODULE, VERSION, path=order.folder)
        except (UnsettledPackage, NotFound) as error:  # it is being written, or it is not there
            refused = error.message
        except (PackageError, WorkerError) as error:  # what was loaded did not come up, and each writing by itself does
            corrupt = str(error).splitlines()[0]
        ended = time.monotonic()
        ran: frozenset[int] = frozenset()
        otherwise = None
        if refused is None and corrupt is None:
            engine.spawn(MODULE, here=[-1] * ENTITIES)
            ran = _ran(engine)
            if not ran <= {last, order.number} or len(ran) != 1:
                corrupt = f"files of the writings {_listed(ran)} ran together"
        written = writer.wait()
        if ran:
            engine.inject_fault(MODULE, VERSION, InjectedKind.KILL)
            if (again := _ran(engine)) != ran:
                otherwise = f"it ran {_listed(ran)}, and {_listed(again)} after its restart"
            engine.despawn(MODULE, engine.entities(MODULE)["id"])
            engine.unload_module_version(MODULE, VERSION)
        return RaceSeen(
            order.manner,
            order.with_record,
            (ended - began) * 1000,
            written.began < ended and began < written.ended,
            max(ran) if len(ran) == 1 else None,
            ran == {order.number},
            refused,
            corrupt,
            not order.with_record and written.longest_pause >= QUIET_SECONDS,
            otherwise,
        )


def _ran(engine: DebugEngine) -> frozenset[int]:
    """Tick, and return the numbers that the entities show."""
    engine.tick(1 / 60)
    columns = engine.entities(MODULE)
    return frozenset(int(value) for name in ("left", "right", "here") for value in columns[name])


def _listed(numbers: frozenset[int]) -> str:
    return " and ".join(map(str, sorted(numbers))) or "nothing"


def run_command(loads: int, seed: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    with quiet(), progress(loads, "loads", "Races") as told:
        watcher = None if told is None else lambda _, done: told(done, "Races")
        result = Races(loads, seed, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
