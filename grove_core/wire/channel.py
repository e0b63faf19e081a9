"""One end of a Unix SEQPACKET socket that carries messages and descriptors.

Sends never block. What does not fit a packet goes as sealed memory. EPIPE, ECONNRESET and EOF are one thing:
the peer died.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
import time
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from grove_core.base.errors import DeadlineExceeded, PeerDied, ProtocolError
from grove_core.wire.messages import Overflow

PACKET = 64 * 1024
"""The largest message that goes as a packet; the system refuses somewhat over 200 kB."""
LARGEST = 1 << 30
"""The largest message that is taken at all."""
DESCRIPTORS = 4
_ANCILLARY = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)

Incoming = TypeVar("Incoming")


class Channel(Generic[Incoming]):
    """Sends any message; receives messages of one union, given as `incoming`."""

    def __init__(self, end: socket.socket, incoming: Any) -> None:
        end.setblocking(False)
        self.socket = end
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(incoming).decode
        self._buffer = bytearray(PACKET + 1)

    def fileno(self) -> int:
        """The socket's descriptor, for polling."""
        return self.socket.fileno()

    def send(self, message: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
        """Send without blocking.

        Raises:
            PeerDied: nobody is there to read.
            ProtocolError: the peer does not read: its queue is full.
        """
        packet = self._encode(message)
        memory = -1
        try:
            if len(packet) > PACKET:
                memory = sealed(packet)
                descriptors = (*descriptors, memory)
                packet = self._encode(Overflow(len(packet)))
            if descriptors:
                socket.send_fds(self.socket, [packet], list(descriptors))
            else:
                self.socket.send(packet)
        except BlockingIOError:
            raise ProtocolError("the peer does not read what it is sent: its queue is full") from None
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error
        finally:
            if memory >= 0:
                os.close(memory)

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
            poll.register(self.socket, select.POLLIN)
            poll.poll(None if left is None else left * 1000)

    def receive_now(self) -> tuple[Incoming, list[int]] | None:
        """Return a message that has arrived, or None. Raises as `receive` does."""
        try:
            length, ancillary, flags, _ = self.socket.recvmsg_into([self._buffer], _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PeerDied(f"the peer is gone: {error.strerror}") from error
        descriptors = _descriptors(ancillary) if ancillary else []
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise ProtocolError("a packet was cut off")
            if not length:
                raise PeerDied("the peer closed its end")
            message = self._message(memoryview(self._buffer)[:length])
            if isinstance(message, Overflow):
                message = self._large(message.size, descriptors)
        except BaseException:
            close_all(descriptors)
            raise
        return message, descriptors

    def close(self) -> None:
        """Close this end; the peer sees EOF."""
        self.socket.close()

    def _message(self, packet: Any) -> Any:
        try:
            return self._decode(packet)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ProtocolError(f"what came is no message: {error}") from error

    def _large(self, size: int, descriptors: list[int]) -> Any:
        if not descriptors:
            raise ProtocolError("a large message came without its memory")
        memory = descriptors.pop()
        try:
            if not 0 < size <= LARGEST:
                raise ProtocolError(f"a message of {size} bytes is over the limit of {LARGEST}")
            seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)
            if not (seals & fcntl.F_SEAL_WRITE and seals & fcntl.F_SEAL_SHRINK):
                raise ProtocolError("the memory of a large message is not sealed")
            message = self._message(os.pread(memory, size, 0))
        except OSError as error:
            raise ProtocolError(f"the memory of a large message cannot be read: {error.strerror}") from error
        finally:
            os.close(memory)
        if isinstance(message, Overflow):
            raise ProtocolError("the memory of a large message holds no message")
        return message


def sealed(content: bytes) -> int:
    """Return the descriptor of memory that holds `content` and can never change again."""
    memory = os.memfd_create("grove:message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(memory, view) :]
        fcntl.fcntl(
            memory,
            fcntl.F_ADD_SEALS,
            fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
        )
    except BaseException:
        os.close(memory)
        raise
    return memory


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that came with a message."""
    for descriptor in descriptors:
        os.close(descriptor)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
