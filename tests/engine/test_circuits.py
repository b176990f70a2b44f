"""A circuit against a server's socket: both pollers, slow readers, hung servers, Ctrl-C at any point."""

from __future__ import annotations

import contextlib
import errno
import queue
import select
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from caclient.engine import circuits as module, outbox
from caclient.engine.circuits import Circuit, State, wait
from caclient.engine.poller import EpollPoller
from caclient.errors import CATimeoutError, DisconnectedError, LocalProtocolError, ReentrantError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.commands import (
    EchoRequest,
    EchoResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventsOffRequest,
    EventsOnRequest,
    ReadNotifyRequest,
    ReadNotifyResponse,
    SearchResponse,
    VersionRequest,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from tests.engine.peers import LONG, NORMAL, PATIENCE, Asker, Peer, Rider, Sink, on_engine, settle, until

CHAR = 4
MIB = 1 << 20


def soon(seconds=PATIENCE):
    return time.monotonic() + seconds


class Made:
    """A circuit, who lives on it, and what it told."""

    def __init__(self, loop, address, conn_timeout=30.0, priority=0, **options):
        self.loop = loop
        self.closed = queue.SimpleQueue()
        self.commands = queue.SimpleQueue()
        self.rider = Rider()
        self.circuit = Circuit(
            loop,
            address,
            priority,
            conn_timeout,
            self.closed.put,
            lambda _, command: self.commands.put(command),
            **options,
        )
        self.circuit.riders[self.rider] = None
        on_engine(loop, self.circuit.open, [VersionRequest(priority, 13)])

    def channel(self, peer, **kind):
        """A channel of cid 1 and sid 7."""
        channel = ClientChannel("x:y", self.circuit.core, cid=1, owner=Sink())
        self.circuit.send(channel.create())
        peer.make_channel(**kind)
        for _ in range(2):
            channel.owner.next()
        return channel


@pytest.fixture
def make(loop):
    made = []

    def make(address, **options):
        made.append(Made(loop, address, **options))
        return made[-1]

    yield make
    for each in made:
        on_engine(loop, each.circuit.close, "the test is over")


@pytest.fixture
def up(make, peer):
    """A circuit that is open, with a channel; the server's end is the test's."""
    made = make(peer.address)
    peer.accept()
    assert made.rider.hears() == "open"
    made.channel(peer)
    return made


def in_thread(call, *args):
    """Make a call that waits in another thread; the result waits for it and gives what it raised."""
    results = queue.SimpleQueue()

    def make():
        try:
            results.put((call(*args), None))
        except BaseException as error:
            results.put((None, error))

    thread = threading.Thread(target=make)
    thread.start()

    def result():
        value, error = results.get(timeout=3 * PATIENCE)
        thread.join()
        if error is not None:
            raise error
        return value

    return result


def read(count=1):
    return ReadNotifyRequest(LONG, count, 7, 0)


def get(circuit, seconds=PATIENCE):
    asker = Asker()
    circuit.exchange(read(), asker, soon(seconds))
    return asker


def answer(peer, value=42):
    request = peer.hear(ReadNotifyRequest)
    peer.say(ReadNotifyResponse(value, request.data_type, 1, NORMAL, request.ioid))


# ---- opening


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

    monkeypatch.setattr(module, "tcp_socket", Unreachable)
    made = make(("203.0.113.1", 5064))
    assert made.rider.hears() == "closed: connect failed: ENETUNREACH"


def test_no_descriptor_to_be_had_is_told(make, monkeypatch):
    def fail():
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, "tcp_socket", fail)
    made = make(("127.0.0.1", 5064))
    assert made.rider.hears() == "closed: connect failed: EMFILE"


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
    on_engine(loop, made.circuit._connect_too_slow)


def test_closing_while_connecting(make, loop, peer):
    made = make(peer.address)
    on_engine(loop, made.circuit.close, "not wanted")
    on_engine(loop, made.circuit.close, "twice is no error")
    told = made.rider.hears()
    assert (told if told != "open" else made.rider.hears()) == "closed: not wanted"
    with pytest.raises(DisconnectedError, match="is closed: not wanted"):
        made.circuit.send(EchoRequest())
    on_engine(loop, made.circuit._ready, 5)  # fetched in the same round


def test_before_tcp_is_up_nothing_is_sent(loop, peer):
    circuit = Circuit(loop, peer.address, 0, 30.0, lambda _: None, lambda *_: None)
    with pytest.raises(DisconnectedError, match="is connecting"):
        circuit.send(EchoRequest())
    circuit.flush()
    circuit.abandon()
    on_engine(loop, circuit.close, "never opened")


def test_a_platform_without_poll_leads_nobody(make, peer, monkeypatch):
    monkeypatch.delattr(select, "poll")
    made = make(peer.address)
    with peer.serving():
        assert made.rider.hears() == "open"
        made.circuit.send(ClientChannel("x", made.circuit.core, cid=1, owner=Sink()).create())
        until(made.loop, lambda: made.circuit.core.channels_sid)
        asker = Asker()
        made.circuit.exchange(ReadNotifyRequest(LONG, 1, 101, 0), asker, soon())
        assert asker.reply.data[0] == 42


# ---- asking


def test_a_request_is_answered(any_poller, up, peer):
    result = in_thread(get, up.circuit)
    answer(peer, 5)
    assert result().reply.data[0] == 5
    assert up.circuit.bytes_in and up.circuit.bytes_out
    assert up.circuit._can_lead is (any_poller is EpollPoller)


def test_a_request_that_is_not_answered_waits_until_the_deadline(any_poller, up, peer):
    asker = get(up.circuit, 0.15)  # longer than a caller reads by himself
    assert not asker.done
    up.circuit.forget(asker.ioid)
    answer(peer)
    result = in_thread(get, up.circuit)
    answer(peer, 6)
    assert result().reply.data[0] == 6
    assert up.circuit.core.late == {"ReadNotifyResponse": 1}


def test_a_deadline_in_the_past_waits_for_nothing(up):
    assert not get(up.circuit, -1.0).done
    wait(Asker(), 0.0)


def test_what_was_asked_before_is_waited_for(any_poller, up, peer):
    asker = Asker()
    up.circuit.ask(WriteNotifyRequest(3, LONG, 1, 7, 0), asker)
    request = peer.hear(WriteNotifyRequest)
    result = in_thread(up.circuit.lead, asker, soon())
    peer.say(WriteNotifyResponse(LONG, 1, NORMAL, request.ioid))
    result()
    assert asker.reply.ioid == request.ioid == asker.ioid
    up.circuit.lead(asker, soon())  # done already
    wait(asker, soon())


def test_many_threads_get_their_own_answers(any_poller, make, peer):
    """Whoever leads hands out what is the others'; values tell if one got another's."""
    made = make(peer.address)

    def echo(command):
        if type(command) is ReadNotifyRequest:
            peer.say(ReadNotifyResponse(command.ioid, LONG, 1, NORMAL, command.ioid))
        else:
            Peer.answer(peer, command)

    peer.answer = echo
    with peer.serving():
        assert made.rider.hears() == "open"
        made.circuit.send(ClientChannel("x", made.circuit.core, cid=1, owner=Sink()).create())
        until(made.loop, lambda: made.circuit.core.channels_sid)

        def many():
            for _ in range(200):
                asker = Asker()
                made.circuit.exchange(ReadNotifyRequest(LONG, 1, 101, 0), asker, soon())
                assert asker.reply.data[0] == asker.ioid

        results = [in_thread(many) for _ in range(8)]
        for result in results:
            result()
    assert made.circuit.core.ioids == {}


def test_bulk_reads_leave_as_one(any_poller, up, peer):
    asker = Asker()
    first = up.circuit.send_reads([7] * 3, [LONG] * 3, [1] * 3, asker)
    for number in range(3):
        assert peer.hear(ReadNotifyRequest).ioid == first + number
    peer.say(ReadNotifyResponse(1, LONG, 1, NORMAL, first))
    assert asker.wait().reply.data[0] == 1


def test_what_the_core_forbids_leaves_the_circuit_usable(up, peer):
    with pytest.raises(LocalProtocolError):
        up.circuit.send_reads([99], [LONG], [1], Asker())
    with pytest.raises(LocalProtocolError):
        up.circuit.ask(ReadNotifyRequest(LONG, 1, 99, 0), Asker())
    result = in_thread(get, up.circuit)
    answer(peer)
    assert result().done


# ---- subscribing, and what has no owner


def test_updates_go_to_who_asked(any_poller, up, peer, loop):
    sink = Sink()
    channel = up.circuit.core.channels[1]
    number = on_engine(loop, up.circuit.subscribe, channel, LONG, 1, 5, sink)
    up.circuit.flush()
    request = peer.hear(EventAddRequest)
    assert (request.subscriptionid, request.mask) == (number, 5)
    peer.say(EventAddResponse(8, LONG, 1, NORMAL, number))
    assert sink.next().data[0] == 8
    up.circuit.enqueue(channel.unsubscribe(number))
    up.circuit.flush()
    assert peer.hear(EventCancelRequest).subscriptionid == number


def test_a_leader_hands_out_what_has_no_owner_by_the_engine_thread(up, peer):
    while not up.commands.empty():
        up.commands.get()
    result = in_thread(get, up.circuit)
    request = peer.hear(ReadNotifyRequest)
    peer.say(SearchResponse(5064, "10.0.0.1", 77))
    assert up.commands.get(timeout=PATIENCE).cid == 77
    peer.say(ReadNotifyResponse(1, LONG, 1, NORMAL, request.ioid))
    assert result().done
    on_engine(up.loop, up.circuit.close, "over")
    on_engine(up.loop, up.circuit._unowned, SearchResponse(5064, "10.0.0.1", 78))
    assert up.commands.empty()


def test_a_value_that_its_owner_cannot_take_concerns_nobody_else(up, peer, loop, errors):
    class Picky(Asker):
        def receive(self, command):
            raise ValueError("cannot be decoded")

    class PickySink(Sink):
        def receive(self, item):
            raise ValueError("no such update")

    number = on_engine(loop, up.circuit.subscribe, up.circuit.core.channels[1], LONG, 1, 5, PickySink())
    asker = Picky()
    up.circuit.ask(read(), asker)
    first = peer.hear(ReadNotifyRequest).ioid
    result = in_thread(get, up.circuit)
    second = peer.hear(ReadNotifyRequest).ioid
    peer.say(
        EventAddResponse(8, LONG, 1, NORMAL, number),
        ReadNotifyResponse(1, LONG, 1, NORMAL, first),
        ReadNotifyResponse(2, LONG, 1, NORMAL, second),
    )
    assert result().reply.data[0] == 2
    assert str(asker.wait().error) == "cannot be decoded"
    assert str(errors.pop()) == "no such update"
    assert up.circuit.state is State.OPEN


def test_too_many_updates_are_paused_and_resumed(up, peer, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    for _ in range(2):
        up.circuit.pause_updates()
    peer.hear(EventsOffRequest)
    peer.hear(EventsOnRequest)
    up.circuit.resume_updates()
    assert up.circuit.pauses == 1
    on_engine(up.loop, up.circuit.close, "over")
    up.circuit.pause_updates()
    settle(up.loop)


# ---- writing


def test_puts_that_follow_closely_leave_together_and_in_order(any_poller, up, peer):
    for number in range(3000):
        up.circuit.post(WriteRequest(number, LONG, 1, 7, 1))
    assert [peer.hear(WriteRequest).data[0] for _ in range(3000)] == list(range(3000))


def test_a_put_is_gathered_only_for_a_moment(up, peer, monkeypatch):
    """Nothing else happens, but a gathered put leaves all the same."""
    monkeypatch.setattr(outbox, "GATHER", 0.05)
    monkeypatch.setattr(module, "GATHER", 0.05)
    up.circuit._outbox.written_at = time.monotonic()
    up.circuit.post(WriteRequest(1, LONG, 1, 7, 1))
    assert peer.hear(WriteRequest).data[0] == 1
    monkeypatch.setattr(outbox, "GATHER", 0.0)
    up.circuit.post(WriteRequest(2, LONG, 1, 7, 1))
    assert peer.hear(WriteRequest).data[0] == 2


def test_a_large_put_to_a_slow_reader_arrives_whole_and_what_follows_behind_it(any_poller, make, peer):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=64 * MIB)
    data = np.arange(64 * MIB, dtype=np.uint8)
    asker = Asker()
    made.circuit.ask(WriteNotifyRequest(data, CHAR, len(data), 7, 0), asker)
    for number in range(100):
        made.circuit.send(WriteRequest(number, CHAR, 1, 7, 1))
    assert made.circuit.pending > 32 * MIB
    received = peer.hear(WriteNotifyRequest)
    assert np.array_equal(np.frombuffer(received.payload, np.uint8), data)
    assert [peer.hear(WriteRequest).data[0] for _ in range(100)] == list(range(100))
    assert made.circuit.pending == 0
    peer.say(WriteNotifyResponse(CHAR, len(data), NORMAL, received.ioid))
    assert asker.wait().reply


def test_a_large_value_is_received_where_it_is_kept(any_poller, make, peer):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=8 * MIB)
    asker = Asker()
    result = in_thread(made.circuit.exchange, ReadNotifyRequest(CHAR, 0, 7, 0), asker, soon())
    request = peer.hear(ReadNotifyRequest)
    data = np.arange(8 * MIB, dtype=np.uint8)
    peer.say(ReadNotifyResponse(data, CHAR, len(data), NORMAL, request.ioid))
    result()
    asker.wait()
    assert np.array_equal(np.frombuffer(asker.reply.payload, np.uint8), data)
    assert not memoryview(asker.reply.payload).readonly


def stuff(circuit, size=MIB):
    """Write until the kernel takes no more, and 16 MiB wait."""
    while circuit.pending <= outbox.ROOM:
        circuit.post(WriteRequest(np.zeros(size, np.uint8), CHAR, size, 7, 1))


def test_puts_wait_for_a_server_that_takes_none_and_go_on(make, peer):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=MIB)
    stuff(made.circuit)
    with pytest.raises(CATimeoutError, match="takes no more"):
        made.circuit.post(WriteRequest(1, CHAR, 1, 7, 1), soon(-1.0))
    result = in_thread(made.circuit.post, WriteRequest(99, CHAR, 1, 7, 1), soon())
    while len(last := peer.hear(WriteRequest).payload) > 8:
        pass
    result()
    assert bytes(last)[0] == 99


def test_who_waits_for_room_hears_of_the_end(make, peer):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=MIB)
    stuff(made.circuit)
    result = in_thread(made.circuit.post, WriteRequest(1, CHAR, 1, 7, 1), soon())
    until(made.loop, lambda: made.circuit._outbox._room_wanted)
    on_engine(made.loop, made.circuit.close, "over")
    with pytest.raises(DisconnectedError, match="over"):
        result()
    settle(made.loop)


def test_a_server_that_takes_nothing_is_unresponsive_though_it_sends(make, peer, monkeypatch):
    made = make(peer.address, conn_timeout=0.1)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=MIB)
    stuff(made.circuit)
    waits = in_thread(made.circuit.post, WriteRequest(1, CHAR, 1, 7, 1), soon())
    assert made.rider.hears() == "unresponsive"
    with pytest.raises(DisconnectedError, match="unresponsive"):
        waits()
    on_engine(made.loop, made.circuit._check_progress, 0)  # nothing is new


def test_a_server_that_takes_little_by_little_stays_in_use(up):
    circuit = up.circuit
    circuit._outbox.blocked = True
    circuit._outbox.sent = 100
    on_engine(up.loop, circuit._check_progress, 50)
    assert circuit._progress.call is not None
    assert circuit.state is State.OPEN
    circuit._outbox.blocked = False
    on_engine(up.loop, circuit._check_progress, 100)
    assert circuit.state is State.OPEN


def test_a_failing_write_ends_the_circuit(up):
    def broken(_data):
        raise OSError(errno.EPIPE, "Broken pipe")

    up.circuit._outbox.connect(broken)
    up.circuit.send(EchoRequest())
    assert up.rider.hears() == "closed: write failed: EPIPE"
    on_engine(up.loop, up.circuit._want_write)
    assert up.circuit.engine_lag == up.loop.lag


# ---- the end


def test_a_server_that_closes_is_told_and_whoever_waits_fails(any_poller, up, peer):
    result = in_thread(get, up.circuit)
    peer.hear(ReadNotifyRequest)
    peer.hang_up()
    assert "closed by the server" in str(result().wait().error)
    assert up.rider.hears() == "closed: closed by the server"
    with pytest.raises(DisconnectedError, match="closed by the server"):
        up.circuit.send(EchoRequest())
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
    number = old._descriptor
    on_engine(loop, old.close, "over")
    new = make(peer.address)
    assert new.circuit._descriptor == number
    with contextlib.suppress(DisconnectedError):
        get(old, 0.0)
    assert new.rider.hears() == "open"


def test_a_forked_child_lets_the_socket_go(up):
    on_engine(up.loop, up.loop.poller.remove, up.circuit._descriptor)
    up.circuit.abandon()
    assert up.circuit._sock.fileno() == -1
    up.circuit._sock = None


# ---- liveness


@pytest.fixture
def quick(make, peer, monkeypatch):
    """A circuit that asks after 0.05 s and waits as long for the answer."""
    made = make(peer.address, conn_timeout=30.0)
    peer.accept()
    made.rider.hears()
    made.channel(peer)
    settle(made.loop)
    return made


def hurry(made, seconds=0.05):
    def change():
        made.circuit._liveness.conn_timeout = made.circuit._liveness.probe = seconds
        made.circuit._rearm()

    on_engine(made.loop, change)


def test_silence_is_answered_by_an_echo(any_poller, quick, peer):
    hurry(quick)
    for _ in range(3):
        peer.hear(EchoRequest)
        peer.say(EchoResponse())
    assert quick.circuit.state is State.OPEN
    assert quick.rider.told.empty()


def test_an_echo_not_answered_and_answered_late(quick, peer):
    asker = Asker()
    quick.circuit.ask(read(), asker)
    hurry(quick)
    assert quick.rider.hears() == "unresponsive"
    assert "echo not answered" in str(asker.wait().error)
    assert quick.circuit.state is State.UNRESPONSIVE
    with pytest.raises(DisconnectedError, match="is unresponsive"):
        quick.circuit.send(EchoRequest())
    hurry(quick, 30.0)
    peer.hear(EchoRequest)
    peer.say(EchoResponse())  # it may have lain in a buffer
    peer.hear(EchoRequest)
    peer.hear(EchoRequest)
    peer.say(EchoResponse())
    assert quick.rider.hears() == "responsive"
    assert quick.circuit.state is State.OPEN
    assert quick.circuit.round_trip > 0.0


def test_a_caller_who_reads_hears_that_the_server_hangs(quick, peer):
    """He waits at the socket, where nothing comes: somebody else has to tell him."""
    result = in_thread(get, quick.circuit, 5 * PATIENCE)
    peer.hear(ReadNotifyRequest)
    started = time.monotonic()
    hurry(quick)
    assert "unresponsive" in str(result().wait().error)
    assert time.monotonic() - started < PATIENCE


def test_a_server_that_answers_elsewhere_has_little_time_left(quick, peer):
    on_engine(quick.loop, quick.circuit.doubt_for, 0.0)  # it is in order
    hurry(quick)
    assert quick.rider.hears() == "unresponsive"
    hurry(quick, 30.0)
    on_engine(quick.loop, quick.circuit.doubt_for, 0.01)
    on_engine(quick.loop, quick.circuit.doubt_for, 0.01)
    assert quick.rider.hears() == "closed: the server answers searches, but not on its circuit"


def test_doubts_that_turn_out_wrong(up):
    on_engine(up.loop, up.circuit._give_up)
    on_engine(up.loop, up.circuit._set_unresponsive)
    on_engine(up.loop, up.circuit._set_unresponsive)
    assert up.rider.hears() == "unresponsive"
    assert up.rider.told.empty()


def test_beacons_stand_for_bytes_or_do_not(up):
    now = time.monotonic() + 5.0
    due = up.circuit._liveness.next_due()
    on_engine(up.loop, up.circuit.beacon, now, True)
    assert up.circuit._liveness.next_due() > due
    on_engine(up.loop, up.circuit.beacon, now + 1, False)
    on_engine(up.loop, up.circuit.beacon, now + 2, True)
    assert up.circuit._liveness.next_due() == now + 30.0


def test_a_timer_that_comes_too_early_is_set_again(up):
    up.circuit._timer.cancel()
    on_engine(up.loop, up.circuit._check_liveness)
    assert up.circuit._timer.call is not None
    assert up.circuit.state is State.OPEN


def test_timers_of_a_closed_circuit_do_nothing(up):
    on_engine(up.loop, up.circuit.close, "over")
    for late in (up.circuit._check_liveness, up.circuit._rearm, up.circuit._echo, up.circuit._set_unresponsive):
        on_engine(up.loop, late)
    assert up.circuit._timer.call is None
    up.circuit._timer = None
    on_engine(up.loop, up.circuit._rearm)
    assert up.circuit._timer is None


def test_an_echo_answer_nobody_asked_for_is_no_news(up, peer):
    peer.sock.sendall(b"".join(EchoResponse().header_bytes() for _ in range(2)))
    settle(up.loop)
    result = in_thread(get, up.circuit)
    answer(peer)
    assert result().done


# ---- Ctrl-C


class Striking:
    """Makes one method of a circuit, its core or its socket raise KeyboardInterrupt, before or after its work."""

    def __init__(self, method, after):
        self.method = method
        self.after = after
        self.strikes = 1

    def __call__(self, *args):
        strike, self.strikes = self.strikes, 0
        if strike and not self.after:
            raise KeyboardInterrupt
        result = self.method(*args)
        if strike:
            raise KeyboardInterrupt
        return result


def strike(monkeypatch, circuit, point, after):
    """Have a method of a circuit, of its core or of its outbox raise KeyboardInterrupt once."""
    *path, name = point.split(".")
    where = getattr(circuit, path[0]) if path else circuit
    struck = Striking(getattr(where, name), after)
    if name in ("put", "write"):
        monkeypatch.setattr(outbox.Outbox, name, lambda _box, *args: struck(*args))
    else:
        monkeypatch.setattr(where, name, struck, raising=True)


POINTS = [
    "_take_seat", "ask", "_read_for", "_leave_seat", "_begin", "_read", "_deliver", "_watch", "_check_waiting",
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_after_ctrl_c_at_any_point_the_circuit_is_in_order_or_closed(make, peer, point, after):
    """Never in between: a stream that may be torn is not gone on with, and nobody holds the seat or the lock."""
    made = make(peer.address)
    with peer.serving():
        assert made.rider.hears() == "open"
        made.circuit.send(ClientChannel("x", made.circuit.core, cid=1, owner=Sink()).create())
        until(made.loop, lambda: made.circuit.core.channels_sid)
        setattr(made.circuit, point, Striking(getattr(made.circuit, point), after))
        with pytest.raises(KeyboardInterrupt):
            made.circuit.exchange(ReadNotifyRequest(LONG, 1, 101, 0), Asker(), soon())
        assert not made.circuit._seat._is_owned()
        settle(made.loop)
        with made.circuit.lock:
            assert not made.circuit._led
        asker = Asker()
        try:
            made.circuit.exchange(ReadNotifyRequest(LONG, 1, 101, 0), asker, soon())
        except DisconnectedError as error:
            reason = str(error)
            assert made.rider.hears().startswith("closed: ")
            assert "interrupted halfway" in reason
        else:
            assert asker.reply.data[0] == 42


@pytest.mark.parametrize("way", ["exchange", "lead"])
def test_a_second_ctrl_c_while_leaving_the_seat_leaves_it_all_the_same(up, peer, way):
    """Else nobody could ever read again, and the engine thread with all its circuits would wait for the seat."""
    up.circuit._read_for = Striking(up.circuit._read_for, False)
    up.circuit._leave_seat = Striking(up.circuit._leave_seat, False)
    asker = Asker()
    with pytest.raises(KeyboardInterrupt):
        up.circuit.exchange(read(), asker, soon()) if way == "exchange" else up.circuit.lead(asker, soon())
    assert not up.circuit._seat._is_owned()
    while up.circuit.core.ioids:
        answer(peer)
        settle(up.loop)
    result = in_thread(get, up.circuit)
    answer(peer)
    assert result().done


def test_while_answers_are_handed_on_the_seat_is_left_to_the_next_caller(up, peer):
    """One of those who are about to be woken will lead: the engine thread would be woken for nothing."""
    circuit, relay = up.circuit, up.circuit._relay
    assert circuit._take_seat()
    relay.runner = object()
    circuit._leave_seat()
    assert circuit._led
    assert circuit._take_seat()
    relay.runner = None
    circuit._relay_over()
    assert circuit._led, "there is a leader, who sees to it"
    circuit._leave_seat()
    assert not circuit._led


def test_if_nobody_leads_the_last_of_a_relay_hands_back(up, peer):
    circuit, relay = up.circuit, up.circuit._relay
    assert circuit._take_seat()
    relay.runner = object()
    circuit._leave_seat()
    relay.runner = None
    circuit._relay_over()
    assert not circuit._led
    asker = Asker()
    circuit.ask(read(), asker)
    answer(peer)
    wait(asker, soon())
    assert asker.done


def test_a_relay_that_ends_while_the_leader_leaves_is_seen(up, monkeypatch):
    circuit, relay = up.circuit, up.circuit._relay
    assert circuit._take_seat()
    relay.runner = object()
    circuit._shut = True  # what is looked at between leaving and looking again
    monkeypatch.setattr(circuit, "_close_socket", lambda: setattr(relay, "runner", None))
    circuit._leave_seat()
    assert not circuit._led
    circuit._shut = False


def test_closing_never_waits_for_who_reads(up):
    """He may be stopped, and the engine thread has others to serve; he closes the socket when he leaves."""
    circuit = up.circuit
    assert circuit._take_seat()
    on_engine(up.loop, circuit.close, "over")
    assert circuit._sock.fileno() >= 0
    circuit._leave_seat()
    assert circuit._sock.fileno() == -1
    assert not circuit._take_seat()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("point", ["_begin", "core.send_reads", "_outbox.put", "_outbox.write"])
def test_ctrl_c_in_a_bulk_read_forgets_it(up, peer, monkeypatch, point, after):
    strike(monkeypatch, up.circuit, point, after)
    with pytest.raises(KeyboardInterrupt):
        up.circuit.send_reads([7], [LONG], [1], Asker())
    assert up.circuit.core.ioids == {}
    monkeypatch.undo()
    settle(up.loop)
    result = in_thread(get, up.circuit)
    answer(peer)
    if (point, after) in (("_outbox.put", True), ("_outbox.write", False), ("_outbox.write", True)):
        answer(peer)  # the first had been sent
    assert result().done


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("point", ["_begin", "core.send", "_outbox.put", "_outbox.write"])
@pytest.mark.parametrize("way", ["send", "post", "flush"])
def test_ctrl_c_in_a_write_loses_nothing_that_was_queued(up, peer, monkeypatch, point, after, way):
    put = WriteRequest(1, LONG, 1, 7, 1)
    strike(monkeypatch, up.circuit, point, after)
    if way == "flush":
        monkeypatch.undo()
        up.circuit.enqueue(put)
        strike(monkeypatch, up.circuit, "_outbox.write", after)
    with pytest.raises(KeyboardInterrupt):
        up.circuit.flush() if way == "flush" else getattr(up.circuit, way)(put)
    monkeypatch.undo()
    up.circuit.send(WriteRequest(2, LONG, 1, 7, 1))
    queued = way == "flush" or point == "_outbox.write" or (point == "_outbox.put" and after)
    assert [peer.hear(WriteRequest).data[0] for _ in range(1 + queued)] == ([1, 2] if queued else [2])
    assert up.circuit.state is State.OPEN


def test_what_an_interrupted_write_left_leaves_by_itself(up, peer, monkeypatch):
    strike(monkeypatch, up.circuit, "_outbox.write", False)
    with pytest.raises(KeyboardInterrupt):
        up.circuit.send(WriteRequest(1, LONG, 1, 7, 1))
    assert peer.hear(WriteRequest).data[0] == 1


def test_a_kernel_found_full_by_an_interrupted_write_is_asked_when_it_takes_more(up, peer):
    up.circuit.enqueue(WriteRequest(1, LONG, 1, 7, 1))
    up.circuit._outbox.blocked = True  # and then Ctrl-C: the selector thread has not been told
    up.circuit._go_on_soon()
    assert peer.hear(WriteRequest).data[0] == 1


def test_ctrl_c_before_the_flush_is_asked_for_keeps_no_put_back(up, peer, monkeypatch):
    monkeypatch.setattr(outbox, "GATHER", 1e6)
    up.circuit._outbox.written_at = time.monotonic()
    call_soon = up.loop.call_soon
    monkeypatch.setattr(up.loop, "call_soon", Striking(call_soon, False))
    with pytest.raises(KeyboardInterrupt):
        up.circuit.post(WriteRequest(5, LONG, 1, 7, 1))
    assert peer.hear(WriteRequest).data[0] == 5


def test_ctrl_c_while_handing_out_fails_those_who_were_not_reached(up, peer):
    """The core has closed its books on them; without a word they would wait for their deadlines."""

    class Interrupted(Asker):
        def receive(self, command):
            raise KeyboardInterrupt

    second = Asker()
    up.circuit._seat.acquire()  # the engine thread is kept out until both answers lie there
    first = Interrupted()
    up.circuit.ask(read(), first)
    up.circuit.ask(read(), second)
    for asker in (first, second):
        request = peer.hear(ReadNotifyRequest)
        assert request.ioid == asker.ioid
    peer.say(*(ReadNotifyResponse(1, LONG, 1, NORMAL, asker.ioid) for asker in (first, second)))
    with pytest.raises(KeyboardInterrupt):
        up.circuit.lead(first, soon())
    up.circuit._seat.release()
    assert "a read was interrupted halfway" in str(second.wait().error)
    assert up.rider.hears() == "closed: a read was interrupted halfway"


def test_nobody_reads_on_where_a_read_was_interrupted(up, peer):
    up.circuit._reading = True
    peer.say(SearchResponse(5064, "10.0.0.1", 1))
    assert up.rider.hears() == "closed: a read was interrupted halfway"


def test_a_socket_with_nothing_to_read_after_all_is_no_error(up):
    with up.circuit._seat:
        assert up.circuit._read()
    assert up.circuit.state is State.OPEN


def test_while_somebody_reads_the_engine_thread_does_not(up):
    with up.circuit._seat:
        on_engine(up.loop, up.circuit._readable)
    on_engine(up.loop, up.circuit._readable)


INTERRUPTED = """
import signal, sys, threading, random
from caclient import Context, PV
context = Context(addr_list=[sys.argv[1]], repeater_port=0)
pv = context.pv("t:ao", auto_monitor=False)
pv.get(timeout=10)
main = threading.get_ident()
caught, left = 0, 200
pacer = random.Random(1)
while left:
    left -= 1
    timer = threading.Timer(pacer.random() * 0.004, signal.pthread_kill, (main, signal.SIGINT))
    try:
        timer.start()
        while True:
            pv.get(timeout=10)
    except KeyboardInterrupt:
        caught += 1
    timer.join()
pv.get(timeout=10)
print(caught, threading.active_count())
context.close()
"""


@pytest.mark.interop
def test_two_hundred_ctrl_c_in_a_loop_of_gets(softioc):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, softioc.address], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "200"


# ---- those who follow


def test_what_is_asked_while_followers_are_woken_leaves_with_what_they_ask(up, peer):
    circuit = up.circuit
    circuit._relay.runner, circuit.heard_at = object(), time.monotonic()
    circuit.ask(read(), Asker())
    assert circuit.pending == 16
    circuit.heard_at -= 1  # whoever is to be woken takes too long
    circuit.ask(read(), Asker())
    assert circuit.pending == 0
    assert {peer.hear(ReadNotifyRequest).ioid for _ in range(2)} == set(circuit.core.ioids)


def test_ctrl_c_on_a_follower_leaves_the_others_their_answers(up, peer, monkeypatch):
    circuit = up.circuit
    circuit._can_lead = False  # the engine thread reads, and everyone follows
    other = in_thread(get, circuit)
    peer.hear(ReadNotifyRequest)

    def strike(asker, deadline):
        if threading.current_thread() is not threading.main_thread():
            return wait(asker, deadline)
        (ioid,) = set(circuit.core.ioids) - {asker.ioid}
        circuit._relay.runner = asker  # woken to wake the other, whose answer is there
        circuit._relay._waiting.append(ReadNotifyResponse(42, LONG, 1, NORMAL, ioid))
        circuit._relay._waiting[0].owner = circuit.core.forget(ioid)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "wait", strike)
    with pytest.raises(KeyboardInterrupt):
        circuit.exchange(read(), Asker(), soon())
    assert other().reply.data[0] == 42
    assert circuit._relay._followers == set()


def test_an_answer_that_others_see_too_is_not_overtaken_by_updates(up, peer, loop):
    """A monitor takes it as well: handed on later, its value would go back in time."""
    circuit = up.circuit
    circuit._can_lead = False
    order = []

    class Shared(Asker):
        follows = False

        def receive(self, command):
            order.append("answer")
            super().receive(command)

    class Watch(Sink):
        def receive(self, item):
            order.append("update")
            super().receive(item)

    number = on_engine(loop, circuit.subscribe, circuit.core.channels[1], LONG, 1, 5, sink := Watch())
    circuit.flush()
    shared = Shared()
    results = [in_thread(get, circuit), in_thread(circuit.exchange, read(), shared, soon())]
    first, second = (peer.hear(ReadNotifyRequest).ioid for _ in range(2))
    peer.say(
        ReadNotifyResponse(1, LONG, 1, NORMAL, second if first == shared.ioid else first),
        ReadNotifyResponse(1, LONG, 1, NORMAL, shared.ioid),
        EventAddResponse(2, LONG, 1, NORMAL, number),
    )
    sink.next()
    for result in results:
        result()
    assert order == ["answer", "update"]


# ---- handlers of signals that use the circuit they interrupted


def test_a_put_by_a_handler_leaves_when_the_interrupted_code_goes_on(up, peer):
    circuit = up.circuit
    with circuit.lock:
        circuit.send(WriteRequest(1, LONG, 1, 7, 1))
        circuit.post(WriteRequest(2, LONG, 1, 7, 1))
        circuit._outbox._size += 2 * outbox.ROOM
        circuit.post(WriteRequest(3, LONG, 1, 7, 1), soon(-1.0))  # it cannot wait for room
        assert circuit.pending > 0
    assert [peer.hear(WriteRequest).data[0] for _ in range(3)] == [1, 2, 3]
    settle(up.loop)


@pytest.mark.parametrize("way", ["exchange", "lead", "ask", "send_reads"])
def test_a_handler_that_would_wait_for_what_it_interrupted_is_told(up, way):
    circuit = up.circuit
    calls = {
        "exchange": lambda: circuit.exchange(read(), Asker(), soon()),
        "lead": lambda: circuit.lead(Asker(), soon()),
        "ask": lambda: circuit.ask(read(), Asker()),
        "send_reads": lambda: circuit.send_reads([7], [LONG], [1], Asker()),
    }
    with circuit.lock, pytest.raises(ReentrantError, match="has interrupted caclient halfway"):
        calls[way]()
    assert circuit.core.ioids == {}


def test_a_handler_that_interrupted_a_read_or_the_relay_is_told(up):
    circuit = up.circuit
    with circuit._seat:
        circuit._reading = True
        with pytest.raises(ReentrantError):
            get(circuit)
        circuit._reading = False
    circuit._relay.follow(Asker())
    with circuit._relay._lock, pytest.raises(ReentrantError):
        get(circuit)


def test_what_is_forgotten_is_all_of_one_owner(up, peer):
    mine, other = Asker(), Asker()
    up.circuit.send_reads([7] * 3, [LONG] * 3, [1] * 3, mine)
    up.circuit.ask(read(), other)
    up.circuit.forget_all(mine)
    assert list(up.circuit.core.ioids) == [other.ioid]
