"""Why a PV does not answer, or that all is well: facts -> a cause, sentences, and what to do next.

Pure: no clock, no I/O, no channel. Whoever raises an error takes the facts, which are numbers and texts and cost a few
microseconds; the sentences are made when somebody looks. What is the same for all names of a call stands once in
``Surroundings``. The rules are a table in the order of their precedence: the first that holds is the cause, the others
are told beside it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, NamedTuple

from caclient.config import Config

SOON: Final = 0.5
"""Seconds that a name may be searched before anything is concluded from silence."""
BUSY: Final = 1.0
"""Seconds that a callback may run while updates wait before it is named."""
SILENT: Final = 1.0
"""Seconds that a server may owe an answer, and say nothing at all, before it is called unresponsive."""


class Cause(str, Enum):
    """What is wrong, in the order in which causes are looked for; printed as its value."""

    CLOSED = "closed"
    ENGINE = "engine"
    SETTINGS = "settings"
    LIMIT = "limit"
    NETWORK = "network"
    NO_ADDRESS = "no-address"
    UNRESPONSIVE = "unresponsive"
    DROPPED = "dropped"
    CONNECTION_REFUSED = "connection-refused"
    NOT_CREATED = "not-created"
    NO_SUCH_FIELD = "no-such-field"
    SEARCHING = "searching"
    NO_REPLY = "no-reply"
    NO_READ_ACCESS = "no-read-access"
    CALLBACK_BUSY = "callback-busy"
    DUPLICATE = "duplicate"
    NO_WRITE_ACCESS = "no-write-access"
    HEALTHY = "healthy"

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)


class Destination(NamedTuple):
    """Where searches go: an address (of a name server, if ``tcp``), how many went, and why the last did not leave."""

    address: str
    sent: int = 0
    error: str = ""
    tcp: str = ""
    """For a name server: how its connection stands."""


class Surroundings:
    """What is the same for all names of a context at a moment. *Any thread.*"""

    __slots__ = ("config", "destinations", "engine", "identity", "late", "limit", "listed")

    def __init__(
        self,
        config: Config | None = None,
        destinations: Iterable[Destination] = (),
        identity: tuple[str, str] = ("", ""),
        engine: str = "",
        late: float = 0.0,
        limit: str = "",
        listed: bool = True,
    ) -> None:
        self.config = config
        self.destinations = tuple(destinations)
        self.identity = identity
        self.engine = engine
        """Why the engine thread has ended; "" while it lives."""
        self.late = late
        """Seconds by which it was late last."""
        self.limit = limit
        """Of what there was no more to be had: descriptors, threads."""
        self.listed = listed
        """Whether the destinations have been looked up yet."""


class Facts:
    """What is known about one name at a moment: numbers and texts, seconds ago where it is a time. *Any thread.*"""

    __slots__ = (
        "access",
        "address",
        "age",
        "answered_by",
        "around",
        "asked",
        "busy",
        "busy_for",
        "closed",
        "connected_until",
        "count",
        "dropped",
        "elapsed",
        "heard",
        "missing",
        "moves",
        "native_type",
        "not_created",
        "note",
        "other",
        "paused",
        "pending",
        "phase",
        "pvname",
        "queued",
        "record_at",
        "refusal",
        "round_trip",
        "searches",
        "state",
        "thinned",
        "unanswered",
        "unsent",
    )

    def __init__(self, pvname: str, around: Surroundings | None = None, **known: Any) -> None:
        self.pvname = pvname
        self.around: Surroundings = around or NO_SURROUNDINGS
        self.state: str = "searching"
        """``searching``, ``connecting``, ``creating``, ``ready``, ``unresponsive`` or ``closed``."""
        self.elapsed: float | None = None
        """Seconds that the call took until it failed."""
        self.phase: str | None = None
        """How far the call had got."""
        self.asked: float = math.inf
        """Seconds since the name was first asked for, or lost."""
        self.closed: str = ""
        """What was closed."""
        self.searches: int = 0
        """Searches sent since then."""
        self.answered_by: str | None = None
        """The server that has answered the search."""
        self.record_at: str | None = None
        """The server that has the record of a name whose field nobody has."""
        self.refusal: str = ""
        """Why there is no TCP connection to the server that has answered."""
        self.not_created: str = ""
        """Why that server has not made the channel."""
        self.connected_until: float | None = None
        """Seconds since it was connected last; None if it never was, or is."""
        self.address: str | None = None
        """The server, or the last one."""
        self.age: float | None = None
        """Of the TCP connection."""
        self.heard: float | None = None
        """Seconds since the server said anything."""
        self.round_trip: float | None = None
        self.unanswered: float | None = None
        """Seconds for which the server owes an answer."""
        self.note: str = ""
        """What had become of the last connection, or attempt."""
        self.missing: int = 0
        """Bytes still to come of a message that has come in part."""
        self.unsent: int = 0
        """Bytes that could not be sent yet."""
        self.native_type: str = ""
        self.count: int = 0
        self.access: str = ""
        """``read/write``, ``read-only``, ``write-only`` or ``no access``."""
        self.paused: bool = False
        """Whether the server was asked to send no updates for a while."""
        self.busy: str = ""
        """The callback that runs: function, file and line."""
        self.busy_for: float = 0.0
        self.queued: int = 0
        """Updates that wait for callbacks and iterators."""
        self.pending: int = 0
        """Requests of this name that wait for an answer."""
        self.dropped: int = 0
        self.thinned: int = 0
        self.other: str | None = None
        """Another server that has the name too."""
        self.moves: tuple[tuple[float, str], ...] = ()
        """The channel's last moves: (seconds ago, what)."""
        for name, value in known.items():
            setattr(self, name, value)

    @property
    def connected(self) -> bool:
        """Whether it can be used."""
        return self.state == "ready"

    @property
    def lost(self) -> bool:
        """Whether nobody serves it now."""
        return self.state in ("searching", "connecting", "creating")

    @property
    def can_read(self) -> bool:
        """Whether the server lets us read."""
        return self.access in ("read/write", "read-only")

    @property
    def can_write(self) -> bool:
        """Whether the server lets us write."""
        return self.access in ("read/write", "write-only")

    @property
    def who(self) -> str:
        """Who we are to servers."""
        return "@".join(self.around.identity)

    @property
    def where(self) -> str:
        """The server, or that there is none."""
        return self.address or self.answered_by or "its server"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


NO_SURROUNDINGS: Final = Surroundings()


class _Rule(NamedTuple):
    """A cause: when it holds, what it says, and what helps."""

    cause: Cause
    holds: Callable[[Facts], bool]
    says: Callable[[Facts], str]
    advice: Callable[[Facts], str]


# -- what the rules ask and say ----------------------------------------------------------------------------------------


def _seconds(value: float | None) -> str:
    """So many seconds, as exact as they are of interest."""
    if value is None or not math.isfinite(value):
        return "some time"
    return f"{value:.3f} s" if value < 10 else f"{value:.0f} s"


def _listed(items: Iterable[str], most: int = 4) -> str:
    found = list(items)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _destinations(facts: Facts) -> str:
    return _listed(to.address + (" (name server)" if to.tcp else "") for to in facts.around.destinations) or "nowhere"


def _searched(facts: Facts) -> str:
    """How often, and where."""
    number = f"{facts.searches} search{'' if facts.searches == 1 else 'es'}"
    return f"{number} sent to {_destinations(facts)}"


def _soon(facts: Facts) -> str:
    """How far a name has got within a moment."""
    if facts.state == "connecting":
        return f"{facts.where} answered the search, the TCP connection is not up after {_seconds(facts.asked)}"
    if facts.state == "creating":
        return f"{facts.where} is connected, and has not created the channel after {_seconds(facts.asked)}"
    return f"it has been searched for {_seconds(facts.asked)} only, {_searched(facts)}{_before(facts)}"


def _before(facts: Facts) -> str:
    """What had become of it before."""
    return f"; before that: {facts.note}" if facts.note else ""


def _problems(facts: Facts) -> tuple[str, ...]:
    """What of the environment could not be used, and keeps names from being found."""
    problems = facts.around.config.problems if facts.around.config is not None else ()
    return tuple(each for each in problems if each.startswith(_FINDING) and "twice" not in each)


_FINDING: Final = (
    "EPICS_CA_ADDR_LIST",
    "EPICS_CA_AUTO_ADDR_LIST",
    "EPICS_CA_NAME_SERVERS",
    "EPICS_CA_SERVER_PORT",
    "LOGNAME",
    "USER",
)
"""Variables without which names are not found, or servers hang up."""


def _sending_fails(facts: Facts) -> bool:
    """Whether nothing leaves: each destination fails."""
    destinations = facts.around.destinations
    return facts.lost and bool(destinations) and all(to.error for to in destinations)


def _nowhere(facts: Facts) -> str:
    """Why there is no destination."""
    config = facts.around.config
    if config is not None and config.auto_addr_list:
        return "no network interface has a broadcast address (a tunnel or VPN has none), and no address is given"
    return "no address is given, and the interfaces' broadcast addresses are switched off (auto_addr_list)"


def _owes_an_answer(facts: Facts) -> bool:
    """Whether the server has said nothing at all since it was asked something."""
    owed, heard = facts.unanswered, facts.heard
    return facts.connected and owed is not None and owed >= SILENT and (heard is None or heard >= owed)


def _no_reply_advice(facts: Facts) -> str:
    here = all(to.address.startswith("127.") for to in facts.around.destinations)
    where = "only this machine is searched: for an IOC elsewhere" if here else "for an IOC on another network"
    return (
        f"check the spelling, and that its IOC runs; {where} "
        "add its address to EPICS_CA_ADDR_LIST (or Context(addr_list=...))"
    )


_PORT_ADVICE: Final = "wait if that IOC is just starting; else have its TCP port opened in the firewall"

_RULES: Final[tuple[_Rule, ...]] = (
    _Rule(
        Cause.CLOSED,
        lambda facts: bool(facts.closed) or facts.state == "closed",
        lambda facts: facts.closed or "this PV has been closed",
        lambda facts: "make a new PV, in a context that is open",
    ),
    _Rule(
        Cause.ENGINE,
        lambda facts: bool(facts.around.engine),
        lambda facts: f"the engine thread has ended: {facts.around.engine}",
        lambda facts: "make a new Context to go on, and report what the log says",
    ),
    _Rule(
        Cause.SETTINGS,
        lambda facts: (
            facts.lost and bool(_problems(facts)) and facts.answered_by is None and facts.connected_until is None
        ),
        lambda facts: f"a setting cannot be used, and nobody was found: {_listed(_problems(facts), 2)}",
        lambda facts: "correct that variable of the environment, and start again",
    ),
    _Rule(
        Cause.LIMIT,
        lambda facts: bool(facts.around.limit),
        lambda facts: f"the system gives no more: {facts.around.limit}",
        lambda facts: "raise that limit (ulimit -n, ulimit -u), or close what is open",
    ),
    _Rule(
        Cause.NETWORK,
        _sending_fails,
        lambda facts: (
            "searches cannot be sent: " + _listed(f"{to.address}: {to.error}" for to in facts.around.destinations)
        ),
        lambda facts: "check the network connection, and the routes to these addresses",
    ),
    _Rule(
        Cause.NO_ADDRESS,
        lambda facts: (
            facts.lost and not facts.around.destinations and facts.around.listed and facts.answered_by is None
        ),
        lambda facts: f"there is nowhere to search: {_nowhere(facts)}",
        lambda facts: (
            "set EPICS_CA_ADDR_LIST (or Context(addr_list=...)) to the IOC's address or its network's broadcast address"
        ),
    ),
    _Rule(
        Cause.UNRESPONSIVE,
        lambda facts: facts.state == "unresponsive" or _owes_an_answer(facts),
        lambda facts: f"{facts.where} keeps the connection, but has said nothing for {_seconds(facts.heard)}",
        lambda facts: "look at that IOC: it is stopped, overloaded or cut off; the PV comes back by itself",
    ),
    _Rule(
        Cause.DROPPED,
        lambda facts: facts.lost and facts.connected_until is not None and facts.answered_by is None,
        lambda facts: (
            f"it was connected to {facts.where} until {_seconds(facts.connected_until)} ago, and nobody answers now"
            f"{_before(facts)}"
        ),
        lambda facts: f"see whether the IOC at {facts.where} runs; the PV comes back by itself when it does",
    ),
    _Rule(
        Cause.CONNECTION_REFUSED,
        lambda facts: facts.lost and bool(facts.refusal),
        lambda facts: f"{facts.answered_by or facts.where} answers searches, but takes no connection: {facts.refusal}",
        lambda facts: _PORT_ADVICE,
    ),
    _Rule(
        Cause.CONNECTION_REFUSED,
        lambda facts: facts.state == "connecting" and facts.asked >= SOON,
        lambda facts: f"{facts.where} answered the search, but its TCP port has not answered yet",
        lambda facts: _PORT_ADVICE,
    ),
    _Rule(
        Cause.NOT_CREATED,
        lambda facts: facts.lost and (bool(facts.not_created) or (facts.state == "creating" and facts.asked >= SOON)),
        lambda facts: (
            f"{facts.answered_by or facts.where} answered the search, but "
            + (facts.not_created or "has not answered the request to create the channel")
        ),
        lambda facts: (
            "look at that server's log: a gateway may forbid the name, an IOC may be out of memory or starting"
        ),
    ),
    _Rule(
        Cause.NO_SUCH_FIELD,
        lambda facts: facts.lost and facts.record_at is not None,
        lambda facts: (
            f"nobody has '{facts.pvname}', but {facts.record_at} has the record '{facts.pvname.partition('.')[0]}'"
        ),
        lambda facts: f"check the field's name: that record has no field {facts.pvname.partition('.')[2]!r}",
    ),
    _Rule(
        Cause.SEARCHING,
        lambda facts: facts.lost and facts.asked < SOON,
        _soon,
        lambda facts: "give it a moment: wait_for_connection(), or a longer timeout",
    ),
    _Rule(
        Cause.NO_REPLY,
        lambda facts: facts.lost,
        lambda facts: f"nobody answers for this name: {_searched(facts)}{_before(facts)}",
        _no_reply_advice,
    ),
    _Rule(
        Cause.NO_READ_ACCESS,
        lambda facts: facts.connected and not facts.can_read,
        lambda facts: f"{facts.where} does not let {facts.who} read it",
        lambda facts: "ask who keeps that IOC's access security, or go by another user or host",
    ),
    _Rule(
        Cause.CALLBACK_BUSY,
        lambda facts: bool(facts.busy) and facts.busy_for >= BUSY and facts.queued > 0,
        lambda facts: (
            f"the callback {facts.busy} has been running for {_seconds(facts.busy_for)}; {facts.queued} updates wait"
        ),
        lambda facts: 'have it return sooner: let another thread do the work, or subscribe with policy="latest"',
    ),
    _Rule(
        Cause.DUPLICATE,
        lambda facts: facts.other is not None,
        lambda facts: f"two servers have this name: {facts.where} is used, {facts.other} is not",
        lambda facts: "have one of the two stop serving it",
    ),
    _Rule(
        Cause.NO_WRITE_ACCESS,
        lambda facts: facts.connected and not facts.can_write,
        lambda facts: f"it is connected to {facts.where}, and {facts.who} may read it but not write",
        lambda facts: "nothing, for a read-back; else ask who keeps that IOC's access security",
    ),
    _Rule(
        Cause.HEALTHY,
        lambda facts: facts.connected,
        lambda facts: f"it is connected to {facts.where}, {facts.native_type}[{facts.count}], {facts.access}",
        lambda facts: "",
    ),
)

_LAST: Final = _RULES[-1]
_CONNECTED: Final = frozenset((Cause.HEALTHY, Cause.NO_WRITE_ACCESS, Cause.DUPLICATE, Cause.CALLBACK_BUSY))
"""Causes that do not keep a server from answering."""


class Diagnosis:
    """Why, at one moment: the cause, what there is to say about it, and what to do next. Immutable; it pickles.

    Nothing is worked out before somebody looks.
    """

    __slots__ = ("_facts", "_rules")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._rules: tuple[_Rule, ...] | None = None

    def _holding(self) -> tuple[_Rule, ...]:
        if self._rules is None:
            self._rules = tuple(rule for rule in _RULES if rule.holds(self._facts)) or (_LAST,)
        return self._rules

    @property
    def pvname(self) -> str:
        """The name that it is about."""
        return self._facts.pvname

    @property
    def cause(self) -> Cause:
        """The first cause that holds."""
        return self._holding()[0].cause

    @property
    def also(self) -> tuple[Cause, ...]:
        """The others that hold, in order."""
        causes = dict.fromkeys(rule.cause for rule in self._holding())
        return tuple(cause for cause in causes if cause not in (self.cause, Cause.HEALTHY))

    @property
    def says(self) -> str:
        """The cause as a sentence."""
        return self._holding()[0].says(self._facts)

    @property
    def advice(self) -> str:
        """What to do next; ``""`` if nothing need be done."""
        return self._holding()[0].advice(self._facts)

    @property
    def facts(self) -> dict[str, Any]:
        """All that is known, by name; what is not known is left out."""
        facts = self._facts
        known: dict[str, Any] = {
            "pvname": facts.pvname,
            "state": facts.state,
            **{name: getattr(facts, name) for name in _TOLD if getattr(facts, name) not in (None, "", 0, False, ())},
            "destinations": [to._asdict() for to in facts.around.destinations],
            "identity": facts.who,
            "also": [str(cause) for cause in self.also],
        }
        if facts.around.config is not None:
            known["settings"] = facts.around.config.describe()
        return known

    def failure(self) -> str:
        """The text of an error: the verdict, how far the call got, and what to do next."""
        facts = self._facts
        verdict, says, advice = self._verdict()
        state = " not connected" if facts.lost or facts.state == "unresponsive" else ""
        waited = "" if facts.elapsed is None else f" after {_seconds(facts.elapsed)}"
        return f"{verdict}: '{facts.pvname}'{state}{waited}: {says}" + (f"; {advice}" if advice else "")

    def _verdict(self) -> tuple[str, str, str]:
        facts, cause = self._facts, self.cause
        if cause not in _CONNECTED or facts.phase not in ("request", "processing"):
            return str(cause).replace("-", " "), self.says, self.advice
        if facts.phase == "processing":
            says = f"the put was sent to {facts.where}, and the record has not finished processing"
            return "not completed", says, "the value may still arrive; give a longer timeout, or math.inf"
        age = f"connected for {_seconds(facts.age)}, " if facts.age is not None else ""
        heard = f"{age}last heard {_seconds(facts.heard)} ago"
        partly = f"; {facts.missing} bytes of a message are still to come" if facts.missing else ""
        unsent = f"; {facts.unsent} bytes could not be sent yet" if facts.unsent else ""
        late = f"; our own thread was late by {_seconds(facts.around.late)}" if facts.around.late > 0.1 else ""
        says = f"the request was sent to {facts.where}, {heard}{partly}{unsent}{late}"
        return "no answer", says, "the record or its device may be slow: give a longer timeout"

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say."""
        return {"cause": str(self.cause), "says": self.says, "advice": self.advice, "facts": _plain(self.facts)}

    def __str__(self) -> str:
        lines = [f"{self.pvname}: {self.cause}", f"  {self.says}"]
        lines += [f"  next: {self.advice}"] if self.advice else []
        lines += [f"  also: {', '.join(map(str, self.also))}"] if self.also else []
        return "\n".join(lines + [f"  {name}: {text}" for name, text in self._rows()])

    def _rows(self) -> list[tuple[str, str]]:
        facts = self._facts
        rows = [
            ("server", facts.address or facts.answered_by or ""),
            ("heard", "" if facts.heard is None else f"{_seconds(facts.heard)} ago"),
            ("round trip", "" if facts.round_trip is None else f"{facts.round_trip * 1e3:.3f} ms"),
            ("searched", _searched(facts) if facts.searches else ""),
            ("type", f"{facts.native_type}[{facts.count}], {facts.access}" if facts.native_type else ""),
            ("updates", f"{facts.queued} wait, {facts.dropped} dropped, {facts.thinned} thinned"),
            ("paused", "the server was asked to send no updates for a while" if facts.paused else ""),
            *(("moved", f"{what}, {_seconds(ago)} ago") for ago, what in facts.moves),
        ]
        if facts.around.config is not None and facts.lost:
            rows += [("setting", line) for line in facts.around.config.describe() if "(default)" not in line]
        return [(name, text) for name, text in rows if text]

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.pvname!r}: {self.cause}: {self.says}>"

    def _repr_html_(self) -> str:
        rows = [("", self.says), ("next", self.advice), ("also", ", ".join(map(str, self.also))), *self._rows()]
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows if text
        )
        return f"<table><caption>{html.escape(self.pvname)}: {self.cause}</caption>{cells}</table>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Diagnosis, (self._facts,)


_TOLD: Final = (
    "elapsed",
    "phase",
    "closed",
    "searches",
    "answered_by",
    "record_at",
    "refusal",
    "not_created",
    "connected_until",
    "address",
    "age",
    "heard",
    "round_trip",
    "unanswered",
    "missing",
    "unsent",
    "native_type",
    "count",
    "access",
    "paused",
    "busy",
    "busy_for",
    "queued",
    "pending",
    "dropped",
    "thinned",
    "other",
    "note",
    "moves",
)
"""Facts that are told where they are known."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
