"""Servers whose TCP is worse than their UDP, priorities, and large payloads beside small ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from caclient import CATimeoutError, Context
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer, Tcp
from tests.faults.script import Parcel
from tests.resilience.conftest import QUICK
from tests.resilience.watching import Told, eventually, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


@pytest.mark.parametrize("tcp", [Tcp.REFUSE, Tcp.SILENT, Tcp.NEVER])
def test_a_server_that_never_finishes_tcp_hurts_nobody_else(serve: Serve, connect: Connect, tcp: Tcp) -> None:
    """T03: refused, black hole, accepted and silent: other PVs connect and are read as if it were not there."""
    bad, good = serve({f"bad:{n}": 1.0 for n in range(200)}, tcp=tcp), serve({f"good:{n}": 2.0 for n in range(200)})
    context = connect(bad, good)
    lost = [context.pv(f"bad:{n}") for n in range(200)]
    with within(2.0):
        live = [context.pv(f"good:{n}") for n in range(200)]
        assert [pv.get() for pv in live] == [2.0] * 200
    assert not any(pv.connected for pv in lost)
    with pytest.raises(CATimeoutError) as failure:
        lost[0].get(timeout=0.1)
    wanted = {
        Tcp.REFUSE: r"answers searches, but takes no connection: connect failed: ECONNREFUSED \(\d attempts?\)",
        Tcp.SILENT: r"127.0.0.1:\d+ .*has not (created|answered the request to create) the channel",
        Tcp.NEVER: r"answered the search, (the TCP connection is not up|but its TCP port has not answered)",
    }[tcp]
    assert failure.match(wanted)


@pytest.mark.parametrize("tcp", [Tcp.REFUSE, Tcp.SILENT, Tcp.NEVER])
def test_a_server_whose_tcp_recovers_is_found(serve: Serve, connect: Connect, tcp: Tcp) -> None:
    """T03: it is tried again, on whatever port it then says."""
    server = serve({"x": 1.5}, tcp=tcp)
    context = connect(server, **QUICK)
    pv = context.pv("x")
    server.wait_until(lambda: server.searches)
    eventually(lambda: pv.channel.state.value != "searching" or pv.channel.note)
    server.move(Tcp.SERVE)
    assert pv.wait_for_connection(15)
    assert pv.get() == 1.5


def test_a_refusing_server_is_tried_less_and_less_often(serve: Serve, connect: Connect) -> None:
    """Back-off: 0.1, 0.2, 0.4 s and so on; the attempts are counted."""
    server = serve({"x": 1.5}, tcp=Tcp.REFUSE)
    context = connect(server)
    pv = context.pv("x")
    where = f"127.0.0.1:{server.tcp_port}"
    eventually(lambda: context.report().refusing.get(where, 0) >= 4)
    began = time.monotonic()
    attempts = context.report().refusing[where]
    assert attempts < 7
    eventually(lambda: context.report().refusing[where] == attempts + 1)
    assert time.monotonic() - began < 5
    with pytest.raises(CATimeoutError, match=rf"{where} .* \(\d attempts\)"):
        pv.get(timeout=0.05)
    server.move(Tcp.SERVE)
    assert pv.wait_for_connection(10)


def test_a_server_that_drops_every_circuit_is_not_hammered(serve: Serve, connect: Connect) -> None:
    """It creates the channel, sends one update and resets, again and again."""
    server = serve({"x": 1.5, "other": 1.0})
    server.fault("update", _reset, times=None)
    context = connect(server)
    told = Told()
    pv = context.pv("x", connection_callback=told)
    told.wait_until(lambda items: len(items) >= 4)
    opened = len(server.of(ca.VersionRequest))
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 1.0)
    assert len(server.of(ca.VersionRequest)) - opened < 10
    server.behave()
    eventually(lambda: pv.connected and pv.get(timeout=1) == 1.5, timeout=15)


def _reset(parcel: Parcel) -> Parcel:
    return replace(parcel, then="reset")


def test_each_priority_has_its_own_circuit(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.5})
    context = connect(server)
    low, high, same = context.pv("x"), context.pv("x", priority=99), context.pv("x", priority=99)
    assert (low.get(), high.get(), same.get()) == (1.5, 1.5, 1.5)
    assert sorted(request.priority for request in server.of(ca.VersionRequest)) == [0, 99]
    assert sorted(circuit.priority for circuit in context.report().circuits) == [0, 99]
    assert (server.circuits, server.channels) == (2, 2)


def test_a_camera_does_not_delay_a_motor(serve: Serve, connect: Connect) -> None:
    """64 MB frames as fast as they can be had on one circuit; puts on another take their usual time."""
    camera, motor = serve([Record("camera", np.zeros(8_000_000))]), serve({"motor": 0.0})
    context = connect(camera, motor)
    frames, done = [], threading.Event()
    view, axis = context.pv("camera", auto_monitor=False), context.pv("motor")

    def film() -> None:
        while not done.is_set():
            frames.append(view.get(timeout=30)[0])

    axis.put(0.0, wait=True, timeout=5)
    thread = threading.Thread(target=film)
    thread.start()
    eventually(lambda: frames)
    worst = 0.0
    for number in range(100):
        began = time.monotonic()
        axis.put(float(number), wait=True, timeout=5)
        worst = max(worst, time.monotonic() - began)
    done.set()
    thread.join()
    assert worst < 1.0  # a frame takes ten times as long as the longest that is allowed here


def test_a_large_put_does_not_delay_others(serve: Serve, connect: Connect) -> None:
    """A server that takes nothing: 64 MB wait for it, and nobody waits for them."""
    stuck, motor = serve([Record("wave", np.zeros(8_000_000))]), serve({"motor": 0.0})
    context = connect(stuck, motor)
    wave, axis = context.pv("wave", auto_monitor=False), context.pv("motor")
    assert wave.wait_for_connection(5)
    axis.get()
    stuck.stall()
    wave.put(np.ones(8_000_000))
    with within(1.0):
        for number in range(20):
            axis.put(float(number), wait=True, timeout=5)
    with within(1.0), pytest.raises(CATimeoutError, match=r"takes no more: \d+ bytes wait"):
        wave.put(np.ones(8_000_000), timeout=0.2)
    stuck.resume()
    eventually(lambda: wave.get(use_monitor=False, timeout=20)[0] == 1.0)


def test_an_answer_larger_than_allowed_is_refused_alone(serve: Serve, connect: Connect) -> None:
    """T06: EPICS_CA_MAX_ARRAY_BYTES where somebody set it; the rest of the circuit goes on."""
    server = serve([Record("wave", np.zeros(100_000)), Record("x", 1.5)])
    context = connect(server, max_array_bytes=16_408)
    wave, x = context.pv("wave", auto_monitor=False), context.pv("x")
    with pytest.raises(Exception, match="wave"):
        wave.get(timeout=2)
    assert x.get() == 1.5
    assert wave.connected
