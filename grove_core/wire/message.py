"""What all messages are, and what stands for one that is too large."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The base of all messages."""


class Overflow(Message, frozen=True):
    """A message that is too large for a packet: it lies in the sealed memory whose descriptor comes last."""

    size: int
