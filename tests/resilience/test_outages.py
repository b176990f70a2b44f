"""Servers that hang, go and come back: noticed, told, searched elsewhere, and watched again once and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caclient import PV, CATimeoutError, Context, DisconnectedError
from caclient.config import Config
from caclient.dbr import ChannelType
from caclient.ioc import IOC, Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer, Tcp
from tests.resilience.conftest import QUICK
from tests.resilience.watching import Told, eventually, logged, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


def watch(context: Context, name: str = "x") -> tuple[PV, Told, Told]:
    """A connected PV, what its connection callback is told, and its subscription."""
    connection, readings = Told(), Told()
    pv = context.pv(name, connection_callback=connection)
    pv.subscribe(readings)
    connection.wait_for(True)
    readings.wait_until(len)
    return pv, connection, readings


def test_unresponsive_and_back_without_a_disconnect(serve: Serve, connect: Connect) -> None:
    """T10: an echo after conn_timeout, unresponsive echo_timeout later; the same circuit and subscription go on."""
    server = serve({"x": 1.0})
    pv, connection, readings = watch(connect(server, **QUICK))
    server.stall()
    with within(2.0):
        connection.wait_for(True, False)
    assert (pv.connected, pv.value) == (False, 1.0)
    with pytest.raises(CATimeoutError, match="keeps the connection, but has said nothing"):
        pv.get(timeout=0.05)
    server["x"].post(2.0)
    server.resume()
    connection.wait_for(True, False, True)
    readings.wait_until(lambda _: readings.values[-1] == 2.0)
    assert pv.get() == 2.0
    assert len(server.of(ca.VersionRequest)) == len(server.of(ca.EventAddRequest)) == 1
    server["x"].post(3.0)
    readings.wait_until(lambda _: readings.values.count(3.0) == 1)
    assert readings.values[-1] == 3.0


def test_what_waits_is_told_when_the_server_hangs(serve: Serve, connect: Connect) -> None:
    """A read, and a put that waits for completion, end when the circuit is unresponsive, long before their timeout."""
    server = serve({"x": 1.0})
    pv = connect(server, **QUICK).pv("x", auto_monitor=False)
    assert pv.get() == 1.0
    server.stall()
    with within(2.0), pytest.raises(DisconnectedError, match=r"'x' is not connected: .* unresponsive"):
        pv.get(timeout=30)
    server.resume()
    assert pv.wait_for_connection(10)
    server.stall()
    with within(2.0), pytest.raises(DisconnectedError, match="unresponsive"):
        pv.put(2.0, wait=True)
    server.resume()


def test_unresponsive_and_found_elsewhere(serve: Serve, connect: Connect) -> None:
    """T10, T11: the PV moves; the old server, when it wakes up, is told to forget it, and says nothing any more."""
    old, new = serve({"x": 1.0, "stays": 5.0}), serve({})
    context = connect(old, new, **QUICK)
    pv, connection, readings = watch(context)
    stays = watch(context, "stays")[1]
    old.stall()
    connection.wait_for(True, False)
    new.database.add(Record("x", 10.0))
    connection.wait_for(True, False, True)
    assert pv.host == f"127.0.0.1:{new.tcp_port}"
    readings.wait_until(lambda _: readings.values[-1] == 10.0)
    old["x"].post(2.0)
    old.resume()
    stays.wait_for(True, False, True)
    eventually(lambda: old.channels == 1)
    old["x"].post(3.0)
    new["x"].post(11.0)
    readings.wait_until(lambda _: readings.values[-1] == 11.0)
    assert {2.0, 3.0}.isdisjoint(readings.values)
    assert pv.get(use_monitor=False) == 11.0
    assert len(new.of(ca.EventAddRequest)) == 1


def test_a_circuit_that_all_have_left_is_closed(serve: Serve, connect: Connect) -> None:
    old, new = serve({"x": 1.0}), serve({})
    context = connect(old, new, **QUICK)
    _, connection, _ = watch(context)
    old.stall()
    connection.wait_for(True, False)
    new.database.add(Record("x", 10.0))
    connection.wait_for(True, False, True)
    eventually(lambda: [circuit.address for circuit in context.report().circuits] == [("127.0.0.1", new.tcp_port)])


def test_a_server_that_only_answers_searches_loses_its_circuit(serve: Serve, connect: Connect) -> None:
    """T13: its old connection is half open (as after a power cut): given up as soon as the server is heard again."""
    server = serve({"x": 1.0})
    context = connect(server, **QUICK)
    pv, connection, readings = watch(context)
    server.stall_circuits()
    connection.wait_for(True, False)
    connection.wait_for(True, False, True, timeout=8)
    server["x"].post(2.0)
    readings.wait_until(lambda _: readings.values[-1] == 2.0)
    assert len(server.of(ca.VersionRequest)) == 2
    assert pv.get(use_monitor=False) == 2.0


def test_a_channel_that_a_hanging_server_never_creates_is_searched_elsewhere(serve: Serve, connect: Connect) -> None:
    """T03, T10: TCP accepts, CREATE_CHAN goes unanswered; the PV is taken from another server that comes up later."""
    silent, new = serve({"x": 1.0}, tcp=Tcp.SILENT), serve({})
    context = connect(silent, new, **QUICK)
    pv = context.pv("x")
    eventually(lambda: pv.channel.state.value == "unresponsive")
    new.database.add(Record("x", 10.0))
    with within(5.0):
        assert pv.get(timeout=5) == 10.0


def test_a_channel_created_after_all_is_cleared_where_it_is_not_used(serve: Serve, connect: Connect) -> None:
    old, new = serve({"first": 0.0, "x": 1.0}), serve({})
    context = connect(old, new, **QUICK)
    first = watch(context, "first")[1]
    old.drop("create", skip=0)
    x = context.pv("x")
    old.wait_for(lambda command: isinstance(command, ca.CreateChanRequest) and command.name == "x")
    old.stall()
    eventually(lambda: x.channel.state.value == "unresponsive")
    new.database.add(Record("x", 10.0))
    assert x.get(timeout=5) == 10.0
    old.resume()
    first.wait_for(True, False, True)
    assert x.get(use_monitor=False) == 10.0


def test_a_pv_made_while_its_server_hangs_connects_when_it_is_back(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0, "y": 2.0})
    context = connect(server, **QUICK)
    _, connection, _ = watch(context)
    server.stall_circuits()
    connection.wait_for(True, False)
    y = context.pv("y")
    assert y.wait_for_connection(8)
    assert y.get() == 2.0


def test_subscribing_and_unsubscribing_while_the_server_hangs(serve: Serve, connect: Connect) -> None:
    """T05, T12: afterwards the server has exactly the subscriptions that are wanted."""
    server = serve({"x": 1.0})
    context = connect(server, **QUICK)
    pv, connection, readings = watch(context)
    with pv.subscribe(lambda _reading: None, mask=2):
        server.wait_for(ca.EventAddRequest, count=2)
        server.stall()
        connection.wait_for(True, False)
    later = Told()
    pv.subscribe(later, mask=1)
    server.resume()
    connection.wait_for(True, False, True)
    later.wait_until(lambda items: items)
    server.wait_for(ca.EventCancelRequest)
    eventually(lambda: server.subscriptions == 2)
    server["x"].post(7.0)
    later.wait_until(lambda _: later.values.count(7.0) == 1)
    readings.wait_until(lambda _: readings.values.count(7.0) == 1)


def test_a_pv_closed_while_its_server_hangs_leaves_no_channel(serve: Serve, connect: Connect) -> None:
    """T05, T31: and no 'bad resource ID' either."""
    server = serve({"x": 1.0, "stays": 2.0})
    context = connect(server, **QUICK)
    connection = Told()
    pv = context.pv("x", connection_callback=connection)
    stays = watch(context, "stays")[1]
    server.stall()
    connection.wait_for(True, False)
    pv.close()
    server.resume()
    stays.wait_for(True, False, True)
    eventually(lambda: server.channels == 1)
    assert server.errors == []


def test_the_server_disconnects_one_channel(serve: Serve, connect: Connect) -> None:
    """SERVER_DISCONN: that PV is told and found again, with one subscription; the other notices nothing."""
    server = serve({"x": 1.0, "y": 2.0})
    context = connect(server)
    x, connection, readings = watch(context)
    other = watch(context, "y")[1]
    server["x"].post(3.0)
    server.disconnect_channel("x")
    connection.wait_for(True, False, True)
    readings.wait_until(lambda _: len(readings.values) >= 3)
    assert x.get(use_monitor=False) == 3.0
    assert other.items == [True]
    assert (server.circuits, server.channels, server.subscriptions) == (1, 2, 2)


def test_a_request_on_a_channel_that_the_server_removes_ends_at_once(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    pv = connect(server).pv("x", auto_monitor=False)
    pv.get()
    server.drop("read")
    threading.Timer(0.1, server.disconnect_channel, ("x",)).start()
    with within(2.0), pytest.raises(DisconnectedError, match="removed the channel"):
        pv.get(timeout=20)


def test_refused_and_then_created(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """CREATE_CH_FAIL: told in a timeout, tried again later, and then as if nothing had been."""
    monkeypatch.setattr("caclient.client.channel._REFUSED", 0.2)
    server = serve({"x": 1.0, "y": 2.0})
    server.refuse_channel("x")
    context = connect(server)
    x, y = context.pv("x"), context.pv("y")
    assert y.get() == 2.0
    with pytest.raises(CATimeoutError, match=r"^not created: .* answered the search, but would not create the channel"):
        x.get(timeout=0.1)
    server.accept_channel("x")
    assert x.get() == 1.0


@pytest.mark.parametrize("ending", ["reset", "close", "stall"])
@pytest.mark.parametrize("messages", range(1, 8))
def test_a_connection_that_ends_at_any_message(serve: Serve, connect: Connect, messages: int, ending: str) -> None:
    """Behind the greeting, the rights, the creation, the first update, the first reply: all is well in the end."""
    server = serve({"x": 1.0})
    server.fault("any", _then(ending), times=1, skip=messages - 1)
    context = connect(server, **QUICK)
    connection, readings = Told(), Told()
    pv = context.pv("x", connection_callback=connection)
    pv.subscribe(readings)
    connection.wait_until(lambda items: items)
    for _ in range(6):
        try:
            pv.get(use_monitor=False, timeout=0.5)
        except (DisconnectedError, CATimeoutError):
            server.resume()
    server.resume()
    eventually(lambda: pv.connected)
    server["x"].post(9.0)
    readings.wait_until(lambda _: readings.values[-1:] == [9.0])
    server["x"].post(10.0)
    readings.wait_until(lambda _: readings.values.count(10.0) == 1)
    eventually(lambda: server.subscriptions == 1)
    assert connection.items[-1] is True


def _then(ending: str) -> Any:
    return lambda parcel: replace(parcel, then=ending)


def ioc_config(ioc: IOC, *ports: int, **settings: Any) -> Config:
    return Config.isolated(addr_list=(ioc.address, *(("127.0.0.1", port) for port in ports)), **settings)


@pytest.mark.parametrize("other_port", [False, True])
def test_several_restarts_one_subscription_and_a_fresh_value_each(other_port: bool) -> None:
    """T11, T12: on the same or another TCP port; a long outage does not make the next one longer."""
    ioc = IOC([Record("x", 0.0)], Config.isolated())
    with ioc, Context(ioc_config(ioc)) as context:
        _, connection, readings = watch(context)
        for number, outage in enumerate((0.05, 1.5, 0.05), start=1):
            ioc.stop()
            connection.wait_until(lambda items, n=number: len(items) == 2 * n)
            ioc["x"].post(float(number))
            threading.Event().wait(outage)
            ioc.start(tcp_port=0 if other_port else None)
            began = time.monotonic()
            connection.wait_until(lambda items, n=number: len(items) == 2 * n + 1)
            assert time.monotonic() - began < max(1.0, 2 * outage)
            readings.wait_until(lambda _, n=number: readings.values[-1] == float(n))
        assert connection.items == [True, False] * 3 + [True]
        assert readings.values == [0.0, 1.0, 2.0, 3.0]  # one fresh value each, none repeated
        ioc["x"].post(99.0)
        readings.wait_until(lambda _: readings.values[-1] == 99.0)
        assert readings.values.count(99.0) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [(1.0, 7), (1.0, "text"), (1.0, np.arange(4.0)), (np.arange(4.0), 2.5), (np.arange(4.0), np.arange(9)), ("a", 1.5)],
    ids=["double-long", "double-string", "scalar-array", "array-scalar", "longer", "string-double"],
)
def test_type_or_count_changes_over_a_restart(before: Any, after: Any) -> None:
    """T07: subscribed all the while; the next reading, and every attribute, is of the new kind."""
    ioc = IOC([Record("x", before)], Config.isolated())
    with ioc, Context(ioc_config(ioc)) as context:
        pv, connection, readings = watch(context)
        ioc.stop()
        ioc.database.add(record := Record("x", after))
        ioc.start()
        connection.wait_for(True, False, True)
        readings.wait_until(lambda _: np.array_equal(readings.values[-1], after))
        assert (pv.channel.native_type, pv.count) == (ChannelType(record.native), record.capacity)
        assert np.array_equal(pv.get(use_monitor=False), after)
        pv.put(after, wait=True, timeout=5)


def test_an_outage_longer_than_the_back_off_of_its_attempts(serve: Serve, connect: Connect) -> None:
    """Searched until it is back; a short outage after a long one takes a short time again."""
    server = FaultServer({"x": 1.0})
    with server:
        _, connection, _ = watch(connect(server))
        server.stop()
        connection.wait_for(True, False)
        threading.Event().wait(2.0)
        server.start()
        connection.wait_for(True, False, True, timeout=6)
        server.stop(reset=True)
        connection.wait_for(True, False, True, False)
        server.start()
        with within(1.0):
            connection.wait_for(True, False, True, False, True)


def test_an_outage_is_not_noise(serve: Serve, connect: Connect) -> None:
    server = serve({f"x{n}": 1.0 for n in range(50)})
    with logged() as messages:
        context = connect(server, **QUICK)
        pvs = [context.pv(f"x{n}") for n in range(50)]
        assert all(pv.wait_for_connection(5) for pv in pvs)
        server.drop_clients(reset=True)
        eventually(lambda: all(pv.connected for pv in pvs) and len(server.of(ca.VersionRequest)) == 2)
    assert messages == []
