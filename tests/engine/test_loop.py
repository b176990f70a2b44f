"""The selector thread: calls, timers, wake-ups, and that none of them is lost."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from caclient.engine import loop as module
from caclient.engine.loop import Loop, Timer
from caclient.engine.poller import READ
from tests.engine.peers import PATIENCE, on_engine, settle


def test_calls_are_made_in_the_order_of_filing(loop):
    made = []
    for number in range(1000):
        loop.call_soon(made.append, number)
    settle(loop)
    assert made == list(range(1000))


def test_run_is_at_once_on_the_engine_thread_only(loop):
    made = []

    def nested():
        loop.run(made.append, "now")
        loop.call_soon(made.append, "later")
        made.append("end")

    loop.run(nested)
    settle(loop)
    assert made == ["now", "end", "later"]


def test_no_call_of_many_threads_is_lost(any_poller, loop):
    """Each call is filed only after the one before was made: one lost wake-up would end the exchange."""
    left = threading.Semaphore(0)

    def file():
        turn = threading.Semaphore(0)
        for _ in range(1000):
            loop.call_soon(turn.release)
            if not turn.acquire(timeout=PATIENCE):
                return
        left.release()

    threads = [threading.Thread(target=file) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert left.acquire(timeout=3 * PATIENCE)
    for thread in threads:
        thread.join()


def test_a_hundred_thousand_calls_come_in_order_for_each_thread(loop):
    calls, each = [], 12_500

    def file(who):
        for number in range(each):
            loop.call_soon(calls.append, (who, number))

    threads = [threading.Thread(target=file, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):  # rounds of 10,000 calls
        on_engine(loop, lambda: None)
    assert len(calls) == 8 * each
    assert all([n for who, n in calls if who == each_who] == list(range(each)) for each_who in range(8))


def test_timers_fire_in_order_and_cancelled_ones_do_not(loop):
    fired, done = [], threading.Event()
    now = time.monotonic()
    loop.call_at(now + 0.02, lambda: fired.append("second"))
    loop.call_at(now + 0.01, lambda: fired.append("first"))
    cancelled = loop.call_at(now + 0.015, lambda: fired.append("never"))
    cancelled.cancel()
    cancelled.cancel()
    loop.call_at(now + 0.03, done.set)
    assert done.wait(PATIENCE)
    assert fired == ["first", "second"]
    assert loop.lag >= 0.0


def test_a_timer_may_be_cancelled_by_another_of_the_same_round(loop):
    fired = []
    past = time.monotonic() - 1.0

    def both():
        later = loop.call_at(past + 0.1, lambda: fired.append("never"))
        loop.call_at(past, later.cancel)

    on_engine(loop, both)
    settle(loop)
    assert fired == []


def test_a_timer_that_is_always_late_lets_the_others_pass(loop):
    """One that is set anew for the past at each call must not keep calls and sockets waiting."""
    rounds = []

    def again():
        rounds.append(1)
        if not stop.is_set():
            loop.call_at(time.monotonic() - 1.0, again)

    stop = threading.Event()
    loop.call_at(time.monotonic(), again)
    on_engine(loop, lambda: None)
    on_engine(loop, stop.set)
    settle(loop)
    assert rounds


def test_the_end_may_be_waited_for_longer_than_a_lock_can(errors):
    made = Loop(errors.append)
    made.start()
    made.stop(1e12)
    assert not made.thread.is_alive()
    assert errors == []


def test_cancelled_timers_do_not_pile_up(loop):
    def move():
        for _ in range(5000):
            loop.call_at(time.monotonic() + 300.0, lambda: None).cancel()

    kept = [loop.call_at(time.monotonic() + 300.0, lambda: None) for _ in range(10)]
    on_engine(loop, move)
    assert len(loop._timers) <= module._SWEEP + 1
    live = [timer for _, _, timer in loop._timers if timer.call is not None]
    assert all(timer in live for timer in kept)


def test_sleeps_until_something_is_due(loop):
    """Nobody calls, nothing is due: the thread does not wake."""
    asleep = threading.Event()
    poll = loop.poller.poll

    def watched(timeout):
        if timeout is None:
            asleep.set()
        return poll(timeout)

    loop.poller.poll = watched
    settle(loop)
    assert asleep.wait(PATIENCE)
    before = loop.wakeups
    timer = threading.Event()
    loop.call_at(time.monotonic() + 0.2, timer.set)
    assert timer.wait(PATIENCE)
    settle(loop)
    assert loop.wakeups - before <= 8
    assert loop._patience() is None


def test_handlers_are_called_and_errors_end_nothing(any_poller, loop, errors):
    ours, theirs = socket.socketpair()
    heard = threading.Event()

    def read(_bits):
        ours.recv(1)
        heard.set()
        raise ValueError("of a handler")

    on_engine(loop, loop.poller.add, ours.fileno(), READ, read)
    theirs.send(b"x")
    assert heard.wait(PATIENCE)
    settle(loop)
    error = errors.pop()
    assert str(error) == "of a handler"
    loop.report(error)
    assert errors.pop() is error
    on_engine(loop, loop.poller.remove, ours.fileno())
    ours.close()
    theirs.close()


def test_a_full_bell_is_no_error(loop):
    def fill():
        loop._bell.setblocking(False)
        try:
            while True:
                loop._bell.send(b"\0" * 65536)
        except BlockingIOError:
            loop._ring()

    on_engine(loop, fill)
    settle(loop)


def test_ctrl_c_between_noting_and_ringing_loses_no_wake_up(monkeypatch):
    loop = Loop(lambda error: None)
    rings = []

    def ring():
        rings.append(1)
        if len(rings) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_ring", ring)
    loop._asleep = True
    with pytest.raises(KeyboardInterrupt):
        loop.call_soon(lambda: None)
    assert len(rings) == 2
    loop.abandon()


def test_stopping_makes_the_calls_filed_before(loop):
    made = []
    loop.call_soon(made.append, 1)
    loop.stop(PATIENCE)
    assert made == [1]
    loop.call_soon(made.append, 2)  # nobody hears it
    loop.stop(PATIENCE)
    assert made == [1]


def test_the_engine_thread_may_stop_itself():
    loop = Loop(lambda error: None)
    loop.start()
    loop.call_soon(loop.stop)
    loop.thread.join(PATIENCE)
    assert not loop.thread.is_alive()


def test_a_loop_never_started_is_abandoned():
    loop = Loop(lambda error: None)
    loop.stop()
    loop.abandon()
    assert Timer(0.0, loop.start).call is not None


def test_a_timer_far_in_the_future_ends_nothing(any_poller, loop):
    """EPICS_CA_CONN_TMO=1e7, or a put of 1e9 to a period: more than the system's waits take."""
    for seconds in (1e7, 1e9, 1e300, float("inf")):
        loop.call_at(time.monotonic() + seconds, lambda: None)
    settle(loop)
    assert on_engine(loop, lambda: 5) == 5
    assert loop.thread.is_alive()


def test_an_error_that_ends_the_thread_is_told(monkeypatch):
    ended = []
    loop = Loop(lambda _: None, on_end=ended.append)

    def fail(_timeout):
        raise OSError("the descriptor was closed by somebody else")

    monkeypatch.setattr(loop.poller, "poll", fail)
    loop.start()
    loop.thread.join(PATIENCE)
    assert str(ended[0]) == "the descriptor was closed by somebody else"
    loop.call_soon(print)  # nobody will come, which is no error
    loop.stop()
