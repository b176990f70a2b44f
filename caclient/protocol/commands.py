"""Every command by its name, and by its number for each sender and transport."""

from __future__ import annotations

from caclient.protocol.command import CLIENT, NOBODY, SERVER, Command, Role
from caclient.protocol.datagrams import Beacon, RepeaterConfirmResponse, RepeaterRegisterRequest
from caclient.protocol.requests import (
    DO_NOT_REPLY,
    DO_REPLY,
    MINOR_VERSION,
    BuildRequest,
    ClearChannelRequest,
    ClientNameRequest,
    CreateChanRequest,
    EchoRequest,
    EventAddRequest,
    EventCancelRequest,
    EventsOffRequest,
    EventsOnRequest,
    HostNameRequest,
    ReadBuildRequest,
    ReadNotifyRequest,
    ReadRequest,
    ReadSyncRequest,
    SearchRequest,
    SignalRequest,
    SnapshotRequest,
    VersionRequest,
    WriteNotifyRequest,
    WriteRequest,
)
from caclient.protocol.responses import (
    THE_SENDER,
    AccessRights,
    AccessRightsResponse,
    ClearChannelResponse,
    CreateChanResponse,
    CreateChFailResponse,
    EchoResponse,
    ErrorResponse,
    EventAddResponse,
    EventCancelResponse,
    NotFoundResponse,
    ReadNotifyResponse,
    ReadResponse,
    ReadSyncResponse,
    SearchResponse,
    ServerDisconnResponse,
    VersionResponse,
    WriteNotifyResponse,
    copied,
)


def _by_number(*classes: type[Command]) -> dict[int, type[Command]]:
    return {cls.ID: cls for cls in classes}


CIRCUIT: dict[Role, dict[int, type[Command]]] = {
    CLIENT: _by_number(
        VersionRequest,
        EventAddRequest,
        EventCancelRequest,
        ReadRequest,
        WriteRequest,
        SnapshotRequest,
        SearchRequest,
        BuildRequest,
        EventsOffRequest,
        EventsOnRequest,
        ReadSyncRequest,
        ClearChannelRequest,
        ReadNotifyRequest,
        ReadBuildRequest,
        CreateChanRequest,
        WriteNotifyRequest,
        ClientNameRequest,
        HostNameRequest,
        EchoRequest,
        SignalRequest,
    ),
    SERVER: _by_number(
        VersionResponse,
        EventAddResponse,  # EventCancelResponse has the same number: only the law can tell them apart
        ReadResponse,
        SearchResponse,
        ReadSyncResponse,
        ErrorResponse,
        ClearChannelResponse,
        NotFoundResponse,
        ReadNotifyResponse,
        CreateChanResponse,
        WriteNotifyResponse,
        AccessRightsResponse,
        EchoResponse,
        CreateChFailResponse,
        ServerDisconnResponse,
    ),
}
"""What each side may say on a circuit, by command number."""

DATAGRAM: dict[Role, dict[int, type[Command]]] = {
    CLIENT: _by_number(VersionRequest, SearchRequest, Beacon, RepeaterRegisterRequest),
    SERVER: _by_number(
        VersionResponse, SearchResponse, ErrorResponse, Beacon, NotFoundResponse, RepeaterConfirmResponse
    ),
}
"""What may come from each side in a datagram; a repeater hears beacons as if from its clients."""

COMMANDS: tuple[type[Command], ...] = tuple(
    dict.fromkeys(
        cls
        for table in (CIRCUIT, DATAGRAM)
        for classes in table.values()
        for cls in (*classes.values(), EventCancelResponse)
    )
)
"""Every class there is."""

__all__ = [
    "CIRCUIT",
    "CLIENT",
    "COMMANDS",
    "DATAGRAM",
    "DO_NOT_REPLY",
    "DO_REPLY",
    "MINOR_VERSION",
    "NOBODY",
    "SERVER",
    "THE_SENDER",
    "AccessRights",
    "AccessRightsResponse",
    "Beacon",
    "BuildRequest",
    "ClearChannelRequest",
    "ClearChannelResponse",
    "ClientNameRequest",
    "Command",
    "CreateChFailResponse",
    "CreateChanRequest",
    "CreateChanResponse",
    "EchoRequest",
    "EchoResponse",
    "ErrorResponse",
    "EventAddRequest",
    "EventAddResponse",
    "EventCancelRequest",
    "EventCancelResponse",
    "EventsOffRequest",
    "EventsOnRequest",
    "HostNameRequest",
    "NotFoundResponse",
    "ReadBuildRequest",
    "ReadNotifyRequest",
    "ReadNotifyResponse",
    "ReadRequest",
    "ReadResponse",
    "ReadSyncRequest",
    "ReadSyncResponse",
    "RepeaterConfirmResponse",
    "RepeaterRegisterRequest",
    "Role",
    "SearchRequest",
    "SearchResponse",
    "ServerDisconnResponse",
    "SignalRequest",
    "SnapshotRequest",
    "VersionRequest",
    "VersionResponse",
    "WriteNotifyRequest",
    "WriteNotifyResponse",
    "WriteRequest",
    "copied",
]
