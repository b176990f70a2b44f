"""What is known about a name at a moment: numbers and texts.

Whoever raises an error takes them, which costs a few microseconds; ``causes`` and ``why`` make sentences of them when
somebody looks. What is the same for all names of a call stands once in ``Surroundings``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from caclient.config import Config


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
