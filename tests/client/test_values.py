"""The value of a PV: every type there and back, memory and network."""

from __future__ import annotations

import array

import numpy as np
import pytest

from caclient import (
    AlarmSeverity,
    AlarmStatus,
    BadValueError,
    CATimeoutError,
    Context,
    TimeStamp,
)
from caclient.ioc import Record
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.using import context_of, fresh


@pytest.mark.parametrize(
    "name, value",
    [
        ("double", -2.5),
        ("double", 3),
        ("double", np.float32(0.5)),
        ("double", True),
        ("double", float("inf")),
        ("float", 0.5),
        ("long", -70000),
        ("long", 4.0),
        ("int", np.int16(-5)),
        ("char", 200),
        ("enum", 2),
        ("string", "39 bytes is the most a string can hold."),
        ("string", ""),
        ("string", "\u00b5m"),
    ],
)
def test_scalars_there_and_back(pv_of, name, value):
    pv = pv_of(name)
    pv.put(value, wait=True)
    got = pv.get()
    assert got == value
    assert type(got) in (int, float, str)


@pytest.mark.parametrize(
    "name, value",
    [
        ("doubles", [1.0, 2.0, 3.0, 4.0]),
        ("doubles", (1, 2)),
        ("doubles", range(3)),
        ("doubles", np.array([1.5, 2.5], ">f4")),
        ("doubles", np.array([[1.0, 2.0], [3.0, 4.0]])),
        ("doubles", array.array("d", [1.0, 2.0])),
        ("doubles", memoryview(array.array("h", [1, 2]))),
        ("doubles", [7.0]),
        ("doubles", 7.0),
        ("doubles", []),
        ("floats", [0.5, 0.25]),
        ("longs", np.array([1, -1])),
        ("ints", [1, -1]),
        ("enums", [2, 1, 0]),
        ("chars", b"\x01\x00\xff"),
        ("chars", bytearray(b"xyz")),
        ("chars", memoryview(b"xyz")),
        ("chars", [1, 2, 3]),
    ],
)
def test_arrays_there_and_back(pv_of, name, value):
    pv = pv_of(name)
    pv.put(value, wait=True)
    got = fresh(pv)
    expected = np.frombuffer(value, np.uint8) if isinstance(value, (bytes, bytearray)) else np.asarray(value)
    assert isinstance(got, np.ndarray)
    assert got.dtype == pv_of.ioc[name].value.dtype
    assert got.tolist() == np.ravel(expected).tolist()


def test_string_arrays_there_and_back(pv_of):
    pv = pv_of("strings")
    for value in (["x", "", "39"], ("one",), np.array(["p", "q"]), []):
        pv.put(value, wait=True)
        assert fresh(pv).tolist() == list(value)
        assert fresh(pv).dtype.kind == "U"


def test_count_asks_for_less(pv_of):
    pv = pv_of("doubles")
    pv.put([1.0, 2.0, 3.0], wait=True)
    assert pv.get(count=2).tolist() == [1.0, 2.0]
    assert pv.get(count=1).tolist() == [1.0]
    assert pv.get(count=100).tolist()[:3] == [1.0, 2.0, 3.0]
    for count in (0, -1):
        with pytest.raises(BadValueError, match=f"'doubles': count={count}: give how many elements"):
            pv.get(count=count)
    assert pv.get().tolist() == [1.0, 2.0, 3.0]


def test_as_string(pv_of):
    assert pv_of("double").get(as_string=True) == "1.50"
    assert pv_of("enum").get(as_string=True) == "Moving"
    assert pv_of("chars").get(as_string=True) == "abc"
    assert pv_of("string").get(as_string=True) == "text"
    assert pv_of("doubles").get(as_string=True, count=1) == "[1.]"


def test_shared_arrays_cannot_be_written_to(pv_of):
    pv = pv_of("doubles")
    first = pv.wait_for(lambda value: True, timeout=10).value
    assert pv.get() is pv.get()
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 99.0


def test_a_read_array_belongs_to_the_reader(serve):
    _, context = serve(Record("big", np.arange(20_000.0)))
    pv = context.pv("big", auto_monitor=False)
    mine, other = pv.get(), pv.get()
    assert mine is not other
    assert mine.tolist() == other.tolist()


def test_an_explicitly_monitored_large_array_arrives(serve):
    ioc, context = serve(Record("big", np.zeros(70_000)))
    pv, heard = context.pv("big"), Recorder()
    with pv.subscribe(heard):
        heard.wait(1)
        ioc["big"].post(np.ones(70_000))
        assert heard.wait(2)[1].value[-1] == 1.0


def test_a_large_array_is_not_monitored_unasked(serve):
    ioc, context = serve(Record("big", np.zeros(70_000)))
    pv = context.pv("big")
    assert pv.get()[0] == 0.0
    assert ioc.subscription_count() == 0


@pytest.mark.parametrize("wanted, subscriptions", [(False, 0), (0, 0), (None, 1), (True, 1), (4, 1)])
def test_auto_monitor(serve, wanted, subscriptions):
    ioc, context = serve(Record("x", 1.0))
    pv = context.pv("x", auto_monitor=wanted)
    assert pv.get() == 1.0
    if subscriptions:
        assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
    assert ioc.subscription_count() == subscriptions


@pytest.mark.parametrize("mask", [1 << 16, -1, "xyz"])
def test_a_mask_is_a_number_or_letters(serve, mask):
    _, context = serve(Record("x", 1.0))
    with pytest.raises(BadValueError, match="auto_monitor="):
        context.pv("x", auto_monitor=mask)
    with pytest.raises(BadValueError, match="mask="):
        context.pv("x").subscribe(print, mask=mask)


def test_get_sees_ones_own_put(pair):
    ioc, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    for number in range(200):
        pv.put(float(number))
        assert pv.get() == number
    other = context_of(pv).pv("x")
    pv.put(0.5, wait=True)
    assert (other.get(), pv.get()) == (0.5, 0.5)
    ioc["x"].post(0.75)
    assert pv.wait_for(lambda value: value == 0.75, timeout=10).value == 0.75
    assert pv.get() == 0.75


def test_a_get_calls_no_callback(pair):
    _, pv = pair
    heard = Recorder(lambda value, **_: value)
    pv.add_callback(heard)
    heard.wait(1)
    for number in range(2, 20):
        pv.put(float(number))
        assert pv.get() == number
        heard.wait(number)
    assert heard.items == [float(number) for number in range(1, 20)]


def test_an_array_that_is_not_monitored_is_asked_for_after_a_put_too(serve):
    ioc, context = serve(Record("big", np.zeros(70_000)))
    pv = context.pv("big")
    pv.put([1.0, 2.0], wait=True)
    assert pv.get().tolist() == [1.0, 2.0]
    ioc["big"].post(np.ones(3))
    assert pv.get().tolist() == [1.0, 1.0, 1.0]


def test_a_get_that_fails_leaves_the_put_remembered():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        pv = context.pv("x")
        pv.wait_for(lambda value: True, timeout=PATIENCE)
        server.drop("update", times=None)
        server.drop("read")
        pv.put(2.0, wait=True)
        with pytest.raises(CATimeoutError, match=r"no answer: 'x' after .* s: the request was sent to 127.0.0.1"):
            pv.get(timeout=0.05)
        assert pv.get() == 2.0


def test_an_update_from_before_ones_own_put_is_the_past(pair):
    ioc, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    pv.put(2.0, wait=True)
    assert pv.get() == 2.0
    ioc["x"].post(1.0, stamp=TimeStamp(1, 0))  # as if it had been on its way since then
    pv.wait_for(lambda value: value == 1.0, timeout=10)
    circuit = pv.channel.circuit
    sent = circuit.bytes_out
    assert pv.get() == 1.0
    assert circuit.bytes_out > sent


def test_a_monitored_get_costs_no_network(pair):
    _, pv = pair
    pv.wait_for(lambda value: True, timeout=10)
    assert pv.read().value == pv.get() == 1.0
    circuit = pv.channel.circuit
    sent = circuit.bytes_out
    assert [pv.get() for _ in range(100)] == [1.0] * 100
    assert circuit.bytes_out == sent
    pv.get(use_monitor=False)
    assert circuit.bytes_out > sent


def test_a_severity_change_alone_is_delivered(pair):
    ioc, pv = pair
    with pv.updates(timeout=PATIENCE) as updates:
        next(updates)
        ioc["x"].post(status=AlarmStatus.READ, severity=AlarmSeverity.INVALID)
        reading = next(updates)
    assert (reading.value, reading.severity, reading.status) == (1.0, AlarmSeverity.INVALID, AlarmStatus.READ)
    assert (pv.severity, pv.status) == (AlarmSeverity.INVALID, AlarmStatus.READ)


def test_a_new_pv_waits_for_its_first_value(serve):
    _, context = serve(Record("x", 1.5))
    assert context.pv("x").value == 1.5
    assert context.pv("x", auto_monitor=False).value == 1.5
