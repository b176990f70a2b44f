"""Host names are looked up on threads of their own, which end when there is nothing more to look up."""

from __future__ import annotations

import queue
import threading

from caclient.engine import lookups as module
from caclient.engine.lookups import Lookups
from tests.engine.peers import PATIENCE, on_engine


def test_a_host_that_cannot_be_one_keeps_no_other_from_being_found(loop):
    """UnicodeError, not OSError: it ended the look-up of all that stood behind it in the list."""
    told = queue.SimpleQueue()
    lookups = Lookups(loop)
    for host in ("x" * 64 + ".example", "a..b", "127.0.0.1"):
        on_engine(loop, lookups.ask, host, told.put)
    assert {told.get(timeout=PATIENCE) for _ in range(3)} == {None, "127.0.0.1"}


def test_one_slow_host_keeps_nobody_waiting(loop, monkeypatch):
    going, told, threads = threading.Event(), queue.SimpleQueue(), set()

    def slow(host):
        threads.add(threading.current_thread())
        if host == "slow":
            assert going.wait(PATIENCE)
        return host

    monkeypatch.setattr(module, "resolve", slow)
    lookups = Lookups(loop)
    for host in ("slow", "a", "b", "c", "d", "e", "f"):
        on_engine(loop, lookups.ask, host, told.put)
    assert {told.get(timeout=PATIENCE) for _ in range(6)} == set("abcdef")
    going.set()
    assert told.get(timeout=PATIENCE) == "slow"
    assert loop.thread not in threads
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_no_more_than_a_few_threads_at_a_time(loop, monkeypatch):
    going, told, inside = threading.Semaphore(0), queue.SimpleQueue(), queue.SimpleQueue()

    def slow(host):
        inside.put(host)
        assert going.acquire(timeout=PATIENCE)
        return host

    monkeypatch.setattr(module, "resolve", slow)
    lookups = Lookups(loop)
    for number in range(10):
        on_engine(loop, lookups.ask, str(number), told.put)
    assert [inside.get(timeout=PATIENCE) for _ in range(4)]
    assert lookups._running == 4
    assert inside.empty()
    going.release(10)
    assert {told.get(timeout=PATIENCE) for _ in range(10)} == set(map(str, range(10)))


def test_without_a_thread_it_is_as_if_the_host_were_unknown(loop, monkeypatch):
    def none_left(_self):
        raise RuntimeError("can't start new thread")

    told = queue.SimpleQueue()
    lookups = Lookups(loop)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    on_engine(loop, lookups.ask, "127.0.0.1", told.put)
    assert told.get(timeout=PATIENCE) is None
    monkeypatch.undo()
    on_engine(loop, lookups.ask, "127.0.0.1", told.put)
    assert told.get(timeout=PATIENCE) == "127.0.0.1"
