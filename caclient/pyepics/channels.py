"""Contexts and channels: the tables behind ``epics.ca``.

A context is a number here. Behind each stands a native one, made with the first channel, so that it reads the
environment then. Threads need not attach to anything: one that has no context uses the first.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from . import dbr
from .errors import CASeverityException, ChannelAccessException, complain
from .utils import bytes2str, str2bytes
from .wire import BadName, Context, Wire

_numbers = itertools.count(0x7F0000001000, 0x40)
_here = threading.local()
_lock = threading.RLock()

contexts: dict[int, Context | None] = {}
"""Native contexts by number; None until there is a channel in it."""
cache: defaultdict[int, dict[str, _CacheItem]] = defaultdict(dict)
"""Channels by context and name; ``epics.ca._cache``."""
by_chid: dict[int, _CacheItem] = {}
"""Channels by number."""


class _Signals:
    """Those who wait for something to change."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Any] = []

    def tell(self) -> None:
        """Something has changed."""
        while self._waiting:
            try:
                signal = self._waiting.pop()
            except IndexError:
                return
            signal.release()

    def wait(self, true: Callable[[], bool], timeout: float) -> bool:
        """Wait until *true* is, at most so many seconds; whether it is."""
        deadline = time.monotonic() + timeout
        while not true():
            signal = threading.Lock()
            signal.acquire()
            self._waiting.append(signal)
            left = deadline - time.monotonic()
            if not true() and (left <= 0 or not signal.acquire(timeout=min(left, 1e6))):
                if signal in self._waiting:
                    try:
                        self._waiting.remove(signal)
                    except ValueError:
                        pass
                return bool(true())
        return True


class _CacheItem:
    """One channel, shared by all who use its name in a context."""

    __slots__ = (
        "__weakref__",
        "_chid",
        "_connecting",
        "_wire",
        "access_event_callback",
        "asked",
        "callbacks",
        "cleared",
        "conn",
        "context",
        "failures",
        "lock",
        "pid",
        "pvname",
        "settling",
        "signals",
        "ts",
        "watches",
    )

    def __init__(self, context: int, pvname: str) -> None:
        self.context = context
        self.pvname = pvname
        self.cleared = False
        self.conn = False
        self.ts = 0.0
        self.failures = 0
        self.callbacks: list[Callable[..., Any]] = []
        self.access_event_callback: list[Callable[..., Any]] = []
        self.settling: list[Callable[[], Any]] = []
        """Called when a loss has been told to everybody."""
        self.asked: dict[int, Any] = {}
        """Reads under way, or their last answers, by type."""
        self.watches: dict[int, Any] = {}
        self.signals = _Signals()
        self.lock = threading.RLock()
        self._chid = dbr.chid_t(next(_numbers))
        self._connecting = False
        self.pid = _pid
        self._wire = Wire(native(context), pvname, self)

    @property
    def wire(self) -> Wire:
        """The channel itself; in a forked child a new one."""
        if self.pid != _pid:
            self._rewire()
        return self._wire

    def _rewire(self) -> None:
        with _lock:
            if self.pid == _pid:
                return
            self.conn = False
            self.asked = {}
            self.watches = {}
            self.signals = _Signals()
            self.lock = threading.RLock()
            self._wire = Wire(native(self.context), self.pvname, self)
            self.pid = _pid

    @property
    def chid(self) -> Any:
        """The channel id as an object."""
        return self._chid

    @property
    def chid_int(self) -> int:
        """The channel id as a number."""
        return int(self._chid.value)

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def __repr__(self) -> str:
        state = "connected" if self.conn else "disconnected"
        return (
            f"<_CacheItem {self.pvname!r} {state} failures={self.failures} callbacks={len(self.callbacks)} "
            f"access_callbacks={len(self.access_event_callback)} chid={self.chid_int}>"
        )

    # -- events: on a worker -------------------------------------------------------------------------------------------

    def on_connection(self, conn: bool) -> None:
        """It has been connected, or lost."""
        self.failures = 0
        self.run_connection_callbacks(conn, time.time())
        self.signals.tell()

    def on_lost(self) -> None:
        """Everybody knows that it is lost."""
        for call in list(self.settling):
            call()
        self.signals.tell()

    def on_access(self, read_access: bool, write_access: bool) -> None:
        """The server has said what it lets us do."""
        self.run_access_event_callbacks(read_access, write_access)

    def join(self, callback: Callable[..., Any] | None, on_access: Callable[..., Any] | None = None) -> bool:
        """Tell these, too, of what happens from now on; whether there is a connection already."""
        with self.lock:
            if callback is not None:
                self.callbacks.append(callback)
            if on_access is not None:
                self.access_event_callback.append(on_access)
            return self.conn

    def run_connection_callbacks(self, conn: bool, timestamp: float) -> None:
        """Tell everybody whether there is a connection."""
        with self.lock:
            self.conn = conn
            self.ts = timestamp
            callbacks = list(self.callbacks)
        for callback in callbacks:
            try:
                callback(pvname=self.pvname, chid=self.chid_int, conn=conn)
            except BaseException as error:  # noqa: BLE001  user code
                complain(callback, error)

    def run_access_event_callbacks(self, ra: bool, wa: bool) -> None:
        """Tell everybody what the server lets us do."""
        for callback in list(self.access_event_callback):
            try:
                callback(ra, wa)
            except BaseException as error:  # noqa: BLE001  user code
                complain(callback, error)

    # -- waiting -------------------------------------------------------------------------------------------------------

    def wait(self, true: Callable[[], bool], timeout: float) -> bool:
        """Wait until something about the channel is true; whether it is."""
        if true():
            return True
        with self.wire.blocking():
            return self.signals.wait(true, timeout)

    def connect(self, timeout: float) -> bool:
        """Wait for the connection; whether there is one."""
        wire = self.wire
        if not self.conn and not self.wait(lambda: self.conn, timeout):
            self.failures += 1
        return self.conn and wire.connected

    def close(self) -> None:
        """Forget it."""
        watches, self.watches = self.watches, {}
        for watch in watches.values():
            watch.close()
        self.callbacks.clear()
        self.access_event_callback.clear()
        self.conn = False
        for call in list(self.settling):
            call()
        self.cleared = True
        if self.pid == _pid:
            self._wire.close()


# -- contexts ----------------------------------------------------------------------------------------------------------


def current() -> int | None:
    """The context of this thread; None if it has none."""
    number = getattr(_here, "context", None)
    return number if number in contexts else None


def attach(number: int | None) -> None:
    """Make it this thread's; None: none."""
    _here.context = number


def new() -> int:
    """Another context, and this thread's from now on."""
    number = next(_numbers)
    contexts[number] = None
    attach(number)
    return number


def native(number: int) -> Context:
    """The native context behind a number, made now if there was none."""
    with _lock:
        context = contexts.get(number)
        if context is None:
            contexts[number] = context = Context()
        return context


def drop(number: int | None) -> None:
    """Forget a context with its channels."""
    items = cache.pop(number, {}) if number is not None else {}
    for item in list(items.values()):
        by_chid.pop(item.chid_int, None)
        item.close()
    context = contexts.pop(number, None) if number is not None else None
    if context is not None:
        context.close()


def drop_all() -> None:
    """Forget all of them."""
    for number in list(contexts):
        drop(number)
    cache.clear()
    by_chid.clear()


# -- channels ----------------------------------------------------------------------------------------------------------


def create(context: int, name: Any) -> _CacheItem:
    """The channel of a name, made if there is none.

    :raises CASeverityException: for a name that no server can be asked for.
    """
    pvname = bytes2str(str2bytes(name))
    with _lock:
        item = cache[context].get(pvname)
        if item is None:
            try:
                item = _CacheItem(context, pvname)
            except BadName:
                raise CASeverityException("create_channel", "Invalid string") from None
            cache[context][pvname] = item
            by_chid[item.chid_int] = item
        return item


def forget(item: _CacheItem) -> None:
    """Clear a channel: its number is unknown from now on."""
    with _lock:
        by_chid.pop(item.chid_int, None)
        if cache[item.context].get(item.pvname) is item:
            del cache[item.context][item.pvname]
    item.close()


def find(chid: Any) -> _CacheItem:
    """The channel of a number or an id object."""
    item = by_chid.get(chid.value if isinstance(chid, dbr.chid_t) else chid)
    if item is None:
        raise ChannelAccessException("Unexpected channel ID")
    return item


_pid = os.getpid()


def this_process() -> int:
    """The process id, without a system call."""
    return _pid


def _after_fork() -> None:
    global _lock, _pid
    _lock = threading.RLock()
    _pid = os.getpid()


os.register_at_fork(after_in_child=_after_fork)
