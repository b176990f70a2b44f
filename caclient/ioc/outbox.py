"""What waits to be written to a socket that does not take everything at once."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview

_MOST_BUFFERS = 512
"""Buffers handed to the kernel in one call; it takes 1024 at most."""


class Outbox:
    """Buffers in order, written as far as the socket takes them."""

    __slots__ = ("_buffers", "size")

    def __init__(self) -> None:
        self._buffers: deque[memoryview] = deque()
        self.size = 0

    def put(self, buffers: Iterable[Buffer]) -> None:
        """Queue buffers; they must not change any more."""
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            if view.nbytes:
                self._buffers.append(view)
                self.size += view.nbytes

    def write(self, sock: socket.socket) -> None:
        """Write until all is gone or the socket is full. OSError if the connection is lost."""
        while self._buffers:
            try:
                written = sock.sendmsg([self._buffers[i] for i in range(min(len(self._buffers), _MOST_BUFFERS))])
            except BlockingIOError:
                return
            self._drop(written)

    def clear(self) -> None:
        """Forget everything."""
        self._buffers.clear()
        self.size = 0

    def _drop(self, written: int) -> None:
        self.size -= written
        while written:
            first = self._buffers.popleft()
            if first.nbytes > written:
                self._buffers.appendleft(first[written:])
                return
            written -= first.nbytes
