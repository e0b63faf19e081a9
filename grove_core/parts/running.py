"""What the engine promises itself of a running version, and of where versions run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Peer(Protocol):
    """Who is told something, and answers."""

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """Send without blocking. Raises `PeerDied` if it is gone, `ProtocolError` if its queue is full."""
        ...

    def receive(self, timeout: float) -> Any:
        """Return the next message, or raise `DeadlineExceeded` after `timeout` seconds, or `PeerDied`."""
        ...


class Worker(Peer, Protocol):
    """The engine's end of a running version. `pidfd` turns readable when it died, `output` when it printed."""

    pid: int
    pidfd: int
    output: int
    printed: int
    """How many bytes of its output were read so far, also of those that were not kept."""

    def fileno(self) -> int:
        """The descriptor that turns readable when an answer is there."""
        ...

    def receive_now(self) -> Any:
        """Return a message that has arrived, or None; raises as `receive` does."""
        ...

    def read_output(self) -> str:
        """Return what it printed since the last call, bounded; never waits."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for it to be gone by itself."""
        ...

    def kill(self) -> bool:
        """End it at once. True only once it is certainly gone and can write no more."""
        ...

    def how_it_ended(self) -> str:
        """Say how it ended, as far as it is known."""
        ...

    def memory(self) -> tuple[int | None, int | None]:
        """Return its own proportional and private bytes, tables left out; None where it cannot be measured."""
        ...

    def cpu_seconds(self) -> float | None:
        """Return the CPU time that all of its threads took since it began; None where it cannot be measured."""
        ...

    def close(self) -> None:
        """Let go of the descriptors. It must be gone, or be abandoned."""
        ...


class Isolation(Protocol):
    """Where versions run."""

    def start(self) -> Worker:
        """Return a worker that waits for its first message."""
        ...

    def memory(self) -> int | None:
        """Return the anonymous bytes of everything it started, shared pages once; None if unmeasured."""
        ...

    def close(self) -> None:
        """End everything it started."""
        ...
