"""What a channel goes through where the system has no packets: a Unix STREAM socket, and frames with their length.

Nothing is read beyond the frame that is being read. So the socket stays readable while another one is there, as
with packets, and the descriptors that come while a frame is read are that frame's.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Sequence

from grove_core.base.errors import PeerDied, ProtocolError
from grove_core.wire.overflow import read_file, unlinked
from grove_core.wire.packets import ANCILLARY, CUT_OFF, FULL, close_all, received

FRAME = 32 * 1024
"""The largest message that goes as a frame. Linux takes so much whole or not at all; over 48 kB it may take a part."""
HEADER = struct.Struct("<I")
"""A frame's length without its header, little-endian."""


class Stream:
    """Packets as frames of a stream. What is over the size of one goes as an unlinked file.

    A frame of which the system took only a part, as it may where little room is left, counts as sent: the rest is
    kept, and goes before anything else when the next one is sent or one is waited for. So no half frame is ever
    taken for a whole one, and never more than one is kept.
    """

    largest: int = FRAME

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._frame = memoryview(bytearray(HEADER.size + FRAME))
        self._have = 0
        """How many bytes of the frame that is being read have come."""
        self._whole = 0
        """How many bytes it has; 0 until its header has come."""
        self._descriptors: list[int] = []
        self._unsent = memoryview(b"")
        self._broken = ""
        """Why nobody knows any more where a frame begins."""

    @property
    def events(self) -> int:
        """What to poll for: also for room, while a rest waits to be sent."""
        return select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN

    def put(self, packet: bytes, descriptors: Sequence[int]) -> None:
        """Send a packet: see `Carrier`."""
        if self._unsent:
            self._flush()
        frame = HEADER.pack(len(packet)) + packet
        sent = self._send(frame, descriptors)
        if sent < len(frame):
            self._unsent = memoryview(frame)[sent:]

    def take(self) -> tuple[memoryview, list[int]] | None:
        """Return a packet: see `Carrier`."""
        if self._unsent:
            self._try_to_flush()
        if self._broken:
            raise ProtocolError(self._broken)
        while self._have < HEADER.size:
            if not self._read_header():
                return None
        if not self._whole:
            self._measure()
        while self._have < self._whole:
            if not self._read_body():
                return None
        packet, descriptors = self._frame[HEADER.size : self._whole], self._descriptors
        self._have, self._whole, self._descriptors = 0, 0, []
        return packet, descriptors

    def memory(self, content: bytes) -> int:
        """Return an unlinked file: see `Carrier`."""
        return unlinked(content)

    def read(self, memory: int, size: int) -> bytes:
        """Read an unlinked file: see `Carrier`."""
        return read_file(memory, size)

    def close(self) -> None:
        """Close the socket, and the descriptors of a frame that was not taken."""
        self._let_go()
        self._socket.close()

    def _flush(self) -> None:
        """Send the rest of a frame, all of it."""
        self._unsent = self._unsent[self._send(self._unsent, ()) :]
        if self._unsent:
            raise ProtocolError(FULL)

    def _try_to_flush(self) -> None:
        try:
            self._flush()
        except PeerDied:
            self._unsent = memoryview(b"")  # what the peer said before it died can still be read
        except ProtocolError:
            return

    def _send(self, part: bytes | memoryview, descriptors: Sequence[int]) -> int:
        """Send what there is room for, at least something; descriptors go with the first byte."""
        try:
            if descriptors:
                return socket.send_fds(self._socket, [part], list(descriptors))
            return self._socket.send(part)
        except BlockingIOError:
            raise ProtocolError(FULL) from None
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error

    def _read_header(self) -> bool:
        """Read more of the header; tell whether something came."""
        part = self._frame[self._have : HEADER.size]
        try:
            length, ancillary, flags, _ = self._socket.recvmsg_into([part], ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return False
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error
        if ancillary:
            self._descriptors += received(ancillary)
        if flags & socket.MSG_CTRUNC:
            self._break(CUT_OFF)
        return self._came(length)

    def _read_body(self) -> bool:
        """Read more of the body; descriptors come with the header, and others are closed by the system."""
        try:
            return self._came(self._socket.recv_into(self._frame[self._have : self._whole]))
        except BlockingIOError:
            return False
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error

    def _came(self, length: int) -> bool:
        if not length:
            self._let_go()
            raise PeerDied("the peer closed its end within a message" if self._have else "the peer closed its end")
        self._have += length
        return True

    def _measure(self) -> None:
        (length,) = HEADER.unpack(self._frame[: HEADER.size])
        if not 0 < length <= FRAME:
            self._break(f"what came is no message: a frame of {length} bytes, and {FRAME} are the most")
        self._whole = HEADER.size + length

    def _break(self, why: str) -> None:
        self._let_go()
        self._broken = why
        raise ProtocolError(why)

    def _let_go(self) -> None:
        close_all(self._descriptors)
        self._descriptors = []
