"""A home closes when nobody holds it any more: by filing, without waiting, and with nothing left behind."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from caclient import CAError, Config, Context, ContextClosedError, LimitError
from caclient.client import default
from caclient.client.home import Home
from tests.faults import FaultServer
from tests.leftovers import Snapshot
from tests.recorder import PATIENCE, Recorder


@pytest.fixture
def server():
    with FaultServer({"x": 1.0}) as made:
        yield made


def over(home: Home) -> None:
    """Wait until nothing is left of it."""
    assert home._over.acquire(timeout=PATIENCE)
    home._over.release()
    home.runtime.loop.thread.join(PATIENCE)
    assert home.runtime.lanes.join(PATIENCE)
    assert home not in default._homes


def test_a_context_that_is_dropped_leaves_nothing_behind(server):
    before = Snapshot.now()
    context = Context(server.client_config())
    home = context._home
    assert context.pv("x").get(timeout=PATIENCE) == 1.0
    del context
    over(home)
    assert not before.left_behind()


def test_a_pv_holds_its_home(server):
    context = Context(server.client_config())
    home, pv = context._home, context.pv("x")
    del context
    assert pv.get(timeout=PATIENCE) == 1.0
    assert not home.runtime.closed
    del pv
    over(home)


def test_a_subscription_that_nobody_holds_holds_its_home(server):
    context = Context(server.client_config())
    home, heard = context._home, Recorder()
    subscription = context.pv("x").subscribe(heard)
    del context
    gc.collect()
    heard.wait(1)
    server["x"].post(2.0)
    heard.wait(2)
    assert not home.runtime.closed
    subscription.close()
    del subscription
    gc.collect()
    over(home)


def test_an_iterator_that_is_dropped_does_not_hold_it(server):
    context = Context(server.client_config())
    home = context._home
    for _ in context.pv("x").updates(timeout=PATIENCE):
        break
    context.close()
    del context
    gc.collect()
    over(home)


def test_shared_pvs_do_not_hold_it(server):
    context = Context(server.client_config())
    home = context._home
    assert context.shared_pv("x").get(timeout=PATIENCE) == 1.0
    del context
    over(home)


def test_dropped_on_its_own_engine_thread(server):
    context = Context(server.client_config())
    home, gone = context._home, threading.Event()
    weakref.finalize(context, gone.set)
    held = [context]
    del context
    home.runtime.loop.call_soon(held.clear)
    assert gone.wait(PATIENCE)
    over(home)


def test_closed_on_its_own_engine_thread(server):
    with Context(server.client_config()) as context:
        context._home.runtime.loop.call_soon(context.close)
        over(context._home)


def test_closed_in_a_callback(server):
    context, closed = Context(server.client_config()), Recorder()

    def close(_reading: object) -> None:
        context.close()
        closed(1)

    context.pv("x").subscribe(close)
    closed.wait(1)
    over(context._home)


def test_a_pv_is_refused_by_a_home_that_closes(server):
    context = Context(server.client_config())
    pv = context.pv("x")
    context._home.close_soon()
    with pytest.raises(ContextClosedError):
        context.pv("y")
    over(context._home)
    with pytest.raises(ContextClosedError):
        pv.get(timeout=60, use_monitor=False)


def test_no_descriptor_for_a_context(monkeypatch):
    def none() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("caclient.engine.loop.make_poller", none)
    with pytest.raises(LimitError, match=r"no engine for a context: .*Too many open files"):
        Context(Config.isolated())


def test_no_thread_for_a_context(monkeypatch):
    def none(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = Snapshot.now()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(LimitError, match="can't start new thread"):
            Context(Config.isolated())
    assert not before.left_behind()


def test_in_words(server):
    with Context(server.client_config()) as context:
        assert repr(context._home) == "<Home: 0 channels, 0 circuits>"
    assert repr(context._home) == "<Home: closed>"


def test_if_the_engine_thread_ever_ends_every_wait_fails_with_that_reason(server, monkeypatch, caplog):
    """And nothing pretends to be connected. A bug would do it, or somebody who closes our descriptors."""
    context = Context(server.client_config())
    pv = context.pv("x", auto_monitor=False)
    assert pv.get(timeout=PATIENCE) == 1.0
    told = Recorder()
    pv.add_connection_callback(lambda conn, **_: told(conn))
    told.wait(1)
    waiting = Recorder()

    def wait() -> None:
        try:
            context.pv("nowhere").get(timeout=10 * PATIENCE)
        except CAError as error:
            waiting(error)

    thread = threading.Thread(target=wait)
    thread.start()
    home = context._home

    def fail(_timeout):
        raise OSError("closed by somebody else")

    monkeypatch.setattr(home.runtime.loop.poller, "poll", fail)
    home.runtime.loop.call_soon(lambda: None)
    (error,) = waiting.wait(1)
    thread.join(PATIENCE)
    assert "the engine thread has ended: OSError('closed by somebody else')" in str(error)
    assert told.wait(2) == [True, False]
    assert not pv.connected
    with pytest.raises(CAError, match="the engine thread has ended"):
        pv.get(timeout=PATIENCE)
    with pytest.raises(CAError, match="the engine thread has ended"):
        context.pv("x")
    context.close()
    home._engine_ended()  # what it does last, should it have been overtaken by the close
    context.close()
    assert "the engine thread has ended" in caplog.text
