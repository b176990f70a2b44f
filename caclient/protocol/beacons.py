"""What a beacon says: the servers heard of, their sequence numbers and their usual interval.

A server sends beacons at a constant interval, and in quick succession after its start. So a beacon that comes too
early tells of a restart, one that comes after a long gap of a server that was away: both are reasons to ask again for
the names that nobody answered. A regular beacon vouches for the life of the circuits to its server.

A server seen for the first time says nothing yet: it may have been there long before we were. Its second beacon tells:
if the interval is no longer than our own age at the first, we should have heard of it before, so it is new.

Beacons come over UDP by several ways (two networks, a repeater): duplicates, old ones and small steps in the sequence
are such echoes or losses, and are dropped without touching the interval.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

CAPACITY = NEWCOMERS = 10_000
SEQUENCE_SINCE = 10  # the minor version from which beacons carry a sequence number
MODULUS = 1 << 32
OLD = 256  # up to so many numbers back is an old beacon that took a longer way
SMALL_STEPS = (2, 3)
EARLY, LATE, GONE = 0.80, 1.25, 3.25  # in units of the average interval
STEP = 0.01  # seconds between the copies of one beacon that a server sends by two networks
WEIGHT = 0.125  # of the latest interval in the average

Address = tuple[str, int]


class Verdict(Enum):
    """What one beacon means; the properties say what to do about it."""

    FIRST = "first of a server not heard of before"
    SECOND = "second, so that its interval is known"
    NEW = "second of a server that has just come up"
    IGNORED = "a duplicate, an old one, one after a small loss, or read together with the last"
    USUAL = "in time"
    LATE = "later than usual"
    GAP = "after a long gap"
    RESTARTED = "too early, as after a restart"

    @property
    def boosts(self) -> bool:
        """An anomaly: all names that wait for an answer are to be asked again."""
        return self in _BOOSTS

    @property
    def vouches(self) -> bool:
        """The circuits to this server may take it as a sign of life."""
        return self is Verdict.USUAL

    @property
    def doubts(self) -> bool:
        """The circuits to this server are not to trust its beacons until bytes come."""
        return self not in (Verdict.USUAL, Verdict.IGNORED)


_BOOSTS = frozenset({Verdict.NEW, Verdict.GAP, Verdict.RESTARTED})


class _Server:
    __slots__ = ("average", "heard_at", "sequence")

    def __init__(self, sequence: int, now: float) -> None:
        self.sequence = sequence
        self.heard_at: float | None = now
        self.average: float | None = None


class BeaconWatch:
    """All servers heard of, keyed by (IP address, TCP port).

    At most `capacity` of them, and as many `newcomers` that were heard once: of each kind the one not heard for longest
    goes first. So whoever makes up addresses, and there are 2^32, drives out other newcomers only.
    """

    def __init__(self, now: float, capacity: int = CAPACITY, newcomers: int = NEWCOMERS) -> None:
        self.anomalies = 0
        self._started_at = now
        self._capacity = capacity
        self._newcomers = newcomers
        self._servers: OrderedDict[Address, _Server] = OrderedDict()  # in the order of their last beacons
        self._heard_once: OrderedDict[Address, _Server] = OrderedDict()

    def __len__(self) -> int:
        return len(self._servers) + len(self._heard_once)

    def __contains__(self, address: Address) -> bool:
        return self._find(address) is not None

    def addresses(self) -> list[Address]:
        """All of them, the one heard last at the end. *Any thread.*"""
        return list(self._servers)

    def heard(self, address: Address, sequence: int, now: float, version: int = 13) -> Verdict:
        """What a beacon of the server at `address` means; the address is resolved already (never 0.0.0.0)."""
        server = self._servers.get(address)
        if server is not None:
            self._servers.move_to_end(address)
        elif (server := self._heard_once.pop(address, None)) is not None:
            _insert(self._servers, address, server, self._capacity)
        else:
            _insert(self._heard_once, address, _Server(sequence, now), self._newcomers)
            return Verdict.FIRST
        verdict = self._judge(server, sequence, now, version)
        self.anomalies += verdict.boosts
        return verdict

    def forget(self, address: Address) -> None:
        """The circuit to this server has ended: its time and interval are not to be compared with what comes after."""
        server = self._find(address)
        if server is not None:
            server.heard_at = server.average = None

    def period(self, address: Address) -> float | None:
        """The average interval of a server's beacons in seconds; None where it is not known (yet)."""
        server = self._find(address)
        return server.average if server else None

    def heard_at(self, address: Address) -> float | None:
        """When the last beacon that counted came; None if none did."""
        server = self._find(address)
        return server.heard_at if server else None

    def in_step(self, one: Address, other: Address) -> bool:
        """Whether two addresses are one server's: its beacons come from both at the same moment, numbered alike."""
        first, second = self._find(one), self._find(other)
        if first is None or second is None or first.heard_at is None or second.heard_at is None:
            return False
        together = abs(first.heard_at - second.heard_at) <= STEP
        return one[1] == other[1] and together and first.sequence == second.sequence

    def _find(self, address: Address) -> _Server | None:
        return self._servers.get(address) or self._heard_once.get(address)

    def _judge(self, server: _Server, sequence: int, now: float, version: int) -> Verdict:
        last, server.sequence = server.sequence, sequence
        if server.heard_at is None:
            server.heard_at = now
            return Verdict.FIRST
        if version >= SEQUENCE_SINCE and _is_echo((sequence - last) % MODULUS):
            return Verdict.IGNORED
        if now <= server.heard_at:  # both had waited in the socket: an interval of nothing would make all others long
            return Verdict.IGNORED
        interval, server.heard_at = now - server.heard_at, now
        if server.average is None:
            server.average = interval
            age_at_first = now - interval - self._started_at
            return Verdict.NEW if interval <= age_at_first else Verdict.SECOND
        average = server.average
        server.average = average + WEIGHT * (interval - average)
        return _compare(interval, average)


def _insert(table: OrderedDict[Address, _Server], address: Address, server: _Server, capacity: int) -> None:
    while len(table) >= capacity:
        table.popitem(last=False)
    table[address] = server


def _is_echo(advance: int) -> bool:
    return advance == 0 or advance >= MODULUS - OLD or advance in SMALL_STEPS


def _compare(interval: float, average: float) -> Verdict:
    if interval >= GONE * average:
        return Verdict.GAP
    if interval >= LATE * average:
        return Verdict.LATE
    if interval <= EARLY * average:
        return Verdict.RESTARTED
    return Verdict.USUAL
