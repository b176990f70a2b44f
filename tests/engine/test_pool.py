"""The pool of circuits: one for each address and priority, and patience with addresses that accept none."""

from __future__ import annotations

import socket
import time

import pytest

from caclient import Config
from caclient.engine import pool as module
from caclient.engine.circuit import State
from caclient.engine.pool import Pool
from caclient.engine.runtime import Runtime
from caclient.engine.sending import LATER
from caclient.protocol.beacons import Verdict
from caclient.protocol.commands import ClientNameRequest, EchoRequest, HostNameRequest, VersionRequest
from tests.engine.peers import PATIENCE, Rider, on_engine, until
from tests.recorder import Recorder


class Made:
    """A pool with a loop that runs."""

    def __init__(self, **settings):
        self.runtime = Runtime(("operator", "console"), lambda: None)
        self.loop = self.runtime.loop
        self.gone = Recorder()
        self.pool = Pool(self.runtime, Config.isolated(**settings), lambda _circuit, _command: None, self.gone)
        self.loop.start()

    def on_engine(self, call, *args):
        return on_engine(self.loop, call, *args)

    def ride(self, address, priority=0):
        """A circuit with a rider."""
        rider = Rider()

        def board():
            circuit = self.pool.circuit(address, priority)
            circuit.riders[rider] = None
            return circuit

        return self.on_engine(board), rider

    def close(self):
        for circuit in self.pool.all():
            self.on_engine(circuit.close, "the end")
        self.loop.stop(PATIENCE)
        self.runtime.lanes.close()
        assert self.runtime.lanes.join(PATIENCE)


@pytest.fixture
def made():
    made = Made()
    yield made
    made.close()


@pytest.fixture
def refused(peer):
    """An address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


def test_one_circuit_for_each_address_and_priority(made, peer):
    circuit, _ = made.ride(peer.address)
    assert made.ride(peer.address)[0] is circuit
    assert made.ride(peer.address, 3)[0] is not circuit
    assert len(made.pool.all()) == 2


def test_a_server_is_told_who_we_are(made, peer):
    made.ride(peer.address, 7)
    peer.accept()
    assert peer.hear(VersionRequest).priority == 7
    assert peer.hear(ClientNameRequest).name == "operator"
    assert peer.hear(HostNameRequest).name == "console"


def test_a_circuit_without_riders_is_kept_for_a_moment(made, peer, monkeypatch):
    monkeypatch.setattr(module, "_LINGER", 0.02)
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    made.on_engine(made.pool.maybe_idle, circuit)
    assert made.loop._timers and circuit.state is State.OPEN

    def leave():
        circuit.riders.clear()
        made.pool.maybe_idle(circuit)

    made.on_engine(leave)
    assert made.gone.wait(1) == [peer.address]
    assert circuit.reason == "not needed any more"
    assert made.pool.all() == []


def test_somebody_comes_while_it_lingers(made, peer, monkeypatch):
    monkeypatch.setattr(module, "_LINGER", 0.02)
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    over = Recorder()

    def leave_and_come():
        circuit.riders.clear()
        made.pool.maybe_idle(circuit)
        circuit.riders[rider] = None
        made.loop.call_at(0.0, lambda: made.runtime.later(lambda: over(1)))

    made.on_engine(leave_and_come)
    over.wait(1)
    assert circuit.state is State.OPEN


def test_what_is_queued_by_many_is_written_once(made, peer):
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    peer.accept()

    def queue():
        for _ in range(3):
            with circuit.sending(LATER) as core:
                core.send(EchoRequest())
            made.pool.flush_soon(circuit)
        assert circuit.pending == 48

    made.on_engine(queue)
    for _ in range(3):
        peer.hear(EchoRequest)


def test_who_refuses_is_left_alone_longer_each_time(made, refused):
    assert made.pool.patience_with(refused) == 0.0
    delays = []
    for attempts in (1, 2, 3):
        _, rider = made.ride(refused)
        assert rider.hears().startswith("closed: connect failed")
        delays.append(made.pool.patience_with(refused))
        assert made.pool.refusing() == {refused: attempts}
    assert 0.0 < delays[0] < 0.11 < delays[1] < 0.21 < delays[2] < 0.41
    assert made.pool.not_serving(refused).endswith("(3 attempts)")
    made.on_engine(made.pool.beacon, refused, Verdict.FIRST)
    assert made.pool.patience_with(refused) == 0.0


def test_failures_are_told_of_while_they_are_news(made, refused, monkeypatch):
    _, rider = made.ride(refused)
    rider.hears()
    monkeypatch.setattr(module, "_STALE", -1.0)
    assert made.pool.refusing() == {}


def test_a_forgery_of_many_addresses_fills_no_table(made, refused, monkeypatch):
    monkeypatch.setattr(module, "_ADDRESSES", 0)
    _, rider = made.ride(refused)
    rider.hears()
    assert made.pool.refusing() == {}


def test_a_connection_that_lasted_is_forgiven(made, peer, monkeypatch):
    monkeypatch.setattr(module, "_LASTING", 0.0)
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    made.on_engine(setattr, circuit, "served", True)
    until(made.loop, lambda: circuit.served)
    made.on_engine(circuit.close, "a test")
    assert rider.hears() == "closed: a test"
    assert made.pool.patience_with(peer.address) == 0.0


def test_abandoned_in_a_forked_child(made, peer, monkeypatch):
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    with monkeypatch.context() as patch:
        abandoned = Recorder()
        patch.setattr(circuit, "abandon", lambda: abandoned(1))
        made.pool.abandon()
    assert made.pool.all() == []
    assert abandoned.items == [1]
    made.on_engine(circuit.close, "the end")


def finish(made, deadline):
    """End all circuits; the result tells when that is done."""
    done = Recorder()
    made.on_engine(made.pool.finish, "the end", deadline, lambda: done(1))
    return done


def test_at_the_end_nothing_that_was_put_is_lost(made, peer):
    """The server takes its time: what counts is that it goes on."""
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    peer.accept()
    for _ in range(3000):
        circuit.post(EchoRequest())
    done = finish(made, time.monotonic() + PATIENCE)
    assert rider.hears() == "closed: the end"
    assert made.pool.all() == []
    for _ in range(3000):
        peer.hear(EchoRequest)
    assert not done.items
    with pytest.raises(EOFError):
        peer.hear(EchoRequest)
    peer.sock.close()
    done.wait(1)


def test_at_the_end_there_is_a_deadline(made, peer, monkeypatch):
    monkeypatch.setattr("caclient.engine.farewell._QUIET", 3600.0)
    _, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    finish(made, time.monotonic() + 0.05).wait(1)


def test_the_end_waits_for_circuits_that_were_just_leaving(made, peer, monkeypatch):
    monkeypatch.setattr("caclient.engine.farewell._QUIET", 3600.0)
    circuit, rider = made.ride(peer.address)
    assert rider.hears() == "open"
    peer.accept()
    made.on_engine(circuit.riders.clear)
    made.on_engine(made.pool._close_idle, circuit)
    assert made.pool.all() == []
    done = finish(made, time.monotonic() + PATIENCE)
    assert not done.items
    peer.sock.close()
    done.wait(1)


def test_the_end_without_circuits(made):
    finish(made, 0.0).wait(1)
