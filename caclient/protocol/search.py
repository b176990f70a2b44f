"""When each name is asked for, and with which others in one datagram.

A name is asked for at once, and as long as nobody answers again after about 0.04, 0.08, 0.16 s and so on, up to the
longest period; where answers take long, the first periods are longer. Jitter keeps the clients of a site from asking in
step. Names are packed into full datagrams: those added in a loop go out as soon as they fill one; a datagram that is
not full goes at once if nothing else is under way, else it waits `GATHER` seconds for company. Names that were asked
for together are due again together, but those that stay silent are dealt out anew once: perhaps a network swallows
datagrams of that size, or one of the names is what no server can bear.

An answer may be a lie: a name that is found is asked for on, though rarely, until it is removed as its channel is made.

A name passes through four queues, each with a budget of its own (budgets.py), so that none starves another:

    new      never asked, or asked afresh because its server went away: a window that grows with the answers
    young    asked a few times: it may be that a datagram was lost, so these retries are quick
    old      asked often, most likely dead; or found, but not made
    boosted  asked again because a beacon told of a new server; spread over seconds

So ten thousand dead names cost what the budgets of the last three allow, and a name that is added then is asked for at
once. What does not fit a budget waits its turn: periods stretch, no name is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, frexp
from random import Random
from typing import NamedTuple

from caclient.dbr.text import to_bytes
from caclient.errors import BadValueError
from caclient.protocol.budgets import FIRST_PERIOD, AnswerTime, Silence, TokenBucket, Window
from caclient.protocol.commands import MINOR_VERSION, SearchRequest
from caclient.protocol.header import SHORT
from caclient.protocol.queues import NOWHERE, Calendar, Queue, SearchName
from caclient.protocol.requests import DO_NOT_REPLY

JITTER = 0.25  # a period is shortened by up to this part
GATHER = 0.002
YOUNG = 5  # so many retries are quick: 1.3 s
SPREAD = 5.0  # seconds over which a boost is spread
BOOSTED_PERIOD = 5.0  # what a boosted name's period is not longer than at first
HESITATION = 2.0  # seconds after an answer in which the channel may be made before its name is asked for again
HESITATION_SLOT = 0.25  # names found within so many seconds are due again together
DEALT_AFTER = 3  # askings
COARSEST = 4.0  # seconds; the width of a calendar slot is at most this, and at most an eighth of the period
MAX_DATAGRAM = 1024  # what libca sends; larger ones are swallowed by some tunnels
HEADER_SIZE = 16
SWEEP_ABOVE = 1000
BOOST_AT_MOST = 1.0  # seconds between two boosts: after a power cut all servers come back at once
HURRY_AT_MOST = 1.0  # seconds between two times that the names of one host are hurried
JUST_NOW = 0.05  # seconds for which a name is not hurried again
CHUNK = 32  # boosted names that stay together: about a datagram

# the homes of names that are due; those of others are moments
_NEW, _YOUNG, _OLD, _BOOSTED = -2.0, -3.0, -4.0, -5.0


class Attempts(NamedTuple):
    """How often a name was asked for, and when first and last (None: not yet)."""

    asks: int
    first_asked_at: float | None
    last_asked_at: float | None


class SearchSchedule:
    """All names that wait for an answer. Not thread-safe: one thread, or one lock.

    :param max_period: the longest time between two askings of a name (EPICS_CA_MAX_SEARCH_PERIOD).
    :param random: where the jitter comes from.
    :param max_datagram: bytes, VERSION included.
    :param retry_rate: datagrams a second for old names; young and boosted ones have four and two times as much.
    """

    def __init__(
        self,
        max_period: float = 300.0,
        random: Random | None = None,
        max_datagram: int = MAX_DATAGRAM,
        retry_rate: float = 50.0,
    ) -> None:
        self._random = random or Random()
        self._room = room = max_datagram - HEADER_SIZE
        self._names: dict[int, SearchName] = {}
        self._calendar = Calendar()
        self._boosts = Calendar()
        self._answers = AnswerTime()
        self._silence = Silence(self._answers)
        self._window = Window()
        self._new = Queue(_NEW, self._window, room, GATHER, fair=True)
        self._young = Queue(_YOUNG, TokenBucket(4 * retry_rate, 16, self._silence), room, fair=True)
        self._old = Queue(_OLD, TokenBucket(retry_rate, 8), room)
        self._boosted = Queue(_BOOSTED, TokenBucket(2 * retry_rate, 8), room)
        self._queues = {queue.home: queue for queue in (self._new, self._young, self._old, self._boosted)}
        self._steps = _steps(max_period)
        self._boosted_level = sum(period <= BOOSTED_PERIOD for period, _ in self._steps) - 1
        self._boosted_at = float("-inf")
        self._hosts: dict[str, dict[int, None]] = {}  # names by the host that they were last served by
        self._hurried_at: dict[str, float] = {}  # hosts of these, when their names were last hurried
        self._left = 0  # names that left since the last sweep

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, cid: int) -> bool:
        return cid in self._names

    @property
    def window(self) -> int:
        """How many datagrams of new names may be under way at once."""
        return self._window.size

    @property
    def answer_time(self) -> float:
        """Seconds that answers take, smoothed; 0 if none has come yet."""
        return self._answers.smoothed

    def share(self, destinations: int) -> None:
        """Each datagram goes to so many destinations: the budgets are divided by that."""
        for queue in self._queues.values():
            queue.budget.share(destinations)

    def add(self, cid: int, name: str, now: float, delay: float = 0.0, host: str = "") -> None:
        """Ask for a name from now on (or after `delay` seconds); a cid that is already here starts afresh.

        `host` is the address by which a server of the name was last known.

        :raises BadValueError: if the name is empty, or no datagram can hold it.
        """
        message = search_message(name, cid, self._room)
        if cid in self._names:
            self.remove(cid)
        self._names[cid] = entry = SearchName(cid, name, message)
        if host or delay > 0.0:
            self.again(cid, now, delay, host)
        else:
            self._ask_afresh(entry, now)

    def asks_for(self, cid: int) -> bool:
        """Whether an answer is wanted: it is here, waits for no delay, and nobody has answered since it was asked."""
        entry = self._names.get(cid)
        return entry is not None and not entry.found

    def again(self, cid: int, now: float, delay: float = 0.0, host: str = "") -> None:
        """The answer has led nowhere: ask for the name as if it were new, `delay` seconds from now."""
        entry = self._names[cid]
        if host and host != entry.host:
            self._forget_host(entry)
            entry.host = host
            self._hosts.setdefault(host, {})[cid] = None
        self._evict(entry)
        entry.found = delay > 0.0  # what is answered before it is asked again is no news
        entry.level = 0
        if delay > 0.0:
            self._file([entry], now + delay, self._calendar)
        else:
            self._ask_afresh(entry, now)

    def remove(self, cid: int) -> bool:
        """Stop asking; True if the name was here."""
        entry = self._names.pop(cid, None)
        if entry is None:
            return False
        self._forget_host(entry)
        self._evict(entry)
        return True

    def found(self, cid: int, now: float) -> bool:
        """A server answered: ask again only if it leads nowhere for `HESITATION` seconds, and rarely then.

        True for the first answer since the name was asked for; False for another, during a delay, or if it is not here.
        """
        entry = self._names.get(cid)
        if entry is None or entry.found:
            return False
        entry.found = True
        self._note_answer(entry, now)
        self._window.answered(entry.number, entry.level > 1)
        self._evict(entry)
        entry.level = max(entry.level, self._boosted_level)
        moment = ceil((now + HESITATION) / HESITATION_SLOT) * HESITATION_SLOT
        entry.home = moment
        self._calendar.slot(moment).append(entry)
        return True

    def _note_answer(self, entry: SearchName, now: float) -> None:
        if entry.level > 1:
            self._silence.broken()
        elif entry.asks == 1 and entry.last_asked is not None:  # no doubt which asking was answered
            self._answers.took(now - entry.last_asked)

    def boost(self, now: float) -> None:
        """Ask again for all names that have long to wait, spread over seconds: a server has come up somewhere.

        Once in `BOOST_AT_MOST` seconds; others are ignored.
        """
        if now - self._boosted_at >= BOOST_AT_MOST:
            self._boosted_at = now
            self._silence.broken()
            self._boost_all(now)

    def restart(self, now: float) -> None:
        """Ask for all names as if they were new: nobody could have heard what was asked so far."""
        self._restart(self._names, now)

    def hurry(self, host: str, now: float) -> None:
        """A server has come up at `host`: ask at once for the names that it had, but for those asked for just now.

        At most once in `HURRY_AT_MOST` seconds, for anybody may forge what this is concluded from: what comes earlier
        is put off till then.
        """
        cids = self._hosts.get(host)
        if not cids:
            return
        wait = self._hurried_at.get(host, float("-inf")) + HURRY_AT_MOST - now
        if wait > HURRY_AT_MOST:  # it is put off already
            return
        self._silence.broken()
        self._hurried_at[host] = now + max(wait, 0.0)
        self._restart(cids, now, max(wait, 0.0))

    def _restart(self, cids: Iterable[int], now: float, delay: float = 0.0) -> None:
        for cid in tuple(cids):
            entry = self._names[cid]
            just_asked = entry.last_asked is not None and now - entry.last_asked <= JUST_NOW
            wait = max(delay, JUST_NOW) if just_asked else delay  # it may have been too early by a moment
            if entry.home != _NEW and not (wait and entry.home <= now + wait):
                self.again(cid, now, wait)

    def _forget_host(self, entry: SearchName) -> None:
        if entry.host:
            cids = self._hosts[entry.host]
            del cids[entry.cid]
            if not cids:
                del self._hosts[entry.host]
                self._hurried_at.pop(entry.host, None)
            entry.host = ""

    def due(self, now: float) -> list[list[SearchName]]:
        """What to ask for now: the names of each datagram. Counts as asked."""
        self._wake(now)
        datagrams = []
        for queue in self._queues.values():
            while batch := queue.take(now):
                if queue is self._new:
                    self._number(batch)
                self._refile(batch, now)
                datagrams.append(batch)
        return datagrams

    def next_due(self) -> float | None:
        """When `due()` is to be called (perhaps a moment ago); None: never. Any other call may change it."""
        if not self._names:
            return None
        moments = [queue.next_due() for queue in self._queues.values()]
        return min(*moments, self._calendar.next_due(), self._boosts.next_due())

    def attempts(self, cid: int) -> Attempts:
        """How often and when a name was asked for; not at all, if it is not here."""
        entry = self._names.get(cid)
        if entry is None:
            return Attempts(0, None, None)
        return Attempts(entry.asks, entry.first_asked, entry.last_asked)

    def _wake(self, now: float) -> None:
        for name in self._calendar.pop_due(now):
            self._queue_for(name.level).append(name, now)
        for name in self._boosts.pop_due(now):
            self._boosted.append(name, now)

    def _queue_for(self, level: int) -> Queue:
        if level == 0:
            return self._new
        return self._young if level <= YOUNG else self._old

    def _number(self, batch: list[SearchName]) -> None:
        number = self._window.number
        for name in batch:
            name.number = number

    def _refile(self, batch: list[SearchName], now: float) -> None:
        """Note that names were asked for, and when they are due again: one draw of jitter keeps them together."""
        steps, last, later = self._steps, len(self._steps) - 1, self._answers.doublings
        draw = 1.0 - JITTER * self._random.random()
        slots: dict[tuple[int, int], tuple[float, list[SearchName]]] = {}
        for number, name in enumerate(batch):
            name.asks += 1
            name.found = False
            dealt = number & 1 if name.asks == DEALT_AFTER else 0
            key = name.level, dealt
            if key not in slots:
                period, width = steps[min(name.level + later, last)]
                moment = (floor((now + draw * period) / width) - dealt) * width
                slots[key] = moment, self._calendar.slot(moment)
            name.home, slot = slots[key]
            slot.append(name)
            name.level = name.level + 1 if name.level < last else last
            name.last_asked = now
            if name.first_asked is None:
                name.first_asked = now

    def _file(self, batch: list[SearchName], moment: float, calendar: Calendar) -> None:
        slot = calendar.slot(moment)
        for name in batch:
            name.home = moment
        slot.extend(batch)

    def _boost_all(self, now: float) -> None:
        waiting = self._calendar.pop_after(now + SPREAD)
        for start in range(0, len(waiting), CHUNK):
            chunk = waiting[start : start + CHUNK]
            for name in chunk:
                name.level = min(name.level, self._boosted_level)
            self._file(chunk, now + SPREAD * self._random.random(), self._boosts)

    def _ask_afresh(self, entry: SearchName, now: float) -> None:
        self._window.land(now)  # whether anything is under way decides if the name waits for company
        self._new.append(entry, now)

    def _evict(self, entry: SearchName) -> None:
        queue = self._queues.get(entry.home)
        if queue is not None:
            queue.forget(entry)
        entry.home = NOWHERE
        self._left += 1  # mentions that may be left behind
        if self._left > SWEEP_ABOVE + len(self._names):
            self._sweep()

    def _sweep(self) -> None:
        self._left = 0
        self._calendar.sweep()
        self._boosts.sweep()
        for queue in self._queues.values():
            queue.sweep()


def message_size(name: str, room: int = MAX_DATAGRAM - HEADER_SIZE) -> int:
    """Bytes of the SEARCH message for a name: header, name, at least one NUL, padding.

    :raises BadValueError: if the name is empty, or no datagram can hold it.
    """
    if name.isascii() and 0 < len(name) < room - HEADER_SIZE - 8 and name[0] != "\0":
        return HEADER_SIZE + (len(name) + 8 & ~7)
    return len(search_message(name, 0, room))


def search_message(name: str, cid: int, room: int = MAX_DATAGRAM - HEADER_SIZE) -> bytes:
    """The SEARCH message for a name as it goes over the wire: header, name, at least one NUL, padding.

    :raises BadValueError: if the name is empty, or no datagram can hold it.
    """
    raw = to_bytes(name)
    size = len(raw) + 8 & ~7
    if not raw or raw[0] == 0:
        raise BadValueError("an empty name cannot be searched for")
    if HEADER_SIZE + size > room:
        raise BadValueError(f"name of {len(name)} characters does not fit a search datagram: {name[:40]!r}...")
    return SHORT.pack(SearchRequest.ID, size, DO_NOT_REPLY, MINOR_VERSION, cid, cid) + raw.ljust(size, b"\0")


def _steps(max_period: float) -> list[tuple[float, float]]:
    """Periods, each twice the one before, up to the longest; and the width of the slots for each."""
    periods = [min(FIRST_PERIOD, max_period)]
    while periods[-1] < max_period:
        periods.append(min(2 * periods[-1], max_period))
    return [(period, min(2.0 ** (frexp(period / 8)[1] - 1), COARSEST)) for period in periods]
