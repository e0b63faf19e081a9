"""The rehearsal of a spare: it does all that a load does, and nobody can tell afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grove_core.isolation.process import ProcessIsolation
from grove_core.wire.channel import Channel
from grove_core.wire.messages import (
    PROTOCOL,
    AskIdle,
    Introduced,
    Load,
    Mapped,
    Ready,
    Ticked,
    ToEngine,
    ToWorker,
)
from grove_core.worker.rehearsal import rehearse

SECONDS = 20.0
SEEN = """
import gc, os, random, signal, sys, threading
from pathlib import Path

import numpy as np

import grove_core
import grove_core.worker
from grove_core import Module


def seen():
    fds = {entry.name: str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists()}
    return {
        "modules": set(sys.modules),
        "names": [set(vars(module)) for module in (grove_core, grove_core.worker, sys)],
        "path": list(sys.path),
        "finders": [list(sys.meta_path), list(sys.path_hooks), set(sys.path_importer_cache)],
        "versions": Module.__subclasses__(),
        "descriptors": fds,
        "mapped": [line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd" in line],
        "random": [random.getstate(), str(np.random.get_state())],
        "errors": [np.geterr(), np.geterrcall()],
        "threads": [threading.active_count(), len(os.listdir("/proc/self/task"))],
        "signals": [signal.getsignal(each) for each in signal.valid_signals()],
        "collector": [gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.garbage],
        "process": [os.getcwd(), dict(os.environ), os.sched_getscheduler(0), os.nice(0)],
    }
"""
ALONE = (
    SEEN
    + """
from grove_core.worker.rehearsal import rehearse

seen()  # to look imports too, the first time
before = seen()
for _ in range(3):
    rehearse()
    after = seen()
    for what, was in before.items():
        assert after[what] == was, what
"""
)
LOADED = (
    """
import sys
strange = [name for name in sys.modules if "rehears" in name and name != "grove_core.worker.rehearsal"]
"""
    + SEEN
    + """
from grove_core import Schema
now = seen()
print(strange, now["versions"], now["mapped"], now["path"][0], now["threads"], now["process"][2], flush=True)

class Main(Module):
    schema = Schema(x="f4")

    def process(self, dt):
        pass
"""
)


@pytest.fixture
def wire() -> Iterator[tuple[Channel[ToEngine], Channel[ToWorker]]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ends: tuple[Channel[ToEngine], Channel[ToWorker]] = (Channel(ours, ToEngine), Channel(theirs, ToWorker))
    yield ends
    for end in ends:
        end.close()


def test_it_does_what_a_load_does_every_time() -> None:
    for _ in range(3):
        answers = rehearse()
        assert [type(answer) for answer in answers] == [Introduced, Ready, Ticked, Mapped]


def test_it_leaves_no_trace() -> None:
    """In a process of its own, so that nothing else changes meanwhile."""
    subprocess.run(
        [sys.executable, "-P", "-c", ALONE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=60,
        check=True,
    )


def test_it_goes_on_while_nothing_waits(wire: tuple[Channel[ToEngine], Channel[ToWorker]]) -> None:
    assert len(rehearse(wire[1])) == 4


def test_a_message_that_waits_cuts_it_short_and_stays(wire: tuple[Channel[ToEngine], Channel[ToWorker]]) -> None:
    engine, worker = wire
    engine.send(AskIdle())
    assert [type(answer) for answer in rehearse(worker)] == [Introduced]
    assert worker.receive(0) == (AskIdle(), [])


def test_an_engine_that_is_gone_cuts_it_short(wire: tuple[Channel[ToEngine], Channel[ToWorker]]) -> None:
    engine, worker = wire
    engine.close()
    assert len(rehearse(worker)) == 1


def test_a_version_cannot_tell_that_its_worker_rehearsed(
    isolation: ProcessIsolation, package: Callable[..., Path]
) -> None:
    folder = package("ledger", "1.0.0", LOADED)
    for _ in range(2):
        worker = isolation.start()
        worker.send(Load(PROTOCOL, "ledger", "1.0.0", "ledger_v1_0_0:Main", (str(folder),), False))
        answer = worker.receive(SECONDS)
        assert isinstance(answer, Introduced), answer
        expected = f"[] [] [] {folder} [1, 1] {os.sched_getscheduler(0)}\n"
        assert worker.read_output() == expected
        assert worker.kill()
        worker.close()
