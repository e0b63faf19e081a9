"""Values as an error shows them: whatever they are, in a line."""

from __future__ import annotations

LONGEST = 200
"""So many characters of a value are shown at most."""


def brief(value: object) -> str:
    """Return `repr(value)`, cut to 200 characters; where that raises, the name of its type.

    Integers of more digits than Python writes out raise, and so does what is nested too deeply.
    """
    try:
        text = repr(value)
    except Exception:
        return f"an unprintable {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
