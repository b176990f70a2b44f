"""Puts that are begun: futures, in order, and never blocking."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from caclient import BadValueError, CATimeoutError, ChannelAccessError, Context, DisconnectedError, Put
from caclient.ioc import Completion, Record
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder


@pytest.fixture
def pair(serve):
    return serve(
        Record("x", 1.0),
        Record("state", 0, enum_strings=("Idle", "Moving")),
        Record("never", 1.0, on_put=lambda record, value: Completion()),
    )


def test_is_a_future_of_the_completion(pair):
    _, context = pair
    x = context.pv("x")
    x.get()
    put = x.begin_put(2.0)
    assert isinstance(put, Put)
    assert isinstance(put, concurrent.futures.Future)
    assert put.result(PATIENCE) is None
    assert (put.done(), put.exception(), put.pvname) == (True, None, "x")
    assert x.get(use_monitor=False) == 2.0


def test_without_a_connection_it_waits_for_one_in_order(serve):
    ioc, context = serve()
    x = context.pv("x", timeout=PATIENCE)
    begun = [x.begin_put(float(number)) for number in range(5)]
    assert not any(put.done() for put in begun)
    values = Recorder()
    ioc.add(Record("x", 0.0, on_put=lambda record, value: values(value)))
    x.put(9.0)  # behind them all
    for put in begun:
        put.result(PATIENCE)
    assert values.wait(6) == [0.0, 1.0, 2.0, 3.0, 4.0, 9.0]


def test_without_one_in_time_it_fails(serve):
    _, context = serve()
    put = context.pv("nowhere", timeout=0.05).begin_put(1.0)
    with pytest.raises(CATimeoutError, match="'nowhere' not connected after"):
        put.result(PATIENCE)
    assert isinstance(put.exception(), CATimeoutError)


def test_what_cannot_be_put_is_told_at_once_or_by_the_future(pair, serve):
    _, context = pair
    x, state = context.pv("x"), context.pv("state")
    x.get(), state.get()
    with pytest.raises(BadValueError, match="'fast' is no number"):
        x.begin_put("fast")
    assert state.enum_strs == ("Idle", "Moving")
    with pytest.raises(BadValueError, match="did you mean 'Moving'"):
        state.begin_put("moving")
    ioc, other = serve()
    begun = other.pv("late", timeout=PATIENCE).begin_put([1, 2])
    ioc.add(Record("late", 1.0))
    with pytest.raises(BadValueError, match="'late': 2 elements given"):
        begun.result(PATIENCE)


def test_raises_as_a_put_that_waits(pair):
    _, context = pair
    with pytest.raises(ChannelAccessError, match="'state': ECA_PUTFAIL"):
        context.pv("state").begin_put("77").result(PATIENCE)
    pv = context.pv("never")
    assert pv.wait_for_connection(PATIENCE)
    never = pv.begin_put(2.0)
    for wait in (never.result, never.exception):
        with pytest.raises(TimeoutError, match="not completed: 'never' after"):
            wait(0.05)
    assert not never.done()


def test_a_lost_connection_says_that_it_had_been_sent():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        x = context.pv("x")
        x.get()
        server.drop("write", times=None)
        begun = x.begin_put(2.0)
        server.drop_clients()
        with pytest.raises(DisconnectedError, match="the put had been sent"):
            begun.result(PATIENCE)


def test_cancelling_makes_the_end_no_news(pair):
    put = pair[1].pv("never").begin_put(2.0)
    assert put.cancel()
    assert put.cancel()
    assert put.cancelled()
    done, waiting = concurrent.futures.wait([put], timeout=PATIENCE)
    assert (done, waiting) == ({put}, set())
    with pytest.raises(concurrent.futures.CancelledError):
        put.result(0)
    finished = pair[1].pv("x").begin_put(2.0)
    finished.result(PATIENCE)
    assert not finished.cancel()


def test_done_callbacks_run_where_callbacks_run(pair):
    x, told = pair[1].pv("x"), Recorder()
    put = x.begin_put(2.0)
    put.add_done_callback(lambda put: told((threading.current_thread().name, x.get(use_monitor=False), put.result())))
    [(thread, value, result)] = told.wait(1)
    assert thread.startswith("caclient-lane")
    assert (value, result) == (2.0, None)
    put.add_done_callback(lambda put: told("late"))
    assert told.wait(2)[1] == "late"


def test_any_number_at_once(pair):
    x = pair[1].pv("x")
    x.get()
    begun = [x.begin_put(float(number)) for number in range(200)]
    assert [put.result(PATIENCE) for put in concurrent.futures.as_completed(begun, PATIENCE)] == [None] * 200
    assert x.get(use_monitor=False) == 199.0


def test_asyncio_takes_it(pair):
    async def work():
        await asyncio.wait_for(asyncio.wrap_future(pair[1].pv("x").begin_put(3.0)), PATIENCE)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(never), 0.05)

    never = pair[1].pv("never").begin_put(3.0)
    asyncio.run(work())
    assert never.cancelled()


def test_closing_the_context_ends_it(serve):
    _, context = serve()
    begun = context.pv("nowhere", timeout=60).begin_put(1.0)
    context.close()
    assert begun.exception(PATIENCE) is not None
