"""An IOC goes and comes back, and everything that was watched is watched again, by itself."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from caclient import PV, CATimeoutError, Context
from tests.interop.softioc import SoftIoc
from tests.ports import free_port

pytestmark = pytest.mark.interop


def watch_all(context: Context) -> list[tuple[PV, Any]]:
    """A hundred counters, each with its updates; all have told their first value."""
    pvs = [context.pv(f"t:many:{number}") for number in range(100)]
    watched = [(pv, pv.updates(timeout=20)) for pv in pvs]
    for _, updates in watched:
        next(updates)
    return watched


def until_fresh(updates: Any, restarted_at: int) -> None:
    """Skip what was queued from before; a fresh value is younger than the restart."""
    while next(updates).timestamp_ns < restarted_at:
        pass


def test_a_hundred_monitors_survive_a_kill(own_softioc: SoftIoc, make_context: Callable[..., Context]) -> None:
    watched = watch_all(make_context(own_softioc))
    own_softioc.kill()
    gone_at = time.time_ns()
    own_softioc.start()
    for pv, updates in watched:
        until_fresh(updates, gone_at)
        assert pv.connected
        updates.close()


def test_pvs_notice_that_the_ioc_is_gone(own_softioc: SoftIoc, make_context: Callable[..., Context]) -> None:
    context, gone, back = make_context(own_softioc), threading.Event(), threading.Event()

    def changed(conn: bool = False, **_: Any) -> None:
        (back if conn else gone).set()

    pv = context.pv("t:ao", connection_callback=changed)
    assert back.wait(10)
    value = pv.get()
    back.clear()
    own_softioc.kill()
    assert gone.wait(5)
    assert (pv.connected, pv.value) == (False, value)
    own_softioc.start()
    assert back.wait(20)
    assert pv.get(use_monitor=False) == value


def test_an_ioc_that_comes_back_elsewhere_is_found(own_softioc: SoftIoc, make_context: Callable[..., Context]) -> None:
    other = free_port()
    context = make_context(own_softioc, addr_list=[own_softioc.address, f"127.0.0.1:{other}"])
    with context.pv("t:counter").updates(timeout=20) as updates:
        next(updates)
        own_softioc.restart(port=other)
        started = next(updates).timestamp_ns
        assert context.pv("t:counter").wait_for_connection(20)
        assert context.pv("t:counter").host == own_softioc.address
        until_fresh(updates, started + 1)


def test_an_ioc_that_is_stopped_and_goes_on(own_softioc: SoftIoc, make_context: Callable[..., Context]) -> None:
    """SIGSTOP: unresponsive after the echo, told to callbacks, and back on the same circuit with a fresh value."""
    context = make_context(own_softioc, conn_timeout=0.5, echo_timeout=0.5)
    changes: queue.SimpleQueue[bool] = queue.SimpleQueue()
    values: queue.SimpleQueue[float] = queue.SimpleQueue()
    pv = context.pv("t:ao", connection_callback=lambda conn, **_: changes.put(conn))
    with pv.subscribe(lambda reading: values.put(reading.value)):
        assert changes.get(timeout=10) is True
        before = values.get(timeout=10)
        circuit = pv.channel.circuit
        own_softioc.pause()
        assert changes.get(timeout=10) is False
        assert (pv.connected, pv.value) == (False, before)
        with pytest.raises(CATimeoutError, match="keeps the connection, but has said nothing"):
            pv.get(timeout=0.1)
        own_softioc.resume()
        assert changes.get(timeout=10) is True
        assert values.get(timeout=10) == before
        pv.put(before + 1.0, wait=True, timeout=10)
        assert values.get(timeout=10) == before + 1.0
        assert pv.channel.circuit is circuit
        assert values.empty()
