"""Both kinds of wire: whatever comes is a message of the union, nothing yet, or one of two errors; nothing leaks."""

from __future__ import annotations

import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.base.ways import WireKind
from grove_core.wire.channel import DESCRIPTORS, LARGEST, Channel, close_all, pair
from grove_core.wire.messages import Idle, Overflow, Raised, ToEngine, ToWorker
from grove_core.wire.overflow import sealed, unlinked
from grove_core.wire.stream import HEADER
from grove_core.wire.zygote_messages import FromZygote, ToZygote

from .budget import budget
from .drawn import HEADERS, LENGTHS, messages, mutated, packed

UNIONS = (ToEngine, ToWorker, ToZygote, FromZygote)
ANY = st.one_of([messages(union) for union in UNIONS])
PACKETS = mutated(ANY.map(packed)) | st.binary(max_size=100)
LARGE = packed(Raised("process", "x" * 200_000, ""))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def loose(content: bytes) -> int:
    """A memfd that is not sealed."""
    memory = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memory, content)
    return memory


def pipe(content: bytes) -> int:
    """The reading end of a pipe that holds it, as far as a pipe may."""
    reading, writing = os.pipe()
    os.write(writing, content[:4096])
    os.close(writing)
    return reading


def a_socket(content: bytes) -> int:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(content[:4096])
        return os.dup(ours.fileno())


KINDS: dict[str, Callable[[bytes], int]] = {
    "sealed": sealed,
    "unlinked": unlinked,
    "loose": loose,
    "pipe": pipe,
    "socket": a_socket,
    "folder": lambda _: os.open("/", os.O_RDONLY),
    "only a path": lambda _: os.open("/", os.O_PATH),
    "zeros": lambda _: os.open("/dev/zero", os.O_RDONLY),
    "write only": lambda _: os.open("/dev/null", os.O_WRONLY),
    "process": lambda _: os.pidfd_open(os.getpid()),
    "event": lambda _: os.eventfd(3),
}
"""What may come as a descriptor, each made of the bytes that it is to hold."""


class Ends:
    """A bare end that can send anything, and a channel at the other, which must bear it."""

    def __init__(self, kind: WireKind, union: Any = ToEngine) -> None:
        self.kind, self.union = kind, union
        self.bare, theirs = pair(kind)
        self.channel: Channel[Any] = Channel(theirs, union)

    def framed(self, packet: bytes) -> bytes:
        return packet if self.kind is WireKind.SEQPACKET else HEADER.pack(len(packet)) + packet

    def send(self, raw: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send bytes as they are, and close what came along."""
        try:
            socket.send_fds(self.bare, [raw], list(descriptors))
        finally:
            close_all(descriptors)

    def take_all(self) -> None:
        """Take what comes until there is nothing; each is a message of the union, or one of two errors."""
        told = ""
        for _ in range(100):
            try:
                received = self.channel.receive_now()
            except ProtocolError as error:
                if self.kind is WireKind.STREAM and str(error) == told:
                    return  # nobody knows where the next frame begins, and it says so for ever
                told = str(error)
                continue
            except PeerDied:
                return
            if received is None:
                return
            message, descriptors = received
            close_all(descriptors)
            assert isinstance(message, self.union)
            assert not isinstance(message, Overflow)
            assert len(descriptors) <= DESCRIPTORS * HEADER.size
        raise AssertionError("it never ends")

    def take_until_it_fails(self) -> None:
        """Wait for more, no time at all, until there is nothing."""
        for _ in range(100):
            received = self.channel.receive(0)
            close_all(received[1])

    def close(self) -> None:
        self.bare.close()
        self.channel.close()


@budget(150)
@given(
    st.sampled_from(WireKind),
    st.sampled_from(UNIONS),
    st.lists(st.tuples(PACKETS, st.lists(st.sampled_from(sorted(KINDS)), max_size=6)), min_size=1, max_size=4),
)
def test_whatever_comes_is_a_message_or_an_error(
    kind: WireKind, union: Any, shots: list[tuple[bytes, list[str]]]
) -> None:
    before = open_descriptors()
    with closing(Ends(kind, union)) as ends:
        for packet, along in shots:
            ends.send(ends.framed(packet), [KINDS[each](packet) for each in along])
        ends.take_all()
    assert open_descriptors() == before


@budget(100)
@given(
    st.sampled_from(WireKind),
    st.lists(st.tuples(st.binary(max_size=12) | PACKETS, st.integers(0, 6)), min_size=1, max_size=6),
    st.booleans(),
)
def test_whatever_comes_without_a_frame_and_in_parts(
    kind: WireKind, parts: list[tuple[bytes, int]], ended: bool
) -> None:
    before = open_descriptors()
    with closing(Ends(kind)) as ends:
        for part, along in parts:
            ends.send(part, [os.open("/", os.O_PATH) for _ in range(along)])
            ends.take_all()
        if ended:
            ends.bare.close()
        with pytest.raises((ProtocolError, PeerDied, DeadlineExceeded)):
            ends.take_until_it_fails()
    assert open_descriptors() == before


SIZES = st.sampled_from([0, 1, -1, LARGEST, LARGEST + 1, 1 << 62, (1 << 64) - 1]) | st.integers(-100, 300)


@budget(150)
@given(
    st.sampled_from(WireKind),
    mutated(ANY.map(packed)) | st.just(LARGE),
    st.sampled_from(sorted(KINDS)),
    SIZES,
    st.booleans(),
    st.integers(-50, 50),
    st.integers(0, DESCRIPTORS),
)
def test_an_overflow_of_any_size_over_anything(
    kind: WireKind, content: bytes, memory: str, size: int, true: bool, grown: int, others: int
) -> None:
    """Also memory that grew or shrank after it was sent, where it can."""
    before = open_descriptors()
    with closing(Ends(kind)) as ends:
        made = KINDS[memory](content)
        kept = os.dup(made)
        along = [os.open("/", os.O_PATH) for _ in range(others)]
        ends.send(ends.framed(packed(Overflow(len(content) if true else size))), [*along, made])
        if memory in ("loose", "unlinked") and grown:
            os.ftruncate(kept, max(0, len(content) + grown))
        os.close(kept)
        ends.take_all()
    assert open_descriptors() == before


@budget(20)
@given(st.sampled_from([len(LARGE), 40_000, 1 << 20]))
def test_a_file_that_changes_while_it_is_read(size: int) -> None:
    before = open_descriptors()
    with closing(Ends(WireKind.STREAM)) as ends:
        memory = unlinked(LARGE)
        kept = os.dup(memory)
        over = threading.Event()

        def change() -> None:
            while not over.is_set():
                os.ftruncate(kept, 0)
                os.ftruncate(kept, size)

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for _ in range(20):
                ends.send(ends.framed(packed(Overflow(size))), [os.dup(memory)])
                try:
                    message, descriptors = ends.channel.receive(1.0)
                except ProtocolError:
                    continue
                assert isinstance(message, ToEngine)
                assert not descriptors
        finally:
            over.set()
            changing.join()
            close_all([memory, kept])
    assert open_descriptors() == before


@budget(60)
@given(
    st.sampled_from(UNIONS),
    ANY.map(packed),
    st.integers(0, 200),
    st.sampled_from(HEADERS),
    st.sampled_from(LENGTHS),
)
def test_a_length_that_is_only_claimed_takes_no_memory(
    union: Any, packet: bytes, at: int, header: bytes, length: bytes
) -> None:
    at = min(at, len(packet))
    with closing(Ends(WireKind.SEQPACKET, union)) as ends:
        ends.send(packet[:at] + header + length + packet[at:])
        tracemalloc.start()
        ends.take_all()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("kind", WireKind)
def test_after_all_of_it_the_wire_still_carries_what_it_should(kind: WireKind) -> None:
    with closing(Ends(kind)) as ends:
        for packet in (b"\xc1", packed(Overflow(3)), packed([])):
            ends.send(ends.framed(packet))
            with pytest.raises(ProtocolError):
                ends.channel.receive(1.0)
        ends.send(ends.framed(packed(Idle(True))))
        assert ends.channel.receive(1.0) == (Idle(True), [])
