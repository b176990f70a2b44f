"""Replies delayed, dropped, duplicated, split, out of order, oversized and untrue; servers of old versions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from caclient import PV, CAError, CATimeoutError, Context, DisconnectedError
from caclient.dbr import ChannelType
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer
from tests.resilience.watching import Told, eventually, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


def test_a_reply_that_comes_just_in_time(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.5})
    pv = connect(server).pv("x", auto_monitor=False)
    pv.get()
    server.delay("read", 0.45)
    assert pv.get(timeout=0.5) == 1.5


def test_a_reply_that_comes_too_late_is_counted(serve: Serve, connect: Connect) -> None:
    """The next request is not confused by it: each has an id of its own."""
    server = serve({"x": 1.5})
    context = connect(server)
    pv = context.pv("x", auto_monitor=False)
    pv.get()
    server.delay("read", 0.3, times=1)
    said = r"no answer: 'x' after 0\.1\d\d s: the request was sent to 127.0.0.1:\d+, connected for .* last heard"
    with pytest.raises(CATimeoutError, match=said):
        pv.get(timeout=0.1)
    server["x"].post(2.5)
    assert pv.get() == 2.5
    eventually(lambda: context.report().circuits[0].late_replies == 1)
    assert pv.get() == 2.5
    assert not context.report().circuits[0].bytes_pending


def test_dropped_replies_cost_their_own_requests_only(serve: Serve, connect: Connect) -> None:
    """T30: and leave nothing in the books."""
    server = serve({"x": 1.5})
    context = connect(server)
    pv = context.pv("x", auto_monitor=False)
    pv.get()
    server.drop("read", times=3, skip=1)
    server.drop("write", times=1)
    results: list[Any] = []

    def read() -> None:
        try:
            results.append(pv.get(timeout=0.5))
        except CATimeoutError as error:
            results.append(error)

    threads = [threading.Thread(target=read) for _ in range(10)]
    for thread in threads:
        thread.start()
    with pytest.raises(CATimeoutError):
        pv.put(1.5, wait=True, timeout=0.3)
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)).count("1.5") == 7
    assert sum(isinstance(result, CATimeoutError) for result in results) == 3
    (circuit,) = context._home.pool.circuits.values()
    assert circuit.core.ioids == {}


def test_a_duplicated_reply_and_update(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.5})
    context = connect(server)
    pv = context.pv("x", auto_monitor=False)
    server.duplicate("read", times=None)
    assert [pv.get() for _ in range(5)] == [1.5] * 5
    eventually(lambda: context.report().circuits[0].late_replies == 5)


@pytest.mark.parametrize("size", [1, 3, 17])
def test_every_message_split(serve: Serve, connect: Connect, size: int) -> None:
    server = serve([Record("x", 1.5, units="mm"), Record("wave", np.arange(500.0))])
    server.split(size)
    context = connect(server)
    x, wave, told = context.pv("x"), context.pv("wave"), Told()
    x.subscribe(told)
    assert (x.get(timeout=20), x.units) == (1.5, "mm")
    assert wave.get(use_monitor=False, timeout=20).tolist() == list(range(500))
    for value in range(10):
        server["x"].post(float(value))
    told.wait_until(lambda _: told.values == [1.5, *map(float, range(10))])


def test_replies_out_of_order(serve: Serve, connect: Connect) -> None:
    """A slow put overtaken by reads, and one read by the other, as records that process asynchronously do it."""
    server = serve({"x": 1.5, "y": 2.5})
    context = connect(server)
    x, y = context.pv("x", auto_monitor=False), context.pv("y", auto_monitor=False)
    assert (x.get(), y.get()) == (1.5, 2.5)
    server.delay("write", 0.3)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (x.put(7.0, wait=True, timeout=5), done.set()))
    thread.start()
    server.wait_for(ca.WriteNotifyRequest)
    server.delay("read", 0.1, times=1)
    assert (x.get(), y.get()) == (7.0, 2.5)
    assert not done.is_set()
    thread.join()
    assert done.is_set()


def test_many_replies_in_one_piece(serve: Serve, connect: Connect) -> None:
    server = serve({f"x{n}": float(n) for n in range(50)})
    context = connect(server)
    pvs = [context.pv(f"x{n}", auto_monitor=False) for n in range(50)]
    assert all(pv.wait_for_connection(5) for pv in pvs)
    server.hold()
    results: dict[int, float] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: pvs[n].get(timeout=10)})) for n in range(50)]
    for thread in threads:
        thread.start()
    server.wait_for(ca.ReadNotifyRequest, count=50)
    server.release()
    for thread in threads:
        thread.join()
    assert results == {n: float(n) for n in range(50)}


LIES: list[tuple[str, dict[str, int]]] = [
    ("read", {"data_count": 1000}),
    ("read", {"data_count": 0}),
    ("read", {"data_type": 34}),
    ("read", {"data_type": 999}),
    ("read", {"command": 999}),
    ("read", {"command": 19}),
    ("read", {"payload_size": 3}),
    ("read", {"payload_size": 8}),
    ("read", {"parameter1": 0}),
    ("read", {"parameter2": 4711}),
    ("update", {"data_count": 1000}),
    ("update", {"data_count": 0}),
    ("update", {"data_type": 34}),
    ("update", {"data_type": 999}),
    ("update", {"command": 999}),
    ("update", {"payload_size": 8}),
    ("update", {"parameter1": 0}),
    ("update", {"parameter2": 4711}),
    ("create", {"data_type": 99}),
    ("create", {"data_count": 0}),
    ("create", {"parameter1": 4711}),
    ("rights", {"parameter1": 4711}),
    ("version", {"data_count": 99}),
    ("write", {"parameter2": 4711}),
    ("write", {"data_type": 99}),
]


def reads(pv: PV, value: float) -> bool:
    """Whether a PV can be read, and is what it should be."""
    try:
        return bool(pv.get(use_monitor=False, timeout=1) == value)
    except CAError:
        return False


@pytest.mark.parametrize(("kind", "fields"), LIES, ids=lambda each: str(each).replace(" ", ""))
def test_a_lie_in_a_header(serve: Serve, connect: Connect, kind: str, fields: dict[str, int]) -> None:
    """Whatever the header says: a typed error or a value, no thread hurt, and the honest server is served honestly."""
    liar, honest = serve({"x": 1.5}), serve({"y": 2.5})
    liar.lie(kind, **fields)
    context = connect(liar, honest)
    x, y, told = context.pv("x"), context.pv("y"), Told()
    subscription = x.subscribe(told)
    for _ in range(4):
        try:
            x.get(use_monitor=False, timeout=0.3)
            x.put(1.5, wait=True, timeout=0.3)
        except CAError:
            liar.behave()
    assert y.get(use_monitor=False) == 2.5
    liar.behave()
    if (kind, fields) == ("create", {"data_count": 0}):
        return  # an array of no elements: odd, but not false, so it stays what the server says
    if ("parameter1" in fields and kind == "create") or kind == "rights":
        liar.drop_clients()  # the creation, or the right to read, went to nobody: that lasts as long as the circuit
    eventually(lambda: reads(x, 1.5))
    liar["x"].post(9.5)
    told.wait_until(lambda _: told.values and np.array_equal(told.values[-1], 9.5))
    assert subscription.closed is False


def test_a_payload_larger_than_can_be(serve: Serve, connect: Connect) -> None:
    """4 GB announced and never sent: no memory is taken for it, the timeout says so, other circuits go on."""
    server = serve([Record("wave", np.arange(100_000.0))])
    pv = connect(server).pv("wave", auto_monitor=False)
    assert pv.wait_for_connection(5)
    server.lie("read", payload_size=0xFFFFFFF0, data_count=0x1FFFFFFE)
    with within(2.0), pytest.raises((CATimeoutError, DisconnectedError)):
        pv.get(timeout=0.3)
    torn = pv.channel.circuit
    server.drop_clients(reset=True)
    eventually(lambda: pv.connected and pv.channel.circuit is not torn)
    assert len(pv.get()) == 100_000


@pytest.mark.parametrize("then", ["reset", "close", "stall"])
def test_half_a_reply(serve: Serve, connect: Connect, then: str) -> None:
    """T13: the end of the connection raises at once, a stall is a timeout that says how much is missing."""
    server = serve([Record("wave", np.arange(1000.0))])
    pv = connect(server).pv("wave", auto_monitor=False)
    assert pv.wait_for_connection(5)
    server.half("read", then)
    error: type[Exception] = CATimeoutError if then == "stall" else DisconnectedError
    with (
        within(2.0),
        pytest.raises(error, match=r"4016 bytes of a message are still to come" if then == "stall" else "ended"),
    ):
        pv.get(timeout=0.3)
    server.resume()
    if then == "stall":
        circuit = pv.channel.circuit
        server.drop_clients()
        eventually(lambda: pv.channel.circuit is not circuit)
    assert pv.wait_for_connection(5)
    assert len(pv.get()) == 1000


@pytest.mark.parametrize("version", [None, 11, 12])
def test_old_servers(serve: Serve, connect: Connect, version: int | None) -> None:
    """T01, T02: no version on TCP, 4.11, 4.12: everything works, counts are asked for in full."""
    server = serve([Record("x", 1.5, units="mm"), Record("wave", np.arange(5.0), count=8)], version=version)
    context = connect(server)
    x, wave, told = context.pv("x"), context.pv("wave"), Told()
    wave.subscribe(told)
    assert (x.get(), x.units, x.get(use_monitor=False)) == (1.5, "mm", 1.5)
    x.put(2.5, wait=True, timeout=5)
    assert x.get() == 2.5
    told.wait_until(len)
    assert told.values[0][:5].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert context.report().circuits[0].version == (version or 0)


def test_stale_ids_are_dropped_and_never_complained_about(serve: Serve, connect: Connect) -> None:
    """T05: updates and replies for what has been cancelled or cleared, and an ERROR about nothing."""
    server = serve({"x": 1.0, "y": 2.0})
    context = connect(server)
    y = context.pv("y")
    y.get()
    pv = context.pv("x")
    with pv.subscribe(lambda _reading: None, mask=2):
        server.wait_for(ca.EventAddRequest, count=3)
    server.wait_for(ca.EventCancelRequest)
    old = server.of(ca.EventAddRequest)[-1].subscriptionid
    pv.close()
    server.wait_for(ca.ClearChannelRequest)
    server.nonsense_error()
    server.say(ca.EventAddResponse(6.66, ChannelType.DOUBLE, 1, 1, old))
    server.say(ca.ReadNotifyResponse(6.66, ChannelType.DOUBLE, 1, 1, 4711), ca.ServerDisconnResponse(4711))
    assert y.get(use_monitor=False) == 2.0
    assert server.circuits == 1
    assert server.errors == []
    assert context.report().circuits[0].late_replies >= 3


@pytest.mark.parametrize("nelm", [0xFFFE // 8, 0x2000 - 1, 0x2000, 0xFFFE, 0xFFFF, 0x10000, 2_250_000])
def test_array_sizes_around_the_header_boundary(serve: Serve, connect: Connect, nelm: int) -> None:
    """T06: payloads and counts around 0xFFFF, and 18 MB; by get, monitor and put."""
    server = serve([Record("wave", np.arange(float(nelm)))])
    pv, told = connect(server).pv("wave", timeout=20), Told()
    pv.subscribe(told)
    told.wait_until(len)
    assert np.array_equal(told.values[0], np.arange(nelm))
    pv.put(np.arange(nelm) * 2.0, wait=True, timeout=20)
    assert np.array_equal(pv.get(use_monitor=False), np.arange(nelm) * 2.0)


@pytest.mark.parametrize("nord", [0, 1, 5])
def test_arrays_shorter_than_their_channel(serve: Serve, connect: Connect, nord: int) -> None:
    """T06: zero elements are an empty array of the right type, one of many is an array of one."""
    server = serve([Record("wave", np.arange(float(nord)), data_type=ChannelType.DOUBLE, count=5)])
    pv, told = connect(server).pv("wave"), Told()
    pv.subscribe(told)
    told.wait_until(len)
    for value in (told.values[0], pv.get(), pv.get(use_monitor=False), pv.get(count=100)[:nord]):
        assert (value.dtype, value.tolist()) == (np.float64, list(range(nord)))


def test_text_that_is_not_utf_8(serve: Serve, connect: Connect) -> None:
    """T08: Latin-1 from an old display: readable, and no exception in any callback."""
    server = serve([Record("temperature", 20.5, units="XC"), Record("text", "gut")])
    server.rewrite("any", lambda data: data.replace(b"XC", b"\xb0C").replace(b"gut", b"\xfc\xdf!"), times=None)
    context = connect(server)
    pv, text, told = context.pv("temperature"), context.pv("text"), Told()
    text.subscribe(told)
    told.wait_until(len)
    assert (pv.units, text.get(), told.values) == ("\xb0C", "\xfc\xdf!", ["\xfc\xdf!"])
