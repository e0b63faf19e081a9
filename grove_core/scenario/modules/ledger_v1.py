"""Version 1 of the module `ledger`: accounts, and a document with a checksum."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from grove_core.author.module import Module
from grove_core.author.schema import Column, Schema

HIGHEST = 100.0
"""The best rating."""
PAGE = "the quick brown fox jumps over the lazy dog. "


class Ledger(Module):
    """Adds to each balance what comes in.

    Its configuration: `pages`, how many letters its document begins with, besides the rest; `document`, what is wrong
    with that: `torn` (the checksum is another one), `lost` (there is none), or nothing.
    """

    schema = Schema(balance="f8", income="f8", rating=Column("f4", low=0.0, high=HIGHEST), constant=("income",))

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Begin with an empty document."""
        self._config = config
        self._ticks = 0
        length = config.get("pages", 0)
        self._set_pages((PAGE * (length // len(PAGE) + 1))[:length])

    def update_config(self, config: Mapping[str, Any]) -> bool:
        """Take another configuration, with as many pages."""
        if config.get("pages", 0) != self._config.get("pages", 0):
            return False
        self._config = config
        return True

    def process(self, dt: float) -> None:
        """Add what comes in."""
        self.entities.balance += self.entities.income
        self.count()

    def count(self) -> None:
        """Count the tick in the document."""
        if not self.catching_up:
            self._ticks += 1
            self.mark_state_changed()

    def get_state(self) -> dict[str, Any]:
        """Return the document, with the checksum of its pages."""
        wrong = self._config.get("document")
        checksum = {} if wrong == "lost" else {"checksum": self._checksum + (wrong == "torn")}
        return {"ticks": self._ticks, "pages": self._pages, **checksum}

    def set_state(self, document: Mapping[str, Any]) -> None:
        """Go on from a document."""
        self._ticks = document["ticks"]
        self._set_pages(document["pages"])

    def migrate_state_from(self, from_version: str, state: Mapping[str, Any]) -> bool:
        """Take a document over, if its checksum is right."""
        checksum = state["checksum"]
        self.set_state(state)
        return bool(self._checksum == checksum)

    def _set_pages(self, pages: str) -> None:
        self._pages, self._checksum = pages, zlib.crc32(pages.encode())
