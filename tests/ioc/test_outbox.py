"""Writing to a socket that does not take everything."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from caclient.ioc.outbox import Outbox


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


def drained(sock: socket.socket) -> bytes:
    received = b""
    try:
        while piece := sock.recv(1 << 16):
            received += piece
    except BlockingIOError:
        pass
    return received


def test_order_is_kept(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox()
    outbox.put([b"one", b"", memoryview(b"two")])
    outbox.put(bytes([number]) for number in range(3))
    assert outbox.size == 9
    outbox.write(ends[0])
    assert (drained(ends[1]), outbox.size) == (b"onetwo\0\1\2", 0)


def test_more_than_the_socket_takes(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox()
    data = [bytes([number % 251]) * 1000 for number in range(3000)]
    outbox.put(data)
    received = b""
    writes = 0
    while outbox.size:
        outbox.write(ends[0])
        received += drained(ends[1])
        writes += 1
    assert received == b"".join(data)
    assert writes > 1


def test_clear(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox()
    outbox.put([b"abc"])
    outbox.clear()
    outbox.write(ends[0])
    assert (outbox.size, drained(ends[1])) == (0, b"")


def test_lost_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox()
    outbox.put([b"abc"])
    ends[1].close()
    with pytest.raises(OSError):
        outbox.write(ends[0])
