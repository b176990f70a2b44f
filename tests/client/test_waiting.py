"""Waits: until a deadline, never on the engine thread; and latches that many open."""

from __future__ import annotations

import math
import threading
import time

import pytest

from caclient.client.waiting import Latch, wait
from caclient.engine.signals import new_signal
from caclient.errors import ReentrantError
from tests.recorder import PATIENCE, Recorder


@pytest.fixture
def runtime(serve):
    _, context = serve()
    return context._home.runtime


def test_a_signal_comes_or_the_deadline_passes(runtime):
    signal = new_signal()
    assert not wait(runtime, signal, time.monotonic())
    threading.Thread(target=signal.release).start()
    assert wait(runtime, signal, time.monotonic() + PATIENCE)


def test_the_engine_thread_waits_for_nothing(runtime):
    told = Recorder()

    def try_to_wait() -> None:
        for attempt in (
            lambda: wait(runtime, new_signal(), math.inf),
            lambda: Latch(1).wait(runtime, math.inf, math.inf),
        ):
            try:
                attempt()
            except ReentrantError as error:
                told(error)

    runtime.loop.call_soon(try_to_wait)
    assert len(told.wait(2)) == 2


def test_a_latch_opens_with_the_last_or_a_moment_after_the_first(runtime):
    latch = Latch(3)
    latch.release()
    latch.wait(runtime, time.monotonic() + PATIENCE, 0.0)
    threads = [threading.Thread(target=latch.release) for _ in range(2)]
    for thread in threads:
        thread.start()
    latch.wait(runtime, time.monotonic() + PATIENCE, math.inf)
    for thread in threads:
        thread.join(PATIENCE)


def test_a_latch_that_nobody_opens(runtime):
    started = time.monotonic()
    Latch(2).wait(runtime, started + 0.01, math.inf)
    assert time.monotonic() - started >= 0.01


def test_a_latch_takes_what_several_tell_at_once(runtime):
    raised = []
    for _ in range(50):
        latch = Latch(4)
        start = threading.Barrier(4)

        def tell(latch: Latch = latch, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            try:
                latch.release()
            except Exception as error:
                raised.append(error)

        threads = [threading.Thread(target=tell) for _ in range(4)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE
        latch.wait(runtime, deadline, math.inf)
        assert time.monotonic() < deadline
        for thread in threads:
            thread.join(PATIENCE)
    assert raised == []
