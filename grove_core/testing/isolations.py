"""What an isolation and its workers promise, as tests over real messages and a real worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.parts.running import Isolation
from grove_core.testing.crew import MODULE, VERSION, Crew, open_descriptors, readable, runs
from grove_core.testing.versions import PLAIN
from grove_core.wire.messages import PROTOCOL, AskIdle, Idle, Introduced, Load, Raised, Shutdown, Tick, Ticked

MIB = 1 << 20
SHORT = 0.05
"""Seconds that a test waits in vain."""
MOST_OUTPUT = MIB
"""How much `read_output` may return at a time."""
ENOUGH = 100_000
"""More messages than any queue holds."""

KEEPS = (
    PLAIN
    + """
    document = None
    def initialize(self, config): self.document = dict(config)
    def get_state(self): return self.document
    def set_state(self, document): self.document = document
"""
)


class IsolationConformance:
    """Holds an isolation and its workers against `grove_core.parts.contracts.Isolation` and `Worker`."""

    seconds: ClassVar[float] = 30.0
    """How long anything may take at most: a machine that is busy is no failure."""

    def make(self) -> Isolation:
        """Return a new isolation."""
        raise NotImplementedError("let `make` return the isolation to be tested")

    @pytest.fixture
    def crew(self, tmp_path: Path) -> Iterator[Crew]:
        """A new isolation, and the workers that a test starts in it."""
        isolation = self.make()
        crew = Crew(isolation, tmp_path, self.seconds)
        yield crew
        crew.close()
        isolation.close()

    def test_a_worker_does_what_messages_say(self, crew: Crew) -> None:
        """`start` returns a worker that waits for its first message, and answers each."""
        worker = crew.load()
        crew.expect(worker, Introduced)
        worker.send(AskIdle())
        crew.expect(worker, Idle)
        assert worker.receive_now() is None, "it answered twice"

    def test_workers_have_nothing_to_do_with_each_other(self, crew: Crew) -> None:
        """What one imports, the other does not see; when one is killed, the other goes on."""
        first, second = crew.introduced("import builtins\nbuiltins.seen = True\n" + PLAIN), crew.load("seen\n" + PLAIN)
        assert "NameError" in crew.expect(second, Raised).error, "it failed for another reason"
        second.kill()
        first.send(AskIdle())
        crew.expect(first, Idle)

    def test_it_works_in_the_memory_whose_descriptors_it_is_sent(self, crew: Crew) -> None:
        """What a version writes is seen here, in the rows it was told of and in no others."""
        worker, columns = crew.introduced(), {"id": np.arange(4), "x": np.zeros(4)}
        crew.prepare(worker, columns, {})
        worker.send(Tick(1, 0.5, 1, 3, False))
        crew.expect(worker, Ticked)
        assert columns["x"].tolist() == [0.0, 0.5, 0.5, 0.0], "rows 1 and 2 were to be written"

    def test_what_a_version_raises_is_an_answer(self, crew: Crew) -> None:
        """An exception comes back as `Raised`, with its traceback."""
        answer = crew.expect(crew.load("1 / 0"), Raised)
        assert "ZeroDivisionError" in answer.error, "the error is not told"
        assert "1 / 0" in answer.traceback, "the traceback is not told"

    def test_messages_of_any_size_cross(self, crew: Crew) -> None:
        """Both ways, whatever the system takes for a packet."""
        worker, text = crew.introduced(KEEPS), "x" * (3 * MIB)
        ready = crew.prepare(worker, {"id": np.arange(1), "x": np.zeros(1)}, {"text": text})
        assert len(ready.document or b"") > len(text), "the document did not come back whole"

    def test_fileno_turns_readable_when_an_answer_is_there(self, crew: Crew) -> None:
        """And not before; `receive_now` returns it then, and None where there is none."""
        worker = crew.introduced()
        assert not readable(worker.fileno()), "`fileno` is readable, and no answer is due"
        assert worker.receive_now() is None, "an answer arrived that is not due"
        worker.send(AskIdle())
        assert readable(worker.fileno(), crew.seconds), "no answer came"
        assert worker.receive_now() == Idle(True), "`fileno` is readable, and no answer is there"

    def test_receive_waits_as_long_as_it_is_told_and_no_longer(self, crew: Crew) -> None:
        """Then it raises `DeadlineExceeded`; also where the worker never stops printing."""
        chatters = crew.load("while True: print('la', flush=True)")
        for worker in (crew.introduced(), chatters):
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                worker.receive(SHORT)
            assert time.monotonic() - began >= SHORT, "it gave up before the time was over"

    def test_what_it_prints_can_be_read(self, crew: Crew) -> None:
        """Both streams, also what it printed last of all; `read_output` never waits."""
        worker = crew.introduced()
        assert worker.read_output() == "", "it printed nothing yet"
        worker = crew.load("import os, sys\nprint('one', flush=True)\nprint('two', file=sys.stderr)\nos._exit(1)")
        assert worker.wait(crew.seconds), "it did not end"
        assert crew.printed(worker, "two").split() == ["one", "two"], "it printed one and two"

    def test_one_that_prints_much_is_not_stopped_by_it(self, crew: Crew) -> None:
        """What nobody reads must not keep it from answering, and what is kept of it is bounded."""
        worker = crew.load(f"print('x' * {8 * MIB}, flush=True)\n{PLAIN}")
        crew.expect(worker, Introduced)
        assert len(worker.read_output()) <= MOST_OUTPUT, f"more than {MOST_OUTPUT} characters came at a time"

    def test_what_it_prints_is_counted(self, crew: Crew) -> None:
        """In bytes, also of what is not kept: `printed` is how many were read."""
        worker = crew.introduced("print('ä' * 1000, flush=True)\n" + PLAIN)
        crew.printed(worker, "\n")
        assert worker.printed == 2001, "it printed 2001 bytes"

    def test_sending_never_blocks(self, crew: Crew) -> None:
        """To one that does not read, messages are refused with `ProtocolError` once its queue is full."""
        worker = crew.spinning()
        message = Load(PROTOCOL, MODULE, VERSION, "x" * 1000, (), False)
        with pytest.raises(ProtocolError):
            for _ in range(ENOUGH):
                worker.send(message)

    def test_one_that_is_gone_is_told_as_peer_died(self, crew: Crew) -> None:
        """Whether one sends, receives, or looks what has arrived."""
        worker = crew.introduced()
        worker.kill()
        with pytest.raises(PeerDied):
            worker.receive(crew.seconds)
        with pytest.raises(PeerDied):
            worker.receive_now()
        with pytest.raises(PeerDied):
            worker.send(AskIdle())

    def test_its_last_answer_is_received_after_it_ended(self, crew: Crew) -> None:
        """An answer that was sent is not lost by the death that follows."""
        worker = crew.introduced()
        worker.send(Shutdown())
        assert worker.wait(crew.seconds), "it did not shut down"
        crew.expect(worker, Idle)
        with pytest.raises(PeerDied):
            worker.receive(crew.seconds)

    def test_its_death_is_seen(self, crew: Crew) -> None:
        """`pidfd` turns readable, and `wait` returns True; neither before."""
        living = crew.introduced()
        assert not living.wait(SHORT), "it lives, and `wait` says that it is gone"
        assert not readable(living.pidfd), "it lives, and `pidfd` is readable"
        dying = crew.load("import os\nos._exit(3)")
        assert readable(dying.pidfd, crew.seconds), "`pidfd` did not turn readable"
        assert dying.wait(0), "it is gone, and `wait` does not say so"

    def test_kill_returns_once_it_is_gone(self, crew: Crew) -> None:
        """Also for one that spins, and that keeps away every signal that can be; True, and True again."""
        worker = crew.spinning()
        assert worker.kill(), "it was not killed"
        assert not runs(worker.pid), "it is said to be gone, and runs"
        assert worker.kill(), "it is gone, and `kill` does not say so"
        assert worker.wait(0), "it is gone, and `wait` does not say so"

    def test_how_it_ended_is_told(self, crew: Crew) -> None:
        """In words, and the same words whenever it is asked."""
        worker = crew.load("import os\nos._exit(3)")
        assert worker.wait(crew.seconds), "it did not end"
        told = worker.how_it_ended()
        assert isinstance(told, str), f"{told!r} is not in words"
        assert told.strip(), "nothing is told"
        assert worker.how_it_ended() == told, "asked again, it tells something else"

    def test_memory_is_measured_or_none(self, crew: Crew) -> None:
        """In bytes: 64 MiB that a version takes show, of the worker and of all; of one that is gone nothing does."""
        worker = crew.introduced(f"hoard = bytearray(b'x') * {64 * MIB}\n" + PLAIN)
        for measured in (*worker.memory(), crew.isolation.memory()):
            assert measured is None or measured >= 64 * MIB, f"it holds 64 MiB and more, not {measured} bytes"
        before = crew.isolation.memory()
        worker.kill()
        assert worker.memory() == (None, None), "it is gone, and something is measured"
        after = crew.isolation.memory()
        assert before is None or after is None or before - after >= 60 * MIB, "its memory still counts"

    def test_cpu_time_is_measured_or_none(self, crew: Crew) -> None:
        """In seconds since it began: it grows while one spins; of one that is gone nothing is measured."""
        worker = crew.spinning()
        first, end = worker.cpu_seconds(), time.monotonic() + self.seconds
        while first is not None and (worker.cpu_seconds() or 0.0) < first + 0.1:
            assert time.monotonic() < end, "it spins, and takes no CPU time"
        worker.kill()
        assert worker.cpu_seconds() is None, "it is gone, and its CPU time is measured"

    def test_workers_that_are_closed_leave_no_descriptor(self, crew: Crew) -> None:
        """However many came and went."""

        def some(times: int) -> int:
            for _ in range(times):
                worker = crew.isolation.start()
                worker.kill()
                worker.close()
            return open_descriptors()

        before = some(2)
        assert some(10) - before < 10, "a descriptor a worker is left"

    def test_close_ends_everything_it_started(self, tmp_path: Path) -> None:
        """Every worker, also one that spins; and its own descriptors are gone."""
        before = open_descriptors()
        crew = Crew(self.make(), tmp_path, self.seconds)
        for worker in (crew.introduced(), crew.spinning()):
            assert runs(worker.pid), "it does not run"
        crew.isolation.close()
        gone = [worker.wait(self.seconds) for worker in crew.workers]
        crew.close()
        assert all(gone), "the isolation was closed, and a worker runs on"
        assert open_descriptors() <= before, "descriptors are left"
