"""Names: the channel of each (name, priority), who uses it, and who was found to serve it.

Nothing here is locked, for a finalizer may make, use and close PVs at any moment, also in the middle of this code. A
thread that wants a channel takes it from the table, or puts a new one there (one step in C), and files its arrival; a
thread that is done files that. Only the engine thread counts, and takes out of the table what nobody uses; it looks
for arrivals once more after it has, and who arrived at a channel that is not in the table any more tries again. So a
channel is closed only if everybody knows.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from caclient.client.channel import Channel
from caclient.client.facts import NO_SURROUNDINGS, Surroundings
from caclient.client.fields import Fields
from caclient.client.standing import Standing, State
from caclient.engine.pool import Pool
from caclient.engine.runtime import Runtime
from caclient.engine.searches import Searches
from caclient.engine.sockets import Address, local_addresses
from caclient.errors import BadValueError, WrongTypeError
from caclient.protocol.search import message_size
from caclient.settings import shown

log = logging.getLogger("caclient")

_DUPLICATES: Final = 10_000
"""Names whose second server is remembered at the most; also pairs of servers."""
_TOGETHER: Final = 0.05
"""Seconds for which what is the same for all names is not looked at again."""
_INTERFACES: Final = 30.0
"""Seconds for which the addresses of this machine are known."""


_ODD: Final = re.compile(r"^[^{]*\s|[\x00-\x1f\x7f]")
"""What is in no name; a blank may be in a filter, which begins with a brace."""


class User(Protocol):
    """Who uses a channel: a PV."""

    _channel: Channel
    _closed: bool


class _Resident:
    """A user that never leaves."""

    __slots__ = ("_channel", "_closed")

    _channel: Channel
    _closed: bool


class Names:
    """All channels of a home; what they ask of the search (``channel.Finder``) is answered here."""

    searches: Searches

    def __init__(self, runtime: Runtime, pool: Pool, surroundings: Callable[[], Surroundings]) -> None:
        self.duplicates: dict[str, tuple[Address, Address]] = {}
        """Names with two servers: the one that is used, and the first of the others."""
        self._runtime = runtime
        self._pool = pool
        self._surroundings = surroundings
        self._known = float("-inf"), NO_SURROUNDINGS
        self._cids = itertools.count(1)
        self._table: dict[tuple[str, int], Channel] = {}
        self._by_cid: dict[int, Channel] = {}
        self._arrived: deque[Channel] = deque()
        self._left: deque[Channel] = deque()
        self._fields = Fields(runtime, self)
        self._told = False
        self._local: set[str] = set()
        self._local_until = float("-inf")
        self._pairs: set[frozenset[Address]] = set()

    def __len__(self) -> int:
        return len(self._table)

    def all(self) -> list[Channel]:
        """The channels there are. *Any thread.*"""
        return list(self._table.values())

    # -- who uses what: any thread -------------------------------------------------------------------------------------

    def join(self, user: User, name: str, priority: int, odd: bool = False) -> None:
        """Give *user* its channel: ``_channel`` is set, and ``_closed`` to false once there is something to give back.

        Ctrl-C may strike anywhere in here: the user has either not arrived, or is not closed and so will leave.

        :param odd: whatever a search can hold is a name.
        """
        check_name(name, priority, odd)
        key = name, priority
        self._runtime.wake()
        try:
            while not self._board(user, key):
                pass  # the engine thread had just closed the channel
            if not self._told:
                self._told = True
                self._tell()
        except BaseException:
            self._runtime.loop.call_soon(self._check, key)  # nobody else may know of it
            raise

    def stay(self, name: str, priority: int = 0) -> Channel:
        """The channel of a name, used until the home closes."""
        resident = _Resident()
        self.join(resident, name, priority)
        return resident._channel

    def _board(self, user: User, key: tuple[str, int]) -> bool:
        """Whether the channel is one that lasts."""
        runtime = self._runtime
        channel = self._table.get(key)
        if channel is None:
            new = Channel(runtime, self._pool, self, *key, next(self._cids))
            channel = self._table.setdefault(key, new)
        user._channel = channel
        try:
            self._arrived.append(channel)
        finally:
            user._closed = False
        if not runtime.closed and self._table.get(key) is channel:
            return True
        try:
            self._left.append(channel)
        finally:
            user._closed = True
        if runtime.closed:
            raise runtime.closed_error(key[0])
        return False

    def _tell(self) -> None:
        self._runtime.loop.call_soon(self._count)

    def leave(self, channel: Channel) -> None:
        """A user has gone. Takes no lock: finalizers call it."""
        self._left.append(channel)
        self._runtime.loop.call_soon(self._count)

    # -- counting: engine thread ---------------------------------------------------------------------------------------

    def _count(self) -> None:
        """Who has come and gone since, which may be thousands."""
        self._told = False
        self._welcome()
        left = self._left
        while left:
            channel = left.popleft()
            channel.users -= 1
            if channel.users <= 0:
                self._unused(channel)

    def _welcome(self) -> None:
        arrived = self._arrived
        while arrived:
            channel = arrived.popleft()
            channel.users += 1
            if channel.cid not in self._by_cid and channel.state is State.SEARCHING:
                self._by_cid[channel.cid] = channel
                channel.search()

    def _unused(self, channel: Channel) -> None:
        key = channel.name, channel.priority
        if self._table.get(key) is channel:
            del self._table[key]
        self._welcome()  # who comes from now on sees that it is not there any more
        if channel.users > 0:
            self._table.setdefault(key, channel)  # or else it has a double for as long as it is used
        elif self._by_cid.pop(channel.cid, None) is not None:
            channel.close()

    def _check(self, key: tuple[str, int]) -> None:
        """Somebody was interrupted while he came: his channel may have no user at all."""
        self._count()
        channel = self._table.get(key)
        if channel is not None and channel.users <= 0:
            self._unused(channel)

    def search_all(self) -> None:
        """In a forked child: search for what the parent had. *Engine thread.*"""
        self._count()
        for channel in self.all():
            channel.search()

    def abandon(self) -> None:
        """The home closes: whoever waits for a channel is told. *Engine thread.*"""
        for channel in {*self._by_cid.values(), *self._table.values()}:
            channel.close("the context was closed", clear=False)

    # -- what channels ask (``Finder``) --------------------------------------------------------------------------------

    def seek(self, channel: Standing, delay: float = 0.0) -> None:
        """Search its name until ``settle``, from now (or *delay* seconds later) on, and tell it what was ``found``.

        *Engine thread.*
        """
        if "." in channel.name:
            self._fields.watch(channel.cid, channel.name)
        self.searches.add(channel.cid, channel.name, delay, "" if channel.address is None else channel.address[0])

    def settle(self, channel: Standing) -> None:
        """Search its name no more; one that is not searched is no error. *Engine thread.*"""
        self.searches.remove(channel.cid)
        if "." in channel.name:
            self._fields.forget(channel.cid)

    def attempts(self, channel: Standing) -> tuple[int, float | None]:
        """How often its name was searched, and since when. *Any thread.*"""
        count, first, _last = self.searches.schedule.attempts(channel.cid)
        return count, first

    def record_at(self, channel: Standing) -> Address | None:
        """Who has the record of a name whose field nobody has. *Any thread.*"""
        return self._fields.record_at(channel.cid)

    def second(self, channel: Standing) -> Address | None:
        """Another server that has the name. *Any thread.*"""
        found = self.duplicates.get(channel.name)
        return None if found is None else found[1]

    def surroundings(self) -> Surroundings:
        """What is the same for all names now; one object for all who ask at about the same time. *Any thread.*"""
        at, known = self._known
        now = time.monotonic()
        if now - at > _TOGETHER:
            known = self._surroundings()
            self._known = now, known
        return known

    # -- what the network says: engine thread --------------------------------------------------------------------------

    def found(self, cid: int, address: Address, fresh: bool) -> None:
        """A server has answered for a name; *fresh*: the first since it was asked for."""
        channel = self._by_cid.get(cid)
        if channel is not None:
            channel.found(address, fresh)
        else:
            self._fields.found(cid, address)

    def duplicate(self, channel: Standing, other: Address) -> None:
        """A second server answered for a name: remember it, and warn once for these two servers."""
        first = channel.address
        if first is None or channel.name in self.duplicates or len(self.duplicates) >= _DUPLICATES:
            return
        if self._same_server(first, other) or self.searches.beacons.in_step(first, other):
            return
        self.duplicates[channel.name] = (first, other)
        pair = frozenset((first, other))
        if pair not in self._pairs:
            self._pairs.add(pair)
            self._runtime.log.push(_log_duplicate, (channel.name, first, other))

    def _same_server(self, one: Address, other: Address) -> bool:
        """Whether two addresses are known to be one IOC: the same port of this machine."""
        return one[1] == other[1] and self._is_here(one) and self._is_here(other)

    def _is_here(self, address: Address) -> bool:
        return address[0].startswith("127.") or address[0] in self._local_addresses()

    def _local_addresses(self) -> set[str]:
        """Those of this machine, as they were a moment ago: with a gateway, thousands of answers ask for them."""
        now = time.monotonic()
        if now >= self._local_until:
            self._local, self._local_until = local_addresses(), now + _INTERFACES
        return self._local

    # -- fork ----------------------------------------------------------------------------------------------------------

    def forget_circuits(self) -> None:
        """In a forked child: the circuits are the parent's, and so are the callbacks. *The only thread.*"""
        self._told = False
        self._fields = Fields(self._runtime, self)
        for channel in {*self._by_cid.values(), *self._table.values()}:
            channel.orphan()


def check_name(name: object, priority: object, odd: bool = False) -> None:
    """Refuse what can be no name or priority.

    :param odd: take what no record is called, too, as long as a search can hold it.

    :raises BadValueError: saying why.
    """
    if not isinstance(name, str):
        raise WrongTypeError(
            f"{shown(name)} is no PV name: give text; for many names use connect_all() or caget_many()"
        )
    if not name.strip():
        raise BadValueError(f"{name!r} is no PV name: it is empty")
    if "://" in name and not odd:
        scheme, _, rest = name.partition("://")
        other = "PV Access is not spoken here" if scheme.lower() == "pva" else "names have no scheme"
        raise BadValueError(f"{shown(name)} is no PV name: {other}: give {rest!r}")
    if _ODD.search(name) and not odd:
        raise BadValueError(
            f"{shown(name)} is no PV name: there is a blank or a control character in it; "
            "for many PVs give a list of names, to caget_many() or connect_all()"
        )
    message_size(name)  # the engine thread could only log that it does not fit
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 99:
        raise BadValueError(f"'{name}': priority={priority!r}: give a number from 0 to 99", pvname=name)


def _log_duplicate(what: tuple[str, Address, Address]) -> None:
    name, (host, port), (other_host, other_port) = what
    log.warning("'%s' is served twice: using %s:%d, ignoring %s:%d", name, host, port, other_host, other_port)
