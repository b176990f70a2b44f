"""Subscriptions: every update in order or the latest, bounded, counted, and ended by their PV."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref
from functools import partial
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from caclient import (
    BadValueError,
    ChannelType,
    DisconnectedError,
    Metadata,
    Reading,
    TimeStamp,
)
from caclient.client import feed as feeds
from caclient.client.subscription import Calls, Subscription
from caclient.dbr.decode import run_dtype
from caclient.ioc import Record
from caclient.protocol.runs import UpdateRun
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import context_of

STAMPED = Metadata(status=0, severity=0, stamp=TimeStamp(1, 2))


@pytest.fixture
def pair(serve):
    """One record ``x`` and a connected PV of it."""
    ioc, context = serve(Record("x", 0.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    return ioc, pv


def values(readings: list[Reading]) -> list[Any]:
    return [reading.value for reading in readings]


# ---------------------------------------------------------------- all, or the latest


def blocked(pv: Any, **options: Any) -> tuple[Subscription, Recorder, threading.Event]:
    """A subscription whose callback waits at its first value until the event is set."""
    gate, heard, started = threading.Event(), Recorder(), threading.Event()

    def callback(item: Any) -> None:
        started.set()
        gate.wait(PATIENCE)
        heard(item)

    subscription = pv.subscribe(callback, **options)
    assert started.wait(PATIENCE)
    return subscription, heard, gate


def feed(ioc: Any, pv: Any, numbers: range) -> None:
    """Post numbers one by one, each seen by the client before the next."""
    with pv.updates(timeout=PATIENCE) as updates:
        next(updates)
        for number in numbers:
            ioc["x"].post(float(number))
            while next(updates).value != number:
                pass


def test_all_in_order(pair):
    ioc, pv = pair
    subscription, heard, gate = blocked(pv)
    feed(ioc, pv, range(1, 50))
    assert subscription.pending == 49
    gate.set()
    assert values(heard.wait(50)) == [float(number) for number in range(50)]
    assert (subscription.dropped, subscription.pending, subscription.errors) == (0, 0, 0)
    assert repr(subscription) == "<Subscription to 'x': 0 pending, 0 dropped>"
    subscription.close()
    assert repr(subscription) == "<Subscription to 'x': closed, 0 dropped>"


def test_only_the_latest(pair):
    ioc, pv = pair
    subscription, heard, gate = blocked(pv, policy="latest")
    feed(ioc, pv, range(1, 50))
    assert subscription.pending == 1
    gate.set()
    assert values(heard.wait(2)) == [0.0, 49.0]
    assert subscription.dropped == 48
    subscription.close()


# ---------------------------------------------------------------- runs: fed by hand, as the circuit would


def run_of(count: int, first: float = 0.0) -> UpdateRun:
    rows = np.zeros(count, run_dtype(ChannelType.TIME_DOUBLE))
    rows["value"] = np.arange(first, first + count)
    rows["seconds"] = 1
    return UpdateRun(None, ChannelType.TIME_DOUBLE, rows, 1)


def test_closing_in_the_middle_of_a_run(pair):
    _, pv = pair
    heard = Recorder()

    def callback(reading: Reading) -> None:
        heard(reading)
        if reading.value == 6.0:
            subscription.close()

    subscription = pv.subscribe(callback)
    heard.wait(1)
    pv.channel.runtime.loop.call_soon(pv._monitor.receive, run_of(30, 1.0))
    heard.wait(7)
    with pv.subscribe(other := Recorder()):
        other.wait(1)
    assert len(heard.items) == 7


def test_what_a_closed_subscription_had_queued_is_not_given(pair):
    ioc, pv = pair
    subscription, heard, gate = blocked(pv)
    feed(ioc, pv, range(1, 5))
    subscription.close()
    gate.set()
    with pv.subscribe(other := Recorder()):
        other.wait(1)
    heard.wait(1)
    assert values(heard.items) == [0.0]


def test_a_slow_callback_is_bounded_and_costs_nobody_else_anything(pair):
    """Its own oldest go, counted; the server is not asked to merge the updates of all others on the circuit."""
    ioc, pv = pair
    subscription, heard, gate = blocked(pv, limit=10)
    feed(ioc, pv, range(1, 40))
    assert (subscription.pending, subscription.dropped) == (10, 29)
    assert pv.channel.circuit.pauses == 0
    gate.set()
    assert values(heard.wait(11)) == [0.0, *map(float, range(30, 40))]
    subscription.close()


def test_large_arrays_are_bounded_by_their_bytes(serve, monkeypatch):
    monkeypatch.setattr(feeds, "ROOM", 30_000)
    ioc, context = serve(Record("x", np.zeros(1000)))
    pv = context.pv("x")
    subscription, heard, gate = blocked(pv)
    for number in range(1, 20):
        ioc["x"].post(np.full(1000, float(number)))
        pv.wait_for(lambda value, number=number: value[0] == number, timeout=10)
    assert subscription.pending == 3
    gate.set()
    assert [value[0] for value in values(heard.wait(4))] == [0.0, 17.0, 18.0, 19.0]
    subscription.close()


def test_a_burst_of_scalars_is_no_loss(pair):
    _, pv = pair
    subscription, heard, gate = blocked(pv)
    for first in range(1, 200_001, 5000):
        pv.channel.runtime.loop.call_soon(pv._monitor.receive, run_of(5000, float(first)))
    assert eventually(lambda: pv.get() == 200_000.0)
    gate.set()
    heard.wait(200_001, 60.0)
    assert heard.items[-1].value == 200_000.0
    assert (subscription.dropped, subscription.thinned) == (0, 0)


def test_a_long_run_leaves_room_for_others(pair, caplog):
    """A callback's slice is over in the middle of a run; what is left comes later, in order."""
    _, pv = pair
    calls = Calls(pv.channel.runtime.lanes, "x", lambda reading: seen.append(reading.value))
    seen: list[float] = []
    calls.scheduled = True  # no worker comes but this one
    calls.rows(ChannelType.TIME_DOUBLE, run_of(600).rows, pv.channel.shaped())
    rounds = 0
    while calls.waits():
        before = len(seen)
        calls.serve(0.0)
        assert 0 < len(seen) - before <= 16
        rounds += 1
    assert seen == [float(number) for number in range(600)]
    assert rounds >= 600 // 16


def test_a_callback_that_raises_in_a_run(pair, caplog):
    _, pv = pair
    heard = Recorder()

    def callback(reading: Reading) -> None:
        heard(reading)
        if reading.value == 7.0:
            raise RuntimeError("user bug")

    with pv.subscribe(callback) as subscription:
        heard.wait(1)
        pv.channel.runtime.loop.call_soon(pv._monitor.receive, run_of(30, 1.0))
        assert values(heard.wait(31)) == [float(number) for number in range(31)]
        assert subscription.errors == 1
    assert "user bug" in caplog.text


def test_a_rate_is_kept_and_the_newest_value_always_comes(pair):
    ioc, pv = pair
    moments: list[float] = []
    heard = Recorder()

    def callback(reading: Reading) -> None:
        moments.append(time.monotonic())
        heard(reading.value)

    with pv.subscribe(callback, max_rate=20.0) as subscription:
        heard.wait(1)
        feed(ioc, pv, range(1, 200))
        heard.wait_for(lambda items: items[-1] == 199.0)
        assert min(later - earlier for earlier, later in itertools.pairwise(moments)) > 0.045
        assert subscription.dropped == 0
        ioc["x"].post(1000.0)
        heard.wait_for(lambda items: items[-1] == 1000.0)


def test_paused_it_wants_nothing_and_begins_again_with_the_current_value(pair):
    ioc, pv = pair
    context, heard = context_of(pv), Recorder()
    pv.close()
    pv = context.pv("x", auto_monitor=False)
    subscription = pv.subscribe(heard)
    heard.wait(1)
    assert subscription.active
    subscription.pause()
    subscription.pause()
    assert not subscription.active and not subscription.closed
    assert "paused" in repr(subscription)
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 0, PATIENCE)
    ioc["x"].post(1.0)
    ioc["x"].post(2.0)
    subscription.resume()
    subscription.resume()
    assert values(heard.wait(2)) == [0.0, 2.0]
    ioc["x"].post(3.0)
    assert values(heard.wait(3)) == [0.0, 2.0, 3.0]
    subscription.close()
    subscription.resume()
    assert not subscription.active and subscription.closed


def test_a_method_held_weakly_ends_with_its_object(pair):
    _, pv = pair
    heard = Recorder()

    class Device:
        def changed(self, reading: Reading) -> None:
            heard(reading.value)

    device = Device()
    subscription = pv.subscribe(weakref.WeakMethod(device.changed))
    assert heard.wait(1) == [0.0]
    del device
    assert subscription.closed
    dead = weakref.WeakMethod(Device().changed)
    assert eventually(lambda: pv.subscribe(dead).closed or gc.collect() or False)


def pyepics_form(pvname=None, value=None, **_keywords: Any) -> None: ...
def value_with_more(value, **_keywords: Any) -> None: ...
def one_value(value: Any) -> None: ...
def any_number(*_values: Any) -> None: ...


class Client:
    def pyepics_form(self, *, pvname: str, **_keywords: Any) -> None: ...


@pytest.mark.parametrize("callback", [pyepics_form, value_with_more, Client().pyepics_form])
def test_a_callback_in_pyepics_form_is_told_where_it_belongs(pair, callback):
    _, pv = pair
    with pytest.raises(BadValueError, match=r"'x': .*add_callback\(\)"):
        pv.subscribe(callback)


@pytest.mark.parametrize("callback", [one_value, any_number, partial(pyepics_form), Mock(), [].append, lambda: 0])
def test_parameters_are_not_counted(pair, callback):
    _, pv = pair
    pv.subscribe(callback).close()


def test_what_no_subscription_can_be(pair):
    _, pv = pair
    for options in ({"limit": 0}, {"limit": True}, {"max_rate": 0}, {"max_rate": "2"}, {"max_rate": True}):
        with pytest.raises(BadValueError, match=r"'x': (limit|max_rate)"):
            pv.subscribe(print, **options)
    assert not pv._wants


def test_it_lives_until_it_is_closed_and_keeps_its_pv(serve):
    ioc, context = serve(Record("x", 0.0))
    heard = Recorder()
    gone = weakref.ref(context.pv("x").subscribe(heard))
    heard.wait(1)
    gc.collect()
    ioc["x"].post(1.0)
    assert values(heard.wait(2)) == [0.0, 1.0]
    subscription = gone()
    assert subscription is not None
    pv = weakref.ref(subscription.pv)
    subscription.close()
    del subscription
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)
    assert eventually(lambda: gone() is None and pv() is None)


def test_it_ends_with_its_pv(pair):
    ioc, pv = pair
    heard = Recorder()
    with pv:
        subscription = pv.subscribe(heard)
        heard.wait(1)
    assert subscription.closed
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)


def test_subscribing_while_the_pv_is_closed(serve):
    """One or the other is first; never a subscription that is silent for ever."""
    ioc, context = serve(Record("x", 0.0))
    for _ in range(200):
        pv, outcome = context.pv("x", auto_monitor=False), Recorder()
        barrier = threading.Barrier(2)

        def work(pv: Any = pv, outcome: Recorder = outcome, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(PATIENCE)
            try:
                outcome(pv.subscribe(print))
            except DisconnectedError as error:
                outcome(error)

        thread = threading.Thread(target=work)
        thread.start()
        barrier.wait(PATIENCE)
        pv.close()
        (told,) = outcome.wait(1)
        thread.join(PATIENCE)
        assert isinstance(told, DisconnectedError) or told.closed
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)


def test_thinned_counts_how_often_the_server_was_asked_to_merge(pair):
    ioc, pv = pair
    heard = Recorder()
    pv.channel.circuit.pauses += 5
    with pv.subscribe(heard) as subscription:
        heard.wait(1)
        assert subscription.thinned == 0
        pv.channel.circuit.pauses += 2
        assert subscription.thinned == 2
        ioc.drop_clients()
        ioc["x"].post(5.0)
        heard.wait_for(lambda items: values(items)[-1:] == [5.0])
        assert subscription.thinned == 2
        pv.channel.circuit.pauses += 1
        assert subscription.thinned == 3
        subscription.pause()
        assert subscription.thinned == 3
