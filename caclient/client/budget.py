"""One budget for all that waits in a home: callbacks and iterators; recorders hold what they were asked to hold.

Each queue has its own bound (``feed.ROOM``). Many of them together have this one: beyond it the queue that was served
longest ago drops the older half of what waits there, and counts it, and the server is asked to merge updates for a
moment (EVENTS_OFF), of which every subscription of that circuit is told (``thinned``).

What waits is weighed now and then: not before so much has come in that the budget can be exceeded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from caclient.client.channel import Channel
from caclient.client.feed import Feed
from caclient.client.monitor import Monitor

_LEAST: Final = 1024 * 1024
"""Bytes to come before the next look, at the least."""
_SPREAD: Final = 6
"""A reading that waits takes at most so many times the bytes that it came in."""
_ROUNDS: Final = 16
"""Queues may share what waits, so that one alone frees nothing by dropping it: it is weighed again so often."""


class Budget:
    """Bytes that may wait, and who gives when more do. *The threads that read circuits.*"""

    def __init__(self, limit: int, channels: Callable[[], Iterable[Channel]]) -> None:
        self._limit = limit
        self._channels = channels
        self._looking = threading.Lock()

    def look(self) -> int:
        """Weigh what waits, and have some dropped if it is too much; how many bytes may come until the next look."""
        if not self._looking.acquire(blocking=False):
            return _LEAST
        try:
            weight, waiting = self._weigh()
            for _ in range(_ROUNDS):
                if weight <= self._limit or not self._relieve(weight - self._limit, waiting):
                    break
                weight, waiting = self._weigh()
        finally:
            self._looking.release()
        return max(_LEAST, (self._limit - weight) // _SPREAD)

    def orphan(self) -> None:
        """In a forked child: another thread of the parent may have been looking. *The only thread.*"""
        self._looking = threading.Lock()

    def _weigh(self) -> tuple[int, list[tuple[Feed, Monitor]]]:
        total = 0
        seen: set[int] = set()
        waiting = []
        for feed, monitor in self._feeds():
            weight = feed.weigh(seen)
            if weight:
                waiting.append((feed, monitor))
                total += weight
        return total, waiting

    def _feeds(self) -> Iterator[tuple[Feed, Monitor]]:
        for channel in self._channels():
            for dependent in channel.dependents:
                if isinstance(dependent, Monitor):
                    for sink in dependent.sinks:
                        feed = getattr(sink, "feed", sink)
                        if isinstance(feed, Feed):
                            yield feed, dependent

    def _relieve(self, excess: int, waiting: list[tuple[Feed, Monitor]]) -> bool:
        """Have those who were served longest ago drop what exceeds the budget; false if nobody can."""
        given = False
        circuits = set()
        for feed, monitor in sorted(waiting, key=lambda each: each[0].served_at):
            while excess > 0 and (freed := feed.halve()):
                given = True
                excess -= freed
                if monitor.ride is not None:
                    circuits.add(monitor.ride.circuit)
            if excess <= 0:
                break
        for circuit in circuits:
            circuit.pause_updates()
        return given
