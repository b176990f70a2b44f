"""How fast search datagrams may go out: a window for names that are new, a bucket of tokens for each kind of retry.

What is spent on dead names must not be missing for living ones, so each kind of names has a budget of its own. What
proves a loss makes the window smaller; silence does not, for a name without a server is silent for ever. But where even
names that are asked for again are silent, a server is down: then retries gain nothing by being quick, and become rare.

All searches go to all destinations, so the budgets are shared between them (`share`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import ceil, log2
from typing import Protocol

FLIGHT = 0.01  # seconds after which a datagram without an answer gives its place in the window to the next
WINDOW_START, WINDOW_LEAST, WINDOW_MOST = 16, 4, 64  # datagrams; 64 of them fit the receive buffer of any server
SILENT_KEPT = 1024
ROUNDING = 1e-6  # seconds that a token is announced late, lest it be not quite whole when asked for
ROUND, ANSWER_TIMES = 0.25, 4.0  # a round of asking is so many answer times, and no shorter than so many seconds
QUIETEST = 3  # a rate is halved so often at the most
FIRST_PERIOD, PATIENT = 0.04, 2.0  # seconds before a name is asked for again; and no less than so many answer times
SMOOTHING = 0.125  # the weight of the latest answer time
SLOWEST = 2.0  # seconds: an answer that takes longer tells of a stall, not of the way


class Budget(Protocol):
    """Permission to send, one datagram at a time."""

    def share(self, destinations: int) -> None:
        """Each datagram goes to so many destinations."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that waiting for more to send along gains nothing."""

    def take(self, now: float) -> bool:
        """Spend one datagram; False if that is not allowed now."""

    def next_due(self) -> float:
        """When the next datagram is allowed, if no answer comes before (minus infinity: now)."""


class AnswerTime:
    """How long answers take: smoothed, and what follows from it."""

    __slots__ = ("smoothed",)

    def __init__(self) -> None:
        self.smoothed = 0.0  # seconds; 0: nobody has answered yet

    def took(self, seconds: float) -> None:
        """An answer came so long after its name was asked for, once."""
        seconds = min(max(seconds, 0.0), SLOWEST)
        self.smoothed += SMOOTHING * (seconds - self.smoothed) if self.smoothed else seconds

    @property
    def doublings(self) -> int:
        """How often the first period is doubled, so that it is no shorter than two answer times."""
        wanted = PATIENT * self.smoothed / FIRST_PERIOD
        return ceil(log2(wanted)) if wanted > 1.0 else 0

    @property
    def round(self) -> float:
        """Seconds in which an answer would have come, if anybody had it."""
        return max(ROUND, ANSWER_TIMES * self.smoothed)


class Silence:
    """How many rounds of asking have passed without an answer."""

    __slots__ = ("_answers", "_since")

    def __init__(self, answers: AnswerTime) -> None:
        self._answers = answers
        self._since: float | None = None  # when the first was asked that nobody has answered since

    def asked(self, now: float) -> None:
        """Somebody could answer from now on."""
        if self._since is None:
            self._since = now

    def broken(self) -> None:
        """Somebody has answered, or is known to be back."""
        self._since = None

    def rounds(self, now: float) -> int:
        """Silent rounds, up to `QUIETEST`."""
        if self._since is None:
            return 0
        return min(int(max(now - self._since, 0.0) / self._answers.round), QUIETEST)


class TokenBucket:
    """At most `rate` datagrams a second, and `burst` at once. With a `silence`: half as many for each silent round."""

    __slots__ = ("_burst", "_filled_at", "_most", "_rate", "_share", "_silence", "_tokens")

    idle = True

    def __init__(self, rate: float, burst: float, silence: Silence | None = None) -> None:
        self._most = self._rate = rate
        self._share = 1
        self._burst = self._tokens = burst
        self._silence = silence
        self._filled_at = float("-inf")

    def share(self, destinations: int) -> None:
        """Divide by the number of destinations: each datagram goes to all of them."""
        self._share = max(destinations, 1)

    def take(self, now: float) -> bool:
        """Spend one token."""
        silent = 0 if self._silence is None else self._silence.rounds(now)
        self._rate = self._most / (self._share << silent)
        if now > self._filled_at:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        if self._silence is not None:
            self._silence.asked(now)
        return True

    def next_due(self) -> float:
        """When there is a whole token, unless silence makes the rate smaller until then."""
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

    def share(self, destinations: int) -> None:
        """Start with less if each datagram goes to many; a window that has grown by answers keeps its size."""
        if not self.number:
            self.size = max(WINDOW_START // max(destinations, 1), WINDOW_LEAST)

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
