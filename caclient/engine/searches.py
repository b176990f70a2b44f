"""Who has the PV: searches by UDP and through name servers, and the beacons that say when to ask again.

When to ask for whom is the schedule's business (``protocol.search``); here are the socket, the destinations and the
clock. All methods run on the engine thread unless they say otherwise.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from caclient.config import Config
from caclient.engine.lanes import Lane
from caclient.engine.loop import Loop, Timer
from caclient.engine.poller import READ
from caclient.engine.sockets import Address, bcast_socket, is_numeric, resolve, search_addresses
from caclient.errors import RemoteProtocolError
from caclient.protocol.beacons import BeaconWatch, Verdict
from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.command import CLIENT, Command
from caclient.protocol.commands import Beacon, RepeaterConfirmResponse, SearchRequest, SearchResponse, VersionRequest
from caclient.protocol.responses import THE_SENDER
from caclient.protocol.search import SearchSchedule

_log = logging.getLogger("caclient.search")

MINOR: Final = 13
_DATAGRAMS: Final = 256
"""Datagrams read in one turn, so that a flood of them cannot keep the circuits waiting."""
_REFRESH: Final = 10.0
"""Seconds after which interfaces and unknown hosts are looked up again, while any name is unanswered."""
_JUST_NOW: Final = 0.05
"""Seconds for which a name is not hurried again."""
_BOOST_AT_MOST: Final = 1.0
"""Seconds between two boosts: after a power cut all IOCs come back at once."""

Found = Callable[[int, Address, bool], None]
"""Called with the cid, the server's address, and whether it is the first answer since the name was asked for."""
Told = Callable[[Address, Verdict], None]


class Searches:
    """The UDP socket, its destinations, and every name that nobody has answered for yet."""

    def __init__(self, loop: Loop, log: Lane, config: Config, found: Found, beacon: Told) -> None:
        self.schedule = SearchSchedule(max_period=config.max_search_period, random=random.Random())
        self.destinations: list[Address] = []
        self.failures: dict[Address, str] = {}
        self.datagrams_sent = 0
        self.datagrams_received = 0
        self.rubbish = 0
        self.sock: socket.socket | None = None
        self.on_confirm: Callable[[], None] = lambda: None
        self.broadcast_also: list[Callable[[list[SearchRequest]], None]] = []
        self.beacons = BeaconWatch(time.monotonic())
        self._loop = loop
        self._log = log
        self._config = config
        self._found = found
        self._beacon = beacon
        self._core = Broadcaster(our_role=CLIENT)
        self._resolved: dict[Address, Address] = {}
        self._resolving: set[Address] = set()
        self._complained: set[Address] = set()
        self._sequence = itertools.count(1)
        self._timer: Timer | None = None
        self._ticking = False
        self._listed_at = -1.0
        self._refresh = math.inf
        self._boosted_at = float("-inf")
        self._handlers: dict[type[Command], Callable[[Any, Address, float], None]] = {
            SearchResponse: self._search_response,
            Beacon: self._beacon_came,
            RepeaterConfirmResponse: self._confirmed,
        }

    def start(self) -> None:
        """Open the socket and look up the destinations."""
        self.sock = bcast_socket(self._config.mcast_ttl)
        self.sock.setblocking(False)
        self._loop.poller.add(self.sock.fileno(), READ, self._readable)
        self._list_destinations(time.monotonic())

    def stop(self) -> None:
        """Close the socket and forget the names."""
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

    def add(self, cid: int, name: str, delay: float = 0.0) -> None:
        """Ask for a name until ``remove``: now (or after *delay* seconds) and again, rarely once somebody answers."""
        now = time.monotonic()
        if cid not in self.schedule:
            self.schedule.add(cid, name, now, delay)
        elif delay or not self.schedule.asks_for(cid):
            self.schedule.again(cid, now, delay)
        if not self._ticking:
            self._ticking = True
            self._loop.call_soon(self._tick)

    def remove(self, cid: int) -> None:
        """Ask for it no more: its channel is made, or nobody wants it."""
        self.schedule.remove(cid)

    def boost(self) -> None:
        """Something came up somewhere: ask for every name again, soon."""
        now = time.monotonic()
        if now - self._boosted_at >= _BOOST_AT_MOST:
            self._boosted_at = now
            self.schedule.boost(now)
            self._rearm()

    def hurry(self, cids: Iterable[int]) -> None:
        """The host that had these names is up again: ask at once for those that were not asked for just now."""
        now = time.monotonic()
        asked = ((cid, self.schedule.attempts(cid).last_asked_at) for cid in cids if cid in self.schedule)
        self.schedule.boost(now, [cid for cid, last in asked if last is not None and now - last > _JUST_NOW])
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
        asked = [*others, *(f"{host}:{port}" for host, port in self.destinations)]
        where = ", ".join(asked[:5]) or "nowhere: no address to search"
        more = f" and {len(asked) - 5} more" if len(asked) > 5 else ""
        since = "" if first is None else f" in {time.monotonic() - first:.1f} s"
        return f"{count} searches sent{since} to {where}{more}, no reply"

    # -- sending -------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticking = False
        if self.sock is None:
            return
        now = time.monotonic()
        if now >= self._listed_at + self._refresh:
            self._list_destinations(now)
        for batch in self.schedule.due(now):
            self._ask([SearchRequest(name=name, cid=cid, version=MINOR) for cid, name in batch])
        self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.schedule.next_due()
        if due is None or self.sock is None:
            self._timer = None
        else:
            self._timer = self._loop.call_at(min(due, self._listed_at + self._refresh), self._tick)

    def _ask(self, requests: list[SearchRequest]) -> None:
        version = VersionRequest(priority=0, version=MINOR, sequence=next(self._sequence) & 0xFFFFFFFF)
        datagram = self._core.send(version, *requests)
        for destination in self.destinations:
            self.send(datagram, destination)
        for ask in self.broadcast_also:
            ask(requests)

    def send(self, datagram: bytes, destination: Address) -> None:
        """Send one datagram; a failure is remembered, logged once for each destination, and not final."""
        assert self.sock is not None
        try:
            self.sock.sendto(datagram, destination)
            self.datagrams_sent += 1
            self.failures.pop(destination, None)
        except BlockingIOError:
            pass  # the kernel's buffer is full: as good as lost on the way, and asked again like any lost one
        except OSError as error:
            if destination not in self._complained:
                self._complained.add(destination)
                self._log.push(_log_failure, (destination, error))
            self.failures[destination] = str(error)

    # -- destinations --------------------------------------------------------------------------------------------------

    def _list_destinations(self, now: float) -> None:
        first, self._listed_at = self._listed_at < 0, now
        wanted = search_addresses(self._config)
        resolved = [self._resolved.get(address, address) for address in wanted]
        before = self.destinations
        self.destinations = [address for address in dict.fromkeys(resolved) if is_numeric(address[0])]
        names = {address for address in wanted if not is_numeric(address[0]) and address not in self._resolved}
        if names - self._resolving:
            self._log.push(self._resolve, names - self._resolving)
            self._resolving |= names
        self.schedule.share(len(self.destinations))
        self._refresh = _REFRESH if self._config.auto_addr_list or names else math.inf
        if not first and not set(before).issuperset(self.destinations):
            self.boost()

    def _resolve(self, names: Iterable[Address]) -> None:
        """Look up host names. *A lane: it may take seconds.*"""
        for host, port in names:
            ip = resolve(host)
            self._loop.call_soon(self._add_destination, (host, port), ip)

    def _add_destination(self, named: Address, ip: str | None) -> None:
        self._resolving.discard(named)
        if ip is None:
            if named not in self._complained:
                self._complained.add(named)
                self._log.push(_log_unresolved, named[0])
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
        try:
            commands = self._core.receive(datagram, source)
        except RemoteProtocolError:
            self.rubbish += 1
            return
        for command in commands:
            handler = self._handlers.get(type(command))
            if handler is not None:
                handler(command, source, now)

    def _search_response(self, response: SearchResponse, source: Address, _now: float) -> None:
        self.answered(response, source)

    def _confirmed(self, _response: RepeaterConfirmResponse, _source: Address, _now: float) -> None:
        self.on_confirm()

    def _beacon_came(self, beacon: Beacon, source: Address, now: float) -> None:
        ip = source[0] if beacon.address == "0.0.0.0" else beacon.address
        address = (ip, beacon.server_port or self._config.server_port)
        verdict = self.beacons.heard(address, beacon.beacon_id, now, beacon.version)
        if verdict.boosts:
            self.boost()
        self._beacon(address, verdict)


def _log_unresolved(host: str) -> None:
    _log.warning("EPICS_CA_ADDR_LIST: host %s cannot be resolved; it is not searched until it can be", host)


def _log_failure(what: tuple[Address, OSError]) -> None:
    (host, port), error = what
    _log.warning("searching %s:%d failed: %s; it is tried again with each search", host, port, error)
