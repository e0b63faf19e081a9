"""Frames of a stream: wherever it is cut, the same messages; and never half a frame taken for a whole one."""

from __future__ import annotations

import itertools
import os
import select
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.base.ways import WireKind
from grove_core.wire.channel import DESCRIPTORS, Channel, close_all, pair
from grove_core.wire.messages import Idle, Overflow, Raised, ToEngine
from grove_core.wire.overflow import unlinked
from grove_core.wire.stream import FRAME, HEADER
from grove_core.wire.zygote_messages import Fork, ToZygote

Any_ = ToEngine | ToZygote
SMALL_BUFFER = 4096
ROOMY = Raised("process", "x" * (FRAME - 100), "")
"""A message that goes as a frame, and is larger than a small buffer."""
BRIEF = st.one_of(
    st.booleans().map(Idle),
    st.builds(Raised, st.text(max_size=20), st.text(max_size=200), st.just("")),
)


def framed(message: msgspec.Struct) -> bytes:
    packet = msgspec.msgpack.encode(message)
    return HEADER.pack(len(packet)) + packet


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def readable(channel: Channel[Any]) -> bool:
    return bool(select.select([channel], [], [], 0)[0])


class Ends:
    """A bare end of a stream, and a channel at the other."""

    def __init__(self) -> None:
        self.descriptors = open_descriptors()
        self.bare, theirs = pair(WireKind.STREAM)
        self.channel: Channel[Any] = Channel(theirs, Any_)

    def close(self) -> None:
        self.bare.close()
        self.channel.close()
        assert open_descriptors() == self.descriptors


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


@pytest.fixture
def narrow() -> Iterator[tuple[Channel[Any], Channel[Any]]]:
    """Two channels; the first one's socket takes little at a time, so that of a frame only a part may go."""
    before = open_descriptors()
    ours, theirs = pair(WireKind.STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    channels: tuple[Channel[Any], Channel[Any]] = Channel(ours, Any_), Channel(theirs, Any_)
    yield channels
    for channel in channels:
        channel.close()
    assert open_descriptors() == before


def taken(channel: Channel[Any]) -> list[Any]:
    """Return what has arrived in full."""
    messages = []
    while (received := channel.receive_now()) is not None:
        assert received[1] == []
        messages.append(received[0])
    return messages


@given(st.lists(BRIEF, max_size=6), st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=12))
def test_wherever_it_is_cut_the_same_messages_come(messages: list[Any], cuts: list[tuple[int, bool]]) -> None:
    """In parts of these sizes, after each of which what has arrived is taken, or not yet."""
    with closing(Ends()) as ends:
        stream, came = b"".join(map(framed, messages)), []
        for size, looked in [*cuts, (len(stream), True)]:
            if part := stream[:size]:
                ends.bare.sendall(part)
            stream = stream[size:]
            if looked:
                came += taken(ends.channel)
                assert came == messages[: len(came)]
        assert came == messages


def test_each_byte_by_itself_gives_the_same_messages(ends: Ends) -> None:
    messages = [Idle(True), Raised("a", "b", "c" * 300), Fork(1)]
    came = []
    for byte in b"".join(map(framed, messages)):
        ends.bare.send(bytes([byte]))
        came += taken(ends.channel)
    assert came == messages


@given(st.lists(st.tuples(BRIEF, st.integers(0, DESCRIPTORS)), max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_descriptors_come_with_the_message_they_were_sent_with(sent: list[tuple[Any, int]], sizes: list[int]) -> None:
    """Each frame in parts of some sizes; the descriptors go with its first byte, as the kernel has it."""
    with closing(Ends()) as ends:
        expected, came = [], []
        for message, count in sent:
            frame, files = framed(message), [unlinked(b"") for _ in range(count)]
            expected.append((message, [os.fstat(file).st_ino for file in files]))
            for size in itertools.cycle(sizes):
                socket.send_fds(ends.bare, [frame[:size]], files)
                close_all(files)
                frame, files = frame[size:], []
                if not frame:
                    break
        while (received := ends.channel.receive_now()) is not None:
            came.append((received[0], [os.fstat(file).st_ino for file in received[1]]))
            close_all(received[1])
        assert came == expected


def test_what_is_not_read_stays_where_a_poll_sees_it(ends: Ends) -> None:
    ends.bare.sendall(framed(Idle(True)) + framed(Idle(False)) + framed(Fork(1))[:2])
    assert readable(ends.channel)
    assert ends.channel.receive_now() == (Idle(True), [])
    assert readable(ends.channel), "another whole message is there"
    assert ends.channel.receive_now() == (Idle(False), [])
    assert ends.channel.receive_now() is None
    assert not readable(ends.channel), "half a header was read, and nothing follows"
    ends.bare.sendall(framed(Fork(1))[2:])
    assert readable(ends.channel)
    assert ends.channel.receive_now() == (Fork(1), [])


@pytest.mark.parametrize("have", [1, HEADER.size - 1, HEADER.size, HEADER.size + 1, len(framed(Idle(True))) - 1])
def test_a_peer_that_dies_within_a_message_died(ends: Ends, have: int) -> None:
    file = unlinked(b"")
    socket.send_fds(ends.bare, [framed(Idle(True))[:have]], [file])
    os.close(file)
    assert ends.channel.receive_now() is None
    ends.bare.close()
    for _ in range(2):
        with pytest.raises(PeerDied):
            ends.channel.receive(1.0)


def test_descriptors_of_a_message_that_never_came_are_closed_with_the_channel() -> None:
    ends = Ends()
    file = unlinked(b"")
    socket.send_fds(ends.bare, [framed(Idle(True))[:-1]], [file])
    os.close(file)
    assert ends.channel.receive_now() is None
    assert open_descriptors() > ends.descriptors + 2
    ends.close()


def test_descriptors_within_a_frame_are_no_one_s(ends: Ends) -> None:
    file, frame = unlinked(b""), framed(Idle(True))
    ends.bare.send(frame[:-1])
    socket.send_fds(ends.bare, [frame[-1:]], [file])
    os.close(file)
    assert ends.channel.receive_now() == (Idle(True), [])


@pytest.mark.parametrize("length", [0, FRAME + 1, 1 << 31, (1 << 32) - 1])
def test_a_length_that_cannot_be_is_refused_for_good(ends: Ends, length: int) -> None:
    file = unlinked(b"")
    socket.send_fds(ends.bare, [HEADER.pack(length)], [file])
    os.close(file)
    ends.bare.send(framed(Idle(True)))
    for _ in range(3):
        with pytest.raises(ProtocolError, match=f"a frame of {length} bytes"):
            ends.channel.receive(1.0)


@given(st.binary(max_size=400), st.integers(0, 2))
def test_any_bytes_are_messages_or_an_error(content: bytes, files: int) -> None:
    with closing(Ends()) as ends:
        extra = [unlinked(content) for _ in range(files)]
        if content:
            socket.send_fds(ends.bare, [content], extra)
        close_all(extra)
        ends.bare.shutdown(socket.SHUT_WR)
        for _ in range(len(content) + 1):
            try:
                message, descriptors = ends.channel.receive(1.0)
            except ProtocolError:
                continue
            except PeerDied:
                break
            assert isinstance(message, Any_)
            assert not isinstance(message, Overflow)
            close_all(descriptors)


def test_what_there_was_no_room_for_goes_while_an_answer_is_waited_for(
    narrow: tuple[Channel[Any], Channel[Any]],
) -> None:
    ours, theirs = narrow
    ours.send(ROOMY)
    assert ours.events & select.POLLOUT
    assert theirs.receive_now() is None, "only a part is there"
    with pytest.raises(DeadlineExceeded):
        ours.receive(0.0)
    came = None
    while came is None:
        with pytest.raises(DeadlineExceeded):
            ours.receive(0.0)
        came = theirs.receive_now()
    assert came == (ROOMY, [])
    assert ours.events == select.POLLIN
    theirs.send(Idle(True))
    assert ours.receive(1.0) == (Idle(True), [])


def test_what_there_was_no_room_for_goes_before_the_next_message(narrow: tuple[Channel[Any], Channel[Any]]) -> None:
    ours, theirs = narrow
    file = unlinked(b"")
    inode = os.fstat(file).st_ino
    ours.send(ROOMY, [file])
    os.close(file)
    with pytest.raises(ProtocolError, match="queue is full"):
        ours.send(Idle(True))
    came: list[Any] = []
    refused = 0
    while not came:
        received = theirs.receive_now()
        came += [] if received is None else [received]
        try:
            ours.send(Idle(False))
            break
        except ProtocolError:
            refused += 1
    while len(came) < 2:
        came.append(theirs.receive(1.0))
    (first, descriptors), (second, none) = came
    assert (first, second, none) == (ROOMY, Idle(False), [])
    assert [os.fstat(each).st_ino for each in descriptors] == [inode]
    assert refused, "and what was refused never came"
    assert theirs.receive_now() is None
    close_all(descriptors)


def test_a_peer_that_dies_before_it_took_all_died(narrow: tuple[Channel[Any], Channel[Any]]) -> None:
    ours, theirs = narrow
    theirs.send(Idle(True))
    ours.send(ROOMY)
    theirs.socket.shutdown(socket.SHUT_RDWR)
    assert ours.receive(1.0) == (Idle(True), []), "its last words can be read"
    with pytest.raises(PeerDied):
        ours.receive(1.0)
    with pytest.raises(PeerDied):
        ours.send(Idle(True))
