"""What putting other code in the place of a loaded version came to."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version


@dataclass(frozen=True)
class PatchReport:
    """A loaded version goes on with other code. No entity has moved."""

    module: str
    source: Version
    """What it was called before."""
    target: Version
    """What it is called now: the same where only its code changed, or the patch release that it is now."""
    entities: int
    """How many it had when the code changed, and has."""
    ms: float
    """From the call on, until the new code had everything; meanwhile ticks of other threads went on."""
    pause_ms: float
    """The longest that the call kept everybody else waiting, at the change itself or before: so long a tick was late
    at most."""
    contents: str | None
    """The beginning of the digest of what runs now; None where it is in no files, or runs from where it lies."""
    patches: int
    """How many patches of it can be undone now."""
