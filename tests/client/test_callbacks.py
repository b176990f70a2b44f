"""Callbacks in pyepics' form: the order of what happened, the template, who is called at first, what falls behind."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest

from caclient import AccessRights, ChannelType, Mask, Reading
from caclient.client import callbacks as module
from caclient.client.callbacks import Events, Note
from caclient.dbr.decode import run_dtype
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.runs import UpdateRun
from tests.ports import free_port
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually


@pytest.fixture
def pair(serve):
    """One record ``x`` and a connected PV of it that knows its value."""
    ioc, context = serve(Record("x", 0.0, units="mm", precision=1))
    pv = context.pv("x")
    assert pv.wait_for(lambda value: True, timeout=10).is_valid
    return ioc, pv


def run_of(count: int, first: float = 0.0) -> UpdateRun:
    rows = np.zeros(count, run_dtype(ChannelType.TIME_DOUBLE))
    rows["value"] = np.arange(first, first + count)
    return UpdateRun(None, ChannelType.TIME_DOUBLE, rows, 1)


def engine_idle(runtime: Any) -> None:
    done = Recorder()
    runtime.loop.call_soon(runtime.loop.call_soon, done, None)
    done.wait(1)


def values_of(pv: Any, heard: Recorder) -> None:
    """What the PV's callbacks were told, all that waits included."""
    done = Recorder()
    engine_idle(pv.channel.runtime)
    pv._callbacks.events.note(Note(done, None))
    done.wait(1)


# ---------------------------------------------------------------- the first call


def test_a_pv_that_has_a_value_makes_no_call_unless_told_so(pair):
    ioc, pv = pair
    quiet, eager = Recorder(lambda value, **_: value), Recorder(lambda value, **_: value)
    pv.add_callback(quiet)
    values_of(pv, quiet)
    pv.add_callback(eager, run_now=True)
    assert eager.wait(1) == [0.0]
    ioc["x"].post(1.0)
    assert quiet.wait(1) == [1.0]
    assert eager.wait(2) == [0.0, 1.0]


def test_the_first_call_waits_for_the_metadata(serve):
    _, context = serve(Record("x", 1.0, units="mm", precision=3))
    heard = Recorder(lambda **fields: fields)
    context.pv("x").add_callback(heard)
    (fields,) = heard.wait(1)
    assert (fields["units"], fields["precision"], fields["char_value"]) == ("mm", 3, "1.000")


def test_without_ctrlvars_no_metadata_are_asked_for(pair):
    _, pv = pair
    heard = Recorder(lambda **fields: fields)
    pv.add_callback(heard, with_ctrlvars=False, run_now=True)
    (fields,) = heard.wait(1)
    assert fields["units"] is None
    assert pv.channel.control is None


def test_an_update_after_a_callback_was_added_reaches_it(pair):
    """Though the engine thread is late, and it is not the first."""
    _, pv = pair
    first, second = Recorder(lambda value, **_: value), Recorder(lambda value, **_: value)
    pv.add_callback(first, run_now=True)
    first.wait(1)
    gate = threading.Event()
    pv.channel.runtime.loop.call_soon(gate.wait, PATIENCE)
    pv.add_callback(second)
    pv._monitor.receive(run_of(1, 5.0))
    try:
        assert second.wait(1) == [5.0]
    finally:
        gate.set()


def test_there_is_no_argument_by_position_but_the_callback(pair):
    _, pv = pair
    with pytest.raises(TypeError):
        pv.add_callback(print, 1)


# ---------------------------------------------------------------- the template


def test_the_template_follows_metadata_rights_and_host(pair):
    ioc, pv = pair
    heard = Recorder(lambda **fields: fields)
    pv.add_callback(heard, run_now=True)
    first = heard.wait(1)[0]
    assert (first["units"], first["access"], first["host"]) == ("mm", "read/write", pv.host)
    assert pv.units == "mm"
    ioc["x"].set_properties(units="m")
    eventually(lambda: pv.units == "m")
    ioc["x"].access = AccessRights.READ
    eventually(lambda: not pv.write_access)
    ioc["x"].post(1.0)
    second = heard.wait(2)[1]
    assert (second["units"], second["access"], second["write_access"]) == ("m", "read-only", False)
    ioc.stop()
    ioc["x"].post(2.0)
    ioc.start(tcp_port=free_port())
    third = heard.wait_for(lambda items: items[-1]["value"] == 2.0)[-1]
    assert third["host"] == pv.host != first["host"]


def test_a_call_cannot_spoil_the_next(pair):
    ioc, pv = pair
    heard = Recorder()

    def greedy(**fields: Any) -> None:
        heard(dict(fields))
        fields.clear()

    pv.add_callback(greedy, run_now=True)
    heard.wait(1)
    ioc["x"].post(1.0)
    first, second = heard.wait(2)
    assert first.keys() == second.keys()
    assert (second["value"], second["char_value"]) == (1.0, "1.0")
    assert second["timestamp"] == pytest.approx(second["posixseconds"] + second["nanoseconds"] * 1e-9)


def test_updates_that_came_together(pair):
    _, pv = pair
    heard = Recorder(lambda value, **_: value)
    pv.add_callback(heard, run_now=True)
    heard.wait(1)
    pv.channel.runtime.loop.call_soon(pv._monitor.receive, run_of(1000, 1.0))
    assert heard.wait(1001) == [float(number) for number in range(1001)]


# ---------------------------------------------------------------- order


def test_rights_connection_and_values_come_in_the_order_of_what_happened(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder()
    pv = context.pv("x", access_callback=lambda read, write, pv: heard(("access", read)))
    pv.add_connection_callback(lambda conn, **_: heard(("connection", conn)))
    pv.add_callback(lambda value, **_: heard(("value", value)))
    there = [("access", True), ("connection", True), ("value", 1.0)]
    assert heard.wait(3) == there
    ioc.stop()
    assert heard.wait(5)[3:] == [("connection", False), ("access", False)]
    ioc.start()
    assert heard.wait(8)[5:] == there


def test_no_value_overtakes_a_connection_when_the_oldest_are_dropped(pair):
    """ "connected False" used to be overtaken by values of the time before."""
    _, pv = pair
    gate, heard = threading.Event(), Recorder()
    started = threading.Event()

    def callback(value: float, **_: Any) -> None:
        started.set()
        gate.wait(PATIENCE)
        heard(value)

    pv.add_callback(callback, run_now=True)
    assert started.wait(PATIENCE)
    events = pv._callbacks.events
    events._room, events._mark = 200 * 100, 100
    for number in range(1, 1001):
        events.one(Reading(float(number)))
        if number % 50 == 0:
            events.note(Note(heard, ("note", number)))
    assert events.dropped > 800
    assert events.dropped + events.pending == 1000
    gate.set()
    heard.wait_for(lambda items: items[-1:] == [("note", 1000)])
    assert [item for item in heard.items if isinstance(item, tuple)] == [("note", n) for n in range(50, 1001, 50)]
    newest = 0.0
    for item in heard.items:
        if isinstance(item, tuple):
            assert newest <= item[1]
        else:
            assert item > newest or item == 0.0
            newest = item


def test_changes_of_the_connection_are_bounded(pair, monkeypatch):
    monkeypatch.setattr(module, "_NOTES", 10)
    _, pv = pair
    gate, heard = threading.Event(), Recorder(lambda conn, **_: conn)
    started = threading.Event()

    def block(**_: Any) -> None:
        started.set()
        gate.wait(PATIENCE)

    pv.add_callback(block, run_now=True)
    pv.add_connection_callback(heard)
    assert started.wait(PATIENCE)
    callbacks = pv._callbacks
    for _ in range(100):
        pv.channel.runtime.loop.call_soon(callbacks.lost)
        pv.channel.runtime.loop.call_soon(callbacks.serve, pv.channel)
    engine_idle(pv.channel.runtime)
    assert len(callbacks.events._items) <= 12
    gate.set()
    heard.wait_for(lambda items: len(items) >= 9 and items[-1])
    tail = heard.items[1:]
    assert all(one is not other for one, other in itertools.pairwise(tail))


def test_of_a_storm_of_rights_the_newest_is_told(pair):
    _, pv = pair
    gate, heard = threading.Event(), Recorder()
    started = threading.Event()

    def block(**_: Any) -> None:
        started.set()
        gate.wait(PATIENCE)

    pv.add_callback(block, run_now=True)
    assert started.wait(PATIENCE)
    pv.add_access_callback(lambda read, write, pv: heard((read, write)))
    for number in range(1001):
        rights = AccessRights.READ if number % 2 == 0 else AccessRights.READ | AccessRights.WRITE
        pv.channel.runtime.loop.call_soon(pv.channel.ride.receive, ca.AccessRightsResponse(pv.channel.cid, rights))
    engine_idle(pv.channel.runtime)
    gate.set()
    heard.wait_for(lambda items: items[-1:] == [(True, False)])
    assert len(heard.items) <= 2


# ---------------------------------------------------------------- falling behind


def test_who_is_a_second_behind_has_the_server_merge_updates_until_all_is_delivered(pair, monkeypatch):
    _, pv = pair
    now = [100.0]
    monkeypatch.setattr(module, "time", _Clock(now))
    asked = Recorder()
    circuit = pv.channel.circuit
    monkeypatch.setattr(circuit, "pause_updates", lambda *_: asked("pause"))
    monkeypatch.setattr(circuit, "resume_updates", lambda *_: asked("resume"))
    seen: list[float] = []
    events = Events(pv.channel, lambda reading: seen.append(reading.value))
    events.scheduled = True  # no worker comes but this one
    for number in range(50):
        events.one(Reading(float(number)))
        now[0] += 0.1
        assert asked.items == (["pause"] if number > 10 else []), number
    while events.waits():
        assert asked.items == ["pause"]
        events.serve(0.0)
    assert asked.items == ["pause", "resume"]
    assert seen == [float(number) for number in range(50)]
    for number in range(50):  # a queue that is never long behind asks for nothing
        events.one(Reading(float(number)))
        now[0] += 0.1
        if number % 3 == 0:
            events.serve(now[0] + 1.0)
    assert asked.items == ["pause", "resume"]


class _Clock:
    def __init__(self, now: list[float]) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now[0]


# ---------------------------------------------------------------- the end


def test_callbacks_end_with_their_pv(pair):
    ioc, pv = pair
    heard = Recorder(lambda **_: None)
    pv.add_callback(heard, run_now=True)
    pv.add_connection_callback(heard)
    heard.wait(2)
    pv.close()
    ioc.drop_clients()
    pv._callbacks.serve(pv.channel)
    pv._callbacks.lost()
    pv._callbacks.end()
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)
    assert len(heard.items) == 2


def test_an_event_mask_of_the_pv_is_the_callbacks(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda value, **_: value)
    pv = context.pv("x", auto_monitor=int(Mask.VALUE | Mask.LOG))
    pv.add_callback(heard)
    assert heard.wait(1) == [1.0]
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
