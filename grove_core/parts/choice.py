"""How settings choose a part."""

from __future__ import annotations

from typing import Any

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """A part by its name, and the options its factory gets."""

    use: str
    options: dict[str, Any] = {}
