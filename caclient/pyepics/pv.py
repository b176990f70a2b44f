"""Process variables by name: ``epics.pv``, on caclient."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import ca, channels, dbr, writing
from .channels import _CacheItem
from .formats import fmt_time
from .updates import Queue
from .utils import bytes2str
from .variable.described import DescribedPV

__all__ = ["PV", "ca", "clear_pvcache", "dbr", "default_pv_class", "fmt_time", "get_pv"]

_PVcache_: dict[tuple[Any, str, Any], PV] = {}
"""PVs that ``get_pv`` has made, by name, form and context."""

_TURNS = tuple(threading.RLock() for _ in range(64))
_FORMS = ("native", "time", "ctrl")


def get_pv(
    pvname: str,
    form: str = "time",
    connect: bool = False,
    context: Any = None,
    timeout: float = 5.0,
    connection_callback: Callable[..., Any] | None = None,
    access_callback: Callable[..., Any] | None = None,
    callback: Callable[..., Any] | None = None,
    verbose: bool = False,
    count: int | None = None,
    auto_monitor: Any = None,
    monitor_delta: Any = None,
) -> PV:
    """The PV of a name from the cache, or a new one, which goes there."""
    form = form if form in _FORMS else "time"
    ca.initialize_libca() if ca.libca is None else None
    here = ca.working_context() if ca.libca is ca._library else None
    if context is not None:
        _warn_of_context()
    key = (pvname, form, here if context is None else context)
    pv = _PVcache_.get(key)
    if pv is None and context not in (None, here):
        raise RuntimeError("PV is not in cache for user-requested context")
    if pv is None:
        pv = default_pv_class(
            pvname,
            form=form,
            callback=callback,
            connection_callback=connection_callback,
            access_callback=access_callback,
            auto_monitor=auto_monitor,
            connection_timeout=timeout,
            verbose=verbose,
            count=count,
            monitor_delta=monitor_delta,
        )
        _PVcache_[key] = pv
    else:
        _join(pv, connection_callback, access_callback, callback, auto_monitor)
    if connect and not pv.wait_for_connection(timeout=timeout):
        ca.write(f"cannot connect to {pvname}")
    return pv


def _warn_of_context() -> None:
    import warnings

    warnings.warn("The context argument is deprecated")


def _join(pv: PV, connection_callback: Any, access_callback: Any, callback: Any, auto_monitor: Any) -> None:
    """More callbacks for a PV of the cache."""
    if connection_callback is not None:
        if pv.connected:
            connection_callback(pvname=pv.pvname, conn=pv.connected, pv=pv)
        pv.connection_callbacks.append(connection_callback)
    if access_callback is not None:
        if pv.connected:
            access_callback(pv.read_access, pv.write_access, pv=pv)
        pv.access_callbacks.append(access_callback)
    if callback is not None:
        index = pv.add_callback(callback)
        pv.run_callback(index)
    if auto_monitor and not pv.auto_monitor:
        pv.auto_monitor = auto_monitor


def clear_pvcache() -> None:
    """Disconnect and forget all PVs of the cache."""
    for pv in list(_PVcache_.values()):
        pv.disconnect()
    _PVcache_.clear()


class PV(DescribedPV):
    """A process variable by name. It connects by itself, and is kept alive until ``disconnect``."""

    def __init__(
        self,
        pvname: str,
        callback: Any = None,
        form: str = "time",
        verbose: bool = False,
        auto_monitor: Any = None,
        count: int | None = None,
        connection_callback: Callable[..., Any] | None = None,
        connection_timeout: float | None = None,
        access_callback: Callable[..., Any] | None = None,
        monitor_delta: Any = None,
    ) -> None:
        name: Any = pvname  # scripts give bytes, too
        self.pvname: str = (bytes2str(name) if isinstance(name, bytes) else name).strip()
        self.form = form.lower()
        self.verbose = verbose
        self._auto_monitor = auto_monitor
        self.ftype: Any = None
        self.connected = False
        self.connection_timeout = ca.DEFAULT_CONNECTION_TIMEOUT if connection_timeout is None else connection_timeout
        self._user_max_count = count
        self._queue: Queue | None = None
        self._turn = _TURNS[id(self) >> 6 & 63]
        self._live = False
        self._plain: bool | None = None
        self._double = False
        self._known: dict[str, Any] = dict.fromkeys(self._fields)
        self._known.update(
            pvname=self.pvname,
            access="unknown",
            monitor_delta=monitor_delta,
            nelm=-1,
            type="unknown",
            typefull="unknown",
        )
        self.connection_callbacks: list[Any] = [] if connection_callback is None else [connection_callback]
        self.access_callbacks: list[Any] = [] if access_callback is None else [access_callback]
        self.callbacks: dict[Any, tuple[Any, dict[str, Any]]] = {}
        self._put_complete: bool | None = None
        self._monref: Any = None
        self._updated = False
        self._monref_mask: Any = None
        self._conn_started = False
        self.chid: Any = None
        self._number = 0
        self.context: Any = None
        self._item: _CacheItem | None = None
        self._listener: channels.Listener | None = None
        if isinstance(callback, (tuple, list)):
            for index, function in enumerate(callback):
                if callable(function):
                    self.callbacks[index] = (function, {})
        elif callable(callback):
            self.callbacks[0] = (callback, {})
        self._begin()

    def add_callback(
        self,
        callback: Callable[..., Any] | None = None,
        index: Any = None,
        run_now: bool = False,
        with_ctrlvars: bool = True,
        **kw: Any,
    ) -> Any:
        """Have *callback* called at each update, by keywords; the index for ``remove_callback``."""
        if not callable(callback):
            return index
        if index is None:
            index = 1
            if self.callbacks:
                index = 1 + max(self.callbacks)
        self.callbacks[index] = (callback, kw)
        self._heed()
        if with_ctrlvars and self.connected:
            self.get_ctrlvars()
        if run_now:
            self.get(as_string=True)
            if self.connected:
                self.run_callback(index)
        return index

    def remove_callback(self, index: Any = None) -> None:
        """Call it no more; an unknown index is no error."""
        if index in self.callbacks:
            self.callbacks.pop(index)

    def clear_callbacks(self, with_access_callback: bool = False, with_connect_callback: bool = False) -> None:
        """Remove all value callbacks, and on request the others."""
        self.callbacks = {}
        if with_access_callback:
            self.access_callbacks = []
        if with_connect_callback:
            self.connection_callbacks = []

    def put(
        self,
        value: Any,
        wait: bool = False,
        timeout: float = 30.0,
        use_complete: bool = False,
        callback: Callable[..., Any] | None = None,
        callback_data: Any = None,
    ) -> Any:
        """Write: 1; -1 if *wait* has run out of time; None if it is not connected."""
        item = self._channel()
        if not (self.connected and item.conn) and not self.wait_for_connection():
            return None
        if isinstance(value, str) and item.wire.native_type == dbr.ENUM and item.wire.count == 1:
            names = self._args["enum_strs"]
            if names is None:
                self.get_ctrlvars()
                names = self._args["enum_strs"] or ()
            if value in names:
                value = names.index(value)
        self._put_complete = None
        told: Callable[..., Any] | None = None
        if use_complete or callback is not None:
            if use_complete:
                self._put_complete = False
            told = _Told(self, callback)
        return writing.put_item(item, value, wait, timeout, told, callback_data, None, self._queue)

    @property
    def put_complete(self) -> bool | None:
        """Whether the last put that was asked to tell is over."""
        return self._put_complete

    def _await_put(self, timeout: float) -> None:
        """Wait until the last put that was asked to tell is over."""
        item = self._item
        if item is not None:
            item.wait(lambda: bool(self._put_complete), timeout)

    def __getval__(self) -> Any:
        return self._getarg("value")

    def __setval__(self, val: Any) -> Any:
        return self.put(val)

    value = property(__getval__, __setval__, None, "The value known; setting it puts.")

    @property
    def char_value(self) -> Any:
        """The value as text."""
        return self._set_charval(self.value)

    @property
    def info(self) -> str | None:
        """All that is known, in lines; None if it is not connected."""
        return self._getinfo()

    def _getinfo(self) -> str | None:
        if not self.wait_for_connection():
            return None
        if self._args["precision"] is None or self._args["enum_strs"] is None:
            self.get_ctrlvars()
        from .info import describe

        return describe(self)

    def __repr__(self) -> str:
        if not self.connected:
            return f"<PV '{self.pvname}': not connected>"
        args = self._args
        count = args["count"]
        shown = "1" if count == 1 else f"{count}/{args['nelm']}"
        return f"<PV '{self.pvname}', count={shown}, type={args['typefull']}, access={args['access']}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PV):
            return False
        return self is other or (self.chid is not None and self.chid is other.chid)

    def __hash__(self) -> int:
        return hash(self.pvname)

    def disconnect(self, deepclean: bool = True) -> None:
        """Close this PV; the channel stays."""
        self.connected = False
        item = self._item
        key = (self.pvname, self.form, self.context)
        _PVcache_.pop(key, None)
        self._unsubscribe()
        self._conn_started = False
        listener, self._listener = self._listener, None
        if listener is not None and item is not None:
            item.dismiss(listener)
        self._queue = None  # it holds this PV, which so is gone as soon as nobody holds it
        self._args = dict.fromkeys(self._fields)
        self._args["pvname"] = self.pvname
        self.clear_callbacks(with_access_callback=True, with_connect_callback=True)


class _Told:
    """What a put's completion is told to, before it is told to the user's callback."""

    __slots__ = ("callback", "pv")

    def __init__(self, pv: PV, callback: Callable[..., Any] | None) -> None:
        self.pv = pv
        self.callback = callback

    def __call__(self, **keywords: Any) -> None:
        self.pv._put_complete = True
        item = self.pv._item
        if item is not None:
            item.signals.tell()
        if self.callback is not None:
            self.callback(**keywords)


default_pv_class: Any = PV
ca.register_clear_cache(clear_pvcache)
