"""The polite end of a connection: what was put still leaves, and the server has the time to read it.

Bytes that wait are written, then the server is told that no more will come (``SHUT_WR``), and what it says is read and
thrown away until it has closed its end. Were the socket closed with bytes unread, the kernel would reset the
connection, and the server lose what it has not read yet. It lasts as long as bytes move, either way, within the time
given.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from caclient.engine.loop import Loop, Timer
from caclient.engine.outbox import Outbox
from caclient.engine.poller import READ, WRITE

_QUIET: Final = 0.5
"""Seconds without a byte either way after which the server is not waited for any longer."""
_BUSY: Final = 5.0
"""The same, if something was put not long ago: a server reads many puts at once, and takes its time for each."""
_RECENT: Final = 5.0
"""Seconds that count as not long ago."""
_LOOK: Final = 0.05
"""Seconds between two looks at whether that is so."""
_CHUNK: Final = 65_536
_CHUNKS: Final = 16
"""Reads before others have their turn."""


class Farewell:
    """The end of one socket, which the poller knows; *on_end* is called when it may be closed. *Engine thread.*"""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        outbox: Outbox,
        locks: tuple[threading.RLock, threading.RLock],
        seconds: float,
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._outbox = outbox
        self._seat, self._lock = locks
        self._on_end = on_end
        self._said = False
        self._over = False
        now = time.monotonic()
        self._moved_at = now
        self._deadline = now + seconds
        self._quiet = _BUSY if now - outbox.gathered_at < _RECENT else _QUIET
        self._timer: Timer = loop.call_at(now, self._check)
        with self._lock:
            self._outbox.unblock()
        self.ready(0)

    def ready(self, bits: int) -> None:
        """The socket can be read or written."""
        try:
            self._write(bits)
            if not self._over and bits & READ and self._read():
                self.end()
        except OSError:
            self.end()

    def end(self) -> None:
        """It is over; ending twice is no error."""
        if not self._over:
            self._over = True
            self._timer.cancel()
            self._on_end()

    def _write(self, bits: int) -> None:
        outbox = self._outbox
        if bits & WRITE and outbox.blocked:
            with self._lock:
                outbox.unblock()
            self._moved_at = time.monotonic()
        if not outbox.size and not self._said:
            self._said = True
            self._sock.shutdown(socket.SHUT_WR)
        if not self._over:
            self._loop.poller.modify(self._sock.fileno(), READ | (WRITE if outbox.blocked else 0))

    def _read(self) -> bool:
        """Throw away what comes; whether the server has closed its end."""
        if not self._seat.acquire(blocking=False):
            return False  # a caller is just reading, whose answer came at the last moment
        try:
            for _ in range(_CHUNKS):
                if not self._sock.recv(_CHUNK):
                    return True
                self._moved_at = time.monotonic()
        except (BlockingIOError, InterruptedError):
            pass
        finally:
            self._seat.release()
        return False

    def _check(self) -> None:
        now = time.monotonic()
        if self._over:
            return
        if now >= self._deadline or now - self._moved_at >= self._quiet:
            self.end()
        else:
            self._timer = self._loop.call_at(min(now + _LOOK, self._deadline), self._check)


__all__ = ["Farewell"]
