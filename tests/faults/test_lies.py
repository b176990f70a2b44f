"""The misbehaving server lies as told: shapes, claims, storms, silence; and forged datagrams arrive as forged."""

from __future__ import annotations

import socket

import pytest

from caclient.dbr.types import ChannelType
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.header import Header
from tests.faults import FaultServer, Forger, lies, script
from tests.ioc.wire import PATIENCE, Wire, search

READ = ca.ReadNotifyResponse(1.0, 6, 1, 1, 5)


def test_another_type_is_well_formed() -> None:
    parcel = lies.reshaped(ChannelType.STRING, None, b"abc")(script.Parcel(READ, READ.to_bytes()))
    header = Header.from_bytes(parcel.data)
    assert (header.data_type, header.data_count, header.payload_size) == (0, 1, 40)
    assert (header.parameter2, parcel.data[16:]) == (5, b"abc" + bytes(37))


def test_a_claim_goes_with_its_count() -> None:
    header = Header.from_bytes(lies.claiming()(script.Parcel(READ, READ.to_bytes())).data)
    assert (header.extended, header.payload_size, header.data_count) == (True, 0xFFFFFFF8, 0x1FFFFFFF)


def test_blocks_have_the_size_and_the_number_wanted() -> None:
    assert [len(block) for block in lies.zeros(lies.BLOCK + 8)] == [lies.BLOCK, 8]
    assert b"".join(lies.repeated([b"a", b"b"], 5)) == b"ababa"
    assert len(b"".join(lies.repeated([ca.EchoResponse()], 10_000))) == 160_000


def test_more_elements_than_asked_for() -> None:
    with FaultServer({"x": 1.5}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.reshape("read", count=3)
        wire.say(ca.ReadNotifyRequest(6, 1, sid, 1))
        assert wire.sock.recv(16) == Header(15, 24, 6, 3, 1, 1).to_bytes()


def test_a_giant_that_really_comes() -> None:
    with FaultServer({"x": 1.5}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.claim("update", 4_000_000)
        wire.say(ca.EventAddRequest(6, 1, sid, 1))
        server.wait_for(ca.EventAddRequest)
        server.stream(4_000_000 - 8)
        wanted = 24 + 4_000_000
        while wanted:
            piece = wire.sock.recv(min(wanted, 1 << 20))
            assert piece
            wanted -= len(piece)
        server.wait_until(lambda: not server.flooding)
        assert server.written > 4_000_000


def test_ignored_requests_are_as_good_as_lost() -> None:
    with FaultServer({"x": 1.5}) as server, Wire(server.tcp_port) as wire:
        server.ignore(ca.CreateChanRequest)
        wire.say(ca.CreateChanRequest("x", 7), ca.EchoRequest())
        wire.hear(ca.EchoResponse)
        server.ignore()
        assert len(server.of(ca.CreateChanRequest)) == 1
        assert wire.create("x").cid == 1
        assert server.channels == 1


def test_channel_is_taken_away_each_time() -> None:
    with FaultServer({"x": 1.5}) as server, Wire(server.tcp_port) as wire:
        server.take_away("x")
        for _ in range(3):
            created = wire.create("x")
            assert wire.hear(ca.ServerDisconnResponse).cid == created.cid
        server.leave("x")
        wire.read(wire.create("x").sid, 6)


@pytest.mark.parametrize("times", [1, 4, 1003])
def test_storm_of_rights_ends_with_all_rights(times: int) -> None:
    with FaultServer({"x": 1.5}) as server, Wire(server.tcp_port) as wire:
        wire.create("x")
        server.storm_access("x", times)
        rights = [wire.hear(ca.AccessRightsResponse).access_rights for _ in range(times)]
        assert rights[-1] == ca.AccessRights.READ | ca.AccessRights.WRITE


def test_storm_of_anything() -> None:
    with FaultServer({"x": 1.5}) as server, Wire(server.tcp_port) as wire:
        wire.create("x")
        server.storm(ca.EchoResponse(), ca.ErrorResponse(Header(999, 0, 0, 0, 0, 0)), times=2000)
        for _ in range(1000):
            wire.hear(ca.EchoResponse)
            wire.hear(ca.ErrorResponse)


def test_searchers_are_known() -> None:
    with FaultServer({"x": 1.5}) as server:
        for _ in range(2):
            search(server.address, "x")
        assert len(server.searchers) == 2


def test_forger_says_what_no_server_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim, Forger() as forger:
        victim.settimeout(PATIENCE)
        victim.bind(("127.0.0.1", 0))
        to = victim.getsockname()
        forger.search_replies(to, range(50), 4)
        heard = []
        broadcaster = Broadcaster(our_role=ca.CLIENT)
        for _ in range(2):
            datagram, source = victim.recvfrom(65536)
            assert source[0] == forger.host
            heard += broadcaster.receive(datagram, source)
        replies = [command for command in heard if isinstance(command, ca.SearchResponse)]
        assert [(reply.cid, reply.port, reply.ip) for reply in replies] == [(n, 4, "127.0.0.1") for n in range(50)]
        forger.beacons(to, 3, addresses=2)
        beacons = [Broadcaster(our_role=ca.CLIENT).receive(*victim.recvfrom(65536))[0] for _ in range(3)]
        assert [beacon.address for beacon in beacons] == ["10.0.0.0", "10.0.0.1", "10.0.0.0"]
        forger.confirm(to)
        assert isinstance(broadcaster.receive(*victim.recvfrom(65536))[0], ca.RepeaterConfirmResponse)
        forger.rubbish(to, 5)
        for _ in range(5):
            victim.recvfrom(65536)
