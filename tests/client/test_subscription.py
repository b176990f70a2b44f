"""Monitors, subscriptions and update iterators: all or the latest, bounded, in order, over every outage."""

from __future__ import annotations

import re
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from caclient import AccessRights, CATimeoutError, ChannelType, ContextClosedError, DisconnectedError, Reading
from caclient.client import subscription as module
from caclient.client.channel import State as ChannelState
from caclient.client.subscription import Subscription
from caclient.dbr.decode import run_dtype
from caclient.engine.lanes import Lanes
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from caclient.protocol.runs import UpdateRun
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import context_of


@pytest.fixture
def pair(serve):
    """One record ``x`` and a connected PV of it."""
    ioc, context = serve(Record("x", 0.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    return ioc, pv


def values(readings: list[Reading]) -> list[Any]:
    return [reading.value for reading in readings]


# ---------------------------------------------------------------- the wire


def test_subscriptions_share_one_monitor_until_the_last_has_gone(pair):
    ioc, pv = pair
    pv.close()
    first, second, other = Recorder(), Recorder(), Recorder()
    context = context_of(pv)
    pv = context.pv("x", auto_monitor=False)
    subscriptions = [pv.subscribe(first), pv.subscribe(second), pv.subscribe(other, mask=module.DBE_ALARM)]
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
    pv.wait_for(lambda value: True)
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
    pv.wait_for(lambda value: True)
    heard, rest = Recorder(), Recorder()
    pv.subscribe(heard).close()
    with pv.subscribe(rest):
        ioc["x"].post(1.0)
        rest.wait_for(lambda items: values(items)[-1:] == [1.0])
    assert 1.0 not in values(heard.items)


def test_a_subscriber_while_the_circuit_goes(pair):
    """Nobody answers the request that it waits for; it is told all the same, after the reconnect."""
    ioc, pv = pair
    pv.wait_for(lambda value: True)
    monitor, heard = pv._monitor, Recorder()
    pv.channel.core, core = None, pv.channel.core
    with pv.subscribe(heard):
        pv.channel.runtime.loop.call_soon(setattr, pv.channel, "core", core)
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
    pv.wait_for(lambda value: True)
    request = ca.EventAddRequest(ChannelType.TIME_DOUBLE, 1, 1, 1, mask=1)
    pv._monitor.receive(ca.ErrorResponse(request, cid=1, status=48))
    done = Recorder()
    pv.channel.runtime.log.push(done, None)
    done.wait(1)
    assert "'x': the server refused the subscription: ECA_ALLOCMEM" in caplog.text
    with pytest.raises(CATimeoutError, match=r"last value: .*; the server refused the subscription: ECA_ALLOC"):
        pv.wait_for(lambda value: False, 0.01)
    with pv.updates(timeout=0.01) as updates:
        next(updates)
        with pytest.raises(CATimeoutError, match=r"no update within 0.01 s; the server refused the subscription"):
            next(updates)
    pv.channel.runtime.loop.call_soon(pv._monitor.lost)
    with pytest.raises(CATimeoutError, match=r"last value: [^;]*$"):
        pv.wait_for(lambda value: False, 0.01)


def nonsense() -> Any:
    """Eight bytes of a value that takes twenty-four."""
    return ca.EventAddResponse.from_header(Header(1, 8, ChannelType.TIME_DOUBLE, 1, 1, 1), bytes(8))


def test_an_update_that_is_nonsense_is_told_and_harms_nothing(pair, caplog):
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        monitor, context = pv._monitor, context_of(pv)
        for use in (monitor.receive, monitor.receive, monitor.renew, monitor.keep):
            context._home.runtime.loop.call_soon(use, nonsense())
        done = Recorder()
        context._home.runtime.loop.call_soon(context._home.runtime.log.push, done, None)
        done.wait(1)
        ioc["x"].post(5.0)
        assert values(heard.wait(2)) == [0.0, 5.0]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    where = f"{pv.host} sent nonsense: TIME_DOUBLE with 1 values needs 24 bytes of payload, got 8"
    assert record.getMessage() == f"'x': {where}"
    with pytest.raises(CATimeoutError, match=re.escape(f"; {where}")):
        pv.wait_for(lambda value: False, 0.01)


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
        call_soon(channel.circuit_unresponsive)
        assert edges.wait(2) == [True, False]
        assert not pv.connected
        with pytest.raises(CATimeoutError, match="does not answer on its TCP connection, searching elsewhere too"):
            pv.get(timeout=0.0)
        call_soon(channel.circuit_responsive)
        assert edges.wait(3) == [True, False, True]
        assert values(heard.wait(2)) == [0.0, 0.0]
    core = channel.core
    for call in (partial(setattr, channel, "core", None), pv._monitor.refresh, partial(setattr, channel, "core", core)):
        call_soon(call)
    assert pv.wait_for(lambda value: True).is_valid
    assert ioc.subscription_count() == 1


def test_a_large_array_is_left_alone_unless_asked_for(serve):
    ioc, context = serve(Record("big", np.zeros(70_000)))
    pv, heard = context.pv("big"), Recorder()
    assert pv.get()[0] == 0.0
    context._home.runtime.loop.call_soon(pv._monitor.start)
    with pv.subscribe(heard):
        heard.wait(1)
        assert ioc.subscription_count() == 1


def test_the_circuit_goes_in_the_middle_of_it(pair, monkeypatch):
    _, pv = pair
    pv.wait_for(lambda value: True)
    circuit, tried = pv.channel.circuit, Recorder()

    def gone(*_args: Any) -> None:
        tried(None)
        raise DisconnectedError("gone")

    heard = Recorder()
    monkeypatch.setattr(circuit, "sending", gone)
    with pv.subscribe(heard, mask=module.DBE_LOG):
        tried.wait(1)
    assert heard.items == []


def test_in_a_forked_child_subscriptions_are_the_parents(pair):
    _, pv = pair
    with pv.subscribe(print) as subscription:
        pv.wait_for(lambda value: True)
        monitor = subscription.monitor
        assert monitor.orphan() == 1
        assert subscription.closed
        assert monitor.orphan() == 0
        pv._runtime.loop.call_soon(monitor.let_go)


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
    assert repr(subscription) == "<Subscription to 'x', policy 'all', 0 pending, 0 dropped>"
    subscription.close()
    assert repr(subscription) == "<Subscription to 'x', policy 'all', closed, 0 dropped>"


def test_only_the_latest(pair):
    ioc, pv = pair
    subscription, heard, gate = blocked(pv, policy="latest")
    feed(ioc, pv, range(1, 50))
    assert subscription.pending == 1
    gate.set()
    assert values(heard.wait(2)) == [0.0, 49.0]
    assert subscription.dropped == 48
    subscription.close()


def test_a_slow_callback_is_bounded_and_the_server_asked_to_pause(pair, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 10)
    monkeypatch.setattr(module, "_PAUSE_AFTER", 5)
    ioc, pv = pair
    subscription, heard, gate = blocked(pv)
    feed(ioc, pv, range(1, 40))
    assert (subscription.pending, subscription.dropped) == (10, 29)
    assert pv.channel.circuit.pauses >= 1
    gate.set()
    assert values(heard.wait(11)) == [0.0, *map(float, range(30, 40))]
    subscription.close()


def test_large_arrays_are_bounded_by_their_bytes(serve, monkeypatch):
    monkeypatch.setattr(module, "LIMIT_BYTES", 30_000)
    ioc, context = serve(Record("x", np.zeros(1000)))
    pv = context.pv("x")
    subscription, heard, gate = blocked(pv)
    for number in range(1, 20):
        ioc["x"].post(np.full(1000, float(number)))
        pv.wait_for(lambda value, number=number: value[0] == number)
    assert subscription.pending == 3
    gate.set()
    assert [value[0] for value in values(heard.wait(4))] == [0.0, 17.0, 18.0, 19.0]
    subscription.close()


# ---------------------------------------------------------------- runs: fed by hand, as the circuit would


def run_of(count: int, first: float = 0.0) -> UpdateRun:
    rows = np.zeros(count, run_dtype(ChannelType.TIME_DOUBLE))
    rows["value"] = np.arange(first, first + count)
    rows["seconds"] = 1
    return UpdateRun(None, ChannelType.TIME_DOUBLE, rows, 1)


@pytest.mark.parametrize("count", [8, 1000])
def test_a_run_is_given_reading_by_reading_or_whole(pair, count):
    _, pv = pair
    readings, runs, latest = Recorder(), Recorder(), Recorder()
    with pv.subscribe(readings), pv.subscribe_runs(runs), pv.subscribe(latest, policy="latest") as skipping:
        for each in (readings, runs, latest):
            each.wait(1)
        monitor = pv._monitor
        pv.channel.runtime.loop.call_soon(monitor.receive, run_of(count, 1.0))
        assert values(readings.wait(count + 1)) == [float(number) for number in range(count + 1)]
        assert runs.wait(2)[1]["value"].tolist() == [float(number) for number in range(1, count + 1)]
        assert values(latest.wait(2)) == [0.0, float(count)]
        assert skipping.dropped == count - 1
        assert pv.get() == count


def test_a_long_run_leaves_room_for_others(pair, monkeypatch, caplog):
    monkeypatch.setattr(module, "_SLICE", 4)
    monkeypatch.setattr(module, "_SLICE_SECONDS", 0.0)
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


def test_dropping_spares_what_is_not_its_own(pair):
    """The lane of a PV carries connection events too; and there may be nothing to drop."""
    _, pv = pair
    lanes = Lanes(pv.channel.runtime.loop)
    lanes.close()
    lane = lanes.lane("x")
    channel = SimpleNamespace(name="x", circuit=None)
    subscription = Subscription(SimpleNamespace(channel=channel), print, lane, "latest", False, lambda _: None)
    lane.push(print, "connection")
    for number in range(3):
        subscription.offer(1, Reading(float(number)))
    assert lane.jobs[0] == (print, "connection")
    assert (len(lane.jobs), subscription.dropped, subscription.pending) == (2, 2, 1)
    lane.jobs.pop()
    subscription.offer(1, Reading(3.0))
    assert len(lane.jobs) == 2
    subscription._pause_at = 0
    subscription.offer(1, Reading(4.0))
    assert (len(lane.jobs), subscription.dropped) == (2, 3)


# ---------------------------------------------------------------- updates


def test_updates_come_one_by_one_and_end_with_close(pair):
    ioc, pv = pair
    seen = []
    with pv.updates(timeout=PATIENCE) as updates:
        for reading in updates:
            seen.append(reading.value)
            ioc["x"].post(reading.value + 1.0)
            if reading.value == 3.0:
                break
        assert updates.dropped == 0
    assert seen == [0.0, 1.0, 2.0, 3.0]
    assert len(list(updates)) <= 1


def test_updates_that_do_not_come(pair):
    _, pv = pair
    with pv.updates(timeout=0.05) as updates:
        next(updates)
        with pytest.raises(CATimeoutError, match=r"'x': no update within 0.05 s"):
            next(updates)
    nowhere = context_of(pv).pv("nowhere")
    with nowhere.updates(timeout=0.05) as updates, pytest.raises(CATimeoutError, match="'nowhere' not connected after"):
        next(updates)


def test_closing_wakes_who_waits(pair):
    _, pv = pair
    updates, done = pv.updates(), Recorder()
    thread = threading.Thread(target=lambda: done(values(list(updates))))
    thread.start()
    pv.wait_for(lambda value: True)
    updates.close()
    done.wait(1)
    thread.join(PATIENCE)


def test_updates_end_with_the_context(pair):
    _, pv = pair
    updates = pv.updates()
    next(updates)
    context_of(pv).close()
    with pytest.raises(ContextClosedError):
        next(updates)


def test_updates_are_bounded(pair, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 5)
    ioc, pv = pair
    with pv.updates(timeout=PATIENCE) as updates, pv.updates(timeout=PATIENCE, policy="latest") as latest:
        feed(ioc, pv, range(1, 20))
        for each in (updates, latest):
            assert eventually(lambda each=each: each._readings[-1].value == 19.0)
        assert [updates.next(PATIENCE).value for _ in range(5)] == [15.0, 16.0, 17.0, 18.0, 19.0]
        assert latest.next(PATIENCE).value == 19.0
        assert (updates.dropped, latest.dropped) == (15, 19)


def test_a_monitor_waits_until_the_channel_knows_its_type(pair):
    """A leader may have read the answer to the request before the engine thread makes the channel ready."""
    _, pv = pair
    channel = pv.channel
    monitor = module.Monitor(channel, module.DBE_LOG)
    seen = []

    def start() -> None:
        ready, channel.state = channel.state, ChannelState.CREATING
        monitor.start()
        seen.append(monitor.core_id)
        channel.state = ready
        monitor.start()
        seen.append(monitor.core_id)
        monitor.stop()
        done.set()

    done = threading.Event()
    channel.runtime.loop.call_soon(start)
    assert done.wait(PATIENCE)
    assert seen[0] is None
    assert seen[1] is not None
