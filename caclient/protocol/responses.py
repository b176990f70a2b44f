"""What a server says on a circuit (VERSION, SEARCH and NOT_FOUND in datagrams too): one class for each command."""

from __future__ import annotations

import struct
from enum import IntFlag
from functools import lru_cache
from typing import Any

from caclient.dbr.metadata import Metadata
from caclient.dbr.text import cut, to_text
from caclient.protocol.command import (
    COUNT_FIELD,
    NOBODY,
    PARAMETER1,
    PARAMETER2,
    SERVER,
    TYPE_FIELD,
    Command,
    Typed,
    WithChannel,
    WithData,
    WithStatus,
    data_payload,
    status_number,
    text_payload,
)
from caclient.protocol.header import SHORT_SIZE, Header
from caclient.protocol.requests import DO_REPLY, MINOR_VERSION
from caclient.protocol.status import CAStatusCode, status_of

Address = tuple[str, int]

THE_SENDER = "255.255.255.255"
"""As the address in a search reply: the one that the reply came from."""
_SEARCH_VERSION = struct.Struct(">H6x")


class AccessRights(IntFlag):
    """What the server lets a client do with a channel."""

    NO_ACCESS = 0
    READ = 1
    WRITE = 2


_RIGHTS = tuple(map(AccessRights, range(4)))


class _Response(Command):
    __slots__ = ()
    SENDER = SERVER


class VersionResponse(_Response):
    """The server's version, sent unasked; in a datagram with the number of the request's datagram."""

    __slots__ = ()
    ID = 0
    FIELDS = ("version",)
    version = COUNT_FIELD
    sequence = PARAMETER1

    def __init__(self, version: int = MINOR_VERSION, sequence: int | None = None) -> None:
        super().__init__(int(sequence is not None), version, sequence or 0)

    @property
    def sequence_valid(self) -> bool:
        """Whether `sequence` is a number."""
        return self.type_field & 1 == 1

    def shown(self) -> tuple[str, ...]:
        return ("version", "sequence") if self.sequence_valid and self.parameter1 else self.FIELDS


class EventAddResponse(_Response, WithStatus, WithData):
    """An update of a subscription."""

    __slots__ = ()
    ID = 1
    FIELDS = ("data", "data_type", "data_count", "status", "subscriptionid", "metadata")
    subscriptionid = PARAMETER2

    def __init__(
        self,
        data: Any,
        data_type: int,
        data_count: int | None,
        status: int | CAStatusCode,
        subscriptionid: int,
        metadata: Metadata | None = None,
    ) -> None:
        payload, count = data_payload(data, data_type, data_count, metadata)
        super().__init__(data_type, count, status_number(status), subscriptionid, payload)


class EventCancelResponse(_Response, Typed):
    """A subscription has ended. On the wire it is an update without payload, whose status is the sid."""

    __slots__ = ()
    ID = 1
    FIELDS = ("data_type", "sid", "subscriptionid", "data_count")
    sid = PARAMETER1
    subscriptionid = PARAMETER2

    def __init__(self, data_type: int, sid: int, subscriptionid: int, data_count: int = 0) -> None:
        super().__init__(data_type, data_count, sid, subscriptionid)


class ReadResponse(_Response, WithData):
    """Reply to the obsolete read: no status, and the cid instead of the sid."""

    __slots__ = ()
    ID = 3
    FIELDS = ("data", "data_type", "data_count", "cid", "ioid", "metadata")
    cid = PARAMETER1
    ioid = PARAMETER2

    def __init__(
        self,
        data: Any,
        data_type: int,
        data_count: int | None,
        cid: int,
        ioid: int,
        metadata: Metadata | None = None,
    ) -> None:
        payload, count = data_payload(data, data_type, data_count, metadata, True)
        super().__init__(data_type, count, cid, ioid, payload)


class SearchResponse(_Response):
    """I have that channel, on this port. Over TCP it has no payload, hence no version.

    `sender` is the address that the datagram came from, None where unknown.
    """

    __slots__ = ("_sender",)
    ID = 6
    FIELDS = ("port", "ip", "cid", "version")
    port = TYPE_FIELD
    cid = PARAMETER2
    _sender: Address

    def __init__(self, port: int, ip: str | None, cid: int, version: int | None = MINOR_VERSION) -> None:
        payload = b"" if version is None else _SEARCH_VERSION.pack(version)
        super().__init__(port, 0, address_number(ip or THE_SENDER), cid, payload)

    @property
    def ip(self) -> str:
        """The server's address; 255.255.255.255 for the one that this came from."""
        return address_text(self.parameter1)

    @property
    def version(self) -> int | None:
        """The server's minor version; None if the reply does not say."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 4 else None

    @property
    def sender(self) -> Address | None:
        """Where the reply came from, if known."""
        return getattr(self, "_sender", None)

    @sender.setter
    def sender(self, address: Address) -> None:
        self._sender = address


class ReadSyncResponse(_Response):
    """Obsolete echo."""

    __slots__ = ()
    ID = 10


class ErrorResponse(_Response):
    """A request failed that has no reply to say so in: its header, the status, and what the server says of it."""

    __slots__ = ()
    ID = 11
    FIELDS = ("original_request", "cid", "status", "error_message")
    cid = PARAMETER1

    def __init__(
        self,
        original_request: Header | Command,
        cid: int = NOBODY,
        status: int | CAStatusCode = 142,
        error_message: str = "",
    ) -> None:
        header = original_request.header if isinstance(original_request, Command) else original_request
        payload = header.to_bytes() + text_payload(error_message)
        super().__init__(0, 0, cid, status_number(status), payload)

    @property
    def status(self) -> CAStatusCode:
        """What went wrong."""
        return status_of(self.parameter2)

    @property
    def original_request(self) -> Header:
        """The header of what failed; RemoteProtocolError if the payload does not hold one."""
        return Header.from_bytes(bytes(self.payload[: SHORT_SIZE + 8]))

    @property
    def error_message(self) -> str:
        """The server's words; often the record's name."""
        return to_text(cut(bytes(self.payload[self.original_request.size :])))


class _Ending(_Response):
    """A channel's end.

    `orphans` are the owners of its requests that nobody will answer now; the circuit finds them on receipt.
    """

    __slots__ = ("_orphans",)
    _orphans: list[Any]

    @property
    def orphans(self) -> list[Any]:
        """Who waits in vain from now on."""
        return getattr(self, "_orphans", [])

    @orphans.setter
    def orphans(self, owners: list[Any]) -> None:
        self._orphans = owners


class ClearChannelResponse(_Ending):
    """A channel is gone, as asked."""

    __slots__ = ()
    ID = 12
    FIELDS = ("sid", "cid")
    sid = PARAMETER1
    cid = PARAMETER2

    def __init__(self, sid: int, cid: int) -> None:
        super().__init__(0, 0, sid, cid)


class NotFoundResponse(_Response):
    """I do not have that channel; only said if asked to."""

    __slots__ = ()
    ID = 14
    FIELDS = ("version", "cid", "reply_flag")
    reply_flag = TYPE_FIELD
    version = COUNT_FIELD
    cid = PARAMETER1

    def __init__(self, version: int, cid: int, reply_flag: int = DO_REPLY) -> None:
        super().__init__(reply_flag, version, cid, cid)


class ReadNotifyResponse(_Response, WithStatus, WithData):
    """Reply to a read."""

    __slots__ = ()
    ID = 15
    FIELDS = ("data", "data_type", "data_count", "status", "ioid", "metadata")
    ioid = PARAMETER2

    def __init__(
        self,
        data: Any,
        data_type: int,
        data_count: int | None,
        status: int | CAStatusCode,
        ioid: int,
        metadata: Metadata | None = None,
    ) -> None:
        payload, count = data_payload(data, data_type, data_count, metadata)
        super().__init__(data_type, count, status_number(status), ioid, payload)


class CreateChanResponse(_Response, Typed):
    """A channel is open under the server's id (0 is one like any other), with its native type and count."""

    __slots__ = ()
    ID = 18
    FIELDS = ("data_type", "data_count", "cid", "sid")
    cid = PARAMETER1
    sid = PARAMETER2

    def __init__(self, data_type: int, data_count: int, cid: int, sid: int) -> None:
        super().__init__(data_type, data_count, cid, sid)


class WriteNotifyResponse(_Response, WithStatus):
    """A write has finished, with all that it set off."""

    __slots__ = ()
    ID = 19
    FIELDS = ("data_type", "data_count", "status", "ioid")
    ioid = PARAMETER2

    def __init__(self, data_type: int, data_count: int, status: int | CAStatusCode, ioid: int) -> None:
        super().__init__(data_type, data_count, status_number(status), ioid)


class AccessRightsResponse(_Response, WithChannel):
    """What may be done with a channel; sent before it is open and whenever it changes."""

    __slots__ = ()
    ID = 22
    FIELDS = ("cid", "access_rights")

    def __init__(self, cid: int, access_rights: int) -> None:
        super().__init__(cid)
        self.parameter2 = int(access_rights)

    @property
    def access_rights(self) -> AccessRights:
        """The two bits that have a meaning."""
        return _RIGHTS[self.parameter2 & 3]


class EchoResponse(_Response):
    """I am here: the request's fields and payload, copied."""

    __slots__ = ()
    ID = 23


class CreateChFailResponse(_Ending, WithChannel):
    """There is no such channel."""

    __slots__ = ()
    ID = 26


class ServerDisconnResponse(_Ending, WithChannel):
    """The channel is gone, though the circuit lives."""

    __slots__ = ()
    ID = 27


def copied(response: type[Command], request: Command) -> Any:
    """An echo's answer: the request's fields and payload under the name of the response."""
    return response.from_header(request.header, request.payload)


def address_number(ip: str) -> int:
    """A dotted IPv4 address as the 32 bits that a header carries; ValueError if it is none."""
    parts = bytes(map(int, ip.split(".")))
    if len(parts) != 4:
        raise ValueError(f"not an IPv4 address: {ip!r}")
    return int.from_bytes(parts, "big")


@lru_cache(maxsize=1024)
def address_text(number: int) -> str:
    """32 bits of a header as a dotted IPv4 address."""
    return ".".join(map(str, number.to_bytes(4, "big")))
