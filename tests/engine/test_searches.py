"""Searches on real datagrams: what is asked where, who answers, and destinations that come and go."""

from __future__ import annotations

import errno
import logging
import math
import socket
import threading
import time

import pytest

from caclient.config import Config
from caclient.engine import log as log_module, lookups, searches as module
from caclient.engine.lanes import Lanes
from caclient.engine.log import Log
from caclient.engine.searches import Searches
from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.commands import (
    SERVER,
    Beacon,
    RepeaterConfirmResponse,
    SearchRequest,
    SearchResponse,
    VersionRequest,
    VersionResponse,
)
from tests.engine.peers import PATIENCE, on_engine, settle, until

NOWHERE = ("127.0.0.1", 9)


class Server:
    """A UDP socket on loopback that hears searches."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(PATIENCE)
        self.address = self.sock.getsockname()
        self.core = Broadcaster(our_role=SERVER)
        self.last = []

    def hear(self, name):
        """The next search for a name, and where it came from."""
        while True:
            datagram, source = self.sock.recvfrom(65536)
            commands = self.core.receive(datagram, source)
            assert type(commands[0]) is VersionRequest
            for command in commands:
                if type(command) is SearchRequest and command.name == name:
                    return command, source

    def hear_next(self, cid):
        """The search for a cid in what came last, or in what comes."""
        while True:
            for command in self.last:
                if type(command) is SearchRequest and command.cid == cid:
                    return command
            self.last = self.core.receive(*self.sock.recvfrom(65536))

    def reply(self, request, source, port=5064):
        self.sock.sendto(
            Broadcaster(our_role=SERVER).send(VersionResponse(13), SearchResponse(port, None, request.cid)), source
        )


@pytest.fixture
def server():
    made = Server()
    yield made
    made.sock.close()


@pytest.fixture
def make(loop):
    made = []

    def make(*addresses, start=True, **fields):
        text = " ".join(f"{host}:{port}" for host, port in addresses)
        config = Config(**({"addr_list": text, "auto_addr_list": False, "max_search_period": 60.0} | fields))
        lanes = Lanes(loop)
        searches = Searches(
            loop,
            Log(loop, lanes),
            config,
            lambda *what: found(searches, what),
            lambda *what: searches.beacons_told.append(what),
        )
        searches.replies, searches.beacons_told, searches.news = [], [], threading.Event()
        made.append((searches, lanes))
        if start:
            on_engine(loop, searches.start)
        return searches

    def found(searches, what):
        searches.replies.append(what)
        searches.news.set()

    yield make
    for searches, lanes in made:
        on_engine(loop, searches.stop)
        lanes.close()
        assert lanes.join(PATIENCE)


def test_a_name_is_asked_for_until_it_is_answered(loop, make, server):
    searches = make(server.address)
    on_engine(loop, searches.add, 7, "x:y")
    on_engine(loop, searches.add, 7, "x:y")  # again is no more than once
    server.hear("x:y")
    request, source = server.hear("x:y")  # asked again, as nobody answered
    assert request.cid == 7
    server.reply(request, source)
    assert searches.news.wait(PATIENCE)
    assert searches.replies[0] == (7, ("127.0.0.1", 5064), True)
    assert not searches.schedule.asks_for(7)
    on_engine(loop, searches.remove, 7)
    assert on_engine(loop, searches.describe, 7) == ""
    assert searches.datagrams_sent >= 2 and searches.datagrams_received >= 1


def test_a_second_answer_is_told_too(loop, make):
    searches = make(NOWHERE)
    on_engine(loop, searches.answered, SearchResponse(5064, "10.0.0.1", 3), "10.9.9.9")
    assert searches.replies == [(3, ("10.0.0.1", 5064), False)]


def test_names_added_together_are_asked_for_together(loop, make, server):
    searches = make(server.address)
    on_engine(loop, lambda: [searches.add(cid, f"n{cid}") for cid in range(3)])
    for cid in range(3):
        assert server.hear_next(cid).name == f"n{cid}"


def test_a_removed_name_is_not_asked_for(loop, make, server):
    searches = make(server.address)
    on_engine(loop, searches.add, 1, "gone")
    on_engine(loop, searches.remove, 1)
    on_engine(loop, searches.remove, 1)
    on_engine(loop, searches.add, 2, "here")
    server.hear("here")
    assert 1 not in searches.schedule


def test_what_has_been_tried_is_described(loop, make, server):
    searches = make(
        *[("127.0.0.1", server.address[1] + 0)], *[("10.255.255.255", port) for port in range(1, 7)], start=False
    )
    assert searches.describe(1) == ""
    searches.schedule.add(1, "x", 0.0)
    assert searches.describe(1) == "0 searches sent to nowhere: no address to search, no reply"
    others = ["name server 10.0.0.1:5064 (connecting)"]
    assert searches.describe(1, others) == f"0 searches sent to {others[0]}, no reply"
    on_engine(loop, searches.start)
    text = on_engine(loop, searches.describe, 1)
    assert f"127.0.0.1:{server.address[1]}" in text and "and 2 more" in text
    searches.schedule.due(1.0)
    assert searches.describe(1).startswith("1 searches sent in ")


def test_an_idle_schedule_sets_no_timer(loop, make, server):
    searches = make(server.address)
    on_engine(loop, searches._rearm)
    assert searches._timer is None
    on_engine(loop, searches.add, 1, "x")
    assert on_engine(loop, lambda: (searches._rearm(), searches._timer))[1] is not None
    on_engine(loop, searches.remove, 1)
    on_engine(loop, searches._tick)
    assert searches._timer is None


def test_a_timer_that_comes_early_enough_is_kept(loop, make, server):
    """One timer for all names, and not one more for each datagram that comes."""
    searches = make(server.address)
    on_engine(loop, searches.add, 1, "x")
    server.hear("x")
    timer = on_engine(loop, lambda: (searches._rearm(), searches._timer))[1]
    port = searches.sock.getsockname()[1]
    for cid in range(100, 150):
        server.sock.sendto(SearchResponse(5064, None, cid).to_bytes(), ("127.0.0.1", port))
    until(loop, lambda: searches.datagrams_received >= 50)
    assert len(loop._timers) < 20
    assert timer.due >= 0.0


def test_the_names_of_a_host_are_asked_for_when_it_is_heard(loop, make, server):
    """By an index: a beacon of anybody costs nothing for each channel."""
    searches = make(server.address)
    on_engine(loop, searches.add, 1, "lost", 3600.0, "10.1.1.1")
    on_engine(loop, searches.add, 2, "other", 3600.0, "10.2.2.2")
    on_engine(loop, searches.received, Beacon(13, 5064, 1, "10.1.1.1").to_bytes(), ("127.0.0.1", 5065))
    server.hear("lost")
    assert searches.schedule.attempts(2).asks == 0


def test_name_servers_are_asked_the_same(loop, make, server):
    searches, asked = make(server.address), []
    searches.broadcast_also.append(asked.append)
    on_engine(loop, searches.add, 5, "x")
    server.hear("x")
    settle(loop)
    assert [(request.name, request.cid) for request in asked[0]] == [("x", 5)]


# ---- without a socket, or a network


def without(error, times):
    """A bcast_socket that fails so often."""
    failures, make_socket = [error] * times, module.bcast_socket

    def bcast_socket(*arguments):
        if failures:
            raise failures.pop()
        return make_socket(*arguments)

    return bcast_socket


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol"),
    ],
)
def test_a_socket_that_cannot_be_had_is_tried_for_again(loop, make, server, monkeypatch, caplog, error):
    """No descriptor for a moment, or no IPv4 yet: deaf for ever would be the alternative."""
    monkeypatch.setattr(module, "_REOPEN", (0.01, 0.02))
    monkeypatch.setattr(module, "bcast_socket", without(error, 3))
    with caplog.at_level(logging.WARNING, "caclient.search"):
        searches = make(server.address)
        on_engine(loop, searches.add, 1, "x")
        server.hear("x")
        until(loop, lambda: len(caplog.records) == 2)
    assert [record.getMessage() for record in caplog.records] == [
        f"no PV can be searched by UDP: there is no socket to be had: {error}; it is tried for again and again",
        "PVs are searched by UDP: there is a socket now",
    ]
    assert caplog.records[0].exc_info is None


def test_a_socket_that_is_refused_for_long_is_named_once_and_never_asked_for_after_the_end(
    loop, make, monkeypatch, caplog
):
    tries = []

    def refused(*_arguments):
        tries.append(True)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(log_module, "PERIOD", 0.0)
    monkeypatch.setattr(module, "_REOPEN", (0.001, 0.002))
    monkeypatch.setattr(module, "bcast_socket", refused)
    with caplog.at_level(logging.WARNING, "caclient.search"):
        searches = make(NOWHERE)
        until(loop, lambda: len(tries) >= 10)
        settle(loop)
    assert len(caplog.records) == 1
    on_engine(loop, searches.stop)
    before, later = len(tries), threading.Event()
    loop.call_at(time.monotonic() + 0.02, later.set)
    assert later.wait(PATIENCE)
    assert len(tries) == before


def test_what_was_asked_while_there_was_no_socket_is_asked_as_if_it_were_new(loop, make, server, monkeypatch):
    """Nobody can have heard it: it does not wait for the minute that names wait which nobody answers."""
    allowed, make_socket = threading.Event(), module.bcast_socket

    def bcast_socket(*arguments):
        if not allowed.is_set():
            raise OSError(errno.EMFILE, "Too many open files")
        return make_socket(*arguments)

    monkeypatch.setattr(module, "_REOPEN", (0.01, 0.01))
    monkeypatch.setattr(module, "bcast_socket", bcast_socket)
    searches = make(server.address)
    restarted = []
    monkeypatch.setattr(searches.schedule, "restart", restarted.append)
    on_engine(loop, searches.add, 1, "x")
    assert restarted == []
    allowed.set()
    until(loop, lambda: len(restarted) == 1)


def test_the_budget_is_shared_by_all_destinations_also_by_one_that_is_known_later(loop, make, monkeypatch):
    known = threading.Event()

    def resolve(_host):
        assert known.wait(PATIENCE)
        return "127.0.0.9"

    monkeypatch.setattr(lookups, "resolve", resolve)
    searches = make(("127.0.0.1", 9), ("127.0.0.2", 9), ("gateway.example", 9), start=False)
    shared = []
    monkeypatch.setattr(searches.schedule, "share", shared.append)
    on_engine(loop, searches.start)
    assert shared == [2]
    known.set()
    until(loop, lambda: shared == [2, 3])


def test_without_a_socket_name_servers_are_asked_all_the_same(loop, make, monkeypatch):
    monkeypatch.setattr(module, "bcast_socket", without(OSError(errno.EMFILE, "Too many open files"), 1000))
    searches = make(NOWHERE)
    asked = []
    searches.broadcast_also.append(asked.append)
    on_engine(loop, searches.add, 5, "x")
    until(loop, lambda: asked)
    assert on_engine(loop, searches.describe, 5).endswith(" to 127.0.0.1:9 (Too many open files), no reply")


class OneWay:
    """A socket that reaches one destination only."""

    def __init__(self, sock, destination):
        self.sock = sock
        self.destination = destination

    def sendto(self, datagram, destination):
        if destination != self.destination:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        self.sock.sendto(datagram, destination)

    def __getattr__(self, name):
        return getattr(self.sock, name)


def test_each_destination_says_what_is_wrong_with_it(loop, make, server):
    """The network is down: that is another matter than a server that does not answer."""
    searches = make(server.address, ("240.0.0.1", 9))  # an address of no network
    searches.sock = OneWay(searches.sock, server.address)
    on_engine(loop, searches.add, 5, "x")
    server.hear("x")
    text = on_engine(loop, searches.describe, 5)
    assert text.endswith(f"to 127.0.0.1:{server.address[1]}, 240.0.0.1:9 (Network is unreachable), no reply")


# ---- destinations


def test_a_failure_is_logged_once_for_each_destination(loop, make, caplog, monkeypatch):
    monkeypatch.setattr(log_module, "PERIOD", 0.0)  # not for being told within a second
    searches = make(("127.0.0.1", 9), ("127.0.0.2", 9))

    class Failing:
        fails = True

        def __init__(self, sock):
            self.sock = sock

        def sendto(self, datagram, destination):
            if self.fails:
                raise OSError(101, "Network is unreachable")

        def __getattr__(self, name):
            return getattr(self.sock, name)

    searches.sock = Failing(searches.sock)
    with caplog.at_level(logging.WARNING, "caclient.search"):
        for _ in range(3):
            for destination in searches.destinations:
                on_engine(loop, searches.send, b"x", destination)
        assert searches.failures == dict.fromkeys(searches.destinations, "Network is unreachable")
        searches.sock.fails = False
        on_engine(loop, searches.send, b"x", ("127.0.0.1", 9))
        assert set(searches.failures) == {("127.0.0.2", 9)}
        searches.sock.fails = True
        on_engine(loop, searches.send, b"x", ("127.0.0.1", 9))
        until(loop, lambda: len(caplog.records) >= 2)
        settle(loop)
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"searching 127.0.0.{n}:9 failed: [Errno 101] Network is unreachable; it is tried again with each search"
        for n in (1, 2)
    ]


def test_a_full_buffer_is_no_failure(loop, make):
    searches = make(NOWHERE)

    class Full:
        def __init__(self, sock):
            self.sock = sock

        def sendto(self, datagram, destination):
            raise BlockingIOError

        def __getattr__(self, name):
            return getattr(self.sock, name)

    searches.sock = Full(searches.sock)
    on_engine(loop, searches.send, b"x", NOWHERE)
    assert searches.failures == {}
    assert searches.datagrams_sent == 0


def test_host_names_are_looked_up_elsewhere_and_searched_then(loop, make, server, monkeypatch):
    looked_up = threading.Event()
    thread = []

    def resolve(host):
        thread.append(threading.current_thread())
        assert looked_up.wait(PATIENCE)
        return "127.0.0.1"

    monkeypatch.setattr(lookups, "resolve", resolve)
    searches = make(("gateway.example", server.address[1]))
    on_engine(loop, searches.add, 1, "x")
    assert searches.destinations == []
    on_engine(loop, lambda: None)  # a slow name server does not hold the engine thread up
    looked_up.set()
    server.hear("x")
    assert searches.destinations == [server.address]
    assert thread[0] is not loop.thread
    on_engine(loop, searches._add_destination, ("other.example", server.address[1]), "127.0.0.1")
    assert searches.destinations == [server.address]


def test_a_host_name_that_is_unknown_is_said_once_and_looked_up_again(loop, make, server, monkeypatch, caplog):
    monkeypatch.setattr(module, "_REFRESH", 0.02)
    answers = [None, None, None, "127.0.0.1"]
    monkeypatch.setattr(lookups, "resolve", lambda host: answers.pop(0))
    with caplog.at_level(logging.WARNING, "caclient.search"):
        searches = make(("gateway.example", server.address[1]))
        on_engine(loop, searches.add, 1, "x")
        server.hear("x")
        settle(loop)
    assert [record.getMessage() for record in caplog.records] == [
        "EPICS_CA_ADDR_LIST: host gateway.example cannot be resolved; it is not searched until it can be"
    ]
    on_engine(loop, searches._list_destinations, 1e9)
    assert searches._refresh == math.inf  # all is known now: nothing to look up any more


def test_a_name_that_is_being_looked_up_is_not_looked_up_twice(loop, make, monkeypatch):
    going, calls = threading.Event(), []

    def resolve(host):
        calls.append(host)
        assert going.wait(PATIENCE)

    monkeypatch.setattr(lookups, "resolve", resolve)
    searches = make(("a.example", 1))
    for now in (1.0, 2.0):
        on_engine(loop, searches._list_destinations, now)
    going.set()
    until(loop, lambda: not searches._resolving)
    assert calls == ["a.example"]


def test_new_interfaces_are_searched_while_a_name_waits(loop, make, server, monkeypatch):
    addresses = [NOWHERE]
    monkeypatch.setattr(module, "_REFRESH", 0.02)
    monkeypatch.setattr(module, "search_addresses", lambda config: list(addresses))
    searches = make(auto_addr_list=True)
    on_engine(loop, searches.add, 1, "x")
    settle(loop)
    addresses.append(server.address)
    server.hear("x")
    assert searches.destinations == [NOWHERE, server.address]
    searches.failures[NOWHERE] = "Network is unreachable"
    addresses.remove(NOWHERE)
    until(loop, lambda: searches.destinations == [server.address])
    assert on_engine(loop, searches.failure, NOWHERE) == ""


# ---- receiving


def test_beacons_are_told_with_the_address_they_speak_of(loop, make):
    searches = make(NOWHERE)
    on_engine(loop, searches.received, Beacon(13, 5066, 1, "10.1.1.1").to_bytes(), ("127.0.0.1", 5065))
    on_engine(loop, searches.received, Beacon(13, 0, 1).to_bytes(), ("10.2.2.2", 5065))
    assert [address for address, _ in searches.beacons_told] == [("10.1.1.1", 5066), ("10.2.2.2", 5064)]


def test_an_anomaly_boosts(loop, make, monkeypatch):
    searches = make(NOWHERE)
    boosts = []
    monkeypatch.setattr(searches, "boost", lambda: boosts.append(1))
    monkeypatch.setattr(searches, "_rearm", lambda: None)
    clock = iter([1e6, 1e6 + 10, 1e6 + 20, 1e6 + 20.1])
    monkeypatch.setattr(module.time, "monotonic", clock.__next__)
    for number in range(4):
        searches.received(Beacon(13, 5064, number, "10.1.1.1").to_bytes(), ("10.1.1.1", 5065))
    monkeypatch.undo()
    assert len(boosts) == 2  # it is new, and then it comes too early


def test_rubbish_is_counted_and_the_rest_heeded(loop, make, server):
    searches = make(server.address)
    confirmed = threading.Event()
    searches.on_confirm(NOWHERE)
    searches.on_confirm = lambda source: confirmed.set()
    port = searches.sock.getsockname()[1]
    server.sock.sendto(b"rubbish that is no command at all", ("127.0.0.1", port))
    server.sock.sendto(RepeaterConfirmResponse("127.0.0.1").to_bytes(), ("127.0.0.1", port))
    assert confirmed.wait(PATIENCE)
    assert searches.rubbish == 1
    assert searches.datagrams_received == 2


def test_a_flood_is_read_in_turns(loop, make, server, monkeypatch):
    monkeypatch.setattr(module, "_DATAGRAMS", 2)
    searches = make(server.address)
    for _ in range(7):
        server.sock.sendto(VersionResponse(13).to_bytes(), ("127.0.0.1", searches.sock.getsockname()[1]))
    until(loop, lambda: searches.datagrams_received == 7)
    monkeypatch.setattr(module, "_DATAGRAMS", 0)  # a turn that ends while more is there
    on_engine(loop, searches._readable, 1)


def test_an_icmp_error_on_receipt_is_passed_over(loop, make):
    searches = make(NOWHERE)

    errors = [ConnectionRefusedError(), BlockingIOError()]

    class Refused:
        def recvfrom(self, size):
            raise errors.pop(0)

    sock, searches.sock = searches.sock, Refused()
    on_engine(loop, searches._readable, 1)
    assert errors == []
    searches.sock = sock


def test_nothing_happens_after_the_end(loop, make, server):
    searches = make(server.address)
    on_engine(loop, searches.add, 1, "x")
    on_engine(loop, searches.stop)
    on_engine(loop, searches.stop)
    on_engine(loop, searches._tick)
    on_engine(loop, searches._readable, 1)
    on_engine(loop, searches._rearm)
    searches.abandon()
    assert searches._timer is None


def test_a_forked_child_lets_the_socket_go(loop, make):
    searches = make(NOWHERE)
    on_engine(loop, loop.poller.remove, searches.sock.fileno())
    searches.abandon()
    assert searches.sock.fileno() == -1
    searches.sock = None
