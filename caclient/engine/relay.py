"""Answers for callers who sleep while another reads their circuit: handed on from one to the next.

One chunk of bytes often holds the answers of several threads. Were they all woken at once, they would fight for the
interpreter, each would soon send its next request by itself, and more time would go into changing threads than into
the work. So the reader wakes the first (the *runner*), who wakes the next before doing anything else, and so on; what
they ask meanwhile gathers in the circuit's outbox, and the last has it written in one piece.

A caller that follows says so before it asks (``follow``), and leaves on every way out (``leave``).

The handler of a signal may interrupt such a caller and ask something itself. The caller beneath it can pass nothing on
meanwhile, and so gives up its place first (``make_way``).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from caclient.engine.hold import held


class Relay:
    """The callers who wait for one circuit, and the answers that are on their way to them.

    *deliver* hands items to their owners; *flush* writes what has gathered. Both are called without the lock.
    """

    __slots__ = ("_deliver", "_flush", "_followers", "_handing", "_lock", "_waiting", "runner", "threads")

    def __init__(self, deliver: Callable[[Sequence[Any]], None], flush: Callable[[], None]) -> None:
        self.runner: Any = None
        """Who has been woken last, and has not woken the next yet."""
        self.threads: dict[int, Any] = {}
        """Who follows, by thread."""
        self._deliver = deliver
        self._flush = flush
        self._followers: set[Any] = set()
        self._waiting: deque[Any] = deque()
        self._handing: Sequence[Any] = ()
        self._lock = threading.RLock()

    def follow(self, asker: Any) -> None:
        """Have the answer to *asker* handed on, should it come together with those of others. *Any thread.*"""
        self.threads[threading.get_ident()] = asker
        self._followers.add(asker)

    def leave(self, asker: Any) -> None:
        """The caller is awake, or waits no more; leaving twice is no error. *Any thread.*"""
        with self._lock:
            self._followers.discard(asker)
            running = self.runner is asker
        if running:
            self._pass_on()
        self.threads.pop(threading.get_ident(), None)

    def make_way(self) -> bool:
        """Do what the caller beneath has to, if there is one; false if it was interrupted too deep in here.

        *Any thread.*
        """
        beneath = self.threads.pop(threading.get_ident(), None)
        if beneath is None:
            return True
        if self._lock._is_owned():  # type: ignore[attr-defined]
            return False
        self._followers.discard(beneath)
        self.rescue()
        return True

    def take(self, items: Sequence[Any]) -> Sequence[Any]:
        """Keep the answers of followers for ``start``, and return the rest. *The reader.*"""
        followers = self._followers
        if not followers:
            return items
        rest: list[Any] = []
        kept: list[Any] = []
        for item in items:
            (kept if item.owner in followers else rest).append(item)
        with self._lock:
            self._waiting.extend(kept)
        return rest

    def start(self) -> None:
        """Wake the first, unless one is running who will come to it. *The reader.*"""
        if self._waiting and self.runner is None:
            self._pass_on()

    def rescue(self) -> None:
        """A follower was interrupted, perhaps while it passed on: give everyone what is there. *Any thread.*"""
        with self._lock:
            kept = [(item, item.owner) for item in (*self._handing, *self._waiting)]
            items = [item for item, owner in kept if owner is not None and not owner.done]
            self._handing = ()
            self._waiting.clear()
            self.runner = None
        self._deliver(items)
        self._flush()

    def _pass_on(self) -> None:
        items = self._next()
        held(self._deliver, items)  # or one of them would be half told, and ``rescue`` could not know
        if self._handing is items:
            self._handing = ()
        if self.runner is None:
            self._flush()

    def _next(self) -> Sequence[Any]:
        """The answer of the next runner, last, and before it those of callers who have given up meanwhile."""
        with self._lock:
            self.runner = None
            self._handing = items = []
            while self._waiting and self.runner is None:
                item = self._waiting[0]
                items.append(item)
                self._waiting.popleft()  # only now: Ctrl-C may come between, and ``rescue`` is to find it
                if item.owner in self._followers:
                    self.runner = item.owner
        return items


__all__ = ["Relay"]
