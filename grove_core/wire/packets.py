"""What a channel goes through: a Unix SEQPACKET socket, where the system keeps packets apart."""

from __future__ import annotations

import array
import os
import select
import socket
from collections.abc import Sequence
from typing import Protocol

from grove_core.base.errors import PeerDied, ProtocolError
from grove_core.wire.overflow import read_sealed, sealed

PACKET = 64 * 1024
"""The largest message that goes as a packet; the system refuses somewhat over 200 kB."""
DESCRIPTORS = 4
"""How many descriptors a packet may bring."""
TRUNCATED = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
ANCILLARY = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
FULL = "the peer does not read what it is sent: its queue is full"
CUT_OFF = "a packet was cut off"


class Carrier(Protocol):
    """Carries packets of up to `largest` bytes, whole and in order, each with its descriptors."""

    @property
    def largest(self) -> int:
        """The largest packet; what is larger goes as memory."""
        ...

    @property
    def events(self) -> int:
        """What to poll the socket for while a packet is waited for."""
        ...

    def put(self, packet: bytes, descriptors: Sequence[int]) -> None:
        """Send a packet without blocking; one that is refused never arrives.

        Raises:
            PeerDied: nobody is there to read.
            ProtocolError: the peer does not read: its queue is full.
        """
        ...

    def take(self) -> tuple[memoryview, list[int]] | None:
        """Return a packet that has arrived, valid until the next call, and its descriptors; None if none has.

        Raises:
            PeerDied: the other end is closed.
            ProtocolError: what came is no packet, or was cut off.
        """
        ...

    def memory(self, content: bytes) -> int:
        """Return the descriptor of new memory that holds what is too large for a packet.

        Raises:
            OSError: the system has none.
        """
        ...

    def read(self, memory: int, size: int) -> bytes:
        """Return what such memory holds.

        Raises:
            OSError, ProtocolError: it cannot be read, or is not of the kind that `memory` makes.
        """
        ...

    def close(self) -> None:
        """Close the socket, and every descriptor that came and was not taken."""
        ...


class Packets:
    """Packets as the system carries them. What is over the size of one goes as a sealed memfd."""

    largest: int = PACKET
    events: int = select.POLLIN

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = memoryview(bytearray(PACKET + 1))

    def put(self, packet: bytes, descriptors: Sequence[int]) -> None:
        """Send a packet: see `Carrier`."""
        try:
            if descriptors:
                socket.send_fds(self._socket, [packet], list(descriptors))
            else:
                self._socket.send(packet)
        except BlockingIOError:
            raise ProtocolError(FULL) from None
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error

    def take(self) -> tuple[memoryview, list[int]] | None:
        """Return a packet: see `Carrier`."""
        try:
            length, ancillary, flags, _ = self._socket.recvmsg_into([self._buffer], ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error
        descriptors = received(ancillary) if ancillary else []
        if length and not flags & TRUNCATED:
            return self._buffer[:length], descriptors
        close_all(descriptors)
        raise ProtocolError(CUT_OFF) if length else PeerDied("the peer closed its end")

    def memory(self, content: bytes) -> int:
        """Return sealed memory: see `Carrier`."""
        return sealed(content)

    def read(self, memory: int, size: int) -> bytes:
        """Read sealed memory: see `Carrier`."""
        return read_sealed(memory, size)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def received(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came with a packet."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that came with a message."""
    for descriptor in descriptors:
        os.close(descriptor)
