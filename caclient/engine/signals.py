"""One thread waits for one thing that another tells it.

A signal is a bare lock that starts taken; whoever tells releases it, once. Unlike the waits of ``threading.Event`` and
``threading.Condition``, which are Python code, it can be struck by Ctrl-C at any instruction and stays whole.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Final, Protocol

SLICE: Final = 0.1 if sys.platform == "win32" else 1.0
"""Seconds that one wait for a lock may take. On Windows Ctrl-C is seen between two of them only; elsewhere too, if it
comes when a thread is on its way to sleep, or if another thread is the one that the system tells."""


class Waiter(Protocol):
    """Who waits: until ``done``, or for a signal to acquire."""

    done: bool
    signal: Any


def new_signal() -> threading.Lock:
    """A signal not yet given: ``release()`` gives it."""
    signal = threading.Lock()
    signal.acquire()
    return signal


def await_signal(signal: threading.Lock, deadline: float) -> bool:
    """Wait for a signal until the monotonic *deadline*; whether it came. *Any thread but the engine's.*"""
    while True:
        left = seconds_to(deadline)
        if signal.acquire(timeout=min(left, SLICE)):
            return True
        if left <= SLICE:
            return False


def wait(waiter: Waiter, deadline: float) -> None:
    """Sleep until *waiter* is done or the monotonic *deadline* has passed. *Any thread but the engine's.*"""
    if not waiter.done:
        await_signal(waiter.signal, deadline)


def seconds_to(deadline: float) -> float:
    """What is left until the monotonic *deadline*, as waits take it: not negative, and no more than they can."""
    return max(0.0, min(deadline - time.monotonic(), threading.TIMEOUT_MAX))


__all__ = ["Waiter", "await_signal", "new_signal", "seconds_to", "wait"]
