"""Real networks: broadcasts over several interfaces, links that go down and come back, two IOCs on one host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from caclient import Config, Context
from caclient.ioc import IOC, Record
from tests.interop.namespaces import Network, unavailable
from tests.resilience.watching import Told, eventually, logged, within

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

QUICK = {"conn_timeout": 0.5, "echo_timeout": 0.5}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def network(stack: ExitStack) -> Network:
    """A desk and two hosts of IOCs; cables are for the test to plug."""
    return stack.enter_context(Network("desk", "one", "two"))


@pytest.fixture
def ioc(network: Network, stack: ExitStack) -> Callable[..., IOC]:
    """An IOC on a host, with the ports and the broadcasts that EPICS has by default."""

    def started(host: str, *records: Record, **settings: Any) -> IOC:
        with network.inside(host):
            return stack.enter_context(IOC(records, Config(**settings)))

    return started


@pytest.fixture
def client(network: Network, stack: ExitStack) -> Callable[..., Context]:
    """A context at the desk, as the empty environment makes it."""

    def made(**settings: Any) -> Context:
        with network.inside("desk"):
            return stack.enter_context(Context(Config(**settings)))

    return made


Ioc = Callable[..., IOC]
Client = Callable[..., Context]


def test_broadcasts_go_out_on_every_interface(network: Network, ioc: Ioc, client: Client) -> None:
    network.plug("desk", "one", "10.77.1")
    network.plug("desk", "two", "10.77.2")
    ioc("one", Record("first", 1.0))
    ioc("two", Record("second", 2.0))
    context = client()
    assert (context.pv("first").get(), context.pv("second").get()) == (1.0, 2.0)
    assert sorted(context.report().destinations) == ["10.77.1.255:5064", "10.77.2.255:5064"]


def test_two_iocs_on_one_host_are_both_reached_by_broadcast(network: Network, ioc: Ioc, client: Client) -> None:
    """They share the UDP port; the second has circuits on another one."""
    network.plug("desk", "one", "10.77.1")
    first, second = ioc("one", Record("first", 1.0)), ioc("one", Record("second", 2.0))
    assert (first.port, second.port) == (5064, 5064)
    assert first.tcp_port != second.tcp_port
    context = client()
    one, two = context.pv("first"), context.pv("second")
    assert (one.get(), two.get()) == (1.0, 2.0)
    assert {one.host, two.host} == {f"10.77.1.2:{first.tcp_port}", f"10.77.1.2:{second.tcp_port}"}


def test_a_link_that_goes_down_and_comes_back(network: Network, ioc: Ioc, client: Client) -> None:
    """T13: half open for a while, with unacknowledged puts; told, then back with a fresh value, others unaffected."""
    network.plug("desk", "one", "10.77.1")
    network.plug("desk", "two", "10.77.2")
    server = ioc("one", Record("first", 1.0))
    ioc("two", Record("second", 2.0))
    context = client(**QUICK)
    connection, readings, other = Told(), Told(), Told()
    first = context.pv("first", connection_callback=connection)
    second = context.pv("second", connection_callback=other)
    first.subscribe(readings)
    readings.wait_until(len)
    assert second.get() == 2.0
    network.link("desk", "one", "down")
    first.put(5.0)
    connection.wait_for(True, False)
    assert (first.value, second.get(use_monitor=False)) == (1.0, 2.0)
    server["first"].post(7.0)
    network.link("desk", "one", "up")
    connection.wait_until(lambda items: items[-1] is True and len(items) >= 3, timeout=20)
    readings.wait_until(lambda _: readings.values[-1] in (5.0, 7.0) and len(readings.values) > 1, timeout=20)
    server["first"].post(8.0)
    readings.wait_until(lambda _: readings.values[-1] == 8.0, timeout=20)
    assert readings.values.count(8.0) == 1
    assert other.items == [True]


def test_a_host_that_is_restarted_while_the_link_is_down(network: Network, ioc: Ioc, client: Client) -> None:
    """T13: the old connection never ended as far as we can know; the new IOC is found all the same."""
    network.plug("desk", "one", "10.77.1")
    server = ioc("one", Record("first", 1.0))
    connection = Told()
    pv = client(**QUICK).pv("first", connection_callback=connection)
    assert pv.get() == 1.0
    network.link("one", "desk", "down")
    connection.wait_for(True, False)
    server.stop()
    server["first"].post(2.0)
    with network.inside("one"):
        server.start(tcp_port=0)
    network.link("one", "desk", "up")
    connection.wait_until(lambda items: items[-1] is True and len(items) >= 3, timeout=20)
    assert pv.get(use_monitor=False) == 2.0


def test_an_interface_that_appears_later_is_searched(
    network: Network, ioc: Ioc, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a VPN comes up: names that wait are asked for there."""
    monkeypatch.setattr("caclient.engine.searches._REFRESH", 0.2)
    network.plug("desk", "one", "10.77.1")
    context = client()
    pv = context.pv("second")
    eventually(lambda: context._home.searches.datagrams_sent > 3)
    network.plug("desk", "two", "10.77.2")
    ioc("two", Record("second", 2.0))
    assert pv.wait_for_connection(20)
    assert pv.host == "10.77.2.2:5064"


def test_no_network_at_all_is_loopback(network: Network, ioc: Ioc, client: Client) -> None:
    """A laptop on a train: an IOC on the same machine is found, and beacons are heard."""
    ioc("desk", Record("here", 1.0), beacon_addr_list="127.0.0.1", beacon_period=0.2)
    context = client()
    pv = context.pv("here")
    assert pv.get() == 1.0
    assert context.report().destinations == ("127.0.0.1:5064",)
    eventually(lambda: context.report().beacons_from == 1)
    assert context.report().repeater == "serving"


def test_an_interface_without_a_route_is_told_once_and_hurts_nobody(network: Network, ioc: Ioc, client: Client) -> None:
    network.plug("desk", "one", "10.77.1")
    ioc("one", Record("first", 1.0))
    with logged("caclient.search") as messages:
        context = client(addr_list="10.99.99.99:5064")
        pv, dead = context.pv("first"), context.pv("nobody")
        assert pv.get() == 1.0
        eventually(lambda: messages)
        assert not dead.connected
        eventually(lambda: context._home.searches.schedule.attempts(dead.channel.cid).asks > 3)
    assert len(messages) == 1 and "10.99.99.99:5064" in messages[0]
    assert list(context.report().search_failures) == ["10.99.99.99:5064"]


def test_beacons_of_a_restarted_ioc_bring_its_pvs_back_at_once(network: Network, ioc: Ioc, client: Client) -> None:
    """The back-off has grown long; an anomaly shortens it. Beacons come by broadcast, through our own repeater."""
    network.plug("desk", "one", "10.77.1")
    server = ioc("one", Record("first", 1.0), beacon_period=0.3)
    context = client()
    pv = context.pv("first")
    assert pv.get() == 1.0
    eventually(lambda: context._home.searches.beacons.period(("10.77.1.2", 5064)))
    connection = Told()
    pv.add_connection_callback(connection)
    connection.wait_for(True)
    server.stop()
    connection.wait_for(True, False)
    eventually(lambda: context._home.searches.schedule.attempts(pv.channel.cid).asks >= 7)
    with network.inside("one"):
        server.start()
    with within(1.0):
        connection.wait_for(True, False, True)
