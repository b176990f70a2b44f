"""What is open between two peers: channels by cid and sid, requests by ioid, subscriptions by id; and who asked.

Every command that passes, either way, is entered here by the judge of its class: it finds the entry that the command
is about, looks the move up in that entry's law, and files or closes it. The judges are the same for both sides and both
directions, for they keep books on both peers. The direction matters only for whom to blame: an id that is in no book is
our error if we send it, and a reply that came too late if we receive it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from caclient.dbr.types import ChannelType
from caclient.protocol.books import MAX_TYPE, Books
from caclient.protocol.channel import Channel, ClientChannel, ServerChannel, Subscription
from caclient.protocol.command import Command, Role
from caclient.protocol.commands import (
    AccessRights,
    AccessRightsResponse,
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
    ReadNotifyRequest,
    ReadNotifyResponse,
    ReadRequest,
    ReadResponse,
    SearchRequest,
    ServerDisconnResponse,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from caclient.protocol.crowds import Made, Pair
from caclient.protocol.runs import ReadRows
from caclient.protocol.states import (
    ENDING_SUBSCRIPTION,
    NEW_CHANNEL,
    NEW_REQUEST,
    NEW_SUBSCRIPTION,
    Standing,
)

OLDEST_CLIENT = 4
"""Servers close a circuit to a client older than this minor version."""
SEARCH_SINCE = 12
"""The minor version from which a server understands a search over TCP."""
MAX_PRIORITY = 99
MAX_NATIVE_TYPE = 6
MAX_DEPARTED = 4096
"""Channels that a server has disconnected are remembered up to this many, for what its client had sent them before."""
_FIRST_STS = 7

_NATIVE_TYPES = [ChannelType(number) for number in range(MAX_NATIVE_TYPE + 1)]
_RIGHTS = [AccessRights(number) for number in range(4)]
_AWAITING_CREATE = NEW_CHANNEL.moves[CreateChanRequest]
_AS_MADE = {
    standing: standing.moves[AccessRightsResponse].moves[CreateChanResponse]
    for standing in (_AWAITING_CREATE, _AWAITING_CREATE.moves[AccessRightsResponse])
}
"""Where a channel stands after its rights and its creation have come, by where it stood before."""

Judge: TypeAlias = "Callable[[Any], Command | None]"

AWAITING: dict[type, Standing] = {
    ReadNotifyRequest: NEW_REQUEST.moves[ReadNotifyRequest],
    WriteNotifyRequest: NEW_REQUEST.moves[WriteNotifyRequest],
    ReadRequest: NEW_REQUEST.moves[ReadRequest],
    ReadRows: NEW_REQUEST.moves[ReadNotifyRequest],
}
"""Where a request stands that is filed under an ioid: its class says it."""


class Ledger(Books):
    """The books of one circuit. A judge returns what is to be handed on, None for what came too late."""

    def __init__(self, our_role: Role, priority: int) -> None:
        super().__init__(our_role, priority)
        self._judges: dict[type[Command], Judge] = {
            VersionRequest: self._client_version,
            VersionResponse: self._server_version,
            SearchRequest: self._search,
            CreateChanRequest: self._create,
            CreateChanResponse: self._created,
            CreateChFailResponse: self._channel_ended,
            ServerDisconnResponse: self._channel_ended,
            AccessRightsResponse: self._rights,
            ClearChannelRequest: self._clear,
            ClearChannelResponse: self._cleared,
            WriteRequest: self._use,
            **dict.fromkeys((ReadNotifyRequest, WriteNotifyRequest, ReadRequest), self._request),
            **dict.fromkeys((ReadNotifyResponse, WriteNotifyResponse, ReadResponse), self._reply),
            EventAddRequest: self._subscribe,
            EventAddResponse: self._update,
            EventCancelRequest: self._cancel,
            EventCancelResponse: self._cancelled,
            ErrorResponse: self._error,
        }

    # ---- the circuit

    def _client_version(self, command: VersionRequest) -> Command:
        if command.version < OLDEST_CLIENT:
            raise self.fault(command, f"minor version {command.version} is below {OLDEST_CLIENT}")
        if command.priority > MAX_PRIORITY:
            raise self.fault(command, f"priority {command.priority} is above {MAX_PRIORITY}")
        if self._is_server:
            self.version = command.version
        return command

    def _server_version(self, command: VersionResponse) -> Command:
        if not self._is_server:
            self.version = command.version
        return command

    def _search(self, command: SearchRequest) -> Command:
        if not self._is_server and self.version < SEARCH_SINCE:
            raise self.fault(command, f"the server's minor version {self.version} is below {SEARCH_SINCE}")
        return command

    # ---- channels

    def _channel(self, command: Command, cid: int) -> Channel | None:
        """The channel of a response, legal for it; None if it is too late."""
        channel: Channel | None = self.channels.get(cid)
        if channel is None:
            self.too_late(command, f"no channel has cid {cid}")
        elif command.__class__ not in channel.standing.moves:
            raise self.illegal(command, f"channel {channel.name!r}", channel.standing)
        return channel

    def _channel_of(self, command: Command) -> Channel | None:
        """The channel of a request, legal for it; None if the server has disconnected it meanwhile."""
        channel = self.channels_sid.get(command.parameter1)
        if channel is None:
            self._no_channel(command)
            return None
        if command.__class__ not in channel.standing.moves:
            raise self.illegal(command, f"channel {channel.name!r}", channel.standing)
        if self._is_server:
            command.owner = channel
        return channel

    def _no_channel(self, command: Command) -> None:
        """Count what a client sent before it saw its channel disconnected; raise for the rest."""
        sid = command.parameter1
        if not (self._is_server and sid in self._departed):
            raise self.illegal(command, f"no channel has sid {sid}: it has to be created first; it", NEW_CHANNEL)
        self.count_late(command.__class__)

    def _create(self, command: CreateChanRequest) -> Command:
        self._check_create(command)
        channel = self.channels.get(command.cid)
        if channel is None:
            kind = ServerChannel if self._is_server else ClientChannel
            channel = kind(command.name, self, command.cid)
        elif CreateChanRequest not in channel.standing.moves:
            raise self.illegal(command, f"channel {channel.name!r} (cid {command.cid})", channel.standing)
        if self._is_server:
            self.version = command.version
            command.owner = channel
        else:
            channel.owner = channel.owner if command.owner is None else command.owner
        channel.standing = channel.standing.moves[CreateChanRequest]
        return command

    def _check_create(self, command: CreateChanRequest) -> None:
        if command.version < OLDEST_CLIENT:
            raise self.fault(command, f"minor version {command.version} is below {OLDEST_CLIENT}")
        if not self._is_server and command.payload[:1] in (b"", b"\0"):
            raise self.fault(command, "servers never answer an empty name")

    def _created(self, command: CreateChanResponse) -> Command | None:
        channel = self._channel(command, command.cid)
        if channel is None:
            return None
        if command.type_field > MAX_NATIVE_TYPE:
            raise self.fault(command, f"{command.type_field} is no native type")
        if command.sid in self.channels_sid:
            raise self.fault(command, f"sid {command.sid} belongs to channel {self.channels_sid[command.sid].name!r}")
        self._departed.pop(command.sid, None)
        self.channels_sid[command.sid] = channel
        channel.sid = command.sid
        channel.native_data_type = command.data_type
        channel.native_data_count = command.data_count
        channel.standing = channel.standing.moves[CreateChanResponse]
        command.owner = channel.owner
        return command

    def make_channels(self, rows: Sequence[Pair], made: list[Made]) -> None:
        """Enter rights and creation of one channel after the other, as `_rights` and `_created` would, up to the first
        that is not as plain as that: it is left to them.
        """
        channels, by_sid, departed = self.channels, self.channels_sid, self._departed
        for _, _, _, _, cid, rights, _, _, data_type, count, _, sid in rows:
            channel = channels.get(cid)
            if channel is None or data_type > MAX_NATIVE_TYPE or sid in by_sid:
                return
            following = _AS_MADE.get(channel.standing)
            if following is None:
                return
            if departed:
                departed.pop(sid, None)
            by_sid[sid] = channel
            channel.sid = sid
            channel.native_data_type = _NATIVE_TYPES[data_type]
            channel.native_data_count = count
            channel.access_rights = _RIGHTS[rights & 3]
            channel.standing = following
            made.append(Made(channel.owner, sid, data_type, count, rights))

    def _rights(self, command: AccessRightsResponse) -> Command | None:
        channel = self._channel(command, command.cid)
        if channel is None:
            return None
        channel.access_rights = command.access_rights
        command.owner = channel.owner
        return command

    def _clear(self, command: ClearChannelRequest) -> Command | None:
        channel = self._channel_of(command)
        if channel is None:
            return None
        if channel.cid != command.cid:
            raise self.fault(command, f"sid {command.sid} belongs to cid {channel.cid}, not {command.cid}")
        channel.standing = channel.standing.moves[ClearChannelRequest]
        for number in channel.subscriptions:
            self.subscriptions[number].standing = ENDING_SUBSCRIPTION
        return command

    def _cleared(self, command: ClearChannelResponse) -> Command | None:
        return self._end(command, command.cid)

    def _channel_ended(self, command: CreateChFailResponse | ServerDisconnResponse) -> Command | None:
        return self._end(command, command.cid)

    def _end(self, command: Any, cid: int) -> Command | None:
        channel = self._channel(command, cid)
        if channel is None:
            return None
        channel.standing = channel.standing.moves[command.__class__]
        command.orphans = self._close_books(channel)
        command.owner = channel.owner
        return command  # type: ignore[no-any-return]

    def _close_books(self, channel: Channel) -> list[Any]:
        """Remove a channel with all that is filed for it: the owners of its requests."""
        del self.channels[channel.cid]
        if self.channels_sid.pop(channel.sid, None) is None:
            return []
        if self._is_server:
            self._departed[channel.sid] = None
            if len(self._departed) > MAX_DEPARTED:
                del self._departed[next(iter(self._departed))]
        for number in channel.subscriptions:
            del self.subscriptions[number]
        channel.subscriptions.clear()
        return [self.ioids.pop(ioid).owner for ioid in self._asked_of(channel.sid)]

    def _asked_of(self, sid: int) -> list[int]:
        """The ids of a channel's requests.

        They are sorted by channel only now, and once for all channels that end before another request is filed: filing
        each by its channel would cost every request, and looking at all of them for each channel is quadratic.
        """
        if not self.ioids:
            return []
        now = self._next_id, self._filed
        if self._asked_at != now:
            self._asked_at, self._asked = now, {}
            for ioid, request in self.ioids.items():
                self._asked.setdefault(request.sid_of(ioid), []).append(ioid)
        return [ioid for ioid in self._asked.pop(sid, ()) if ioid in self.ioids]

    # ---- requests

    def _use(self, command: WriteRequest) -> Command | None:
        return None if self._channel_of(command) is None else command

    def _request(self, command: Command) -> Command | None:
        if command.type_field > MAX_TYPE and not self._is_server:
            raise self.fault(command, f"{command.type_field} is no DBR type")
        if self._channel_of(command) is None:
            return None
        ioid = command.parameter2
        if ioid not in self.ioids:
            self.ioids[ioid] = command
            self._filed += 1
        elif not (self._is_server and self._is_refresh(command, ioid)):
            standing = AWAITING[self.ioids[ioid].__class__]
            raise self.illegal(command, f"ioid {ioid} is in use; its request", standing)
        return command

    def _is_refresh(self, command: Command, number: int) -> bool:
        """Whether a read, or its answer, carries the id of a subscription that it refreshes."""
        subscription = self.subscriptions.get(number)
        return subscription is not None and command.__class__ in subscription.standing.moves

    def _reply(self, command: Command) -> Command | None:
        ioid = command.parameter2
        request = self.ioids.get(ioid)
        if request is None:
            return self._unasked(command, ioid)
        standing = AWAITING[request.__class__]
        if command.__class__ not in standing.moves:
            raise self.illegal(command, f"request {ioid}", standing)
        del self.ioids[ioid]
        command.owner = request.owner
        return command

    def _unasked(self, command: Command, ioid: int) -> Command | None:
        if self._is_refresh(command, ioid):
            command.owner = self.subscriptions[ioid].owner
            return command
        self.too_late(command, f"no request has ioid {ioid}")
        return None

    # ---- subscriptions

    def _subscribe(self, command: EventAddRequest) -> Command | None:
        if command.type_field > MAX_TYPE and not self._is_server:
            raise self.fault(command, f"{command.type_field} is no DBR type")
        channel = self._channel_of(command)
        if channel is None:
            return None
        number = command.parameter2
        if number in self.subscriptions:
            standing = self.subscriptions[number].standing
            raise self.illegal(command, f"subscription id {number} is in use; it", standing)
        if not command.mask:
            raise self.fault(command, "an empty event mask asks for nothing")
        self.subscriptions[number] = Subscription(channel, command)
        channel.subscriptions[number] = None
        return command

    def _update(self, command: EventAddResponse) -> Command | None:
        subscription = self.subscriptions.get(command.parameter2)
        if subscription is None:
            self.too_late(command, f"no subscription has id {command.parameter2}")
            return None
        if subscription.standing is ENDING_SUBSCRIPTION:
            return self._update_at_end(command)
        command.owner = subscription.owner
        return command

    def _update_at_end(self, command: EventAddResponse) -> Command | None:
        """Between a cancel and its reply: updates that were on their way, or the reply itself."""
        if command.SENDER is self.our_role:
            if not command.payload:
                raise self.fault(command, "the client would take an empty update for the reply to its cancel")
            return command
        if self.is_cancel_reply(command):
            return self._cancelled(as_cancel(command))
        self.count_late(EventAddResponse)
        return None

    def is_cancel_reply(self, command: Command) -> bool:
        """Whether an update is the reply to a cancel: the same number, no payload, while a cancel is pending.

        An empty array of a plain type looks the same but for the status in place of the sid.
        """
        if command.payload:
            return False
        subscription = self.subscriptions.get(command.parameter2)
        if subscription is None or subscription.standing is not ENDING_SUBSCRIPTION:
            return False
        empty_array = command.count_field == 0 and command.type_field < _FIRST_STS and command.parameter1 == 1
        return not empty_array or subscription.sid == 1

    def _cancel(self, command: EventCancelRequest) -> Command | None:
        channel = self._channel_of(command)
        if channel is None:
            return None
        number = command.parameter2
        subscription = self.subscriptions.get(number)
        if subscription is None or subscription.channel is not channel:
            what = f"channel {channel.name!r} has no subscription {number}; it"
            raise self.illegal(command, what, NEW_SUBSCRIPTION)
        if EventCancelRequest not in subscription.standing.moves:
            raise self.illegal(command, f"subscription {number}", subscription.standing)
        subscription.standing = subscription.standing.moves[EventCancelRequest]
        return command

    def _cancelled(self, command: EventCancelResponse) -> Command | None:
        number = command.parameter2
        subscription = self.subscriptions.get(number)
        if subscription is None:
            self.too_late(command, f"no subscription has id {number}")
            return None
        if EventCancelResponse not in subscription.standing.moves:
            raise self.illegal(command, f"subscription {number}", subscription.standing)
        del self.subscriptions[number]
        del subscription.channel.subscriptions[number]
        command.owner = subscription.owner
        return command

    # ---- errors

    def _error(self, command: ErrorResponse) -> Command | None:
        """Find whom an ERROR concerns by the header inside it; nobody in particular is a good answer too."""
        header = command.original_request
        number, ours = header.command, header.parameter2
        if number in (ReadNotifyRequest.ID, WriteNotifyRequest.ID, ReadRequest.ID):
            return self._request_failed(command, ours)
        if number in (EventAddRequest.ID, EventCancelRequest.ID) and ours in self.subscriptions:
            command.owner = self.subscriptions[ours].owner
            return command
        if number == CreateChanRequest.ID:
            return self._create_failed(command, header.parameter1)
        named = (command.cid, ours) if number in (WriteRequest.ID, ClearChannelRequest.ID) else (command.cid,)
        channel = next((self.channels[cid] for cid in named if cid in self.channels), None)
        command.owner = None if channel is None else channel.owner
        return command

    def _request_failed(self, command: ErrorResponse, ioid: int) -> Command | None:
        request = self.ioids.pop(ioid, None)
        if request is not None:
            command.owner = request.owner
        elif ioid in self.subscriptions:
            command.owner = self.subscriptions[ioid].owner
        elif not self._is_server and command.cid in self.channels:
            self.count_late(ErrorResponse)
            return None
        return command

    def _create_failed(self, command: ErrorResponse, cid: int) -> Command:
        channel = self.channels.get(cid)
        if channel is not None and ErrorResponse in channel.standing.moves:
            channel.standing = channel.standing.moves[ErrorResponse]
            self._close_books(channel)
            command.owner = channel.owner
        return command


def as_cancel(command: Command) -> EventCancelResponse:
    """An update that turned out to be the reply to a cancel."""
    return EventCancelResponse.from_header(command.header)  # type: ignore[no-any-return]
