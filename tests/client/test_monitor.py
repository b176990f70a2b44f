"""Monitors: one subscription on the wire for all who want the same, as long as somebody does."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from caclient import (
    AccessRights,
    BadValueError,
    CATimeoutError,
    ChannelType,
    ContextClosedError,
    DisconnectedError,
    Mask,
    Metadata,
    Reading,
    TimeStamp,
)
from caclient.client.feed import Feed
from caclient.client.monitor import monitor_of
from caclient.dbr.decode import run_dtype
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from caclient.protocol.runs import UpdateRun
from tests.recorder import PATIENCE, Recorder
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


def run_of(count: int, first: float = 0.0) -> UpdateRun:
    rows = np.zeros(count, run_dtype(ChannelType.TIME_DOUBLE))
    rows["value"] = np.arange(first, first + count)
    rows["seconds"] = 1
    return UpdateRun(None, ChannelType.TIME_DOUBLE, rows, 1)


def test_subscriptions_share_one_monitor_until_the_last_has_gone(pair):
    ioc, pv = pair
    pv.close()
    first, second, other = Recorder(), Recorder(), Recorder()
    context = context_of(pv)
    pv = context.pv("x", auto_monitor=False)
    subscriptions = [pv.subscribe(first), pv.subscribe(second), pv.subscribe(other, mask=Mask.ALARM)]
    for each in (first, second, other):
        each.wait(1)
    assert ioc.subscription_count() == 2
    subscriptions[0].close()
    subscriptions[0].close()
    ioc["x"].post(1.0)
    assert values(second.wait(2)) == [0.0, 1.0]
    assert values(first.items) == [0.0]
    for subscription in subscriptions:
        subscription.close()
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 0, PATIENCE)
    assert ioc.channel_count() == 1


def test_a_late_subscriber_gets_the_current_value_once(pair):
    ioc, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    for number in range(1, 101):
        ioc["x"].post(float(number))
        late = Recorder()
        with pv.subscribe(late):
            late.wait(1)
            ioc["x"].post(number + 0.5)
            late.wait_for(lambda items, last=number + 0.5: values(items)[-1:] == [last])
        seen = values(late.items)
        assert seen == sorted(set(seen))


def test_a_subscriber_that_left_before_it_was_welcome(pair):
    ioc, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    heard, rest = Recorder(), Recorder()
    pv.subscribe(heard).close()
    with pv.subscribe(rest):
        ioc["x"].post(1.0)
        rest.wait_for(lambda items: values(items)[-1:] == [1.0])
    assert 1.0 not in values(heard.items)


def test_a_subscriber_while_the_circuit_goes(pair):
    """Nobody answers the request that it waits for; it is told all the same, after the reconnect."""
    ioc, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    monitor, heard = pv._monitor, Recorder()
    circuit = pv.channel.circuit

    def gone(*_args: Any) -> None:
        raise DisconnectedError("gone")

    circuit.ask, ask = gone, circuit.ask
    with pv.subscribe(heard):
        pv.channel.runtime.loop.call_soon(setattr, circuit, "ask", ask)
        assert values(heard.wait(1)) == [0.0]
        assert len(monitor.sinks) == 1
        ioc.drop_clients()
        ioc["x"].post(5.0)
        heard.wait_for(lambda items: values(items)[-1:] == [5.0])


def test_without_read_access_there_is_no_value_and_no_harm(serve):
    ioc, context = serve(Record("x", 0.0, access=AccessRights.WRITE))
    pv, heard = context.pv("x"), Recorder()
    with pv.subscribe(heard):
        assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
        ioc["x"].access = AccessRights.READ | AccessRights.WRITE
        assert values(heard.wait(1)) == [0.0]


def test_a_refused_subscription_is_logged(pair, caplog):
    _, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    request = ca.EventAddRequest(ChannelType.TIME_DOUBLE, 1, 1, 1, mask=1)
    pv._monitor.receive(ca.ErrorResponse(request, cid=1, status=48))
    done = Recorder()
    pv.channel.runtime.log.push(done, None)
    done.wait(1)
    assert "'x': the server refused the subscription: ECA_ALLOCMEM" in caplog.text
    with pytest.raises(CATimeoutError, match=r"last value: .*; the server refused the subscription: ECA_ALLOC"):
        pv.wait_for(lambda value: False, timeout=0.01)
    with pv.updates(timeout=0.01) as updates:
        next(updates)
        with pytest.raises(CATimeoutError, match=r"no update: 'x' within 0.01 s; the server refused the subscription"):
            next(updates)
    pv.channel.runtime.loop.call_soon(pv._monitor.lost)
    pv.channel.runtime.loop.call_soon(pv._monitor.serve, pv.channel)
    with pytest.raises(CATimeoutError, match=r"last value: [^;]*; give it longer"):
        pv.wait_for(lambda value: False, timeout=0.01)


def nonsense() -> Any:
    """Eight bytes of a value that takes twenty-four."""
    return ca.EventAddResponse.from_header(Header(1, 8, ChannelType.TIME_DOUBLE, 1, 1, 1), bytes(8))


def test_an_update_that_is_nonsense_is_told_and_harms_nothing(pair, caplog):
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        monitor, context = pv._monitor, pv.channel.runtime
        for use in (monitor.receive, monitor.receive, monitor.renew, monitor.keep_answer):
            context.loop.call_soon(use, nonsense())
        done = Recorder()
        context.loop.call_soon(context.log.push, done, None)
        done.wait(1)
        ioc["x"].post(5.0)
        assert values(heard.wait(2)) == [0.0, 5.0]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    where = f"{pv.host} sent nonsense: TIME_DOUBLE with 1 values needs 24 bytes of payload, got 8"
    assert record.getMessage() == f"'x': {where}"
    with pytest.raises(CATimeoutError, match=re.escape(f"; {where}")):
        pv.wait_for(lambda value: False, timeout=0.01)


def test_one_subscription_and_a_fresh_value_after_each_outage(pair):
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        for round_trip in range(1, 4):
            ioc.stop()
            ioc["x"].post(float(round_trip))
            ioc.start(tcp_port=0 if round_trip == 2 else None)
            heard.wait_for(lambda items, last=float(round_trip): values(items)[-1:] == [last])
            assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
            assert pv.host == f"127.0.0.1:{ioc.tcp_port}"
    assert values(heard.items) == [0.0, 1.0, 2.0, 3.0]


def test_type_and_count_may_change_over_a_restart(pair):
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        for count, value in enumerate(("text", [1, 2, 3], 7, ["a", "b"]), 2):
            ioc.stop()
            ioc.database.remove("x")
            ioc.add(Record("x", value))
            ioc.start()
            newest = heard.wait(count)[-1].value
            assert np.array_equal(newest, value)
            assert pv.count == len(value) if isinstance(value, list) else pv.count == 1


def test_a_server_that_was_silent_for_a_while_gives_one_fresh_value(pair):
    ioc, pv = pair
    heard, edges = Recorder(), Recorder(lambda conn, **_: conn)
    pv.add_connection_callback(edges)
    call_soon, channel = pv.channel.runtime.loop.call_soon, pv.channel
    with pv.subscribe(heard):
        heard.wait(1)
        call_soon(channel.ride.circuit_unresponsive)
        assert edges.wait(2) == [True, False]
        assert not pv.connected
        with pytest.raises(CATimeoutError, match="keeps the connection, but has said nothing"):
            pv.get(timeout=0.0)
        call_soon(channel.ride.circuit_responsive)
        assert edges.wait(3) == [True, False, True]
        assert values(heard.wait(2)) == [0.0, 0.0]
    assert ioc.subscription_count() == 1


def test_a_large_array_is_left_alone_unless_asked_for(serve):
    ioc, context = serve(Record("big", np.zeros(70_000)))
    pv, heard = context.pv("big"), Recorder()
    assert pv.get()[0] == 0.0
    with pv.subscribe(heard):
        heard.wait(1)
        assert ioc.subscription_count() == 1
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 0, PATIENCE)  # nobody wants 80 MB/s for nothing


def test_the_circuit_goes_in_the_middle_of_it(pair, monkeypatch):
    _, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    circuit, tried = pv.channel.circuit, Recorder()

    def gone(*_args: Any) -> None:
        tried(None)
        raise DisconnectedError("gone")

    heard = Recorder()
    monkeypatch.setattr(circuit, "sending", gone)
    with pv.subscribe(heard, mask=Mask.LOG):
        tried.wait(1)
    assert heard.items == []


def engine_idle(runtime: Any) -> None:
    """Wait until the engine has made the calls that are filed, and those that they file."""
    done = Recorder()
    runtime.loop.call_soon(runtime.loop.call_soon, done, None)
    done.wait(1)


def settled(runtime: Any) -> None:
    """Wait also for what had been put off."""
    done = Recorder()
    runtime.loop.call_soon(runtime.later, lambda: done(None))
    done.wait(1)
    engine_idle(runtime)


def test_short_lived_pvs_leave_no_subscription(pair):
    """Made and closed within 20 ms, while somebody else keeps the name: it used to leave one for ever."""
    ioc, pv = pair
    context, runtime = context_of(pv), pv.channel.runtime
    pv.close()
    keeper = context.pv("x", auto_monitor=False)
    assert keeper.wait_for_connection(PATIENCE)
    for number in range(100):
        short = context.pv("x", auto_monitor=[None, True, 1, int(Mask.ALARM)][number % 4])
        if number % 3 == 0:
            short.subscribe(print, mask=int(Mask.LOG)).close()
        if number % 5 == 0:
            engine_idle(runtime)
        short.close()
    settled(runtime)
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 0, PATIENCE)
    assert keeper.get() == 0.0
    assert keeper.channel.users == 1


def test_a_mask_in_words(pair):
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(heard, mask="va"):
        heard.wait(1)
        settled(pv.channel.runtime)
        assert ioc.subscription_count() == 1
    for bad in ("", "x", 0, None, True, 1.5):
        with pytest.raises(BadValueError, match="mask="):
            pv.subscribe(heard, mask=bad)


def test_an_update_of_another_type_is_refused(pair, caplog):
    """A string for a double's callback, or more elements than the channel has."""
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        monitor, context = pv._monitor, pv.channel.runtime
        text = ca.EventAddResponse("text", ChannelType.TIME_STRING, 1, 1, 1, metadata=STAMPED)
        many = ca.EventAddResponse([1.0, 2.0], ChannelType.TIME_DOUBLE, 2, 1, 1, metadata=STAMPED)
        rows = np.zeros(20, run_dtype(ChannelType.TIME_LONG))
        for item in (text, many, UpdateRun(monitor, ChannelType.TIME_LONG, rows, 1)):
            context.loop.call_soon(monitor.receive, item)
        engine_idle(context)
        ioc["x"].post(5.0)
        assert values(heard.wait(2)) == [0.0, 5.0]
        assert monitor.refused == 3
        assert pv.get() == 5.0
    done = Recorder()
    pv.channel.runtime.log.push(done, None)
    done.wait(1)
    (record,) = caplog.records
    assert "sent nonsense: TIME_STRING[1] for TIME_DOUBLE[1]" in record.getMessage()


def test_a_run_is_the_newest_value_too(pair):
    _, pv = pair
    heard = Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        pv.channel.runtime.loop.call_soon(pv._monitor.receive, run_of(1000, 1.0))
        assert values(heard.wait(1001)) == [float(number) for number in range(1001)]
        assert pv.get() == 1000.0


def test_a_run_before_anything_else(pair):
    _, pv = pair
    monitor = monitor_of(pv.channel, Mask.LOG)
    monitor._asked_type, monitor._asked_count = int(ChannelType.TIME_DOUBLE), 1
    sink = Feed()
    monitor.sinks = (sink,)
    monitor.receive(run_of(1))
    assert (monitor.last.reason, monitor.last.value) == ("initial", 0.0)
    monitor.last, monitor.fresh = None, False
    monitor.receive(run_of(10))
    assert sink.pending == 11
    assert monitor.last.reason == "update"


def test_what_is_known_may_be_skipped(pair):
    """Whether the monitor was there before, or begins with this subscription."""
    ioc, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    for mask in (None, Mask.LOG | Mask.VALUE):
        heard, all_of_it = Recorder(), Recorder()
        options = {} if mask is None else {"mask": mask}
        value = pv.get() + 1.0
        with pv.subscribe(heard, skip_initial=True, **options), pv.subscribe(all_of_it, **options):
            all_of_it.wait(1)
            ioc["x"].post(value)
            assert values(heard.wait(1)) == [value]
            assert values(all_of_it.wait(2)) == [value - 1.0, value]


def test_a_sink_that_comes_when_all_is_over(pair):
    _, pv = pair
    monitor, heard = pv._monitor, Recorder()
    subscription = pv.subscribe(heard)
    hold = subscription._hold
    heard.wait(1)
    pv._home.close()
    assert subscription.closed
    assert monitor.sinks == ()
    monitor.enter(hold)
    hold.closed = True
    monitor.enter(hold)
    monitor._attach(hold)
    assert monitor.sinks == ()
    with pytest.raises(ContextClosedError):
        pv.subscribe(heard)
