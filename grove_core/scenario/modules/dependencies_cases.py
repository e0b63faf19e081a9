"""The cases of `dependencies`."""

from __future__ import annotations

from enum import StrEnum


class Case(StrEnum):
    """What is played."""

    PULLED = "a load brings what it needs, base first"
    ORDER = "a tick goes from base to dependents"
    CANARY = "a canary is no new base"
    RELOAD = "another version of the base is stable"
    FAULT = "the base fails and is rolled back"
    DIAMOND = "a choice that leads nowhere is taken back"
    UNLOAD = "refused: to unload what another needs"
    CYCLE = "refused: what closes a cycle"
    NEW_CYCLE = "refused: a cycle, with nothing of it loaded"
    RANGE = "refused: what is out of range"
    MISSING = "refused: what needs what nobody has"
    CONFLICT = "refused: what cannot be had together"
    IN_TURN = "dependent and base are changed in turn"


REFUSED = (Case.UNLOAD, Case.CYCLE, Case.NEW_CYCLE, Case.RANGE, Case.MISSING, Case.CONFLICT)
"""After these everything must be as it was."""
