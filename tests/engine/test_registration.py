"""Registering with the host's repeater, being it, and taking over when it dies."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from caclient.config import Config
from caclient.engine import registration as module
from caclient.engine.lanes import Lanes
from caclient.engine.log import Log
from caclient.engine.registration import Registration
from caclient.engine.repeater import Repeater
from caclient.engine.searches import Searches
from caclient.protocol.commands import Beacon
from tests.engine.peers import PATIENCE, on_engine, settle, until
from tests.ports import free_port

SERVER = ("127.0.0.1", 5064)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    monkeypatch.setattr(module, "_AGAIN", 0.2)


@pytest.fixture
def port():
    return free_port()


class Client:
    """A search socket, its registration, and the beacons that reach it."""

    def __init__(self, loop, port):
        self.loop = loop
        self.lanes = Lanes(loop)
        self.beacons = []
        self.news = threading.Event()
        config = Config(addr_list="127.0.0.1:1", auto_addr_list=False)
        self.searches = Searches(loop, Log(loop, self.lanes), config, lambda cid, address: None, self._beacon)
        self.registration = Registration(loop, self.searches, port)
        on_engine(loop, self.searches.start)
        on_engine(loop, self.registration.start)

    def _beacon(self, address, verdict):
        self.beacons.append(address)
        self.news.set()

    def close(self):
        on_engine(self.loop, self.registration.stop)
        on_engine(self.loop, self.searches.stop)
        self.lanes.close()
        self.lanes.join(PATIENCE)


@pytest.fixture
def client(loop, port):
    made = []

    def make(at=port):
        made.append(Client(loop, at))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def ioc(port):
    """Sends beacons to the repeater's port, as a server on port 5064."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield lambda number: sock.sendto(Beacon(13, 5064, number).to_bytes(), ("127.0.0.1", port))


def test_who_finds_no_repeater_is_it_and_hears_beacons(loop, client, ioc):
    one = client()
    until(loop, lambda: one.registration.serving)
    assert not one.registration.confirmed
    ioc(1)
    assert one.news.wait(PATIENCE)
    assert one.beacons == [SERVER]


def test_of_two_at_once_one_serves_and_the_other_registers(loop, client, ioc):
    both = client(), client()
    until(
        loop,
        lambda: (
            sorted((c.registration.serving, c.registration.confirmed) for c in both) == [(False, True), (True, False)]
        ),
    )
    ioc(1)
    for each in both:
        assert each.news.wait(PATIENCE)
        assert each.beacons == [SERVER]


def test_the_loser_of_the_race_for_the_port_asks_the_winner_soon(loop, client, port, monkeypatch):
    """Not only when the long interval is over: until then it would hear no beacon."""
    monkeypatch.setattr(module, "_AGAIN", 1e6)
    both = client(), client()
    until(loop, lambda: any(c.registration.confirmed for c in both))


def test_a_registration_is_renewed_and_the_death_of_the_repeater_noticed(loop, client, ioc, port):
    with Repeater(port) as repeater:
        one = client()
        repeater.receive()
        until(loop, lambda: one.registration.confirmed)
        assert not one.registration.serving
        repeater.receive()  # the renewal
    until(loop, lambda: one.registration.serving)
    assert not one.registration.confirmed
    ioc(1)
    assert one.news.wait(PATIENCE)


def test_a_client_takes_over_from_another(loop, client, ioc):
    first = client()
    until(loop, lambda: first.registration.serving)
    second = client()
    until(loop, lambda: second.registration.confirmed)
    on_engine(loop, first.registration.stop)
    assert not first.registration.serving
    until(loop, lambda: second.registration.serving)
    ioc(1)
    assert second.news.wait(PATIENCE)


def test_who_holds_the_port_without_answering_is_asked_again(loop, client, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("0.0.0.0", port))
        mute.settimeout(PATIENCE)
        one = client()
        for _ in range(4):
            datagram, source = mute.recvfrom(1000)
            assert datagram[:2] == b"\0\x18"
        assert not one.registration.serving
        mute.sendto(bytes.fromhex("0011000000000000000000007f000001"), source)
        until(loop, lambda: one.registration.confirmed)


def test_nobody_from_elsewhere_keeps_a_client_from_serving(loop, client, ioc, monkeypatch):
    """One forged confirmation cost this host all beacons for half a minute, and the next for another."""
    one = client()
    on_engine(loop, one.registration._on_confirm, ("192.0.2.66", 5065))
    assert not one.registration.confirmed
    until(loop, lambda: one.registration.serving)
    ioc(1)
    assert one.news.wait(PATIENCE)


def test_a_confirmation_that_nobody_asked_for_is_not_believed(loop, client):
    one = client()
    until(loop, lambda: one.registration.serving)
    on_engine(loop, one.registration._on_confirm, ("127.0.0.1", 5065))
    assert one.registration.serving
    assert not one.registration.confirmed


def test_port_0_means_no_beacons(loop, client):
    one = client(0)
    settle(loop)
    assert one.registration._timer is None
    on_engine(loop, one.registration._on_confirm, ("127.0.0.1", 5065))  # from nobody that we asked
    assert not one.registration.confirmed
    on_engine(loop, one.registration.stop)


def test_a_burst_is_served_in_turns_and_an_empty_datagram_registers_only(loop, client, port, monkeypatch):
    one = client()
    until(loop, lambda: one.registration.serving)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        monkeypatch.setattr(module, "_DATAGRAMS", 2)
        for _ in range(5):
            sock.sendto(b"", ("127.0.0.1", port))
        for _ in range(5):
            assert sock.recv(100)[:2] == b"\0\x11"
    assert one.searches.datagrams_received == 0


def test_descriptors_are_let_go_in_a_forked_child(loop, client):
    one = client()
    one.registration.abandon()
    until(loop, lambda: one.registration.serving)
    fd = one.registration._repeater.fileno()
    on_engine(loop, loop.poller.remove, fd)
    one.registration.abandon()
    assert not one.registration.serving
    on_engine(loop, one.registration._readable, 1)  # fetched in the same round


def test_nothing_is_logged_of_all_this(loop, client, caplog):
    with caplog.at_level(logging.DEBUG):
        one = client()
        until(loop, lambda: one.registration.serving)
    assert caplog.records == []
