"""The misbehaving server misbehaves as told: each fault is seen here by a client of a few lines."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from caclient.dbr.types import ChannelType
from caclient.errors import RemoteProtocolError
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import extract_address
from tests.faults import FaultServer, Tcp
from tests.ioc.wire import PATIENCE, Wire, search

BRIEF = 0.1
"""Seconds in which what must not come would have come."""


def hears_nothing(wire: Wire) -> bool:
    wire.sock.settimeout(BRIEF)
    try:
        return not wire.heard and wire.sock.recv(1) is None
    except TimeoutError:
        return True
    finally:
        wire.sock.settimeout(PATIENCE)


def received_before_reset(sock: socket.socket) -> bytes:
    received = b""
    try:
        while piece := sock.recv(4096):
            received += piece
    except ConnectionResetError:
        return received
    raise AssertionError("ended by FIN")


def echo(wire: Wire) -> None:
    wire.ask(ca.EchoRequest(), ca.EchoResponse)


def test_without_faults_it_behaves() -> None:
    with FaultServer({"x": 1.5, "state": Record("state", 1, enum_strings=("off", "on"))}) as server:
        _, found = search(server.address, "x")
        assert extract_address(found) == ("127.0.0.1", server.tcp_port)
        with Wire(server.tcp_port) as wire:
            sid = wire.create("x").sid
            assert wire.read(sid, 6).data.tolist() == [1.5]
            assert wire.write(sid, 2.5, 6).successful
            wire.subscribe(sid, ChannelType.TIME_DOUBLE)
            assert wire.hear(ca.EventAddResponse).data.tolist() == [2.5]
            server["x"].post(3.5)
            assert wire.hear(ca.EventAddResponse).data.tolist() == [3.5]
            assert (server.circuits, server.channels) == (1, 1)
        server.wait_until(lambda: not server.circuits)
        assert [request.name for request in server.searches] == ["x"]
        assert len(server.of(ca.ReadNotifyRequest)) == 1
        assert not server.errors


def test_delayed_reply_is_overtaken() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.delay("read", 0.05, times=1)
        began = time.monotonic()
        wire.say(ca.ReadNotifyRequest(6, 1, sid, 1), ca.ReadNotifyRequest(6, 1, sid, 2))
        assert [wire.hear(ca.ReadNotifyResponse).ioid for _ in range(2)] == [2, 1]
        assert time.monotonic() - began >= 0.05


def test_dropped_reply_never_comes() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.drop("read", skip=1)
        wire.say(*(ca.ReadNotifyRequest(6, 1, sid, ioid) for ioid in (1, 2, 3)))
        assert [wire.hear(ca.ReadNotifyResponse).ioid for _ in range(2)] == [1, 3]


def test_duplicate_reply() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.duplicate("read")
        wire.read(sid, 6)
        echo(wire)
        assert sum(wire.circuit.late.values()) == 1


@pytest.mark.parametrize("size", [1, 7, 16])
def test_split_changes_nothing_but_the_pieces(size: int) -> None:
    with FaultServer({"x": 1.0}) as server:
        server.split(size)
        with Wire(server.tcp_port) as wire:
            assert wire.read(wire.create("x").sid, ChannelType.CTRL_DOUBLE).data.tolist() == [1.0]


def test_held_replies_come_in_one_piece() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.hold()
        wire.say(*(ca.ReadNotifyRequest(6, 1, sid, ioid) for ioid in range(5)))
        server.wait_for(ca.ReadNotifyRequest, count=5)
        assert hears_nothing(wire)
        server.release()
        assert len(wire.sock.recv(4096)) == 5 * 24


def test_stalled_server_is_silent_until_it_goes_on() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        wire.subscribe(sid, 6)
        wire.hear(ca.EventAddResponse)
        server.stall()
        server["x"].post(2.0)
        wire.say(ca.EchoRequest())
        assert hears_nothing(wire)
        with pytest.raises(TimeoutError):
            _search_briefly(server)
        server.resume()
        assert wire.hear(ca.EventAddResponse).data.tolist() == [2.0]
        wire.hear(ca.EchoResponse)
        assert len(search(server.address, "x")) == 2


def _search_briefly(server: FaultServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(BRIEF)
        sock.sendto(b"".join((ca.VersionRequest().to_bytes(), ca.SearchRequest("x", 1).to_bytes())), server.address)
        sock.recv(1024)


def test_reset_right_behind_the_greeting() -> None:
    with FaultServer({"x": 1.0}) as server:
        server.reset_after(1)
        with contextlib.suppress(ConnectionResetError), Wire(server.tcp_port, greet=False) as wire:  # perhaps already
            assert len(received_before_reset(wire.sock)) == 16
        server.wait_until(lambda: not server.circuits)


@pytest.mark.parametrize("messages", [2, 3, 4])
def test_reset_at_a_message_boundary(messages: int) -> None:
    with FaultServer({"x": 1.0}) as server:
        server.reset_after(messages)
        with Wire(server.tcp_port, greet=False) as wire:
            data = b"".join(
                command.to_bytes()
                for command in (ca.VersionRequest(), ca.CreateChanRequest("x", 1), ca.ReadNotifyRequest(6, 1, 0, 1))
            )
            wire.sock.sendall(data)
            assert len(received_before_reset(wire.sock)) == [16, 32, 48, 72][messages - 1]
        server.behave()
        with Wire(server.tcp_port) as wire:
            wire.create("x")


@pytest.mark.parametrize(("then", "end"), [("reset", ConnectionResetError), ("close", None), ("stall", TimeoutError)])
def test_half_a_reply(then: str, end: type[OSError] | None) -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.half("read", then)
        wire.say(ca.ReadNotifyRequest(6, 1, sid, 1))
        assert wire.sock.recv(100) == ca.ReadNotifyResponse(1.0, 6, 1, 1, 1).to_bytes()[:12]
        wire.sock.settimeout(BRIEF)
        if end is None:
            assert wire.sock.recv(1) == b""
        else:
            with pytest.raises(end):
                wire.sock.recv(1)


def test_lies_in_the_header() -> None:
    with FaultServer({"x": 1.0}) as server:
        with Wire(server.tcp_port) as wire:
            sid = wire.create("x").sid
            server.lie("read", parameter2=4711)
            wire.say(ca.ReadNotifyRequest(6, 1, sid, 1))
            echo(wire)
            assert sum(wire.circuit.late.values()) == 1
        with Wire(server.tcp_port) as wire:
            sid = wire.create("x").sid
            server.lie("read", data_count=1000)
            assert wire.read(sid, 6).data_count == 1000
        with Wire(server.tcp_port) as wire:
            sid = wire.create("x").sid
            server.lie("read", command=999)
            with pytest.raises(RemoteProtocolError):
                wire.read(sid, 6)


def test_oversized_payload_is_announced_in_a_long_header() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.lie("read", payload_size=0xFFFFFFF0, data_count=0x1FFFFFFE)
        wire.say(ca.ReadNotifyRequest(6, 1, sid, 1))
        received = wire.sock.recv(100)
        assert received[:4] == b"\x00\x0f\xff\xff"
        assert received[16:24] == b"\xff\xff\xff\xf0\x1f\xff\xff\xfe"


def test_other_bytes() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.rewrite("read", lambda data: data[:16] + bytes(8))
        assert wire.read(sid, 6).data.tolist() == [0.0]


@pytest.mark.parametrize("version", [11, 12])
def test_old_version_takes_a_count_of_0_at_its_word(version: int) -> None:
    with FaultServer({"x": 1.0}, version=version) as server:
        assert [reply.version for reply in search(server.address, "x")] == [version, version]
        with Wire(server.tcp_port) as wire:
            assert wire.hear(ca.VersionResponse).version == version
            sid = wire.create("x").sid
            wire.say(ca.ReadNotifyRequest(6, 1, sid, 1))
            assert wire.hear(ca.ReadNotifyResponse).data_count == 1
            wire.sock.sendall(ca.ReadNotifyRequest(20, 0, sid, 2).to_bytes())
            wire.sock.sendall(ca.EventAddRequest(20, 0, sid, 3).to_bytes())
            assert wire.sock.recv(4096)[:16] == b"\x00\x0f\x00\x10\x00\x14\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02"


def test_no_version_at_all() -> None:
    with FaultServer({"x": 1.0}, version=None) as server:
        assert [reply.version for reply in search(server.address, "x")] == [13, 13]
        with Wire(server.tcp_port) as wire:
            wire.create("x")
            assert wire.circuit.version == 0


def test_refused_connection() -> None:
    with FaultServer({"x": 1.0}, tcp=Tcp.REFUSE) as server:
        assert len(search(server.address, "x")) == 2
        with pytest.raises(ConnectionRefusedError):
            Wire(server.tcp_port)


def test_silent_connection() -> None:
    with FaultServer({"x": 1.0}, tcp=Tcp.SILENT) as server, Wire(server.tcp_port) as wire:
        assert hears_nothing(wire)


def test_connection_that_never_comes_about() -> None:
    with FaultServer({"x": 1.0}, tcp=Tcp.NEVER) as server, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", server.tcp_port), BRIEF)


def test_search_names_another_port() -> None:
    with FaultServer({"x": 1.0}) as server:
        server.search_port = 4
        assert extract_address(search(server.address, "x")[1]) == ("127.0.0.1", 4)


def test_search_reply_dropped_and_repeated() -> None:
    with FaultServer({"x": 1.0}) as server:
        server.drop("search")
        with pytest.raises(TimeoutError):
            _search_briefly(server)
        assert len(search(server.address, "x")) == 2
        assert len(server.searches) == 2


def test_move_to_another_port() -> None:
    with FaultServer({"x": 1.0}) as server:
        old = server.tcp_port
        server.move()
        assert extract_address(search(server.address, "x")[1])[1] == server.tcp_port != old
        with Wire(server.tcp_port) as wire:
            wire.create("x")
        server.move(Tcp.REFUSE)
        with pytest.raises(ConnectionRefusedError):
            Wire(server.tcp_port)


def test_channel_refused_and_disconnected() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        server.refuse_channel("x")
        assert wire.ask(ca.CreateChanRequest("x", 90), ca.CreateChFailResponse).cid == 90
        server.accept_channel("x")
        channel = wire.create("x")
        server.disconnect_channel("x")
        assert wire.hear(ca.ServerDisconnResponse).cid == channel.cid
        echo(wire)


def test_access_rights_switch() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        sid = wire.create("x").sid
        server.set_access("x", "r")
        assert wire.hear(ca.AccessRightsResponse).access_rights == ca.AccessRights.READ
        assert wire.write(sid, 2.0, 6).status.name == "ECA_NOWTACCESS"


def test_flood_ends_with_the_last_value() -> None:
    with FaultServer({"x": 0.0}) as server, Wire(server.tcp_port) as wire:
        wire.subscribe(wire.create("x").sid, ChannelType.TIME_DOUBLE)
        wire.hear(ca.EventAddResponse)
        server.flood("x", 5001)
        values = [wire.hear(ca.EventAddResponse).data[0] for _ in range(5001)]
        assert values == list(range(5001))
        server.wait_until(lambda: not server.flooding)


def test_flood_pauses_when_asked() -> None:
    with FaultServer({"x": 0.0}) as server, Wire(server.tcp_port) as wire:
        wire.subscribe(wire.create("x").sid, ChannelType.TIME_DOUBLE)
        wire.hear(ca.EventAddResponse)
        wire.say(ca.EventsOffRequest())
        echo(wire)
        server.flood("x", 10)
        assert hears_nothing(wire)
        wire.say(ca.EventsOnRequest())
        assert [wire.hear(ca.EventAddResponse).data[0] for _ in range(10)] == list(range(10))


def test_nonsense_error_and_other_words() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        wire.create("x")
        server.nonsense_error()
        assert wire.hear(ca.ErrorResponse).original_request.command == 999
        server.say(ca.EchoResponse())
        wire.hear(ca.EchoResponse)
        server.say(b"\xff" * 32)
        with pytest.raises(RemoteProtocolError):
            wire.hear(ca.EchoResponse)


def test_waiting_in_vain_tells_what_came() -> None:
    with FaultServer({"x": 1.0}) as server, Wire(server.tcp_port) as wire:
        wire.create("x")
        with pytest.raises(AssertionError, match="CreateChanRequest"):
            server.wait_for(ca.EchoRequest, 0.01)


def test_restart_on_the_same_ports() -> None:
    server = FaultServer({"x": 1.0})
    with server:
        ports = server.port, server.tcp_port
        with Wire(server.tcp_port) as wire:
            wire.create("x")
            server.stop(reset=True)
            wire.hear_end()
    with server:
        assert (server.port, server.tcp_port) == ports
        with Wire(server.tcp_port) as wire:
            wire.create("x")


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind 'raed'"):
        FaultServer().drop("raed")
