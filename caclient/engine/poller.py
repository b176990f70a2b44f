"""What the selector thread sleeps on: epoll where there is one, else the best that ``selectors`` knows.

The difference that matters to the rest: with epoll (``shared`` is true) any thread may switch the interest in one
socket off and on while the selector thread sleeps. That is what lets a caller who waits for a reply read its circuit
itself.
"""

from __future__ import annotations

import errno
import select
import selectors
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

READ: Final = 1
WRITE: Final = 4
"""Interest bits, with epoll's own values for EPOLLIN and EPOLLOUT, so that nothing is translated on the way."""

WINDOWS_LIMIT: Final = 512
"""Sockets that Windows' select takes; more of them, and it fails for all."""

Handler = Callable[[int], None]
"""Called with the bits that are ready; a hang-up or an error counts as both."""


class Poller(Protocol):
    """Readiness of sockets. One thread polls; see ``shared`` for who may change an interest."""

    shared: bool

    def add(self, fd: int, interest: int, handler: Handler) -> None:
        """Watch *fd*; OSError if there is no room for it. *Engine thread.*"""

    def modify(self, fd: int, interest: int) -> None:
        """Change what is watched for. *Engine thread; any thread when* ``shared``."""

    def remove(self, fd: int) -> None:
        """Stop watching *fd*; what is ready in this round may still be handed to its handler. *Engine thread.*"""

    def poll(self, timeout: float | None) -> list[tuple[Handler, int]]:
        """Handlers and their ready bits, after at most *timeout* seconds. *Engine thread.*"""

    def close(self) -> None:
        """Release the descriptor. *Engine thread.*"""


class EpollPoller:
    """Linux: the kernel keeps the table, so any thread may switch an interest."""

    shared = True

    def __init__(self) -> None:
        epoll: Any = getattr(select, "epoll", None)  # which only some systems have, as type checkers know
        self._epoll = epoll()
        self._handlers: dict[int, Handler] = {}

    def add(self, fd: int, interest: int, handler: Handler) -> None:
        """Watch *fd*."""
        self._handlers[fd] = handler
        self._epoll.register(fd, interest)

    def modify(self, fd: int, interest: int) -> None:
        """Change what is watched for."""
        self._epoll.modify(fd, interest)

    def remove(self, fd: int) -> None:
        """Stop watching *fd*."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def poll(self, timeout: float | None) -> list[tuple[Handler, int]]:
        """Handlers and their ready bits."""
        handlers = self._handlers
        return [
            (handlers[fd], bits if bits <= (READ | WRITE) else READ | WRITE)
            for fd, bits in self._epoll.poll(timeout)
            if fd in handlers
        ]

    def close(self) -> None:
        """Release the descriptor."""
        self._epoll.close()


class SelectorsPoller:
    """Everywhere else: only the selector thread may change an interest."""

    shared = False

    def __init__(self, limit: int | None = None) -> None:
        self._selector = selectors.DefaultSelector()
        self._limit = WINDOWS_LIMIT if limit is None and sys.platform == "win32" else limit
        self._idle: dict[int, Handler] = {}

    def add(self, fd: int, interest: int, handler: Handler) -> None:
        """Watch *fd*; OSError if the system takes no more."""
        if self._limit is not None and len(self._selector.get_map()) + len(self._idle) >= self._limit:
            raise OSError(errno.EMFILE, f"select takes no more than {self._limit} sockets on this system")
        self._selector.register(fd, _events(interest), handler)

    def modify(self, fd: int, interest: int) -> None:
        """Change what is watched for; no interest at all parks the handler, which ``selectors`` cannot express."""
        parked = self._idle.pop(fd, None)
        if parked is not None and interest:
            self._selector.register(fd, _events(interest), parked)
        elif parked is not None:
            self._idle[fd] = parked
        elif interest:
            self._selector.modify(fd, _events(interest), self._selector.get_key(fd).data)
        else:
            self._idle[fd] = self._selector.unregister(fd).data

    def remove(self, fd: int) -> None:
        """Stop watching *fd*."""
        if self._idle.pop(fd, None) is None:
            self._selector.unregister(fd)

    def poll(self, timeout: float | None) -> list[tuple[Handler, int]]:
        """Handlers and their ready bits."""
        return [(key.data, _bits(events)) for key, events in self._selector.select(timeout)]

    def close(self) -> None:
        """Release the descriptor."""
        self._selector.close()


def make_poller() -> Poller:
    """The best poller of this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorsPoller()


def _events(interest: int) -> int:
    return (selectors.EVENT_READ if interest & READ else 0) | (selectors.EVENT_WRITE if interest & WRITE else 0)


def _bits(events: Any) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)
