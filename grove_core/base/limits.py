"""What one version may take."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from grove_core.base.errors import InvalidInput


class Limit(StrEnum):
    """Everything that is limited, by the name of its field in `Limits`."""

    MEMORY = "memory_bytes"
    CPU = "cpu_ms"
    WALL = "tick_ms"
    DESCRIPTORS = "descriptors"
    OUTPUT = "output_bytes"


WHOLE = (Limit.MEMORY, Limit.DESCRIPTORS, Limit.OUTPUT)
"""Those that are counted, not measured."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a version may take; None is no limit. What is over a limit is a fault with its name.

    Raises:
        InvalidInput: a value is no number, not whole where it must be, or not above 0.
    """

    memory_bytes: int | None = None
    """Writable memory of its process beyond what a worker has before it imports the version: heap, arrays, stacks
    of threads. It counts when it is asked for, not when it is written. Columns are the engine's, and do not count."""
    cpu_ms: float | None = None
    """CPU time of all threads of its process in one tick."""
    tick_ms: float | None = None
    """Wall-clock time of one tick, instead of the setting `tick_deadline_ms`."""
    descriptors: int | None = None
    """Files, sockets and pipes that it has open at a time, beside the worker's own."""
    output_bytes: int | None = None
    """What it prints in one tick."""

    def __post_init__(self) -> None:
        for limit in Limit:
            value = getattr(self, limit)
            if value is None:
                continue
            kinds = int if limit in WHOLE else int | float
            if not isinstance(value, kinds) or isinstance(value, bool) or not 0 < value < float("inf"):
                what = "a whole number" if limit in WHOLE else "a number"
                raise InvalidInput(f"limits.{limit} must be {what} above 0, not {value!r}")

    def told(self, limit: Limit) -> str:
        """Name a limit and its value, as messages do."""
        return f"its limit {limit} = {getattr(self, limit)}"
