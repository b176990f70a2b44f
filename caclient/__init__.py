"""Channel Access for Python: EPICS PVs without libca, from any thread.

``import caclient`` opens no socket, starts no thread, and loads nothing: the first name that is used loads what it
needs, and the first PV opens and starts. Below the PVs lies a protocol core without any I/O. Its names can be had here
too, by those who build other clients, servers or tools; ``__all__`` and ``dir()`` have what users of PVs need.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from caclient.client.api import (
        caget,
        cainfo,
        camonitor,
        caput,
        close_all,
        on_callback_error,
        subscriptions,
        why,
    )
    from caclient.client.causes import Cause
    from caclient.client.completion import Put
    from caclient.client.context import (
        Context,
        default_context,
        set_default_context,
        using,
    )
    from caclient.client.description import Description
    from caclient.client.expect import Expectation
    from caclient.client.listing import Subscriptions
    from caclient.client.live import Display, live, plot
    from caclient.client.many import (
        caget_many,
        caput_many,
        connect_all,
        restore,
        restore_on_exit,
        snapshot,
    )
    from caclient.client.pv import (
        PV,
    )
    from caclient.client.report import (
        Report,
    )
    from caclient.client.results import Results
    from caclient.client.snapshot import Snapshot
    from caclient.client.subscription import Subscription
    from caclient.client.timeout import DEFAULT
    from caclient.client.updates import Updates
    from caclient.client.why import Diagnosis
    from caclient.config import (
        Config,
    )
    from caclient.dbr import (
        AlarmSeverity,
        AlarmStatus,
        ChannelType as ChannelType,
        ControlInfo as ControlInfo,
        Limits,
        Metadata as Metadata,
        Reading,
        TimeStamp as TimeStamp,
    )
    from caclient.dbr.mask import Mask
    from caclient.engine.sockets import (
        bcast_socket as bcast_socket,
        get_address_list as get_address_list,
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
        LimitError,
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
        Broadcaster as Broadcaster,
        extract_address as extract_address,
    )
    from caclient.protocol.channel import (
        ClientChannel as ClientChannel,
        ServerChannel as ServerChannel,
    )
    from caclient.protocol.circuit import (
        VirtualCircuit as VirtualCircuit,
    )
    from caclient.protocol.command import (
        CLIENT as CLIENT,
        SERVER as SERVER,
        Command as Command,
        Role as Role,
    )
    from caclient.protocol.commands import (
        AccessRights as AccessRights,
        AccessRightsResponse as AccessRightsResponse,
        Beacon as Beacon,
        ClearChannelRequest as ClearChannelRequest,
        ClearChannelResponse as ClearChannelResponse,
        ClientNameRequest as ClientNameRequest,
        CreateChanRequest as CreateChanRequest,
        CreateChanResponse as CreateChanResponse,
        CreateChFailResponse as CreateChFailResponse,
        EchoRequest as EchoRequest,
        EchoResponse as EchoResponse,
        ErrorResponse as ErrorResponse,
        EventAddRequest as EventAddRequest,
        EventAddResponse as EventAddResponse,
        EventCancelRequest as EventCancelRequest,
        EventCancelResponse as EventCancelResponse,
        EventsOffRequest as EventsOffRequest,
        EventsOnRequest as EventsOnRequest,
        HostNameRequest as HostNameRequest,
        NotFoundResponse as NotFoundResponse,
        ReadNotifyRequest as ReadNotifyRequest,
        ReadNotifyResponse as ReadNotifyResponse,
        ReadRequest as ReadRequest,
        ReadResponse as ReadResponse,
        ReadSyncRequest as ReadSyncRequest,
        ReadSyncResponse as ReadSyncResponse,
        RepeaterConfirmResponse as RepeaterConfirmResponse,
        RepeaterRegisterRequest as RepeaterRegisterRequest,
        SearchRequest as SearchRequest,
        SearchResponse as SearchResponse,
        ServerDisconnResponse as ServerDisconnResponse,
        VersionRequest as VersionRequest,
        VersionResponse as VersionResponse,
        WriteNotifyRequest as WriteNotifyRequest,
        WriteNotifyResponse as WriteNotifyResponse,
        WriteRequest as WriteRequest,
    )
    from caclient.protocol.states import (
        State as State,
    )
    from caclient.protocol.status import (
        CASeverity as CASeverity,
        CAStatusCode as CAStatusCode,
    )

__version__ = "0.1.0"

__all__ = [
    "AccessDeniedError",
    "AlarmSeverity",
    "AlarmStatus",
    "BadValueError",
    "CAError",
    "CATimeoutError",
    "Cause",
    "ChannelAccessError",
    "Config",
    "Context",
    "ContextClosedError",
    "DEFAULT",
    "DecodeError",
    "Description",
    "Diagnosis",
    "DisconnectedError",
    "Display",
    "Expectation",
    "LimitError",
    "Limits",
    "LocalProtocolError",
    "ManyFailedError",
    "Mask",
    "NoValueError",
    "PV",
    "ProtocolError",
    "Put",
    "ReadOnlyError",
    "Reading",
    "ReentrantError",
    "RemoteProtocolError",
    "Report",
    "Results",
    "Snapshot",
    "Subscription",
    "Subscriptions",
    "Updates",
    "WrongTypeError",
    "caget",
    "caget_many",
    "cainfo",
    "camonitor",
    "caput",
    "caput_many",
    "close_all",
    "connect_all",
    "default_context",
    "live",
    "on_callback_error",
    "plot",
    "restore",
    "restore_on_exit",
    "set_default_context",
    "snapshot",
    "subscriptions",
    "using",
    "why",
]


_PLACES: Final = {
    "client.api": "caget cainfo camonitor caput close_all on_callback_error subscriptions why",
    "client.causes": "Cause",
    "client.completion": "Put",
    "client.context": "Context default_context set_default_context using",
    "client.description": "Description",
    "client.expect": "Expectation",
    "client.listing": "Subscriptions",
    "client.live": "Display live plot",
    "client.many": "caget_many caput_many connect_all restore restore_on_exit snapshot",
    "client.pv": "PV",
    "client.report": "Report",
    "client.results": "Results",
    "client.snapshot": "Snapshot",
    "client.subscription": "Subscription",
    "client.timeout": "DEFAULT",
    "client.updates": "Updates",
    "client.why": "Diagnosis",
    "config": "Config",
    "dbr": "AlarmSeverity AlarmStatus ChannelType ControlInfo Limits Metadata Reading TimeStamp",
    "dbr.mask": "Mask",
    "engine.sockets": "bcast_socket get_address_list",
    "errors": (
        "AccessDeniedError BadValueError CAError CATimeoutError ChannelAccessError ContextClosedError "
        "DecodeError DisconnectedError LimitError LocalProtocolError ManyFailedError NoValueError "
        "ProtocolError ReadOnlyError ReentrantError RemoteProtocolError WrongTypeError"
    ),
    "protocol.broadcaster": "Broadcaster extract_address",
    "protocol.channel": "ClientChannel ServerChannel",
    "protocol.circuit": "VirtualCircuit",
    "protocol.command": "CLIENT SERVER Command Role",
    "protocol.commands": (
        "AccessRights AccessRightsResponse Beacon ClearChannelRequest ClearChannelResponse ClientNameRequest "
        "CreateChanRequest CreateChanResponse CreateChFailResponse EchoRequest EchoResponse ErrorResponse "
        "EventAddRequest EventAddResponse EventCancelRequest EventCancelResponse EventsOffRequest "
        "EventsOnRequest HostNameRequest NotFoundResponse ReadNotifyRequest ReadNotifyResponse ReadRequest "
        "ReadResponse ReadSyncRequest ReadSyncResponse RepeaterConfirmResponse RepeaterRegisterRequest "
        "SearchRequest SearchResponse ServerDisconnResponse VersionRequest VersionResponse WriteNotifyRequest "
        "WriteNotifyResponse WriteRequest"
    ),
    "protocol.states": "State",
    "protocol.status": "CASeverity CAStatusCode",
}
"""Modules, and the names that are taken from them when they are first used."""

_HOMES: Final = {name: module for module, names in _PLACES.items() for name in names.split()}
_FLOORS: Final = ("client", "config", "dbr", "engine", "errors", "protocol", "settings")


def __getattr__(name: str) -> Any:
    """A name that was not used yet, or a floor of the house. *Any thread.*"""
    if name in _HOMES:
        found = globals()[name] = getattr(import_module(f"caclient.{_HOMES[name]}"), name)
        return found
    if name in _FLOORS:
        return import_module(f"caclient.{name}")
    raise AttributeError(f"module 'caclient' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__", "__version__"])
