"""Who has the PV: searches by UDP and through name servers, and the beacons that say when to ask again.

When to ask for whom is the schedule's business (``protocol.search``); here are the socket, the destinations and the
clock. All methods run on the engine thread unless they say otherwise.
"""

from __future__ import annotations

import logging
import math
import random
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from caclient.config import Config
from caclient.engine.log import Log
from caclient.engine.lookups import Lookups
from caclient.engine.loop import Loop, Timer
from caclient.engine.poller import READ
from caclient.engine.sockets import Address, bcast_socket, is_numeric, search_addresses
from caclient.errors import RemoteProtocolError
from caclient.protocol.beacons import BeaconWatch, Verdict
from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.command import CLIENT, NOBODY, Command
from caclient.protocol.commands import Beacon, RepeaterConfirmResponse, SearchResponse
from caclient.protocol.queues import SearchName
from caclient.protocol.responses import THE_SENDER, address_text
from caclient.protocol.search import SearchSchedule

_log = logging.getLogger("caclient.search")

_DATAGRAMS: Final = 256
"""Datagrams read in one turn, so that a flood of them cannot keep the circuits waiting."""
_REFRESH: Final = 10.0
"""Seconds after which interfaces and unknown hosts are looked up again, while any name is unanswered."""
_REOPEN: Final = (0.2, 10.0)
"""Seconds before a socket that could not be had is tried for again: at first, and at the most."""

Found = Callable[[int, Address, bool], None]
"""Called with the cid, the server's address, and whether it is the first answer since the name was asked for."""
Told = Callable[[Address, Verdict], None]


class Searches:
    """The UDP socket, its destinations, and every name that nobody has answered for yet."""

    def __init__(self, loop: Loop, log: Log, config: Config, found: Found, beacon: Told) -> None:
        self.schedule = SearchSchedule(max_period=config.max_search_period, random=random.Random())
        self.destinations: list[Address] = []
        self.failures: dict[Address, str] = {}
        self.datagrams_sent = 0
        self.datagrams_received = 0
        self.rubbish = 0
        self.sock: socket.socket | None = None
        self.on_confirm: Callable[[Address], None] = lambda source: None
        self.broadcast_also: list[Callable[[list[SearchName]], None]] = []
        self.beacons = BeaconWatch(time.monotonic())
        self.lookups = Lookups(loop)
        self._loop = loop
        self._log = log
        self._config = config
        self._found = found
        self._beacon = beacon
        self._core = Broadcaster(our_role=CLIENT)
        self._resolved: dict[Address, Address] = {}
        self._resolving: set[Address] = set()
        self._complained: set[Address] = set()
        self._timer: Timer | None = None
        self._ticking = False
        self._listed_at = -1.0
        self._refresh = math.inf
        self._closed = False
        self._deaf = ""  # why there is no socket
        self._reopen = _REOPEN[0]
        self._handlers: dict[type[Command], Callable[[Any, Address, float], None]] = {
            SearchResponse: self._search_response,
            Beacon: self._beacon_came,
            RepeaterConfirmResponse: self._confirmed,
        }

    def start(self) -> None:
        """Look up the destinations and open the socket; if there is none to be had, it is tried for again."""
        self._list_destinations(time.monotonic())
        self._open()

    def _open(self) -> None:
        if self._closed:
            return
        try:
            sock = bcast_socket(self._config.mcast_ttl)
            sock.setblocking(False)
            self._loop.poller.add(sock.fileno(), READ, self._readable)
        except OSError as error:
            if not self._deaf:
                self._log.push(_log_deaf, error)
            self._deaf = _reason(error)
            self._loop.call_at(time.monotonic() + self._reopen, self._open)
            self._reopen = min(2 * self._reopen, _REOPEN[1])
            return
        self.sock = sock
        if self._deaf:
            self._deaf = ""
            self._log.push(_log_open, None)
            self.schedule.restart(time.monotonic())
        self._tick()

    def stop(self) -> None:
        """Close the socket and forget the names."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self.sock is not None:
            self._loop.poller.remove(self.sock.fileno())
            self.sock.close()
            self.sock = None

    def abandon(self) -> None:
        """In a forked child: close the descriptor, which the parent goes on using. *The only thread.*"""
        if self.sock is not None:
            self.sock.close()

    def add(self, cid: int, name: str, delay: float = 0.0, host: str = "") -> None:
        """Ask for a name until ``remove``: now (or after *delay* seconds) and again, rarely once somebody answers.

        *host* is the address that it was last served by: when that is heard again the name is asked for at once.
        """
        now = time.monotonic()
        if cid not in self.schedule:
            self.schedule.add(cid, name, now, delay, host)
        elif delay or not self.schedule.asks_for(cid):
            self.schedule.again(cid, now, delay, host)
        if not self._ticking:
            self._ticking = True
            self._loop.call_soon(self._tick)

    def remove(self, cid: int) -> None:
        """Ask for it no more: its channel is made, or nobody wants it."""
        self.schedule.remove(cid)

    def boost(self) -> None:
        """Something came up somewhere: ask for every name again, soon."""
        self.schedule.boost(time.monotonic())
        self._rearm()

    def answered(self, response: SearchResponse, source: Address) -> None:
        """An answer came, by a datagram or on the circuit to *source*."""
        cid = response.cid
        fresh = self.schedule.found(cid, time.monotonic())
        self._found(cid, (source[0] if response.ip == THE_SENDER else response.ip, response.port), fresh)

    def describe(self, cid: int, others: Sequence[str] = ()) -> str:
        """How often a name was asked for, where (*others* too), and with what result; empty if it is not now.

        *Any thread.*
        """
        if cid not in self.schedule:
            return ""
        count, first, _last = self.schedule.attempts(cid)
        asked = [*others, *map(self._destination_text, self.destinations)]
        where = ", ".join(asked[:5]) or "nowhere: no address to search"
        more = f" and {len(asked) - 5} more" if len(asked) > 5 else ""
        since = "" if first is None else f" in {time.monotonic() - first:.1f} s"
        return f"{count} searches sent{since} to {where}{more}, no reply"

    @property
    def listed(self) -> bool:
        """Whether the destinations have been looked up. *Any thread.*"""
        return self._listed_at >= 0

    @property
    def deaf(self) -> str:
        """Why there is no socket; "" if there is one. *Any thread.*"""
        return self._deaf

    def failure(self, destination: Address) -> str:
        """Why nothing could be sent there last; "" if it could. *Any thread.*"""
        return self._deaf or self.failures.get(destination, "")

    def _destination_text(self, destination: Address) -> str:
        host, port = destination
        failure = self._deaf or self.failures.get(destination)
        return f"{host}:{port} ({failure})" if failure else f"{host}:{port}"

    # -- sending -------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticking = False
        if self._closed:
            return
        now = time.monotonic()
        if now >= self._listed_at + self._refresh:
            self._list_destinations(now)
        for batch in self.schedule.due(now):
            self._ask(batch)
        self._rearm()

    def _rearm(self) -> None:
        """Have the schedule looked at when it is due; a timer that comes earlier than that does no harm."""
        due = self.schedule.next_due()
        if due is None or self._closed:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            return
        due = min(due, self._listed_at + self._refresh)
        if self._timer is None or self._timer.call is None or due < self._timer.due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._timer_came)

    def _timer_came(self) -> None:
        self._timer = None
        self._tick()

    def _ask(self, names: list[SearchName]) -> None:
        datagram = self._core.search_ready([name.message for name in names])
        for destination in self.destinations:
            self.send(datagram, destination)
        for ask in self.broadcast_also:
            ask(names)

    def send(self, datagram: bytes, destination: Address) -> None:
        """Send one datagram; a failure is remembered, logged once for each destination, and not final."""
        if self.sock is None:
            return  # which has been said; it is tried for
        try:
            self.sock.sendto(datagram, destination)
            self.datagrams_sent += 1
            if self.failures:
                self.failures.pop(destination, None)
        except BlockingIOError:
            pass  # the kernel's buffer is full: as good as lost on the way, and asked again like any lost one
        except OSError as error:
            if destination not in self._complained:
                self._complained.add(destination)
                self._log.push(_log_failure, (destination, error), f"searching {destination[0]}:{destination[1]}")
            self.failures[destination] = _reason(error)

    # -- destinations --------------------------------------------------------------------------------------------------

    def _list_destinations(self, now: float) -> None:
        first, self._listed_at = self._listed_at < 0, now
        wanted = search_addresses(self._config)
        resolved = [self._resolved.get(address, address) for address in wanted]
        before = self.destinations
        self.destinations = [address for address in dict.fromkeys(resolved) if is_numeric(address[0])]
        names = {address for address in wanted if not is_numeric(address[0]) and address not in self._resolved}
        for named in names - self._resolving:
            self.lookups.ask(named[0], partial(self._add_destination, named))
        self._resolving |= names
        if not first:
            self.failures = {address: why for address, why in self.failures.items() if address in self.destinations}
        self.schedule.share(len(self.destinations))
        self._refresh = _REFRESH if self._config.auto_addr_list or names else math.inf
        if not first and not set(before).issuperset(self.destinations):
            self.boost()

    def _add_destination(self, named: Address, ip: str | None) -> None:
        self._resolving.discard(named)
        if self._closed:
            return
        if ip is None:
            if named not in self._complained:
                self._complained.add(named)
                self._log.push(_log_unresolved, named[0], f"host {named[0]}")
            return
        address = self._resolved[named] = (ip, named[1])
        if address not in self.destinations:
            self.destinations.append(address)
            self.schedule.share(len(self.destinations))
            self.boost()

    # -- receiving -----------------------------------------------------------------------------------------------------

    def _readable(self, _bits: int) -> None:
        for _ in range(_DATAGRAMS):
            if self.sock is None:
                return
            try:
                datagram, source = self.sock.recvfrom(65536)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error about an earlier datagram
            self.received(datagram, source)
        self._rearm()

    def received(self, datagram: bytes, source: Address) -> None:
        """What a datagram says; what cannot be understood is counted and ends its datagram only."""
        self.datagrams_received += 1
        now = time.monotonic()
        rows = self._core.answers(datagram)
        if rows is not None:
            self._answered(rows, source, now)
            return
        try:
            commands = self._core.receive(datagram, source)
        except RemoteProtocolError:
            self.rubbish += 1
            return
        for command in commands:
            handler = self._handlers.get(type(command))
            if handler is not None:
                handler(command, source, now)

    def _answered(self, rows: list[tuple[int, int, int, int, int, int]], source: Address, now: float) -> None:
        """What most datagrams are: replies of one server to many searches."""
        found_by_schedule, found = self.schedule.found, self._found
        known: tuple[int, int] | None = None
        address = source
        for _, _, port, _, number, cid in rows:
            if (port, number) != known:
                known = port, number
                address = (source[0] if number == NOBODY else address_text(number), port)
            found(cid, address, found_by_schedule(cid, now))

    def _search_response(self, response: SearchResponse, source: Address, _now: float) -> None:
        self.answered(response, source)

    def _confirmed(self, _response: RepeaterConfirmResponse, source: Address, _now: float) -> None:
        self.on_confirm(source)

    def _beacon_came(self, beacon: Beacon, source: Address, now: float) -> None:
        ip = source[0] if beacon.address == "0.0.0.0" else beacon.address
        address = (ip, beacon.server_port or self._config.server_port)
        verdict = self.beacons.heard(address, beacon.beacon_id, now, beacon.version)
        if verdict.boosts:
            self.boost()
        if verdict.boosts or verdict is Verdict.FIRST:
            self.schedule.hurry(ip, now)
            self._rearm()
        self._beacon(address, verdict)


def _log_unresolved(host: str) -> None:
    _log.warning("EPICS_CA_ADDR_LIST: host %s cannot be resolved; it is not searched until it can be", host)


def _log_failure(what: tuple[Address, OSError]) -> None:
    (host, port), error = what
    _log.warning("searching %s:%d failed: %s; it is tried again with each search", host, port, error)


def _log_deaf(error: OSError) -> None:
    _log.error("no PV can be searched by UDP: there is no socket to be had: %s; it is tried for again and again", error)


def _log_open(_: None) -> None:
    _log.warning("PVs are searched by UDP: there is a socket now")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
