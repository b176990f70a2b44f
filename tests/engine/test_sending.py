"""The way down: one door, gathering, slow and failing servers, Ctrl-C, and who is inside already."""

from __future__ import annotations

import contextlib
import errno
import gc
import signal
import socket
import threading

import numpy as np
import pytest

from caclient.engine import outbox, sending as sending_module
from caclient.engine.circuit import State
from caclient.engine.sending import LATER
from caclient.errors import CATimeoutError, DisconnectedError, LocalProtocolError, ReentrantError
from caclient.protocol.commands import (
    EchoRequest,
    EchoResponse,
    ReadNotifyRequest,
    ReadNotifyResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from tests.engine.peers import (
    CHAR,
    LONG,
    MIB,
    NORMAL,
    Asker,
    in_thread,
    on_engine,
    read,
    settle,
    soon,
    until,
    usable,
)
from tests.striking import each_strike


def test_puts_that_follow_closely_leave_together_and_in_order(any_poller, up, peer):
    for number in range(3000):
        up.circuit.post(WriteRequest(number, LONG, 1, 7, 1))
    assert [peer.hear(WriteRequest).data[0] for _ in range(3000)] == list(range(3000))


def test_a_put_is_gathered_only_for_a_moment(up, peer, monkeypatch):
    """Nothing else happens, but a gathered put leaves all the same."""
    monkeypatch.setattr(outbox, "GATHER", 0.05)
    monkeypatch.setattr(sending_module, "GATHER", 0.05)
    up.circuit.post(WriteRequest(0, LONG, 1, 7, 1))
    up.circuit.post(WriteRequest(1, LONG, 1, 7, 1))
    assert [peer.hear(WriteRequest).data[0] for _ in range(2)] == [0, 1]
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
        with made.circuit.sending() as core:
            core.send(WriteRequest(number, CHAR, 1, 7, 1))
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


def test_a_server_that_takes_little_by_little_stays_in_use(make, peer, loop):
    made = make(peer.address, conn_timeout=0.2)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=MIB)
    stuff(made.circuit)
    never = threading.Event()
    for _ in range(8):
        peer.sock.recv(MIB, socket.MSG_WAITALL)
        never.wait(0.05)
    assert made.circuit.state is State.OPEN


def test_a_failing_write_ends_the_circuit(up):
    def broken(_data):
        raise OSError(errno.EPIPE, "Broken pipe")

    up.circuit._outbox.connect(broken)  # no socket can be made to fail so, and then read on
    up.circuit.post(EchoRequest())
    assert up.rider.hears() == "closed: write failed: EPIPE"
    assert up.circuit.engine_lag == up.loop.lag


# ---- who is inside already


def test_what_is_said_inside_the_door_leaves_when_it_closes(up, peer):
    circuit, asker = up.circuit, Asker()
    with circuit.sending() as core:
        core.send(WriteRequest(1, LONG, 1, 7, 1))
        circuit.post(WriteRequest(2, LONG, 1, 7, 1))
        circuit.ask(read(), asker)
        with circuit.sending(LATER) as nested:
            nested.send(WriteRequest(3, LONG, 1, 7, 1))
        circuit.flush()
        assert circuit.bytes_out == up.sent, "nothing leaves while somebody is inside"
        assert asker.ioid == -1
    assert [peer.hear(WriteRequest).data[0] for _ in range(2)] == [1, 2]
    request = peer.hear(ReadNotifyRequest)
    assert request.ioid == asker.ioid
    assert peer.hear(WriteRequest).data[0] == 3
    peer.say(ReadNotifyResponse(5, LONG, 1, NORMAL, request.ioid))
    assert asker.wait().reply.data[0] == 5


def test_what_could_not_be_said_is_told_outside(up, errors):
    """The core forbids it, which the handler cannot be told any more."""
    circuit, asker = up.circuit, Asker()
    asker.fail = lambda error: (setattr(asker, "error", error), setattr(asker, "inside", circuit.nested))
    with circuit.sending():
        circuit.ask(ReadNotifyRequest(LONG, 1, 99, 0), asker)
        circuit.post(WriteRequest(1, LONG, 1, 99, 1))
    assert isinstance(asker.error, LocalProtocolError)
    assert not asker.inside
    assert "no channel has sid 99" in str(errors.pop())


class Finalized:
    """A device whose end stops its motor; it is in a cycle, so the garbage collector finds it, whenever that runs."""

    def __init__(self, circuit):
        self.circuit = circuit
        self.me = self

    def __del__(self):
        self.circuit.post(WriteRequest(0, LONG, 1, 7, 1))


def test_a_finalizer_that_puts_while_its_thread_is_inside(up, peer):
    Finalized(up.circuit)
    with up.circuit.sending() as core:
        gc.collect()
        core.send(WriteRequest(1, LONG, 1, 7, 1))
    assert [peer.hear(WriteRequest).data[0] for _ in range(2)] == [1, 0]


def test_a_finalizer_that_puts_while_what_came_is_decoded(up, peer, monkeypatch):
    Finalized(up.circuit)
    receive = up.circuit.core.receive
    monkeypatch.setattr(up.circuit.core, "receive", lambda data: (gc.collect(), receive(data))[1])
    peer.say(EchoResponse())
    assert peer.hear(WriteRequest).data[0] == 0


@pytest.mark.parametrize("way", ["exchange", "lead", "ask_all"])
def test_who_would_wait_inside_the_door_is_told(up, way):
    circuit = up.circuit
    calls = {
        "exchange": lambda: circuit.exchange(read(), Asker(), soon()),
        "lead": lambda: circuit.lead(Asker(), soon()),
        "ask_all": lambda: circuit.ask_all(([7], [LONG], [1]), Asker()),
    }
    with circuit.sending(), pytest.raises(ReentrantError, match="has interrupted caclient halfway"):
        calls[way]()
    assert circuit.core.ioids == {}


def test_what_is_forgotten_is_all_of_one_owner(up, peer):
    mine, other = Asker(), Asker()
    up.circuit.ask_all(([7] * 3, [LONG] * 3, [1] * 3), mine)
    up.circuit.ask(read(), other, LATER)
    up.circuit.forget_all(mine)
    assert list(up.circuit.core.ioids) == [other.ioid]


# ---- signals


def press(call):
    """A call in which Ctrl-C is pressed."""

    def pressing(*args):
        signal.raise_signal(signal.SIGINT)
        return call(*args)

    return pressing


@pytest.mark.parametrize("point", ["core.send", "_outbox.write", "_outbox.put"])
@pytest.mark.parametrize("way", ["post", "ask", "flush"])
def test_ctrl_c_in_the_door_comes_when_it_is_closed(up, peer, monkeypatch, python_handles_signals, point, way):
    """What was accepted is in the books and in the outbox, or in neither."""
    circuit = up.circuit
    where, name = (circuit.core if point.startswith("core") else outbox.Outbox), point.split(".")[1]
    call = getattr(where, name)
    monkeypatch.setattr(where, name, press(call) if where is circuit.core else lambda *args: press(call)(*args))
    calls = {
        "post": lambda: circuit.post(WriteRequest(1, LONG, 1, 7, 1)),
        "ask": lambda: circuit.ask(WriteNotifyRequest(1, LONG, 1, 7, 0), Asker()),
        "flush": lambda: (circuit.ask(WriteNotifyRequest(1, LONG, 1, 7, 0), Asker(), LATER), circuit.flush()),
    }
    with pytest.raises(KeyboardInterrupt):
        calls[way]()
    monkeypatch.undo()
    circuit.flush()
    assert peer.hear(WriteRequest if way == "post" else WriteNotifyRequest).data[0] == 1
    assert not circuit.nested
    assert circuit.up


@pytest.mark.parametrize("count", [1, 5000], ids=["in one buffer", "in two"])
def test_ctrl_c_in_a_put_that_joins_others_leaves_it_whole_or_out(up, peer, monkeypatch, python_handles_signals, count):
    """At each place in turn. Ctrl-C is not held there: what leaves behind the others is all of it, or nothing."""
    monkeypatch.setattr(outbox, "GATHER", 60.0)
    monkeypatch.setattr(sending_module, "GATHER", 60.0)
    circuit = up.circuit
    for number, strike in enumerate(each_strike(watched="caclient/")):
        circuit.post(WriteRequest(-1, LONG, 1, 7, 1))  # somebody is to write it, in a minute
        try:
            with strike:
                circuit.post(WriteRequest(np.full(count, number), LONG, count, 7, 1))
        except KeyboardInterrupt:
            pass
        assert not circuit.nested, strike.where
        circuit.post(WriteRequest(-2, LONG, 1, 7, 1))
        circuit.flush()
        assert circuit.pending == 0, strike.where
        heard = [peer.hear(WriteRequest).data]
        while heard[-1][0] != -2:
            heard.append(peer.hear(WriteRequest).data)
        told = [data for data in heard if data[0] >= 0]
        assert [(len(data), set(data)) for data in told] in ([], [(count, {number})]), strike.where
    assert number > 20
    assert circuit.up


def test_another_signals_handler_that_raises_in_there_leaves_it_usable_or_closed(serving, python_handles_signals):
    """At each place in turn. It may cost the connection, but nobody waits for a lock that is never given back."""

    def fail(*_):
        raise TimeoutError("alarm")

    signal.signal(signal.SIGUSR1, fail)
    closed, circuit = 0, None
    for strike in each_strike(signum=signal.SIGUSR1, watched="caclient/engine/"):
        circuit = circuit or serving()
        with contextlib.suppress(TimeoutError), strike:
            circuit.post(WriteRequest(1, LONG, 1, 101, 1))
        assert not circuit.nested, strike.where
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, strike.where
        if not usable(circuit, strike.where):
            closed += 1
            circuit = None
    assert closed < 10
