"""Finding PVs: whatever else is searched, whoever else answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from caclient import CATimeoutError, Config, Context, connect_all
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster
from tests.faults import FaultServer
from tests.faults.sockets import Tcp
from tests.resilience.watching import Told, eventually, logged, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


def test_address_list_in_all_its_forms(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """T04: host:port, host alone, repeats, names that do not exist, empty variables: the live server is found."""
    server = serve({"x": 1.5})
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", str(server.port))
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"nosuchhost.invalid 127.0.0.1 127.0.0.1:{server.port} a,b 127.0.0.1:1x")
    monkeypatch.setenv("EPICS_CA_NAME_SERVERS", "")
    monkeypatch.setenv("EPICS_CA_CONN_TMO", "")
    with logged() as messages, Context() as context:
        assert context.pv("x").get() == 1.5
        assert context._home.searches.destinations == [("127.0.0.1", server.port)]
        assert context.config.conn_timeout == 30.0
        eventually(lambda: len(messages) >= 2)
    assert any("a,b" in message for message in messages)
    assert len([r for r in server.searches if r.name == "x"]) == 1


def test_a_host_name_that_resolves_late_is_searched(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """T04: host names are looked up without delaying those who are found by number."""
    server = serve({"x": 1.5})
    monkeypatch.setattr("caclient.engine.lookups.resolve", lambda host: "127.0.0.1")
    with Context(addr_list=[f"an-ioc:{server.port}"], repeater_port=0) as context:
        assert context.pv("x").get() == 1.5


def test_arguments_mean_what_the_variables_mean(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve({"x": 1.5})
    settings = {
        "EPICS_CA_ADDR_LIST": f"127.0.0.1:{server.port}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(server.port),
        "EPICS_CA_NAME_SERVERS": f"127.0.0.1:{server.tcp_port}",
        "EPICS_CA_MCAST_TTL": "7",
        "EPICS_CA_MAX_SEARCH_PERIOD": "120",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with Context() as by_environment:
        config = by_environment.config
        assert by_environment.pv("x").get() == 1.5
        assert by_environment._home.searches.sock is not None
        ttl = by_environment._home.searches.sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL)
        assert ttl == 7
    for name in settings:
        monkeypatch.delenv(name)
    with Context(
        addr_list=[server.address],
        server_port=server.port,
        name_servers=[server.tcp_address],
        mcast_ttl=7,
        max_search_period=120.0,
        repeater_port=config.repeater_port,
    ) as by_arguments:
        assert by_arguments.config.replace(cas_server_port=config.cas_server_port) == config
        assert by_arguments.pv("x").get() == 1.5


def test_names_made_in_a_loop_share_full_datagrams(serve: Serve, connect: Connect) -> None:
    server = serve({f"device:{number}:value": float(number) for number in range(1000)})
    context = connect(server)
    pvs = [context.pv(f"device:{number}:value") for number in range(1000)]
    assert all(pv.wait_for_connection(10) for pv in pvs)
    assert len(server.searches) / context._home.searches.datagrams_sent > 5  # 40 names fit one, retries included


def test_ten_thousand_dead_names_do_not_slow_a_live_one(serve: Serve, connect: Connect) -> None:
    """T53's smaller sister: live PVs are not throttled by dead ones."""
    server = serve({"live": 1.0, "late": 2.0})
    context = connect(server)
    dead = [context.pv(f"dead:{number}", auto_monitor=False) for number in range(10_000)]
    assert context.pv("live").wait_for_connection(5)
    eventually(lambda: len({request.name for request in server.searches}) > 9_900, timeout=30)
    with within(3.0):
        assert context.pv("late").get() == 2.0
    with within(1.0), pytest.raises(CATimeoutError, match="searches sent"):
        dead[0].get(timeout=0.2)
    report = context.report()
    assert report.channels["searching"] == 10_000
    assert len(report.searching) == 10_000


def test_first_answer_wins_and_one_warning_names_both(serve: Serve, connect: Connect, monkeypatch: Any) -> None:
    monkeypatch.setattr("caclient.client.names.local_addresses", lambda: {"10.9.9.9"})
    first, second = serve({"x": 1.0, "y": 1.0}), serve({"x": 2.0})
    second.delay("search", 0.1)
    with logged() as messages:
        context = connect(first, second)
        x, y = context.pv("x"), context.pv("y")
        assert (x.get(), y.get()) == (1.0, 1.0)
        eventually(lambda: messages)
        second.wait_until(lambda: len(second.searches) >= 2)
        assert list(context.report().duplicates) == ["x"]
        assert x.host == f"127.0.0.1:{first.tcp_port}"
    assert messages == [f"'x' is served twice: using 127.0.0.1:{first.tcp_port}, ignoring 127.0.0.1:{second.tcp_port}"]


def test_a_second_answer_of_the_same_server_is_no_duplicate(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0, "y": 2.0})
    server.duplicate("search", times=None, copies=3)
    with logged() as messages:
        context = connect(server)
        x, y = context.pv("x"), context.pv("y")
        assert (x.get(), y.get()) == (1.0, 2.0)
        assert (server.circuits, server.channels) == (1, 2)
    assert not messages


def test_the_same_ioc_by_two_addresses_is_one(serve: Serve) -> None:
    """One server that is heard from two addresses of this machine: one circuit for the PV, no warning."""
    server = serve({"x": 1.0})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, logged() as messages:
        other.bind(("127.0.0.2", 0))
        other.settimeout(5)
        config = server.client_config(addr_list=(server.address, other.getsockname()))
        with Context(config) as context:
            pv = context.pv("x")
            datagram, client = other.recvfrom(2048)
            (search,) = Broadcaster(our_role=ca.SERVER).receive(datagram, client)[-1:]
            assert pv.get() == 1.0
            reply = ca.SearchResponse(server.tcp_port, "127.0.0.2", search.cid)
            before = context._home.searches.datagrams_received
            other.sendto(Broadcaster(our_role=ca.SERVER).send(reply), client)
            eventually(lambda: context._home.searches.datagrams_received > before)
            assert context.report().duplicates == {}
            assert server.circuits == 1
    assert not messages


def test_a_lost_datagram_is_asked_again(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    server.drop("search", times=3)
    with within(1.0):
        assert connect(server).pv("x").get() == 1.0
    assert len(server.searches) == 4


def test_replies_that_lie_are_dropped_or_end_at_their_own_door(serve: Serve, connect: Connect) -> None:
    """Rubbish, ids that nobody asked for, a port where nobody is: the honest answer is still taken."""
    liar, honest = serve({"x": 6.66}), serve({"x": 1.0, "y": 2.0})
    liar.search_port = 1
    context = connect(liar, honest)
    x, y = context.pv("x"), context.pv("y")
    assert y.get() == 2.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        where = ("127.0.0.1", context._home.searches.sock.getsockname()[1])
        for rubbish in (b"", b"x", b"\xff" * 64, ca.SearchResponse(1, None, 0xFFFFFFF0).to_bytes(), bytes(1500)):
            sock.sendto(rubbish, where)
    assert eventually(lambda: context._home.searches.rubbish)
    assert x.get() == 1.0
    assert y.connected


def test_a_timeout_says_where_it_was_searched(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    context = connect(server)
    with pytest.raises(CATimeoutError, match=r"searching: 'nobody' not connected after 0\.\d+ s: .* searches sent to "):
        context.pv("nobody").get(timeout=0.2)
    with pytest.raises(CATimeoutError, match=rf"no reply: 'nobody' .* sent to 127.0.0.1:{server.port}"):
        context.pv("nobody").put(1, timeout=0.6)


def test_no_address_at_all_is_said() -> None:
    """Nothing to search, as with an empty list and no interface: a timeout that says so, and no exception before."""
    with Context(Config.isolated()) as context:
        pv = context.pv("x")
        eventually(lambda: context.report().searching)
        with pytest.raises(CATimeoutError, match=r"no address: 'x' .*there is nowhere to search"):
            pv.get(timeout=0.1)


def test_connect_all_has_one_deadline(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve({f"live:{number}": 1.0 for number in range(100)})
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{server.port}")
    names = [f"live:{number}" for number in range(100)] + [f"dead:{number}" for number in range(100)]
    began = time.monotonic()
    result = connect_all(names, timeout=0.5)
    assert time.monotonic() - began < 1.5
    assert (len(result), len(result.failed)) == (100, 100)
    assert f"sent to 127.0.0.1:{server.port}" in str(result.failed["dead:7"])


def test_connection_callbacks_come_once_for_one_server(serve: Serve, connect: Connect) -> None:
    server, told = serve({"x": 1.0}), Told()
    server.duplicate("search", copies=5)
    pv = connect(server).pv("x", connection_callback=told)
    pv.get()
    told.wait_for(True)


@pytest.mark.parametrize("tcp", [Tcp.SILENT, Tcp.NEVER])
def test_an_answer_that_leads_nowhere_does_not_hold_a_name(serve: Serve, connect: Connect, tcp: Tcp) -> None:
    """A wrong or forged answer names a port that accepts connections and says nothing: the name is asked for on."""
    silent, honest = serve({"x": 6.66}, tcp=tcp), serve({"x": 1.0})
    honest.drop("search", times=1)
    pv = connect(silent, honest).pv("x")
    assert pv.get(timeout=5.0) == 1.0
    assert pv.host == f"127.0.0.1:{honest.tcp_port}"
