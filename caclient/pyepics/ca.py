"""Channels by number: ``epics.ca``, on caclient.

A thread needs no context, and nothing needs to be polled: these calls are here because scripts make them.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from math import log10
from typing import Any

from . import channels, dbr, failures
from .channels import _CacheItem
from .errors import (
    MESSAGES,
    UNKNOWN_STATUS,
    CASeverityException,
    ChannelAccessException,
    ChannelAccessGetFailure,
    complain,
)
from .updates import Queue, Wanted
from .utils import IOENCODING, bytes2str, str2bytes, strjoin
from .values import packed, unpacked
from .wire import AccessDeniedError, CAError, ChannelAccessError, Reading, metadata, settle, status_of

__all__ = ["IOENCODING", "bytes2str", "str2bytes", "strjoin"]

PREEMPTIVE_CALLBACK = True
AUTO_CLEANUP = True
WITH_CA_MESSAGES = False
AUTOMONITOR_MAXLENGTH = 65536
DEFAULT_CONNECTION_TIMEOUT = 2.0
DEFAULT_SUBSCRIPTION_MASK = dbr.DBE_VALUE | dbr.DBE_ALARM
HAS_NUMPY = dbr.HAS_NUMPY

initial_context: int | None = None
libca: Any = None
_cache = channels.cache
_MAX_ARRAY_BYTES = "16777216"
_FINALIZED = object()
_clear_cache_callbacks: list[Callable[[], Any]] = []


class _Library:
    """What stands where pyepics has the C library: nothing can be called in it."""

    _name = "caclient"

    def __repr__(self) -> str:
        return "<no library: caclient>"


_library = _Library()


class _GetPending:
    """That an answer has not come yet."""

    def __repr__(self) -> str:
        return "GET_PENDING"


Empty = _GetPending
GET_PENDING = Empty()


# -- beginning and end -------------------------------------------------------------------------------------------------


def find_libca() -> str:
    """Where the library is; there is none to be found, so it is this package."""
    return os.path.dirname(os.path.abspath(__file__))


def initialize_libca() -> Any:
    """Start, in this thread; again after ``finalize_libca``."""
    global libca, initial_context
    if libca is _library:
        return libca
    os.environ.setdefault("EPICS_CA_MAX_ARRAY_BYTES", _MAX_ARRAY_BYTES)
    if libca is None and AUTO_CLEANUP:
        atexit.register(_at_exit)
    libca = _library
    initial_context = channels.new()
    return libca


def finalize_libca(maxtime: float = 10.0) -> None:
    """End: all channels are forgotten."""
    global libca
    if libca is not _library:
        return
    for call in _clear_cache_callbacks:
        call()
    channels.drop_all()
    channels.attach(None)
    libca = _FINALIZED


def _at_exit() -> None:
    global libca
    if libca is _library:
        channels.drop_all()
        libca = _FINALIZED


def _started() -> bool:
    """Whether there is something to talk to; starts it unless it has been ended."""
    if libca is _library:
        return True
    if libca is None:
        initialize_libca()
        return True
    return False


def working_context() -> int:
    """The context that calls of this thread work in; a thread that has none is attached to the first."""
    number = channels.current()
    if number is None:
        number = initial_context if initial_context in channels.contexts else None
        if number is None:
            number = next(iter(channels.contexts), None)
        if number is None:
            number = channels.new()
        channels.attach(number)
    return number


def clear_cache() -> None:
    """Forget all channels and PVs, and begin a new context, which reads the environment again."""
    for call in _clear_cache_callbacks:
        call()
    channels.drop_all()
    channels.attach(None)
    if libca is _library:
        channels.new()


def register_clear_cache(callback: Any) -> None:
    """Have *callback* called when the cache is cleared."""
    if callback is None:
        return
    if not callable(callback):
        raise RuntimeError(f"Cannot register type {type(callback)!r}. Callable required.")
    _clear_cache_callbacks.append(callback)


# -- decorators --------------------------------------------------------------------------------------------------------


def withCA(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Start before the first call; after the end, calls return None."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        return fcn(*args, **kwds) if _started() else None

    return wrapper


def _first(args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
    return kwds["chid"] if "chid" in kwds else (args[0] if args else None)


def withCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """The first argument has to be a channel id."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        if not _started():
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
        if not _started():
            return None
        chid = _first(args, kwds)
        if not isinstance(chid, (dbr.chid_t, int)):
            raise ChannelAccessException(f"{fcn.__name__}: not a valid chid!")
        item = channels.find(chid)
        if not item.conn:
            timeout = kwds.get("timeout") if not required else None
            timeout = DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
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


def withInitialContext(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Attach the thread to the first context before."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        use_initial_context()
        return fcn(*args, **kwds)

    return wrapper


def PySEVCHK(func_name: Any, status: Any, expected: Any = dbr.ECA_NORMAL) -> Any:
    """The status, if it is the expected one."""
    if status == expected:
        return status
    raise CASeverityException(func_name, message(status))


class CAThread(threading.Thread):
    """A thread that belongs to the first context."""

    def run(self) -> None:
        """Attach, and run."""
        if libca is _library and initial_context is not None:
            channels.attach(initial_context)
        super().run()


# -- contexts ----------------------------------------------------------------------------------------------------------


@withCA
def current_context() -> Any:
    """The context of this thread, None if it has none."""
    return channels.current()


@withCA
def context_create(ctx: Any = None) -> int:
    """A context for this thread, unless it has one."""
    if channels.current() is None:
        channels.new()
    return dbr.ECA_NORMAL


@withCA
def create_context(ctx: Any = None) -> None:
    """A context for this thread, unless it has one."""
    context_create(ctx)


@withCA
def context_destroy() -> int:
    """End the context of this thread, with its channels."""
    number = channels.current()
    channels.attach(None)
    channels.drop(number)
    return 0


@withCA
def destroy_context() -> Any:
    """End the context of this thread, with its channels."""
    return context_destroy()


@withCA
def attach_context(context: Any) -> int:
    """Make this the context of this thread, unless it has one."""
    if channels.current() is not None:
        return dbr.ECA_ISATTACHED
    channels.attach(context)
    return dbr.ECA_NORMAL


@withCA
def detach_context() -> int:
    """Leave this thread without a context."""
    channels.attach(None)
    return 0


@withCA
def use_initial_context() -> int:
    """Make the first context this thread's."""
    number = channels.current()
    if number is not None and number != initial_context:
        raise CASeverityException("use_initial_context", message(dbr.ECA_ISATTACHED))
    channels.attach(initial_context)
    return dbr.ECA_NORMAL


# -- polling and information -------------------------------------------------------------------------------------------


@withCA
def poll(evt: float = 1.0e-5, iot: float = 1.0) -> int:
    """Give waiting callbacks the time to run."""
    time.sleep(max(evt, 1.0e-5))
    settle(next(iter(items.values())).wire for items in list(_cache.values()) if items)
    return dbr.ECA_NORMAL


@withCA
def pend_io(timeout: float = 1.0) -> int:
    """Nothing waits to be sent: done."""
    return dbr.ECA_NORMAL


@withCA
def pend_event(timeout: float = 1.0e-5) -> int:
    """Let so much time pass."""
    time.sleep(max(timeout, 1.0e-5))
    return dbr.ECA_TIMEOUT


@withCA
def flush_io() -> int:
    """Nothing waits to be sent: done."""
    return dbr.ECA_NORMAL


@withCA
def test_io() -> bool:
    """Whether all input and output is done."""
    return True


def message(status: Any) -> str:
    """The text of a status."""
    return MESSAGES.get(int(status) or dbr.ECA_NORMAL, UNKNOWN_STATUS)


def version() -> str:
    """The version of the protocol."""
    return "4.13"


def write(msg: str, newline: bool = True, flush: bool = True) -> None:
    """Write to stdout."""
    sys.stdout.write(msg)
    if newline:
        sys.stdout.write("\n")
    if flush:
        sys.stdout.flush()


@withCA
def client_status(context: Any, level: int) -> int:
    """Print what a context does."""
    native = channels.contexts.get(context)
    write(f"context {context}: no channels yet" if native is None else str(native.report()))
    return dbr.ECA_NORMAL


@withCA
def replace_printf_handler(writer: Any = None) -> int:
    """Where messages of the library would go: there are none."""
    if writer is not None and not callable(writer):
        raise ChannelAccessException("argument to replace_printf_handler() must be callable")
    return dbr.ECA_NORMAL


def disable_ca_messages() -> None:
    """Messages of the library: there are none."""
    replace_printf_handler(None)


def enable_ca_messages(writer: Any = "stderr") -> None:
    """Messages of the library: there are none."""
    streams = {"stderr": sys.stderr.write, "stdout": sys.stdout.write}
    replace_printf_handler(streams.get(writer, writer) if isinstance(writer, str) else writer)


def item_of(chid: Any) -> _CacheItem:
    """What is known of a channel."""
    return channels.find(chid)


# -- channels ----------------------------------------------------------------------------------------------------------


@withCA
def create_channel(
    pvname: Any, connect: bool = False, auto_cb: bool = True, callback: Callable[..., Any] | None = None
) -> Any:
    """The id of the channel of a name; *callback* is told of each connection and loss."""
    item = channels.create(working_context(), pvname)
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
    wanted = DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
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
    return None if number is None else _cache[number].get(pvname)


def show_cache(print_out: bool = True) -> str | None:
    """A table of all channels."""
    lines = ["#  PVName        ChannelID/Context Connected?", "#--------------------------------------------"]
    for context, items in list(_cache.items()):
        for pvname, item in list(items.items()):
            lines.append(f" {pvname:15s} {item.chid!r}/{context}  {isConnected(item.chid)}")
    text = "\n".join(lines)
    if not print_out:
        return text
    write(text)
    return None


# -- get ---------------------------------------------------------------------------------------------------------------


def _wanted_count(item: _CacheItem, count: Any) -> int:
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
    if dbr.native_type(ftype) == dbr.CHAR and count < AUTOMONITOR_MAXLENGTH and hasattr(value, "__len__"):
        return _characters(value)
    if ftype == dbr.ENUM and count == 1:
        names = get_enum_strings(item.chid) or ()
        return names[value] if 0 <= value < len(names) else str(value)
    return f"<array count={count:d}, type={ftype:d}>" if count > 1 else str(value)


def _characters(value: Any) -> str:
    return bytes(bytearray(value)).split(b"\0", 1)[0].decode("latin-1").strip()


def _finished(
    item: _CacheItem, reading: Reading, ftype: int, count: Any, as_string: bool, as_numpy: bool
) -> dict[str, Any]:
    value = unpacked(reading.value, as_numpy and HAS_NUMPY)
    if as_string:
        native = dbr.native_type(ftype)
        if count:
            value = _value_text(item, value, _wanted_count(item, count), ftype)
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
    if not item.conn and not item.connect(DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout):
        return failures.failed(None, item.pvname, "not connected")
    ftype = field_type(chid) if ftype is None else ftype
    if ftype == -1:
        return None
    asked = ask(item, ftype, _wanted_count(item, count))
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
    return _finished(item, reading, ftype, count, as_string, as_numpy)


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


def _get_vars(chid: Any, timeout: float, **promotion: bool) -> dict[str, Any] | None:
    item = channels.find(chid)
    if not item.conn and not item.connect(timeout):
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
    return _get_vars(chid, timeout, use_ctrl=True)


@withMaybeConnectedCHID
def get_timevars(chid: Any, timeout: float = 5.0, warn: bool = True) -> dict[str, Any] | None:
    """Time stamp and alarm."""
    return _get_vars(chid, timeout, use_time=True)


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


# -- put ---------------------------------------------------------------------------------------------------------------


@withConnectedCHID
def put(
    chid: Any,
    value: Any,
    wait: bool = False,
    timeout: float = 30,
    callback: Callable[..., Any] | None = None,
    callback_data: Any = None,
    ftype: int | None = None,
) -> int:
    """Write; 1, or -1 if *wait* has run out of time."""
    return put_item(channels.find(chid), value, wait, timeout, callback, callback_data, ftype)


def put_item(
    item: _CacheItem,
    value: Any,
    wait: bool,
    timeout: float,
    callback: Callable[..., Any] | None,
    callback_data: Any,
    ftype: int | None = None,
    queue: Queue | None = None,
) -> int:
    """``put`` for a channel that is connected."""
    wire = item.wire
    ftype = wire.native_type if ftype is None else ftype
    count, data = packed(ftype, wire.count, value)
    try:
        if callback is None and not wait:
            wire.send(ftype, count, data)
            done = True
        elif callback is None:
            done = wire.send_and_wait(ftype, count, data, timeout)
        else:
            completion = _Completion(item, callback, callback_data)
            sent = wire.begin_send(ftype, count, data, queue or item.own().queue, completion)
            done = not wait or sent.over(timeout)
    except AccessDeniedError:
        raise CASeverityException("put", MESSAGES[376]) from None
    except ChannelAccessError as error:
        raise CASeverityException("put", message(status_of(error))) from None
    except CAError:
        raise CASeverityException("put", MESSAGES[192]) from None
    return dbr.ECA_NORMAL if done else _too_slow(item, timeout)


def _too_slow(item: _CacheItem, timeout: float) -> int:
    return failures.failed(-1, item.pvname, f"put not completed after {timeout:.3f} s")


class _Completion:
    """Tells a put's callback that it is over, also when the server has gone."""

    __slots__ = ("callback", "data", "item")

    def __init__(self, item: _CacheItem, callback: Callable[..., Any] | None, data: Any) -> None:
        self.item = item
        self.callback = callback
        self.data = data

    def __call__(self, _sent: Any) -> None:
        callback = self.callback
        if callback is None:
            return
        data = self.data if isinstance(self.data, dict) else {"data": self.data}
        try:
            callback(**{"pvname": self.item.pvname, **data})
        except BaseException as error:  # noqa: BLE001  user code
            complain(callback, error)


# -- subscriptions -----------------------------------------------------------------------------------------------------


class _Events:
    """What gives each update to a callback."""

    __slots__ = ("callback", "ftype", "item")

    def __init__(self, item: _CacheItem, ftype: int, callback: Callable[..., Any] | None) -> None:
        self.item = item
        self.ftype = ftype
        self.callback = callback

    def __call__(self, reading: Reading) -> None:
        callback = self.callback
        if callback is None or (reading.count == 0 and self.ftype < dbr.TIME_STRING):
            return  # no elements and no metadata: libca takes it for the end of the subscription
        try:
            callback(
                value=unpacked(reading.value, HAS_NUMPY),
                ftype=self.ftype,
                count=reading.count,
                chid=self.item.chid_int,
                pvname=self.item.pvname,
                **metadata(reading, self.ftype),
            )
        except BaseException as error:  # noqa: BLE001  user code
            complain(callback, error)


@withCHID
def create_subscription(
    chid: Any,
    use_time: bool = False,
    use_ctrl: bool = False,
    ftype: int | None = None,
    mask: int | None = None,
    callback: Callable[..., Any] | None = None,
    count: int = 0,
    timeout: float | None = None,
) -> tuple[Any, Any, Any]:
    """Have *callback* told of each update; the last item of what is returned ends it."""
    item = channels.find(chid)
    wanted = DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
    if ftype is None:
        if not item.connect(wanted):
            raise ChannelAccessException(
                f"create_subscription() timed out waiting '{chid}' to connect ({wanted:.0f} seconds)"
            )
        ftype = field_type(chid)
    ftype = promote_fieldtype(ftype, use_time=use_time, use_ctrl=use_ctrl)
    events = _Events(item, ftype, callback)
    wire = item.wire
    queue = wire.queue(events)
    watch = wire.watch(Wanted(ftype, "", count or 0), mask or DEFAULT_SUBSCRIPTION_MASK, queue)
    item.watches[id(watch)] = watch
    return events, callback, watch


@withCA
def clear_subscription(event_id: Any) -> int:
    """End a subscription."""
    event_id.close()
    return dbr.ECA_NORMAL


# -- synchronous groups ------------------------------------------------------------------------------------------------

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
    if not item.connect(DEFAULT_CONNECTION_TIMEOUT):
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
    reading = answer(item, asked, ftype, DEFAULT_CONNECTION_TIMEOUT)
    if reading is None:
        return None
    count = item.wire.count if as_string else None
    return _finished(item, reading, ftype, count, as_string, as_numpy)["value"]


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
        sent = wire.begin_send(wire.native_type, count, data, item.own().queue, _Completion(item, None, None))
    except AccessDeniedError:
        raise CASeverityException("sg_put", MESSAGES[376]) from None
    except CAError:
        raise CASeverityException("sg_put", MESSAGES[192]) from None
    group.append(sent.over)
    return dbr.ECA_NORMAL
