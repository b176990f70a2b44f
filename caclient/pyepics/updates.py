"""What comes from a channel by itself: subscriptions, queues that keep what happens in order, calls for its engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from caclient.client.callbacks import Events
from caclient.client.channel import Channel
from caclient.client.feed import Rows
from caclient.client.shape import Shape
from caclient.client.subscription import Hold
from caclient.dbr import Reading

from . import dbr

__all__ = ["Arrivals", "Queue", "Wanted", "Watch"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Type and count of a subscription: a type by number, or a form of what the channel has."""

    ftype: int
    form: str
    most: int

    def __call__(self, shape: Shape) -> tuple[int, int]:
        """What is asked for."""
        ftype = self.ftype if self.ftype >= 0 else promoted(int(shape.native_type), self.form)
        return ftype, min(self.most, shape.count)


def promoted(ftype: int, form: str) -> int:
    """The number of a native type in a form; text has no limits or units."""
    if form == "ctrl":
        return ftype + dbr.CTRL_STRING if ftype else dbr.TIME_STRING
    return ftype + dbr.TIME_STRING if form == "time" else ftype


class Queue(Events):
    """What happens to a channel, in order, for one listener.

    While it is quiet, because nobody is to be called, only the newest update is kept, and that costs no worker.
    """

    __slots__ = ("_newest", "quiet")

    def __init__(self, channel: Channel, deliver: Callable[[Reading], None], quiet: bool) -> None:
        super().__init__(channel, deliver)
        self.quiet = quiet
        self._newest: Any = None

    def one(self, reading: Reading, size: int = 0) -> None:
        """An update. *The thread that reads the circuit.*"""
        if self.quiet:
            self._newest = reading
        else:
            super().one(reading, size)

    def rows(self, data_type: int, rows: Rows, shape: Shape) -> None:
        """Updates that came together. *The thread that reads the circuit.*"""
        if self.quiet:
            self._newest = data_type, rows[-1:].copy(), shape
        else:
            super().rows(data_type, rows, shape)

    @property
    def holds(self) -> bool:
        """Whether an update waits to be taken."""
        return self._newest is not None

    def take(self) -> Reading | None:
        """The newest update that came while it was quiet, once. *Any thread.*"""
        newest, self._newest = self._newest, None
        if type(newest) is tuple:
            data_type, rows, shape = newest
            return shape.readings(data_type, rows)[0]  # type: ignore[no-any-return]
        return newest  # type: ignore[no-any-return]


class Watch:
    """A subscription, until it is closed."""

    __slots__ = ("_hold", "mask")

    def __init__(self, channel: Channel, wanted: Wanted, mask: int, queue: Queue) -> None:
        self.mask = mask
        self._hold = Hold(channel, mask, queue, form=wanted)
        self._hold.enter()

    def close(self) -> None:
        """No update any more."""
        self._hold.close()


class Arrivals:
    """Calls for the engine thread of a context: thousands that come together are filed as one."""

    __slots__ = ("_calls", "_filed")

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._filed: Any = None
        """The loop that has been told; in a forked child there is another."""

    def add(self, channel: Channel, call: Callable[..., None], *args: Any) -> None:
        """Have it called soon, in order. *Any thread.*"""
        runtime = channel.runtime
        runtime.wake()
        self._calls.append((call, args))
        if self._filed is not runtime.loop:
            self._filed = runtime.loop
            runtime.loop.call_soon(self._make)

    def _make(self) -> None:
        self._filed = None
        calls = self._calls
        while calls:
            call, args = calls.popleft()
            call(*args)
