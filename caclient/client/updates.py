"""Updates: an iterator over the readings of a PV, which nothing holds but its user."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from typing_extensions import Self

from caclient.client.channel import Channel
from caclient.client.feed import PIECE, Feed, Sink, Stretch
from caclient.client.subscription import Hold, checked_limit
from caclient.client.waiting import give, wait
from caclient.client.why import Diagnosis
from caclient.dbr import Reading
from caclient.engine.signals import new_signal
from caclient.errors import CATimeoutError


class Arrivals(Feed):
    """The feed of an iterator: who waits is told. It knows neither the iterator nor the PV."""

    __slots__ = ("_turn", "_waiting")

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(limit)
        self.scheduled = True
        self._waiting: deque[Any] = deque()
        self._turn = threading.RLock()  # among those who take; a finalizer that takes as well finds it open

    def tell(self) -> None:
        """Wake who waits. *The thread that reads the circuit.*"""
        self.scheduled = True
        waiting = self._waiting
        while waiting:
            try:
                give(waiting.pop())
            except IndexError:  # the others have been woken by somebody else
                return

    def await_news(self) -> Any:
        """A signal that is given when something comes, or has come since. *Any thread.*"""
        signal = new_signal()
        self._waiting.append(signal)
        self.scheduled = False
        if self._items or self.ended:  # looked at after the flag fell: who has put something in has seen it up
            self.tell()
        return signal

    def forgo(self, signal: Any) -> None:
        """Nobody waits for the signal any more. *Any thread.*"""
        try:
            self._waiting.remove(signal)
        except ValueError:
            pass  # it was given

    def take(self) -> Reading | None:
        """The oldest reading, None if nothing waits. *Any thread.*"""
        items = self._items
        with self._turn:
            self.served_at = time.monotonic()
            while items:
                try:
                    item = items.popleft()
                except IndexError:  # pushed out at the last moment
                    return None
                if type(item) is not Stretch:
                    return item  # type: ignore[no-any-return]
                readings = item.take(PIECE)
                items.extendleft([item] if len(item) else ())
                items.extendleft(reversed(readings))
        return None

    def next(self, channel: Channel, timeout: float) -> Reading | None:
        """The oldest reading; None if none comes within *timeout* seconds, or will any more because that was wished.

        *Any thread but the engine's.*
        """
        deadline: float | None = None
        while True:
            reading = self.take()
            if reading is not None:
                return reading
            if self.ended:
                break
            if deadline is None:
                deadline = time.monotonic() + timeout
            signal = self.await_news()
            try:
                came = wait(channel.runtime, signal, deadline)
            finally:
                self.forgo(signal)
            if not came:
                return self.take()
        if self.why is not None:
            raise channel.ended(channel.note)
        return None


class Updates:
    """An iterator over the readings of a PV, from the current one on, until ``close()``; also a context manager.

    What its user is too slow for waits, within 64 MiB or *limit* readings, or with ``policy="latest"`` only the newest;
    ``dropped`` counts what was pushed out. An iterator that nobody holds any more is closed. *Any thread.*
    """

    __slots__ = ("__weakref__", "_feed", "_hold", "_pv", "_thinned_at", "_timeout")

    def __init__(
        self,
        pv: Any,
        make: Callable[[Sink], Hold],
        policy: str = "all",
        limit: int | None = None,
        timeout: float = math.inf,
    ) -> None:
        self._pv = pv
        self._timeout = timeout
        self._feed = Arrivals(checked_limit(pv.pvname, policy, limit))
        self._hold = make(self._feed)
        self._thinned_at = self._hold.monitor.thinned()
        self._hold.enter()

    @property
    def pending(self) -> int:
        """Updates that wait to be taken."""
        return self._feed.pending

    @property
    def dropped(self) -> int:
        """Updates that were pushed out by newer ones before they were taken."""
        return self._feed.dropped

    @property
    def thinned(self) -> int:
        """How often the server was asked meanwhile to send only the newest values, which it tells nobody."""
        return self._hold.monitor.thinned() - self._thinned_at

    @property
    def _excuse(self) -> str:
        """What the server has said about sending none, as the end of a sentence."""
        refusal = self._hold.monitor.refusal
        return refusal and f"; {refusal}"

    def __iter__(self) -> Iterator[Reading]:
        return self

    def __next__(self) -> Reading:
        """The next reading.

        :raises StopIteration: after ``close()``.
        :raises CATimeoutError: if none comes within the timeout.
        :raises ContextClosedError: if none will come any more.
        """
        reading = self.next(self._timeout)
        if reading is not None:
            return reading
        if self._hold.closed:
            raise StopIteration
        channel = self._channel
        if not channel.connected:
            raise channel.unready(self._timeout)
        text = f"no update: '{channel.name}' within {self._timeout:g} s{self._excuse}; ask why()"
        why = Diagnosis(channel.facts(elapsed=self._timeout, phase="request"))
        raise CATimeoutError(text, pvname=channel.name, elapsed=self._timeout, phase="request", why=why)

    def next(self, timeout: float) -> Reading | None:
        """The next reading, or None if none comes within *timeout* seconds, or after ``close()``."""
        return self._feed.next(self._channel, timeout)

    @property
    def _channel(self) -> Channel:
        return self._hold.monitor.channel

    def close(self) -> None:
        """End the subscription; who waits is told. What has come already may still be taken."""
        self._hold.close()
        self._feed.end(None)
        self._pv._forget(self._hold)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_hold"):
            self._hold.close()
            self._pv._forget(self._hold)
