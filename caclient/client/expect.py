"""It really happened: waiting for a PV to become something, armed before whatever makes it so.

What is waited for is looked at where updates arrive, on the thread that reads the circuit, so no lane and no callback
of the PV can be in its way; a user's own function is called by the thread that waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol

from typing_extensions import Self

from caclient.client.channel import Channel
from caclient.client.condition import Condition, checked_settle, condition
from caclient.client.feed import Rows
from caclient.client.get import read
from caclient.client.properties import fetch
from caclient.client.shape import Shape
from caclient.client.subscription import Hold
from caclient.client.timeout import remaining
from caclient.client.updates import Arrivals
from caclient.client.waiting import give, wait
from caclient.client.why import Diagnosis
from caclient.dbr import ChannelType, Reading, TimeStamp
from caclient.dbr.mask import DEFAULT_MASK
from caclient.engine.signals import new_signal
from caclient.errors import BadValueError, CAError, CATimeoutError, shorten

_SPARE: Final = 0.25
"""Which part of the time is kept for a fresh read at the end."""
_READ: Final = 0.1
"""Seconds of it at the most."""


def condition_of(channel: Channel, wanted: Any, tolerance: float, deadline: float) -> Condition:
    """What *wanted* asks of a channel; the names of its states are fetched if they are needed."""
    states: tuple[str, ...] = ()
    if isinstance(wanted, (str, bytes)) and channel.native_type == ChannelType.ENUM:
        states = fetch(channel, deadline).enum_strs
    return condition(channel.name, wanted, tolerance, channel.native_type, states)


class Owner(Protocol):
    """A PV: what waits on it ends when it is closed."""

    def _remember(self, want: Any) -> None:
        """Have it closed with this PV."""

    def _forget(self, want: Any) -> None:
        """It has been closed."""


class _Watch(Arrivals):
    """The feed of an expectation: the first reading is what was there before; of the others, those that fit are kept.

    What is for a user's function to judge is kept whole.
    """

    __slots__ = ("_condition", "first", "last", "returned", "seen")

    def __init__(self, what: Condition) -> None:
        super().__init__()
        self._condition = what
        self.first = new_signal()
        self.last: Reading | None = None
        self.seen = -1
        """Updates that came after the first reading; -1 before that."""
        self.returned = False
        """The connection was lost meanwhile."""

    def one(self, reading: Reading, size: int = 0) -> None:
        """A reading came. *The thread that reads the circuit.*"""
        self.last = reading
        self.seen += 1
        if self.seen == 0:
            give(self.first)
            return
        if reading.reason == "reconnect":
            self.returned = True
        if self._condition.is_function or self._condition.holds(reading):
            super().one(reading, size)

    def rows(self, data_type: int, rows: Rows, shape: Shape) -> None:
        """Updates came together. *The thread that reads the circuit.*"""
        for reading in shape.readings(data_type, rows):
            self.one(reading)


class Expectation:
    """``with pv.expect(1, timeout=2) as seen: ...``: waits, at the end of the block, for what was to be seen.

    Only updates after the beginning of the block count, and none is missed, however short. *Any thread.*
    """

    __slots__ = (
        "_channel",
        "_condition",
        "_connection",
        "_feed",
        "_found",
        "_hold",
        "_owner",
        "_pauses",
        "_timeout",
        "_wanted",
    )

    _condition: Condition
    _feed: _Watch
    _hold: Hold

    def __init__(
        self, channel: Channel, owner: Owner, wanted: Any, tolerance: float, timeout: float, connection: float
    ) -> None:
        self._channel = channel
        self._owner = owner
        self._wanted = wanted, tolerance
        self._timeout = timeout
        self._connection = connection
        self._found: Reading | None = None
        self._pauses = 0

    @property
    def reading(self) -> Reading | None:
        """The first reading that was expected; None until it has come.

        :raises BadValueError: it was never armed, for want of a ``with``.
        """
        if not hasattr(self, "_hold"):
            name = self._channel.name
            raise BadValueError(f"'{name}': nothing is expected yet: write with pv.expect(...) as seen:", pvname=name)
        while self._found is None and (reading := self._feed.take()) is not None:
            self._look(reading)
        return self._found

    def _look(self, reading: Reading) -> None:
        if not self._condition.is_function or self._condition.holds(reading):
            self._found = reading

    def __enter__(self) -> Self:
        try:
            self._arm(time.monotonic() + self._connection)
        except CAError as error:
            shorten(error)
            raise
        return self

    def _arm(self, deadline: float) -> None:
        channel = self._channel
        channel.require(deadline)
        self._condition = condition_of(channel, *self._wanted, deadline)
        self._feed = _Watch(self._condition)
        self._hold = Hold(channel, DEFAULT_MASK, self._feed, ends=True)
        self._pauses = self._hold.monitor.thinned()
        try:
            self._owner._remember(self._hold)
            self._hold.enter()
            if not wait(channel.runtime, self._feed.first, deadline):
                raise self._no_first()
        except BaseException:
            self._close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._await(time.monotonic() + self._timeout)
        except CAError as missed:
            shorten(missed)
            raise
        finally:
            self._close()

    def _close(self) -> None:
        self._hold.close()
        self._owner._forget(self._hold)

    def _await(self, deadline: float) -> None:
        while self._found is None:
            reading = self._feed.next(self._channel, remaining(deadline))
            if reading is None:
                raise self._missed()
            self._look(reading)

    def _no_first(self) -> CAError:
        name, refusal = self._channel.name, self._hold.monitor.refusal
        why = f": {refusal}" if refusal else ""
        return CATimeoutError(
            f"no value: '{name}' has none to begin with within {self._connection:g} s{why}; ask why()",
            pvname=name,
            elapsed=self._connection,
            phase="request",
            why=Diagnosis(self._channel.facts(elapsed=self._connection, phase="request")),
        )

    def _missed(self) -> CAError:
        feed, name = self._feed, self._channel.name
        says = f"not seen: '{name}' {self._condition.text} within {self._timeout:g} s; {_seen(feed.seen, feed.last)}"
        if not self._channel.connected:
            says += "; it is disconnected now"
        elif feed.returned:
            says += "; the connection was lost meanwhile"
        if self._hold.monitor.thinned() > self._pauses:
            says += "; the server was asked to merge updates meanwhile"
        if feed.dropped:
            says += f"; {feed.dropped} updates were dropped"
        says += "; give it longer, or look at what moves it"
        says += " (what the IOC does not post, within its deadband or the same value again, cannot be seen)"
        why = Diagnosis(self._channel.facts(elapsed=self._timeout, phase="processing"))
        return CATimeoutError(says, pvname=name, elapsed=self._timeout, phase="processing", why=why)


def _seen(count: int, last: Reading | None) -> str:
    """How many updates came, and what the last said."""
    updates = "no update" if count <= 0 else f"{count} update{'' if count == 1 else 's'}"
    return f"{updates} came, last value: {'unknown' if last is None else last.text}"


class _Stream:
    """The readings of a channel for one who waits, from the current one on; closed at the end of the block."""

    def __init__(self, channel: Channel, owner: Owner) -> None:
        self.channel = channel
        self._owner = owner
        self.arrivals = Arrivals()
        self.count = -1
        self.last: Reading | None = None
        self.floor: TimeStamp | None = None
        """Older readings are the past."""
        self._hold: Hold | None = None

    def __enter__(self) -> Self:
        try:
            self._hold = Hold(self.channel, DEFAULT_MASK, self.arrivals, ends=True)
            self._owner._remember(self._hold)
            self._hold.enter()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.arrivals.end(None)
        if self._hold is not None:
            self._hold.close()
            self._owner._forget(self._hold)

    @property
    def refusal(self) -> str:
        """Why there are no updates."""
        return "" if self._hold is None else self._hold.monitor.refusal

    def next(self, deadline: float) -> Reading | None:
        """The next reading, None if none comes until then."""
        while (reading := self.arrivals.next(self.channel, remaining(deadline))) is not None:
            stamp = reading.stamp
            if self.floor is None or stamp is None or stamp >= self.floor:
                self.count += 1
                self.last = reading
                return reading
        return None


def wait_for(channel: Channel, owner: Owner, what: Condition, timeout: float, settle: float = 0.0) -> Reading:
    """The first reading that fits, the current one included, and went on to fit for *settle* seconds.

    :raises CATimeoutError: if there is none within *timeout* seconds, and a fresh read does not fit either.
    """
    settle = checked_settle(settle)
    deadline = time.monotonic() + timeout
    with _Stream(channel, owner) as stream:
        return _found(stream, what, deadline, settle)


def put_and_wait(
    put: Callable[[float], None],
    channel: Channel,
    owner: Owner,
    what: Condition,
    deadline: float,
    settle: float,
) -> Reading:
    """Put, until the record has finished, and then wait for a reading that fits.

    What the read-back said before the record had finished does not count: the first that does is a fresh read.

    :raises CATimeoutError: if one of the two takes longer than until the monotonic *deadline*.
    """
    with _Stream(channel, owner) as stream:
        if stream.next(deadline) is None:
            raise unmet(channel, what, 0.0, -1, None, stream.refusal)
        put(deadline)
        reading = read(channel, deadline)
        stream.last, stream.floor = reading, reading.stamp
        if what.holds(reading):
            settled = _settled(stream, what, reading, deadline, settle) if settle else reading
            if settled is not None:
                return settled
        return _found(stream, what, deadline, settle)


def _found(stream: _Stream, what: Condition, deadline: float, settle: float) -> Reading:
    """The next reading that fits and settles; near the end the server is asked once."""
    channel, started = stream.channel, time.monotonic()
    spare = min(remaining(deadline) * _SPARE, _READ)
    found = _fitting(stream, what, deadline - spare, deadline, settle)
    if found is None and channel.connected:
        found = _fresh(stream, what, deadline)
        if found is not None and settle:
            found = _settled(stream, what, found, deadline, settle)
    if found is None:
        found = _fitting(stream, what, deadline, deadline, settle)
    if found is not None:
        return found
    if not channel.connected:
        raise channel.unready(time.monotonic() - started)
    raise unmet(channel, what, time.monotonic() - started, stream.count, stream.last, stream.refusal)


def _fitting(stream: _Stream, what: Condition, until: float, deadline: float, settle: float) -> Reading | None:
    """The next reading that fits and settles; None if none comes until then."""
    while (reading := stream.next(until)) is not None:
        if what.holds(reading):
            if not settle:
                return reading
            settled = _settled(stream, what, reading, deadline, settle)
            if settled is not None:
                return settled
    return None


def _settled(stream: _Stream, what: Condition, reading: Reading, deadline: float, settle: float) -> Reading | None:
    """The newest reading once all have fitted for *settle* seconds; None if one does not, or time is up."""
    until = time.monotonic() + settle
    if until > deadline:
        until = deadline + 1e-9
        settle = -1.0
    while (newer := stream.next(until)) is not None:
        if not what.holds(newer):
            return None
        reading = newer
    return reading if settle >= 0 else None


def _fresh(stream: _Stream, what: Condition, deadline: float) -> Reading | None:
    """What the server answers now, if it fits: a monitor may have lost an update, or never got one."""
    try:
        reading = read(stream.channel, deadline)
    except CAError:
        return None
    stream.last = reading
    return reading if what.holds(reading) else None


def unmet(
    channel: Channel, what: Condition, waited: float, count: int, last: Reading | None, refusal: str = ""
) -> CATimeoutError:
    """What to raise when the time is up."""
    also = f"; {refusal}" if refusal else ""
    text = f"condition not met: '{channel.name}' {what.text} after {waited:.3f} s; {_seen(count, last)}{also}"
    text += "; give it longer, or a tolerance, or look at what moves it"
    why = Diagnosis(channel.facts(elapsed=waited, phase="processing"))
    return CATimeoutError(text, pvname=channel.name, elapsed=waited, phase="processing", why=why)
