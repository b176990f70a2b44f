"""Channel Access for Python: EPICS PVs without libca, from any thread.

``import caclient`` opens no socket and starts no thread; the first PV does. Below the PVs lies a protocol core without
any I/O, whose names are here too, for those who build other clients, servers or tools.
"""

from __future__ import annotations

from caclient.client.api import (
    caget,
    caget_many,
    cainfo,
    camonitor,
    caput,
    caput_many,
    connect_all,
)
from caclient.client.bulk import (
    ConnectResult,
)
from caclient.client.context import (
    Context,
    default_context,
)
from caclient.client.pv import (
    PV,
)
from caclient.client.report import (
    Report,
)
from caclient.client.subscription import (
    DBE_ALARM,
    DBE_LOG,
    DBE_PROPERTY,
    DBE_VALUE,
    Subscription,
    Updates,
)
from caclient.config import (
    Config,
)
from caclient.dbr import (
    AlarmSeverity,
    AlarmStatus,
    ChannelType,
    ControlInfo,
    Limits,
    Metadata,
    Reading,
    TimeStamp,
)
from caclient.engine.sockets import (
    bcast_socket,
    get_address_list,
)
from caclient.errors import (
    AccessDeniedError,
    BadValueError,
    CAError,
    CATimeoutError,
    ChannelAccessError,
    ContextClosedError,
    DecodeError,
    DisconnectedError,
    LocalProtocolError,
    ManyFailedError,
    NoValueError,
    ProtocolError,
    ReadOnlyError,
    ReentrantError,
    RemoteProtocolError,
    WrongTypeError,
)
from caclient.protocol.broadcaster import (
    Broadcaster,
    extract_address,
)
from caclient.protocol.channel import (
    ClientChannel,
    ServerChannel,
)
from caclient.protocol.circuit import (
    VirtualCircuit,
)
from caclient.protocol.command import (
    CLIENT,
    SERVER,
    Command,
    Role,
)
from caclient.protocol.commands import (
    AccessRights,
    AccessRightsResponse,
    Beacon,
    ClearChannelRequest,
    ClearChannelResponse,
    ClientNameRequest,
    CreateChanRequest,
    CreateChanResponse,
    CreateChFailResponse,
    EchoRequest,
    EchoResponse,
    ErrorResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventCancelResponse,
    EventsOffRequest,
    EventsOnRequest,
    HostNameRequest,
    NotFoundResponse,
    ReadNotifyRequest,
    ReadNotifyResponse,
    ReadRequest,
    ReadResponse,
    ReadSyncRequest,
    ReadSyncResponse,
    RepeaterConfirmResponse,
    RepeaterRegisterRequest,
    SearchRequest,
    SearchResponse,
    ServerDisconnResponse,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from caclient.protocol.states import (
    State,
)
from caclient.protocol.status import (
    CASeverity,
    CAStatusCode,
)

__version__ = "0.1.0"

__all__ = [
    "AccessDeniedError",
    "AccessRights",
    "AccessRightsResponse",
    "AlarmSeverity",
    "AlarmStatus",
    "BadValueError",
    "Beacon",
    "Broadcaster",
    "CAError",
    "CASeverity",
    "CAStatusCode",
    "CATimeoutError",
    "CLIENT",
    "ChannelAccessError",
    "ChannelType",
    "ClearChannelRequest",
    "ClearChannelResponse",
    "ClientChannel",
    "ClientNameRequest",
    "Command",
    "Config",
    "ConnectResult",
    "Context",
    "ContextClosedError",
    "ControlInfo",
    "CreateChFailResponse",
    "CreateChanRequest",
    "CreateChanResponse",
    "DBE_ALARM",
    "DBE_LOG",
    "DBE_PROPERTY",
    "DBE_VALUE",
    "DecodeError",
    "DisconnectedError",
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
    "Limits",
    "LocalProtocolError",
    "ManyFailedError",
    "Metadata",
    "NoValueError",
    "NotFoundResponse",
    "PV",
    "ProtocolError",
    "ReadNotifyRequest",
    "ReadNotifyResponse",
    "ReadRequest",
    "ReadResponse",
    "ReadSyncRequest",
    "ReadSyncResponse",
    "ReadOnlyError",
    "Reading",
    "ReentrantError",
    "RemoteProtocolError",
    "RepeaterConfirmResponse",
    "RepeaterRegisterRequest",
    "Report",
    "Role",
    "SERVER",
    "SearchRequest",
    "SearchResponse",
    "ServerChannel",
    "ServerDisconnResponse",
    "State",
    "Subscription",
    "TimeStamp",
    "Updates",
    "VersionRequest",
    "VersionResponse",
    "VirtualCircuit",
    "WriteNotifyRequest",
    "WriteNotifyResponse",
    "WriteRequest",
    "WrongTypeError",
    "bcast_socket",
    "caget",
    "caget_many",
    "cainfo",
    "camonitor",
    "caput",
    "caput_many",
    "connect_all",
    "default_context",
    "extract_address",
    "get_address_list",
]
