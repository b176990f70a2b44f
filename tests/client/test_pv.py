"""PV: values of every type there and back, cached state, callbacks in pyepics' form, the end."""

from __future__ import annotations

import array
import copy
import gc
import inspect
import logging
import pickle
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

from caclient import (
    PV,
    AccessDeniedError,
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    BadValueError,
    CATimeoutError,
    ChannelAccessError,
    ChannelType,
    Context,
    ContextClosedError,
    DisconnectedError,
    NoValueError,
    Reading,
    TimeStamp,
)
from caclient.client.bulk import get_all
from caclient.client.callbacks import Callbacks, Note
from caclient.client.channel import Channel
from caclient.client.monitor import Monitor
from caclient.ioc import Completion, Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import context_of

STATES = ("Idle", "Moving", "Done")


def every_type() -> list[Record]:
    return [
        Record("double", 1.5, precision=2, units="mm", display=(-10.0, 10.0)),
        Record("float", 0.25, data_type=ChannelType.FLOAT),
        Record("long", 7),
        Record("int", 3, data_type=ChannelType.INT),
        Record("char", 5, data_type=ChannelType.CHAR),
        Record("enum", 1, enum_strings=STATES),
        Record("string", "text"),
        Record("doubles", [1.0, 2.0], count=4),
        Record("floats", [0.5], data_type=ChannelType.FLOAT, count=4),
        Record("longs", [1, 2], count=4),
        Record("ints", [1, 2], data_type=ChannelType.INT, count=4),
        Record("chars", b"abc", count=8),
        Record("enums", [0, 2], data_type=ChannelType.ENUM, count=4),
        Record("strings", ["a", "b"], count=4),
    ]


@pytest.fixture
def pv_of(serve):
    """PVs by name of an IOC with a record of every type."""
    ioc, context = serve(*every_type())

    def make(name: str, **options: Any) -> PV:
        pv = context.pv(name, **options)
        assert pv.wait_for_connection(PATIENCE)
        return pv

    make.ioc, make.context = ioc, context
    return make


@pytest.fixture
def pair(serve):
    """One record ``x`` and a connected PV of it."""
    ioc, context = serve(Record("x", 1.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    return ioc, pv


def fresh(pv: PV) -> Any:
    return pv.get(use_monitor=False)


# ---------------------------------------------------------------- values


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


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("double", "2.25", 2.25),
        ("long", "12", 12),
        ("char", "7", 7),
        ("enum", "Done", 2),
        ("enum", b"Done", 2),
        ("double", b"2.5", 2.5),
        ("string", b"bytes", "bytes"),
        ("string", 5, "5"),
    ],
)
def test_the_ioc_converts_text(pv_of, name, text, value):
    pv = pv_of(name)
    pv.put(text, wait=True)
    assert fresh(pv) == value


def test_the_ioc_converts_lists_of_text(pv_of):
    pv = pv_of("doubles")
    pv.put(["1.5", "2.5"], wait=True)
    assert fresh(pv).tolist() == [1.5, 2.5]


def test_text_in_a_char_array(pv_of):
    pv = pv_of("chars")
    for text in ("hello", "", "\u00b5", "8 bytes."):
        pv.put(text, wait=True)
        assert pv.get(as_string=True) == text
    with pytest.raises(BadValueError, match=r"'chars': text of 9 bytes for 8 characters"):
        pv.put("9 is more")


@pytest.mark.parametrize(
    "name, value, why",
    [
        ("double", None, "'double': None is no value"),
        ("double", 1 + 2j, "is no value"),
        ("double", object(), "is no value"),
        ("double", [1.0, 2.0], "'double': 2 elements given, but it holds one"),
        ("double", [], "'double': no element given, but it holds one"),
        ("long", float("nan"), "'long': nan is no whole number, as LONG holds"),
        ("long", 2**31, "2147483648 is out of the range of LONG, -2147483648 to 2147483647"),
        ("long", 2.5, "2.5 is no whole number, as LONG holds"),
        ("long", None, "None is no value"),
        ("enum", None, "None is no value"),
        ("enum", -1, "-1 is out of the range of ENUM, 0 to 65535"),
        ("string", None, "'string': None is no value"),
        ("string", "x" * 40, r"text of 40 bytes, but a string holds 39: put it to 'string\.VAL\$'"),
        ("string", "a\0b", "NUL"),
        ("double", "x" * 40, "is no number, but this is a double"),
        ("doubles", [1.0] * 5, "5 elements given, but it holds 4 of them"),
        ("doubles", [1.0, None], "None is no DOUBLE value .item 1."),
        ("doubles", [1.0, "2"], "is no DOUBLE value"),
        ("ints", [1, 2**15], "32768 is out of the range of INT, -32768 to 32767 .item 1."),
        ("strings", ["a", "x" * 40], "text of 40 bytes, but a string holds 39"),
    ],
)
@pytest.mark.parametrize("wait", [False, True])
def test_what_cannot_be_said_is_refused_before_a_byte_leaves(pv_of, name, value, why, wait):
    pv = pv_of(name)
    before = pv_of.ioc[name].snapshot
    with pytest.raises(BadValueError, match=why):
        pv.put(value, wait=wait)
    fresh(pv)
    assert pv_of.ioc[name].snapshot is before


def test_a_value_that_the_record_refuses(pv_of):
    pv = pv_of("enum")
    with pytest.raises(ChannelAccessError, match="'enum': ECA_PUTFAIL") as caught:
        pv.put("77", wait=True)
    assert caught.value.status.name == "ECA_PUTFAIL"


def test_a_refusal_that_nobody_waits_for_is_logged(pv_of, caplog):
    pv = pv_of("enum")
    pv.put("77")
    fresh(pv)
    engine_idle(pv_of.context)
    logged = Recorder()
    pv_of.context._home.runtime.log.push(logged, None)
    logged.wait(1)
    assert "'enum': a put was refused by the server: ECA_PUTFAIL" in caplog.text


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
    with pytest.raises(BadValueError, match="mask="):
        context.pv("x", auto_monitor=mask)
    with pytest.raises(BadValueError, match="mask="):
        context.pv("x").subscribe(print, mask=mask)


# ---------------------------------------------------------------- memory and network


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


def test_everything_known_of_a_pv(pv_of):
    pv = pv_of("double")
    reading = pv.read()
    assert isinstance(reading, Reading)
    assert (reading.value, reading.units, reading.precision) == (1.5, "mm", 2)
    assert (pv.value, pv.char_value, pv.units, pv.precision) == (1.5, "1.50", "mm", 2)
    assert (pv.type, pv.count, pv.nelm, pv.enum_strs) == ("double", 1, 1, ())
    assert (pv.access, pv.read_access, pv.write_access) == ("read/write", True, True)
    assert (pv.severity, pv.status) == (0, 0)
    assert pv.limits.display == (-10.0, 10.0)
    assert pv.timestamp == reading.timestamp
    assert pv.host == f"127.0.0.1:{pv_of.ioc.tcp_port}"
    assert repr(pv) == f"<PV 'double': ready, double[1], read/write, {pv.host}>"
    assert pv.reading == reading
    assert pv.read(use_monitor=False) == reading
    assert pv_of("enum").enum_strs == STATES
    pv.value = 4.5
    assert pv.value == 4.5


def test_what_was_known_stays_readable_without_the_ioc(serve):
    ioc, context = serve(Record("x", 2.5, units="mm"))
    heard = Recorder(lambda conn, **_: conn)
    pv = context.pv("x", connection_callback=heard)
    unmonitored = context.pv("x", auto_monitor=False)
    assert (pv.read().value, unmonitored.get()) == (2.5, 2.5)
    ioc.stop()
    assert heard.wait(2) == [True, False]
    for each in (pv, unmonitored):
        assert (each.connected, each.value, each.type, each.host) == (False, 2.5, "double", f"127.0.0.1:{ioc.tcp_port}")
        assert (each.reading.value, each.units, each.access) == (2.5, "mm", "no access")
        with pytest.raises(CATimeoutError, match=r"dropped: 'x' not connected .*: (closed by|read failed: ECONN)"):
            each.get(timeout=0.01)


def test_a_pv_that_was_never_connected(serve):
    _, context = serve()
    pv = context.pv("nowhere", timeout=0.05)
    assert (pv.connected, pv.reading, pv.type, pv.count, pv.host) == (False, None, None, 0, None)
    assert repr(pv) == "<PV 'nowhere': searching>"
    assert not pv.wait_for_connection()
    for use in (
        pv.get, pv.read, lambda: pv.put(1), lambda: pv.begin_put(1).result(PATIENCE),
        lambda: pv.wait_for(lambda value: True, timeout=0.05),
    ):  # fmt: skip
        with pytest.raises(CATimeoutError, match=r"'nowhere' not connected after \d\.\d+ s: .* searches sent to"):
            use()


def test_properties_of_what_was_never_connected_are_none_at_once(serve):
    _, context = serve()
    pv = context.pv("nowhere", timeout=0.01)
    assert not pv.wait_for_connection()
    started = time.monotonic()
    names = [name for name, _ in inspect.getmembers(PV, lambda member: isinstance(member, property))]
    for name in set(names) - {"value"}:
        getattr(pv, name)
    assert (pv.severity, pv.status, pv.timestamp, pv.units, pv.enum_strs, pv.char_value, pv.age) == (None,) * 7
    assert (pv.upper_ctrl_limit, pv.limits.alarm, pv.nanoseconds) == (None, (None, None), None)
    assert not hasattr(pv, "value")
    with pytest.raises(NoValueError, match="'nowhere'"):
        _ = pv.value
    assert dict(inspect.getmembers(pv))["pvname"] == "nowhere"
    assert time.monotonic() - started < 1.0


def test_a_new_pv_waits_for_its_first_value(serve):
    _, context = serve(Record("x", 1.5))
    assert context.pv("x").value == 1.5
    assert context.pv("x", auto_monitor=False).value == 1.5


@pytest.mark.parametrize("name", ["", "  ", None, 5, "a\0b"])
def test_a_name_is_text(serve, name):
    _, context = serve()
    with pytest.raises(BadValueError, match="no PV name"):
        context.pv(name)


@pytest.mark.parametrize("name", ["x" * 1368, "é" * 70_000, "\ud800" * 500])
def test_a_name_fits_a_datagram(serve, name, caplog):
    _, context = serve()
    with pytest.raises(BadValueError, match=f"name of {len(name)} characters does not fit a search datagram"):
        context.pv(name)
    assert context.pv("\ud800").connected is False
    assert not caplog.records


# ---------------------------------------------------------------- access rights


def test_without_write_access(serve):
    ioc, context = serve(Record("x", 1.0, access=AccessRights.READ))
    pv = context.pv("x")
    user, host = context._home.runtime.identity
    for wait in (False, True):
        with pytest.raises(AccessDeniedError) as caught:
            pv.put(2.0, wait=wait)
        assert str(caught.value) == f"'x': no write access for {user}@{host} on 127.0.0.1:{ioc.tcp_port}"
    assert pv.get() == 1.0
    assert pv.access == "read-only"


def test_without_read_access(serve):
    ioc, context = serve(Record("x", 1.0, access=AccessRights.WRITE))
    pv = context.pv("x")
    user, host = context._home.runtime.identity
    with pytest.raises(AccessDeniedError, match=f"'x': no read access for {user}@{host}"):
        pv.get()
    assert pv.access == "write-only"
    pv.put(2.0, wait=True)
    assert ioc["x"].value == 2.0


def test_rights_that_change_while_connected(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder()
    pv = context.pv("x", access_callback=lambda read, write, pv: heard((read, write)))
    assert pv.get() == 1.0
    ioc["x"].access = AccessRights.NO_ACCESS
    assert heard.wait_for(lambda items: (False, False) in items)
    with pytest.raises(AccessDeniedError):
        pv.get()
    ioc["x"].access = AccessRights.READ | AccessRights.WRITE
    assert heard.wait_for(lambda items: items[-1] == (True, True))
    ioc["x"].post(3.0)
    assert pv.wait_for(lambda value: value == 3.0, timeout=10) == 3.0
    assert pv.get() == 3.0


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


def test_a_subscription_of_readings(pair):
    ioc, pv = pair
    readings = Recorder()
    with pv.subscribe(readings):
        readings.wait(1)
        ioc["x"].post(2.0)
        assert [reading.value for reading in readings.wait(2)] == [1.0, 2.0]
    with pytest.raises(BadValueError, match="'x': policy='some': give 'all' or 'latest'"):
        pv.subscribe(readings, policy="some")


def test_wait_for_sees_every_update(pair):
    ioc, pv = pair
    seen: list[float] = []

    def third(value: float) -> bool:
        if not seen:
            for number in (2.0, 3.0, 1.0):
                ioc["x"].post(number)
        seen.append(value)
        return value == 3.0

    assert pv.wait_for(third, timeout=10).value == 3.0
    assert seen == [1.0, 2.0, 3.0]
    with pytest.raises(CATimeoutError, match=r"condition not met: 'x' .* after 0.0.. s; .*, last value: 1.0; "):
        pv.wait_for(lambda value: value == 9.0, timeout=0.05)
    with pytest.raises(ZeroDivisionError):
        pv.wait_for(lambda value: 1 / 0, timeout=10)
    engine_idle(context_of(pv))
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)


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


def test_put_waits_for_the_record(serve):
    completion = Completion()
    _, context = serve(Record("x", 1.0, on_put=lambda record, value: completion))
    pv, done = context.pv("x"), Recorder()
    thread = threading.Thread(target=lambda: done(pv.put(2.0, wait=True)))
    thread.start()
    pv.wait_for(lambda value: value == 2.0, timeout=PATIENCE)
    assert done.items == []
    completion.finish()
    done.wait(1)
    thread.join(PATIENCE)


def test_a_put_that_does_not_complete_in_time(serve):
    _, context = serve(Record("x", 1.0, on_put=lambda record, value: Completion()))
    pv = context.pv("x")
    with pytest.raises(CATimeoutError, match=r"not completed: 'x' after .* s: the put was sent to 127.0.0.1"):
        pv.put(2.0, wait=True, timeout=0.1)
    assert pv.channel.circuit.core.ioids == {}


def test_two_completions_of_one_pv_are_told_apart(serve):
    completions = {2.0: Completion(), 3.0: Completion()}
    _, context = serve(Record("x", 1.0, on_put=lambda record, value: completions[value]))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    done = Recorder()
    threads = [threading.Thread(target=lambda v=v: done((pv.put(v, wait=True), v))) for v in completions]
    for thread in threads:
        thread.start()
    pv.wait_for(lambda value: value in (2.0, 3.0), timeout=PATIENCE)
    completions[3.0].finish()
    assert done.wait(1) == [(None, 3.0)]
    completions[2.0].finish()
    assert done.wait(2)[1] == (None, 2.0)
    for thread in threads:
        thread.join(PATIENCE)


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


def test_two_pvs_of_one_name_share_a_channel(serve):
    ioc, context = serve(Record("x", 1.0))
    one, two = context.pv("x"), context.pv("x")
    heard = Recorder(lambda value, **_: value)
    two.add_callback(heard, run_now=True)
    heard.wait(1)
    assert one.channel is two.channel
    assert (ioc.channel_count(), ioc.subscription_count()) == (1, 1)
    one.close()
    one.close()
    assert (one.connected, two.connected) == (False, True)
    ioc["x"].post(2.0)
    assert heard.wait(2) == [1.0, 2.0]
    assert two.get() == 2.0
    two.close()
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)


def test_another_priority_is_another_circuit(serve):
    ioc, context = serve(Record("x", 1.0))
    pvs = [context.pv("x", priority=priority) for priority in (0, 50)]
    assert [pv.get() for pv in pvs] == [1.0, 1.0]
    assert ioc.connection_count() == 2
    with pytest.raises(BadValueError, match=r"'x': priority=100: give a number from 0 to 99"):
        context.pv("x", priority=100)


def test_a_closed_pv_says_so(pair):
    _, pv = pair
    pv.close()
    for use in (
        pv.get, pv.read, lambda: pv.put(1.0), lambda: pv.put(1.0, wait=True), lambda: pv.begin_put(1.0),
        lambda: pv.subscribe(print), lambda: pv.add_callback(print), lambda: pv.add_connection_callback(print),
        lambda: pv.add_access_callback(print), lambda: pv.updates(), lambda: pv.wait_for(bool, timeout=10),
    ):  # fmt: skip
        with pytest.raises(DisconnectedError, match="'x': this PV has been closed"):
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


def engine_idle(context: Context) -> None:
    """Wait until the engine has made the calls that are filed."""
    done = threading.Event()
    context._home.runtime.loop.call_soon(context._home.runtime.loop.call_soon, done.set)
    assert done.wait(PATIENCE)


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
