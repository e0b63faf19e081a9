"""One end of a Unix socket that carries messages and descriptors.

Sends never block. What does not fit a packet goes as memory. EPIPE, ECONNRESET and EOF are one thing: the peer
died. The socket is of one of two kinds, and behaves the same: see `packets` and `stream`.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from grove_core.base.errors import DeadlineExceeded, InvalidInput, OutOfMemory, ProtocolError
from grove_core.base.ways import WireKind
from grove_core.wire.messages import Overflow
from grove_core.wire.packets import DESCRIPTORS, PACKET, Carrier, Packets, close_all
from grove_core.wire.stream import Stream

__all__ = ["DESCRIPTORS", "LARGEST", "PACKET", "Channel", "close_all", "pair"]

LARGEST = 1 << 30
"""The largest message that is taken at all."""

Incoming = TypeVar("Incoming")


def pair(kind: WireKind) -> tuple[socket.socket, socket.socket]:
    """Return two connected ends; what kind they are, each end's channel sees by itself."""
    type_ = socket.SOCK_STREAM if kind is WireKind.STREAM else socket.SOCK_SEQPACKET
    return socket.socketpair(socket.AF_UNIX, type_)


class Channel(Generic[Incoming]):
    """Sends any message; receives messages of one union, given as `incoming`."""

    def __init__(self, end: socket.socket, incoming: Any) -> None:
        end.setblocking(False)
        self.socket = end
        self._carrier: Carrier = Stream(end) if self.kind is WireKind.STREAM else Packets(end)
        self._largest = self._carrier.largest
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(incoming).decode

    def fileno(self) -> int:
        """The socket's descriptor, for polling."""
        return self.socket.fileno()

    @property
    def kind(self) -> WireKind:
        """What messages go through."""
        return WireKind.STREAM if self.socket.type == socket.SOCK_STREAM else WireKind.SEQPACKET

    @property
    def events(self) -> int:
        """What to poll it for while a message is waited for."""
        return self._carrier.events

    def send(self, message: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
        """Send without blocking.

        Raises:
            PeerDied: nobody is there to read.
            ProtocolError: the peer does not read: its queue is full.
            OutOfMemory: the message is large, and the system has no memory for it.
        """
        packet = self._encode(message)
        if len(packet) <= self._largest:
            self._carrier.put(packet, descriptors)
        else:
            self._send_large(packet, descriptors)

    def send_raw(self, packet: bytes) -> None:
        """Send bytes that are no message, to see what the peer makes of them. Raises as `send` does."""
        self._carrier.put(packet, ())

    def receive(self, timeout: float | None) -> tuple[Incoming, list[int]]:
        """Wait up to `timeout` seconds (None: for ever) for a message and its descriptors, which the caller closes.

        Raises:
            DeadlineExceeded: nothing came in time.
            PeerDied: the other end is closed.
            ProtocolError: what came is no message, or was cut off.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            received = self.receive_now()
            if received is not None:
                return received
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise DeadlineExceeded(f"no answer within {timeout:g} s")
            poll = select.poll()
            poll.register(self.socket, self._carrier.events)
            poll.poll(None if left is None else left * 1000)

    def receive_now(self) -> tuple[Incoming, list[int]] | None:
        """Return a message that has arrived, or None. Raises as `receive` does."""
        taken = self._carrier.take()
        if taken is None:
            return None
        packet, descriptors = taken
        try:
            message = self._message(packet)
            if isinstance(message, Overflow):
                message = self._large(message.size, descriptors)
        except BaseException:
            close_all(descriptors)
            raise
        return message, descriptors

    def close(self) -> None:
        """Close this end; the peer sees EOF."""
        self._carrier.close()

    def _send_large(self, packet: bytes, descriptors: Sequence[int]) -> None:
        try:
            memory = self._carrier.memory(packet)
        except OSError as error:
            raise OutOfMemory(f"no memory for a message of {len(packet)} bytes: {error.strerror}") from error
        try:
            self._carrier.put(self._encode(Overflow(len(packet))), (*descriptors, memory))
        finally:
            os.close(memory)

    def _message(self, packet: Any) -> Any:
        try:
            return self._decode(packet)
        except (msgspec.DecodeError, ValueError, RecursionError, InvalidInput) as error:
            raise ProtocolError(f"what came is no message: {error}") from error
        except MemoryError as error:
            raise ProtocolError("there is no memory for the message that came") from error

    def _large(self, size: int, descriptors: list[int]) -> Any:
        if not descriptors:
            raise ProtocolError("a large message came without its memory")
        memory = descriptors.pop()
        try:
            if not 0 < size <= LARGEST:
                raise ProtocolError(f"a message of {size} bytes is over the limit of {LARGEST}")
            message = self._message(self._carrier.read(memory, size))
        except OSError as error:
            raise ProtocolError(f"the memory of a large message cannot be read: {error.strerror}") from error
        except MemoryError as error:
            raise ProtocolError(f"there is no memory for a message of {size} bytes that came") from error
        finally:
            os.close(memory)
        if isinstance(message, Overflow):
            raise ProtocolError("the memory of a large message holds no message")
        return message
