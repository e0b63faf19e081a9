"""The module `slate`, which takes any config, and shows in every tick which one it has."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from grove_core.author.module import Module
from grove_core.author.schema import Schema


class Slate(Module):
    """`rules` is a checksum of the config."""

    schema = Schema(rules="i8")

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the config."""
        self._checksum = checksum(config)

    def update_config(self, config: Mapping[str, Any]) -> bool:
        """Take another one."""
        self.initialize(config)
        return True

    def process(self, dt: float) -> None:
        """Show it."""
        self.entities.rules = self._checksum


def checksum(config: Mapping[str, Any]) -> int:
    """Return a number that tells configs apart: True from 1, and 1 from 1.0, too."""
    return zlib.crc32(json.dumps(config, sort_keys=True).encode())
