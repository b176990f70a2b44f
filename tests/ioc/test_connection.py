"""One client's socket: bounds, ends and tearing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from caclient.config import Config
from caclient.ioc import IOC, Record
from caclient.protocol import commands as ca
from tests.ioc.wire import PATIENCE, Wire


@pytest.fixture
def ioc() -> Iterator[IOC]:
    with IOC([Record("x", 1.0), Record("image", np.zeros(1 << 17))], Config.isolated()) as server:
        yield server


def test_one_byte_at_a_time(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        request = b"".join(command.to_bytes() for command in (ca.CreateChanRequest("x", 1), ca.EchoRequest()))
        wire.circuit.send(ca.CreateChanRequest("x", 1), ca.EchoRequest())
        for index in range(len(request)):
            wire.sock.sendall(request[index : index + 1])
        assert wire.hear(ca.CreateChanResponse).cid == 1
        wire.hear(ca.EchoResponse)


def test_requests_wait_while_the_client_does_not_read(ioc: IOC) -> None:
    """A megabyte for each request: the server stops reading requests instead of piling up replies."""
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("image").sid
        wire.sock.setblocking(False)
        sent = 0
        try:
            while sent < 500_000:
                sent += wire.sock.send(ca.ReadNotifyRequest(6, 0, sid, sent).to_bytes() * 1000)
        except BlockingIOError:
            pass
        (connection,) = ioc._connections
        assert connection._outbox.size < 3 << 20
        wire.sock.setblocking(True)
    assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)


def test_old_client_and_large_reply(ioc: IOC) -> None:
    """There is no way to say it to a client that knows no extended header: an error, and the end."""
    with Wire(ioc.tcp_port, greet=False) as wire:
        for command in (ca.VersionRequest(0, 8), ca.CreateChanRequest("image", 1, 8)):
            wire.sock.sendall(command.to_bytes())
        wire.hear_end()
    with Wire(ioc.tcp_port) as wire:
        wire.create("image")


def test_client_resets(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.create("x")
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)
