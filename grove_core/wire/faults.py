"""Faults that are committed on purpose: which, and at which point of the protocol."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from grove_core.base.records import FaultKind

LAG_SECONDS = 1.0
AMOUNT_BYTES = 64 << 20


class InjectedKind(StrEnum):
    """The faults that can be injected around a version's code."""

    RAISE = "raise"
    LAG = "lag"
    """It sleeps for so many seconds, and then goes on."""
    HANG = "hang"
    """It spins for ever, with every signal blocked that can be."""
    KILL = "kill"
    """SIGKILL, from itself."""
    EXIT = "exit"
    """`os._exit(3)`: nothing is cleaned up."""
    MEMORY = "memory"
    """It takes so many bytes, writes to them, and never gives them back."""
    CORRUPTION = "corruption"
    """NaN in a column that refuses it."""
    RANGE = "range"
    """Values below `low`, or above `high`, of a column."""
    WRONG = "wrong"
    """Values that keep every rule and are wrong: those of a column, in the reverse order of the rows."""
    GARBAGE = "garbage"
    """It sends what is no message, before its answer."""
    OVERSIZED = "oversized"
    """It sends a message that is over the limit of the wire, before its answer."""
    LATE = "late"
    """It sends the answer to the tick before, as if that had come late."""
    FLOOD = "flood"
    """It prints so many bytes."""
    FORK = "fork"
    """It forks a process that lingers, and goes on."""
    CLOSE = "close"
    """It closes its socket, and lives on."""


class FaultPoint(StrEnum):
    """The points of the protocol at which a fault can be committed, each once the version's own code has run."""

    IMPORT = "import"
    INITIALIZE = "initialize"
    WARM_UP = "warm_up"
    PROCESS = "process"
    SPAWN = "spawn"
    """In a tick in which it asks for newborn."""
    MIGRATE = "migrate"
    """When it lets go of columns or maps others, takes a document over, or runs a function of a `Map`."""
    PATCH = "patch"
    """In code that takes a version's place, once it took the document over."""
    UNLOAD = "unload"
    """At its `shutdown`."""


AT_LOAD = frozenset({FaultPoint.IMPORT, FaultPoint.INITIALIZE, FaultPoint.WARM_UP})
"""The points that are over once a version is loaded."""
AT_PATCH = AT_LOAD | {FaultPoint.PATCH}
"""The points that code reaches which takes a version's place: a fault there waits for a worker that is yet to come."""
IN_TICKS = frozenset({FaultPoint.PROCESS, FaultPoint.SPAWN})
"""The points that are reached in ticks."""
NEEDS_ROWS = frozenset({InjectedKind.CORRUPTION, InjectedKind.RANGE, InjectedKind.WRONG, InjectedKind.LATE})
"""The kinds that there are in ticks only."""


SEEN_AS: dict[InjectedKind, FaultKind] = {
    InjectedKind.RAISE: FaultKind.RAISE,
    InjectedKind.LAG: FaultKind.DEADLINE,
    InjectedKind.HANG: FaultKind.DEADLINE,
    InjectedKind.KILL: FaultKind.DEATH,
    InjectedKind.EXIT: FaultKind.DEATH,
    InjectedKind.CLOSE: FaultKind.DEATH,
    InjectedKind.CORRUPTION: FaultKind.RULE,
    InjectedKind.RANGE: FaultKind.RULE,
    InjectedKind.GARBAGE: FaultKind.WRONG_REPLY,
    InjectedKind.OVERSIZED: FaultKind.WRONG_REPLY,
    InjectedKind.LATE: FaultKind.WRONG_REPLY,
}
"""What the engine sees of a fault in a tick, a lag being longer than the deadline; of others it sees nothing unless
a limit or a validator is set."""


class Planned(msgspec.Struct, frozen=True, array_like=True):
    """One fault that is to be committed."""

    kind: InjectedKind
    point: FaultPoint = FaultPoint.PROCESS
    at: int | None = None
    """In the tick with this number; at the next opportunity if None."""
    seconds: float = LAG_SECONDS
    """How long a lag lasts."""
    bytes: int = AMOUNT_BYTES
    """How much memory is taken, or how much is printed."""
