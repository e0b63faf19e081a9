"""Both ends of a real socket pair: what is sent arrives, and what is wrong is refused without a leak."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.author.lens import Add, Lens, Scale
from grove_core.author.schema import Column, ColumnSpec
from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.wire.channel import DESCRIPTORS, PACKET, Channel, close_all, sealed
from grove_core.wire.messages import (
    PROTOCOL,
    AskIdle,
    Exited,
    Failed,
    Fork,
    Forked,
    FromZygote,
    Idle,
    Inject,
    Injected,
    InjectedKind,
    Introduced,
    Load,
    Message,
    Overflow,
    Prepare,
    Raised,
    Ready,
    Shutdown,
    Slot,
    Spawned,
    Tick,
    Ticked,
    ToEngine,
    ToWorker,
    ToZygote,
)

Any_ = ToWorker | ToEngine | ToZygote | FromZygote
"""Whatever may cross at all."""

MESSAGES: list[Message] = [
    Load(PROTOCOL, "ledger", "1.0.0", "ledger:Main", ("/a", "/b"), True),
    Introduced(
        PROTOCOL,
        (ColumnSpec("x", Column("<f4", 0.5, -1.0, 1.0, True)), ColumnSpec("n", Column("<i8", 3), True)),
        (Lens("==1.*", "==2.*", [Add("y"), Scale("x", 2.0, 1.0)]),),
        ("other>=1",),
        False,
        True,
        False,
    ),
    Prepare((Slot("x", "<f4", 4096, 8192, True),), {"deep": [1, {"a": None}], "b": b"raw"}, b"\x80", "1.0.0"),
    Prepare((), {}, None, "1.0.0"),
    Ready(b"document", True),
    Ready(None, False),
    Tick(1 << 40, 1 / 60, 0, 1_000_000, True),
    Ticked(7, 1.25),
    Ticked(7, 1.25, (Spawned(2, {"x": b"12345678"}, b"i" * 16),), (b"d" * 8,), (Failed(b"f" * 8, "why"),), b"doc"),
    AskIdle(),
    Idle(True),
    Shutdown(),
    *(Inject(kind, None, 0.5) for kind in InjectedKind),
    Inject(InjectedKind.RAISE, 12, 1.0),
    Injected(),
    Raised("process", "ValueError: ä €", "Traceback ..."),
    Fork(),
    Forked(123),
    Exited(123, 9),
]
LARGE = Raised("process", "x" * (3 * PACKET), "")

Pair = tuple[Channel[Any], Channel[Any]]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def connected() -> Pair:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours, Any_), Channel(theirs, Any_)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends; afterwards no descriptor may be left open."""
    before = open_descriptors()
    ours, theirs = connected()
    yield ours, theirs
    ours.close()
    theirs.close()
    assert open_descriptors() == before


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, Channel[Any]]]:
    """A bare socket that can send anything, and a channel that must bear it."""
    before = open_descriptors()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel: Channel[Any] = Channel(theirs, Any_)
    yield ours, channel
    ours.close()
    channel.close()
    assert open_descriptors() == before


def packed(message: Message) -> bytes:
    return msgspec.msgpack.encode(message)


def memory(content: bytes) -> int:
    """Memory that is not sealed."""
    descriptor = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    return descriptor


def test_every_message_that_may_cross_is_tried() -> None:
    crossing = set(Any_.__args__) - {Overflow}
    assert {type(message) for message in MESSAGES} == crossing


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_sent_arrives(pair: Pair, message: Message) -> None:
    for sender, receiver in (pair, pair[::-1]):
        sender.send(message)
        assert receiver.receive(1.0) == (message, [])


def test_messages_arrive_in_order(pair: Pair) -> None:
    sent = [Exited(number, 0) if number % 3 else Raised("x", "y" * PACKET, str(number)) for number in range(12)]
    for message in sent:
        pair[0].send(message)
    assert [pair[1].receive(1.0)[0] for _ in sent] == sent


def test_descriptors_arrive_and_are_not_inherited(pair: Pair) -> None:
    files = [memory(str(number).encode()) for number in range(DESCRIPTORS)]
    inodes = [os.fstat(file).st_ino for file in files]
    pair[0].send(Fork(), files)
    close_all(files)
    message, received = pair[1].receive(1.0)
    assert message == Fork()
    assert [os.fstat(file).st_ino for file in received] == inodes
    assert not any(os.get_inheritable(file) for file in received)
    close_all(received)


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["just below", "exactly", "just over"])
def test_what_does_not_fit_a_packet_goes_as_sealed_memory(raw: tuple[socket.socket, Channel[Any]], over: int) -> None:
    socket_, channel = raw
    frame = len(packed(Ready(bytes(PACKET - 100), True))) - (PACKET - 100)
    message = Ready(bytes(PACKET + over - frame), True)
    assert len(packed(message)) == PACKET + over
    channel.send(message)
    packet, descriptors, flags, _ = socket.recv_fds(socket_, 2 * PACKET, 4)
    try:
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        assert len(descriptors) == (over > 0)
        if over > 0:
            assert msgspec.msgpack.decode(packet, type=Overflow) == Overflow(PACKET + over)
            with pytest.raises(PermissionError):
                os.pwrite(descriptors[0], b"!", 0)
            with pytest.raises(PermissionError):
                os.ftruncate(descriptors[0], 0)
        socket.send_fds(socket_, [packet], descriptors)
    finally:
        close_all(descriptors)
    assert channel.receive(1.0) == (message, [])


def test_a_large_message_may_bring_descriptors_of_its_own(pair: Pair) -> None:
    own = memory(b"own")
    pair[0].send(LARGE, [own])
    message, received = pair[1].receive(1.0)
    assert message == LARGE
    assert [os.fstat(file).st_ino for file in received] == [os.fstat(own).st_ino]
    close_all([own, *received])


@pytest.mark.parametrize(
    "packet",
    [
        b"\x00",
        b"garbage",
        b"\xc1",
        b"\x92\xa4Tick",
        packed(Tick(1, 0.5, 0, 9, False))[:-1],
        packed(Tick(1, 0.5, 0, 9, False)) + b"\x00",
        msgspec.msgpack.encode(["Tick", "one", 0.5, 0, 9, False]),
        msgspec.msgpack.encode(["Nonsense", 1]),
        msgspec.msgpack.encode(["Inject", "melt", None, 1.0]),
        b"\x91" * 50_000,
        b"\x93\xa4Idle\xc3" + b"\x91" * 50_000 + b"\x00",
        b"\x95\xa7Prepare\x90\x81\xa1a" + b"\x91" * 50_000 + b"\x00\xc0\xa11",
    ],
)
def test_garbage_is_a_protocol_error(raw: tuple[socket.socket, Channel[Any]], packet: bytes) -> None:
    socket_, channel = raw
    extra = memory(b"")
    socket.send_fds(socket_, [packet], [extra])
    os.close(extra)
    with pytest.raises(ProtocolError, match="no message"):
        channel.receive(1.0)
    socket_.send(packed(Idle(True)))
    assert channel.receive(1.0) == (Idle(True), [])


def test_a_message_for_somebody_else_is_refused() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    engine: Channel[ToEngine] = Channel(ours, ToEngine)
    worker: Channel[ToWorker] = Channel(theirs, ToWorker)
    worker.send(Tick(1, 0.5, 0, 1, False))
    with pytest.raises(ProtocolError, match="no message"):
        engine.receive(1.0)
    engine.close()
    worker.close()


def test_memory_that_is_not_sealed_is_refused(raw: tuple[socket.socket, Channel[Any]]) -> None:
    socket_, channel = raw
    loose = memory(packed(LARGE))
    socket.send_fds(socket_, [packed(Overflow(len(packed(LARGE))))], [loose])
    os.close(loose)
    with pytest.raises(ProtocolError, match="not sealed"):
        channel.receive(1.0)


def test_what_is_no_memory_at_all_is_refused(raw: tuple[socket.socket, Channel[Any]]) -> None:
    socket_, channel = raw
    reading, writing = os.pipe()
    socket.send_fds(socket_, [packed(Overflow(10))], [reading])
    close_all([reading, writing])
    with pytest.raises(ProtocolError, match="cannot be read"):
        channel.receive(1.0)


@pytest.mark.parametrize("size", [0, -1, 1, (1 << 30) + 1, 1 << 62])
def test_a_size_that_is_not_true_is_refused(raw: tuple[socket.socket, Channel[Any]], size: int) -> None:
    socket_, channel = raw
    content = sealed(packed(LARGE))
    socket.send_fds(socket_, [packed(Overflow(size))], [content])
    os.close(content)
    with pytest.raises(ProtocolError):
        channel.receive(1.0)


def test_an_overflow_in_an_overflow_is_refused(raw: tuple[socket.socket, Channel[Any]]) -> None:
    socket_, channel = raw
    inner = packed(Overflow(10))
    content = sealed(inner)
    socket.send_fds(socket_, [packed(Overflow(len(inner)))], [content])
    os.close(content)
    with pytest.raises(ProtocolError, match="holds no message"):
        channel.receive(1.0)


def test_an_overflow_without_memory_is_refused(raw: tuple[socket.socket, Channel[Any]]) -> None:
    raw[0].send(packed(Overflow(10)))
    with pytest.raises(ProtocolError, match="without its memory"):
        raw[1].receive(1.0)


def test_a_packet_that_was_cut_off_is_refused(raw: tuple[socket.socket, Channel[Any]]) -> None:
    raw[0].send(packed(Raised("", "", "x" * PACKET)))
    with pytest.raises(ProtocolError, match="cut off"):
        raw[1].receive(1.0)


def test_more_descriptors_than_are_taken_are_refused(raw: tuple[socket.socket, Channel[Any]]) -> None:
    files = [memory(b"") for _ in range(3 * DESCRIPTORS)]
    socket.send_fds(raw[0], [packed(Idle(True))], files)
    close_all(files)
    with pytest.raises(ProtocolError, match="cut off"):
        raw[1].receive(1.0)


@pytest.mark.parametrize("message", [Idle(True), LARGE], ids=["small", "large"])
def test_a_peer_that_is_gone_died_on_both_ways(pair: Pair, message: Message) -> None:
    ours, theirs = pair
    theirs.close()
    for _ in range(2):
        with pytest.raises(PeerDied):
            ours.send(message)
        with pytest.raises(PeerDied):
            ours.receive(1.0)
        with pytest.raises(PeerDied):
            ours.receive_now()


def test_an_end_that_was_closed_here_has_no_peer(pair: Pair) -> None:
    pair[0].close()
    with pytest.raises(PeerDied):
        pair[0].receive(1.0)
    with pytest.raises(PeerDied):
        pair[0].send(Idle(True))


def test_what_was_sent_before_the_end_still_arrives(pair: Pair) -> None:
    pair[0].send(LARGE)
    pair[0].close()
    assert pair[1].receive(1.0) == (LARGE, [])
    with pytest.raises(PeerDied):
        pair[1].receive(1.0)


def test_a_peer_that_left_without_reading_died(pair: Pair) -> None:
    """The system says ECONNRESET here, not EOF."""
    ours, theirs = pair
    ours.send(Idle(True))
    theirs.close()
    with pytest.raises(PeerDied):
        ours.receive(1.0)


@pytest.mark.parametrize("message", [Idle(True), Raised("", "", "x" * (PACKET - 100)), LARGE])
def test_a_full_queue_is_told_at_once(pair: Pair, message: Message) -> None:
    ours, theirs = pair
    sent = 0
    with pytest.raises(ProtocolError, match="queue is full"):
        while sent < 1_000_000:
            ours.send(message)
            sent += 1
    assert sent > 0
    assert [theirs.receive(1.0)[0] for _ in range(sent)] == [message] * sent
    ours.send(message)
    assert theirs.receive(1.0) == (message, [])


def test_a_deadline_is_kept(pair: Pair) -> None:
    assert pair[0].receive_now() is None
    for timeout in (0.0, 0.05):
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            pair[0].receive(timeout)
        assert timeout <= time.monotonic() - began < timeout + 5


@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_whatever_comes_is_a_message_or_an_error(packet: bytes, content: bytes, sealing: bool) -> None:
    """Any bytes, also with memory of any bytes behind a well-formed overflow."""
    before = open_descriptors()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel: Channel[Any] = Channel(theirs, Any_)
    try:
        for sent in (packet, packed(Overflow(len(content)))):
            file = sealed(content) if sealing else memory(content)
            socket.send_fds(ours, [sent], [file])
            os.close(file)
            try:
                message, descriptors = channel.receive(1.0)
            except ProtocolError:
                continue
            except PeerDied:
                assert not sent  # an empty packet is what EOF looks like
                continue
            assert isinstance(message, Any_)
            close_all(descriptors)
    finally:
        ours.close()
        channel.close()
    assert open_descriptors() == before


@given(st.sampled_from(MESSAGES), st.data())
def test_a_damaged_message_is_a_message_or_an_error(message: Message, data: st.DataObject) -> None:
    packet = bytearray(packed(message))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel: Channel[Any] = Channel(theirs, Any_)
    try:
        ours.send(packet)
        try:
            received, _ = channel.receive(1.0)
        except ProtocolError:
            return
        assert isinstance(received, Any_)
        assert not isinstance(received, Overflow)
    finally:
        ours.close()
        channel.close()
