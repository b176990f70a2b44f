"""Values of a channel of ``epics.ca``, and what comes with them."""

from __future__ import annotations

import warnings
from math import log10
from typing import Any

from . import channels, dbr, failures, scripted
from .channels import _CacheItem
from .errors import MESSAGES, CASeverityException, ChannelAccessGetFailure
from .facts import field_type, promote_type
from .guards import withConnectedCHID, withMaybeConnectedCHID
from .values import unpacked
from .wire import AccessDeniedError, CAError, ChannelAccessError, Reading, metadata, status_of


def wanted_count(item: _CacheItem, count: Any) -> int:
    if count is not None and count < 0:
        raise CASeverityException("get", MESSAGES[176])
    return 0 if count is None else min(int(count), item.wire.count)


def ask(item: _CacheItem, ftype: int, count: int) -> Any:
    """A read under way: the one there is already for this type, or a new one.

    :raises CASeverityException: if the server does not let us read, or there is no such type.
    """
    if not 0 <= ftype <= dbr.CLASS_NAME:
        raise CASeverityException("get", MESSAGES[114])
    asked = item.asked.get(ftype)
    if asked is not None and not asked.done:
        return asked
    try:
        asked = item.wire.ask(ftype, count)
    except AccessDeniedError:
        raise CASeverityException("get", MESSAGES[368]) from None
    except CAError:
        raise CASeverityException("get", MESSAGES[192]) from None
    item.asked[ftype] = asked
    return asked


def answer(item: _CacheItem, asked: Any, ftype: int, timeout: float) -> Reading | None:
    """The answer to a read; None if it has not come in time.

    :raises ChannelAccessGetFailure: the server could not read it, or has gone.
    """
    try:
        reading: Reading | None = asked.answer(timeout)
    except ChannelAccessError as error:
        raise _failure(item, status_of(error)) from None
    except CAError:
        raise _failure(item, 192) from None
    if reading is not None and ftype not in dbr.NAMES:
        raise ChannelAccessGetFailure(f"Get failed; unknown type: {ftype}", item.chid, dbr.ECA_NORMAL)
    return reading


def read(item: _CacheItem, ftype: int, count: int, timeout: float) -> Reading | None:
    """Ask and wait: like ``ask`` and ``answer``, but quicker, since nobody can come back for the answer."""
    asked = item.asked.get(ftype)
    if timeout <= 0 or (asked is not None and not asked.done):
        return answer(item, ask(item, ftype, count), ftype, timeout)
    try:
        return item.wire.read(ftype, count, timeout)
    except AccessDeniedError:
        raise CASeverityException("get", MESSAGES[368]) from None
    except ChannelAccessError as error:
        raise _failure(item, status_of(error)) from None
    except CAError:
        raise _failure(item, 192) from None


def _failure(item: _CacheItem, status: int) -> ChannelAccessGetFailure:
    return ChannelAccessGetFailure(f"Get failed; status code: {status}", item.chid, status)


def default_timeout(count: Any) -> float:
    """Seconds that an answer may take."""
    return 1.0 if not count else 1.0 + log10(max(1, count))


def timed_out(pvname: str, timeout: float) -> None:
    """Say that no answer has come."""
    warnings.warn(f"ca.get('{pvname}') timed out after {timeout:.2f} seconds.")
    failures.failed(None, pvname, f"no answer after {timeout:.3f} s")


def _dressed(reading: Reading, ftype: int, value: Any) -> dict[str, Any]:
    return {**metadata(reading, ftype), "value": value}


def _value_text(item: _CacheItem, value: Any, count: int, ftype: int) -> Any:
    """The value as text, for a count that was asked for."""
    if dbr.native_type(ftype) == dbr.CHAR and count < scripted.ca.AUTOMONITOR_MAXLENGTH and hasattr(value, "__len__"):
        return _characters(value)
    if ftype == dbr.ENUM and count == 1:
        names = get_enum_strings(item.chid) or ()
        return names[value] if 0 <= value < len(names) else str(value)
    return f"<array count={count:d}, type={ftype:d}>" if count > 1 else str(value)


def _characters(value: Any) -> str:
    return bytes(bytearray(value)).split(b"\0", 1)[0].decode("latin-1").strip()


def finished(
    item: _CacheItem, reading: Reading, ftype: int, count: Any, as_string: bool, as_numpy: bool
) -> dict[str, Any]:
    value = unpacked(reading.value, as_numpy and scripted.ca.HAS_NUMPY)
    if as_string:
        native = dbr.native_type(ftype)
        if count:
            value = _value_text(item, value, wanted_count(item, count), ftype)
        elif native == dbr.CHAR and hasattr(value, "__len__"):
            value = _characters(value)
        else:
            value = str(value)
    return _dressed(reading, ftype, value)


@withMaybeConnectedCHID
def get_with_metadata(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    wait: bool = True,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> dict[str, Any] | None:
    """The value of a channel, and what comes with it in this type, as a dict; None if there is none in time."""
    item = channels.find(chid)
    if not item.ready and not item.connect(scripted.ca.DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout):
        return failures.failed(None, item.pvname, "not connected")
    ftype = field_type(chid) if ftype is None else ftype
    if ftype == -1:
        return None
    asked = ask(item, ftype, wanted_count(item, count))
    if not wait:
        return None
    return _completed(item, asked, ftype, count, timeout, as_string, as_numpy)


def _completed(
    item: _CacheItem, asked: Any, ftype: int, count: Any, timeout: float | None, as_string: bool, as_numpy: bool
) -> dict[str, Any] | None:
    timeout = default_timeout(count) if timeout is None else timeout
    reading = answer(item, asked, ftype, timeout)
    if reading is None:
        timed_out(item.pvname, timeout)
        return None
    return finished(item, reading, ftype, count, as_string, as_numpy)


@withMaybeConnectedCHID
def get(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    wait: bool = True,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> Any:
    """The value of a channel; None if there is none in time, or *wait* is false."""
    found = get_with_metadata(
        chid, ftype=ftype, count=count, wait=wait, timeout=timeout, as_string=as_string, as_numpy=as_numpy
    )
    return None if found is None else found["value"]


@withConnectedCHID
def get_complete_with_metadata(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> dict[str, Any] | None:
    """What ``get_with_metadata`` with ``wait=False`` asked for."""
    item = channels.find(chid)
    ftype = field_type(chid) if ftype is None else ftype
    asked = item.asked.get(ftype)
    if asked is None:
        warnings.warn("get_complete without initial get() call")
        return None
    if count is None and as_string:
        count = item.wire.count
        timeout = 1.0 if timeout is None else timeout
    return _completed(item, asked, ftype, count, timeout, as_string, as_numpy)


@withConnectedCHID
def get_complete(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> Any:
    """What ``get`` with ``wait=False`` asked for."""
    found = get_complete_with_metadata(
        chid, ftype=ftype, count=count, timeout=timeout, as_string=as_string, as_numpy=as_numpy
    )
    return None if found is None else found["value"]


def get_vars(chid: Any, timeout: float, **promotion: bool) -> dict[str, Any] | None:
    item = channels.find(chid)
    if not item.ready and not item.connect(timeout):
        raise CASeverityException("get", MESSAGES[192])
    ftype = promote_type(chid, **promotion)
    reading = answer(item, ask(item, ftype, 1), ftype, timeout)
    if reading is None:
        timed_out(item.pvname, timeout)
        return None
    return metadata(reading, ftype)


@withMaybeConnectedCHID
def get_ctrlvars(chid: Any, timeout: float = 5.0, warn: bool = True) -> dict[str, Any] | None:
    """Units, limits, precision, names of states: what the type has."""
    return get_vars(chid, timeout, use_ctrl=True)


@withMaybeConnectedCHID
def get_timevars(chid: Any, timeout: float = 5.0, warn: bool = True) -> dict[str, Any] | None:
    """Time stamp and alarm."""
    return get_vars(chid, timeout, use_time=True)


def _one_of(found: dict[str, Any] | None, key: str, default: Any) -> Any:
    if found is None:
        raise AttributeError("'NoneType' object has no attribute 'get'")
    return found.get(key, default)


def get_timestamp(chid: Any) -> Any:
    """The time stamp in seconds since 1970."""
    return _one_of(get_timevars(chid), "timestamp", 0)


def get_severity(chid: Any) -> Any:
    """The alarm severity."""
    return _one_of(get_timevars(chid), "severity", 0)


def get_precision(chid: Any) -> Any:
    """Digits after the point; None for what is no float."""
    if field_type(chid) not in (dbr.FLOAT, dbr.DOUBLE):
        return None
    return _one_of(get_ctrlvars(chid), "precision", 0)


def get_enum_strings(chid: Any) -> Any:
    """Names of the states; None for what is no enum."""
    return _one_of(get_ctrlvars(chid), "enum_strs", None) if field_type(chid) == dbr.ENUM else None
