"""Name servers: asked by TCP when they are up and new enough, connected to again when they go."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from caclient.config import Config
from caclient.engine import lookups, nameservers as module
from caclient.engine.circuit import Circuit, State
from caclient.engine.lanes import Lanes
from caclient.engine.log import Log
from caclient.engine.nameservers import NameServers
from caclient.engine.searches import Searches
from caclient.errors import DisconnectedError
from caclient.protocol.commands import SearchRequest, SearchResponse, VersionRequest, VersionResponse
from caclient.protocol.queues import SearchName
from tests.engine.peers import PATIENCE, Peer, Rider, on_engine, settle, until


class Client:
    """What a context is to its name servers."""

    def __init__(self, loop, *addresses, **fields):
        self.loop = loop
        self.lanes = Lanes(loop)
        self.log = Log(loop, self.lanes)
        self.found = queue.SimpleQueue()
        self.circuits = []
        text = " ".join(f"{host}:{port}" for host, port in addresses)
        self.config = Config(addr_list="", auto_addr_list=False, name_servers=text, **fields)
        self.searches = Searches(loop, self.log, self.config, lambda *what: self.found.put(what), lambda *_: None)
        self.servers = NameServers(loop, self.log, self.searches, self.config, self.circuit)
        on_engine(loop, self.searches.start)
        on_engine(loop, self.servers.start)

    def circuit(self, address, priority):
        circuit = Circuit(self.loop, address, priority, self.config.conn_timeout, lambda _: None, self._command)
        self.circuits.append(circuit)
        circuit.open([VersionRequest(priority, 13)])
        return circuit

    def _command(self, circuit, command):
        if type(command) is SearchResponse:
            self.searches.answered(command, circuit.address[0])
        elif type(command) is VersionResponse:
            self.servers.heard_version(circuit)

    def close(self):
        on_engine(self.loop, self.servers.stop)
        on_engine(self.loop, self.searches.stop)
        for circuit in list(self.circuits):
            on_engine(self.loop, circuit.close, "the test is over")
        self.lanes.close()
        assert self.lanes.join(PATIENCE)


@pytest.fixture
def client(loop):
    made = []

    def make(*addresses, **fields):
        made.append(Client(loop, *addresses, **fields))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(module, "_DELAY", 0.01)


def hear(peer, name):
    while (request := peer.hear(SearchRequest)).name != name:
        pass
    return request


def test_a_name_is_found_by_tcp(client, peer, loop):
    one = client(peer.address)
    on_engine(loop, one.searches.add, 4, "x:y")
    peer.accept()
    peer.say(VersionResponse(13))
    request = hear(peer, "x:y")
    peer.say(SearchResponse(5064, "10.0.0.1", request.cid))
    assert one.found.get(timeout=PATIENCE) == (4, ("10.0.0.1", 5064), True)


def test_a_server_is_asked_only_when_it_has_told_a_version_that_can(client, peer, loop):
    one = client(peer.address)
    server = one.servers.servers[0]
    requests = [SearchName(1, "x", b"")]
    on_engine(loop, server.ask, requests)  # not connected yet
    peer.accept()
    peer.say(VersionResponse(11))
    until(loop, lambda: server.circuit.core.version == 11)
    on_engine(loop, server.ask, requests)
    assert server.circuit.pending == 0
    peer.say(VersionResponse(12))
    until(loop, lambda: server.circuit.core.version == 12)
    on_engine(loop, server.ask, requests)
    assert hear(peer, "x").cid == 1


def test_without_name_servers_nothing_is_asked(client):
    one = client()
    assert one.searches.broadcast_also == []
    one.servers.ask([])


def test_the_version_of_another_circuit_is_no_news(client, peer, loop, monkeypatch):
    one = client(peer.address)
    peer.accept()
    boosts = []
    monkeypatch.setattr(one.searches, "boost", lambda: boosts.append(1))
    one.servers.heard_version(Circuit(loop, peer.address, 1, 1.0, lambda _: None, lambda *_: None))
    assert boosts == []
    one.servers.heard_version(one.servers.servers[0].circuit)
    assert boosts == [1]


def test_a_circuit_that_has_just_gone_is_passed_over(client, peer, loop, monkeypatch):
    one = client(peer.address)
    peer.accept()
    peer.say(VersionResponse(13))
    circuit = one.servers.servers[0].circuit
    until(loop, lambda: circuit.core.version == 13)

    def gone(*_commands):
        raise DisconnectedError("just now")

    monkeypatch.setattr(circuit, "sending", gone)
    on_engine(loop, one.servers.ask, [SearchName(1, "x", b"")])
    assert circuit.pending == 0


def test_how_a_server_is_depends_on_its_version(client, peer, loop):
    one = client(peer.address)
    server = one.servers.servers[0]
    peer.accept()
    until(loop, lambda: server.describe().endswith("(has not told its version)"))
    peer.say(VersionResponse(11))
    until(loop, lambda: server.describe().endswith("(CA 4.11, too old to be asked)"))
    peer.say(VersionResponse(13))
    until(loop, lambda: server.describe().endswith("(open)"))


def test_a_dead_server_is_tried_again(client, peer, loop):
    address = peer.address
    peer.close()
    one = client(address)
    server = one.servers.servers[0]
    where = f"name server 127.0.0.1:{address[1]}"
    until(loop, lambda: len(one.circuits) >= 3)
    assert "ECONNREFUSED" in server.note
    until(loop, lambda: one.servers.describe() == [f"{where} (connect failed: ECONNREFUSED)"])


def test_a_server_that_drops_every_connection_is_tried_ever_less_often(client, peer, loop):
    """A connection alone is no success: else an accept-and-drop loop would go on at the shortest interval."""
    one = client(peer.address, conn_timeout=30.0)
    server = one.servers.servers[0]
    for _ in range(4):
        peer.accept()
        peer.sock.close()
    until(loop, lambda: server._delay >= 16 * 0.01)
    assert server.note in ("closed by the server", "read failed: ECONNRESET")


def test_a_server_that_stayed_is_tried_again_at_once(client, peer, loop):
    one = client(peer.address)
    server = one.servers.servers[0]
    peer.accept()
    until(loop, lambda: server.circuit is not None and server.circuit.state is State.OPEN)
    server._delay = 20.0
    server.circuit.opened_at = time.monotonic() - 3600.0
    peer.sock.close()
    peer.accept()
    assert server._delay <= 0.04


def test_the_longest_interval_is_the_connection_timeout(client, peer, loop):
    one = client(peer.address, conn_timeout=5.0)
    server = one.servers.servers[0]
    server._delay = 4.0
    on_engine(loop, server._later)
    assert server._delay == 5.0


def test_host_names_are_looked_up_elsewhere_until_they_are_known(client, peer, loop, monkeypatch, caplog):
    answers, threads = [None, None, "127.0.0.1"], []

    def resolve(host):
        threads.append(threading.current_thread())
        return answers.pop(0)

    monkeypatch.setattr(lookups, "resolve", resolve)
    one = client(("gateway.example", peer.address[1]))
    peer.accept()
    assert one.servers.servers[0].note == "host gateway.example cannot be resolved"
    assert loop.thread not in threads
    until(loop, lambda: len(caplog.records) == 1)  # said once
    assert "host gateway.example cannot be resolved; it is not asked until" in caplog.text


def test_nothing_is_begun_after_the_end(client, peer, loop):
    one = client(peer.address)
    peer.accept()
    server = one.servers.servers[0]
    on_engine(loop, server._later)
    on_engine(loop, one.servers.stop)
    made = len(one.circuits)
    on_engine(loop, server._connect, peer.address)
    on_engine(loop, server._later)
    on_engine(loop, server.circuit_closed, "late")
    on_engine(loop, server.circuit_closed, "later")
    settle(loop)
    assert len(one.circuits) == made


@pytest.mark.parametrize("others", [0, 1])
def test_a_server_that_hangs_is_begun_anew_unless_channels_wait_for_it(client, peer, loop, others):
    one = client(peer.address)
    peer.accept()
    server = one.servers.servers[0]
    until(loop, lambda: server.circuit is not None and server.circuit.state is State.OPEN)
    circuit = server.circuit
    for _ in range(others):
        circuit.riders[Rider()] = None
    on_engine(loop, circuit.set_unresponsive)
    on_engine(loop, server.ask, [SearchName(1, "x", b"")])
    assert circuit.pending == 0
    assert circuit.state is (State.UNRESPONSIVE if others else State.CLOSED)
    server.circuit_responsive()
    on_engine(loop, circuit.close, "over")
    on_engine(loop, server.circuit_unresponsive)  # of a circuit that has gone


def test_two_servers_are_both_asked(client, peer, loop):
    other = Peer()
    one = client(peer.address, other.address)
    for each in (peer, other):
        each.accept()
        each.say(VersionResponse(13))
    until(loop, lambda: all(server.circuit.core.version == 13 for server in one.servers.servers))
    on_engine(loop, one.searches.add, 9, "z")
    for each in (peer, other):
        assert hear(each, "z").cid == 9
    other.close()
