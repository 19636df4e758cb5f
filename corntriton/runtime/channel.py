"""Messages between two processes of one machine, over a socket."""

from __future__ import annotations

import select
import socket
import struct
import threading

import numpy as np

from corntriton.runtime.messages import Message
from corntriton.runtime.wire import decode, encode

# Head bytes, number of buffers beside it; their sizes follow. Then the head, then the buffers.
_PREFIX = struct.Struct("<QQ")
_READ_BYTES = 64 * 1024


class Channel:
    """One end of a connection. Any thread may send; one may receive."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._start = self._end = 0

    def send(self, message: Message) -> None:
        """Blocks until the other side, or the kernel's buffer, has taken it all; OSError if it is gone."""
        head, beside = encode(message)
        sizes = struct.pack(f"<{len(beside)}Q", *(raw.nbytes for raw in beside))
        with self._sending:
            self._socket.sendall(_PREFIX.pack(len(head), len(beside)) + sizes + head)
            for raw in beside:
                self._socket.sendall(raw)

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message, or None if none has begun in time; EOFError once the other side is gone."""
        if timeout_s is not None and self._start == self._end and not self._poll.poll(timeout_s * 1000):
            return None
        try:
            n_head, n_beside = _PREFIX.unpack(self._read(_PREFIX.size))
            sizes = struct.unpack(f"<{n_beside}Q", self._read(8 * n_beside))
            head = self._read(n_head)
            return decode(head, [self._read(size) for size in sizes])
        except ConnectionError as error:
            raise EOFError from error

    def close(self) -> None:
        """The other side's receive ends with EOFError."""
        self._socket.close()

    def _read(self, nbytes: int) -> memoryview:
        """Exactly so many bytes, in memory of their own."""
        target = np.empty(nbytes, np.uint8).data  # bytearray() would zero it first
        taken = min(nbytes, self._end - self._start)
        target[:taken] = self._buffer[self._start : self._start + taken]
        self._start += taken
        while taken < nbytes:
            if nbytes - taken >= _READ_BYTES:
                taken += self._receive_into(target[taken:])
                continue
            self._start, self._end = 0, self._receive_into(self._buffer)
            part = min(nbytes - taken, self._end)
            target[taken : taken + part] = self._buffer[:part]
            self._start, taken = part, taken + part
        return target

    def _receive_into(self, memory: memoryview) -> int:
        received = self._socket.recv_into(memory)
        if received == 0:
            raise EOFError
        return received
