"""Version 1 of the modules of a game: `map`, `units` that need it, `ai` that needs both, and `chat`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from grove_core.author.lens import Lens
from grove_core.author.module import Module
from grove_core.author.schema import Schema


class Piece(Module):
    """What they have in common: they count and compute, and note when they did.

    `began` and `ended` are of the machine's monotonic clock, which is the same one in every process.
    """

    needs: ClassVar[Sequence[str]] = ()
    step: ClassVar[int] = 1
    """What `count` grows by in a tick."""
    schema = Schema(count="i8", value="f8", served="i8", began="i8", ended="i8")

    def get_dependencies(self) -> Sequence[str]:
        """Name what it needs."""
        return self.needs

    def process(self, dt: float) -> None:
        """Advance every entity."""
        e = self.entities
        e.began = time.monotonic_ns()
        e.count += self.step
        e.value = e.value * 0.75 + e.id
        self.serve()
        e.ended = time.monotonic_ns()

    def serve(self) -> None:
        """Do what else there is to do."""


class Serving(Piece):
    """One that has a document: in how many ticks it did something."""

    def initialize(self, config: Any) -> None:
        """Begin to count."""
        self._served = 0

    def serve(self) -> None:
        """Count this tick."""
        self._served += 1
        self.entities.served = self._served
        self.mark_state_changed()

    def get_state(self) -> dict[str, int]:
        """Return the count."""
        return {"served": self._served}

    def set_state(self, document: dict[str, int]) -> None:
        """Go on from a count."""
        self._served = document["served"]

    def migrate_state_from(self, from_version: str, state: dict[str, int]) -> bool:
        """Go on from another version's count."""
        self.set_state(state)
        return True


class Map(Piece):
    """What everything stands on."""


class Units(Serving):
    """They stand on a map."""

    needs = ("map>=1,<3",)


class Ai(Serving):
    """It moves units."""

    needs = ("units>=1,<2", "map")


class Chat(Serving):
    """It has nothing to do with the others."""


LENSES = [Lens("==1.*", ">=2", [])]
"""For later versions: nothing of the schema changed."""
