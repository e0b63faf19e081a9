"""What binds a worker's life, and what it prints, to its engine's."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
from io import TextIOWrapper

F_SETSIG = 10
"""Linux's fcntl command; Python's fcntl module names it only in some versions."""


def hang_by(lifeline: int) -> None:
    """Have the system kill this process and its group, which it leads, once the engine's end of the lifeline closes.

    It works by the kernel (O_ASYNC with F_SETSIG SIGKILL), so that also a worker that spins or blocks its
    signals ends with its engine; and so do its forks, which inherit the open file, even if it ended before them.
    """
    tell_at_end(lifeline, -os.getpid(), signal.SIGKILL)


def tell_at_end(lifeline: int, owner: int, number: signal.Signals) -> int:
    """Have a signal sent to a process, or to a group (below 0), once the engine's end of the lifeline closes.

    The pipe is opened anew, and returned: an owner belongs to one open file, and forks share it.
    """
    own = os.open(f"/proc/self/fd/{lifeline}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.close(lifeline)
    fcntl.fcntl(own, fcntl.F_SETOWN, owner)
    fcntl.fcntl(own, F_SETSIG, number)
    fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(own, 0)
    if poll.poll(0):  # it closed before the signal was set
        os._exit(1)
    return own


def print_at_once() -> None:
    """Have each line go out as it is printed: what lies in a buffer is lost when the worker is killed."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
