"""Servers that fall silent, hang, and come back."""

from __future__ import annotations

import time

import pytest

from caclient.engine.circuit import State
from caclient.errors import DisconnectedError
from caclient.protocol.commands import (
    EchoRequest,
    EchoResponse,
    ReadNotifyRequest,
)
from tests.engine.peers import (
    PATIENCE,
    Asker,
    answer,
    get,
    in_thread,
    on_engine,
    read,
    settle,
)


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
        watch = made.circuit.watch
        watch.liveness.conn_timeout = watch.liveness.probe = seconds
        watch._rearm()

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
        quick.circuit.post(EchoRequest())
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
    for _ in range(2):
        on_engine(up.loop, up.circuit.set_unresponsive)
    assert up.rider.hears() == "unresponsive"
    on_engine(up.loop, up.circuit.set_responsive)
    assert up.rider.hears() == "responsive"
    on_engine(up.loop, up.circuit.doubt_for, 0.0)
    settle(up.loop)
    assert up.rider.told.empty()


def test_beacons_stand_for_bytes_or_do_not(up):
    now = time.monotonic() + 5.0
    due = up.circuit.watch.liveness.next_due()
    on_engine(up.loop, up.circuit.beacon, now, True)
    assert up.circuit.watch.liveness.next_due() > due
    on_engine(up.loop, up.circuit.beacon, now + 1, False)
    on_engine(up.loop, up.circuit.beacon, now + 2, True)
    assert up.circuit.watch.liveness.next_due() == now + 30.0


def test_a_timer_that_comes_too_early_is_set_again(quick, peer):
    """Bytes came meanwhile, which only store a number."""
    hurry(quick, 0.2)
    for _ in range(4):
        result = in_thread(get, quick.circuit)
        answer(peer)
        assert result().done
    peer.hear(EchoRequest)


def test_a_closed_circuit_is_watched_no_more(quick, peer):
    hurry(quick, 0.01)
    on_engine(quick.loop, quick.circuit.close, "over")
    for late in (quick.circuit.echo, quick.circuit.set_unresponsive, quick.circuit.watch.blocked):
        on_engine(quick.loop, late)
    assert quick.rider.hears() == "closed: over"
    assert quick.rider.told.empty()


def test_an_echo_answer_nobody_asked_for_is_no_news(up, peer):
    peer.sock.sendall(b"".join(EchoResponse().header_bytes() for _ in range(2)))
    settle(up.loop)
    result = in_thread(get, up.circuit)
    answer(peer)
    assert result().done
