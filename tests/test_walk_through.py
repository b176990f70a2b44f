"""A client written by hand on the protocol core: register, search, create, read, write, subscribe, clear.

The same against our own server and against EPICS Base's.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

import caclient
from caclient.config import Config
from caclient.engine.repeater import Repeater
from caclient.ioc_examples.random_walk import make_ioc
from tests.interop.softioc import SoftIoc
from tests.ports import free_port

PATIENCE = 5.0
VERSION = 13


@pytest.fixture(params=["ours", pytest.param("epics", marks=pytest.mark.interop)])
def served(request: pytest.FixtureRequest, softioc: SoftIoc) -> Iterator[tuple[str, int]]:
    """The name of a number that is 3.0, and the UDP port of its server."""
    if request.param == "ours":
        with make_ioc(Config.isolated()) as ioc:
            yield "random_walk:dt", ioc.port
    else:
        softioc.put("meta", 3)
        yield "t:meta", softioc.port
        softioc.put("meta", 1)


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with caclient.bcast_socket() as sock:
        sock.settimeout(PATIENCE)
        yield sock


class Hand:
    """A circuit and its socket, and the two functions that every client of this kind begins with."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, PATIENCE)
        self.circuit = caclient.VirtualCircuit(our_role=caclient.CLIENT, address=address, priority=0)

    def send(self, *commands: Any) -> None:
        self.sock.sendmsg(self.circuit.send(*commands))

    def recv(self) -> deque[Any]:
        commands, _ = self.circuit.recv(self.sock.recv(4096))
        for command in commands:
            self.circuit.process_command(command)
        return commands

    def hear(self, kind: type) -> Any:
        """Receive until a command of this kind comes; real servers send in as many pieces as they like."""
        while True:
            for command in self.recv():
                if isinstance(command, kind):
                    return command


@pytest.fixture
def hand(served: tuple[str, int], udp: socket.socket) -> Iterator[Hand]:
    made = Hand(find(udp, *served))
    with made.sock:
        yield made


def find(udp: socket.socket, name: str, port: int) -> tuple[str, int]:
    broadcaster = caclient.Broadcaster(our_role=caclient.CLIENT)
    version, search = caclient.VersionRequest(0, VERSION), caclient.SearchRequest(name=name, cid=0, version=VERSION)
    datagram = broadcaster.send(version, search)
    assert datagram[:16] == bytes([0, 0, 0, 0, 0, 0, 0, VERSION]) + bytes(8)
    assert name.encode() in datagram
    udp.sendto(datagram, ("127.0.0.1", port))
    commands = broadcaster.recv(*udp.recvfrom(1024))
    broadcaster.process_commands(commands)
    answered, found = commands
    assert (type(answered), answered.version) == (caclient.VersionResponse, VERSION)
    assert (type(found), found.cid) == (caclient.SearchResponse, 0)
    address = caclient.extract_address(found)
    assert address == ("127.0.0.1", found.port)
    return address


def test_register_with_a_repeater_in_bytes_and_in_commands(udp: socket.socket) -> None:
    port, register = free_port(), b"\x00\x18" + bytes(14)
    with Repeater(port) as repeater:
        udp.sendto(register, ("127.0.0.1", port))
        repeater.receive()
        assert udp.recvfrom(1024)[0] == b"\x00\x11" + bytes(10) + b"\x7f\x00\x00\x01"

        broadcaster = caclient.Broadcaster(our_role=caclient.CLIENT)
        assert broadcaster.send(caclient.RepeaterRegisterRequest("")) == register
        udp.sendto(register, ("127.0.0.1", port))
        repeater.receive()
        commands = broadcaster.recv(*udp.recvfrom(1024))
        broadcaster.process_commands(commands)
        assert commands == [caclient.RepeaterConfirmResponse("127.0.0.1")]


def test_addresses_to_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "10.1.2.3 10.1.2.4")
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "NO")
    assert caclient.get_address_list() == ["10.1.2.3", "10.1.2.4"]


def test_the_long_way(hand: Hand, served: tuple[str, int]) -> None:
    name, cid = served[0], 1
    hand.send(caclient.VersionRequest(priority=0, version=VERSION))
    assert hand.hear(caclient.VersionResponse).version == VERSION
    hand.send(caclient.HostNameRequest("localhost"))
    hand.send(caclient.ClientNameRequest("user"))
    hand.send(caclient.CreateChanRequest(name=name, cid=cid, version=VERSION))
    created = hand.hear(caclient.CreateChanResponse)
    assert (created.data_type, created.data_count, created.cid) == (caclient.ChannelType.DOUBLE, 1, cid)
    assert repr(created.data_type) == "<ChannelType.DOUBLE: 6>"
    sid, shape = created.sid, {"data_type": created.data_type, "data_count": created.data_count}
    channel = hand.circuit.channels[cid]
    assert channel.access_rights == caclient.AccessRights.READ | caclient.AccessRights.WRITE

    hand.send(caclient.ReadNotifyRequest(**shape, sid=sid, ioid=1))
    answer = hand.hear(caclient.ReadNotifyResponse)
    assert (answer.data.tolist(), answer.ioid, answer.metadata, answer.status.name) == ([3.0], 1, None, "ECA_NORMAL")

    hand.send(caclient.WriteNotifyRequest(data=(4,), **shape, sid=sid, ioid=2))
    answer = hand.hear(caclient.WriteNotifyResponse)
    assert (answer.ioid, answer.status.success) == (2, 1)

    asked = caclient.EventAddRequest(**shape, sid=sid, subscriptionid=0, low=0, high=0, to=0, mask=1)
    hand.send(asked)
    update = hand.hear(caclient.EventAddResponse)
    assert (update.data.tolist(), update.subscriptionid) == ([4.0], 0)
    hand.send(
        caclient.EventCancelRequest(data_type=asked.data_type, sid=asked.sid, subscriptionid=asked.subscriptionid)
    )
    assert hand.hear(caclient.EventCancelResponse).subscriptionid == 0

    hand.send(caclient.WriteNotifyRequest(data=(3.0,), **shape, sid=sid, ioid=3))
    hand.hear(caclient.WriteNotifyResponse)
    hand.send(caclient.ClearChannelRequest(sid, cid))
    cleared = hand.hear(caclient.ClearChannelResponse)
    assert (cleared.sid, cleared.cid) == (sid, cid)


def test_the_short_way(hand: Hand, served: tuple[str, int]) -> None:
    channel = caclient.ClientChannel(served[0], hand.circuit)
    hand.send(caclient.VersionRequest(priority=0, version=VERSION))
    hand.send(channel.host_name("localhost"), channel.client_name("user"), channel.create())
    hand.hear(caclient.CreateChanResponse)
    assert channel.native_data_type == caclient.ChannelType.DOUBLE
    hand.send(channel.read())
    assert hand.hear(caclient.ReadNotifyResponse).data.tolist() == [3.0]
    hand.send(channel.write((3.0,), notify=True))
    hand.hear(caclient.WriteNotifyResponse)
    asked = channel.subscribe()
    hand.send(asked)
    assert hand.hear(caclient.EventAddResponse).data.tolist() == [3.0]
    hand.send(channel.unsubscribe(asked.subscriptionid))
    hand.hear(caclient.EventCancelResponse)
    hand.send(channel.clear())
    hand.hear(caclient.ClearChannelResponse)


def test_rules_are_rules(hand: Hand, served: tuple[str, int]) -> None:
    broadcaster = caclient.Broadcaster(our_role=caclient.CLIENT)
    with pytest.raises(caclient.LocalProtocolError):
        broadcaster.send(caclient.SearchRequest(name=served[0], cid=0, version=VERSION))
    with pytest.raises(caclient.LocalProtocolError):
        hand.send(caclient.ReadNotifyRequest(data_type=6, data_count=1, sid=1, ioid=1))
    with pytest.raises(caclient.LocalProtocolError):
        hand.circuit.send(caclient.VersionResponse(VERSION))
