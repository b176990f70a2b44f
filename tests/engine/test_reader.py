"""The way up: who reads, to whom it goes, callers who lead and follow, Ctrl-C."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from caclient.engine import reader as reader_module
from caclient.engine.circuit import State
from caclient.engine.poller import EpollPoller
from caclient.engine.sending import LATER
from caclient.engine.signals import wait
from caclient.errors import LocalProtocolError, ReentrantError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.commands import (
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    ReadNotifyRequest,
    ReadNotifyResponse,
    SearchResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
)
from tests.engine.peers import (
    LONG,
    NORMAL,
    PATIENCE,
    Asker,
    Peer,
    Sink,
    answer,
    get,
    in_thread,
    on_engine,
    read,
    soon,
    subscribe,
    until,
    usable,
)
from tests.striking import PLACES, each_strike


def test_a_request_is_answered(any_poller, up, peer):
    result = in_thread(get, up.circuit)
    answer(peer, 5)
    assert result().reply.data[0] == 5
    assert up.circuit.bytes_in and up.circuit.bytes_out
    assert up.circuit.reader.can_lead is (any_poller is EpollPoller)


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
        made.circuit.post(ClientChannel("x", made.circuit.core, cid=1, owner=Sink()).create())
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
    first = up.circuit.ask_all(([7] * 3, [LONG] * 3, [1] * 3), asker)
    for number in range(3):
        assert peer.hear(ReadNotifyRequest).ioid == first + number
    peer.say(ReadNotifyResponse(1, LONG, 1, NORMAL, first))
    assert asker.wait().reply.data[0] == 1


def test_what_the_core_forbids_leaves_the_circuit_usable(up, peer):
    with pytest.raises(LocalProtocolError):
        up.circuit.ask_all(([99], [LONG], [1]), Asker())
    with pytest.raises(LocalProtocolError):
        up.circuit.ask(ReadNotifyRequest(LONG, 1, 99, 0), Asker())
    result = in_thread(get, up.circuit)
    answer(peer)
    assert result().done


def test_updates_go_to_who_asked(any_poller, up, peer, loop):
    sink = Sink()
    channel = up.circuit.core.channels[1]
    number = subscribe(up.circuit, channel, sink)
    request = peer.hear(EventAddRequest)
    assert (request.subscriptionid, request.mask) == (number, 5)
    peer.say(EventAddResponse(8, LONG, 1, NORMAL, number))
    assert sink.next().data[0] == 8
    with up.circuit.sending(LATER) as core:
        core.send(channel.unsubscribe(number))
    assert up.circuit.pending == 16
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


def test_a_value_that_its_owner_cannot_take_concerns_nobody_else(up, peer, loop, errors):
    class Picky(Asker):
        def receive(self, command):
            raise ValueError("cannot be decoded")

    class PickySink(Sink):
        def receive(self, item):
            raise ValueError("no such update")

    number = subscribe(up.circuit, up.circuit.core.channels[1], PickySink())
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


# ---- the end of a read


def test_what_was_read_is_told_to_each_once_whoever_closes(up, peer, loop):
    """The first closes the circuit while the second's answer lies there."""
    told = []

    class Counting(Asker):
        def receive(self, command):
            told.append(("answer", self))
            if len(told) == 1:
                on_engine(loop, up.circuit.close, "over")
            super().receive(command)

        def fail(self, error):
            told.append(("error", self))
            super().fail(error)

    first, second = Counting(), Counting()
    up.circuit.ask(read(), second)
    result = in_thread(up.circuit.exchange, read(), first, soon())
    ioids = [peer.hear(ReadNotifyRequest).ioid for _ in range(2)]
    assert ioids[0] == second.ioid
    peer.say(*(ReadNotifyResponse(1, LONG, 1, NORMAL, ioid) for ioid in reversed(ioids)))
    result()
    second.wait()
    assert sorted(kind for kind, asker in told) == ["answer", "error"]


def test_nobody_reads_on_where_a_read_was_interrupted(up, peer, monkeypatch):
    def fail(data):
        raise KeyboardInterrupt

    monkeypatch.setattr(up.circuit.core, "receive", fail)
    up.circuit.ask(read(), asker := Asker())
    with up.circuit.reader.seat:
        answer(peer)
        select.select([up.circuit._sock], [], [], PATIENCE)
        with pytest.raises(KeyboardInterrupt):
            up.circuit.reader.readable()
    assert "a read was interrupted halfway" in str(asker.wait().error)
    assert up.rider.hears() == "closed: a read was interrupted halfway"


def test_a_socket_with_nothing_to_read_after_all_is_no_error(up):
    assert up.circuit.reader.readable()
    assert up.circuit.state is State.OPEN


def test_while_somebody_reads_the_engine_thread_does_not(up, loop):
    with up.circuit.reader.seat:
        assert not on_engine(loop, up.circuit.reader.readable)
    assert on_engine(loop, up.circuit.reader.readable)


def test_a_leader_does_not_sleep_while_the_selector_thread_reads_what_may_be_his_answer(up, peer, monkeypatch):
    """It had seen the bytes before he came: nothing would wake him."""
    reader, receive, leave = up.circuit.reader, up.circuit.core.receive, up.circuit.reader._leave
    reading, led = threading.Event(), threading.Event()
    slept = []

    def receive_late(data):
        reading.set()
        assert led.wait(PATIENCE)
        return receive(data)

    def sleep(seconds):
        slept.append(seconds)
        return False

    def leave_and_tell(lead):
        leave(lead)
        led.set()

    up.circuit.ask(read(), asker := Asker())
    monkeypatch.setattr(up.circuit.core, "receive", receive_late)
    monkeypatch.setattr(reader, "_sleep", sleep)
    monkeypatch.setattr(reader, "_leave", leave_and_tell)
    answer(peer, 5)
    assert reading.wait(PATIENCE)
    if not reader.can_lead:
        led.set()
    up.circuit.lead(asker, soon())
    assert asker.reply.data[0] == 5
    assert slept == []


def test_the_selector_thread_leaves_to_a_leader_what_it_has_seen_before_he_came(up, peer, loop):
    """Only if he does not come back it reads in his place."""
    reader = up.circuit.reader
    up.circuit.ask(read(), asker := Asker())

    def see():
        reader._leading[0] = (0, asker)
        answer(peer)
        select.select([up.circuit._sock], [], [], PATIENCE)
        before = up.circuit.bytes_in
        reader.unled()
        return up.circuit.bytes_in == before

    assert on_engine(loop, see)
    assert asker.wait().reply.data
    assert reader._leading == {}


def test_closing_never_waits_for_who_reads(up, loop):
    """He may be stopped, and the engine thread has others to serve; the socket is closed when he leaves."""
    circuit, sock = up.circuit, up.circuit._sock
    with circuit.reader.seat:
        on_engine(loop, circuit.close, "over")
        assert sock.fileno() >= 0
    circuit.reader._close_if_free()
    assert sock.fileno() == -1


# ---- leaders


def test_updates_come_after_leaders_that_followed_one_another_closely(up, peer):
    """The selector thread was kept away from the socket for all of them, and takes it back by itself."""
    number = subscribe(up.circuit, up.circuit.core.channels[1], sink := Sink())

    def answers():
        for value in range(50):
            answer(peer, value)

    result = in_thread(answers)
    for value in range(50):
        assert get(up.circuit).reply.data[0] == value
    result()
    peer.say(EventAddResponse(8, LONG, 1, NORMAL, number))
    assert sink.next().data[0] == 8


def test_the_selector_thread_takes_over_from_a_leader_who_does_not_come_back(up, peer, python_handles_signals):
    """The handler of a signal takes its time on his thread, or a debugger has stopped it: others do not wait for it."""
    number = subscribe(up.circuit, up.circuit.core.channels[1], sink := Sink())
    inside, seen = threading.Event(), threading.Event()

    def dawdle(*_):
        inside.set()
        assert seen.wait(PATIENCE)

    signal.signal(signal.SIGUSR1, dawdle)

    def others():
        first = peer.hear(ReadNotifyRequest)
        until(up.loop, lambda: up.circuit.reader._sleeping)  # or the handler might run inside the door: see ``hold``
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        assert inside.wait(PATIENCE)
        peer.say(EventAddResponse(8, LONG, 1, NORMAL, number))
        update = sink.next().data[0]
        result = in_thread(get, up.circuit)
        answer(peer, 5)
        value = result().reply.data[0]
        seen.set()
        peer.say(ReadNotifyResponse(6, LONG, 1, NORMAL, first.ioid))
        return update, value

    result = in_thread(others)
    assert get(up.circuit).reply.data[0] == 6
    assert result() == (8, 5)


def test_the_handler_of_a_signal_reads_while_its_thread_waits_for_an_answer(up, peer, python_handles_signals):
    values = []
    signal.signal(signal.SIGUSR1, lambda *_: values.append(get(up.circuit).reply.data[0]))

    def serve():
        first = peer.hear(ReadNotifyRequest)
        until(up.loop, lambda: up.circuit.reader._sleeping)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        answer(peer, 5)
        peer.say(ReadNotifyResponse(6, LONG, 1, NORMAL, first.ioid))

    for _ in range(3):
        result = in_thread(serve)
        assert get(up.circuit).reply.data[0] == 6
        result()
    assert values == [5, 5, 5]


def test_nobody_waits_on_the_engine_thread(up, loop):
    with pytest.raises(ReentrantError):
        on_engine(loop, up.circuit.exchange, read(), Asker(), soon())
    with pytest.raises(ReentrantError):
        on_engine(loop, up.circuit.lead, Asker(), soon())


def test_a_handler_that_interrupted_a_read_or_the_relay_is_told(up):
    circuit = up.circuit
    with circuit.reader.seat, pytest.raises(ReentrantError):
        get(circuit)
    circuit.reader.relay.follow(Asker())
    with circuit.reader.relay._lock, pytest.raises(ReentrantError):
        get(circuit)


@pytest.mark.parametrize("leads", [True, False])
def test_another_signals_handler_that_raises_leaves_it_usable_or_closed(serving, loop, python_handles_signals, leads):
    """At each place of a get. It may cost the connection, but nobody is left waiting, and nothing taken."""

    def fail(*_):
        raise TimeoutError("alarm")

    signal.signal(signal.SIGUSR1, fail)
    closed, places, circuit = 0, 0, None
    for strike in each_strike(signum=signal.SIGUSR1, watched="caclient/engine/"):
        places += 1
        if circuit is None:
            circuit = serving()
            circuit.reader.can_lead = leads
        with contextlib.suppress(TimeoutError), strike:
            circuit.exchange(ReadNotifyRequest(LONG, 1, 101, 0), Asker(), soon())
        assert not circuit.nested, strike.where
        assert not circuit.reader.seat._is_owned(), strike.where
        assert circuit.reader.relay.threads == {}, strike.where
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, strike.where
        if not usable(circuit, strike.where):
            closed += 1
            circuit = None
    assert places > PLACES
    assert closed < places / 2


# ---- those who follow


def test_what_is_asked_while_followers_are_woken_leaves_with_what_they_ask(up, peer):
    circuit = up.circuit
    circuit.reader.relay.runner, circuit.heard_at = object(), time.monotonic()
    circuit.ask(read(), Asker())
    assert circuit.pending == 16
    circuit.heard_at -= 1  # whoever is to be woken takes too long
    circuit.ask(read(), Asker())
    assert circuit.pending == 0
    assert {peer.hear(ReadNotifyRequest).ioid for _ in range(2)} == set(circuit.core.ioids)


def test_ctrl_c_on_a_follower_leaves_the_others_their_answers(up, peer, monkeypatch):
    circuit = up.circuit
    circuit.reader.can_lead = False  # the engine thread reads, and everyone follows
    other = in_thread(get, circuit)
    peer.hear(ReadNotifyRequest)

    def strike(asker, deadline):
        if threading.current_thread() is not threading.main_thread():
            return wait(asker, deadline)
        (ioid,) = set(circuit.core.ioids) - {asker.ioid}
        circuit.reader.relay.runner = asker  # woken to wake the other, whose answer is there
        circuit.reader.relay._waiting.append(ReadNotifyResponse(42, LONG, 1, NORMAL, ioid))
        circuit.reader.relay._waiting[0].owner = circuit.core.forget(ioid)
        raise KeyboardInterrupt

    monkeypatch.setattr(reader_module, "wait", strike)
    with pytest.raises(KeyboardInterrupt):
        circuit.exchange(read(), Asker(), soon())
    assert other().reply.data[0] == 42
    assert circuit.reader.relay._followers == set()


def test_an_answer_that_others_see_too_is_not_overtaken_by_updates(up, peer, loop):
    """A monitor takes it as well: handed on later, its value would go back in time."""
    circuit = up.circuit
    circuit.reader.can_lead = False
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

    number = subscribe(circuit, circuit.core.channels[1], sink := Watch())
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
