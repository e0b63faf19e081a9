"""Messages between the engine and a zygote."""

from __future__ import annotations

from grove_core.wire.message import Message, Overflow


class Fork(Message, frozen=True):
    """To a zygote: fork a worker. Its end of the socket and its output come as descriptors."""

    order: int
    """Comes back with `Forked`, so that nobody is taken for another one."""
    after: float = 0.0
    """Seconds that the fork may wait: it would compete with what the engine and its workers do just now."""


class Hurry(Message, frozen=True):
    """To a zygote: fork what still waits, now."""


class Forked(Message, frozen=True):
    """From a zygote: the worker's process id; its pidfd comes along. First of all, with 0: the zygote is up."""

    pid: int
    order: int


class Exited(Message, frozen=True):
    """From a zygote: a worker ended, with this wait status."""

    pid: int
    status: int


ToZygote = Fork | Hurry | Overflow
FromZygote = Forked | Exited | Overflow
