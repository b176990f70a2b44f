"""Where the names of a search schedule lie: a calendar while they wait for their moment, a queue once it has come.

A name knows where it lies (`home`), so taking it out is only to forget it. What it leaves behind, a mention in a
list that is not its home any more, is skipped when met, and swept when such mentions may outweigh the living.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf

from caclient.protocol.budgets import Budget

NOWHERE = -1.0  # the home of a name that was found or removed, or is just being sent


class SearchName:
    """One name that is searched for."""

    __slots__ = (
        "asks",
        "cid",
        "first_asked",
        "found",
        "home",
        "host",
        "last_asked",
        "level",
        "message",
        "name",
        "number",
        "size",
    )

    def __init__(self, cid: int, name: str, message: bytes) -> None:
        self.cid = cid
        self.name = name
        self.message = message  # that asks for it
        self.size = len(message)
        self.home = NOWHERE  # the moment of a calendar's slot, or the (negative) home of a queue
        self.level = 0  # which period follows the next asking
        self.host = ""  # where it was last served
        self.asks = 0
        self.found = False  # somebody has answered since it was last asked for
        self.number = 0  # of the datagram that it was last new in
        self.first_asked: float | None = None
        self.last_asked: float | None = None


class Calendar:
    """Names by the moment at which they are due: slots of names that are due together, and a heap of slots."""

    def __init__(self) -> None:
        self._slots: dict[float, list[SearchName]] = {}
        self._heap: list[float] = []

    def slot(self, moment: float) -> list[SearchName]:
        """The list of those due at `moment`; who appends a name makes the moment its home."""
        found = self._slots.get(moment)
        if found is None:
            found = self._slots[moment] = []
            heappush(self._heap, moment)
        return found

    def next_due(self) -> float:
        """When the next slot is due (infinity: there is none)."""
        return self._heap[0] if self._heap else inf

    def pop_due(self, now: float) -> Iterator[SearchName]:
        """Take out, one by one, those that are due; each is to be given a new home before the next is taken."""
        while self._heap and self._heap[0] <= now:
            moment = heappop(self._heap)
            for name in self._slots.pop(moment):
                if name.home == moment:
                    yield name

    def pop_after(self, moment: float) -> list[SearchName]:
        """Take out those that are due later than `moment`."""
        late = [name for slot in self._heap if slot > moment for name in self._pop_living(slot)]
        self._heap = [slot for slot in self._heap if slot <= moment]
        heapify(self._heap)
        return late

    def sweep(self) -> None:
        """Drop the stale mentions."""
        self._slots = {slot: living for slot in self._heap if (living := self._pop_living(slot))}
        self._heap = sorted(self._slots)

    def _pop_living(self, slot: float) -> list[SearchName]:
        # once each: a name that left a slot and came back is mentioned twice
        return list(dict.fromkeys(name for name in self._slots.pop(slot) if name.home == slot))


class Queue:
    """Names that are due, in the order in which they became so, and the budget that they are paid from.

    :param home: a negative number of its own.
    :param room: bytes of SEARCH messages in a datagram.
    :param gather: seconds that a datagram which is not full waits for company, while others are under way.
    :param fair: while more waits than fits a datagram, every other one takes the latest first, so that a backlog does
        not keep a newcomer waiting.
    """

    def __init__(self, home: float, budget: Budget, room: int, gather: float = 0.0, fair: bool = False) -> None:
        self.home = home
        self.budget = budget
        self.load = 0  # bytes of the SEARCH messages that wait
        self._room = room
        self._gather = gather
        self._fair = fair
        self._latest_first = False
        self._since = 0.0
        self._names: deque[SearchName] = deque()

    def __len__(self) -> int:
        return len(self._names)

    def append(self, name: SearchName, now: float) -> None:
        """Let a name wait here."""
        if not self.load:
            self._since = now
            self._names.clear()
        self.load += name.size
        name.home = self.home
        self._names.append(name)

    def forget(self, name: SearchName) -> None:
        """A name that waited here does so no more."""
        self.load -= name.size
        name.home = NOWHERE

    def next_due(self) -> float:
        """When there is something to send (infinity: nothing waits)."""
        if not self.load:
            return inf
        return max(self._gathered_at(), self.budget.next_due())

    def take(self, now: float) -> list[SearchName]:
        """The names for one datagram; none if it is not the time."""
        if not self.load or now < self._gathered_at() or not self.budget.take(now):
            return []
        latest_first = self._latest_first and self.load > self._room
        self._latest_first = self._fair and not self._latest_first
        self._since = now
        return self._pack(-1 if latest_first else 0)

    def sweep(self) -> None:
        """Drop the stale mentions."""
        self._names = deque(dict.fromkeys(name for name in self._names if name.home == self.home))

    def _gathered_at(self) -> float:
        return self._since if self.load > self._room or self.budget.idle else self._since + self._gather

    def _pack(self, end: int) -> list[SearchName]:
        room, names, packed = self._room, self._names, []
        drop = names.pop if end else names.popleft
        while names:
            name = names[end]
            if name.home == self.home:
                if name.size > room:
                    break
                room -= name.size
                self.forget(name)
                packed.append(name)
            drop()
        return packed
