"""The zygote: a process with everything preloaded and one thread, which forks workers on demand.

Started as `python -m grove_core.worker.zygote CONTROL LIFELINE`, both numbers of inherited descriptors. It ends
when the control socket closes, and takes along whatever is left of its workers. It opens each child's pidfd before
it reaps it, so a pid is never confused.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from pathlib import Path

import numpy.ma  # noqa: F401  np.unique imports it at its first call, which takes 13 ms

from grove_core.base.errors import PeerDied, ProtocolError
from grove_core.wire.channel import Channel, close_all
from grove_core.wire.messages import ToWorker
from grove_core.wire.zygote_messages import Exited, Fork, Forked, Hurry, ToZygote
from grove_core.worker import main as worker
from grove_core.worker.limits import hang_by, print_at_once, tell_at_end
from grove_core.worker.orphans import Children
from grove_core.worker.rehearsal import rehearse


def serve(control: int, lifeline: int) -> None:
    """Fork a worker for each `Fork`, report each `Exited`, until the engine is gone."""
    lifeline = tell_at_end(lifeline, os.getpid(), signal.SIGCONT)  # a zygote that was stopped has to clear up as well
    channel: Channel[ToZygote] = Channel(socket.socket(fileno=control), ToZygote)
    children = Children()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    rehearse(kind=channel.kind)  # what is slow the first time is over for all of its children
    gc.collect()
    gc.freeze()
    policy = os.sched_getscheduler(0)
    if policy == os.SCHED_OTHER:
        _schedule(os.SCHED_BATCH)  # forks and rehearsals preempt neither the engine nor its workers
    with contextlib.suppress(PeerDied):  # an engine that is gone needs no workers, and no word of how they ended
        channel.send(Forked(0, 0))
        _serve(channel, children, lifeline, (woken, wake), policy)
    children.end()
    os._exit(0)  # there is nothing to clear up, and what would do so takes its time


def _serve(channel: Channel[ToZygote], children: Children, lifeline: int, own: tuple[int, int], policy: int) -> None:
    """Do what messages say, until the engine is gone.

    Raises:
        PeerDied: it is.
    """
    woken, _ = own
    orders: deque[tuple[float, int, list[int]]] = deque()
    """When each is due, its number, and its descriptors."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        wait = None if not orders else max(0.0, orders[0][0] - time.monotonic()) * 1000
        for descriptor, _ in poll.poll(wait):
            if descriptor == woken:
                os.read(woken, 4096)
                _reap(channel, children)
                continue
            message, descriptors = channel.receive(0)
            if isinstance(message, Fork) and len(descriptors) == 2:
                orders.append((time.monotonic() + message.after, message.order, descriptors))
                continue
            if isinstance(message, Hurry):
                orders = deque((0.0, number, each) for _, number, each in orders)
            close_all(descriptors)
        while orders and orders[0][0] <= time.monotonic():
            _, number, descriptors = orders.popleft()
            children.add(_fork(channel, lifeline, number, descriptors, own, policy))


def _fork(
    channel: Channel[ToZygote], lifeline: int, order: int, descriptors: list[int], own: tuple[int, int], policy: int
) -> int:
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise SystemExit("the zygote has a second thread; a fork would not be safe")
    pid = os.fork()
    if pid == 0:
        _become_worker(channel, lifeline, descriptors, own, policy)
    close_all(descriptors)  # before anybody hears of it: the worker's death is to be its socket's EOF
    pidfd = os.pidfd_open(pid)
    try:
        channel.send(Forked(pid, order), [pidfd])
    finally:
        os.close(pidfd)
    return pid


def _become_worker(
    channel: Channel[ToZygote], lifeline: int, descriptors: list[int], own: tuple[int, int], policy: int
) -> None:
    """Leave the zygote behind, and never return to its loop."""
    status = 70  # EX_SOFTWARE, unless the worker ends as it should
    try:
        os.setpgid(0, 0)  # before anything else: whatever it starts belongs to its group
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel.close()
        close_all(own)
        hang_by(lifeline)
        wire, output = descriptors
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        print_at_once()
        to_engine: Channel[ToWorker] = Channel(socket.socket(fileno=wire), ToWorker)
        os.register_at_fork(after_in_child=to_engine.close)  # its forks do not answer in its place
        rehearse(to_engine, to_engine.kind)
        _schedule(policy)
        status = worker.run(to_engine)
    finally:
        os._exit(status)


def _reap(channel: Channel[ToZygote], children: Children) -> None:
    for pid, status in children.reap():
        with contextlib.suppress(ProtocolError):  # nobody reads; the status only makes a better message
            channel.send(Exited(pid, status))


def _schedule(policy: int) -> None:
    with contextlib.suppress(OSError):  # some sandboxes refuse; then it is as quick as it would be without
        os.sched_setscheduler(0, policy, os.sched_param(0))


def _nothing(_signal: int, _frame: object) -> None:
    """Have SIGCHLD wake the poll, and no more."""


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
