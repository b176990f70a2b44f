"""Short names for what a server says, as tests name it."""

from __future__ import annotations

from caclient.protocol import commands as ca

KINDS: dict[str, tuple[type[ca.Command], ...]] = {
    "any": (ca.Command,),
    "version": (ca.VersionResponse,),
    "rights": (ca.AccessRightsResponse,),
    "create": (ca.CreateChanResponse, ca.CreateChFailResponse),
    "read": (ca.ReadNotifyResponse, ca.ReadResponse),
    "write": (ca.WriteNotifyResponse,),
    "update": (ca.EventAddResponse,),
    "cancel": (ca.EventCancelResponse,),
    "clear": (ca.ClearChannelResponse,),
    "echo": (ca.EchoResponse, ca.ReadSyncResponse),
    "error": (ca.ErrorResponse,),
    "search": (ca.SearchResponse, ca.NotFoundResponse),
}
"""Replies by the kind that `FaultServer`'s methods take."""


def is_kind(command: ca.Command, kind: str) -> bool:
    """Whether a reply is of that kind; KeyError if there is no such kind."""
    return isinstance(command, KINDS[kind])
