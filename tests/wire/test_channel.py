"""Both ends of a real socket pair of either kind: what is sent arrives, and what is wrong is refused without a leak."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.author.lens import Add, Direction, Lens, MapSpec, Scale
from grove_core.author.schema import Column, ColumnSpec
from grove_core.author.services import Parameter, Service
from grove_core.base.errors import DeadlineExceeded, OutOfMemory, PeerDied, ProtocolError
from grove_core.base.ways import WireKind
from grove_core.wire import channel as wire
from grove_core.wire.channel import DESCRIPTORS, PACKET, Channel, close_all
from grove_core.wire.config_messages import CheckConfig, ConfigChecked, ConfigUpdated, UpdateConfig
from grove_core.wire.faults import FaultPoint, InjectedKind, Planned
from grove_core.wire.messages import (
    PROTOCOL,
    AskIdle,
    AskWorld,
    Failed,
    Given,
    Hide,
    Idle,
    Inject,
    Injected,
    Introduced,
    Load,
    Mapped,
    Message,
    Observation,
    Overflow,
    Part,
    Prepare,
    Raised,
    Ready,
    Remap,
    RunMap,
    RunMigrator,
    Scratch,
    Seen,
    Show,
    Shutdown,
    Side,
    Slot,
    Spawned,
    Tick,
    Ticked,
    ToEngine,
    ToWorker,
)
from grove_core.wire.overflow import sealed, unlinked
from grove_core.wire.patch_messages import Patch, Patched
from grove_core.wire.service_messages import Answered, AnswerPart, CallService, Offer, Serve, Served, Unanswered
from grove_core.wire.stream import FRAME, HEADER
from grove_core.wire.zygote_messages import Exited, Fork, Forked, FromZygote, Hurry, ToZygote

Any_ = ToWorker | ToEngine | ToZygote | FromZygote
"""Whatever may cross at all."""

SCRATCH = Scratch(3, (Slot("x", "<f4", 0, 4096, False),), (Slot("r", "<f8", 4096, 4096, True),))
MESSAGES: list[Message] = [
    Load(PROTOCOL, "ledger", "1.0.0", "ledger:Main", ("/a", "/b"), True),
    Introduced(
        PROTOCOL,
        (ColumnSpec("x", Column("<f4", 0.5, -1.0, 1.0, True)), ColumnSpec("n", Column("<i8", 3), True)),
        (Lens("==1.*", "==2.*", [Add("y"), Scale("x", 2.0, 1.0), MapSpec(("a", "b"), ("c",), True, 0, 2)]),),
        ("other>=1",),
        False,
        True,
        False,
        {"type": "object", "properties": {"speed": {"type": "number"}}},
        True,
        True,
        (Service("gold", "(ids)", (Parameter("ids", "POSITIONAL_OR_KEYWORD", False),)),),
    ),
    CheckConfig({"speed": 1.5, "names": ["a"], "deep": {"b": None}}),
    ConfigChecked(("speed: Expected `float` >= 2.0",), {}),
    ConfigChecked((), {"speed": 1.5, "n": 3, "on": True}),
    UpdateConfig({}),
    ConfigUpdated(True),
    Patch(b"\x80", "1.0.0"),
    Patched(None, False),
    Prepare((Slot("x", "<f4", 4096, 8192, True),), {"deep": [1, {"a": None}], "b": b"raw"}, b"\x80", "1.0.0"),
    Prepare((), {}, None, "1.0.0"),
    Prepare((), {}, None, "1.0.0", (Offer("bank", "1.2.0", (Service("total", "()", ()),)),)),
    Ready(b"document", True),
    Ready(None, False),
    Remap((Slot("x", "<f4", 0, 4096, True),)),
    Mapped(),
    RunMap(1, 2, Direction.BACKWARD, SCRATCH),
    RunMigrator(
        PROTOCOL,
        "package:plugin",
        "by_name",
        {"least": 0.5, "names": ["a"]},
        Side("1.0.0", (ColumnSpec("x", Column("<f4")),)),
        Side("2.0.0", ()),
        SCRATCH,
    ),
    Given(("r",), 1.5),
    Tick(1 << 40, 1 / 60, 0, 1_000_000, True),
    Ticked(7, 1.25),
    Ticked(7, 1.25, (Spawned(2, {"x": b"12345678"}, b"i" * 16),), (b"d" * 8,), (Failed(b"f" * 8, "why"),), b"doc"),
    Ticked(7, 1.25, observed=(Observation("speed", b"v" * 16, None), Observation("late", b"v" * 8, b""))),
    AskWorld(("id", "x"), ((7, 0), (7, 4096))),
    Show((Part(3, (Seen(7, "<i8", 0, 4096), Seen(8, "<f4", 4096, 8192))), Part(0, ())), 0, (8,)),
    Hide("no chain of lenses joins them"),
    CallService("bank", "gold", b"\x90", b"\x80", b"i" * 8),
    CallService("bank", "total", b"\x90", b"\x80", None),
    Serve(7, "total", b"\x90", b"\x80", 12),
    Serve(7, "gold", b"\x90", b"\x80", 12, b"i" * 16, b"p" * 8, b"r" * 8),
    Served(7, 1.25, b"\xc0"),
    Answered((AnswerPart(None, b"\xc0"), AnswerPart(b"p" * 8, b"\x90"))),
    Unanswered("nobody is there"),
    Unanswered("it raised", "Traceback ..."),
    AskIdle(),
    Idle(True),
    Shutdown(),
    *(Inject(Planned(kind, point)) for kind in InjectedKind for point in FaultPoint),
    Inject(Planned(InjectedKind.RAISE, at=12, seconds=2.0, bytes=9)),
    Injected(),
    Raised("process", "ValueError: ä €", "Traceback ..."),
    Fork(1),
    Fork(2, 0.5),
    Hurry(),
    Forked(123, 1),
    Exited(123, 9),
]
LIMITS = {WireKind.SEQPACKET: PACKET, WireKind.STREAM: FRAME}
LARGE = Raised("process", "x" * (3 * PACKET), "")

Pair = tuple[Channel[Any], Channel[Any]]


class Bare:
    """A bare end that can send anything, and the channel at the other end, which must bear it."""

    def __init__(self, kind: WireKind) -> None:
        self.kind = kind
        self.socket, theirs = wire.pair(kind)
        self.channel: Channel[Any] = Channel(theirs, Any_)

    def send(self, packet: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send these bytes as a packet is sent on this kind of wire, and close what came along."""
        framed = packet if self.kind is WireKind.SEQPACKET else HEADER.pack(len(packet)) + packet
        socket.send_fds(self.socket, [framed], list(descriptors))
        close_all(descriptors)

    def receive(self) -> tuple[bytes, list[int]]:
        """Return the next packet as it is sent on this kind of wire, without its frame."""
        framed, descriptors, flags, _ = socket.recv_fds(self.socket, 2 * PACKET, DESCRIPTORS)
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        if self.kind is WireKind.SEQPACKET:
            return framed, list(descriptors)
        (length,) = HEADER.unpack(framed[: HEADER.size])
        packet = framed[HEADER.size :]
        while len(packet) < length:
            packet += self.socket.recv(length - len(packet))
        assert len(packet) == length
        return packet, list(descriptors)

    def memory(self, content: bytes) -> int:
        """Return memory as a large message goes by on this kind of wire."""
        return sealed(content) if self.kind is WireKind.SEQPACKET else unlinked(content)

    def close(self) -> None:
        self.socket.close()
        self.channel.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def connected(kind: WireKind) -> Pair:
    ours, theirs = wire.pair(kind)
    return Channel(ours, Any_), Channel(theirs, Any_)


@pytest.fixture(params=WireKind)
def kind(request: pytest.FixtureRequest) -> WireKind:
    """Each kind of wire: they must behave the same."""
    return WireKind(request.param)


@pytest.fixture
def pair(kind: WireKind) -> Iterator[Pair]:
    """Two ends; afterwards no descriptor may be left open."""
    before = open_descriptors()
    ours, theirs = connected(kind)
    yield ours, theirs
    ours.close()
    theirs.close()
    assert open_descriptors() == before


@pytest.fixture
def bare(kind: WireKind) -> Iterator[Bare]:
    before = open_descriptors()
    made = Bare(kind)
    yield made
    made.close()
    assert open_descriptors() == before


def packed(message: Message) -> bytes:
    return msgspec.msgpack.encode(message)


def memory(content: bytes) -> int:
    """Memory that is not sealed."""
    descriptor = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    return descriptor


def test_a_channel_sees_what_kind_its_socket_is(kind: WireKind, pair: Pair) -> None:
    expected = {WireKind.SEQPACKET: socket.SOCK_SEQPACKET, WireKind.STREAM: socket.SOCK_STREAM}[kind]
    assert [end.socket.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) for end in pair] == [expected] * 2
    again = Channel(socket.socket(fileno=os.dup(pair[0].fileno())), Any_)  # as a worker is given it: by its number
    again.send(Idle(True))
    assert pair[1].receive(1.0) == (Idle(True), [])
    again.close()


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
    pair[0].send(Fork(1), files)
    close_all(files)
    message, received = pair[1].receive(1.0)
    assert message == Fork(1)
    assert [os.fstat(file).st_ino for file in received] == inodes
    assert not any(os.get_inheritable(file) for file in received)
    close_all(received)


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["just below", "exactly", "just over"])
def test_what_does_not_fit_a_packet_goes_as_memory(bare: Bare, over: int) -> None:
    size = LIMITS[bare.kind] + over
    around = len(packed(Ready(bytes(size - 100), True))) - (size - 100)
    message = Ready(bytes(size - around), True)
    assert len(packed(message)) == size
    bare.channel.send(message)
    packet, descriptors = bare.receive()
    try:
        assert len(descriptors) == (over > 0)
        if over > 0:
            assert msgspec.msgpack.decode(packet, type=Overflow) == Overflow(size)
            assert os.fstat(descriptors[0]).st_nlink == 0
            if bare.kind is WireKind.SEQPACKET:
                with pytest.raises(PermissionError):
                    os.pwrite(descriptors[0], b"!", 0)
                with pytest.raises(PermissionError):
                    os.ftruncate(descriptors[0], 0)
    except BaseException:
        close_all(descriptors)
        raise
    bare.send(packet, descriptors)
    assert bare.channel.receive(1.0) == (message, [])


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
        msgspec.msgpack.encode(["Inject", ["melt", "process", None, 1.0, 0]]),
        b"\x91" * 30_000,
        b"\x93\xa4Idle\xc3" + b"\x91" * 30_000 + b"\x00",
        b"\x95\xa7Prepare\x90\x81\xa1a" + b"\x91" * 30_000 + b"\x00\xc0\xa11",
    ],
)
def test_garbage_is_a_protocol_error(bare: Bare, packet: bytes) -> None:
    bare.send(packet, [memory(b"")])
    with pytest.raises(ProtocolError, match="no message"):
        bare.channel.receive(1.0)
    bare.send(packed(Idle(True)))
    assert bare.channel.receive(1.0) == (Idle(True), [])


def test_a_message_for_somebody_else_is_refused(kind: WireKind) -> None:
    ours, theirs = wire.pair(kind)
    engine: Channel[ToEngine] = Channel(ours, ToEngine)
    worker: Channel[ToWorker] = Channel(theirs, ToWorker)
    worker.send(Tick(1, 0.5, 0, 1, False))
    with pytest.raises(ProtocolError, match="no message"):
        engine.receive(1.0)
    engine.close()
    worker.close()


@pytest.mark.parametrize("kind", [WireKind.SEQPACKET], indirect=True)
def test_memory_that_is_not_sealed_is_refused(bare: Bare) -> None:
    bare.send(packed(Overflow(len(packed(LARGE)))), [memory(packed(LARGE))])
    with pytest.raises(ProtocolError, match="not sealed"):
        bare.channel.receive(1.0)


def test_what_is_no_memory_at_all_is_refused(bare: Bare) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    bare.send(packed(Overflow(10)), [reading])
    with pytest.raises(ProtocolError, match="the memory of a large message"):
        bare.channel.receive(1.0)


@pytest.mark.parametrize("size", [0, -1, 1, 3 * PACKET + 1000, (1 << 30) + 1, 1 << 62])
def test_a_size_that_is_not_true_is_refused(bare: Bare, size: int) -> None:
    bare.send(packed(Overflow(size)), [bare.memory(packed(LARGE))])
    with pytest.raises(ProtocolError):
        bare.channel.receive(1.0)


def test_an_overflow_in_an_overflow_is_refused(bare: Bare) -> None:
    inner = packed(Overflow(10))
    bare.send(packed(Overflow(len(inner))), [bare.memory(inner)])
    with pytest.raises(ProtocolError, match="holds no message"):
        bare.channel.receive(1.0)


def test_an_overflow_without_memory_is_refused(bare: Bare) -> None:
    bare.send(packed(Overflow(10)))
    with pytest.raises(ProtocolError, match="without its memory"):
        bare.channel.receive(1.0)


def test_a_large_message_that_finds_no_memory_is_not_sent(pair: Pair) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PACKET, usual[1]))
    try:
        with pytest.raises(OutOfMemory, match="no memory for a message of"):
            pair[0].send(LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, ignored)
    pair[0].send(Idle(True))
    assert pair[1].receive(1.0) == (Idle(True), [])


@pytest.mark.parametrize("kind", [WireKind.STREAM], indirect=True)
def test_a_large_message_for_which_there_is_no_memory_is_refused(bare: Bare) -> None:
    usual = resource.getrlimit(resource.RLIMIT_AS)
    file = bare.memory(b"")
    os.ftruncate(file, wire.LARGEST)  # takes no room
    bare.send(packed(Overflow(wire.LARGEST)), [file])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + wire.LARGEST // 2, usual[1]))
    try:
        with pytest.raises(ProtocolError, match="no memory for a message of 1073741824 bytes"):
            bare.channel.receive(1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)
    bare.send(packed(Idle(True)))
    assert bare.channel.receive(1.0) == (Idle(True), [])


def test_a_packet_that_is_too_large_is_refused(bare: Bare) -> None:
    bare.send(packed(Raised("", "", "x" * PACKET)), [memory(b"")])
    with pytest.raises(ProtocolError, match="cut off" if bare.kind is WireKind.SEQPACKET else "are the most"):
        bare.channel.receive(1.0)


def test_more_descriptors_than_are_taken_are_refused(bare: Bare) -> None:
    bare.send(packed(Idle(True)), [memory(b"") for _ in range(3 * DESCRIPTORS)])
    with pytest.raises(ProtocolError, match="cut off"):
        bare.channel.receive(1.0)


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


@pytest.mark.parametrize(
    "message", [Idle(True), *(Raised("", "", "x" * (limit - 100)) for limit in LIMITS.values()), LARGE]
)
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


@given(st.sampled_from(WireKind), st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_whatever_comes_is_a_message_or_an_error(kind: WireKind, packet: bytes, content: bytes, right: bool) -> None:
    """Any bytes, also with memory of any bytes behind a well-formed overflow."""
    before = open_descriptors()
    bare = Bare(kind)
    try:
        for sent in (packet, packed(Overflow(len(content)))):
            bare.send(sent, [bare.memory(content) if right else memory(content)])
            try:
                message, descriptors = bare.channel.receive(1.0)
            except ProtocolError:
                continue
            except PeerDied:
                assert not sent  # an empty packet is what EOF looks like
                continue
            assert isinstance(message, Any_)
            close_all(descriptors)
    finally:
        bare.close()
    assert open_descriptors() == before


@given(st.sampled_from(WireKind), st.sampled_from(MESSAGES), st.data())
def test_a_damaged_message_is_a_message_or_an_error(kind: WireKind, message: Message, data: st.DataObject) -> None:
    packet = bytearray(packed(message))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    bare = Bare(kind)
    try:
        bare.send(bytes(packet))
        try:
            received, _ = bare.channel.receive(1.0)
        except ProtocolError:
            return
        assert isinstance(received, Any_)
        assert not isinstance(received, Overflow)
    finally:
        bare.close()
