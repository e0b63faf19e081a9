"""One schedule: every choice from one seed, the time it takes, and what was done when."""

from __future__ import annotations

import heapq
import random
import signal
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

Choice = TypeVar("Choice")


class Point(StrEnum):
    """Where a worker can be when something happens to it."""

    RECEIVED = "received"
    """An order has arrived, and was not read yet."""
    IMPORT = "import"
    INITIALIZE = "initialize"
    DOCUMENT = "document"
    """It takes a document over."""
    BEGIN = "begin"
    """Nothing of the tick is written yet."""
    HALF = "half"
    """Half of the columns are written."""
    END = "end"
    MAP = "map"
    IDLE = "idle"
    SHUTDOWN = "shutdown"
    REPLY = "reply"
    """The work is done, the answer not sent."""
    REPLIED = "replied"


class Harm(StrEnum):
    """What can happen to a worker, to its answer, or to the engine."""

    DIE = "die"
    LAG = "lag"
    """It goes on after a while, within the deadline of a tick or not."""
    HANG = "hang"
    """It never goes on by itself."""
    RAISE = "raise"
    BREAK = "break"
    """It writes what the rules of its columns refuse, or gives what does not fit."""
    BUSY = "busy"
    """It says that it is not idle."""
    LOSE = "lose"
    """The answer is not sent."""
    TWICE = "twice"
    """The answer is sent twice."""
    GARBLE = "garble"
    """What is sent is no message, or half of one."""
    OTHER = "other"
    """What is sent is the answer to another question."""
    OLD = "old"
    """What is sent is the answer before this one."""
    SURVIVE = "survive"
    """It outlives SIGKILL, and goes on writing."""
    NO_WORKER = "no worker"
    """No worker can be started."""
    FULL = "full"
    """Its queue takes no message."""
    NO_MEMORY = "no memory"
    """The system gives the engine no file, or no further descriptor of one."""
    INTERRUPT = "interrupt"
    """Ctrl-C, while the engine waits."""


ANYWHERE = (Harm.DIE, Harm.LAG, Harm.HANG)
CODE = (*ANYWHERE, Harm.RAISE)
POSSIBLE: dict[Point, tuple[Harm, ...]] = {
    Point.RECEIVED: ANYWHERE,
    Point.REPLY: (*ANYWHERE, Harm.LOSE, Harm.TWICE, Harm.GARBLE, Harm.OTHER, Harm.OLD),
    Point.REPLIED: (Harm.DIE, Harm.LAG),
    Point.HALF: (*CODE, Harm.BREAK),
    Point.MAP: (*CODE, Harm.BREAK),
    Point.IDLE: (*CODE, Harm.BUSY),
}
"""What can happen where; elsewhere what can happen to code."""
SHORT, LONG = 0.004, 0.2
"""Seconds of a lag: well within the deadline of a tick, and well beyond."""

OVER = 1e-6
"""Seconds that a wait in vain takes longer than it was told, as all do: rounding must not keep the time back."""


@dataclass(frozen=True)
class Mood:
    """How rough a schedule is, and which kinds of harm it knows. Few kinds together go deeper than all at once."""

    harm: float
    """The probability of harm at one point."""
    interrupt: float
    """The probability of an interrupt in one wait."""
    kinds: frozenset[Harm]

    @classmethod
    def drawn(cls, chance: random.Random) -> Mood:
        """Draw one."""
        harm = chance.choice((0.005, 0.01, 0.02, 0.04, 0.08, 0.15))
        interrupt = chance.choice((0.0, 0.0, 0.01, 0.05))
        share = chance.choice((0.25, 0.5, 1.0))
        return cls(harm, interrupt, frozenset(kind for kind in Harm if chance.random() < share))


class Schedule:
    """Draws everything that is left to chance, and keeps the time: it passes only while somebody waits.

    Args:
        seed: the same one gives the same schedule.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.mood = Mood.drawn(self.chance)
        self.now = 0.0
        self.calm = False
        """Whether nothing more is to happen."""
        self.trace: list[tuple[float, str, str]] = []
        self.counts: Counter[str] = Counter()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def note(self, who: str, what: str) -> None:
        """Write down what was done."""
        self.trace.append((self.now, who, what))

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen so many seconds from now; what is due at once happens in the order it was noted."""
        self._number += 1
        heapq.heappush(self._due, (self.now + seconds, self._number, action))

    def advance(self, until: float) -> None:
        """Let the next thing happen that is due by then; where nothing is, let the time come.

        Raises:
            KeyboardInterrupt: that is what happens.
        """
        if self.mood.interrupt and self.strikes(Harm.INTERRUPT, self.mood.interrupt):
            self.note("engine", "is interrupted")
            signal.raise_signal(signal.SIGINT)
        if self._due and self._due[0][0] <= until:
            at, _, action = heapq.heappop(self._due)
            self.now = max(self.now, at)
            action()
        else:
            self.now = max(self.now, until + OVER)

    def rest(self, seconds: float) -> None:
        """Let so many seconds pass while the engine does nothing."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            at, _, action = heapq.heappop(self._due)
            self.now = max(self.now, at)
            action()
        self.now = end

    def strikes(self, kind: Harm, probability: float | None = None) -> bool:
        """Draw whether this kind of harm happens here."""
        if self.calm or kind not in self.mood.kinds:
            return False
        if self.chance.random() >= (self.mood.harm if probability is None else probability):
            return False
        self.counts[kind] += 1
        return True

    def harm(self, point: Point) -> Harm | None:
        """Draw what happens to a worker at this point; None is the rule."""
        if self.calm or self.chance.random() >= self.mood.harm:
            return None
        kinds = [kind for kind in POSSIBLE.get(point, CODE) if kind in self.mood.kinds]
        if not kinds:
            return None
        kind = self.chance.choice(kinds)
        self.counts[kind] += 1
        return kind

    def some_of(self, ready: Sequence[Choice]) -> list[Choice]:
        """Draw which of several things are seen at once, and in which order: one at the least."""
        if len(ready) < 2:
            return list(ready)
        return self.chance.sample(ready, self.chance.randint(1, len(ready)))

    def lag(self) -> float:
        """Draw how long something takes that takes longer than it should."""
        return self.chance.uniform(0.0, self.chance.choice((SHORT, LONG)))

    def pick(self, choices: Collection[Choice], most: int) -> list[Choice]:
        """Draw up to so many of these."""
        return self.chance.sample(list(choices), min(len(choices), self.chance.randint(1, most)))


def told(trace: Sequence[tuple[float, str, str]]) -> list[str]:
    """Return a trace as lines of text."""
    return [f"{at * 1000:10.3f} ms  {who:<18} {what}" for at, who, what in trace]


def shown(value: Any) -> str:
    """Return a value for a trace, short."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
