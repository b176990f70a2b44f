"""The repeater as sockets: who registers is sent beacons, who has gone is dropped."""

from __future__ import annotations

import errno
import socket

import pytest

from caclient.config import Config
from caclient.engine import repeater as module
from caclient.engine.repeater import Repeater, is_alive, is_local, multicast_groups
from tests.ports import free_port

REGISTER = bytes.fromhex("00180000000000000000000000000000")
CONFIRM = bytes.fromhex("0011000000000000000000007f000001")
BEACON = bytes.fromhex("000d0000000d13c80000000100000000")
PATCHED = bytes.fromhex("000d0000000d13c8000000017f000001")


class Client:
    """A UDP socket on loopback that talks to a repeater."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(5.0)
        self.sock.bind(("0.0.0.0", 0))
        self.to = ("127.0.0.1", port)

    def send(self, datagram):
        self.sock.sendto(datagram, self.to)

    def recv(self):
        return self.sock.recv(65536)

    def nothing_came(self):
        self.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.sock.recv(1)
        return True


@pytest.fixture
def repeater():
    with Repeater(0) as running:
        yield running


@pytest.fixture
def client(repeater):
    made = []

    def make():
        made.append(Client(repeater.address[1]))
        return made[-1]

    yield make
    for each in made:
        each.sock.close()


def registered(repeater, client):
    client.send(b"")
    repeater.receive()
    assert client.recv() == CONFIRM
    return client


@pytest.mark.parametrize("datagram", [b"", REGISTER])
def test_a_client_registers_and_gets_beacons(repeater, client, datagram):
    listener, server = client(), client()
    listener.send(datagram)
    repeater.receive()
    assert listener.recv() == CONFIRM
    server.send(BEACON)
    repeater.receive()
    assert listener.recv() == PATCHED
    assert server.nothing_came()


def test_all_clients_get_a_datagram_but_for_its_sender(repeater, client):
    one, two = registered(repeater, client()), registered(repeater, client())
    assert one.recv() == bytes(16)
    one.send(b"rubbish")
    repeater.receive()
    assert two.recv() == b"rubbish"
    assert one.nothing_came()


def test_a_client_that_has_gone_is_dropped_when_a_datagram_comes_back(repeater, client):
    gone, server = registered(repeater, client()), client()
    gone.sock.close()
    for _ in range(2):  # the kernel tells of the first at the second
        server.send(BEACON)
        repeater.receive()
    assert len(repeater.fanout) == 0
    assert repeater._outlets == {}


def test_a_client_that_has_gone_is_dropped_when_another_comes(repeater, client):
    registered(repeater, client()).sock.close()
    registered(repeater, client())
    assert len(repeater.fanout) == len(repeater._outlets) == 1


def test_a_client_on_the_port_of_one_that_has_gone_is_served(repeater, client):
    gone, server = registered(repeater, client()), client()
    address = gone.sock.getsockname()
    gone.sock.close()
    server.send(BEACON)
    repeater.receive()
    new = client()
    new.sock.close()
    new.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    new.sock.settimeout(5.0)
    new.sock.bind(address)
    assert registered(repeater, new)


class Outlet:
    """A client's socket on which sending fails in a given way."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.sent = []

    def send(self, datagram):
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(datagram)

    def close(self):
        pass


@pytest.mark.parametrize(
    ("errors", "alive", "stays", "sent"),
    [
        ([BlockingIOError()], True, True, 0),
        ([ConnectionRefusedError()], False, False, 0),
        ([ConnectionRefusedError()], True, True, 1),
        ([ConnectionRefusedError(), OSError()], True, False, 0),
    ],
)
def test_failures_to_send(repeater, client, monkeypatch, errors, alive, stays, sent):
    listener, server = registered(repeater, client()), client()
    (address,) = repeater._outlets
    repeater._outlets[address].close()
    outlet = repeater._outlets[address] = Outlet(*errors)
    monkeypatch.setattr(module, "is_alive", lambda client: alive)
    server.send(BEACON)
    repeater.receive()
    assert (address in repeater.fanout) is stays
    assert len(outlet.sent) == sent
    assert listener.nothing_came()


def test_an_error_on_receipt_is_ignored(repeater, monkeypatch):
    class Reset:
        def recvfrom(self, size):
            raise ConnectionResetError

    sock = repeater._sock
    repeater._sock = Reset()
    try:
        assert repeater.receive() is None
    finally:
        repeater._sock = sock


def test_a_second_repeater_cannot_take_the_port(repeater):
    with pytest.raises(OSError) as raised:
        Repeater(repeater.address[1])
    assert raised.value.errno == errno.EADDRINUSE


def test_what_is_local_and_alive(repeater):
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.1")  # an address reserved for documentation
    assert is_alive(("127.0.0.1", repeater.address[1]))
    assert not is_alive(("127.0.0.1", free_port()))


def test_multicast_groups_are_those_of_the_beacon_list_or_else_of_the_search_list():
    config = Config(addr_list="239.1.2.3 127.0.0.1", beacon_addr_list="10.0.0.255 239.4.5.6 some.host")
    assert multicast_groups(config) == ["239.4.5.6"]
    assert multicast_groups(Config(addr_list="239.1.2.3 127.0.0.1")) == ["239.1.2.3"]
    assert multicast_groups(Config(addr_list="127.0.0.1")) == []


def test_groups_that_cannot_be_joined_are_reported(repeater):
    (problem,) = repeater.join(["127.0.0.1"])
    assert problem.startswith("multicast group 127.0.0.1 cannot be joined")


def test_what_selects_does_not_wait():
    with Repeater(0, blocking=False) as repeater:
        assert repeater.fileno() >= 0
        assert repeater.receive() is None
