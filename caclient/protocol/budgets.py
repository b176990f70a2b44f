"""How fast search datagrams may go out: a window for names that are new, a bucket of tokens for each kind of retry.

What is spent on dead names must not be missing for living ones, so each kind of names has a budget of its own, and only
what proves a loss makes a budget smaller. Silence proves nothing: a name without a server is silent for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Protocol

FLIGHT = 0.01  # seconds after which a datagram without an answer gives its place in the window to the next
WINDOW_START, WINDOW_LEAST, WINDOW_MOST = 16, 4, 64  # datagrams; 64 of them fit the receive buffer of any server
SILENT_KEPT = 1024
ROUNDING = 1e-6  # seconds that a token is announced late, lest it be not quite whole when asked for


class Budget(Protocol):
    """Permission to send, one datagram at a time."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that waiting for more to send along gains nothing."""

    def take(self, now: float) -> bool:
        """Spend one datagram; False if that is not allowed now."""

    def next_due(self) -> float:
        """When the next datagram is allowed, if no answer comes before (minus infinity: now)."""


class TokenBucket:
    """At most `rate` datagrams a second, and `burst` at once."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    idle = True

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._tokens = burst
        self._filled_at = float("-inf")

    def take(self, now: float) -> bool:
        """Spend one token."""
        if now > self._filled_at:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def next_due(self) -> float:
        """When there is a whole token."""
        if self._tokens >= 1.0:
            return float("-inf")
        return self._filled_at + (1.0 - self._tokens) / self._rate + ROUNDING


class Window:
    """How many datagrams of new names may be under way.

    It grows by one for each datagram that is answered, so it doubles in each round trip. It halves, once per round,
    when a datagram proves to be lost: later ones were answered, and so were its names, but only when asked again.
    """

    __slots__ = ("_counter", "_flights", "_halved_at", "_latest_answered", "_silent", "number", "size")

    def __init__(self, size: int = WINDOW_START) -> None:
        self.size = size
        self.number = 0  # of the datagram that was sent last
        self._counter: Iterator[int] = count(1)
        self._flights: dict[int, float] = {}  # number -> when its place is free again; in that order
        self._silent: dict[int, None] = {}  # the latest that left the window without an answer
        self._latest_answered = 0
        self._halved_at = 0  # a datagram up to this number has been punished for already

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def idle(self) -> bool:
        """Whether no datagram is under way."""
        return not self._flights

    def take(self, now: float) -> bool:
        """Send one more; its number then is `number`."""
        self.land(now)
        if len(self._flights) >= self.size:
            return False
        self.number = next(self._counter)
        self._flights[self.number] = now + FLIGHT
        return True

    def next_due(self) -> float:
        """When there is a place, if no answer comes before."""
        if len(self._flights) < self.size:
            return float("-inf")
        return next(iter(self._flights.values()))

    def answered(self, number: int, retried: bool) -> None:
        """A name that first was asked for in datagram `number` is found, after it was asked for again or not."""
        if self._flights.pop(number, None) is not None:
            self.size = min(self.size + 1, WINDOW_MOST)
        elif number in self._silent:
            del self._silent[number]
            if retried:
                self._halve(number)
                return
        else:
            return
        self._latest_answered = max(number, self._latest_answered)

    def land(self, now: float) -> None:
        """Free the places of those that have been under way for long enough."""
        flights = self._flights
        while flights:
            number = next(iter(flights))
            if flights[number] > now:
                return
            del flights[number]
            self._silent[number] = None
            if len(self._silent) > SILENT_KEPT:
                del self._silent[next(iter(self._silent))]

    def _halve(self, lost: int) -> None:
        if self._halved_at < lost < self._latest_answered:
            self._halved_at = self.number
            self.size = max(self.size // 2, WINDOW_LEAST)
