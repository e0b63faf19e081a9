"""Workers as processes: where they come from, how they end, and that nothing of them is left.

Every test runs over each way there is to have workers: forked or spawned, over packets or over a stream.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import grove_core
from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError, WorkerError
from grove_core.base.ways import WireKind
from grove_core.isolation.handle import OUTPUT_BYTES, ProcessWorker, process_memory
from grove_core.isolation.process import ProcessIsolation
from grove_core.isolation.spawned import SpawnIsolation
from grove_core.wire.messages import PROTOCOL, AskIdle, Idle, Introduced, Load, Prepare, Raised, Ready, Shutdown

SECONDS = 20.0
"""How long anything here may take at most; a machine that is busy is no failure."""
CLASS = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4")

    def process(self, dt):
        pass
"""
SPINNING = (
    """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGIO):
    signal.signal(number, signal.SIG_IGN)
print("spinning", flush=True)
while True:
    pass
"""
    + CLASS
)


def eventually(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def children(pid: int) -> set[int]:
    """The processes that `pid` started and that still run."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found.update(map(int, task.read_text().split()))
    return {child for child in found if alive(child)}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


WAYS = [(isolation, wire) for isolation in (ProcessIsolation, SpawnIsolation) for wire in WireKind]
FORKED, SPAWNED = WAYS[: len(WireKind)], WAYS[len(WireKind) :]
Way = tuple[type[ProcessIsolation] | type[SpawnIsolation], WireKind]


def name_of(way: Way) -> str:
    return f"{way[0].__name__}-{way[1]}"


forked_only = pytest.mark.parametrize("way", FORKED, indirect=True, ids=name_of)
spawned_only = pytest.mark.parametrize("way", SPAWNED, indirect=True, ids=name_of)


class Started:
    """An isolation of a test's own, and the processes that belong to it."""

    def __init__(self, way: Way) -> None:
        kind, wire = way
        self._others = children(os.getpid())
        self.isolation = kind(wire)
        self.workers: list[ProcessWorker] = []

    def start(self) -> ProcessWorker:
        worker = self.isolation.start()
        self.workers.append(worker)
        return worker

    @property
    def zygote(self) -> int:
        (zygote,) = children(os.getpid()) - self._others
        return zygote

    def everything(self) -> set[int]:
        """The processes that belong to it: a zygote, if there is one, the spare and the workers."""
        own = children(os.getpid()) - self._others
        return own.union(*map(children, own))

    def spare(self) -> int:
        """Wait for the spare and return it: what was started, and nobody was given."""
        taken = {worker.pid for worker in self.workers}
        if isinstance(self.isolation, ProcessIsolation):
            taken.add(self.zygote)
        eventually(lambda: self.everything() - taken)
        (spare,) = self.everything() - taken
        return spare

    def close(self) -> None:
        for worker in self.workers:
            if worker.pidfd >= 0:
                worker.kill()
                worker.close()
        self.isolation.close()


@pytest.fixture(params=WAYS, ids=name_of)
def way(request: pytest.FixtureRequest) -> Way:
    """Each way to have workers: they must behave the same."""
    chosen: Way = request.param
    return chosen


@pytest.fixture
def started(way: Way) -> Iterator[Started]:
    own = Started(way)
    yield own
    own.close()


Loaded = Callable[..., Any]


@pytest.fixture
def load(package: Callable[..., Path]) -> Loaded:
    """`load(worker, source)`: order it to import a version with this source."""

    def order(worker: ProcessWorker, source: str = CLASS) -> None:
        folder = package("ledger", "1.0.0", source)
        worker.send(Load(PROTOCOL, "ledger", "1.0.0", "ledger_v1_0_0:Main", (str(folder),), False))

    return order


def works(worker: ProcessWorker, load: Loaded) -> bool:
    load(worker)
    return isinstance(worker.receive(SECONDS), Introduced)


def becomes_ready(worker: ProcessWorker, load: Loaded) -> bool:
    assert works(worker, load)
    nothing = os.open(os.devnull, os.O_RDWR)
    worker.send(Prepare((), {}, None, "1.0.0"), [nothing, nothing])
    os.close(nothing)
    return isinstance(worker.receive(SECONDS), Ready)


def test_start_gives_a_worker_that_answers(started: Started, load: Loaded) -> None:
    workers = [started.start() for _ in range(3)]
    assert len({worker.pid for worker in workers}) == 3
    for worker in workers:
        assert works(worker, load)
        worker.send(AskIdle())
        assert worker.receive(SECONDS) == Idle(True)
        assert worker.receive_now() is None


def test_the_spare_is_taken_and_another_one_started_once_it_is_ready(started: Started, load: Loaded) -> None:
    spare = started.spare()
    worker = started.start()
    assert worker.pid == spare
    assert works(worker, load)
    others = {started.zygote} if isinstance(started.isolation, ProcessIsolation) else set()
    assert started.everything() - others == {spare}  # nothing was started that would compete with the load
    assert becomes_ready(worker, load)
    assert started.spare() != spare


@pytest.mark.parametrize("source", ["raise ValueError", "import os\nos._exit(1)", SPINNING])
def test_the_next_spare_is_also_started_when_a_load_fails(started: Started, load: Loaded, source: str) -> None:
    worker = started.start()
    load(worker, source)
    assert worker.kill()
    worker.close()
    assert started.spare() != worker.pid


def test_workers_that_are_taken_at_once_leave_one_spare_behind(started: Started, load: Loaded) -> None:
    workers = [started.start() for _ in range(3)]
    assert all(becomes_ready(worker, load) for worker in workers)
    spare = started.spare()
    assert started.start().pid == spare


def test_a_worker_is_not_of_our_session(started: Started) -> None:
    """So that Ctrl-C reaches the engine alone."""
    worker = started.start()
    leader = started.zygote if isinstance(started.isolation, ProcessIsolation) else worker.pid
    assert os.getsid(worker.pid) == leader != os.getsid(0)


def test_a_worker_holds_nothing_but_its_wire_its_output_and_its_lifeline(started: Started, load: Loaded) -> None:
    started.start()
    worker = started.start()
    assert works(worker, load)
    held = [str(entry.readlink()) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()]
    kinds = sorted("/dev/null" if entry == "/dev/null" else entry.partition(":")[0] for entry in held)
    assert kinds == ["/dev/null", "pipe", "pipe", "pipe", "socket"]
    assert len(set(held)) == 4  # both outputs are one pipe


def test_a_spare_that_was_killed_is_not_given_out(started: Started, load: Loaded) -> None:
    spare = started.spare()
    os.kill(spare, signal.SIGKILL)
    eventually(lambda: not alive(spare))
    worker = started.start()
    assert worker.pid != spare
    assert works(worker, load)


@forked_only
def test_a_zygote_that_was_killed_is_replaced_and_its_workers_live_on(started: Started, load: Loaded) -> None:
    first = started.start()
    assert works(first, load)
    zygote = started.zygote
    os.kill(zygote, signal.SIGKILL)
    eventually(lambda: not alive(zygote))
    second = started.start()
    assert works(second, load)
    assert started.zygote != zygote
    first.send(AskIdle())
    assert first.receive(SECONDS) == Idle(True)
    assert first.kill()
    assert first.how_it_ended() == "died"  # who could tell how is gone


@forked_only
def test_a_zygote_that_dies_while_a_worker_is_taken_loses_no_worker(started: Started, load: Loaded) -> None:
    spare, zygote = started.spare(), started.zygote
    assert select.select([started.isolation._zygote._channel], [], [], SECONDS)[0]  # it told of the spare
    os.kill(zygote, signal.SIGKILL)
    eventually(lambda: not alive(zygote))
    worker = started.isolation._take()  # as if it had died after it was last seen alive
    started.workers.append(worker)
    assert worker.pid == spare
    assert works(worker, load)
    assert works(started.start(), load)


def test_close_ends_everything(way: Way) -> None:
    descriptors, others = open_descriptors(), children(os.getpid())
    own = Started(way)
    processes = {own.start().pid, own.start().pid} | own.everything()
    for worker in own.workers:
        worker.close()  # let go of, not ended: the lifeline ends them
    processes.add(own.spare())
    assert len(processes) == (4 if way in FORKED else 3)
    own.isolation.close()
    eventually(lambda: not any(alive(pid) for pid in processes))
    assert children(os.getpid()) == others
    assert open_descriptors() == descriptors
    own.isolation.close()


def test_killed_workers_leave_no_descriptor(started: Started) -> None:
    def once() -> None:
        worker = started.start()
        assert worker.kill()
        worker.close()

    once()
    started.spare()
    before = open_descriptors()
    for _ in range(5):
        once()
    started.spare()
    assert open_descriptors() == before


def test_no_descriptors_are_an_error_of_ours_and_the_next_start_works(started: Started, load: Loaded) -> None:
    started.spare()
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(WorkerError, match="Too many open files"):
            for _ in range(3):  # the first of them may be given the spare
                started.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert works(started.start(), load)


def test_kill_returns_once_it_is_gone_and_the_signal_is_named(started: Started, load: Loaded) -> None:
    worker = started.start()
    load(worker, SPINNING)
    assert not worker.wait(0)
    assert worker.kill()
    assert not alive(worker.pid)
    assert worker.kill()
    assert worker.wait(0)
    with pytest.raises(PeerDied):
        worker.receive(SECONDS)
    with pytest.raises(PeerDied):
        worker.send(AskIdle())
    assert worker.how_it_ended() == "was killed by SIGKILL"


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os._exit(3)", "exited with status 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 5)", f"was killed by signal {signal.SIGRTMIN + 5}"),
    ],
)
def test_how_a_worker_ended_is_told(started: Started, load: Loaded, death: str, how: str) -> None:
    worker = started.start()
    load(worker, f"import os, signal\n{death}")
    assert worker.wait(SECONDS)
    with pytest.raises(PeerDied):
        worker.receive(SECONDS)
    eventually(lambda: not Path(f"/proc/{worker.pid}").exists())  # it was reaped
    assert worker.how_it_ended() == how


def test_a_worker_told_to_shut_down_ends_by_itself(started: Started, load: Loaded) -> None:
    worker = started.start()
    assert works(worker, load)
    worker.send(Shutdown())
    assert worker.receive(SECONDS) == Idle(True)
    assert worker.wait(SECONDS)
    eventually(lambda: not Path(f"/proc/{worker.pid}").exists())
    assert worker.how_it_ended() == "exited with status 0"


def test_what_it_prints_can_be_read_and_is_bounded(started: Started, load: Loaded) -> None:
    worker = started.start()
    assert worker.read_output() == ""
    size = 10 * OUTPUT_BYTES
    load(worker, f"import sys\nprint('x' * {size}, flush=True)\nprint('ä', file=sys.stderr)\n{CLASS}")
    text, answer = "", None
    poll = select.poll()
    poll.register(worker.output, select.POLLIN)
    poll.register(worker.fileno(), select.POLLIN)
    while answer is None:
        assert poll.poll(SECONDS * 1000)
        printed = worker.read_output()
        assert len(printed) <= OUTPUT_BYTES
        text += printed
        answer = worker.receive_now()
    assert isinstance(answer, Introduced)
    assert text + worker.read_output() == "x" * size + "\nä\n"
    assert worker.read_output() == ""


def test_what_it_printed_last_can_be_read_after_its_death(started: Started, load: Loaded) -> None:
    worker = started.start()
    load(worker, "import os\nprint('farewell', flush=True)\nos.write(2, b'\\xff')\nos._exit(1)")
    assert worker.wait(SECONDS)
    assert worker.read_output() == "farewell\n\N{REPLACEMENT CHARACTER}"
    eventually(lambda: worker.read_output() == "" and worker.output < 0)


def test_a_worker_may_not_send_descriptors(started: Started, load: Loaded) -> None:
    started.spare()
    worker = started.start()
    held = open_descriptors()
    load(
        worker,
        """
import os, socket, stat
from grove_core.wire.channel import Channel
from grove_core.wire.messages import Idle, ToWorker
wire = next(n for n in range(3, 64) if os.path.exists(f"/proc/self/fd/{n}") and stat.S_ISSOCK(os.fstat(n).st_mode))
Channel(socket.socket(fileno=os.dup(wire)), ToWorker).send(Idle(True), [0, 1])
"""
        + CLASS,
    )
    with pytest.raises(ProtocolError, match="sent descriptors"):
        worker.receive(SECONDS)
    assert open_descriptors() == held
    assert isinstance(worker.receive(SECONDS), Introduced)


def test_a_worker_that_does_not_answer_is_waited_for_no_longer_than_said(started: Started, load: Loaded) -> None:
    worker = started.start()
    load(worker, SPINNING)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        worker.receive(0.05)
    assert 0.05 <= time.monotonic() - began < 5


def test_the_memory_of_a_process_is_measured(started: Started, load: Loaded) -> None:
    worker = started.start()
    load(worker, "hoard = bytearray(b'x') * (64 << 20)\n" + CLASS)
    assert isinstance(worker.receive(SECONDS), Introduced)
    proportional, private = worker.memory()
    assert proportional is not None
    assert private is not None
    assert proportional >= 64 << 20
    assert private >= 64 << 20
    everything = started.isolation.memory()
    assert everything is not None
    assert everything >= 64 << 20
    assert worker.kill()
    left = started.isolation.memory()
    assert left is not None
    assert everything - left >= 60 << 20


def test_a_process_that_is_gone_has_no_memory(started: Started) -> None:
    worker = started.start()
    assert worker.kill()
    assert process_memory(worker.pid) is None
    assert worker.memory() == (None, None)
    waiting = os.posix_spawn("/bin/true", ["true"], {})
    eventually(lambda: not alive(waiting))
    assert process_memory(waiting) is None  # it ended, and was not reaped yet
    os.waitpid(waiting, 0)
    assert process_memory(waiting) is None


ENGINE = """
import sys
from grove_core.isolation.process import ProcessIsolation
from grove_core.isolation.spawned import SpawnIsolation
from grove_core.wire.messages import Load, PROTOCOL

isolation = {isolation}("{wire}")
idle, spinning = isolation.start(), isolation.start()
spinning.send(Load(PROTOCOL, "ledger", "1.0.0", "ledger_v1_0_0:Main", (sys.argv[1],), False))
printed = ""
while "spinning" not in printed:
    printed += spinning.read_output()
print(idle.pid, spinning.pid, flush=True)
sys.stdin.read()
"""


def test_workers_die_with_an_engine_that_was_killed(way: Way, package: Callable[..., Path]) -> None:
    """Also one that spins, with every signal that can be blocked blocked."""
    program = ENGINE.format(isolation=way[0].__name__, wire=way[1])
    engine = subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(package("ledger", "1.0.0", SPINNING))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    )
    with engine:
        assert engine.stdout is not None
        workers = [int(pid) for pid in engine.stdout.readline().split()]
        try:
            assert len(workers) == 2
            assert all(alive(pid) for pid in workers)
            everything = children(engine.pid)
            everything = everything.union(*map(children, everything))
            assert everything >= set(workers)
        finally:
            engine.kill()
    eventually(lambda: not any(alive(pid) for pid in everything))


REPLACED = """
import os
import grove_core
from grove_core.isolation.process import ProcessIsolation

isolation = ProcessIsolation()
workers = [isolation.start(), isolation.start()]
print(grove_core.__file__)
os.utime(grove_core.__file__, (1, 1))
workers.append(isolation.start())
for worker in workers:
    print(os.getsid(worker.pid))
isolation.close()
"""


def test_a_zygote_is_replaced_when_what_it_preloaded_is(tmp_path: Path) -> None:
    own = tmp_path / "grove_core"
    shutil.copytree(Path(grove_core.__file__).parent, own, ignore=shutil.ignore_patterns("__pycache__"))
    run = subprocess.run(
        [sys.executable, "-P", "-c", REPLACED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    used, first, second, third = run.stdout.split()
    assert Path(used).parent == own
    assert first == second != third


@spawned_only
def test_a_spare_is_replaced_when_what_it_preloaded_is(way: Way, tmp_path: Path) -> None:
    own = tmp_path / "grove_core"
    shutil.copytree(Path(grove_core.__file__).parent, own, ignore=shutil.ignore_patterns("__pycache__"))
    program = """
import os
import grove_core
from grove_core.isolation.spawned import SpawnIsolation

isolation = SpawnIsolation()
print(grove_core.__file__, isolation._spare.pid)
worker = isolation.start()
worker.kill()
worker.close()
print(worker.pid, isolation._spare.pid)
os.utime(grove_core.__file__, (1, 1))
print(isolation.start().pid)
isolation.close()
"""
    run = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    used, spare, first, stale, second = run.stdout.split()
    assert Path(used).parent == own
    assert first == spare
    assert second != stale


@spawned_only
def test_a_worker_that_was_killed_is_reaped_at_once(started: Started) -> None:
    worker = started.start()
    assert worker.kill()
    assert not Path(f"/proc/{worker.pid}").exists()
    assert worker.how_it_ended() == "was killed by SIGKILL"


@spawned_only
def test_an_interpreter_that_cannot_come_up_says_why(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, load: Loaded
) -> None:
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("raise ImportError('this numpy is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    started.start()  # the spare, which came before
    worker = started.start()
    assert worker.wait(SECONDS)
    assert "this numpy is broken" in worker.read_output()
    assert worker.how_it_ended() == "exited with status 1"
    with pytest.raises(PeerDied):
        load(worker)
        worker.receive(SECONDS)


def test_what_comes_before_load_is_answered(started: Started) -> None:
    worker = started.start()
    worker.send(AskIdle())
    answer = worker.receive(SECONDS)
    assert isinstance(answer, Raised)
    assert "before Load" in answer.error


def test_a_worker_has_one_thread_and_what_it_starts_inherits_nothing_of_ours(started: Started, load: Loaded) -> None:
    worker = started.start()
    load(worker, f"import numpy as np\nnp.ones((64, 64)) @ np.ones((64, 64))\n{CLASS}")
    assert isinstance(worker.receive(SECONDS), Introduced)
    assert len(list(Path(f"/proc/{worker.pid}/task").iterdir())) == 1
    inherited = set()
    for entry in Path(f"/proc/{worker.pid}/fd").iterdir():
        told = Path(f"/proc/{worker.pid}/fdinfo/{entry.name}").read_text()
        flags = int(told.partition("flags:")[2].split()[0], 8)
        inherited |= set() if flags & os.O_CLOEXEC else {int(entry.name)}
    assert inherited == {0, 1, 2}


GONE = """
import os, signal
from grove_core.isolation.process import ProcessIsolation
isolation = ProcessIsolation()
workers = [isolation.start() for _ in range(3)]
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_engine_that_is_killed_leaves_a_zygote_that_ends_without_a_word() -> None:
    """It hears of the deaths of its workers when nobody is there any more who would want to know."""
    ran = subprocess.run([sys.executable, "-c", GONE], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert (ran.stdout, ran.stderr) == ("", ""), "both are read until the last process that could print has ended"


def test_workers_taken_one_after_the_other_are_forked_at_once_and_are_not_each_other() -> None:
    """No spare is there yet: the next one would be forked a frame later."""
    isolation = ProcessIsolation()
    try:
        workers = [isolation.start() for _ in range(4)]
        assert len({worker.pid for worker in workers}) == 4
        for killed, worker in enumerate(workers):
            assert worker.kill()
            assert [other.wait(0) for other in workers] == [place <= killed for place in range(4)]
        for worker in workers:
            worker.close()
    finally:
        isolation.close()
