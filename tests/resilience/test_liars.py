"""Servers and strangers that lie: a PV goes to where it is served, and nobody else pays for the lie."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from caclient import PV, CAError, Context
from caclient.dbr.types import ChannelType
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.faults import FaultServer, Forger, Tcp
from tests.resilience.watching import Told, eventually, logged, resident, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]

PATIENT = 8.0
"""Seconds in which a lie must have been seen through: something stays unanswered for 2 to 5 of them."""


# ------------------------------------------------------------- being held


def test_a_silent_port_does_not_hold_a_pv(serve: Serve, connect: Connect) -> None:
    """The liar answers first, and behind its port nobody ever speaks; the kernel acknowledges."""
    liar, honest = serve({"x": 6.66}, tcp=Tcp.SILENT), serve({"x": 1.0})
    honest.drop("search", times=1)
    with within(PATIENT):
        assert connect(liar, honest).pv("x").get(timeout=PATIENT) == 1.0


def test_one_forged_reply_does_not_hold_a_pv(serve: Serve, connect: Connect) -> None:
    """A stranger names a silent port before the server answers."""
    silent, server = serve(tcp=Tcp.SILENT), serve({"x": 1.0})
    server.drop("search", times=1)
    context = connect(server)
    with Forger() as forger:
        pv = context.pv("x")
        eventually(lambda: server.searches)
        forger.search_replies(server.searchers[0], [server.searches[0].cid], silent.tcp_port)
        with within(PATIENT):
            assert pv.get(timeout=PATIENT) == 1.0


def test_a_server_that_creates_no_channel_does_not_hold_a_pv(serve: Serve, connect: Connect) -> None:
    """It answers searches, greets and echoes, for ever."""
    liar, honest = serve({"x": 6.66}), serve({"x": 1.0})
    liar.ignore(ca.CreateChanRequest)
    honest.drop("search", times=1)
    with within(PATIENT):
        assert connect(liar, honest).pv("x").get(timeout=PATIENT) == 1.0


def test_a_lost_request_for_a_channel_is_made_good(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0, "y": 2.0})
    server.ignore(ca.CreateChanRequest)
    context = connect(server)
    pv = context.pv("x")
    server.wait_for(ca.CreateChanRequest)
    server.ignore()
    with within(PATIENT):
        assert pv.get(timeout=PATIENT) == 1.0


def test_a_lost_reply_about_a_channel_is_made_good(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    server.drop("create", times=1)
    with within(PATIENT):
        assert connect(server).pv("x").get(timeout=PATIENT) == 1.0


def test_what_was_closed_while_its_channel_was_made_leaves_nothing(serve: Serve, connect: Connect) -> None:
    """The server never answers CREATE_CHAN, and the PV is closed meanwhile: the circuit is nobody's."""
    server = serve({"x": 1.0})
    server.ignore(ca.CreateChanRequest)
    context = connect(server)
    pv = context.pv("x")
    server.wait_for(ca.CreateChanRequest)
    pv.close()
    eventually(lambda: not context.report().circuits and not context.report().channels)


def test_channels_that_do_not_last_are_asked_for_ever_more_slowly(serve: Serve, connect: Connect) -> None:
    """Created and taken away in a loop: 465 search datagrams a second once, and most of a processor."""
    server = serve({"x": 1.0, "y": 2.0})
    server.take_away("x")
    context = connect(server)
    x, y = context.pv("x"), context.pv("y")
    assert y.get() == 2.0
    server.wait_for(lambda command: isinstance(command, ca.CreateChanRequest) and command.name == "x")
    searches, began = len(server.searches), time.process_time()
    threading.Event().wait(2.0)
    assert len(server.searches) - searches < 40
    assert time.process_time() - began < 1.0
    server.leave("x")
    assert x.get(timeout=PATIENT) == 1.0


# ------------------------------------------------------------- values


def read(pv: PV) -> object:
    """The value, or what is wrong."""
    try:
        return pv.get(use_monitor=False, timeout=PATIENT)
    except CAError as error:
        return error


def test_an_answer_of_another_type_is_no_answer(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    pv = connect(server).pv("x")
    pv.wait_for_connection()
    server.reshape("read", data_type=ChannelType.STRING, payload=b"lie")
    with pytest.raises(CAError):
        pv.get(use_monitor=False, timeout=1.0)
    assert pv.get(use_monitor=False, timeout=1.0) == 1.0


def test_an_answer_with_more_elements_is_no_answer(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0, "wave": Record("wave", np.arange(5.0), count=5)})
    context = connect(server)
    x, wave = context.pv("x"), context.pv("wave")
    assert x.wait_for_connection() and wave.wait_for_connection()
    server.reshape("read", count=3)
    with pytest.raises(CAError):
        x.get(use_monitor=False, timeout=1.0)
    server.reshape("read", count=6)
    with pytest.raises(CAError):
        wave.get(use_monitor=False, timeout=1.0)
    assert wave.get(use_monitor=False, timeout=1.0).tolist() == list(range(5))


@pytest.mark.parametrize("lie", [{"data_type": ChannelType.TIME_STRING, "payload": bytes(12) + b"lie"}, {"count": 3}])
def test_an_update_of_another_shape_reaches_no_callback(serve: Serve, connect: Connect, lie: dict[str, object]) -> None:
    server, told = serve({"x": 1.0}), Told()
    pv = connect(server).pv("x")
    with logged() as lines:
        pv.subscribe(told)
        told.wait_until(lambda items: items)
        server.reshape("update", **lie)  # type: ignore[arg-type]
        server["x"].post(2.0)
        server["x"].post(3.0)
        told.wait_until(lambda items: items[-1].value == 3.0)
    assert all(type(value) is float for value in told.values)
    assert any("x" in line for line in lines), lines


def test_fewer_elements_are_legal(serve: Serve, connect: Connect) -> None:
    server = serve([Record("wave", np.arange(5.0), count=5)])
    wave = connect(server).pv("wave")
    wave.wait_for_connection()
    server.reshape("read", count=2)
    assert wave.get(use_monitor=False, timeout=1.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", ["update", "read"])
def test_a_scalar_of_four_gigabytes_is_not_received(serve: Serve, connect: Connect, kind: str) -> None:
    server, told = serve({"x": 1.0, "y": 2.0}), Told()
    context = connect(server)
    x, y = context.pv("x"), context.pv("y")
    assert x.get(use_monitor=False) == 1.0
    before = resident()
    server.claim(kind)
    if kind == "update":
        x.subscribe(told)
        server.wait_for(ca.EventAddRequest)
    else:
        with pytest.raises(CAError):
            x.get(use_monitor=False, timeout=0.2)
    server.stream(400_000_000)
    largest = 0
    for _ in range(100):
        largest = max(largest, resident() - before)
        if not server.flooding:
            break
        threading.Event().wait(0.02)
    assert largest < 50_000_000
    assert y.get(timeout=PATIENT) == 2.0
    assert x.get(timeout=PATIENT) == 1.0


# ------------------------------------------------------------- storms


def healthy(pv: PV) -> float:
    """The longest of some reads, in seconds."""
    longest = 0.0
    for _ in range(20):
        began = time.monotonic()
        assert pv.get(use_monitor=False, timeout=10.0) == 2.0
        longest = max(longest, time.monotonic() - began)
    return longest


def test_a_storm_of_errors_is_a_line_a_second(serve: Serve, connect: Connect) -> None:
    storming, calm = serve({"x": 1.0}), serve({"y": 2.0})
    context = connect(storming, calm)
    x, y = context.pv("x"), context.pv("y")
    assert x.wait_for_connection() and y.wait_for_connection()
    with logged() as lines:
        began = time.monotonic()
        storming.storm(ca.ErrorResponse(Header(999, 8, 77, 3, 1, 2), 1, 142, "\x1b[31mnonsense"), times=20_000)
        assert healthy(y) < 2.0
        eventually(lambda: not storming.flooding)
        assert x.get(use_monitor=False, timeout=10.0) == 1.0
        took = time.monotonic() - began
        context.close()
    assert len(lines) <= 3 + took
    assert not any("\x1b" in line for line in lines)


def test_puts_that_are_refused_are_a_line_a_second(serve: Serve, connect: Connect) -> None:
    def refuse(_record: Record, _value: float) -> None:
        raise ValueError("no")

    server = serve([Record("x", 1.0, on_put=refuse)])
    context = connect(server)
    pv = context.pv("x")
    pv.wait_for_connection()
    with logged("caclient.channel") as lines, logged("caclient.circuit") as more:
        began = time.monotonic()
        for _ in range(2000):
            pv.put(2.0)
        assert pv.get(use_monitor=False, timeout=10.0) == 1.0
        took = time.monotonic() - began
        context.close()
    assert len(lines) + len(more) <= 3 + took


def test_a_storm_of_access_rights_tells_changes_and_ends_with_the_last(serve: Serve, connect: Connect) -> None:
    """A callback that takes its time meanwhile finds the newest rights, not fifty thousand old ones."""
    server, told, go_on = serve({"x": 1.0, "y": 2.0}), [], threading.Event()
    context = connect(server)

    def changed(read_access: bool, write_access: bool, **_: object) -> None:
        told.append((read_access, write_access))
        go_on.wait(10)

    pv, other = context.pv("x", access_callback=changed), context.pv("y")
    assert pv.wait_for_connection() and other.wait_for_connection()
    server.storm_access("x", 50_000)
    assert healthy(other) < 2.0
    eventually(lambda: not server.flooding)
    go_on.set()
    assert other.get(use_monitor=False, timeout=10.0) == 2.0
    eventually(lambda: told[-1] == (True, True) and context.report().lanes_waiting == 0)
    assert pv.read_access and pv.write_access
    assert len(told) < 20_000


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 32,
        Header(15, 8, 6, 1, 1, 999).to_bytes() + bytes(8),
        Header(18, 0, 6, 1, 1, 1).to_bytes(),
        Header(27, 0, 0, 0, 77, 0).to_bytes() * 3 + b"\xff" * 16,
        Header(0, 0, 0, 0, 0, 0).to_bytes() + b"\x00\x01" * 20,
    ],
)
def test_garbage_is_the_servers_fault_and_makes_no_traceback(serve: Serve, connect: Connect, garbage: bytes) -> None:
    server, told = serve({"x": 1.0}), Told()
    context = connect(server)
    pv = context.pv("x")
    subscription = pv.subscribe(told)
    told.wait_until(lambda items: items)
    with logged() as lines:
        server.say(garbage)
        others = [context.pv("x", priority=number) for number in (1, 2)]
        subscription.close()
        for other in (*others, pv):
            eventually(lambda other=other: read(other) == 1.0)
        context.close()
    assert not [line for line in lines if "internal error" in line]


# ------------------------------------------------------------- datagrams


def test_forged_beacons_cost_next_to_nothing(serve: Serve, connect: Connect) -> None:
    """Each names a server that nobody has heard of; the table of servers is bounded, the channels are left alone."""
    server = serve({f"x:{number}": float(number) for number in range(1000)})
    context = connect(server)
    pvs = [context.pv(f"x:{number}") for number in range(1000)]
    assert all(pv.wait_for_connection(10) for pv in pvs)
    before, began = resident(), time.process_time()
    heard = context.report().beacons_from
    with Forger() as forger:
        for _ in range(40):
            forger.beacons(server.searchers[0], 500)
            assert pvs[7].get(use_monitor=False, timeout=5.0) == 7.0
    assert time.process_time() - began < 6.0
    assert context.report().beacons_from - heard <= 10_000
    assert resident() - before < 30_000_000
    assert all(pv.connected for pv in pvs)
    assert server.circuits == 1


def test_forged_replies_pile_nothing_up(serve: Serve, connect: Connect) -> None:
    """20,000 replies for names that are searched, each of another port where nobody listens."""
    server = serve({"y": 2.0})
    context = connect(server)
    y = context.pv("y")
    assert y.get() == 2.0
    lost = [context.pv(f"lost:{number}") for number in range(50)]
    eventually(lambda: len({search.cid for search in server.searches if search.name.startswith("lost:")}) == 50)
    cids = [search.cid for search in server.searches if search.name.startswith("lost:")]
    before = resident()
    with Forger() as forger:
        for port in range(1, 401):
            forger.search_replies(server.searchers[0], cids[:50], port)
            if port % 20 == 0:
                assert y.get(use_monitor=False, timeout=5.0) == 2.0
    assert resident() - before < 30_000_000
    assert not any(pv.connected for pv in lost)
    assert y.get(use_monitor=False) == 2.0


def test_rubbish_by_the_thousand(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    context = connect(server)
    pv = context.pv("x")
    assert pv.get() == 1.0
    with Forger() as forger, logged() as lines:
        for _ in range(20):
            forger.rubbish(server.searchers[0], 250)
            assert pv.get(use_monitor=False, timeout=5.0) == 1.0
        context.close()
    assert len(lines) < 20
