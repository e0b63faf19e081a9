"""Messages about services: from the version that calls by the engine to those that answer, and back.

The engine reads none of what is given and answered. It is msgpack, arrays in it as told in `worker.packing`.
"""

from __future__ import annotations

from grove_core.author.services import Service
from grove_core.wire.message import Message


class Offer(Message, frozen=True):
    """The services of a module that a version needs."""

    module: str
    version: str
    """Its stable version, by which they are told."""
    services: tuple[Service, ...]


class CallService(Message, frozen=True):
    """While a version is initialised, processes a tick or answers itself: call a service."""

    base: str
    name: str
    given: bytes
    """Positional arguments as a list; with entities, the rest of them: one value for each entity."""
    shared: bytes
    """The others, as a table."""
    ids: bytes | None
    """The entities it is about, as raw int64; None where it is about none."""


class Serve(Message, frozen=True):
    """Answer a call, over the rows from 0 to `rows_in_all`."""

    call: int
    """Comes back with `Served`."""
    name: str
    given: bytes
    shared: bytes
    rows_in_all: int
    ids: bytes | None = None
    """All entities that the call is about."""
    places: bytes | None = None
    """Which of them are asked of this version, as raw int64 places in `ids`; None for all."""
    rows: bytes | None = None
    """Their rows, as raw int64, -1 for those that the module does not have."""


class Served(Message, frozen=True):
    """The answer to `Serve`."""

    call: int
    ms: float
    result: bytes


class AnswerPart(Message, frozen=True):
    """What one version answered."""

    places: bytes | None
    """For which entities, as raw int64 places; None for all, or for none in particular."""
    result: bytes


class Answered(Message, frozen=True):
    """The answer to `CallService`."""

    parts: tuple[AnswerPart, ...]


class Unanswered(Message, frozen=True):
    """The answer to `CallService` where there is none."""

    reason: str
    traceback: str | None = None
