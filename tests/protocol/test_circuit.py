"""A whole circuit, both roles: the walk-through, runs against single commands, two peers in agreement, and rubbish."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.circuit import JOINED, VirtualCircuit
from caclient.protocol.commands import (
    CIRCUIT,
    CLIENT,
    SERVER,
    ClearChannelRequest,
    ClientNameRequest,
    Command,
    CreateChanRequest,
    CreateChanResponse,
    EchoRequest,
    EchoResponse,
    ErrorResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventCancelResponse,
    EventsOffRequest,
    HostNameRequest,
    ReadNotifyRequest,
    ReadNotifyResponse,
    SnapshotRequest,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from caclient.protocol.header import Header
from caclient.protocol.runs import ReplyRun, UpdateRun
from caclient.protocol.states import State
from tests.protocol.pair import CircuitPair, books, joined


def opened(**channel: Any) -> CircuitPair:
    """A pair with one channel of cid 1."""
    pair = CircuitPair().greet()
    pair.channel(**channel)
    return pair


# ---- the walk-through, with a server of our own behind it


def test_walk_through() -> None:
    circuit, server = VirtualCircuit(our_role=CLIENT, address=("", 55363), priority=0), VirtualCircuit(our_role=SERVER)

    def send(command: Command) -> None:
        for request in server.recv(joined(circuit.send(command)))[0]:
            server.process_command(request)

    def answered(*commands: Command) -> Any:
        received, needed = circuit.recv(joined(server.send(*commands)))
        assert needed == 0
        for command in received:
            circuit.process_command(command)
        return received

    send(VersionRequest(priority=0, version=13))
    assert repr(answered(VersionResponse(13))) == "deque([VersionResponse(version=13)])"
    send(HostNameRequest("localhost"))
    send(ClientNameRequest("user"))
    send(CreateChanRequest(name="random_walk:dt", cid=1, version=13))
    channel = server.channels[1]
    access, create = answered(channel.rights(3), channel.create(6, 1, 0))
    assert repr(create) == "CreateChanResponse(data_type=<ChannelType.DOUBLE: 6>, data_count=1, cid=1, sid=0)"
    assert access.access_rights == 3
    send(ReadNotifyRequest(data_type=create.data_type, data_count=create.data_count, sid=create.sid, ioid=1))
    assert "data=array([3.])" in repr(answered(channel.read([3.0], 1)))
    send(WriteNotifyRequest(data=(4,), data_type=6, data_count=1, sid=create.sid, ioid=2))
    assert answered(channel.write(2))[0].ioid == 2
    request = EventAddRequest(data_type=6, data_count=1, sid=0, subscriptionid=0, low=0, high=0, to=0, mask=1)
    send(request)
    assert answered(channel.subscribe([4.0], 0))[0].data.tolist() == [4.0]
    send(EventCancelRequest(data_type=request.data_type, sid=request.sid, subscriptionid=request.subscriptionid))
    assert type(answered(EventCancelResponse(6, 0, 0, 1))[0]) is EventCancelResponse
    send(ClearChannelRequest(0, 1))
    assert repr(answered(channel.clear())) == "deque([ClearChannelResponse(sid=0, cid=1)])"
    assert books(circuit) == books(server)

    chan = ClientChannel("random_walk:dt", circuit)
    for command in (chan.host_name("localhost"), chan.client_name("user"), chan.create()):
        send(command)
    assert chan.states[CLIENT] is State.AWAIT_CREATE


# ---- out


def test_first_words_are_versions() -> None:
    pair = CircuitPair()
    with pytest.raises(LocalProtocolError, match="cannot send EchoRequest: circuit is at: client SEND_VERSION"):
        pair.client.send(EchoRequest())
    with pytest.raises(RemoteProtocolError, match=r"received EchoRequest: .*legal: ErrorResponse, VersionRequest"):
        pair.server.receive(EchoRequest().to_bytes())
    pair = CircuitPair()
    assert pair.server.send(ErrorResponse(EchoRequest(), status=278))


def test_nobody_says_the_others_lines() -> None:
    pair = CircuitPair().greet()
    with pytest.raises(LocalProtocolError, match="cannot send EchoResponse: a client never does"):
        pair.client.send(EchoResponse())
    with pytest.raises(LocalProtocolError, match="cannot send EchoRequest: a server never does"):
        pair.server.send(EchoRequest())


def test_obsolete_requests_are_illegal_by_name() -> None:
    pair = CircuitPair().greet()
    with pytest.raises(LocalProtocolError, match="SnapshotRequest"):
        pair.client.send(SnapshotRequest())
    with pytest.raises(RemoteProtocolError, match="SnapshotRequest"):
        pair.server.receive(SnapshotRequest().to_bytes())


def test_an_illegal_command_changes_nothing() -> None:
    pair = opened(sid=0)
    before = books(pair.client)
    for command in (ReadNotifyRequest(6, 1, 9, 1), ReadNotifyRequest(6, 1, 0, -1), CreateChanRequest("", 7)):
        with pytest.raises(LocalProtocolError):
            pair.client.send(command)
    assert books(pair.client) == before
    assert pair.to_server(EchoRequest()) == [EchoRequest()]


def test_a_batch_is_sent_whole_or_ends_the_circuit() -> None:
    pair = opened(sid=0)
    with pytest.raises(LocalProtocolError):
        pair.client.send(ReadNotifyRequest(6, 1, 9, 1), EchoRequest())
    assert pair.client.states[CLIENT] is State.CONNECTED
    with pytest.raises(LocalProtocolError):
        pair.client.send(ReadNotifyRequest(6, 1, 0, 1), ReadNotifyRequest(6, 1, 9, 2))
    assert pair.client.states[CLIENT] is State.ERROR
    with pytest.raises(LocalProtocolError, match="legal: ErrorResponse"):
        pair.client.send(EchoRequest())


def test_small_messages_leave_in_one_buffer_large_payloads_by_themselves() -> None:
    pair = opened(sid=0, count=10_000)
    small = WriteRequest(1.0, 6, 1, 0, 1)
    large = WriteRequest(np.arange(10_000), 6, None, 0, 1)
    assert pair.client.send(small) == [small.to_bytes()]
    assert [len(b) for b in pair.client.send(large)] == [24, 80_000]
    assert [len(b) for b in pair.client.send(small, small, large, small)] == [24 + 24 + 24, 80_000, 24]
    assert [len(b) for b in pair.client.send(large, large)] == [24, 80_000, 24, 80_000]
    assert len(pair.client.send(WriteRequest(bytes(JOINED), 4, JOINED, 0, 1))) == 1


@pytest.mark.parametrize("server", [None, 8])
def test_old_and_silent_servers_get_no_long_header(server: int | None) -> None:
    pair = CircuitPair().greet(server=server)
    pair.channel(sid=0, count=100_000)
    with pytest.raises(LocalProtocolError, match="no extended header"):
        pair.client.send(WriteRequest(np.arange(10_000), 6, None, 0, 1))
    with pytest.raises(LocalProtocolError, match="no extended header"):
        pair.client.send_reads(([0], [6], [100_000]))
    assert pair.client.send_reads(([0], [6], [65534]))


def test_a_server_may_say_what_was_wrong_after_an_error() -> None:
    pair = opened(sid=0)
    bad = ReadNotifyRequest(6, 1, 77, 1)
    with pytest.raises(RemoteProtocolError):
        pair.server.receive(bad.to_bytes())
    [error] = pair.to_client(ErrorResponse(bad, status=142))
    assert error.status.name == "ECA_INTERNAL"
    with pytest.raises(LocalProtocolError):
        pair.server.send(EchoResponse())


# ---- in


def test_an_error_is_for_good() -> None:
    pair = opened()
    with pytest.raises(RemoteProtocolError, match="unknown command"):
        pair.client.receive(Header(99, 0, 0, 0, 0, 0).to_bytes())
    assert pair.client.states == {CLIENT: State.CONNECTED, SERVER: State.ERROR}
    for hear in (pair.client.receive, pair.client.recv):
        with pytest.raises(RemoteProtocolError, match="ended by an error: received an unknown command"):
            hear(EchoResponse().to_bytes())
    with pytest.raises(RemoteProtocolError, match="ended by an error"):
        pair.client.received(0)
    with pytest.raises(LocalProtocolError, match="server ERROR; legal: nothing"):
        pair.client.send(EchoRequest())


def test_recv_and_process_command_say_the_same_as_receive() -> None:
    pair = opened()
    with pytest.raises(RemoteProtocolError, match="unknown command"):
        pair.client.recv(Header(99, 0, 0, 0, 0, 0).to_bytes())
    pair = opened()
    [late], _ = pair.client.recv(ReadNotifyResponse([1], 6, 1, 1, 99).to_bytes())
    assert pair.client.process_command(late) is False
    assert pair.client.late == {"ReadNotifyResponse": 1}
    _, needed = pair.client.recv(bytes(10))
    assert needed == 6


def test_recv_tells_one_reply_to_a_cancel_from_the_updates_around_it() -> None:
    pair = opened(sid=1)
    pair.to_server(EventAddRequest(6, 0, 1, 7), EventCancelRequest(6, 1, 7))
    empty = EventAddResponse([], 6, 0, 1, 7).to_bytes()
    commands, _ = pair.client.recv(empty + empty)
    assert [type(command) for command in commands] == [EventCancelResponse, EventAddResponse]
    assert [pair.client.process_command(command) for command in commands] == [True, False]


def test_a_large_payload_is_received_where_it_stays() -> None:
    pair = opened(sid=0, count=100_000)
    request = ReadNotifyRequest(6, 0, 0, 1)
    request.owner = "who"
    pair.to_server(request)
    raw = joined(pair.server.send(ReadNotifyResponse(np.arange(100_000), 6, None, 1, 1)))
    assert pair.client.receive(raw[:100]) == []
    half = len(raw) // 2
    buffer = pair.client.receive_buffer()
    assert buffer is not None
    buffer[: half - 100] = raw[100:half]
    assert pair.client.received(half - 100) == []
    [reply] = pair.client.receive(raw[half:])
    assert reply.owner == "who"
    assert reply.data.tolist() == list(range(100_000))
    assert pair.client.receive_buffer() is None


def test_the_last_bytes_of_a_large_payload_complete_its_command() -> None:
    pair = opened(sid=0, count=100_000)
    pair.to_server(ReadNotifyRequest(6, 0, 0, 1))
    raw = joined(pair.server.send(ReadNotifyResponse(np.arange(100_000), 6, None, 1, 1)))
    pair.client.receive(raw[:100])
    buffer = pair.client.receive_buffer()
    assert buffer is not None
    buffer[:] = raw[100:]
    [reply] = pair.client.received(len(buffer))
    assert reply.ioid == 1


def test_a_payload_over_the_maximum_fails_its_request_only() -> None:
    pair = CircuitPair(max_payload=1000).greet()
    pair.channel(sid=0, count=1000)
    pair.to_server(ReadNotifyRequest(6, 0, 0, 1), EventAddRequest(6, 0, 0, 2), EventCancelRequest(6, 0, 2))
    [reply] = pair.to_client(ReadNotifyResponse(np.arange(1000), 6, None, 1, 1))
    assert reply.status.name == "ECA_TOLARGE"
    assert pair.to_client(EventAddResponse(np.arange(1000), 6, None, 1, 2)) == []
    assert pair.client.subscriptions[2].standing.client is State.AWAIT_CANCEL


# ---- the end


def test_disconnect_tells_who_still_waits_and_closes_the_books() -> None:
    pair = opened(sid=0)
    for ioid, owner in ((1, "a"), (2, "b"), (3, "a")):
        request = WriteNotifyRequest(1, 6, 1, 0, ioid)
        request.owner = owner
        pair.to_server(request)
    pair.to_server(EventAddRequest(6, 1, 0, 4))
    assert pair.client.disconnect() == ["a", "b"]
    assert pair.client.disconnect() == []
    assert books(pair.client) == ({CLIENT: State.CLOSED, SERVER: State.CLOSED}, {}, {}, {})
    assert pair.client.receive(b"whatever comes") == []
    assert pair.client.recv(b"whatever comes") == (pair.client.recv(b"")[0], 0)
    assert pair.client.received(0) == []
    with pytest.raises(LocalProtocolError, match="client CLOSED"):
        pair.client.send(EchoRequest())


# ---- bulk reads and runs


def test_bulk_reads_are_single_ones_joined() -> None:
    one, other = opened(sid=3), opened(sid=3)
    first, buffer = one.client.send_reads(([3] * 20, [20] * 20, [1] * 20), "bulk")
    single = [ReadNotifyRequest(20, 1, 3, first + i) for i in range(20)]
    assert bytes(buffer) == joined(other.client.send(*single))
    assert one.server.receive(bytes(buffer)) == single
    assert one.agree()
    replies = [ReadNotifyResponse([i], 20, 1, 1, first + i) for i in range(20)]
    [run] = one.to_client(*replies)
    assert isinstance(run, ReplyRun)
    assert (run.owner, run.ioids, len(run)) == ("bulk", list(range(first, first + 20)), 20)
    assert run.rows["value"].tolist() == [float(i) for i in range(20)]
    assert run.commands() == replies
    assert {command.owner for command in run.commands()} == {"bulk"}
    assert one.agree()


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (([9], [6], [1]), "no channel with sid 9"),
        (([3, 3], [6], [1, 70000]), "argument"),
        (([3], [-1], [1]), "cannot send reads"),
        (([3, 3], [6, 39], [1, 1]), "39 is no DBR type"),
    ],
)
def test_bulk_reads_are_policed(rows: Any, match: str) -> None:
    pair = opened(sid=3)
    with pytest.raises(LocalProtocolError, match=match):
        pair.client.send_reads(rows)
    assert pair.client.ioids == {}


def test_bulk_reads_are_a_clients_and_need_an_open_channel() -> None:
    pair = opened(sid=3)
    with pytest.raises(LocalProtocolError, match="cannot send reads: circuit is at"):
        pair.server.send_reads(([3], [6], [1]))
    with pytest.raises(LocalProtocolError, match="SEND_VERSION"):
        VirtualCircuit(CLIENT).send_reads(([3], [6], [1]))
    pair.to_server(ClearChannelRequest(3, 1))
    with pytest.raises(LocalProtocolError, match="AWAIT_CLEAR"):
        pair.client.send_reads(([3], [6], [1]))


def test_a_run_of_updates_has_its_owner() -> None:
    pair = opened(sid=0)
    request = EventAddRequest(20, 1, 0, 7)
    request.owner = "watcher"
    pair.to_server(request)
    updates = [EventAddResponse([i], 20, 1, 1, 7) for i in range(10)]
    [run] = pair.to_client(*updates)
    assert isinstance(run, UpdateRun)
    assert (run.owner, run.subscriptionid, run.data_type, len(run)) == ("watcher", 7, 20, 10)
    assert run.commands() == updates


def test_a_run_for_nobody_is_late() -> None:
    pair = opened(sid=0)
    updates = b"".join(EventAddResponse([i], 20, 1, 1, 7).to_bytes() for i in range(10))
    replies = b"".join(ReadNotifyResponse([i], 20, 1, 1, i).to_bytes() for i in range(10))
    assert pair.client.receive(updates + replies) == []
    assert pair.client.late == {"EventAddResponse": 10, "ReadNotifyResponse": 10}
    pair.to_server(EventAddRequest(20, 1, 0, 7), EventCancelRequest(20, 0, 7))
    assert pair.client.receive(updates) == []
    assert pair.client.late["EventAddResponse"] == 20


def test_a_run_that_answers_one_request_twice_goes_the_general_way() -> None:
    pair = opened(sid=0)
    first, _ = pair.client.send_reads(([0] * 10, [20] * 10, [1] * 10), "bulk")
    reply = ReadNotifyResponse([1], 20, 1, 1, first).to_bytes()
    assert [item.owner for item in pair.client.receive(reply * 10)] == ["bulk"]
    assert pair.client.late == {"ReadNotifyResponse": 9}


def test_a_run_that_answers_writes_is_the_servers_error() -> None:
    pair = opened(sid=0)
    pair.to_server(WriteNotifyRequest(1, 6, 1, 0, 5))
    with pytest.raises(RemoteProtocolError, match="AWAIT_WRITE"):
        pair.client.receive(b"".join(ReadNotifyResponse([i], 20, 1, 1, 5).to_bytes() for i in range(10)))


def test_single_requests_in_a_run_of_bulk_replies_get_single_replies() -> None:
    pair = opened(sid=0)
    first, _ = pair.client.send_reads(([0] * 20, [20] * 20, [1] * 20), "bulk")
    request = ReadNotifyRequest(20, 1, 0, first + 20)
    request.owner = "single"
    pair.client.send(request)
    replies = b"".join(ReadNotifyResponse([i], 20, 1, 1, first + i).to_bytes() for i in range(21))
    run, reply = pair.client.receive(replies)
    assert (run.owner, len(run)) == ("bulk", 20)
    assert (reply.owner, type(reply)) == ("single", ReadNotifyResponse)


def test_a_run_is_judged_by_the_circuit_too() -> None:
    with pytest.raises(RemoteProtocolError, match="SEND_VERSION"):
        VirtualCircuit(CLIENT).receive(EventAddResponse([1], 20, 1, 1, 7).to_bytes() * 10)


def test_requests_that_look_like_a_run_are_single() -> None:
    pair = opened(sid=1)
    requests = [EventAddRequest(15, 1, 1, i) for i in range(20)]
    assert pair.to_server(*requests) == requests
    with pytest.raises(RemoteProtocolError, match="in use"):
        pair.server.receive(requests[0].to_bytes() * 20)


def flattened(items: list[Any]) -> list[Command]:
    return [command for item in items for command in (item.commands() if hasattr(item, "commands") else [item])]


updates_and_replies = st.lists(
    st.tuples(st.sampled_from(["update", "reply", "odd"]), st.integers(1, 4), st.integers(1, 25)), max_size=12
)


@given(updates_and_replies)
def test_runs_and_single_commands_are_the_same(groups: list[tuple[str, int, int]]) -> None:
    fast, plain = opened(sid=0), opened(sid=0)
    wire: list[Command] = []
    for pair in (fast, plain):
        for number in (1, 2, 3):
            subscription = EventAddRequest(20, 1, 0, number)
            subscription.owner = f"s{number}"
            pair.to_server(subscription)
        pair.client.send(EventCancelRequest(20, 0, 3))
        pair.client._next_id = 100
        assert pair.client.send_reads(([0] * 60, [20] * 60, [1] * 60), "bulk")[0] == 100
    ioid = 100
    for kind, number, length in groups:
        if kind == "update":
            wire += [EventAddResponse([i], 20, 1, 1, number) for i in range(length)]
        elif kind == "reply":
            wire += [ReadNotifyResponse([i], 20, 1, 1, ioid + i) for i in range(length)]
            ioid += length
        else:
            wire += [EventAddResponse([i], 20, 1, 1, 1 + i % 4) for i in range(length)]
    raw = b"".join(command.to_bytes() for command in wire)
    heard = flattened(fast.client.receive(raw))
    told = [command for command in plain.client.recv(raw)[0] if plain.client.process_command(command)]
    assert sorted(map(repr, heard)) == sorted(map(repr, told))
    for owner in ("s1", "s2", "bulk"):
        assert [c for c in heard if c.owner == owner] == [c for c in told if c.owner == owner]
    assert fast.client.late == plain.client.late
    assert books(fast.client) == books(plain.client)


# ---- any bytes


def mangled(draw: Any) -> bytes:
    messages = draw(st.lists(st.sampled_from(SEEDS), max_size=6))
    data = bytearray(b"".join(messages))
    for at, value in draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6)):
        if at < len(data):
            data[at] = value
    return bytes(data) + draw(st.binary(max_size=20))


SEEDS = [
    command.to_bytes()
    for command in (
        VersionRequest(),
        VersionResponse(),
        EchoRequest(),
        CreateChanRequest("x", 2),
        CreateChanResponse(6, 1, 2, 4),
        ReadNotifyRequest(6, 1, 1, 1),
        ReadNotifyResponse([1], 6, 1, 1, 1),
        EventAddRequest(6, 1, 1, 1),
        EventAddResponse([], 6, 0, 1, 1),
        EventCancelRequest(6, 1, 1),
        WriteNotifyResponse(6, 1, 1, 1),
        ErrorResponse(EchoRequest()),
        ClearChannelRequest(1, 1),
    )
]
# the same with every command that there is, as empty as can be
SEEDS += [Header(number, 0, 6, 1, 1, 1).to_bytes() for role in (CLIENT, SERVER) for number in CIRCUIT[role]]


@given(st.data(), st.sampled_from([CLIENT, SERVER]), st.booleans())
@settings(max_examples=300)
def test_any_bytes_raise_nothing_but_a_protocol_error(data: Any, role: Any, stepwise: bool) -> None:
    pair = opened(sid=1)
    circuit = pair.client if role is CLIENT else pair.server
    for piece in [mangled(data.draw), mangled(data.draw)]:
        try:
            if not stepwise:
                circuit.receive(piece)
                continue
            for command in circuit.recv(piece)[0]:
                circuit.process_command(command)
                repr(command)
        except RemoteProtocolError:
            assert State.ERROR in circuit.states.values()


def test_a_million_messages_in_one_buffer_cost_bounded_time() -> None:
    pair = opened(sid=0)
    pair.to_server(EventAddRequest(20, 1, 0, 7))
    begin = time.perf_counter()
    [run] = pair.client.receive(EventAddResponse([1], 20, 1, 1, 7).to_bytes() * 1_000_000)
    assert len(run) == 1_000_000
    assert time.perf_counter() - begin < 5


# ---- two peers


class TwoPeers(RuleBasedStateMachine):
    """Random legal commands both ways, arriving when they will: once all has arrived, both books are the same."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = CircuitPair().greet()
        self.up = self.down = b""
        self.names = 0
        self.sids = 0

    def _say(self, *commands: Command) -> None:
        for command in commands:
            if command.SENDER is CLIENT:
                self.up += joined(self.pair.client.send(command))
            else:
                self.down += joined(self.pair.server.send(command))

    def _ours(self, state: State) -> list[Any]:
        return [c for c in self.pair.client.channels.values() if c.standing.client is state]

    def _theirs(self, state: State) -> list[Any]:
        return [c for c in self.pair.server.channels.values() if c.standing.server is state]

    @rule()
    def create(self) -> None:
        self.names += 1
        self._say(ClientChannel(f"pv{self.names}", self.pair.client).create())

    @precondition(lambda self: self._ours(State.CONNECTED))
    @rule(data=st.data())
    def use(self, data: Any) -> None:
        channel = data.draw(st.sampled_from(self._ours(State.CONNECTED)))
        make = data.draw(st.sampled_from([channel.read, channel.subscribe, lambda: channel.write(1), channel.clear]))
        self._say(make())

    @precondition(lambda self: self.pair.client.subscriptions)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        number = data.draw(st.sampled_from(sorted(self.pair.client.subscriptions)))
        subscription = self.pair.client.subscriptions[number]
        if EventCancelRequest in subscription.standing.moves:
            self._say(subscription.channel.unsubscribe(number))

    @precondition(lambda self: self._theirs(State.CREATING))
    @rule(data=st.data(), good=st.booleans())
    def answer_create(self, data: Any, good: bool) -> None:
        channel = data.draw(st.sampled_from(self._theirs(State.CREATING)))
        self.sids += 1
        self._say(*([channel.rights(3), channel.create(6, 1, self.sids)] if good else [channel.create_fail()]))

    @precondition(lambda self: self._theirs(State.CLEARING))
    @rule(data=st.data())
    def answer_clear(self, data: Any) -> None:
        self._say(data.draw(st.sampled_from(self._theirs(State.CLEARING))).clear())

    @precondition(lambda self: self.pair.server.channels)
    @rule(data=st.data())
    def lose_channel(self, data: Any) -> None:
        self._say(data.draw(st.sampled_from(list(self.pair.server.channels.values()))).disconnect())

    @precondition(lambda self: self.pair.server.ioids)
    @rule(data=st.data(), failing=st.booleans())
    def answer(self, data: Any, failing: bool) -> None:
        request = self.pair.server.ioids[data.draw(st.sampled_from(sorted(self.pair.server.ioids)))]
        reads = isinstance(request, ReadNotifyRequest)
        reply = ReadNotifyResponse([1], 6, 1, 1, request.ioid) if reads else WriteNotifyResponse(6, 1, 1, request.ioid)
        self._say(ErrorResponse(request) if failing else reply)

    @precondition(lambda self: self.pair.server.subscriptions)
    @rule(data=st.data(), number=st.integers(1, 20))
    def update(self, data: Any, number: int) -> None:
        subscription = data.draw(st.sampled_from(list(self.pair.server.subscriptions.values())))
        self._say(*[EventAddResponse([i], 20, 1, 1, subscription.subscriptionid) for i in range(number)])
        if subscription.standing.server is State.CANCELLING:
            self._say(subscription.channel.unsubscribe(subscription.subscriptionid))

    @rule(command=st.sampled_from([EchoRequest(), EchoResponse(), EventsOffRequest(), VersionResponse()]))
    def chat(self, command: Command) -> None:
        self._say(command)

    @rule(length=st.integers(0, 500))
    def to_server(self, length: int) -> None:
        self.pair.server.receive(self.up[:length])
        self.up = self.up[length:]

    @rule(length=st.integers(0, 500))
    def to_client(self, length: int) -> None:
        self.pair.client.receive(self.down[:length])
        self.down = self.down[length:]

    @rule()
    def settle(self) -> None:
        self.pair.server.receive(self.up)
        self.pair.client.receive(self.down)
        self.up = self.down = b""

    @invariant()
    def agree(self) -> None:
        if not self.up and not self.down:
            assert self.pair.agree()


TestTwoPeers = TwoPeers.TestCase
TestTwoPeers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_came_before_an_error_is_not_lost() -> None:
    pair = opened()
    owner = object()
    request = ReadNotifyRequest(6, 1, pair.client.channels[1].sid, pair.client.new_ioid())
    request.owner = owner
    pair.to_server(request)
    reply = ReadNotifyResponse((1.5,), 6, 1, 1, request.ioid).to_bytes()
    with pytest.raises(RemoteProtocolError) as caught:
        pair.client.receive(reply + bytes.fromhex("00630000000000000000000000000000"))
    assert [item.owner for item in caught.value.heard] == [owner]


@pytest.mark.parametrize(
    ("wire", "what"),
    [
        (b"\0\x63" + bytes(14), "received an unknown command: Header(command=99, "),
        (VersionRequest(100, 13).to_bytes(), "received VersionRequest: priority 100 is above 99"),
    ],
    ids=["unknown", "illegal value"],
)
def test_what_is_wrong_in_any_state_tells_the_state_all_the_same(wire: bytes, what: str) -> None:
    pair = CircuitPair()
    for circuit in (pair.server, VirtualCircuit(SERVER)):
        with pytest.raises(RemoteProtocolError) as caught:
            circuit.receive(wire) if circuit is pair.server else circuit.process_command(circuit.recv(wire)[0][0])
        assert str(caught.value).startswith(what)
        assert "; circuit is at: client SEND_VERSION, server SEND_VERSION; legal: VersionRequest" in str(caught.value)


def test_a_circuit_tells_how_much_of_a_message_is_missing() -> None:
    pair = CircuitPair().greet()
    assert pair.client.missing == 0
    pair.client.receive(bytes(3))
    assert pair.client.missing == 13
