"""The polite end of a connection: nothing accepted is lost, and nobody is waited for in vain."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest

from caclient.engine import farewell as farewell_module
from caclient.errors import DisconnectedError
from caclient.protocol.commands import (
    EventAddRequest,
    EventAddResponse,
    ReadNotifyRequest,
    WriteRequest,
)
from tests.engine.peers import CHAR, LONG, MIB, NORMAL, PATIENCE, Sink, get, in_thread, on_engine, subscribe


def finish(made, seconds=PATIENCE):
    """Finish a circuit; the result waits for its end."""
    ended = threading.Event()
    on_engine(made.loop, made.circuit.finish, "not needed", seconds, lambda _: ended.set())
    assert made.rider.hears() == "closed: not needed"
    return ended


def test_a_circuit_that_is_finished_loses_no_put_though_updates_lie_unread(any_poller, up, peer):
    """A server that answers each put with an update, and is slow: a reset would take from it what it has not read."""
    number = subscribe(up.circuit, up.circuit.core.channels[1], Sink())
    peer.hear(EventAddRequest)
    for value in range(5000):
        up.circuit.post(WriteRequest(value, LONG, 1, 7, 1))
    ended = finish(up)
    with pytest.raises(DisconnectedError, match="not needed"):
        up.circuit.post(WriteRequest(0, LONG, 1, 7, 1))
    heard = []
    while len(heard) < 5000:
        heard.append(peer.hear(WriteRequest).data[0])
        peer.say(EventAddResponse(heard[-1], LONG, 1, NORMAL, number))
    assert heard == list(range(5000))
    with pytest.raises(EOFError):
        peer.hear(WriteRequest)
    assert not ended.is_set()
    peer.sock.close()
    assert ended.wait(PATIENCE)
    assert up.circuit._sock.fileno() == -1


def test_what_the_kernel_had_not_taken_leaves_too(make, peer):
    made = make(peer.address)
    peer.accept()
    made.rider.hears()
    made.channel(peer, data_type=CHAR, count=64 * MIB)
    data = np.arange(64 * MIB, dtype=np.uint8)
    with made.circuit.sending() as core:
        core.send(WriteRequest(data, CHAR, len(data), 7, 1))
    assert made.circuit.pending
    ended = finish(made)
    assert np.array_equal(np.frombuffer(peer.hear(WriteRequest).payload, np.uint8), data)
    peer.sock.close()
    assert ended.wait(PATIENCE)


def test_a_server_that_does_not_move_is_not_waited_for(up, monkeypatch):
    monkeypatch.setattr(farewell_module, "_QUIET", 0.05)
    assert finish(up).wait(PATIENCE)


def test_a_server_that_says_more_and_more_is_left_at_the_end_of_the_time(up, peer, loop):
    number = subscribe(up.circuit, up.circuit.core.channels[1], Sink())
    peer.hear(EventAddRequest)
    over = threading.Event()

    def talk():
        with contextlib.suppress(OSError):
            while not over.wait(0.001):
                peer.say(EventAddResponse(1, LONG, 1, NORMAL, number))

    result = in_thread(talk)
    try:
        assert finish(up, seconds=0.2).wait(PATIENCE)
    finally:
        over.set()
        result()


def test_a_finished_circuit_may_be_closed_at_once(up, loop):
    ended = finish(up)
    on_engine(loop, up.circuit.close, "now")
    assert ended.is_set()
    on_engine(loop, up.circuit.finish, "again", 1.0)


def test_a_circuit_that_never_was_up_ends_at_once(make, peer):
    made = make(peer.address)
    ended = threading.Event()
    on_engine(made.loop, made.circuit.finish, "not needed", PATIENCE, lambda _: ended.set())
    if not ended.wait(0.5):  # it was up already
        peer.accept().sock.close()
    assert ended.wait(PATIENCE)


def test_who_waits_when_a_circuit_is_finished_is_told(up, peer):
    result = in_thread(get, up.circuit)
    peer.hear(ReadNotifyRequest)
    started = time.monotonic()
    finish(up)
    assert "not needed" in str(result().wait().error)
    assert time.monotonic() - started < PATIENCE / 2
