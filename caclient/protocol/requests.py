"""What a client says on a circuit (VERSION and SEARCH in datagrams too): one class for each command."""

from __future__ import annotations

import struct
from typing import Any

from caclient.dbr.metadata import Metadata
from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.command import (
    CLIENT,
    COUNT_FIELD,
    PARAMETER1,
    PARAMETER2,
    TYPE_FIELD,
    Command,
    Typed,
    WithData,
    WithName,
    data_payload,
    text_payload,
)

MINOR_VERSION = 13
"""The minor version of the protocol that we speak."""
DO_NOT_REPLY = 5
DO_REPLY = 10
"""In a search: tell if the name is unknown (servers do so over TCP only)."""

_EVENT_MASK = struct.Struct(">fffHH")


class _Request(Command):
    __slots__ = ()
    SENDER = CLIENT


class VersionRequest(_Request):
    """Our version and the circuit's priority; in a datagram the version and, if given, the datagram's number."""

    __slots__ = ()
    ID = 0
    FIELDS = ("priority", "version")
    priority = TYPE_FIELD
    version = COUNT_FIELD
    sequence = PARAMETER1

    def __init__(self, priority: int = 0, version: int = MINOR_VERSION, sequence: int | None = None) -> None:
        if sequence is None:
            super().__init__(priority, version)
        else:
            super().__init__(1, version, sequence)

    @property
    def sequence_valid(self) -> bool:
        """Whether `sequence` is a number; only in a datagram (on a circuit this bit belongs to the priority)."""
        return self.type_field & 1 == 1

    def shown(self) -> tuple[str, ...]:
        return ("version", "sequence") if self.sequence_valid and self.parameter1 else self.FIELDS


class EventAddRequest(_Request, Typed):
    """Subscribe: `mask` says to which kinds of change; `data_count` 0 is whatever length the value has (since 13)."""

    __slots__ = ()
    ID = 1
    FIELDS = ("data_type", "data_count", "sid", "subscriptionid", "low", "high", "to", "mask")
    sid = PARAMETER1
    subscriptionid = PARAMETER2

    def __init__(
        self,
        data_type: int,
        data_count: int,
        sid: int,
        subscriptionid: int,
        low: float = 0.0,
        high: float = 0.0,
        to: float = 0.0,
        mask: int = 5,
    ) -> None:
        try:
            payload = _EVENT_MASK.pack(low, high, to, mask, 0)
        except (struct.error, OverflowError) as error:
            raise LocalProtocolError(f"event mask {mask!r} or limits cannot be sent: {error}") from None
        super().__init__(data_type, data_count, sid, subscriptionid, payload)

    @property
    def low(self) -> float:
        """Unused; 0."""
        return self._selection()[0]

    @property
    def high(self) -> float:
        """Unused; 0."""
        return self._selection()[1]

    @property
    def to(self) -> float:
        """Unused; 0."""
        return self._selection()[2]

    @property
    def mask(self) -> int:
        """1 value, 2 log, 4 alarm, 8 property."""
        return self._selection()[3]

    def _selection(self) -> tuple[float, float, float, int, int]:
        if len(self.payload) < _EVENT_MASK.size:
            raise RemoteProtocolError(f"EVENT_ADD needs {_EVENT_MASK.size} bytes of payload, got {len(self.payload)}")
        return _EVENT_MASK.unpack_from(self.payload)


class EventCancelRequest(_Request, Typed):
    """Unsubscribe."""

    __slots__ = ()
    ID = 2
    FIELDS = ("data_type", "sid", "subscriptionid", "data_count")
    sid = PARAMETER1
    subscriptionid = PARAMETER2

    def __init__(self, data_type: int, sid: int, subscriptionid: int, data_count: int = 0) -> None:
        super().__init__(data_type, data_count, sid, subscriptionid)


class _Numbered(_Request):
    """A request for a channel, with a number to know the reply by."""

    __slots__ = ()
    sid = PARAMETER1
    ioid = PARAMETER2

    def sid_of(self, ioid: int) -> int:
        """The channel that the request with this number is for."""
        return self.parameter1


class _ReadCommand(_Numbered, Typed):
    """A read: type and count wanted, `sid` of the channel, `ioid` to know the reply by."""

    __slots__ = ()
    FIELDS = ("data_type", "data_count", "sid", "ioid")

    def __init__(self, data_type: int, data_count: int, sid: int, ioid: int) -> None:
        self.type_field = data_type
        self.count_field = data_count
        self.parameter1 = sid
        self.parameter2 = ioid
        self.payload = b""
        self.extended = False
        self.owner = None


class ReadRequest(_ReadCommand):
    """Obsolete read, whose reply has no status."""

    __slots__ = ()
    ID = 3


class ReadNotifyRequest(_ReadCommand):
    """Read; `data_count` 0 is whatever length the value has (since 13)."""

    __slots__ = ()
    ID = 15


class _WriteCommand(_Numbered, WithData):
    """A write: values of a plain type, `sid` of the channel, `ioid`.

    `data` is a scalar, a sequence, an array, or bytes-like big-endian wire data. BadValueError if it does not fit.
    """

    __slots__ = ()
    FIELDS = ("data", "data_type", "data_count", "sid", "ioid", "metadata")

    def __init__(
        self,
        data: Any,
        data_type: int,
        data_count: int | None,
        sid: int,
        ioid: int,
        metadata: Metadata | None = None,
    ) -> None:
        data = (None,) if data is None else data  # which no type can say, where a response would have zeros
        self.payload, self.count_field = data_payload(data, data_type, data_count, metadata, True)
        self.type_field = data_type
        self.parameter1 = sid
        self.parameter2 = ioid
        self.extended = False
        self.owner = None


class WriteRequest(_WriteCommand):
    """Write without a reply. By custom `ioid` is the channel's cid, so that an error can be told to it."""

    __slots__ = ()
    ID = 4


class WriteNotifyRequest(_WriteCommand):
    """Write, and be told when all that it set off has finished."""

    __slots__ = ()
    ID = 19


class SearchRequest(_Request, WithName):
    """Who has this channel?"""

    __slots__ = ()
    ID = 6
    FIELDS = ("name", "cid", "version")
    reply = TYPE_FIELD
    version = COUNT_FIELD
    cid = PARAMETER1

    def __init__(self, name: str, cid: int, version: int = MINOR_VERSION, reply: int = DO_NOT_REPLY) -> None:
        super().__init__(reply, version, cid, cid, text_payload(name))


class EventsOffRequest(_Request):
    """Hold all updates of this circuit back."""

    __slots__ = ()
    ID = 8

    def __init__(self) -> None:
        super().__init__()


class EventsOnRequest(_Request):
    """Send updates again."""

    __slots__ = ()
    ID = 9

    def __init__(self) -> None:
        super().__init__()


class ReadSyncRequest(_Request):
    """Obsolete echo."""

    __slots__ = ()
    ID = 10


class ClearChannelRequest(_Request):
    """Give a channel up, with its subscriptions."""

    __slots__ = ()
    ID = 12
    FIELDS = ("sid", "cid")
    sid = PARAMETER1
    cid = PARAMETER2

    def __init__(self, sid: int, cid: int) -> None:
        super().__init__(0, 0, sid, cid)


class CreateChanRequest(_Request, WithName):
    """Open a channel under the client's id."""

    __slots__ = ()
    ID = 18
    FIELDS = ("name", "cid", "version")
    cid = PARAMETER1
    version = PARAMETER2

    def __init__(self, name: str, cid: int, version: int = MINOR_VERSION) -> None:
        super().__init__(0, 0, cid, version, text_payload(name))


class ClientNameRequest(_Request, WithName):
    """The user's name, for the server's access rules."""

    __slots__ = ()
    ID = 20
    FIELDS = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(payload=text_payload(name))


class HostNameRequest(_Request, WithName):
    """The host's name, for the server's access rules."""

    __slots__ = ()
    ID = 21
    FIELDS = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(payload=text_payload(name))


class EchoRequest(_Request):
    """Are you there?"""

    __slots__ = ()
    ID = 23


class _ObsoleteRequest(_Request):
    """Known by name only: no server does what it asks."""

    __slots__ = ()
    FIELDS = ("type_field", "count_field", "parameter1", "parameter2")


class SnapshotRequest(_ObsoleteRequest):
    """Obsolete; servers close the circuit."""

    __slots__ = ()
    ID = 5


class BuildRequest(_ObsoleteRequest):
    """Obsolete; servers close the circuit."""

    __slots__ = ()
    ID = 7


class ReadBuildRequest(_ObsoleteRequest):
    """Obsolete; servers close the circuit."""

    __slots__ = ()
    ID = 16


class SignalRequest(_ObsoleteRequest):
    """Obsolete; servers close the circuit."""

    __slots__ = ()
    ID = 25
