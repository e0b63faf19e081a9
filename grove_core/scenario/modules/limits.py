"""`limits`: much state, initialisations that are slow or never end, corrupt state, and reloads while memory is short.

"Out and in" is what a reload does with the state of a module: out of the version that has it, to another one or to the
program, and in again. In each part everything that the engine has is held against arrays that never met it.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from grove_core.base.clock import ManualClock
from grove_core.base.errors import InvalidInput
from grove_core.debug import DebugEngine
from grove_core.parts.settings import Settings
from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.common.holdings import Belongings
from grove_core.scenario.modules.archive import rows_of
from grove_core.scenario.modules.limits_corrupt import Corruptions
from grove_core.scenario.modules.limits_outcome import outcome
from grove_core.scenario.modules.limits_pressure import Pressure, tight
from grove_core.scenario.modules.limits_seen import PATIENT, HangKind, LimitsSeen, Part, Watcher, brought
from grove_core.scenario.modules.limits_start import Starts
from grove_core.scenario.modules.limits_state import StateMoves, move_document

if TYPE_CHECKING:
    from grove_core.scenario.common.outcome import Outcome

ROUNDS = 3
SLOW_SECONDS = 1.0
DEADLINE_SECONDS = 3.0
"""For initialisations. The slow one ends well before; those that hang are waited for as long."""
LOOKS = 47
"""How often a whole run looks at everything, for its bar."""


def _nobody(engine: DebugEngine, what: str) -> None:
    """Watch nothing."""


class LimitsRun:
    """One run of the scenario.

    Args:
        megabytes: how much state there is, in millions of bytes.
        parts: which parts are played.
        rounds: how often what is timed is done.
        slow_seconds: how long the slow initialisation takes.
        deadline_seconds: how long initialisations may take.
        hangs: how initialisations never end.
        settings: the engines'; the deadline of loads is another one where initialisations hang.
        plugins: further plugins of the engines.
        watcher: called before values are compared.

    Raises:
        InvalidInput: no state, no rounds, or a slow initialisation that cannot end in time.
    """

    def __init__(
        self,
        megabytes: int = 120,
        parts: Iterable[Part] = tuple(Part),
        *,
        rounds: int = ROUNDS,
        slow_seconds: float = SLOW_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
        hangs: Iterable[HangKind] = tuple(HangKind),
        settings: Settings = PATIENT,
        plugins: Sequence[object] = (),
        watcher: Watcher = _nobody,
    ) -> None:
        if megabytes < 1 or rounds < 1 or not slow_seconds < deadline_seconds:
            raise InvalidInput("megabytes and rounds must be at least 1, and slow_seconds less than deadline_seconds")
        self._seen = LimitsSeen(megabytes, rounds, tuple(parts), tuple(hangs), slow_seconds, deadline_seconds)
        self._settings, self._plugins, self._watcher = settings, plugins, watcher
        self._belongings = Belongings()

    def run(self) -> Outcome:
        """Play it. What the engine raises ends the run, and stands in the outcome."""
        seen, before = self._seen, self._belongings.take()
        play: dict[Part, Callable[[], None]] = {
            Part.STATE: self._state,
            Part.START: self._start,
            Part.CORRUPT: self._corrupt,
            Part.PRESSURE: self._pressure,
        }
        try:
            for part in seen.parts:
                play[part]()
        except Exception as error:  # whatever it is: the engine did not survive, and that is what is asked
            seen.error = f"{type(error).__name__}: {error}"
        seen.left += [f"{what}, when the engines were closed" for what in self._belongings.left(before)]
        return outcome(seen)

    @contextmanager
    def _engine(self, settings: Settings | None = None) -> Iterator[DebugEngine]:
        plugins = [brought(), *self._plugins]
        with DebugEngine(settings or self._settings, clock=ManualClock(), plugins=plugins) as engine:
            self._belongings.note()
            yield engine

    def _state(self) -> None:
        with self._engine() as engine:
            StateMoves(engine, self._seen, self._watcher).play()
        with self._engine() as engine:
            move_document(engine, self._seen, self._watcher)

    def _start(self) -> None:
        short = msgspec.structs.replace(self._settings, load_deadline_seconds=self._seen.deadline_seconds)
        with tempfile.TemporaryDirectory(prefix="limits-") as folder, self._engine(short) as engine:
            Starts(engine, self._seen, self._belongings, Path(folder), self._watcher).play()

    def _corrupt(self) -> None:
        with self._engine() as engine:
            Corruptions(engine, self._seen, self._watcher).play()

    def _pressure(self) -> None:
        with self._engine(tight(self._settings, rows_of(self._seen.megabytes))) as engine:
            Pressure(engine, self._seen, self._watcher).play()


def run_command(megabytes: int, json_path: Path | None) -> int:
    """Run it for the command line; see `conclude` for the exit code."""
    done = itertools.count(1)
    with quiet(), progress(LOOKS, "looks", "Limits") as told:
        watcher = _nobody if told is None else lambda _, what: told(next(done), what)
        result = LimitsRun(megabytes, watcher=watcher).run()
    return conclude(result.text(), result.document(), result.passed, json_path)
