"""Requests from many threads, interrupted ones, and rights that change under way."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from caclient import PV, AccessDeniedError, ChannelAccessError, Context, DisconnectedError, caget, caget_many
from caclient.client.default import _homes
from caclient.ioc import Completion, Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer
from tests.resilience.watching import Told, eventually, logged, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


def test_concurrent_gets_of_one_pv_all_succeed(serve: Serve, connect: Connect) -> None:
    """T20: through one PV and through many of the same name."""
    server = serve({"x": 1.5})
    context = connect(server)
    shared, results = context.pv("x", auto_monitor=False), Told()

    def read() -> None:
        own = context.pv("x", auto_monitor=False)
        for _ in range(20):
            results(shared.get(timeout=10) + own.get(timeout=10))

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.items == [3.0] * 320
    assert server.circuits == 1


def test_concurrent_put_completions_are_resolved_separately(serve: Serve, connect: Connect) -> None:
    """T21: the second put completes before the first, and each waiter is told of its own."""
    waiting: dict[float, Completion] = {}

    def on_put(_record: Record, value: float) -> Completion:
        waiting[value] = Completion()
        return waiting[value]

    server = serve([Record("x", 0.0, on_put=on_put)])
    pv = connect(server).pv("x")
    pv.get()
    done = Told()
    threads = [
        threading.Thread(target=lambda v=value: (pv.put(v, wait=True, timeout=10), done(v))) for value in (1.0, 2.0)
    ]
    for thread in threads:
        thread.start()
        eventually(lambda thread=thread: len(waiting) == threads.index(thread) + 1)
    waiting[2.0].finish()
    done.wait_for(2.0)
    waiting[1.0].finish()
    done.wait_for(2.0, 1.0)
    for thread in threads:
        thread.join()


def test_a_disconnect_while_waiting_raises_at_once(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.5})
    server.drop("read", times=None)
    server.drop("write", times=None)
    pv = connect(server).pv("x", auto_monitor=False)
    assert pv.wait_for_connection(5)
    for request in (lambda: pv.get(timeout=30), lambda: pv.put(1, wait=True), lambda: pv.put(1, wait=True, timeout=30)):
        assert pv.wait_for_connection(5)
        threading.Timer(0.1, server.drop_clients).start()
        with within(1.0), pytest.raises(DisconnectedError, match=r"'x' is not connected: circuit to 127.* closed by"):
            request()


def test_failed_requests_leave_no_entry(serve: Serve, connect: Connect) -> None:
    """T30: denied, refused, timed out, interrupted, of a wrong type: the books are empty afterwards."""
    server = serve([Record("x", 1.5), Record("locked", 1.0, access=ca.AccessRights.READ)])
    context = connect(server)
    x, locked = context.pv("x", auto_monitor=False), context.pv("locked", auto_monitor=False)
    x.get(), locked.get()
    server.drop("read", times=50)
    server.drop("write", times=50)
    failures = 0
    for _ in range(50):
        for request in (
            lambda: x.get(timeout=0.001),
            lambda: x.put(2.0, wait=True, timeout=0.001),
            lambda: locked.put(2.0, wait=True),
            lambda: locked.put(2.0),
            lambda: x.put(object(), wait=True),
            lambda: x.put([1, 2, 3]),
        ):
            with pytest.raises((OSError, ValueError)):
                request()
            failures += 1
    assert failures == 300
    server.behave()
    assert x.get() == 2.0
    (circuit,) = context._home.pool.circuits.values()
    assert circuit.core.ioids == {}
    assert len(server.of(ca.WriteNotifyRequest)) == 50  # those without the right were never sent


@pytest.mark.parametrize("wait", ["connection", "get", "put", "updates", "wait_for", "many"])
def test_ctrl_c_returns_at_once_and_leaves_everything_usable(serve: Serve, wait: str, monkeypatch: Any) -> None:
    """T28: in every call that blocks."""
    server = serve({"x": 1.5, "y": 2.5})
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{server.port}")
    x, y, dead = PV("x", auto_monitor=False), PV("y"), PV("dead")
    assert (x.get(), y.get()) == (1.5, 2.5)
    if wait in ("get", "put", "many"):
        server.stall()
    calls: dict[str, Callable[[], Any]] = {
        "connection": lambda: dead.wait_for_connection(20),
        "get": lambda: x.get(timeout=20),
        "put": lambda: x.put(3.0, wait=True),
        "updates": lambda: list(y.updates(timeout=20)),
        "wait_for": lambda: y.wait_for(lambda value: value == 9, timeout=20),
        "many": lambda: caget_many(["x", "y", "dead"], timeout=20),
    }
    struck: list[float] = []

    def strike() -> None:
        struck.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.2, strike).start()
    with pytest.raises(KeyboardInterrupt):
        calls[wait]()
    assert time.monotonic() - struck[0] < 0.1
    server.resume()
    eventually(lambda: y.connected)
    x.put(7.0, wait=True, timeout=5)
    assert (x.get(), y.get(use_monitor=False), caget("x")) == (7.0, 2.5, 7.0)


def test_a_program_that_hogs_the_interpreter(serve: Serve, connect: Connect) -> None:
    """T25: each turn of another thread takes it most of a second; what is asked for comes all the same."""
    server = serve({"x": 1.5})
    pv = connect(server).pv("x", auto_monitor=False)
    pv.get()
    before = sys.getswitchinterval()
    stop = threading.Event()

    def hog() -> None:
        while not stop.is_set():
            sum(range(20_000))

    hogs = [threading.Thread(target=hog) for _ in range(4)]
    sys.setswitchinterval(0.2)
    try:
        for thread in hogs:
            thread.start()
        assert [pv.get(timeout=20.0) for _ in range(2)] == [1.5] * 2
    finally:
        stop.set()
        sys.setswitchinterval(before)
        for thread in hogs:
            thread.join()


def test_a_caller_that_was_not_scheduled_takes_the_reply_that_is_there(serve: Serve, connect: Connect) -> None:
    """T25: the deadline has passed when it looks, but so has the reply arrived."""
    server = serve({"x": 1.5})
    pv = connect(server).pv("x", auto_monitor=False)
    pv.get()
    begun = pv.begin_put(2.5)
    server.wait_for(ca.WriteNotifyRequest)
    eventually(lambda: server["x"].value == 2.5)
    eventually(lambda: not pv.channel.circuit.core.ioids)
    assert begun.result(0.5) is None


def test_rights_change_at_run_time(serve: Serve, connect: Connect) -> None:
    """T17: told to callbacks, obeyed at once, named in the error; the connection is not touched."""
    server, rights = serve({"x": 1.5}), Told()
    context = connect(server)
    connection = Told()
    pv = context.pv("x", connection_callback=connection)
    pv.add_access_callback(lambda read, write, pv: rights((read, write)))
    assert pv.get() == 1.5
    rights.wait_for((True, True))
    server.set_access("x", "r")
    rights.wait_for((True, True), (True, False))
    user, host = context._home.runtime.identity
    said = rf"'x': no write access for {user}@{host} on 127.0.0.1:{server.tcp_port}"
    for wait in (False, True):
        with pytest.raises(AccessDeniedError, match=said):
            pv.put(2.0, wait=wait)
    assert (pv.access, pv.get()) == ("read-only", 1.5)
    server.set_access("x", "")
    rights.wait_until(lambda items: items[-1] == (False, False))
    with pytest.raises(AccessDeniedError, match="no read access"):
        pv.get()
    server.set_access("x", "rw")
    rights.wait_until(lambda items: items[-1] == (True, True))
    pv.put(3.0, wait=True, timeout=5)
    assert pv.get() == 3.0
    assert connection.items == [True]
    assert not server.of(ca.WriteRequest)


def test_a_put_refused_by_the_server_is_told(serve: Serve, connect: Connect) -> None:
    """T30: the rights changed while it was on its way."""
    server = serve({"x": 1.5})
    pv = connect(server).pv("x")
    pv.get()
    server.drop("rights", times=None)
    server.set_access("x", "r")
    with pytest.raises(AccessDeniedError, match="ECA_NOWTACCESS"):
        pv.put(2.0, wait=True, timeout=5)
    with logged() as messages:
        pv.put(2.0)
        eventually(lambda: messages)
    assert "'x'" in messages[0] and "ECA_NOWTACCESS" in messages[0]


def test_errors_of_the_server_carry_their_status(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.5})
    pv = connect(server).pv("x", auto_monitor=False)
    pv.get()
    server.lie("read", parameter1=152)
    with pytest.raises(ChannelAccessError, match="'x': ECA_GETFAIL") as failure:
        pv.get()
    assert failure.value.status.name == "ECA_GETFAIL"


def test_one_context_for_any_number_of_convenience_calls(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """T32: from any thread."""
    server = serve({"x": 1.5})
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{server.port}")
    threads = [threading.Thread(target=lambda: (caget("x"), caget_many(["x", "x"]))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_homes) == 1
    assert (server.circuits, server.channels) == (1, 1)
