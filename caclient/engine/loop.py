"""The selector thread: one for a context, serving every socket and every deadline.

It sleeps until the next deadline, a ready socket or a wake-up, and for nothing else. It runs no user code, no logging
handler and no name look-up, because whoever delays it delays every PV of the program.

A wake-up is one byte through a socket pair, and only if the thread sleeps: ``call_soon`` first files the call, then
looks at ``_asleep``; the thread first raises ``_asleep``, then looks for calls. Whichever comes second sees the other.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .poller import READ, Handler, Poller, make_poller

_BATCH: Final = 10_000
"""Calls served in one round, so that a flood of calls cannot keep the sockets waiting."""
_LONGEST: Final = 3600.0
"""Seconds for which the thread sleeps at the most: the system's waits take no more than some days."""
_SWEEP: Final = 1000
"""Timers from which on cancelled ones are looked for."""


class Timer:
    """A call that is due at a moment; ``cancel()`` forgets it. *Any thread.*"""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forget the call; cancelling twice is no error."""
        self.call = None


class Loop:
    """A selector, a heap of timers and a queue of calls, served by one thread named ``caclient-engine``.

    *on_error* is told of what a handler or a call has raised, *on_end* of what has ended the thread.
    """

    def __init__(
        self,
        on_error: Callable[[BaseException], None],
        name: str = "caclient-engine",
        on_end: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.poller: Poller = make_poller()
        self.wakeups = 0
        self.lag = 0.0
        """Seconds by which the last timer was late: what a starved selector thread shows."""
        self._on_error = on_error
        self._on_end = on_end or on_error
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._sweep_at = _SWEEP
        self._asleep = False
        self._stopping = False
        self.ident = -1
        """The thread, once it runs."""
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self.poller.add(self._ear.fileno(), READ, self._hear)
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread after the calls filed so far; wait for it unless it is the caller. *Any thread.*"""
        self.call_soon(self._stop)
        if threading.current_thread() is not self.thread and self.thread.is_alive():
            self.thread.join(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))

    def call_soon(self, call: Callable[..., None], *args: Any) -> None:
        """Have the engine thread make a call, in the order of filing. Takes no lock. *Any thread.*"""
        self._calls.append((call, args))
        if self._asleep:
            try:
                self._asleep = False
                self._ring()
            except BaseException:  # Ctrl-C between the two lines: nobody else would ring
                self._ring()
                raise

    def run(self, call: Callable[..., None], *args: Any) -> None:
        """Make a call at once on the engine thread, else file it. *Any thread.*"""
        if threading.get_ident() == self.ident:
            call(*args)
        else:
            self.call_soon(call, *args)

    def call_at(self, due: float, call: Callable[[], None]) -> Timer:
        """Have the engine thread make a call at a monotonic moment. *Any thread.*"""
        timer = Timer(due, call)
        self.run(self._push, timer)
        return timer

    def abandon(self) -> None:
        """In a forked child: close the descriptors; the thread exists only in the parent."""
        self.poller.close()
        self._bell.close()
        self._ear.close()

    def report(self, error: BaseException) -> None:
        """Tell of what should not have happened. *Any thread.*"""
        self._on_error(error)

    def _push(self, timer: Timer) -> None:
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        if len(self._timers) > self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        """Let go of cancelled timers that are far from due: circuits and searches move theirs with every datagram."""
        self._timers = [entry for entry in self._timers if entry[2].call is not None]
        heapq.heapify(self._timers)
        self._sweep_at = max(_SWEEP, 2 * len(self._timers))

    def _ring(self) -> None:
        try:
            self._bell.send(b"\0")
        except (BlockingIOError, OSError):
            pass  # a full pipe wakes as well; a closed one has nobody to wake

    def _hear(self, _bits: int) -> None:
        self._ear.recv(4096)

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        self.ident = threading.get_ident()
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001  nobody will be served any more, and all are to know
            self._guard(self._on_end, error)
        finally:
            self.poller.close()
            self._bell.close()
            self._ear.close()

    def _serve(self) -> None:
        while not self._stopping:
            self._asleep = True
            ready = self.poller.poll(self._patience())
            self._asleep = False
            self.wakeups += 1
            for handler, bits in ready:
                self._guard(handler, bits)
            self._serve_calls()
            self._serve_timers()

    def _patience(self) -> float | None:
        if self._calls:
            return 0.0
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, min(self._timers[0][0] - time.monotonic(), _LONGEST))

    def _serve_calls(self) -> None:
        calls = self._calls
        for _ in range(min(len(calls), _BATCH)):
            call, args = calls.popleft()
            self._guard(call, *args)

    def _serve_timers(self) -> None:
        if not self._timers:
            return
        now = time.monotonic()
        for _ in range(len(self._timers)):  # no more: one that is set anew for the past has to let the sockets pass
            if not self._timers or self._timers[0][0] > now:
                return
            due, _, timer = heapq.heappop(self._timers)
            if timer.call is not None:
                self.lag = now - due
                self._guard(timer.call)

    def _guard(self, call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001  one broken circuit must not end the thread that serves all others
            self._on_error(error)


__all__ = ["Handler", "Loop", "Timer"]
