"""A channel of ``epics.ca``: made, connected, described, forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import channels, dbr, failures, scripted
from .channels import _CacheItem
from .guards import withCA, withCHID
from .utils import write


@withCA
def create_channel(
    pvname: Any, connect: bool = False, auto_cb: bool = True, callback: Callable[..., Any] | None = None
) -> Any:
    """The id of the channel of a name; *callback* is told of each connection and loss."""
    item = channels.create(scripted.ca.working_context(), pvname)
    if callback is not None:
        own = item.own()
        item.callbacks.append(callback)
        if own.told:
            callback(pvname=item.pvname, chid=item.chid_int, conn=True)
    if connect:
        connect_channel(item.chid)
    return item.chid


@withCHID
def connect_channel(chid: Any, timeout: float | None = None, verbose: bool = False) -> bool:
    """Wait for the connection; whether there is one."""
    item = channels.find(chid)
    if verbose:
        write(f" connect channel -> {item.chid!r} {state(chid)} {dbr.CS_CONN} ")
    wanted = scripted.ca.DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
    return item.connect(wanted) or failures.failed(False, item.pvname, f"not connected after {wanted:.3f} s")


def isConnected(chid: Any) -> bool:
    """Whether there is a connection."""
    return bool(state(chid) == dbr.CS_CONN)


@withCHID
def state(chid: Any) -> int:
    """0: never connected, 1: lost, 2: connected."""
    item = channels.find(chid)
    if item.conn and item.wire.connected:
        return dbr.CS_CONN
    return 1 if item.wire.was_connected else 0


@withCHID
def name(chid: Any) -> str:
    """The name of the PV."""
    return channels.find(chid).pvname


@withCHID
def host_name(chid: Any) -> str:
    """``host:port`` of the server."""
    wire = channels.find(chid).wire
    return wire.host if wire.connected else "<disconnected>"


@withCHID
def element_count(chid: Any) -> int:
    """The most elements that it can have."""
    wire = channels.find(chid).wire
    return wire.count if wire.connected else 0


@withCHID
def field_type(chid: Any) -> int:
    """Its native type."""
    wire = channels.find(chid).wire
    return wire.native_type if wire.connected else -1


@withCHID
def read_access(chid: Any) -> int:
    """Whether the server lets us read."""
    return int(channels.find(chid).wire.access[0])


@withCHID
def write_access(chid: Any) -> int:
    """Whether the server lets us write."""
    return int(channels.find(chid).wire.access[1])


ACCESS = {(1, 1): "read/write", (1, 0): "read-only", (0, 1): "write-only", (0, 0): "no access"}


def access(chid: Any) -> str:
    """What the server lets us do, in words."""
    return ACCESS[read_access(chid), write_access(chid)]


@withCHID
def promote_type(chid: Any, use_time: bool = False, use_ctrl: bool = False) -> Any:
    """The type of the channel with the time stamp, or with units and limits."""
    return promote_fieldtype(field_type(chid), use_time=use_time, use_ctrl=use_ctrl)


def promote_fieldtype(ftype: Any, use_time: bool = False, use_ctrl: bool = False) -> Any:
    """The number of a native type with the time stamp, or with units and limits; text has no such."""
    if use_ctrl:
        ftype = ftype + dbr.CTRL_STRING
    elif use_time:
        ftype = ftype + dbr.TIME_STRING
    return dbr.TIME_STRING if ftype == dbr.CTRL_STRING else ftype


@withCHID
def replace_access_rights_event(chid: Any, callback: Callable[..., Any] | None = None) -> None:
    """Have *callback* told of the access rights, now and when they change."""
    item = channels.find(chid)
    item.own()
    if callback is not None:
        item.access_event_callback.append(callback)
    wire = item.wire
    if wire.connected and item.conn:
        item.run_access_event_callbacks(*wire.access)


@withCHID
def clear_channel(chid: Any) -> int:
    """Forget the channel."""
    channels.forget(channels.find(chid))
    return dbr.ECA_NORMAL


@withCA
def get_cache(pvname: Any) -> _CacheItem | None:
    """What is known of the channel of a name in this context."""
    number = channels.current()
    return None if number is None else channels.cache[number].get(pvname)


def show_cache(print_out: bool = True) -> str | None:
    """A table of all channels."""
    lines = ["#  PVName        ChannelID/Context Connected?", "#--------------------------------------------"]
    for context, items in list(channels.cache.items()):
        for pvname, item in list(items.items()):
            lines.append(f" {pvname:15s} {item.chid!r}/{context}  {isConnected(item.chid)}")
    text = "\n".join(lines)
    if not print_out:
        return text
    write(text)
    return None
