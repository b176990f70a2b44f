"""A circuit against a server's socket: opening, flow control, the end."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from types import SimpleNamespace

import pytest

from caclient.engine import circuit as circuit_module, creations as creations_module
from caclient.engine.circuit import Circuit, State
from caclient.errors import DisconnectedError, RemoteProtocolError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.commands import (
    AccessRightsResponse,
    ClearChannelRequest,
    CreateChanRequest,
    CreateChanResponse,
    EchoRequest,
    EchoResponse,
    EventsOffRequest,
    EventsOnRequest,
    ReadNotifyRequest,
    VersionRequest,
    VersionResponse,
)
from tests.engine.peers import LONG, PATIENCE, Asker, Sink, get, in_thread, on_engine, settle, soon, until


def test_the_greeting_goes_first(any_poller, make, peer):
    made = make(peer.address, priority=3)
    peer.accept()
    assert peer.hear(VersionRequest).priority == 3
    assert made.rider.hears() == "open"
    assert made.circuit.state is State.OPEN
    assert made.circuit.name == f"127.0.0.1:{peer.address[1]} (priority 3)"


def test_a_refused_connection_is_told(any_poller, make, peer):
    peer.listener.close()
    made = make(peer.address)
    assert made.rider.hears() == "closed: connect failed: ECONNREFUSED"
    assert made.closed.get(timeout=PATIENCE) is made.circuit
    assert made.circuit.reason == "connect failed: ECONNREFUSED"


def test_an_address_that_cannot_be_connected_to_is_told(make, monkeypatch):
    class Unreachable(socket.socket):
        def connect_ex(self, address):
            return errno.ENETUNREACH

    monkeypatch.setattr(circuit_module, "tcp_socket", lambda patience: Unreachable())
    made = make(("203.0.113.1", 5064))
    assert made.rider.hears() == "closed: connect failed: ENETUNREACH"


def test_no_descriptor_to_be_had_is_told(make, monkeypatch):
    def fail(_patience):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(circuit_module, "tcp_socket", fail)
    made = make(("127.0.0.1", 5064))
    assert made.rider.hears() == "closed: connect failed: EMFILE"


def test_a_socket_that_cannot_be_watched_costs_its_circuit_only(make, loop, peer, monkeypatch):
    """As on Windows, whose select takes 512: the engine thread goes on for all others."""

    def full(fd, interest, handler):
        raise OSError(errno.EMFILE, "select takes no more than 512 sockets on this system")

    with monkeypatch.context() as patched:
        patched.setattr(loop.poller, "add", full)
        made = make(peer.address)
        said = "closed: connection refused by this side: select takes no more than 512 sockets on this system"
        assert made.rider.hears() == said
    other = make(peer.address)
    peer.accept()
    assert other.rider.hears() == "open"


def test_a_half_open_connection_is_the_kernels_affair_too(make, monkeypatch):
    """After a suspend, say: within the connection timeout, where the system can be told so."""
    patience = []

    def tcp_socket(seconds):
        patience.append(seconds)
        raise OSError(errno.EMFILE, "enough")

    monkeypatch.setattr(circuit_module, "tcp_socket", tcp_socket)
    made = make(("127.0.0.1", 5064), conn_timeout=17.0)
    made.rider.hears()
    assert patience == [17.0]


def test_a_channel_that_is_not_made_is_noticed_and_the_server_asked_for_a_sign_of_life(make, loop, peer, monkeypatch):
    class Asking:
        overdue = 0

        def creation_overdue(self):
            self.overdue += 1

    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    peer.say(VersionResponse(13))
    until(loop, lambda: made.circuit.bytes_in)
    asking = Asking()
    on_engine(loop, made.circuit.creations.ask_all, [asking])
    monkeypatch.setattr(creations_module, "time", SimpleNamespace(monotonic=lambda: 1e9))
    on_engine(loop, made.circuit.creations._check)
    monkeypatch.undo()
    assert asking.overdue == 1
    peer.hear(EchoRequest)
    on_engine(loop, made.circuit.probe)  # an echo is out already


def test_who_accepts_connections_and_says_nothing_is_no_server(make, loop, peer, monkeypatch):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    on_engine(loop, made.circuit.creations.ask_all, [object()])
    monkeypatch.setattr(creations_module, "time", SimpleNamespace(monotonic=lambda: 1e9))
    on_engine(loop, made.circuit.creations._check)
    monkeypatch.undo()
    assert made.rider.hears() == "closed: the server accepts connections, but said nothing for 5 s"


class Wanted:
    """Who wants a channel."""

    name = "x"
    waiting = True

    def __init__(self):
        self.cores, self.news, self.overdue = [], [], 0

    def asked_for(self, core):
        self.cores.append(core)

    def made(self, made):
        self.news.append(made)

    def creation_overdue(self):
        self.overdue += 1


def test_channels_found_together_are_asked_for_and_made_together(make, loop, peer):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    wanted = [Wanted() for _ in range(20)]
    on_engine(loop, made.circuit.create, wanted)
    assert [len(each.cores) for each in wanted] == [1] * 20
    requests = [peer.hear(CreateChanRequest) for _ in wanted]
    peer.say(
        *(
            command
            for request in requests
            for command in (
                AccessRightsResponse(request.cid, 1),
                CreateChanResponse(6, 3, request.cid, request.cid + 70),
            )
        )
    )
    until(loop, lambda: all(each.news for each in wanted))
    assert {each.news[0].owner for each in wanted} == set(wanted)
    assert wanted[0].news[0][1:] == (wanted[0].cores[0].sid, 6, 3, 1)
    assert len(made.circuit.creations) == 0


def test_one_that_fails_does_not_cost_the_others_their_channel(make, loop, peer, errors):
    class Failing(Wanted):
        def made(self, made):
            raise RuntimeError("an error of ours")

    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    wanted = [Failing(), *(Wanted() for _ in range(9))]
    on_engine(loop, made.circuit.create, wanted)
    for _ in wanted:
        peer.heard.append(peer.hear(CreateChanRequest))
    said = [
        command
        for request in peer.heard
        for command in (AccessRightsResponse(request.cid, 1), CreateChanResponse(6, 3, request.cid, request.cid + 70))
    ]
    peer.heard.clear()
    peer.say(*said)
    until(loop, lambda: all(each.news for each in wanted[1:]))
    assert [str(error) for error in errors] == ["an error of ours"]
    errors.clear()


def test_on_a_stream_that_was_found_broken_just_now_nothing_is_asked_for(make, loop, peer):
    """And nothing is an internal error: the circuit is about to end, which everybody hears."""
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    wanted = Wanted()

    def break_and_create():
        with pytest.raises(RemoteProtocolError):
            made.circuit.core.receive(b"\0\xff" + bytes(14))
        made.circuit.create([wanted])
        made.circuit.dismiss(ClearChannelRequest(1, 2))

    on_engine(loop, break_and_create)
    assert wanted.cores == []
    on_engine(loop, made.circuit.close, "a test")
    on_engine(loop, made.circuit.create, [wanted])
    assert wanted.cores == []


def test_a_connection_that_is_too_slow_is_given_up(make, loop):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        made = make(full.getsockname(), conn_timeout=0.05)
        assert made.rider.hears() == "closed: no connection within 0.05 s"
        for filler in fillers:
            filler.close()


def test_closing_while_connecting(make, loop, peer):
    made = make(peer.address)
    on_engine(loop, made.circuit.close, "not wanted")
    on_engine(loop, made.circuit.close, "twice is no error")
    told = made.rider.hears()
    assert (told if told != "open" else made.rider.hears()) == "closed: not wanted"
    with pytest.raises(DisconnectedError, match="is closed: not wanted"):
        made.circuit.post(EchoRequest())


def test_before_tcp_is_up_nothing_is_sent(loop, peer):
    circuit = Circuit(loop, peer.address, 0, 30.0, lambda _: None, lambda *_: None)
    with pytest.raises(DisconnectedError, match="is connecting"):
        circuit.post(EchoRequest())
    circuit.flush()
    circuit.abandon()
    on_engine(loop, circuit.close, "never opened")


def test_a_platform_without_poll_leads_nobody(make, peer, monkeypatch):
    monkeypatch.delattr(select, "poll")
    made = make(peer.address)
    with peer.serving():
        assert made.rider.hears() == "open"
        made.circuit.post(ClientChannel("x", made.circuit.core, cid=1, owner=Sink()).create())
        until(made.loop, lambda: made.circuit.core.channels_sid)
        asker = Asker()
        made.circuit.exchange(ReadNotifyRequest(LONG, 1, 101, 0), asker, soon())
        assert asker.reply.data[0] == 42


def test_too_many_updates_are_paused_and_resumed(up, peer, monkeypatch):
    monkeypatch.setattr(circuit_module, "_PAUSE", 0.01)
    for _ in range(2):
        up.circuit.pause_updates()
    peer.hear(EventsOffRequest)
    peer.hear(EventsOnRequest)
    up.circuit.resume_updates()
    assert up.circuit.pauses == 1
    on_engine(up.loop, up.circuit.close, "over")
    up.circuit.pause_updates()
    settle(up.loop)


def test_a_server_that_closes_is_told_and_whoever_waits_fails(any_poller, up, peer):
    result = in_thread(get, up.circuit)
    peer.hear(ReadNotifyRequest)
    peer.hang_up()
    assert "closed by the server" in str(result().wait().error)
    assert up.rider.hears() == "closed: closed by the server"
    with pytest.raises(DisconnectedError, match="closed by the server"):
        up.circuit.post(EchoRequest())
    up.circuit.lead(Asker(), soon(-1))
    up.circuit.flush()


def test_a_reset_is_told(any_poller, up, peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.sock.close()
    assert up.rider.hears() == "closed: read failed: ECONNRESET"


def test_a_breach_of_the_protocol_ends_the_circuit(any_poller, up, peer):
    peer.sock.sendall(b"\xff" * 24)
    assert up.rider.hears().startswith("closed: protocol error: received an unknown command")


def test_closing_wakes_a_leader(up, peer):
    result = in_thread(get, up.circuit)
    peer.hear(ReadNotifyRequest)
    on_engine(up.loop, up.circuit.close, "by us")
    assert "by us" in str(result().wait().error)


def test_a_circuit_that_has_ended_leaves_its_descriptors_number_alone(make, loop, peer):
    """The kernel gives the number to the next socket: a late caller of the old circuit must not touch its interest."""
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    old = made.circuit
    number = old._sock.fileno()
    on_engine(loop, old.close, "over")
    new = make(peer.address)
    assert new.circuit._sock.fileno() == number
    with contextlib.suppress(DisconnectedError):
        get(old, 0.0)
    assert new.rider.hears() == "open"


def test_a_forked_child_lets_the_socket_go(up):
    on_engine(up.loop, up.loop.poller.remove, up.circuit._sock.fileno())
    up.circuit.abandon()
    assert up.circuit._sock.fileno() == -1
    up.circuit._sock = None


# ---- errors


def test_an_error_on_the_engine_thread_closes_what_failed(up, peer, errors):
    """Else the same socket would have it called again at once, for ever."""

    def fail():
        raise RuntimeError("a bug")

    up.circuit.reader.readable = fail
    peer.say(EchoResponse())
    assert up.rider.hears() == "closed: internal error: RuntimeError('a bug')"
    assert str(errors.pop()) == "a bug"
