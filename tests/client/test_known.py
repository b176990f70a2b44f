"""What is known of a PV beside its value."""

from __future__ import annotations

import inspect
import time

import pytest

from caclient import (
    PV,
    CATimeoutError,
    NoValueError,
    Reading,
)
from caclient.ioc import Record
from tests.client.records import STATES
from tests.recorder import PATIENCE, Recorder


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
