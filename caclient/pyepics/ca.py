"""Channels by number: ``epics.ca``, on caclient. Its state and its contexts are here; what is done with channels is
in ``facts``, ``answers``, ``writing``, ``subscribing`` and ``groups``.

A thread needs no context, and nothing needs to be polled: these calls are here because scripts make them.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from . import channels, dbr, scripted
from .answers import (
    get as get,
    get_complete as get_complete,
    get_complete_with_metadata as get_complete_with_metadata,
    get_ctrlvars as get_ctrlvars,
    get_enum_strings as get_enum_strings,
    get_precision as get_precision,
    get_severity as get_severity,
    get_timestamp as get_timestamp,
    get_timevars as get_timevars,
    get_with_metadata as get_with_metadata,
)
from .channels import _CacheItem
from .errors import (
    CASeverityException as CASeverityException,
    ChannelAccessException as ChannelAccessException,
    ChannelAccessGetFailure as ChannelAccessGetFailure,
    message as message,
)
from .facts import (
    ACCESS as ACCESS,
    access as access,
    clear_channel as clear_channel,
    connect_channel as connect_channel,
    create_channel as create_channel,
    element_count as element_count,
    field_type as field_type,
    get_cache as get_cache,
    host_name as host_name,
    isConnected as isConnected,
    name as name,
    promote_fieldtype as promote_fieldtype,
    promote_type as promote_type,
    read_access as read_access,
    replace_access_rights_event as replace_access_rights_event,
    show_cache as show_cache,
    state as state,
    write_access as write_access,
)
from .groups import (
    sg_block as sg_block,
    sg_create as sg_create,
    sg_delete as sg_delete,
    sg_get as sg_get,
    sg_put as sg_put,
    sg_reset as sg_reset,
    sg_test as sg_test,
)
from .guards import (
    PySEVCHK as PySEVCHK,
    withCA as withCA,
    withCHID as withCHID,
    withConnectedCHID as withConnectedCHID,
    withMaybeConnectedCHID as withMaybeConnectedCHID,
    withSEVCHK as withSEVCHK,
)
from .subscribing import clear_subscription as clear_subscription, create_subscription as create_subscription
from .utils import IOENCODING, bytes2str, str2bytes, strjoin, write as write
from .wire import settle
from .writing import put as put

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


# -- threads -----------------------------------------------------------------------------------------------------------


def withInitialContext(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Attach the thread to the first context before."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        use_initial_context()
        return fcn(*args, **kwds)

    return wrapper


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


def version() -> str:
    """The version of the protocol."""
    return "4.13"


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


scripted.ca = sys.modules[__name__]
