"""PVs that come, go, come again and are shared: nothing is left, and nobody is told what is not meant for him."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest

from caclient import CATimeoutError, Context, ContextClosedError, DisconnectedError
from caclient.client.channel import Channel
from caclient.client.subscription import Monitor
from caclient.ioc import Record
from tests.faults import FaultServer
from tests.leftovers import Snapshot
from tests.resilience.watching import Told, eventually, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


def test_disconnect_and_a_new_pv_of_the_same_name(serve: Serve, connect: Connect) -> None:
    """T14: at once, any number of times."""
    server = serve({"x": 1.5})
    context = connect(server)
    for _ in range(20):
        pv = context.pv("x")
        assert pv.get() == 1.5
        pv.disconnect()
    assert context.pv("x").get() == 1.5


def test_disconnect_stops_all_callbacks(serve: Serve, connect: Connect) -> None:
    """T14: of values, connections and rights, though another PV keeps the channel alive."""
    server = serve({"x": 1.5})
    context = connect(server)
    told, other = Told(), Told()
    pv = context.pv("x", connection_callback=told, access_callback=told, callback=told)
    keeps = context.pv("x", callback=other)
    told.wait_until(lambda items: len(items) >= 3)
    other.wait_until(bool)
    pv.disconnect()
    before = len(told.items)
    server["x"].post(2.0)
    server.set_access("x", "r")
    other.wait_until(lambda items: items[-1]["value"] == 2.0)
    seen = len(other.items)
    server.drop_clients()
    other.wait_until(lambda items: len(items) > seen)
    eventually(lambda: keeps.connected and not keeps.write_access)
    assert len(told.items) == before
    with pytest.raises(DisconnectedError, match="has been closed"):
        pv.get()


PUTS = 5_000


def slow_server(serve: Serve) -> tuple[FaultServer, list[float]]:
    """A server that takes its time for a put, and answers each with an update."""
    taken: list[float] = []
    pause = threading.Event()

    def take(_record: Record, value: float) -> None:
        pause.wait(0.0002)
        taken.append(value)

    return serve([Record("x", 0.0, on_put=take)]), taken


def test_what_was_put_before_the_close_arrives_though_updates_lie_unread(serve: Serve, connect: Connect) -> None:
    """A reset takes from the server what it has not read yet: 120 of 5,000 arrived."""
    server, taken = slow_server(serve)
    context = connect(server)
    pv, told = context.pv("x"), Told()
    pv.subscribe(told)
    told.wait_until(lambda items: len(items) >= 1)
    for number in range(PUTS):
        pv.put(float(number))
    context.close()
    eventually(lambda: len(taken) == PUTS)
    assert taken == [float(number) for number in range(PUTS)]


def test_what_was_put_before_its_context_was_dropped_arrives(serve: Serve) -> None:
    server, taken = slow_server(serve)
    pv = Context(server.client_config()).pv("x")
    assert pv.get() == 0.0
    for number in range(PUTS):
        pv.put(float(number))
    home = pv._home
    del pv
    home.close()
    eventually(lambda: len(taken) == PUTS)


def test_closing_a_dead_pv_never_blocks(serve: Serve, connect: Connect) -> None:
    """T14: never connected, its server stalled, its server gone."""
    server = serve({"x": 1.5})
    context = connect(server)
    dead, x, y = context.pv("dead"), context.pv("x"), context.pv("x", priority=1)
    for pv in (dead, x, y):
        pv.add_callback(lambda **_: None)
    assert (x.get(), y.get()) == (1.5, 1.5)
    server.stall()
    with within(3.0):
        x.clear_callbacks()
        x.disconnect()
        dead.disconnect()
    server.resume()
    server.stop()
    with within(3.0):
        y.disconnect()


def test_connection_callbacks_get_both_edges_in_order(serve: Serve, connect: Connect) -> None:
    """T15: also those that are added when the PV is connected already, and while it comes and goes."""
    server = serve({"x": 1.5})
    context = connect(server)
    early, late, many = Told(), Told(), [Told() for _ in range(20)]
    pv = context.pv("x", connection_callback=early)
    pv.get()
    pv.add_connection_callback(late)
    late.wait_for(True)
    for number in range(5):
        for told in many[4 * number : 4 * number + 4]:
            pv.add_connection_callback(told)
        server.drop_clients()
        early.wait_until(lambda items, n=number: len(items) == 2 * n + 3)
        assert pv.wait_for_connection(5)
    wanted = [True] + [False, True] * 5
    early.wait_for(*wanted)
    late.wait_for(*wanted)
    for told in many:
        told.wait_until(lambda items: items[-1:] == [True])
        assert all(one is not other for one, other in zip(told.items, told.items[1:], strict=False))


def test_two_pvs_share_a_channel_and_one_is_closed(serve: Serve, connect: Connect) -> None:
    """T16: the other goes on; the channel is cleared with the last."""
    server = serve({"x": 1.5})
    context = connect(server)
    first_told, second_told = Told(), Told()
    first, second = context.pv("x", callback=first_told), context.pv("x", callback=second_told)
    assert (first.get(), second.get()) == (1.5, 1.5)
    assert (server.channels, server.subscriptions) == (1, 1)
    first.close()
    first.close()
    server["x"].post(2.0)
    second_told.wait_until(lambda items: items and items[-1]["value"] == 2.0)
    assert 2.0 not in [item["value"] for item in first_told.items]
    assert second.get(use_monitor=False) == 2.0
    second.close()
    eventually(lambda: server.channels == 0)
    assert server.errors == []


def test_churn_leaves_nothing_behind(serve: Serve, connect: Connect) -> None:
    """T31: 20,000 PVs made and dropped in every state; objects, threads, descriptors, server channels as before."""
    server = serve({"x": 1.5, "y": 2.5})
    context = connect(server)
    keeps = context.pv("y")
    keeps.get()

    def churn(rounds: int) -> None:
        for number in range(rounds):
            pv = context.pv("x" if number % 4 else f"dead:{number}", priority=number % 2)
            if number % 16 == 1:
                pv.add_callback(lambda **_: None)
                pv.wait_for_connection(5)
                pv.close()
            if number % 64 == 2:
                pv.get(timeout=5)

    def objects() -> tuple[int, int]:
        gc.collect()
        runtime, everything = context._home.runtime, gc.get_objects()
        channels = [each for each in everything if type(each) is Channel and each.runtime is runtime]
        monitors = [each for each in everything if type(each) is Monitor and each.channel.runtime is runtime]
        return len(channels), len(monitors)

    churn(100)
    eventually(lambda: server.channels == 1)
    before = Snapshot.now()
    churn(20_000)
    del server.received[:], server.searches[:]
    eventually(lambda: (server.channels, server.subscriptions) == (1, 1))
    eventually(lambda: context.report().channels == {"ready": 1})
    assert len(context._home.searches.schedule) == 0
    assert keeps.get(use_monitor=False) == 2.5
    eventually(lambda: objects() == (1, 1))
    eventually(lambda: len(context._home.pool.circuits) == 1)
    assert [left for left in before.left_behind(6.0) if "lane" not in left] == []


def test_a_context_closes_twice_and_says_so(serve: Serve, connect: Connect) -> None:
    """T27: those who wait are told at once; later callers too; pending puts have gone out."""
    server = serve({"x": 1.5})
    context = connect(server)
    x, dead, failures = context.pv("x"), context.pv("dead"), Told()
    x.get()
    server.drop("read")

    def fails(call: Callable[[], object]) -> None:
        try:
            call()
        except (ContextClosedError, DisconnectedError) as error:
            failures(type(error).__name__)

    threads = [
        threading.Thread(target=fails, args=(call,))
        for call in (
            lambda: dead.get(timeout=30),
            lambda: x.get(timeout=30, use_monitor=False),
            lambda: next(dead.updates(timeout=30)),
        )
    ]
    for thread in threads:
        thread.start()
    server.wait_for(lambda command: type(command).__name__ == "ReadNotifyRequest")
    for number in range(1000):
        x.put(float(number))
    with within(3.0):
        context.close()
        context.close()
    for thread in threads:
        thread.join(5)
    assert failures.items.count("ContextClosedError") >= 2 and len(failures.items) == 3
    eventually(lambda: server["x"].value == 999.0)
    with pytest.raises(ContextClosedError, match="'x': the context has been closed"):
        x.get()
    with pytest.raises(ContextClosedError):
        context.pv("new")


def test_nothing_connected_is_a_timeout_not_none(connect: Connect, serve: Serve) -> None:
    pv = connect(serve({})).pv("x")
    for call in (lambda: pv.get(timeout=0.01), lambda: pv.read(timeout=0.01), lambda: pv.put(1, timeout=0.01)):
        with pytest.raises(CATimeoutError):
            call()
