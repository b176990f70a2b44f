"""One client's socket: bounds, ends and tearing."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from caclient.config import Config
from caclient.ioc import IOC, Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.ioc.wire import PATIENCE, Wire, busy


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


@pytest.mark.parametrize("command", [ca.WriteRequest.ID, ca.WriteNotifyRequest.ID])
def test_claims_beyond_the_largest_record_end_the_circuit(ioc: IOC, command: int) -> None:
    """No buffer is taken for them: 1.6 GB of them was once held for some clients that claimed 4 GB."""
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("x").sid
        wire.sock.sendall(Header(command, 0x4000_0000, 6, 0x0800_0000, sid, 1, True).to_bytes())
        (farewell,) = wire.hear_end()
        assert "maximum" in farewell.error_message


def test_records_that_come_later_may_be_written_by_clients_that_were_there(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.create("x")
        larger = ioc.add(Record("larger", np.zeros(1 << 20)))
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
        values = np.arange(1 << 20, dtype=np.float64)
        assert wire.write(wire.create("larger").sid, values, 6).successful
        assert np.array_equal(larger.value, values)


def who_is_served(ioc: IOC, number: int) -> list[str]:
    """Whose puts are served, in that order, when one client sends so many of them and another one, all at once."""
    served: list[str] = []
    for name in ("greedy", "modest"):
        ioc.add(Record(name, 0.0, on_put=lambda record, _value: served.append(record.name)))
    with Wire(ioc.tcp_port) as greedy, Wire(ioc.tcp_port) as modest:
        sids = greedy.create("greedy").sid, modest.create("modest").sid
        with busy(ioc):
            greedy.sock.sendall(b"".join(ca.WriteRequest(0.0, 6, 1, sids[0], 1).to_bytes() for _ in range(number)))
            modest.sock.sendall(ca.WriteRequest(0.0, 6, 1, sids[1], 1).to_bytes())
        greedy.ask(ca.EchoRequest(), ca.EchoResponse)
        modest.ask(ca.EchoRequest(), ca.EchoResponse)
    assert served.count("greedy") == number
    return served


def test_whoever_asks_without_end_lets_others_have_their_turn(ioc: IOC) -> None:
    """A healthy client once waited for 4,000 requests of each of the others: 463 ms."""
    assert who_is_served(ioc, 1000).index("modest") <= 128


def test_requests_that_take_long_make_a_turn_short(ioc: IOC, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts to a record with 60,000 subscriptions kept everybody else waiting for seconds: 64 of them were a turn."""
    clock = itertools.count()
    monkeypatch.setattr("caclient.ioc.connection.monotonic", lambda: float(next(clock)))
    assert who_is_served(ioc, 100).index("modest") <= 3


def test_news_is_told_between_requests_without_end(ioc: IOC) -> None:
    asked = threading.Event()
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("x").sid
        wire.subscribe(sid, 6)
        wire.hear(ca.EventAddResponse)
        ioc.call_later(0.0, lambda: asked.wait(PATIENCE))
        ioc["x"].post(7.0)
        wire.sock.sendall(ca.EchoRequest().to_bytes() * 1000)
        wire.circuit.send(*[ca.EchoRequest()] * 1000)
        asked.set()
        while len(wire.heard) < 1001:
            wire._receive()
    update = next(index for index, command in enumerate(wire.heard) if isinstance(command, ca.EventAddResponse))
    assert update <= 128


def test_a_request_that_breaks_the_server_ends_that_circuit_only(
    ioc: IOC, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire(ioc.tcp_port) as wire, Wire(ioc.tcp_port) as other:
        sid = wire.create("x").sid
        monkeypatch.setattr(ioc["x"], "put", None)
        wire.say(ca.WriteRequest(0.0, 6, 1, sid, 1))
        assert wire.hear(ca.ErrorResponse).status.name == "ECA_PUTFAIL"
        monkeypatch.setattr(ioc["x"], "_snapshot", None)
        wire.say(ca.ReadNotifyRequest(6, 1, sid, 1))
        assert wire.hear_end()[-1].error_message == "internal error"
        other.ask(ca.EchoRequest(), ca.EchoResponse)
    assert "ReadNotifyRequest" in caplog.text


def test_client_resets(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.create("x")
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)
