"""A put that is not done when its value is stored: a motor that has yet to arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable

from caclient.protocol.status import ECA_NORMAL, CAStatusCode

WhenDone = Callable[[CAStatusCode], None]


class Completion:
    """Returned by a record's put hook; the put-callback reply leaves when `finish` is called."""

    __slots__ = ("_lock", "_status", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status: CAStatusCode | None = None
        self._waiting: list[WhenDone] = []

    @property
    def finished(self) -> bool:
        """Whether `finish` was called."""
        return self._status is not None

    def finish(self, status: CAStatusCode = ECA_NORMAL) -> None:
        """Answer those who wait for the put; the first call counts. Any thread."""
        with self._lock:
            if self._status is not None:
                return
            self._status = status
            waiting, self._waiting = self._waiting, []
        for call in waiting:
            call(status)

    def then(self, call: WhenDone) -> None:
        """Have `call(status)` made once the put is finished, at once if it is. Any thread."""
        with self._lock:
            if self._status is None:
                self._waiting.append(call)
                return
            status = self._status
        call(status)
