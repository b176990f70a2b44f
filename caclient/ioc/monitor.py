"""One subscription on the server: a bounded queue that never loses the newest value."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .snapshot import Snapshot

DEPTH = 64
"""Scalar values that may wait for a slow client."""
ARRAY_DEPTH = 4
"""Arrays that may wait: they are large, and whoever is late wants the newest."""


class Monitor:
    """What a client asked to be told about one record, and what it has not been told yet.

    A full queue replaces its newest entry, so the oldest queued values and the newest survive and order is kept. While
    the client has switched events off (`held`) only one value waits, the newest.
    """

    __slots__ = (
        "_on_ready", "_queue", "data_count", "data_type", "dropped", "held", "mask", "muted", "sid", "subscription_id",
    )  # fmt: skip

    def __init__(
        self,
        sid: int,
        subscription_id: int,
        data_type: int,
        data_count: int,
        mask: int,
        on_ready: Callable[[Monitor], None],
    ) -> None:
        self.sid = sid
        self.subscription_id = subscription_id
        self.data_type = data_type
        self.data_count = data_count
        self.mask = mask
        self.held = False
        self.muted = False
        self.dropped = 0
        self._queue: deque[Snapshot] = deque()
        self._on_ready = on_ready

    def offer(self, snapshot: Snapshot) -> bool:
        """Queue a value; whether the session must be told that there is one. Caller holds the record's lock."""
        if self.muted:
            return False
        waiting = len(self._queue)
        limit = 1 if self.held else ARRAY_DEPTH if snapshot.capacity > 1 else DEPTH
        if waiting >= limit:
            self._queue[-1] = snapshot
            self.dropped += 1
        else:
            self._queue.append(snapshot)
        return waiting == 0

    def announce(self) -> None:
        """Tell the session that something waits. The record's lock is free again. Any thread."""
        self._on_ready(self)

    def take(self) -> Snapshot | None:
        """The oldest value that waits. Caller holds the record's lock."""
        return self._queue.popleft() if self._queue else None

    def clear(self) -> None:
        """Forget what waits. Caller holds the record's lock."""
        self._queue.clear()
