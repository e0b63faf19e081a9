"""Messages at the moment at which other code takes a version's place."""

from __future__ import annotations

from grove_core.wire.message import Message


class Patch(Message, frozen=True):
    """Go on from the document of the code that had this place until now. Columns come later, by `Remap`."""

    document: bytes | None
    """The last that was committed, as msgpack, or None."""
    document_version: str
    """What the code before called itself."""


class Patched(Message, frozen=True):
    """The answer to `Patch`: the version may be ticked once it has its columns."""

    document: bytes | None
    document_taken: bool
