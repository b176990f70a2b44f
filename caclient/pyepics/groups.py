"""Synchronous groups of ``epics.ca``: gets and puts that are waited for together."""

from __future__ import annotations

import ctypes
import time
from typing import Any

from . import channels, dbr, scripted
from .answers import answer, ask, finished
from .channels import _CacheItem
from .errors import MESSAGES, CASeverityException, ChannelAccessException
from .guards import withCA
from .values import packed
from .wire import AccessDeniedError, CAError
from .writing import Completion

_groups: dict[int, list[Any]] = {}


def _group(gid: Any, function: str) -> list[Any]:
    group = _groups.get(gid.value if isinstance(gid, ctypes.c_ulong) else gid)
    if group is None:
        raise CASeverityException(function, MESSAGES[354])
    return group


@withCA
def sg_create() -> Any:
    """A group of gets and puts that are waited for together."""
    gid = ctypes.c_ulong(next(channels._numbers))
    _groups[gid.value] = []
    return gid


@withCA
def sg_delete(gid: Any) -> int:
    """Forget a group."""
    _group(gid, "sg_delete")
    del _groups[gid.value if isinstance(gid, ctypes.c_ulong) else gid]
    return dbr.ECA_NORMAL


@withCA
def sg_block(gid: Any, timeout: float = 10.0) -> int:
    """Wait for all that is under way in a group."""
    group = _group(gid, "sg_block")
    deadline = time.monotonic() + timeout
    while group:
        if not group[0](max(0.0, deadline - time.monotonic())):
            raise CASeverityException("sg_block", MESSAGES[80])
        group.pop(0)
    return dbr.ECA_NORMAL


@withCA
def sg_test(gid: Any) -> int:
    """Whether all of a group is done."""
    group = _group(gid, "sg_test")
    while group and group[0](0.0):
        group.pop(0)
    if group:
        raise CASeverityException("sg_test", MESSAGES[347])
    return dbr.ECA_IODONE


@withCA
def sg_reset(gid: Any) -> int:
    """Give up what is under way in a group."""
    _group(gid, "sg_reset").clear()
    return dbr.ECA_NORMAL


def _group_member(chid: Any) -> _CacheItem:
    if not isinstance(chid, dbr.chid_t):
        raise ChannelAccessException("not a valid chid!")
    item = channels.find(chid)
    if not item.connect(scripted.ca.DEFAULT_CONNECTION_TIMEOUT):
        raise ChannelAccessException(f"'{item.pvname}' is not connected")
    return item


@withCA
def sg_get(gid: Any, chid: Any, ftype: int | None = None, as_numpy: bool = True, as_string: bool = True) -> Any:
    """Read in a group. The value is waited for here: in pyepics it is whatever lay in the buffer before it came."""
    item = _group_member(chid)
    group = _group(gid, "sg_get")
    ftype = item.wire.native_type if ftype is None else ftype
    asked = ask(item, ftype, 0)
    group.append(lambda timeout: answer(item, asked, ftype, timeout) is not None)
    reading = answer(item, asked, ftype, scripted.ca.DEFAULT_CONNECTION_TIMEOUT)
    if reading is None:
        return None
    count = item.wire.count if as_string else None
    return finished(item, reading, ftype, count, as_string, as_numpy)["value"]


@withCA
def sg_put(gid: Any, chid: Any, value: Any) -> int:
    """Write in a group."""
    item = _group_member(chid)
    group = _group(gid, "sg_put")
    wire = item.wire
    if isinstance(value, str) and wire.native_type not in (dbr.STRING, dbr.CHAR) and wire.count == 1:
        value = float(value) if wire.native_type in (dbr.FLOAT, dbr.DOUBLE) else int(value)
    count, data = packed(wire.native_type, wire.count, value)
    try:
        sent = wire.begin_send(wire.native_type, count, data, item.own().queue, Completion(item, None, None))
    except AccessDeniedError:
        raise CASeverityException("sg_put", MESSAGES[376]) from None
    except CAError:
        raise CASeverityException("sg_put", MESSAGES[192]) from None
    group.append(sent.over)
    return dbr.ECA_NORMAL
