"""``caclient.engine.signals``: waits that Ctrl-C cannot break."""

from __future__ import annotations

import math
import os
import runpy
import signal as system
import sys
import threading
import time

import pytest

from caclient.engine import signals as module
from caclient.engine.signals import await_signal, new_signal, seconds_to
from tests.recorder import PATIENCE


def test_a_signal_given_before_or_during_the_wait_is_seen():
    signal = new_signal()
    signal.release()
    assert await_signal(signal, time.monotonic() + PATIENCE)
    giver = threading.Thread(target=signal.release)
    giver.start()
    assert await_signal(signal, time.monotonic() + PATIENCE)
    giver.join()


def test_a_signal_that_is_not_given_is_waited_for_until_the_deadline():
    assert not await_signal(new_signal(), time.monotonic() - 1.0)
    assert not await_signal(new_signal(), time.monotonic() + 0.001)


def test_what_is_left_is_what_a_lock_takes():
    assert seconds_to(time.monotonic() - 1.0) == 0.0
    assert seconds_to(math.inf) == threading.TIMEOUT_MAX
    assert 9.0 < seconds_to(time.monotonic() + 10.0) <= 10.0


@pytest.mark.parametrize(("platform", "seconds"), [("win32", 0.1), ("linux", 1.0), ("darwin", 1.0)])
def test_ctrl_c_is_looked_for_ten_times_a_second_where_it_does_not_break_waits(monkeypatch, platform, seconds):
    monkeypatch.setattr(sys, "platform", platform)
    assert runpy.run_path(module.__file__)["SLICE"] == seconds


def test_where_a_wait_cannot_be_interrupted_it_is_made_of_short_ones(monkeypatch):
    """As on Windows, where Ctrl-C is seen between two of them: it ends even a wait without limit."""
    monkeypatch.setattr(module, "SLICE", 0.001)
    waits = []

    class Struck:
        def acquire(self, timeout):
            waits.append(timeout)
            if len(waits) == 3:
                raise KeyboardInterrupt
            return False

    with pytest.raises(KeyboardInterrupt):
        await_signal(Struck(), math.inf)
    assert waits == [0.001] * 3
    began = time.monotonic()
    assert not await_signal(new_signal(), began + 0.01)
    assert time.monotonic() - began >= 0.01
    signal = new_signal()
    giver = threading.Timer(0.005, signal.release)
    giver.start()
    assert await_signal(signal, time.monotonic() + PATIENCE)
    giver.join()


@pytest.mark.skipif(not hasattr(system, "pthread_sigmask"), reason="signals of threads")
def test_a_wait_sees_what_struck_while_the_system_told_another_thread():
    """As when Ctrl-C comes just before the thread sleeps: nothing wakes it, and it waited out its whole timeout."""

    class Struck(Exception):
        pass

    def strike(*_):
        raise Struck

    told = threading.Event()

    def take():
        system.pthread_sigmask(system.SIG_UNBLOCK, {system.SIGUSR1})
        told.wait(PATIENCE)

    before = system.signal(system.SIGUSR1, strike)
    system.pthread_sigmask(system.SIG_BLOCK, {system.SIGUSR1})
    taker = threading.Thread(target=take)
    striker = threading.Timer(0.1, os.kill, (os.getpid(), system.SIGUSR1))
    try:
        taker.start()
        striker.start()
        with pytest.raises(Struck):
            await_signal(new_signal(), math.inf)
    finally:
        told.set()
        taker.join()
        striker.join()
        system.pthread_sigmask(system.SIG_UNBLOCK, {system.SIGUSR1})
        system.signal(system.SIGUSR1, before)
