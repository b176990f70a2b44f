"""PV: values of every type there and back, cached state, callbacks in pyepics' form, the end."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import threading
import weakref
from typing import Any

import pytest

from caclient import (
    PV,
    BadValueError,
    Context,
    ContextClosedError,
    DisconnectedError,
)
from caclient.client.bulk import get_all
from caclient.client.callbacks import Callbacks, Note
from caclient.client.channel import Channel
from caclient.client.monitor import Monitor
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.client.records import STATES
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import context_of, engine_idle

# ---------------------------------------------------------------- callbacks in pyepics' form


def test_a_callback_is_given_everything(serve):
    _, context = serve(Record("x", 1, enum_strings=STATES))
    heard = Recorder(lambda **keywords: keywords)
    pv = context.pv("x")
    index = pv.add_callback(heard, run_now=True, mine="extra")
    (fields,) = heard.wait(1)
    assert fields["cb_info"] == (index, pv)
    assert {
        "pvname": "x", "value": 1, "char_value": "Moving", "count": 1, "nelm": 1, "status": 0, "severity": 0,
        "type": "time_enum", "ftype": 17, "units": None, "precision": None, "enum_strs": STATES,
        "access": "read/write", "read_access": True, "write_access": True, "host": pv.host, "mine": "extra",
    }.items() <= fields.items()  # fmt: skip
    assert fields["timestamp"] == pytest.approx(fields["posixseconds"] + fields["nanoseconds"] * 1e-9)
    assert fields["upper_disp_limit"] is None
    assert pv.callbacks == {index: (heard, {"mine": "extra"})}


def test_the_callback_of_the_constructor(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda value, **_: value)
    pv = context.pv("x", callback=heard)
    heard.wait(1)
    ioc["x"].post(2.0)
    assert heard.wait(2) == [1.0, 2.0]
    pv.close()


def test_a_late_callback_gets_the_current_value_once(pair):
    ioc, pv = pair
    first, late = Recorder(lambda value, **_: value), Recorder(lambda value, **_: value)
    pv.add_callback(first, run_now=True)
    first.wait(1)
    pv.get(use_monitor=False)
    pv.add_callback(late, run_now=True)
    assert late.wait(1) == [1.0]
    ioc["x"].post(2.0)
    assert late.wait(2) == first.wait(2) == [1.0, 2.0]


def test_callbacks_before_the_first_value_get_it_once(pair):
    _, pv = pair
    gate, heard = threading.Event(), Recorder(lambda value, **_: value)
    pv.add_callback(lambda **_: gate.wait(PATIENCE), run_now=True)
    pv.get(use_monitor=False)
    pv.add_callback(heard, run_now=True)
    gate.set()
    heard.wait(1)
    flush(pv)
    assert heard.items == [1.0]


def flush(pv: PV) -> None:
    """Wait until everything that is queued for the PV's callbacks has been called."""
    events = pv._callbacks.events
    if events.stopped:
        assert eventually(lambda: not events.scheduled)
        return
    done = Recorder()
    events.note(Note(done, None))
    done.wait(1)


def test_callbacks_by_index(pair):
    ioc, pv = pair
    heard, other = Recorder(lambda value, **_: value), Recorder(lambda value, **_: value)
    assert pv.add_callback(heard, index=7, run_now=True) == 7
    assert pv.add_callback(other, run_now=True) == 8
    heard.wait(1)
    pv.remove_callback(7)
    pv.remove_callback(7)
    ioc["x"].post(2.0)
    assert other.wait(2) == [1.0, 2.0]
    assert heard.items == [1.0]
    pv.clear_callbacks()
    assert pv.callbacks == {}
    again = Recorder(lambda value, **_: value)
    pv.add_callback(again, run_now=True)
    assert again.wait(1) == [2.0]
    assert other.items == [1.0, 2.0]


def test_a_callback_removes_itself_and_adds_another(pair):
    ioc, pv = pair
    heard, added = Recorder(lambda value, **_: value), Recorder(lambda value, **_: value)

    def once(value, cb_info, **_):
        index, itself = cb_info
        heard(value=value)
        itself.remove_callback(index)
        itself.add_callback(added, run_now=True)

    pv.add_callback(once, run_now=True)
    added.wait(1)
    ioc["x"].post(2.0)
    assert added.wait(2) == [1.0, 2.0]
    assert heard.items == [1.0]


def test_a_callback_removes_one_that_was_due(pair):
    ioc, pv = pair
    removed = Recorder(lambda value, **_: value)
    done = Recorder(lambda value, **_: value)
    pv.add_callback(lambda **_: pv.remove_callback(5), index=1)
    pv.add_callback(removed, index=5)
    pv.add_callback(done, index=9, run_now=True)
    done.wait(1)
    ioc["x"].post(2.0)
    assert done.wait(2)
    assert len(removed.items) <= 1


def test_a_newcomer_removed_before_its_turn_is_not_called(pair):
    _, pv = pair
    gate, started, heard = threading.Event(), threading.Event(), Recorder(lambda **_: None)

    def block(**_):
        started.set()
        gate.wait(PATIENCE)

    pv.add_callback(block, run_now=True)
    assert started.wait(PATIENCE)
    pv.remove_callback(pv.add_callback(heard, run_now=True))
    gate.set()
    flush(pv)
    assert heard.items == []


def test_a_callback_that_always_raises(pair, caplog):
    ioc, pv = pair
    heard = Recorder(lambda value, **_: value)

    def bad(**_):
        raise RuntimeError("user bug")

    pv.add_callback(bad, run_now=True)
    pv.add_callback(heard, run_now=True)
    for number in range(50):
        heard.wait(number + 1)
        ioc["x"].post(float(number))
    heard.wait_for(lambda items: items[-1] == 49.0)
    errors = [record for record in caplog.records if record.name == "caclient.callbacks"]
    assert len(errors) <= 2
    assert errors[0].levelno == logging.ERROR
    assert errors[0].getMessage().startswith("x: callback raised (1 so far)")
    assert "user bug" in caplog.text
    assert pv._callbacks.events.errors > 10
    assert len(pv.callbacks) == 2


def test_a_bad_newcomer_does_no_harm(pair, caplog):
    ioc, pv = pair
    heard = Recorder(lambda value, **_: value)
    pv.add_callback(heard, run_now=True)
    heard.wait(1)
    pv.add_callback(lambda: None)  # takes no keywords
    ioc["x"].post(2.0)
    assert heard.wait(2) == [1.0, 2.0]
    eventually(lambda: "unexpected keyword argument" in caplog.text)


@pytest.mark.parametrize("add", ["add_callback", "add_connection_callback", "add_access_callback", "subscribe"])
def test_a_callback_can_be_called(pair, add):
    _, pv = pair
    with pytest.raises(BadValueError, match="'x': None is not callable"):
        getattr(pv, add)(None)


def test_many_threads_change_callbacks_at_once(pair):
    ioc, pv = pair

    def churn() -> None:
        for _ in range(50):
            pv.remove_callback(pv.add_callback(lambda **_: None))

    threads = [threading.Thread(target=churn) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert pv.callbacks == {}
    heard = Recorder(lambda value, **_: value)
    pv.add_callback(heard, run_now=True)
    assert heard.wait(1) == [1.0]
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)


# ---------------------------------------------------------------- connection callbacks


def test_both_edges_in_order(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda conn, **_: conn)
    early = context.pv("x", connection_callback=heard)
    assert heard.wait(1) == [True]
    late = Recorder(lambda pvname, conn, pv: (pvname, conn, pv))
    early.add_connection_callback(late)
    assert late.wait(1) == [("x", True, early)]
    for round_trip in range(1, 4):
        ioc.stop()
        heard.wait(2 * round_trip)
        ioc.start()
        heard.wait(2 * round_trip + 1)
    assert heard.items == [True, False] * 3 + [True]
    assert [conn for _, conn, _ in late.wait(7)] == heard.items


def test_the_connection_comes_before_the_first_value(serve):
    _, context = serve(Record("x", 1.0))
    heard = Recorder()
    pv = context.pv("x")
    pv.add_connection_callback(lambda conn, **_: heard(conn))
    pv.add_callback(lambda value, **_: heard(value), run_now=True)
    assert heard.wait(2) == [True, 1.0]


def test_one_of_several_connection_callbacks_raises(serve, caplog):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda conn, **_: conn)
    pv = context.pv("x", connection_callback=lambda **_: 1 / 0)
    pv.add_connection_callback(heard)
    heard.wait(1)
    ioc.stop()
    assert heard.wait(2) == [True, False]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("kind", ["value", "connection", "access", "subscription"])
def test_a_callback_may_call_anything(serve, kind):
    """More PVs than any pool of workers has threads, and each callback waits for the network."""
    _, context = serve(*(Record(f"x{number}", float(number)) for number in range(20)), Record("other", 5.0))
    heard = Recorder()

    def work(*_args: Any, **_keywords: Any) -> None:
        pv = context.pv("other", auto_monitor=False)
        pv.put(6.0, wait=True)
        value = pv.get(timeout=PATIENCE)
        reached = context.pv("x3").wait_for(lambda value: value == 3.0, timeout=PATIENCE).value
        pv.close()
        heard((value, reached))

    pvs = [context.pv(f"x{number}") for number in range(20)]
    for pv in pvs:
        if kind == "value":
            pv.add_callback(work, run_now=True)
        elif kind == "connection":
            pv.add_connection_callback(work)
        elif kind == "access":
            pv.add_access_callback(work)
        else:
            pv.subscribe(work)
    assert heard.wait(20) == [(6.0, 3.0)] * 20


def test_callbacks_added_and_closed_before_the_engine_knows(pair):
    _, pv = pair
    context, gate = context_of(pv), threading.Event()
    other, heard = context.pv("x"), Recorder()
    context._home.runtime.loop.call_soon(gate.wait, PATIENCE)
    other.add_connection_callback(lambda **_: heard(1))
    other.add_access_callback(lambda *_args, **_keywords: heard(2))
    other.close()
    gate.set()
    engine_idle(context)
    assert not [each for each in pv.channel.dependents if isinstance(each, Callbacks)]
    assert heard.items == []


def test_callbacks_that_were_due_when_the_pv_was_closed(pair):
    _, pv = pair
    context, gate, started, heard = context_of(pv), threading.Event(), threading.Event(), Recorder()
    other = context.pv("x")

    def block(**_):
        started.set()
        gate.wait(PATIENCE)

    other.add_connection_callback(block)
    assert started.wait(PATIENCE)
    other.add_connection_callback(lambda **_: heard(1))
    other.add_access_callback(lambda *_args, **_keywords: heard(2))
    other.add_callback(lambda **_: heard(3), run_now=True)
    engine_idle(context)
    other.close()
    gate.set()
    flush(other)
    assert heard.items == []


# ---------------------------------------------------------------- completion, disconnects


@pytest.mark.parametrize("what", ["get", "put", "bulk"])
@pytest.mark.parametrize("how", ["circuit", "channel"])
def test_a_disconnect_while_waiting_is_told_at_once(what, how):
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        pv = context.pv("x", auto_monitor=False)
        assert pv.wait_for_connection(PATIENCE)
        server.drop({"put": "write"}.get(what, "read"), times=None)
        failed = Recorder()

        def work() -> None:
            try:
                if what == "get":
                    pv.get(timeout=60)
                elif what == "put":
                    pv.put(2.0, wait=True)
                else:
                    failed(get_all([pv.channel], 1e9)[0])
            except Exception as error:
                failed(error)

        thread = threading.Thread(target=work)
        thread.start()
        server.wait_for(ca.WriteNotifyRequest if what == "put" else ca.ReadNotifyRequest)
        server.drop_clients() if how == "circuit" else server.disconnect_channel("x")
        (error,) = failed.wait(1)
        thread.join(PATIENCE)
        assert isinstance(error, DisconnectedError)
        assert str(error).startswith("'x' is not connected: ")
        assert ("closed by the server" if how == "circuit" else "removed the channel") in str(error)


# ---------------------------------------------------------------- sharing and the end


def test_a_closed_pv_says_so(pair):
    _, pv = pair
    pv.close()
    for use in (
        pv.get, pv.read, lambda: pv.put(1.0), lambda: pv.put(1.0, wait=True), lambda: pv.begin_put(1.0),
        lambda: pv.subscribe(print), lambda: pv.add_callback(print), lambda: pv.add_connection_callback(print),
        lambda: pv.add_access_callback(print), lambda: pv.updates(), lambda: pv.wait_for(bool, timeout=10),
    ):  # fmt: skip
        with pytest.raises(DisconnectedError, match="'x': this PV has been closed; make a new PV"):
            use()


def test_a_closed_pv_calls_nobody(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda **keywords: keywords)
    with context.pv("x", connection_callback=heard, callback=heard) as pv:
        pv.add_access_callback(lambda *_args, **_keywords: heard())
        heard.wait(3)
    before = len(heard.items)
    ioc["x"].post(2.0)
    ioc.stop()
    flush(pv)
    assert len(heard.items) == before


def test_a_name_may_be_opened_again(pair):
    _, pv = pair
    for _ in range(5):
        context = context_of(pv)
        pv.close()
        pv = context.pv("x")
        assert pv.get(timeout=PATIENCE) == 1.0


def test_a_dropped_pv_leaves_the_server(pair):
    ioc, pv = pair
    context, gone = context_of(pv), weakref.ref(pv)
    pv.get()
    del pv
    gc.collect()
    # the fixture still holds the pair
    assert gone() is not None
    other = context.pv("x", priority=3)
    assert other.get() == 1.0
    assert ioc.channel_count() == 2
    gone = weakref.ref(other)
    del other
    assert gone() is None
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 1, PATIENCE)


def test_a_pv_with_callbacks_stays_alive(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda value, **_: value)
    context.pv("x").add_callback(heard, run_now=True)
    heard.wait(1)
    gc.collect()
    ioc["x"].post(2.0)
    assert heard.wait(2) == [1.0, 2.0]


def test_churn_leaves_nothing_behind(serve):
    """Ten thousand PVs made and dropped, some of them with a subscription, most of them before they connect."""
    names = [f"x{number}" for number in range(50)]
    ioc, context = serve(*(Record(name, 0.0) for name in names))
    for round_trip in range(200):
        pvs = [context.pv(name) for name in names]
        if round_trip % 20 == 0:
            assert [pv.get() for pv in pvs[:3]] == [0.0] * 3
        if round_trip % 3 == 0:
            pvs[0].subscribe(print).close()
            pvs[0].close()
        del pvs
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)
    assert ioc.subscription_count() == 0
    engine_idle(context)
    assert context._home.names.all() == []
    eventually(lambda: not any(circuit.core.channels for circuit in list(context._home.pool.circuits.values())))
    eventually(lambda: not left_of(context))


def left_of(context: Context) -> list[Any]:
    """Objects of the context that are alive; timers hold some of them for a moment longer."""
    gc.collect()
    runtime, everything = context._home.runtime, gc.get_objects()
    left: list[Any] = [each for each in everything if type(each) is PV and each._runtime is runtime]
    left += [each for each in everything if type(each) is Channel and each.runtime is runtime]
    return left + [each for each in everything if type(each) is Monitor and each.channel.runtime is runtime]


def test_a_pickled_pv_is_the_same_name_in_the_same_kind_of_context(pair):
    _, pv = pair
    twin = pickle.loads(pickle.dumps(pv))
    assert twin.channel is pv.channel
    assert copy.copy(pv).get() == 1.0
    assert (twin.pvname, twin.priority, twin.auto_monitor, twin.timeout) == ("x", 0, True, 5.0)


def test_use_after_the_context_was_closed(pair):
    _, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    context_of(pv).close()
    for use in (
        pv.get, pv.read, lambda: pv.put(1.0), lambda: pv.put(1.0, wait=True), lambda: pv.begin_put(1.0),
        lambda: pv.subscribe(print), lambda: pv.add_callback(print), lambda: pv.wait_for(bool, timeout=10),
        pv.wait_for_connection,
    ):  # fmt: skip
        with pytest.raises(ContextClosedError, match="'x': the context has been closed"):
            use()
    assert (pv.connected, pv.value) == (False, 1.0)
    pv.close()


def test_a_notebook_waits_a_moment_for_the_first_value(serve):
    _, context = serve(Record("x", 1.5, units="mm", precision=3))
    pv = context.pv("x", auto_monitor=False)
    shown = pv._repr_html_()
    assert "1.500 mm" in shown
    assert "searching" not in shown
    pv.close()
    assert "closed" in pv._repr_html_()
    assert "searching" in context.pv("nowhere")._repr_html_()


def test_a_callback_given_at_the_making_is_called_for_what_another_pv_has_read(serve):
    ioc, context = serve(Record("x", 1.5))
    assert context.pv("x").get() == 1.5
    told = Recorder(lambda value, **_: value)
    pv = context.pv("x", callback=told)
    assert told.wait(1) == [1.5]
    ioc["x"].post(2.5)
    assert told.wait(2) == [1.5, 2.5]
    pv.close()
