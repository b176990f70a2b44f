"""User code in callbacks: it blocks, raises, floods, changes its mind; and everything else goes on."""

from __future__ import annotations

import functools
import gc
import logging
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from caclient import PV, Context
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer
from tests.resilience.watching import Told, eventually, logged, resident, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]
BLOCKED = 40
"""Callbacks that block at the same time: many more than there are workers at first."""


@pytest.fixture
def server(serve: Serve) -> FaultServer:
    return serve({f"x{n}": float(n) for n in range(BLOCKED)} | {"y": 0.0, "z": 0.0})


def test_everything_may_be_done_in_a_value_callback(server: FaultServer, connect: Connect) -> None:
    """T23: get, put(wait=True), new PVs, waiting for them, remove-self; on the same PV and others; all at once."""
    context = connect(server)
    done, failures = Told(), Told()
    other = context.pv("y")

    def busy(pvname: str, cb_info: Any, **_: Any) -> None:
        index, pv = cb_info
        try:
            assert pv.get(use_monitor=False, timeout=5) == float(pvname[1:])
            other.put(1.0, wait=True, timeout=5)
            pv.put(pv.get(), wait=True, timeout=5)
            new = context.pv("z")
            assert new.wait_for_connection(5)
            assert new.get() == 0.0
            new.close()
            pv.remove_callback(index)
            done(pvname)
        except BaseException as error:
            failures(error)
            raise

    with within(5.0):
        pvs = [context.pv(f"x{n}", callback=busy) for n in range(BLOCKED)]
        done.wait_until(lambda items: len(items) == BLOCKED)
    assert failures.items == []
    assert all(pv.callbacks == {} for pv in pvs)


@pytest.mark.parametrize("kind", ["connection_callback", "access_callback", "callback"])
def test_blocking_calls_in_every_kind_of_callback(server: FaultServer, connect: Connect, kind: str) -> None:
    """T23: more blocked callbacks than workers."""
    context = connect(server)
    done, everybody = Told(), threading.Barrier(BLOCKED)

    def busy(*_: Any, **__: Any) -> None:
        other = context.pv("y")
        other.put(2.0, wait=True, timeout=10)
        everybody.wait(20)  # in code of the user's own, which no lane can know of
        done(other.get(timeout=10, use_monitor=False))

    with within(8.0):
        pvs = [context.pv(f"x{n}", **{kind: busy}) for n in range(BLOCKED)]
        done.wait_until(lambda items: len(items) == BLOCKED, timeout=20)
    assert set(done.items) == {2.0}
    assert len(pvs) == BLOCKED


def test_updates_stay_in_order_whatever_other_callbacks_do(server: FaultServer, connect: Connect) -> None:
    context = connect(server)
    block, blocked, told = threading.Event(), Told(), Told()
    pv = context.pv("y")
    pv.subscribe(lambda reading: (blocked(reading), block.wait(20)))
    pv.subscribe(told)
    told.wait_until(len)
    blocked.wait_until(len)
    server.flood("y", 999)
    told.wait_until(lambda items: len(items) == 1000)
    assert told.values == [0.0, *map(float, range(999))]
    assert len(blocked.items) == 1
    block.set()
    blocked.wait_until(lambda items: len(items) == 1000)
    assert blocked.values == told.values


def test_callbacks_that_come_and_go_during_dispatch(server: FaultServer, connect: Connect) -> None:
    """T22: removing oneself, the next one, all; adding one: nobody is skipped or called after it was removed."""
    pv = connect(server).pv("y")
    first, second, third, added = Told(), Told(), Told(), Told()

    def changes(cb_info: Any, **_: Any) -> None:
        index, me = cb_info
        me.remove_callback(index)
        me.remove_callback(indices[1])
        me.add_callback(lambda value, **_: added(value), run_now=True)
        first(True)

    pv.get()
    ready = threading.Event()
    pv.add_callback(lambda **_: ready.wait(10), run_now=True)
    indices = [pv.add_callback(fn, run_now=True) for fn in (changes, lambda value, **_: second(value))]
    pv.add_callback(lambda value, **_: third(value), run_now=True)
    ready.set()
    third.wait_until(len)
    added.wait_until(len)
    server["y"].post(5.0)
    third.wait_until(lambda items: items[-1] == 5.0)
    added.wait_until(lambda items: items[-1] == 5.0)
    assert len(first.items) == 1
    assert 5.0 not in second.items
    assert (third.items.count(5.0), added.items.count(5.0)) == (1, 1)


def test_a_raising_callback_is_counted_logged_and_called_again(server: FaultServer, connect: Connect) -> None:
    """Its name is told, at most once a second; nobody is unsubscribed; the others are called."""
    context = connect(server)
    told, pv = Told(), context.pv("y")

    def broken(reading: Any) -> None:
        raise ValueError("no good")

    with logged("caclient.callbacks") as messages:
        subscription = pv.subscribe(broken)
        pv.subscribe(told)
        told.wait_until(len)
        server.flood("y", 299)
        told.wait_until(lambda items: len(items) == 300)
        eventually(lambda: subscription.errors == 300)
    assert 1 <= len(messages) <= 4
    assert all(message.startswith("y: callback raised (") for message in messages)
    assert context.report().callback_errors == 300
    assert not subscription.closed


def test_even_system_exit_ends_nothing(server: FaultServer, connect: Connect) -> None:
    pv, told = connect(server).pv("y"), Told()

    def leaves(value: float, **_: Any) -> None:
        told(value)
        raise SystemExit

    with logged("caclient.callbacks"):
        pv.add_callback(leaves)
        told.wait_until(len)
        server["y"].post(1.0)
        told.wait_until(lambda items: items[-1] == 1.0)


def test_a_logging_handler_that_blocks_or_uses_pvs(server: FaultServer, connect: Connect) -> None:
    """T24: it holds up nobody but the logging of this package."""
    context = connect(server)
    y, z, release, handled = context.pv("y"), context.pv("z"), threading.Event(), Told()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            handled(z.get(use_monitor=False, timeout=5))
            release.wait(20)

    handler = Handler(logging.WARNING)
    logging.getLogger("caclient").addHandler(handler)
    try:
        assert (y.get(), z.get()) == (0.0, 0.0)
        for _ in range(5):
            server.nonsense_error()
        handled.wait_until(len)
        with within(2.0):
            y.put(3.0, wait=True, timeout=2)
            assert y.get(use_monitor=False) == 3.0
            assert context.pv("x7").get() == 7.0
        release.set()
        handled.wait_until(lambda items: len(items) == 2)  # the first, and the number of the others
    finally:
        release.set()
        logging.getLogger("caclient").removeHandler(handler)


def test_a_flood_keeps_memory_flat_and_the_newest_value(server: FaultServer, connect: Connect) -> None:
    """T55: three million updates for a callback that is stuck: 64 MiB wait, the rest is counted, nobody else pays."""
    context = connect(server)
    release, told = threading.Event(), Told()
    pv = context.pv("y")

    def slow(reading: Any) -> None:
        release.wait(50)
        told.items[:] = [reading]

    subscription = pv.subscribe(slow)
    eventually(lambda: subscription.pending == 0 and pv.connected and server.subscriptions)
    pv.get()
    before = resident()
    server.flood("y", 3_000_000)
    eventually(lambda: not server.flooding, timeout=50)
    eventually(lambda: pv.get() == 2_999_999.0, timeout=20)
    assert resident() - before < 120_000_000  # 3 million readings are 600 MB
    assert subscription.dropped > 1_000_000
    assert subscription.dropped + subscription.pending == 3_000_000
    assert not server.of(ca.EventsOffRequest)
    release.set()
    eventually(lambda: told.items and told.items[0].value == 2_999_999.0, timeout=40)


def test_many_callbacks_that_are_stuck_share_one_budget(server: FaultServer) -> None:
    """Each could have 64 MiB; together they have what the context has. All is delivered, dropped or waits, and told."""
    context = Context(FaultServer.client_config(server), queue_bytes="8 MB")
    release, got = threading.Event(), Told()
    names, sent = [f"x{n}" for n in range(12)], 50_000

    def slow(_: Any) -> None:
        release.wait(50)

    stuck = [context.pv(name).subscribe(slow) for name in names]
    with context, context.pv("x0").updates() as iterator, context.pv("y").subscribe(got) as healthy:
        eventually(lambda: all(each.pending == 0 and each.pv.connected for each in stuck) and got.items)
        eventually(lambda: server.subscriptions == len(names) + 1 and iterator.pending == 1)
        before = resident()
        for name in names:
            server.flood(name, sent)
        eventually(lambda: not server.flooding, timeout=50)
        server["y"].post(1.0)
        got.wait_until(lambda items: items[-1].value == 1.0)
        assert resident() - before < 60_000_000  # 600,000 readings are 120 MB, their rows 24 MB
        for each in stuck:
            assert each.dropped + each.pending == sent
        assert sum(each.dropped for each in stuck) > 200_000
        assert iterator.pending + iterator.dropped == sent + 1
        assert min(each.thinned for each in (*stuck, iterator, healthy)) > 0  # all of the circuit are told
        assert healthy.dropped == 0
        eventually(lambda: len(server.of(ca.EventsOffRequest)) == len(server.of(ca.EventsOnRequest)) > 0)
        release.set()
        eventually(lambda: all(each.pending == 0 for each in stuck))


def test_who_is_behind_holds_updates_back_until_all_is_delivered_or_it_ends(
    server: FaultServer, connect: Connect
) -> None:
    """pyepics' form: what libca does when it falls behind, and nobody stays silent because a PV has gone."""
    pv, release = connect(server).pv("x1"), threading.Event()
    pv.add_callback(lambda **_: release.wait(50))
    eventually(lambda: server.subscriptions == 1)

    def asked() -> tuple[int, int]:
        """How often to merge updates, and how often no longer to."""
        server["x1"].post(time.monotonic())
        return len(server.of(ca.EventsOffRequest)), len(server.of(ca.EventsOnRequest))

    eventually(lambda: asked() == (1, 0))
    release.wait(0.3)  # three times as long as the pause that a full queue asks for
    assert asked() == (1, 0)
    release.set()
    eventually(lambda: asked() == (1, 1))
    release.clear()
    eventually(lambda: asked() == (2, 1))
    pv.close()
    eventually(lambda: asked() == (2, 2))
    release.set()


def test_a_flood_of_arrays_keeps_memory_flat(serve: Serve, connect: Connect) -> None:
    """The bound is one of bytes: a thousand frames of 1 MB wait in 64 MiB."""
    server = serve([Record("camera", np.zeros(125_000))])
    pv, release = connect(server).pv("camera", auto_monitor=True), threading.Event()
    seen: list[float] = []
    subscription = pv.subscribe(lambda reading: (release.wait(50), seen.append(reading.value[0])))
    pv.get()
    before = resident()
    for n in range(300):
        server["camera"].post(np.full(125_000, float(n + 1)))
        eventually(lambda n=n: (last := pv._monitor.last) is not None and last.value[0] == n + 1)
    assert resident() - before < 150_000_000
    assert subscription.dropped >= 300 - 70
    release.set()
    eventually(lambda: seen[-1:] == [300.0])


def test_latest_skips_what_comes_while_the_callback_is_busy(server: FaultServer, connect: Connect) -> None:
    pv, release, told = connect(server).pv("y"), threading.Event(), Told()
    subscription = pv.subscribe(lambda reading: (told(reading), release.wait(20)), policy="latest")
    told.wait_until(len)
    server.flood("y", 500)
    eventually(lambda: pv.get() == 499.0)
    release.set()
    told.wait_until(lambda _: told.values[-1] == 499.0)
    assert len(told.items) <= 3
    assert subscription.dropped == 501 - len(told.items)


class Owner:
    """Somebody with a callback method."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def changed(self, reading: Any) -> None:
        self.told(reading)


def test_callbacks_live_as_long_as_is_said(server: FaultServer, connect: Connect) -> None:
    """T33: lambdas, partials and methods are held until ``close()``, though nobody else holds them or the PV."""
    context = connect(server)
    by_lambda, by_partial, by_method = Told(), Told(), Told()
    owner = Owner(by_method)
    callbacks = (lambda reading: by_lambda(reading), functools.partial(by_partial), owner.changed)
    subscriptions = [context.pv("y").subscribe(callback) for callback in callbacks]
    alive = weakref.ref(owner)
    del owner, callbacks
    gc.collect()
    for told in (by_lambda, by_partial, by_method):
        told.wait_until(len)
    server["y"].post(1.0)
    for told in (by_lambda, by_partial, by_method):
        told.wait_until(lambda _, told=told: told.values == [0.0, 1.0])
    for subscription in subscriptions:
        subscription.close()
    del subscription, subscriptions
    eventually(lambda: gc.collect() is not None and alive() is None)
    eventually(lambda: server.channels == 0)


def test_a_pv_with_callbacks_stays_alive_until_closed(server: FaultServer, connect: Connect) -> None:
    """T33: as in pyepics; and a PV without any goes with its last reference."""
    context, told = connect(server), Told()
    context.pv("y", callback=lambda value, **_: told(value))
    gc.collect()
    told.wait_until(len)
    server["y"].post(1.0)
    told.wait_for(0.0, 1.0)
    pv = PV("x1", context=context)
    pv.get()
    eventually(lambda: server.channels == 2)
    del pv
    eventually(lambda: server.channels == 1)


def test_tracemalloc_sees_no_growth_in_quiet_operation(server: FaultServer, connect: Connect) -> None:
    pv, told = connect(server).pv("y"), Told()
    pv.subscribe(lambda reading: told.items.__setitem__(slice(None), [reading]))
    pv.get()

    def work(rounds: int) -> None:
        for n in range(rounds):
            server["y"].post(float(n))
            pv.get(use_monitor=False)

    work(200)
    tracemalloc.start()
    try:
        work(50)
        server.received.clear()
        before = tracemalloc.get_traced_memory()[0]
        work(500)
        server.received.clear()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 200_000
    finally:
        tracemalloc.stop()
