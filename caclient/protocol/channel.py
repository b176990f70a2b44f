"""A channel on one circuit, from either side: its ids, native type and state, and commands with all that filled in.

The methods only compose: nothing moves until the command goes through `VirtualCircuit.send`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from caclient.dbr.metadata import Metadata
from caclient.dbr.types import ChannelType
from caclient.errors import LocalProtocolError
from caclient.protocol.command import Role
from caclient.protocol.commands import (
    MINOR_VERSION,
    AccessRights,
    AccessRightsResponse,
    ClearChannelRequest,
    ClearChannelResponse,
    ClientNameRequest,
    Command,
    CreateChanRequest,
    CreateChanResponse,
    CreateChFailResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventCancelResponse,
    HostNameRequest,
    ReadNotifyRequest,
    ReadNotifyResponse,
    ServerDisconnResponse,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from caclient.protocol.states import NEW_CHANNEL, NEW_SUBSCRIPTION, Standing, State
from caclient.protocol.status import CAStatusCode

_C = TypeVar("_C", bound=Command)

DYNAMIC_SINCE = 13
"""The minor version from which count 0 asks for whatever length the value has."""
DEFAULT_MASK = 5
"""Changes of value or alarm."""


class Circuit(Protocol):
    """What a channel needs of the circuit that it is on."""

    version: int
    priority: int
    channels: dict[int, Any]
    subscriptions: dict[int, Subscription]

    def new_cid(self) -> int:
        """An id that no channel has."""

    def new_ioid(self) -> int:
        """An id that no request or subscription has."""


class Subscription:
    """What a circuit files under a subscription id."""

    __slots__ = ("channel", "data_count", "data_type", "mask", "owner", "standing", "subscriptionid")

    def __init__(self, channel: Channel, request: EventAddRequest) -> None:
        self.channel = channel
        self.subscriptionid = request.subscriptionid
        self.data_type = request.data_type
        self.data_count = request.data_count
        self.mask = request.mask
        self.owner = request.owner
        self.standing = NEW_SUBSCRIPTION.moves[EventAddRequest]

    @property
    def sid(self) -> int:
        """The server's id of its channel."""
        return self.channel.sid


class Channel:
    """What both sides know of a channel. `sid` is -1, and the native type None, until the server has answered."""

    __slots__ = (
        "access_rights",
        "cid",
        "circuit",
        "name",
        "native_data_count",
        "native_data_type",
        "owner",
        "sid",
        "standing",
        "subscriptions",
    )

    def __init__(self, name: str, circuit: Circuit, cid: int | None = None, owner: Any = None) -> None:
        self.name = name
        self.circuit = circuit
        self.cid = circuit.new_cid() if cid is None else cid
        self.owner = owner
        self.sid = -1
        self.native_data_type: ChannelType | int | None = None
        self.native_data_count = 0
        self.access_rights = AccessRights.NO_ACCESS
        self.standing: Standing = NEW_CHANNEL
        self.subscriptions: dict[int, None] = {}  # ids, in the order of asking
        circuit.channels[self.cid] = self

    @property
    def states(self) -> dict[Role, State]:
        """Where each peer stands."""
        return self.standing.states

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} cid={self.cid} sid={self.sid}: {self.standing}>"

    def _native(self) -> int:
        if self.native_data_type is None:
            raise LocalProtocolError(
                f"{self.name!r} has no native type before the server has created it: {self.standing}"
            )
        return self.native_data_type


class ClientChannel(Channel):
    """A channel as a client holds it."""

    __slots__ = ()

    def version(self) -> VersionRequest:
        """The circuit's first command."""
        return VersionRequest(self.circuit.priority, MINOR_VERSION)

    def host_name(self, name: str) -> HostNameRequest:
        """Tell the server our host's name."""
        return HostNameRequest(name)

    def client_name(self, name: str) -> ClientNameRequest:
        """Tell the server our user's name."""
        return ClientNameRequest(name)

    def create(self) -> CreateChanRequest:
        """Open the channel."""
        return self._owned(CreateChanRequest(self.name, self.cid, MINOR_VERSION))

    def read(
        self, data_type: int | None = None, data_count: int | None = None, ioid: int | None = None
    ) -> ReadNotifyRequest:
        """Read, as the native type and with whatever length the value has where nothing else is asked for."""
        data_type = self._native() if data_type is None else data_type
        ioid = self.circuit.new_ioid() if ioid is None else ioid
        return self._owned(ReadNotifyRequest(data_type, self.count_for(data_count), self.sid, ioid))

    def write(
        self,
        data: Any,
        data_type: int | None = None,
        data_count: int | None = None,
        metadata: Metadata | None = None,
        ioid: int | None = None,
        *,
        notify: bool = True,
    ) -> WriteNotifyRequest | WriteRequest:
        """Write as the native type if none is given; `notify` asks to be told when it is done."""
        data_type = self._native() if data_type is None else data_type
        if not notify:
            number = self.cid if ioid is None else ioid  # the id that an ERROR names the channel by
            return self._owned(WriteRequest(data, data_type, data_count, self.sid, number, metadata))
        number = self.circuit.new_ioid() if ioid is None else ioid
        return self._owned(WriteNotifyRequest(data, data_type, data_count, self.sid, number, metadata))

    def subscribe(
        self,
        data_type: int | None = None,
        data_count: int | None = None,
        subscriptionid: int | None = None,
        low: float = 0.0,
        high: float = 0.0,
        to: float = 0.0,
        mask: int = DEFAULT_MASK,
    ) -> EventAddRequest:
        """Ask for updates."""
        data_type = self._native() if data_type is None else data_type
        number = self.circuit.new_ioid() if subscriptionid is None else subscriptionid
        count = self.count_for(data_count)
        return self._owned(EventAddRequest(data_type, count, self.sid, number, low, high, to, mask))

    def unsubscribe(self, subscriptionid: int) -> EventCancelRequest:
        """End a subscription of this channel."""
        if subscriptionid not in self.subscriptions:
            raise LocalProtocolError(f"{self.name!r} has no subscription {subscriptionid}")
        subscription = self.circuit.subscriptions[subscriptionid]
        return EventCancelRequest(subscription.data_type, self.sid, subscriptionid, subscription.data_count)

    def clear(self) -> ClearChannelRequest:
        """Give the channel up."""
        return ClearChannelRequest(max(self.sid, 0), self.cid)

    def count_for(self, data_count: int | None = None) -> int:
        """The count to ask for: 0 or None means any length, which a server before 13 takes for nothing at all."""
        if not data_count and self.circuit.version < DYNAMIC_SINCE:
            return self.native_data_count
        return data_count or 0

    def _owned(self, command: _C) -> _C:
        command.owner = self.owner
        return command


class ServerChannel(Channel):
    """A channel as a server holds it; `owner` is the server's own affair."""

    __slots__ = ()

    def version(self) -> VersionResponse:
        """The circuit's first command."""
        return VersionResponse(MINOR_VERSION)

    def rights(self, access_rights: int) -> AccessRightsResponse:
        """What the client may do."""
        return AccessRightsResponse(self.cid, access_rights)

    def create(self, native_data_type: int, native_data_count: int, sid: int) -> CreateChanResponse:
        """The channel is open."""
        return CreateChanResponse(native_data_type, native_data_count, self.cid, sid)

    def create_fail(self) -> CreateChFailResponse:
        """There is no such channel."""
        return CreateChFailResponse(self.cid)

    def read(
        self,
        data: Any,
        ioid: int,
        data_type: int | None = None,
        data_count: int | None = None,
        status: int | CAStatusCode = 1,
        *,
        metadata: Metadata | None = None,
    ) -> ReadNotifyResponse:
        """Answer a read."""
        data_type = self._native() if data_type is None else data_type
        return ReadNotifyResponse(data, data_type, data_count, status, ioid, metadata)

    def write(
        self, ioid: int, data_type: int | None = None, data_count: int | None = None, status: int | CAStatusCode = 1
    ) -> WriteNotifyResponse:
        """Answer a write."""
        data_type = self._native() if data_type is None else data_type
        count = self.native_data_count if data_count is None else data_count
        return WriteNotifyResponse(data_type, count, status, ioid)

    def subscribe(
        self,
        data: Any,
        subscriptionid: int,
        data_type: int | None = None,
        data_count: int | None = None,
        status: int | CAStatusCode = 1,
        *,
        metadata: Metadata | None = None,
    ) -> EventAddResponse:
        """Send an update."""
        data_type = self._native() if data_type is None else data_type
        return EventAddResponse(data, data_type, data_count, status, subscriptionid, metadata)

    def unsubscribe(self, subscriptionid: int) -> EventCancelResponse:
        """Confirm a cancel."""
        if subscriptionid not in self.subscriptions:
            raise LocalProtocolError(f"{self.name!r} has no subscription {subscriptionid}")
        subscription = self.circuit.subscriptions[subscriptionid]
        return EventCancelResponse(subscription.data_type, self.sid, subscriptionid, subscription.data_count)

    def clear(self) -> ClearChannelResponse:
        """Confirm the end of the channel."""
        return ClearChannelResponse(max(self.sid, 0), self.cid)

    def disconnect(self) -> ServerDisconnResponse:
        """End the channel unasked."""
        return ServerDisconnResponse(self.cid)
