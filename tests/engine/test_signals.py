"""``caclient.engine.signals``: waits that Ctrl-C cannot break."""

from __future__ import annotations

import math
import threading
import time

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
