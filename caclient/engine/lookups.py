"""Looking up host names, which may take seconds: on threads of its own, few and short-lived.

There is none as long as there is nothing to look up. One host that is slow, or that cannot be a name at all, keeps no
other waiting for long, and nobody who writes a log line.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from caclient.engine.loop import Loop
from caclient.engine.sockets import resolve

_THREADS: Final = 4
"""Hosts looked up at the same time."""

Told = Callable[["str | None"], None]


class Lookups:
    """``ask`` is called on the engine thread, and so is who waits for the answer."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[str, Told]] = deque()
        self._running = 0  # changed by the engine thread only

    def ask(self, host: str, told: Told) -> None:
        """Have *told* called with the first IPv4 address of a host, None if it has none. *Engine thread.*"""
        self._waiting.append((host, told))
        self._hire()

    def _hire(self) -> None:
        if not self._waiting or self._running >= _THREADS:
            return
        host, told = self._waiting.popleft()
        self._running += 1
        thread = threading.Thread(target=self._serve, args=(host, told), name="caclient-lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no thread just now: who asks again may be luckier
            self._loop.call_soon(self._done, told, None)

    def _serve(self, host: str, told: Told) -> None:
        self._loop.call_soon(self._done, told, resolve(host))

    def _done(self, told: Told, address: str | None) -> None:
        self._running -= 1
        self._hire()
        told(address)


__all__ = ["Lookups"]
