"""The law: what either peer may say, in which state, and where it leads. What is not in a table is illegal.

There is a machine for each peer's side of a circuit, a channel, a subscription, a request and a datagram. Every
command, whoever sends it, is looked up in both machines: the sender's says what it may say, the receiver's what it has
to expect. The tables do not know which side we are on; that is what makes policing both peers honest.

`TOLERANCES` are the moves that the plain rules would forbid and that real peers make, each with its reason.

`Standing` is a pair of states compiled from the tables, with the legal moves from there: one look-up by command class
gives the next standing, which while a channel just works is the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, TypeAlias

from caclient.protocol.command import CLIENT as CLIENT, SERVER as SERVER, Command, Role as Role
from caclient.protocol.commands import (
    CIRCUIT as CIRCUIT_COMMANDS,
    AccessRightsResponse,
    Beacon,
    BuildRequest,
    ClearChannelRequest,
    ClearChannelResponse,
    CreateChanRequest,
    CreateChanResponse,
    CreateChFailResponse,
    ErrorResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventCancelResponse,
    NotFoundResponse,
    ReadBuildRequest,
    ReadNotifyRequest,
    ReadNotifyResponse,
    ReadRequest,
    ReadResponse,
    RepeaterConfirmResponse,
    RepeaterRegisterRequest,
    SearchRequest,
    SearchResponse,
    ServerDisconnResponse,
    SignalRequest,
    SnapshotRequest,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)


class State(Enum):
    """Where one peer stands; a table uses those that it needs."""

    SEND_VERSION = "owes its version"
    CONNECTED = "connected"
    CLOSED = "closed"
    ERROR = "broke a rule"
    IDLE = "idle"
    SEND_CREATE = "owes the request to create"
    AWAIT_CREATE = "awaits the channel"
    CREATING = "creates the channel"
    AWAIT_CLEAR = "awaits the end of the channel"
    CLEARING = "clears the channel"
    FAILED = "could not be created"
    DISCONNECTED = "disconnected by the server"
    SUBSCRIBED = "subscribed"
    AWAIT_CANCEL = "awaits the end of the subscription"
    CANCELLING = "cancels the subscription"
    AWAIT_READ = "awaits a read"
    AWAIT_OLD_READ = "awaits an obsolete read"
    AWAIT_WRITE = "awaits a write"
    READING = "owes a read"
    OLD_READING = "owes an obsolete read"
    WRITING = "owes a write"
    DONE = "done"
    START = "begins a datagram"
    VERSIONED = "has said its version in this datagram"

    def __repr__(self) -> str:
        return self.name


S = State
Moves: TypeAlias = "dict[type[Command], State]"
Machine: TypeAlias = "dict[State, Moves]"
Law: TypeAlias = "dict[Role, Machine]"


def _stay(state: State, commands: Iterable[type[Command]]) -> Moves:
    return dict.fromkeys(commands, state)


OBSOLETE = (SnapshotRequest, BuildRequest, ReadBuildRequest, SignalRequest)
"""Known by name, legal nowhere: every server closes the circuit at once."""

_REQUESTS = [cls for cls in CIRCUIT_COMMANDS[CLIENT].values() if cls not in (*OBSOLETE, VersionRequest)]
_RESPONSES = [
    cls
    for cls in (*CIRCUIT_COMMANDS[SERVER].values(), EventCancelResponse)
    if cls not in (VersionResponse, ErrorResponse)
]

CIRCUIT: Law = {
    CLIENT: {
        S.SEND_VERSION: {VersionRequest: S.CONNECTED},
        S.CONNECTED: _stay(S.CONNECTED, [*_REQUESTS, *_RESPONSES, ErrorResponse]),
        S.ERROR: {},
        S.CLOSED: {},
    },
    SERVER: {
        S.SEND_VERSION: {
            VersionResponse: S.CONNECTED,
            **_stay(S.SEND_VERSION, [VersionRequest, *_REQUESTS, ErrorResponse]),
        },
        S.CONNECTED: _stay(S.CONNECTED, [VersionRequest, *_REQUESTS, *_RESPONSES, ErrorResponse]),
        S.ERROR: {},
        S.CLOSED: {},
    },
}
"""The connection: versions first."""

_USES = (ReadNotifyRequest, WriteNotifyRequest, WriteRequest, ReadRequest, EventAddRequest, EventCancelRequest)
_ANSWERS = (ReadNotifyResponse, WriteNotifyResponse, ReadResponse, EventAddResponse, EventCancelResponse)

CHANNEL: Law = {
    CLIENT: {
        S.SEND_CREATE: {CreateChanRequest: S.AWAIT_CREATE},
        S.AWAIT_CREATE: {
            AccessRightsResponse: S.AWAIT_CREATE,
            CreateChanResponse: S.CONNECTED,
            CreateChFailResponse: S.FAILED,
        },
        S.CONNECTED: {
            **_stay(S.CONNECTED, [*_USES, *_ANSWERS, AccessRightsResponse]),
            ClearChannelRequest: S.AWAIT_CLEAR,
            ServerDisconnResponse: S.DISCONNECTED,
        },
        S.AWAIT_CLEAR: {ClearChannelResponse: S.CLOSED},
        S.FAILED: {},
        S.DISCONNECTED: {},
        S.CLOSED: {},
    },
    SERVER: {
        S.IDLE: {CreateChanRequest: S.CREATING},
        S.CREATING: {
            AccessRightsResponse: S.CREATING,
            CreateChanResponse: S.CONNECTED,
            CreateChFailResponse: S.FAILED,
        },
        S.CONNECTED: {
            **_stay(S.CONNECTED, [*_USES, *_ANSWERS, AccessRightsResponse]),
            ClearChannelRequest: S.CLEARING,
            ServerDisconnResponse: S.DISCONNECTED,
        },
        S.CLEARING: {ClearChannelResponse: S.CLOSED},
        S.FAILED: {},
        S.DISCONNECTED: {},
        S.CLOSED: {},
    },
}
"""One channel on a circuit."""

SUBSCRIPTION: Law = {
    CLIENT: {
        S.IDLE: {EventAddRequest: S.SUBSCRIBED},
        S.SUBSCRIBED: {EventAddResponse: S.SUBSCRIBED, EventCancelRequest: S.AWAIT_CANCEL},
        S.AWAIT_CANCEL: {EventCancelResponse: S.CLOSED},
        S.CLOSED: {},
    },
    SERVER: {
        S.IDLE: {EventAddRequest: S.SUBSCRIBED},
        S.SUBSCRIBED: {EventAddResponse: S.SUBSCRIBED, EventCancelRequest: S.CANCELLING},
        S.CANCELLING: {EventCancelResponse: S.CLOSED},
        S.CLOSED: {},
    },
}
"""One subscription, known by its id."""

REQUEST: Law = {
    CLIENT: {
        S.IDLE: {ReadNotifyRequest: S.AWAIT_READ, WriteNotifyRequest: S.AWAIT_WRITE, ReadRequest: S.AWAIT_OLD_READ},
        S.AWAIT_READ: {ReadNotifyResponse: S.DONE},
        S.AWAIT_WRITE: {WriteNotifyResponse: S.DONE},
        S.AWAIT_OLD_READ: {ReadResponse: S.DONE, ErrorResponse: S.DONE},
        S.DONE: {},
    },
    SERVER: {
        S.IDLE: {ReadNotifyRequest: S.READING, WriteNotifyRequest: S.WRITING, ReadRequest: S.OLD_READING},
        S.READING: {ReadNotifyResponse: S.DONE},
        S.WRITING: {WriteNotifyResponse: S.DONE},
        S.OLD_READING: {ReadResponse: S.DONE, ErrorResponse: S.DONE},
        S.DONE: {},
    },
}
"""One request that has a reply, known by its ioid."""

DATAGRAM: Law = {
    CLIENT: {
        S.START: {
            VersionRequest: S.VERSIONED,
            RepeaterRegisterRequest: S.START,
            **_stay(S.START, [VersionResponse, RepeaterConfirmResponse, Beacon]),
        },
        S.VERSIONED: {SearchRequest: S.VERSIONED},
    },
    SERVER: {
        S.START: {
            VersionResponse: S.VERSIONED,
            **_stay(S.START, [RepeaterConfirmResponse, Beacon, VersionRequest, SearchRequest, RepeaterRegisterRequest]),
        },
        S.VERSIONED: _stay(S.VERSIONED, [SearchResponse, NotFoundResponse, ErrorResponse]),
    },
}
"""One datagram: each begins anew."""

LAWS: dict[str, Law] = {
    "circuit": CIRCUIT,
    "channel": CHANNEL,
    "subscription": SUBSCRIPTION,
    "request": REQUEST,
    "datagram": DATAGRAM,
}


class Tolerance(NamedTuple):
    """A move beyond the plain rules, and the reason why it has to be allowed."""

    law: Law
    role: Role
    state: State
    command: type[Command]
    next_state: State
    reason: str


def _tolerated(
    law: Law, role: Role, state: State, commands: Iterable[type[Command]], reason: str
) -> Iterable[Tolerance]:
    """Commands that are let pass in a state without leaving it."""
    return [Tolerance(law, role, state, command, state, reason) for command in commands]


TOLERANCES: tuple[Tolerance, ...] = (
    # ---- the version
    *_tolerated(
        CIRCUIT,
        CLIENT,
        S.SEND_VERSION,
        [VersionResponse],
        "servers since 4.11 send their version unasked, right after accept",
    ),
    *_tolerated(
        CIRCUIT,
        CLIENT,
        S.SEND_VERSION,
        [ErrorResponse],
        "rsrv refuses a command before the client's version with ECA_DEFUNCT and keeps the circuit",
    ),
    *_tolerated(
        CIRCUIT,
        SERVER,
        S.SEND_VERSION,
        _RESPONSES,
        "servers before 4.11 hold their version back until something else is sent, some never send it",
    ),
    *_tolerated(
        CIRCUIT,
        CLIENT,
        S.CONNECTED,
        [VersionRequest],
        "libca puts a version before the searches that it sends over TCP",
    ),
    *(
        Tolerance(
            CIRCUIT, role, S.CONNECTED, VersionResponse, S.CONNECTED, "libca adopts a version whenever one arrives"
        )
        for role in Role
    ),
    # ---- errors
    *_tolerated(CIRCUIT, CLIENT, S.ERROR, [ErrorResponse], "a server says what was wrong before it closes the circuit"),
    *(
        Tolerance(CHANNEL, role, state, ErrorResponse, S.FAILED, "portable servers before 4.6 have no CREATE_CH_FAIL")
        for role, state in ((CLIENT, S.AWAIT_CREATE), (SERVER, S.CREATING))
    ),
    *(
        Tolerance(
            REQUEST, role, state, ErrorResponse, S.DONE, "libca completes a request by the header inside an ERROR"
        )
        for role, states in ((CLIENT, (S.AWAIT_READ, S.AWAIT_WRITE)), (SERVER, (S.READING, S.WRITING)))
        for state in states
    ),
    *(
        tolerance
        for role, states in (
            (CLIENT, (S.SUBSCRIBED, S.AWAIT_CANCEL)),
            (SERVER, (S.SUBSCRIBED, S.CANCELLING)),
        )
        for state in states
        for tolerance in _tolerated(
            SUBSCRIPTION, role, state, [ErrorResponse], "libca tells a subscription by the header inside an ERROR"
        )
    ),
    # ---- what crosses on the wire
    *_tolerated(
        CHANNEL,
        CLIENT,
        S.AWAIT_CLEAR,
        [*_ANSWERS, AccessRightsResponse],
        "sent before the server had seen the request to clear",
    ),
    *_tolerated(
        CHANNEL,
        SERVER,
        S.CLEARING,
        [*_ANSWERS, AccessRightsResponse],
        "seen from the client: sent before the server had seen the request to clear",
    ),
    *(
        Tolerance(
            CHANNEL,
            role,
            state,
            ServerDisconnResponse,
            S.DISCONNECTED,
            "crossed the request to clear: no reply follows",
        )
        for role, state in ((CLIENT, S.AWAIT_CLEAR), (SERVER, S.CLEARING))
    ),
    *(
        Tolerance(
            CHANNEL, role, state, ServerDisconnResponse, S.DISCONNECTED, "the server may lose it while it creates it"
        )
        for role, state in ((CLIENT, S.AWAIT_CREATE), (SERVER, S.CREATING))
    ),
    *_tolerated(
        SUBSCRIPTION,
        CLIENT,
        S.AWAIT_CANCEL,
        [EventAddResponse],
        "updates that were queued before the cancel arrive before its reply",
    ),
    *_tolerated(
        SUBSCRIPTION,
        SERVER,
        S.CANCELLING,
        [EventAddResponse],
        "updates that were queued before the cancel are sent before its reply",
    ),
    # ---- the refresh
    *(
        tolerance
        for role in Role
        for tolerance in _tolerated(
            SUBSCRIPTION,
            role,
            S.SUBSCRIBED,
            [ReadNotifyRequest, ReadNotifyResponse],
            "libca refreshes a subscription by a read that carries its id, after a circuit was silent",
        )
    ),
    *(
        tolerance
        for role, state in ((CLIENT, S.AWAIT_CANCEL), (SERVER, S.CANCELLING))
        for tolerance in _tolerated(
            SUBSCRIPTION, role, state, [ReadNotifyResponse], "the answer to a refresh asked for before the cancel"
        )
    ),
    # ---- datagrams
    *_tolerated(
        DATAGRAM, CLIENT, S.VERSIONED, [VersionRequest], "several requests may have been put into one datagram"
    ),
    *_tolerated(DATAGRAM, SERVER, S.VERSIONED, [VersionResponse], "rsrv answers several requests in one datagram"),
    *_tolerated(
        DATAGRAM,
        SERVER,
        S.START,
        [SearchResponse, NotFoundResponse, ErrorResponse],
        "servers before 4.11, and those that answer a client before 4.11, put no version first",
    ),
    *_tolerated(
        DATAGRAM,
        CLIENT,
        S.START,
        [SearchResponse, NotFoundResponse, ErrorResponse],
        "answers come to a client whatever it is about to send",
    ),
    *_tolerated(
        DATAGRAM, CLIENT, S.VERSIONED, [RepeaterRegisterRequest], "harmless, and cheaper than a second datagram"
    ),
)


def table(law: Law) -> Law:
    """The law with its tolerances."""
    merged: Law = {role: {state: dict(moves) for state, moves in machine.items()} for role, machine in law.items()}
    for entry in TOLERANCES:
        if entry.law is law:
            merged[entry.role][entry.state].setdefault(entry.command, entry.next_state)
    return merged


class Standing:
    """Where both peers stand under one law, and the standing that each legal command leads to."""

    __slots__ = ("client", "moves", "server")

    def __init__(self, client: State, server: State) -> None:
        self.client = client
        self.server = server
        self.moves: dict[type[Command], Standing] = {}

    @property
    def states(self) -> dict[Role, State]:
        """The state of each peer."""
        return {CLIENT: self.client, SERVER: self.server}

    @property
    def legal(self) -> str:
        """Names of the commands that are legal here."""
        return _names(self.moves)

    def legal_from(self, sender: Role) -> str:
        """Names of those that this peer may send."""
        return _names(command for command in self.moves if command.SENDER is sender)

    def __repr__(self) -> str:
        return f"client {self.client.name}, server {self.server.name}"


def _names(commands: Iterable[type[Command]]) -> str:
    return ", ".join(sorted(command.__name__ for command in commands)) or "nothing"


def standings(law: Law) -> dict[tuple[State, State], Standing]:
    """Every pair of states, with the moves that both machines allow."""
    full = table(law)
    pairs = {(c, s): Standing(c, s) for c in full[CLIENT] for s in full[SERVER]}
    for standing in pairs.values():
        client, server = full[CLIENT][standing.client], full[SERVER][standing.server]
        standing.moves = {command: pairs[client[command], server[command]] for command in client if command in server}
    return pairs


_CIRCUITS = standings(CIRCUIT)
_CHANNELS = standings(CHANNEL)
_SUBSCRIPTIONS = standings(SUBSCRIPTION)
_REQUESTS_OPEN = standings(REQUEST)
_DATAGRAMS = standings(DATAGRAM)

NEW_CIRCUIT = _CIRCUITS[S.SEND_VERSION, S.SEND_VERSION]
CLOSED_CIRCUIT = _CIRCUITS[S.CLOSED, S.CLOSED]
NEW_CHANNEL = _CHANNELS[S.SEND_CREATE, S.IDLE]
OPEN_CHANNEL = _CHANNELS[S.CONNECTED, S.CONNECTED]
NEW_SUBSCRIPTION = _SUBSCRIPTIONS[S.IDLE, S.IDLE]
ENDING_SUBSCRIPTION = _SUBSCRIPTIONS[S.AWAIT_CANCEL, S.CANCELLING]
NEW_REQUEST = _REQUESTS_OPEN[S.IDLE, S.IDLE]
NEW_DATAGRAM = _DATAGRAMS[S.START, S.START]


def broken(standing: Standing, who: Role) -> Standing:
    """The circuit after one peer broke a rule: for good."""
    if who is CLIENT:
        return _CIRCUITS[S.ERROR, standing.server]
    return _CIRCUITS[standing.client, S.ERROR]
