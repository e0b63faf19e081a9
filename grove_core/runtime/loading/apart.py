"""A worker that is made ready while others have their turns."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Any

from grove_core.base.errors import DeadlineExceeded, PeerDied
from grove_core.base.waiting import Waiting
from grove_core.parts.running import Worker
from grove_core.runtime.state.turns import Turn


class Apart:
    """A worker, as who has the turn talks to it: the turn is given away while its answers are waited for.

    Whatever else is true may have changed by the time an answer is there.

    Args:
        worker: nobody else may talk to it.
        turn: the turn of the call.
        waiting: how it is waited for.
        printed: called in the turn when it has printed something, to take it: a full pipe would stop it.
    """

    def __init__(self, worker: Worker, turn: Turn, waiting: Waiting, printed: Callable[[], object]) -> None:
        self._worker, self._turn, self._waiting, self._printed = worker, turn, waiting, printed

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """See `Worker.send`."""
        self._worker.send(message, descriptors)

    def receive(self, timeout: float) -> Any:
        """See `Worker.receive`; also raises `EngineClosed` if that happened meanwhile."""
        end, gone = self._waiting.now() + timeout, False
        while (message := self._worker.receive_now()) is None:
            if gone:
                raise PeerDied("it is gone")
            left = end - self._waiting.now()
            if left <= 0:
                raise DeadlineExceeded(f"no answer within {timeout:g} s")
            with self._turn.aside():
                ready = self._wait(left)
            gone = self._worker.pidfd in ready
            if self._worker.output in ready:
                self._printed()
        return message

    def _wait(self, seconds: float) -> set[int]:
        """Wait until it has something to say, or is gone; return which of its descriptors told."""
        poll = self._waiting.poll()
        for descriptor in (self._worker.fileno(), self._worker.pidfd, self._worker.output):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
