"""It really happened: pulses are seen, settling is waited for, and what did not come is told."""

from __future__ import annotations

import threading

import pytest

from caclient import BadValueError, CATimeoutError, Context
from caclient.ioc import Completion, Record
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder

TRIES = 1_000
"""Pulses that have to be seen each time; ``.ci/run`` makes ten times as many."""


@pytest.fixture
def pair(serve):
    def pulse(record, value):
        record.post(1)
        record.post(0)
        return 0

    ioc, context = serve(
        Record("x", 1.0, precision=2),
        Record("busy", 0, enum_strings=("Idle", "Moving"), on_put=pulse),
        Record("state", 0, enum_strings=("Idle", "Moving")),
        Record("wave", [0.0, 0.0]),
        Record("text", "off"),
    )
    return ioc, context


@pytest.mark.parametrize("condition", [1, "Moving", lambda value: value == 1])
def test_a_pulse_within_a_put_is_never_missed(pair, condition):
    see_pulses(pair[1].pv("busy"), condition, TRIES)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("condition", [1, "Moving", lambda value: value == 1])
def test_ten_thousand_pulses_are_seen(pair, condition):
    see_pulses(pair[1].pv("busy"), condition, 10 * TRIES)


def see_pulses(busy, condition, number):
    """Each put makes the record go from 0 to 1 and back at once."""
    seen_in_all = 0
    for _ in range(number):
        with busy.expect(condition, timeout=PATIENCE) as seen:
            busy.put(1)
        assert seen.reading == 1
        assert seen.reading.text == "Moving" or not seen.reading.enum_strs
        seen_in_all += 1
    assert seen_in_all == number


def test_what_was_there_before_does_not_count(pair):
    ioc, context = pair
    x = context.pv("x")
    expected = x.expect(1.0, timeout=0.05)
    said = r"not seen: 'x' == 1.0 within 0.05 s; no update came, last value: 1"
    with pytest.raises(CATimeoutError, match=said), expected as seen:
        assert seen.reading is None
    assert expected.reading is None
    with pytest.raises(CATimeoutError, match=r"1 update came, last value: 2.*deadband"), x.expect(3.0, timeout=0.05):
        ioc["x"].post(2.0)


def test_an_exception_in_the_block_goes_through(pair):
    x = pair[1].pv("x")
    with pytest.raises(ZeroDivisionError), x.expect(9.0, timeout=60):
        raise ZeroDivisionError


def test_it_is_seen_while_the_block_runs(pair):
    ioc, context = pair
    x = context.pv("x")
    for condition in (2.0, lambda value: value == 2.0):
        heard = Recorder()
        with x.subscribe(heard), x.expect(condition, timeout=PATIENCE) as seen:
            ioc["x"].post(2.0)
            heard.wait_for(lambda readings: 2.0 in [reading.value for reading in readings])
            assert seen.reading == 2.0
        ioc["x"].post(1.0)
        x.wait_for(1.0, timeout=PATIENCE)


def test_inside_a_callback_of_the_same_pv(pair):
    busy, seen_there = pair[1].pv("busy"), Recorder()

    def react(_reading):
        with busy.expect("Moving", timeout=PATIENCE) as seen:
            busy.put(1)
        seen_there(seen.reading)

    with busy.subscribe(react, limit=1):
        seen_there.wait(1)


def test_a_tolerance_and_arrays(pair):
    ioc, context = pair
    with context.pv("x").expect(2.0, timeout=PATIENCE, tolerance=0.1) as seen:
        ioc["x"].post(2.05)
    assert seen.reading == 2.05
    with context.pv("wave").expect([1.0, 2.0], timeout=PATIENCE):
        ioc["wave"].post([1.0, 2.0])


def test_a_connection_is_needed_to_begin_with(serve):
    _, context = serve()
    pv = context.pv("nowhere", timeout=0.05)
    with pytest.raises(CATimeoutError, match="'nowhere' not connected"), pv.expect(1, timeout=60):
        pytest.fail("the block must not begin")


def test_a_disconnect_does_not_end_it_but_is_told():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        x = context.pv("x")
        x.get()
        said = r"the connection was lost meanwhile|it is disconnected now"
        with pytest.raises(CATimeoutError, match=said), x.expect(7.0, timeout=0.5):
            server.drop_clients()


def test_closing_the_pv_ends_it(pair):
    x, ended = pair[1].pv("x"), Recorder()

    def wait():
        try:
            with x.expect(9.0, timeout=60):
                x.close()
        except CATimeoutError as error:
            ended(error)

    thread = threading.Thread(target=wait)
    thread.start()
    ended.wait(1)
    thread.join(PATIENCE)


# ---------------------------------------------------------------- wait_for


def test_the_current_value_counts(pair):
    ioc, context = pair
    assert context.pv("x").wait_for(1, timeout=PATIENCE) == 1.0
    assert context.pv("state").wait_for("Idle", timeout=PATIENCE) == 0
    assert context.pv("text").wait_for("off", timeout=PATIENCE) == "off"
    threading.Timer(0.02, ioc["state"].post, ["Moving"]).start()
    assert context.pv("state").wait_for("Moving", timeout=PATIENCE) == 1


def test_zero_looks_once(pair):
    x = pair[1].pv("x")
    x.get()
    x.wait_for(1.0, timeout=PATIENCE)
    assert x.wait_for(1.0, timeout=0) == 1.0
    with pytest.raises(CATimeoutError, match=r"condition not met: 'x' == 2 after 0.000 s"):
        x.wait_for(2, timeout=0)


def test_a_timeout_is_needed(pair):
    x = pair[1].pv("x")
    for call in (x.wait_for, x.expect):
        with pytest.raises(TypeError, match="timeout"):
            call(1)
    with pytest.raises(BadValueError, match="timeout=None"):
        x.wait_for(1, timeout=None)


def test_settling(pair):
    ioc, context = pair
    x = context.pv("x")
    for number, delay in ((5.0, 0.02), (4.0, 0.06), (5.0, 0.1)):
        threading.Timer(delay, ioc["x"].post, [number]).start()
    reading = x.wait_for(5.0, timeout=PATIENCE, settle=0.1)
    assert reading == 5.0
    assert x.age > 0.09
    with pytest.raises(CATimeoutError):
        x.wait_for(5.0, timeout=0.1, settle=10.0)


def test_a_fresh_read_before_it_fails():
    """A server that answers reads, but tells nobody of changes."""
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        x = context.pv("x")
        x.wait_for(1.0, timeout=PATIENCE)
        server.drop("update", times=None)
        server["x"].post(7.0)
        assert x.wait_for(7.0, timeout=0.4) == 7.0


# ---------------------------------------------------------------- put and wait


def test_completion_and_condition(serve):
    def move(record, value):
        done = Completion()
        threading.Timer(0.05, lambda: (ioc["rbv"].post(value + 0.001), done.finish())).start()
        return done

    ioc, context = serve(
        Record("val", 0.0, on_put=move), Record("rbv", 0.0, precision=2), Record("dmov", 1, enum_strings=("no", "yes"))
    )
    val, rbv = context.pv("val"), context.pv("rbv")
    assert val.put_and_wait(3.0, timeout=PATIENCE, readback=rbv) == 3.001
    with pytest.raises(CATimeoutError, match=r"condition not met: 'rbv' == 4.0 after"):
        val.put_and_wait(4.0, timeout=0.4, readback=rbv, tolerance=0.0)
    assert val.put_and_wait(5.0, timeout=PATIENCE, readback=rbv, until=lambda value: value > 4) == 5.001
    assert val.put_and_wait(6.0, timeout=PATIENCE, readback=context.pv("dmov"), until="yes") == 1
    with pytest.raises(BadValueError, match="readback='rbv': give a PV"):
        val.put_and_wait(4.0, timeout=0.4, readback="rbv")


def test_a_put_that_does_not_complete(serve):
    _, context = serve(Record("slow", 0.0, on_put=lambda record, value: Completion()))
    with pytest.raises(CATimeoutError, match="not completed: 'slow'"):
        context.pv("slow").put_and_wait(1.0, timeout=0.2)
