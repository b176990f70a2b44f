"""How a name stands with its server: what is known of it at any moment, and what to raise when that is not enough.

A channel moves by it, on the engine thread; any thread may look.
"""

from __future__ import annotations

import enum
import math
import time
from typing import Any, Final, NamedTuple, Protocol

from caclient.client.causes import ASK_WHO_KEEPS
from caclient.client.facts import Facts, Surroundings
from caclient.client.ride import Ride
from caclient.client.shape import Shape
from caclient.client.why import Diagnosis
from caclient.dbr import ChannelType, ControlInfo, TimeStamp
from caclient.engine.circuit import Circuit
from caclient.engine.pool import Pool
from caclient.engine.runtime import Runtime
from caclient.engine.sockets import Address
from caclient.errors import AccessDeniedError, CAError, CATimeoutError, DisconnectedError, LocalProtocolError, Phase

ACCESS: Final = {(True, True): "read/write", (True, False): "read-only", (False, True): "write-only"}
"""What the server allows, by (may read, may write)."""
_FAILING: Final = 40.0
"""Seconds for which it is told that a server answers for the name but does not serve it."""
_UNANSWERED: Final = 3
"""Searches after which a server that has answered before answers no more."""


class State(enum.Enum):
    """How far a channel has got."""

    SEARCHING = "searching"
    CONNECTING = "connecting"
    CREATING = "creating"
    READY = "ready"
    UNRESPONSIVE = "unresponsive"
    CLOSED = "closed"

    __hash__ = object.__hash__  # each is itself only; Enum's own is Python code, and a channel's way is looked up often


UNDER_WAY: Final = (State.CONNECTING, State.CREATING)
"""States in which a server that has answered is tried."""
SETTLED: Final = (State.READY, State.CLOSED)
"""States that nobody who waits for a connection waits in."""
_PHASES: Final[dict[State, Phase]] = {State.SEARCHING: "search", State.CREATING: "create"}


class Finder(Protocol):
    """Who looks for the servers of channels."""

    def seek(self, channel: Standing, delay: float = 0.0) -> None:
        """Search its name until ``settle``, from now (or *delay* seconds later) on, and tell it what was ``found``.

        *Engine thread.*
        """

    def settle(self, channel: Standing) -> None:
        """Search its name no more; one that is not searched is no error. *Engine thread.*"""

    def attempts(self, channel: Standing) -> tuple[int, float | None]:
        """How often its name was searched, and since when. *Any thread.*"""

    def record_at(self, channel: Standing) -> Address | None:
        """Who has the record of a name whose field nobody has. *Any thread.*"""

    def second(self, channel: Standing) -> Address | None:
        """Another server that has the name. *Any thread.*"""

    def surroundings(self) -> Surroundings:
        """What is the same for all names now. *Any thread.*"""

    def duplicate(self, channel: Standing, other: Address) -> None:
        """A second server has answered for the name. *Engine thread.*"""


class Failing(NamedTuple):
    """A server that has answered the search, but does not serve the name."""

    address: Address
    refusal: str
    """Why there is no connection to it, if that is why."""
    not_created: str
    """Why there is no channel."""
    at: float
    searches: int
    """Sent by then: if many more stay unanswered, it is not there any more."""


class Standing:
    """How a name stands: what is known of it, read by any thread, and written by the engine's."""

    __slots__ = (
        "__weakref__",
        "address",
        "cid",
        "dependents",
        "failing",
        "finder",
        "floor",
        "form",
        "lost_at",
        "name",
        "note",
        "pool",
        "priority",
        "puts",
        "puts_read",
        "readable",
        "ride",
        "runtime",
        "setbacks",
        "shape",
        "since",
        "state",
        "trail",
        "users",
        "waiters",
    )

    def __init__(self, runtime: Runtime, pool: Pool, finder: Finder, name: str, priority: int, cid: int) -> None:
        self.runtime = runtime
        self.pool = pool
        self.finder = finder
        self.name = name
        self.priority = priority
        self.cid = cid
        self.state = State.SEARCHING
        self.since = time.monotonic()
        self.users = 0
        self.ride: Ride | None = None
        """The present ride; None while it is searched."""
        self.readable: Ride | None = None
        """The present ride while it is ready and may be read, else None."""
        self.form: tuple[ChannelType, int] | None = None
        """(native type, count), also after the server has gone; None before the first connection."""
        self.shape: Shape | None = None
        """What its answers look like, also after the server has gone; None before the first connection."""
        self.address: Address | None = None
        self.note = ""
        self.setbacks = 0
        """How often in a row it was lost, or not made, by servers that were there."""
        self.puts = 0
        """Puts sent by this process."""
        self.puts_read = 0
        """How many of them the server had got when it was last asked for the value."""
        self.floor: TimeStamp | None = None
        """The time stamp read after our latest put: older updates are on their way, but are the past."""
        self.trail: tuple[State, ...] = ()
        """Its last states, the oldest first; shared by all channels that took the same way."""
        self.lost_at: float | None = None
        """When it was connected last; None if it is, or never was."""
        self.failing: Failing | None = None
        """What has become of the last server that answered for the name but does not serve it."""
        self.dependents: tuple[Any, ...] = ()
        """Who lives on it, and is told how it stands."""
        self.waiters: tuple[Any, ...] = ()

    # -- state, from memory: any thread --------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it can be used right now."""
        return self.state is State.READY

    @property
    def native_type(self) -> ChannelType | None:
        """What the server has; None before the first connection."""
        form = self.form
        return None if form is None else form[0]

    @property
    def count(self) -> int:
        """How many elements it can have; 0 before the first connection."""
        form = self.form
        return 0 if form is None else form[1]

    def shaped(self) -> Shape | None:
        """Its shape, made now if nobody has wanted it before; None before the first connection."""
        shape = self.shape
        while shape is None and (form := self.form) is not None:
            made = Shape(*form, name=self.name)
            with self.runtime.lock:  # nothing is allocated in here, or a finalizer could come between
                if self.shape is None and self.form is form:
                    self.shape = made
            shape = self.shape
        return shape

    @property
    def control(self) -> ControlInfo | None:
        """What is known of its metadata."""
        shape = self.shape
        return None if shape is None else shape.control

    @property
    def can_read(self) -> bool:
        """Whether the server lets us read."""
        ride = self.ride
        return ride is not None and ride.can_read

    @property
    def can_write(self) -> bool:
        """Whether the server lets us write."""
        ride = self.ride
        return ride is not None and ride.can_write

    @property
    def circuit(self) -> Circuit | None:
        """What it rides on."""
        ride = self.ride
        return None if ride is None else ride.circuit

    @property
    def circuit_name(self) -> str:
        """``host:port`` of the server, or that there is none."""
        return "no server" if self.address is None else f"{self.address[0]}:{self.address[1]}"

    def learn(self, shape: Shape, control: ControlInfo) -> None:
        """Its metadata have become known, unless it has another shape by now than they were asked for. *Any thread.*"""
        if control == shape.control:
            return
        known = shape.knowing(control)
        with self.runtime.lock:  # nothing is allocated in here, or a finalizer could come between
            if self.shape is shape:
                self.shape = known

    # -- what went wrong: any thread -----------------------------------------------------------------------------------

    def unready(self, waited: float) -> CAError:
        """What to raise, or to report, for a channel that is not ready after so many seconds."""
        if self.state is State.CLOSED:
            return self.ended(self.note)
        phase = _PHASES.get(self.state, "connect")
        return CATimeoutError(
            pvname=self.name, elapsed=waited, phase=phase, why=Diagnosis(self.facts(elapsed=waited, phase=phase))
        )

    def unanswered(self, sent_at: float, circuit: Circuit, phase: Phase = "request") -> CATimeoutError:
        """What to raise when a request has not been answered in time; *phase* ``"processing"``: a put."""
        waited = time.monotonic() - sent_at
        if circuit.heard_at <= sent_at:
            circuit.owed_since = min(circuit.owed_since, sent_at) if circuit.owed_since else sent_at
        why = Diagnosis(self.facts(elapsed=waited, phase=phase, unanswered=waited))
        return CATimeoutError(pvname=self.name, elapsed=waited, phase=phase, why=why)

    def facts(self, **known: Any) -> Facts:
        """What is known of it now: numbers and texts, and quickly."""
        now, address, ride = time.monotonic(), self.address, self.ride
        searches, first = self.finder.attempts(self)
        form, second, record_at = self.form, self.finder.second(self), self.finder.record_at(self)
        facts = Facts(self.name, self.finder.surroundings())
        facts.state = self.state.value
        facts.asked = now - (self.since if first is None else first)
        facts.searches = searches
        facts.note = self.note
        facts.address = None if address is None else f"{address[0]}:{address[1]}"
        if self.lost_at is not None:
            facts.connected_until = now - self.lost_at
        if second is not None:
            facts.other = f"{second[0]}:{second[1]}"
        if record_at is not None:
            facts.record_at = f"{record_at[0]}:{record_at[1]}"
        if self.state in UNDER_WAY:
            facts.answered_by = facts.address
        failing = self.failing
        if failing is not None and now - failing.at < _FAILING and searches - failing.searches < _UNANSWERED:
            facts.answered_by = f"{failing.address[0]}:{failing.address[1]}"
            facts.refusal, facts.not_created = failing.refusal, failing.not_created
        if form is not None:
            facts.native_type, facts.count = form[0].name.lower(), form[1]
        if self.state is State.CLOSED or self.runtime.closed:
            facts.closed = self.note or "its context has been closed"
        facts.moves = tuple(
            (now - self.since if state is self.state else math.nan, state.value) for state in self.trail
        )
        if ride is not None:
            self._facts_of(ride, now, facts)
        for name, value in known.items():
            setattr(facts, name, value)
        return facts

    def _facts_of(self, ride: Ride, now: float, facts: Facts) -> None:
        circuit = ride.circuit
        facts.access = ACCESS.get((ride.can_read, ride.can_write), "no access")
        if circuit.opened_at:
            facts.age, facts.heard = now - circuit.opened_at, now - circuit.heard_at
        if circuit.owed_since and circuit.heard_at <= circuit.owed_since:
            facts.unanswered = now - circuit.owed_since
        facts.round_trip = circuit.round_trip or None
        facts.missing, facts.unsent = circuit.core.missing, circuit.pending
        facts.paused = circuit.paused

    def ended(self, why: object, fate: str = "") -> CAError:
        """What to raise when there is no connection any more, or never will be; *fate*: what became of a put."""
        if self.runtime.closed:
            return self.runtime.closed_error(self.name)
        if isinstance(why, LocalProtocolError) and self.state is State.READY:
            return why  # it is connected, but what was asked for cannot be said to this server
        text = f"'{self.name}' is not connected: {why}{fate}"
        return DisconnectedError(text, pvname=self.name, phase="request", why=Diagnosis(self.facts(phase="request")))

    def denied(self, what: str) -> AccessDeniedError:
        """What to raise when the server lets us not ``"read"``, or not ``"write"``."""
        user, host = self.runtime.identity
        text = f"'{self.name}': no {what} access for {user}@{host} on {self.circuit_name}; {ASK_WHO_KEEPS}"
        return AccessDeniedError(text, pvname=self.name, phase="request", why=Diagnosis(self.facts(phase="request")))
