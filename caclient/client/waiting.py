"""Waits: the one place of this floor where a thread sleeps until something has finished.

What finishes gives a signal, once. Whoever waits must not be the engine thread, which everybody waits for; and if it is
a callback, another worker takes its place meanwhile.
"""

from __future__ import annotations

import time
from typing import Any

from caclient.engine.runtime import Runtime
from caclient.engine.signals import await_signal, new_signal


def wait(runtime: Runtime, signal: Any, deadline: float) -> bool:
    """Wait for a signal until the monotonic *deadline*; whether it came.

    :raises ReentrantError: on the engine thread: a finalizer may run on any.
    """
    runtime.require_other_thread()
    with runtime.lanes.blocking():
        return await_signal(signal, deadline)


class Latch:
    """What many tell that they have finished: who waits is woken by the first, and by the last."""

    __slots__ = ("_all", "_count", "_first", "_left")

    def __init__(self, count: int) -> None:
        self._count = count
        self._left = [None] * count
        self._first = new_signal()
        self._all = new_signal()

    def release(self) -> None:
        """One has come. *Any thread.*"""
        left = self._left
        left.pop()  # one step in C, so no two take the same: a lock here could be held by whom a finalizer interrupts
        if self._first.locked():
            give(self._first)
        if not left:
            give(self._all)

    def wait(self, runtime: Runtime, deadline: float, gather: float) -> None:
        """Wait for the last, or until so many seconds after the first, but no longer than the monotonic *deadline*."""
        runtime.require_other_thread()
        with runtime.lanes.blocking():
            if await_signal(self._first, deadline):
                await_signal(self._all, min(time.monotonic() + gather, deadline))


def give(signal: Any) -> None:
    """Give a signal that may have been given already. *Any thread.*"""
    try:
        signal.release()
    except RuntimeError:
        pass
