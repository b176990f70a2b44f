"""Feeds: what waits for a callback, an iterator, a recorder, a loop; in order, and bounded in bytes.

A monitor knows only a ``Sink``. A ``Feed`` is the sink that queues: the thread that reads the circuit puts readings in,
alone or as stretches of rows that came together, and whoever takes them out is told. Readings of rows are built where
they are taken.

The queue is a deque of whole items, and all that either side does to it is one step in C: there is no lock that a
finalizer or a forked child could find taken. The side that puts in may push the oldest items out; the side that takes
puts at most the rest of the stretch back that it had just taken, which is older than all that is left. So the order
holds without either knowing of the other.

What waits is weighed only now and then, after an eighth of the permitted bytes has come in since.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from caclient.client.shape import Shape
from caclient.dbr import Reading

Rows = npt.NDArray[Any]

ROOM: Final = 64 * 1024 * 1024
"""Bytes that wait in one feed at the most."""
READING: Final = 200
"""Bytes that a reading takes, beside those of its array."""
PIECE: Final = 256
"""Rows made into readings at a time."""


class Sink(Protocol):
    """Who is given what a monitor receives. All calls come on the thread that reads the circuit, in order."""

    def one(self, reading: Reading, size: int = 0) -> None:
        """A reading; *size*: the bytes of its array."""

    def rows(self, data_type: int, rows: Rows, shape: Shape) -> None:
        """Updates that came together: an array of ``run_dtype(data_type)`` that must not be written to."""

    def end(self, why: Exception | None) -> None:
        """There will be no more. *Engine thread.*"""


class Stretch:
    """Updates that came together, as they wait."""

    __slots__ = ("data_type", "rows", "shape")

    def __init__(self, data_type: int, rows: Rows, shape: Shape) -> None:
        self.data_type = data_type
        self.rows = rows
        self.shape = shape

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, count: int) -> list[Reading]:
        """The next readings, at most so many; the rest stays. *Who has taken the stretch out.*"""
        rows, self.rows = self.rows[:count], self.rows[count:]
        return self.shape.readings(self.data_type, rows)


class Feed:
    """A bounded queue of readings. What does not fit pushes the oldest out, and is counted.

    :param limit: how many may wait; None: as many as the bytes allow.
    """

    __slots__ = (
        "__weakref__",
        "_halved",
        "_items",
        "_limit",
        "_mark",
        "_pushed_out",
        "_room",
        "_since",
        "ended",
        "scheduled",
        "served_at",
        "why",
    )

    def __init__(self, limit: int | None = None, room: int | None = None) -> None:
        self._items: deque[Any] = deque()
        self._limit = limit
        self._room = ROOM if room is None else room
        self._mark = limit or self._room // READING
        """Items from which on it is looked whether too many wait."""
        self._since = 0
        """Bytes of arrays and rows that came since what waits was last weighed."""
        self._pushed_out = 0  # counted by the thread that reads the circuit
        self._halved = 0  # counted by the budget
        self.scheduled = False
        """Whoever takes has been told already."""
        self.served_at = time.monotonic()
        """When something was last taken: among those who exceed a common budget the one that waits longest gives."""
        self.ended = False
        self.why: Exception | None = None
        """Why there will be no more, if it was not asked for."""

    # -- the thread that reads the circuit -----------------------------------------------------------------------------

    def one(self, reading: Reading, size: int = 0) -> None:
        """Queue a reading; *size*: the bytes of its array."""
        items = self._items
        items.append(reading)
        if size or len(items) > self._mark:
            self._bound(size)
        if not self.scheduled:
            self.tell()

    def rows(self, data_type: int, rows: Rows, shape: Shape) -> None:
        """Queue updates that came together."""
        limit = self._limit
        if limit is None:
            self._items.append(Stretch(data_type, rows, shape))
            self._bound(rows.nbytes)
        else:
            if len(rows) > limit:
                self._pushed_out += len(rows) - limit
                rows = rows[-limit:]
            self._items.extend(shape.readings(data_type, rows))
            self._bound(0)
        if not self.scheduled:
            self.tell()

    def end(self, why: Exception | None) -> None:
        """There will be no more: what waits may still be taken."""
        self.why = why
        self.ended = True
        self.tell()

    def tell(self) -> None:
        """Something has come, and whoever takes has not been told."""

    def _bound(self, size: int) -> None:
        limit = self._limit
        if limit is not None:
            while len(self._items) > limit and (oldest := self._oldest()) is not None:
                self._pushed_out += _count(oldest)
        self._since += size
        if self._since > self._room >> 3 or (limit is None and len(self._items) > self._mark):
            self._weigh_again()

    def _weigh_again(self) -> None:
        self._since = 0
        room, weight = self._room, self.weigh(set())
        if weight > room:
            weight -= self._shrink(weight - room + (room >> 4))
        if self._limit is None:
            self._mark = len(self._items) + max(1, (room - weight) // READING)

    def _shrink(self, excess: int) -> int:
        """Push out what takes so many bytes, but never the newest; how many it were."""
        freed, items = 0, self._items
        while freed < excess and len(items) > 1 and (oldest := self._oldest()) is not None:
            freed += _weight(oldest)
            self._pushed_out += _count(oldest)
        return freed

    def _oldest(self) -> Any:
        """Take the oldest item out, to be dropped; None if whoever takes was quicker."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    # -- any thread ----------------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Updates that wait."""
        return sum(map(_count, tuple(self._items)))

    @property
    def dropped(self) -> int:
        """Updates that were never taken, because newer ones pushed them out."""
        return self._pushed_out + self._halved

    def weigh(self, seen: set[int]) -> int:
        """Bytes that wait; rows that several feeds share are counted by the first that finds them not *seen*."""
        weight = 0
        for item in tuple(self._items):
            if type(item) is Stretch:
                root = id(item.rows if item.rows.base is None else item.rows.base)
                if root in seen:
                    continue
                seen.add(root)
            weight += _weight(item)
        return weight

    def halve(self) -> int:
        """Drop the older half of what waits, but never the newest, and count it; how many bytes those were."""
        freed = 0
        for _ in range(len(self._items) // 2):
            oldest = self._oldest()
            freed += _weight(oldest)
            self._halved += _count(oldest)
        return freed

    def clear(self) -> None:
        """Forget what waits."""
        self._items.clear()


class Cut:
    """A sink that is given at most so many elements of each array."""

    __slots__ = ("_count", "_sink")

    def __init__(self, sink: Sink, count: int) -> None:
        self._sink = sink
        self._count = count

    @property
    def feed(self) -> Sink:
        """Where it ends up."""
        return self._sink

    def one(self, reading: Reading, size: int = 0) -> None:
        """A reading; *size*: the bytes of its array."""
        value = reading.value
        if isinstance(value, np.ndarray) and len(value) > self._count:
            value = value[: self._count].copy()  # or it would keep all of them
            value.flags.writeable = False
            reading, size = reading.with_value(value), value.nbytes
        self._sink.one(reading, size)

    def rows(self, data_type: int, rows: Rows, shape: Shape) -> None:
        """Updates that came together have one element each."""
        self._sink.rows(data_type, rows, shape)

    def end(self, why: Exception | None) -> None:
        """There will be no more."""
        self._sink.end(why)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)


def owned(rows: Rows) -> Rows:
    """Rows that may wait: copied unless they are most of the buffer that they would keep alive."""
    base: Any = rows.base
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    if base is None or 2 * rows.nbytes >= (base.nbytes if isinstance(base, (np.ndarray, memoryview)) else len(base)):
        return rows
    return np.frombuffer(rows.tobytes(), rows.dtype)  # four times as fast as a copy field by field


def _count(item: Any) -> int:
    """How many updates an item of the queue stands for."""
    if type(item) is Reading:
        return 1
    return len(item) if type(item) is Stretch else 0


def _weight(item: Any) -> int:
    if type(item) is Stretch:
        return item.rows.nbytes
    return READING + int(getattr(item.value, "nbytes", 0)) if type(item) is Reading else 0
