"""Messages about the config of a version that is loaded."""

from __future__ import annotations

from typing import Any

from grove_core.author.schema import Scalar
from grove_core.wire.message import Message


class CheckConfig(Message, frozen=True):
    """Say whether a config would do; nothing of it is kept."""

    config: dict[str, Any]


class ConfigChecked(Message, frozen=True):
    """The answer to `CheckConfig`."""

    mistakes: tuple[str, ...]
    """A line for each, beginning with its path."""
    newborn: dict[str, Scalar]
    """What newborn get by it: column -> value."""


class UpdateConfig(Message, frozen=True):
    """Take another config, now. To be sent only where it `takes_config`."""

    config: dict[str, Any]


class ConfigUpdated(Message, frozen=True):
    """The answer to `UpdateConfig`."""

    taken: bool
    """False: not while it runs, and nothing has changed."""
