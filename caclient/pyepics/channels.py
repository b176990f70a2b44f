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

from caclient.engine.signals import await_signal, new_signal

from . import dbr
from .errors import CASeverityException, ChannelAccessException, complain
from .updates import Arrivals, Queue
from .utils import bytes2str, str2bytes
from .wire import BadName, Context, Note, Wire

_numbers = itertools.count(0x7F0000001000, 0x40)
_here = threading.local()
_lock = threading.RLock()
_TELLING = 1.0
"""Seconds that others wait for a callback that is told of a connection."""

contexts: dict[int, Context | None] = {}
"""Native contexts by number; None until there is a channel in it."""
arrivals: defaultdict[int, Arrivals] = defaultdict(Arrivals)
"""What waits for the engine threads of contexts."""
cache: defaultdict[int, dict[str, _CacheItem]] = defaultdict(dict)
"""Channels by context and name; ``epics.ca._cache``."""
by_chid: dict[int, _CacheItem] = {}
"""Channels by number."""


class Signals:
    """Those who wait for something to change."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Any] = []

    @property
    def waited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

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
            signal = new_signal()
            self._waiting.append(signal)
            if not true() and not await_signal(signal, deadline):
                if signal in self._waiting:
                    try:
                        self._waiting.remove(signal)
                    except ValueError:
                        pass
                return bool(true())
        return True


class Listener:
    """Who is told, in order and one call at a time on a worker, what happens to a channel."""

    __slots__ = ("on_connection", "on_lost", "on_rights", "queue", "silent", "told")

    def __init__(
        self,
        queue: Queue,
        on_connection: Callable[[bool], Any],
        on_rights: Callable[[bool, bool], Any],
        on_lost: Callable[[], Any],
        told: bool,
        silent: Callable[[], bool],
    ) -> None:
        self.queue = queue
        self.on_connection = on_connection
        self.on_rights = on_rights
        self.on_lost = on_lost
        self.told = told
        """Whether it knows of a connection."""
        self.silent = silent
        """Whether nobody's code is called for connections: then the engine thread can do it at once."""

    # -- engine thread -------------------------------------------------------------------------------------------------

    def up(self, rights: tuple[bool, bool]) -> None:
        """There is a connection."""
        if not self.told:
            self.told = True
            if self.silent():
                self._up(rights)
                return
            self.queue.note(Note(self._up, rights, connection=True))

    def rights(self, rights: tuple[bool, bool]) -> None:
        """There are other rights."""
        if self.told:
            if self.silent():
                self._rights(rights)
                return
            self.queue.note(Note(self._rights, rights))

    def down(self) -> None:
        """There is none any more."""
        if self.told:
            self.told = False
            if self.silent():
                self._down(None)
                return
            self.queue.note(Note(self._down, None, connection=True))

    # -- on a worker, or the engine thread if it is silent -------------------------------------------------------------

    def _up(self, rights: tuple[bool, bool]) -> None:
        self.on_rights(*rights)
        self.on_connection(True)

    def _rights(self, rights: tuple[bool, bool]) -> None:
        self.on_rights(*rights)

    def _down(self, _: None) -> None:
        self.on_connection(False)
        self.on_rights(False, False)
        self.on_lost()


class _CacheItem:
    """One channel, shared by all who use its name in a context."""

    __slots__ = (
        "__weakref__",
        "_chid",
        "_listeners",
        "_own",
        "_wire",
        "access_event_callback",
        "asked",
        "callbacks",
        "chid_int",
        "cleared",
        "conn",
        "context",
        "failures",
        "pvname",
        "signals",
        "telling",
        "ts",
        "watches",
    )

    def __init__(self, context: int, pvname: str) -> None:
        self.context = context
        self.pvname = pvname
        self.cleared = False
        self.conn = False
        self.telling = False
        """Its callbacks are still to be told of the connection, which in pyepics comes before anything else."""
        self.ts = 0.0
        self.failures = 0
        self.callbacks: list[Callable[..., Any]] = []
        self.access_event_callback: list[Callable[..., Any]] = []
        self.asked: dict[int, Any] = {}
        """Reads under way, or their last answers, by type."""
        self.watches: dict[int, Any] = {}
        self.signals = Signals()
        self._listeners: tuple[Listener, ...] = ()
        self._own: Listener | None = None
        self.chid_int = next(_numbers)
        """The channel id as a number."""
        self._chid = dbr.chid_t(self.chid_int)
        self._wire = Wire(native(context), pvname, self, arrivals[context])

    @property
    def ready(self) -> bool:
        """Whether it is connected, and its callbacks know."""
        return self.conn and not self.telling

    @property
    def wire(self) -> Wire:
        """The channel itself."""
        self._wire.revive()
        return self._wire

    @property
    def chid(self) -> Any:
        """The channel id as an object."""
        return self._chid

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def __repr__(self) -> str:
        state = "connected" if self.conn else "disconnected"
        return (
            f"<_CacheItem {self.pvname!r} {state} failures={self.failures} callbacks={len(self.callbacks)} "
            f"access_callbacks={len(self.access_event_callback)} chid={self.chid_int}>"
        )

    # -- what the channel tells: engine thread -------------------------------------------------------------------------

    def on_up(self, rights: tuple[bool, bool]) -> None:
        """It has been connected."""
        self.telling = self._own is not None and not self._silent()
        self.conn = True
        self.ts = time.time()
        self.failures = 0
        for listener in self._listeners:
            listener.up(rights)
        self.signals.tell()

    def on_rights(self, rights: tuple[bool, bool]) -> None:
        """The server lets us do other things."""
        for listener in self._listeners:
            listener.rights(rights)

    def on_down(self) -> None:
        """It has been lost."""
        self.conn = self.telling = False
        self.ts = time.time()
        for listener in self._listeners:
            listener.down()
        self.signals.tell()

    def on_orphan(self) -> None:
        """This is a forked child: whoever listened did so in the parent. *The only thread.*"""
        self.conn = self.telling = False
        self.asked, self.watches = {}, {}
        self.signals = Signals()
        for listener in self._listeners:
            listener.queue.stop()
        self._listeners, self._own = (), None

    def _admit(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)
        if self.conn:
            listener.up(self._wire.access)
        else:
            listener.down()

    def _dismiss(self, listener: Listener) -> None:
        self._listeners = tuple(other for other in self._listeners if other is not listener)

    # -- listeners: any thread -----------------------------------------------------------------------------------------

    def admit(self, listener: Listener) -> None:
        """Tell it, too, of what happens from now on, or has happened and it does not know."""
        self.wire.on_engine(self._admit, listener)

    def dismiss(self, listener: Listener) -> None:
        """Tell it nothing any more."""
        listener.queue.stop()
        self._wire.on_engine(self._dismiss, listener)

    def own(self) -> Listener:
        """What tells the callbacks of this item itself."""
        own = self._own
        if own is None:
            self._own = own = Listener(
                self.wire.queue(_ignore),
                self._tell_connection,
                self.run_access_event_callbacks,
                _nothing,
                self.conn,
                self._silent,
            )
            self.admit(own)
        return own

    def _silent(self) -> bool:
        return not (self.callbacks or self.access_event_callback)

    def _tell_connection(self, conn: bool) -> None:
        self.run_connection_callbacks(conn, self.ts)
        if conn:
            self._told()

    def _told(self) -> None:
        self.telling = False
        self.signals.tell()

    def run_connection_callbacks(self, conn: bool, timestamp: float) -> None:
        """Tell everybody whether there is a connection."""
        for callback in list(self.callbacks):
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
        """Wait for the connection, and until its callbacks have been told; whether there is one."""
        wire = self.wire
        if not self.conn and not self.wait(lambda: self.conn, timeout):
            self.failures += 1
        if self.telling and not wire.on_worker and not self.wait(lambda: not self.telling, min(timeout, _TELLING)):
            self._told()  # or every call would wait for one that is stuck
        return self.conn and wire.connected

    def close(self) -> None:
        """Forget it."""
        watches, self.watches = self.watches, {}
        for watch in watches.values():
            watch.close()
        self.callbacks.clear()
        self.access_event_callback.clear()
        listeners, self._listeners, self._own = self._listeners, (), None
        self.conn = False
        self.cleared = True
        for listener in listeners:
            listener.queue.stop()
            listener.on_lost()
        self._wire.close()


def _ignore(_: Any) -> None:
    pass


def _nothing() -> None:
    pass


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
    arrivals.pop(number if number is not None else -1, None)
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


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
