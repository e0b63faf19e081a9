"""A worker in an interpreter of its own, where no zygote may fork one.

Started as `python -m grove_core.worker.alone WIRE LIFELINE`, both numbers of inherited descriptors. What it does
is what a forked one does; it is ready for its first message once it has imported everything.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

from grove_core.worker.limits import hang_by, print_at_once


def serve(wire: int, lifeline: int) -> None:
    """Be a worker, and never return."""
    hang_by(lifeline)  # first of all: the engine may be gone before the slow imports are done
    print_at_once()
    own = os.dup(wire)  # not to be inherited, and with a low number: that is what a limit of descriptors is about
    os.close(wire)
    import numpy.ma  # noqa: F401  as for a zygote

    from grove_core.wire.channel import Channel
    from grove_core.wire.messages import ToWorker
    from grove_core.worker import main as worker
    from grove_core.worker.rehearsal import rehearse

    to_engine: Channel[ToWorker] = Channel(socket.socket(fileno=own), ToWorker)
    os.register_at_fork(after_in_child=to_engine.close)  # its forks do not answer in its place
    rehearse(to_engine, to_engine.kind)  # what is slow the first time does not wait for the first message
    gc.collect()
    gc.freeze()
    status = 70  # EX_SOFTWARE, unless the worker ends as it should
    try:
        status = worker.run(to_engine)
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
