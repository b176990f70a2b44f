"""What has to hold before a call of ``epics.ca``, and what its status has to be after it: pyepics' decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from . import channels, dbr, scripted
from .errors import CASeverityException, ChannelAccessException, message


def withCA(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Start before the first call; after the end, calls return None."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        return fcn(*args, **kwds) if scripted.ca._started() else None

    return wrapper


def _first(args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
    return kwds["chid"] if "chid" in kwds else (args[0] if args else None)


def withCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """The first argument has to be a channel id."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        if not scripted.ca._started():
            return None
        chid = _first(args, kwds)
        if not isinstance(chid, (dbr.chid_t, int)):
            raise ChannelAccessException(
                f"{fcn.__name__}: not a valid chid {chid} {type(chid)} args {list(args)} kwargs {kwds}!"
            )
        channels.find(chid)
        return fcn(*args, **kwds)

    return wrapper


def _connecting(fcn: Callable[..., Any], required: bool) -> Callable[..., Any]:
    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        if not scripted.ca._started():
            return None
        chid = _first(args, kwds)
        if not isinstance(chid, (dbr.chid_t, int)):
            raise ChannelAccessException(f"{fcn.__name__}: not a valid chid!")
        item = channels.find(chid)
        if not item.ready:
            timeout = kwds.get("timeout") if not required else None
            timeout = scripted.ca.DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
            if not item.connect(timeout) and required:
                raise ChannelAccessException(
                    f"{fcn.__name__}() timed out waiting '{item.pvname}' to connect ({timeout:.0f} seconds)"
                )
        return fcn(*args, **kwds)

    return wrapper


def withMaybeConnectedCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """The first argument has to be a channel id; it is given time to connect."""
    return _connecting(fcn, required=False)


def withConnectedCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """The first argument has to be the id of a channel that is, or gets, connected."""
    return _connecting(fcn, required=True)


def withSEVCHK(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """The status that is returned has to be normal."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        return PySEVCHK(fcn.__name__, fcn(*args, **kwds))

    return wrapper


def PySEVCHK(func_name: Any, status: Any, expected: Any = dbr.ECA_NORMAL) -> Any:
    """The status, if it is the expected one."""
    if status == expected:
        return status
    raise CASeverityException(func_name, message(status))
