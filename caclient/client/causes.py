"""What can be wrong with a name: how it is told by the facts, in what words, and what helps.

The rules are a table in the order of their precedence. Pure: no clock, no I/O, no channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple

from caclient.client.facts import Destination, Facts

SOON: Final = 0.5
"""Seconds that a name may be searched before anything is concluded from silence."""
BUSY: Final = 1.0
"""Seconds that a callback may run while updates wait before it is named."""
SILENT: Final = 1.0
"""Seconds that a server may owe an answer, and say nothing at all, before it is called unresponsive."""

ASK_WHO_KEEPS: Final = "ask who keeps that IOC's access security"
MAKE_ANEW: Final = "make a new PV, in a context that is open"


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


class Rule(NamedTuple):
    """A cause: when it holds, what it says, and what helps."""

    cause: Cause
    holds: Callable[[Facts], bool]
    says: Callable[[Facts], str]
    advice: Callable[[Facts], str]


# -- what the rules ask and say ----------------------------------------------------------------------------------------


def in_seconds(value: float | None) -> str:
    """So many seconds, as exact as they are of interest."""
    if value is None or not math.isfinite(value):
        return "some time"
    return f"{value:.3f} s" if value < 10 else f"{value:.0f} s"


def _listed(items: Iterable[str], most: int = 4) -> str:
    found = list(items)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _destinations(facts: Facts) -> str:
    return _listed(map(_told, facts.around.destinations)) or "nowhere"


def _told(to: Destination) -> str:
    """A destination, and what is the matter with it."""
    known = ", ".join([*(["name server"] if to.tcp else []), *([to.error] if to.error else [])])
    return f"{to.address} ({known})" if known else to.address


def searched(facts: Facts) -> str:
    """How often, and where."""
    number = f"{facts.searches} search{'' if facts.searches == 1 else 'es'}"
    return f"{number} sent to {_destinations(facts)}"


def _soon(facts: Facts) -> str:
    """How far a name has got within a moment."""
    if facts.state == "connecting":
        return f"{facts.where} answered the search, the TCP connection is not up after {in_seconds(facts.asked)}"
    if facts.state == "creating":
        return f"{facts.where} is connected, and has not created the channel after {in_seconds(facts.asked)}"
    return f"it has been searched for {in_seconds(facts.asked)} only, {searched(facts)}{_before(facts)}"


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


def _network_advice(facts: Facts) -> str:
    if all(to.tcp for to in facts.around.destinations):
        return "see whether that name server runs, and takes connections from here"
    return "check the network connection, and the routes to these addresses"


def _no_reply_advice(facts: Facts) -> str:
    if all(to.tcp for to in facts.around.destinations) and facts.around.destinations:
        return "check the spelling, that its IOC runs, and that the name server knows that IOC"
    here = all(to.address.startswith("127.") for to in facts.around.destinations)
    where = "only this machine is searched: for an IOC elsewhere" if here else "for an IOC on another network"
    return (
        f"check the spelling, and that its IOC runs; {where} "
        "add its address to EPICS_CA_ADDR_LIST (or Context(addr_list=...))"
    )


_PORT_ADVICE: Final = "wait if that IOC is just starting; else have its TCP port opened in the firewall"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        Cause.CLOSED,
        lambda facts: bool(facts.closed) or facts.state == "closed",
        lambda facts: facts.closed or "this PV has been closed",
        lambda facts: MAKE_ANEW,
    ),
    Rule(
        Cause.ENGINE,
        lambda facts: bool(facts.around.engine),
        lambda facts: f"the engine thread has ended: {facts.around.engine}",
        lambda facts: "make a new Context to go on, and report what the log says",
    ),
    Rule(
        Cause.SETTINGS,
        lambda facts: (
            facts.lost and bool(_problems(facts)) and facts.answered_by is None and facts.connected_until is None
        ),
        lambda facts: f"a setting cannot be used, and nobody was found: {_listed(_problems(facts), 2)}",
        lambda facts: "correct that variable of the environment, and start again",
    ),
    Rule(
        Cause.LIMIT,
        lambda facts: bool(facts.around.limit),
        lambda facts: f"the system gives no more: {facts.around.limit}",
        lambda facts: "raise that limit (ulimit -n, ulimit -u), or close what is open",
    ),
    Rule(
        Cause.NETWORK,
        _sending_fails,
        lambda facts: (
            "searches cannot be sent: " + _listed(f"{to.address}: {to.error}" for to in facts.around.destinations)
        ),
        _network_advice,
    ),
    Rule(
        Cause.NO_ADDRESS,
        lambda facts: (
            facts.lost and not facts.around.destinations and facts.around.listed and facts.answered_by is None
        ),
        lambda facts: f"there is nowhere to search: {_nowhere(facts)}",
        lambda facts: (
            "set EPICS_CA_ADDR_LIST (or Context(addr_list=...)) to the IOC's address or its network's broadcast address"
        ),
    ),
    Rule(
        Cause.UNRESPONSIVE,
        lambda facts: facts.state == "unresponsive" or _owes_an_answer(facts),
        lambda facts: f"{facts.where} keeps the connection, but has said nothing for {in_seconds(facts.heard)}",
        lambda facts: "look at that IOC: it is stopped, overloaded or cut off; the PV comes back by itself",
    ),
    Rule(
        Cause.DROPPED,
        lambda facts: facts.lost and facts.connected_until is not None and facts.answered_by is None,
        lambda facts: (
            f"it was connected to {facts.where} until {in_seconds(facts.connected_until)} ago, and nobody answers now"
            f"{_before(facts)}"
        ),
        lambda facts: f"see whether the IOC at {facts.where} runs; the PV comes back by itself when it does",
    ),
    Rule(
        Cause.CONNECTION_REFUSED,
        lambda facts: facts.lost and bool(facts.refusal),
        lambda facts: f"{facts.answered_by or facts.where} answers searches, but takes no connection: {facts.refusal}",
        lambda facts: _PORT_ADVICE,
    ),
    Rule(
        Cause.CONNECTION_REFUSED,
        lambda facts: facts.state == "connecting" and facts.asked >= SOON,
        lambda facts: f"{facts.where} answered the search, but its TCP port has not answered yet",
        lambda facts: _PORT_ADVICE,
    ),
    Rule(
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
    Rule(
        Cause.NO_SUCH_FIELD,
        lambda facts: facts.lost and facts.record_at is not None,
        lambda facts: (
            f"nobody has '{facts.pvname}', but {facts.record_at} has the record '{facts.pvname.partition('.')[0]}'"
        ),
        lambda facts: f"check the field's name: that record has no field {facts.pvname.partition('.')[2]!r}",
    ),
    Rule(
        Cause.SEARCHING,
        lambda facts: facts.lost and facts.asked < SOON,
        _soon,
        lambda facts: "give it a moment: wait_for_connection(), or a longer timeout",
    ),
    Rule(
        Cause.NO_REPLY,
        lambda facts: facts.lost,
        lambda facts: f"nobody answers for this name: {searched(facts)}{_before(facts)}",
        _no_reply_advice,
    ),
    Rule(
        Cause.NO_READ_ACCESS,
        lambda facts: facts.connected and not facts.can_read,
        lambda facts: f"{facts.where} does not let {facts.who} read it",
        lambda facts: f"{ASK_WHO_KEEPS}, or go by another user or host",
    ),
    Rule(
        Cause.CALLBACK_BUSY,
        lambda facts: bool(facts.busy) and facts.busy_for >= BUSY and facts.queued > 0,
        lambda facts: (
            f"the callback {facts.busy} has been running for {in_seconds(facts.busy_for)}; {facts.queued} updates wait"
        ),
        lambda facts: 'have it return sooner: let another thread do the work, or subscribe with policy="latest"',
    ),
    Rule(
        Cause.DUPLICATE,
        lambda facts: facts.other is not None,
        lambda facts: f"two servers have this name: {facts.where} is used, {facts.other} is not",
        lambda facts: "have one of the two stop serving it",
    ),
    Rule(
        Cause.NO_WRITE_ACCESS,
        lambda facts: facts.connected and not facts.can_write,
        lambda facts: f"it is connected to {facts.where}, and {facts.who} may read it but not write",
        lambda facts: f"nothing, for a read-back; else {ASK_WHO_KEEPS}",
    ),
    Rule(
        Cause.HEALTHY,
        lambda facts: facts.connected,
        lambda facts: f"it is connected to {facts.where}, {facts.native_type}[{facts.count}], {facts.access}",
        lambda facts: "",
    ),
)
