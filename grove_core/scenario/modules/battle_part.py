"""What the three modules of a battle have in common: a count of their ticks, and a board to post it on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grove_core.author.module import Module
from grove_core.author.schema import Column

NEVER = -1
"""The ticks of an entity that is none of the battle's: the rows of a warm-up are not."""
TICKS = Column("i8", default=NEVER)
"""How many ticks an entity has had."""


class Part(Module):
    """Counts its ticks in a document, and posts those of its entities for the modules that need it.

    Its configuration: `board`, the folder in which each module has a file with the number it posted last.
    """

    name = ""
    """The module's."""

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the board."""
        self._board = Path(config["board"])
        self._ticks = 0

    def get_state(self) -> dict[str, int]:
        """Return how many ticks this version had, and those from whose document it went on."""
        return {"ticks": self._ticks}

    def set_state(self, document: Mapping[str, int]) -> None:
        """Go on from there."""
        self._ticks = document["ticks"]

    def migrate_state_from(self, from_version: str, state: Mapping[str, int]) -> bool:
        """Go on from any version's."""
        self.set_state(state)
        return True

    def begin(self) -> None:
        """Count the tick, but for one that rows redo."""
        self.entities.ticks += 1
        if not self.catching_up:
            self._ticks += 1
            self.mark_state_changed()

    def posted(self, module: str) -> int:
        """Return the ticks that a module posted last: what one learns of another, and only once that had its tick."""
        try:
            return int((self._board / module).read_bytes() or 0)
        except FileNotFoundError:
            return 0

    def post(self) -> None:
        """Let the others know, once the tick is done."""
        ticks = int(self.entities.ticks.max())
        if ticks > NEVER + 1:
            (self._board / self.name).write_bytes(b"%d" % ticks)
