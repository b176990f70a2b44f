"""Process variables by name: ``epics.pv``, on caclient."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import answers, ca, channels, dbr, failures, formats, writing
from .channels import _CacheItem
from .errors import ChannelAccessException, complain
from .formats import fmt_time
from .updates import Queue, Wanted
from .utils import bytes2str
from .values import unpacked
from .wire import Reading, metadata

__all__ = ["PV", "ca", "clear_pvcache", "dbr", "default_pv_class", "fmt_time", "get_pv"]

_PVcache_: dict[tuple[Any, str, Any], PV] = {}
"""PVs that ``get_pv`` has made, by name, form and context."""

_TIMES = frozenset(("status", "severity", "timestamp", "posixseconds", "nanoseconds"))
_TURNS = tuple(threading.RLock() for _ in range(64))
_EPOCH = dbr.EPICS2UNIX_EPOCH
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


class PV:
    """A process variable by name. It connects by itself, and is kept alive until ``disconnect``."""

    _fields = (
        "pvname",
        "value",
        "char_value",
        "status",
        "ftype",
        "chid",
        "host",
        "count",
        "access",
        "write_access",
        "read_access",
        "severity",
        "timestamp",
        "posixseconds",
        "nanoseconds",
        "precision",
        "units",
        "enum_strs",
        "monitor_delta",
        "upper_disp_limit",
        "lower_disp_limit",
        "upper_alarm_limit",
        "lower_alarm_limit",
        "lower_warning_limit",
        "upper_warning_limit",
        "upper_ctrl_limit",
        "lower_ctrl_limit",
    )

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
        """Held while an update is taken in, never while somebody is called; so a few do for all."""
        self._live = False
        """Updates are delivered one by one."""
        self._plain: bool | None = None
        self._double = False
        """Whether updates come with a time stamp, and are floats."""
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

    # -- connection ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Have the channel searched."""
        if not ca._started():
            return
        self.context = ca.working_context()
        item = channels.create(self.context, self.pvname)
        self._item = item
        self.chid = self._args["chid"] = item.chid
        self._number = item.chid_int
        self.ftype = ca.promote_fieldtype(-1, use_time=self.form == "time", use_ctrl=self.form == "ctrl")
        self._conn_started = True
        self._join(item)

    def _join(self, item: _CacheItem) -> None:
        told = item.conn
        wire = item.wire
        self._queue = wire.queue(self._on_changes, quiet=not (self.callbacks or self.verbose))
        self._listener = channels.Listener(
            self._queue, self._on_connection, self._on_access, self._on_lost, told, self._silent
        )
        if told:
            self._on_connect()
            self._on_access(*wire.access)
        item.admit(self._listener)

    def _channel(self) -> _CacheItem:
        """The channel, for a call that needs it.

        :raises RuntimeError: if the PV has been released.
        :raises ChannelAccessException: if its channel has been cleared.
        """
        if self.context is None:
            raise RuntimeError("Expected CA context is unset")
        item = self._item
        if item is None or item.cleared:
            raise ChannelAccessException("Unexpected channel ID")
        if channels.current() is None:
            channels.attach(self.context)
        item.wire  # noqa: B018  in a forked child this begins the search
        return item

    def _on_connection(self, conn: bool) -> None:
        self._on_connect(conn=conn)
        item = self._item
        if item is not None:
            item.signals.tell()

    def _on_connect(self, pvname: Any = None, chid: Any = None, conn: bool = True, **_kws: Any) -> None:
        item = self._item
        if item is None:
            return
        if conn:
            self._adopt(item)
        for callback in list(self.connection_callbacks):
            if callable(callback):
                try:
                    callback(pvname=self.pvname, conn=conn, pv=self)
                except BaseException as error:  # noqa: BLE001  user code
                    complain(callback, error)
        if conn:
            self.connected = True
            self._decide()

    def _adopt(self, item: _CacheItem) -> None:
        """Take what the server has."""
        wire = item.wire
        native, nelm = wire.native_type, wire.count
        self.ftype = ca.promote_fieldtype(native, use_time=self.form == "time", use_ctrl=self.form == "ctrl")
        name = dbr.Name(self.ftype).lower()
        most = self._user_max_count
        args = self._known
        args["host"] = wire.known_host
        self._take_rights(*wire.access)
        args["ftype"] = self.ftype
        args["type"] = args["typefull"] = name
        args["nelm"] = nelm
        self._plain = dbr.TIME_STRING <= self.ftype < dbr.CTRL_STRING
        self._double = native in (dbr.FLOAT, dbr.DOUBLE)
        args["count"] = min(most, nelm) if most else nelm

    def _silent(self) -> bool:
        """Whether nobody is to be called for connections and rights."""
        return not (self.connection_callbacks or self.access_callbacks)

    def _on_lost(self) -> None:
        item = self._item
        if item is not None and not item.conn:
            self.connected = False
            item.signals.tell()

    def _on_access(self, read_access: Any, write_access: Any) -> None:
        self._take_rights(bool(read_access), bool(write_access))
        for callback in list(self.access_callbacks):
            if callable(callback):
                try:
                    callback(bool(read_access), bool(write_access), pv=self)
                except BaseException as error:  # noqa: BLE001  user code
                    complain(callback, error)

    def _take_rights(self, read_access: bool, write_access: bool) -> None:
        args = self._known
        args["read_access"], args["write_access"] = read_access, write_access
        args["access"] = ca.ACCESS[int(read_access), int(write_access)]

    def force_read_access_rights(self) -> None:
        """Look up what the server lets us do."""
        item = self._channel()
        if item.conn:
            self._take_rights(*item.wire.access)

    def wait_for_connection(self, timeout: float | None = None) -> bool:
        """Wait until connected; whether it is."""
        item = self._item
        if self.connected and item is not None and item.conn:
            return True
        if self.context is None:
            raise RuntimeError("Expected CA context is unset")
        if item is None or item.cleared or not self._conn_started:
            return self._not_connected(self.connection_timeout if timeout is None else timeout)
        self._channel()
        wanted = self.connection_timeout if timeout is None else timeout
        return item.wait(lambda: self.connected, wanted) or failures.failed(
            False, self.pvname, f"not connected after {wanted:.3f} s"
        )

    def _not_connected(self, timeout: float) -> bool:
        time.sleep(max(timeout, 0.0))
        return failures.failed(False, self.pvname, "this PV has been disconnected")

    def connect(self, timeout: float | None = None) -> bool:
        """Wait until connected; whether it is."""
        return self.wait_for_connection(timeout)

    def reconnect(self) -> bool:
        """Begin anew: drop the subscription, take what the server has, subscribe; whether it is connected."""
        item = self._channel()
        self._unsubscribe()
        if self._listener is None:
            self._conn_started = True
            self._join(item)
        else:
            self.force_connect()
        return self.wait_for_connection()

    def force_connect(self, pvname: Any = None, chid: Any = None, conn: bool = True, **kws: Any) -> None:
        """Do what is done at a connection."""
        item = self._channel()
        self.chid = self._args["chid"] = item.chid
        self._conn_started = True
        if self._listener is None:
            self._join(item)
        else:
            self._on_connect(conn=conn, **kws)

    def poll(self, evt: float = 1.0e-4, iot: float = 1.0) -> None:
        """Give waiting callbacks the time to run."""
        ca.poll(evt=evt, iot=iot)

    # -- monitoring ----------------------------------------------------------------------------------------------------

    @property
    def auto_monitor(self) -> Any:
        """Whether, or with which mask, it is monitored; None while that is not decided."""
        return self._auto_monitor

    @auto_monitor.setter
    def auto_monitor(self, value: Any) -> None:
        self._auto_monitor = value
        self._unsubscribe()
        if self.connected:
            self._decide()

    @property
    def auto_monitor_mask(self) -> Any:
        """The mask of the subscription there is; None if there is none."""
        return self._monref_mask

    def _decide(self) -> None:
        """Subscribe if that is wanted."""
        if self._auto_monitor is None:
            self._auto_monitor = (self._known["count"] or 0) < ca.AUTOMONITOR_MAXLENGTH
        if self._monref is None and self._auto_monitor:
            self._subscribe()

    def _subscribe(self) -> None:
        item = self._channel()
        wire = item.wire
        wanted = self._auto_monitor
        mask = ca.DEFAULT_SUBSCRIPTION_MASK if wanted is True else int(wanted)
        self._monref_mask = mask
        assert self._queue is not None  # it has been connected
        watch = wire.watch(Wanted(-1, self.form, self._user_max_count or 0), mask, self._queue)
        item.watches[id(watch)] = watch
        self._monref = (self._on_changes, self.pvname, watch)

    def _unsubscribe(self) -> None:
        monref, self._monref = self._monref, None
        self._monref_mask = None
        if monref is not None:
            watch = monref[-1]
            watch.close()
            if self._item is not None:
                self._item.watches.pop(id(watch), None)

    def clear_auto_monitor(self) -> None:
        """Monitor no more."""
        self.auto_monitor = False

    @property
    def _args(self) -> dict[str, Any]:
        """All that is known, by name."""
        queue = self._queue
        if queue is not None:
            if queue.holds:
                self._merge(queue)
            if self._known["host"] is None and self._plain is not None:
                self._look_up_host()
        return self._known

    @_args.setter
    def _args(self, known: dict[str, Any]) -> None:
        self._known = known

    def _look_up_host(self) -> None:
        """The name of the server, which may take a moment the first time."""
        item = self._item
        if item is not None:
            self._known["host"] = item.wire.host

    def _merge(self, queue: Queue) -> None:
        """Take in what came while nobody was to be called."""
        with self._turn:
            reading = queue.take()
            if reading is not None and not self._live:
                self._apply(reading)

    def _heed(self) -> None:
        """From now on every update is delivered: there is somebody to be called."""
        queue = self._queue
        if queue is not None and queue.quiet:
            with self._turn:
                queue.quiet = False
                reading = queue.take()
                if reading is not None and not self._live:
                    self._apply(reading)

    def _on_changes(self, reading: Reading) -> None:
        """An update, in its turn."""
        known = self._known
        if known["host"] is None:
            self._look_up_host()
        if self._plain and known["nelm"] == 1 and not self.verbose:
            self._on_number(reading, known)
            return
        with self._turn:
            self._live = True
            applied = self._apply(reading)
        if not applied:
            return
        try:
            if self.callbacks or self.verbose:
                known = self._known
                self._set_charval(known["value"], call_ca=False)
                if self.verbose:
                    ca.write(f"  {self.pvname}: {known['char_value']} ({fmt_time(known['timestamp'])})")
                self._run_all()
        except BaseException as error:  # noqa: BLE001  whatever comes: the queue goes on
            complain(self._on_changes, error)
        item = self._item
        if item is not None:
            item.signals.tell()

    def _on_number(self, reading: Reading, known: dict[str, Any]) -> None:
        """An update of a single number or text with its time stamp: what there is most of."""
        value, status, severity, since, nanoseconds, _ = reading.row
        kind = type(value)
        if kind is str:
            value = value.rstrip()
        elif kind is not float and kind is not int:
            value = unpacked(value, ca.HAS_NUMPY)
        seconds = _EPOCH + (since or 0)
        with self._turn:
            self._live = self._updated = True
            known["value"] = value
            known["status"] = status
            known["severity"] = severity
            known["timestamp"] = seconds + 1.0e-6 * ((nanoseconds or 0) // 1000)
            known["posixseconds"] = seconds
            known["nanoseconds"] = nanoseconds
            known["count"] = 1 if kind is not np.ndarray else reading.count
            known["chid"] = self._number
        callbacks = self.callbacks
        try:
            if kind is float and self._double:
                known["char_value"] = formats.number(value, known["precision"])
            else:
                self._set_charval(value, call_ca=False)
            if len(callbacks) == 1:
                for index, (callback, keywords) in callbacks.items():
                    found = known.copy()
                    if keywords:
                        found.update(keywords)
                    found["cb_info"] = (index, self)
                    callback(**found)
                    break
            else:
                self._run_all()
        except BaseException as error:  # noqa: BLE001  user code
            complain(next((function for function, _ in callbacks.values()), None), error)
        item = self._item
        if item is not None and item.signals.waited:
            item.signals.tell()

    def _apply(self, reading: Reading) -> bool:
        """Take an update in; false if it is none."""
        known, ftype = self._known, self.ftype
        count = reading.count
        if count == 0 and ftype < dbr.TIME_STRING:
            return False  # no elements and no metadata: libca takes it for the end of the subscription
        known.update(metadata(reading, ftype))
        if not dbr.TIME_STRING <= ftype < dbr.CTRL_STRING:
            known["timestamp"], known["posixseconds"], known["nanoseconds"] = time.time(), 0, 0
        known["count"] = count
        known["chid"] = self._number
        known["value"] = unpacked(reading.value, ca.HAS_NUMPY)
        self._updated = True
        return True

    def _await_update(self) -> None:
        """Wait for the update that a new subscription begins with."""
        item = self._item
        if item is not None and self._monref is not None:
            self._heed()
            queue = self._queue
            item.wait(lambda: self._updated or (queue is not None and queue.holds) or not self.connected, 1.0)

    def _await_put(self, timeout: float) -> None:
        """Wait until the last put that was asked to tell is over."""
        item = self._item
        if item is not None:
            item.wait(lambda: bool(self._put_complete), timeout)

    # -- callbacks -----------------------------------------------------------------------------------------------------

    def _run_all(self) -> None:
        """The callbacks, in order; what one raises is shown, and the others are left out."""
        callbacks = self.callbacks
        index = None
        try:
            for index in sorted(callbacks) if len(callbacks) > 1 else tuple(callbacks):
                self.run_callback(index)
        except BaseException as error:  # noqa: BLE001  user code
            complain(callbacks.get(index, (None,))[0], error)

    def run_callbacks(self) -> None:
        """Call all callbacks with what is known."""
        for index in sorted(self.callbacks):
            self.run_callback(index)

    def run_callback(self, index: Any) -> None:
        """Call one callback with what is known; an unknown index is no error."""
        entry = self.callbacks.get(index)
        if entry is None:
            return
        callback, keywords = entry
        if callable(callback):
            found = self._args.copy()
            if keywords:
                found.update(keywords)
            found["cb_info"] = (index, self)
            callback(**found)

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

    # -- get -----------------------------------------------------------------------------------------------------------

    def get(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        use_monitor: bool = True,
    ) -> Any:
        """The value: from memory if it is monitored, else from the server; None if there is none in time."""
        found = self.get_with_metadata(
            count=count,
            as_string=as_string,
            as_numpy=as_numpy,
            timeout=timeout,
            with_ctrlvars=with_ctrlvars,
            use_monitor=use_monitor,
        )
        return None if found is None else found["value"]

    def get_with_metadata(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        form: str | None = None,
        use_monitor: bool = True,
        as_namespace: bool = False,
    ) -> Any:
        """The value and what comes with it, as a dict or namespace; None if there is none in time."""
        item = self._channel()
        if not (self.connected and item.conn) and not self.wait_for_connection(timeout=timeout):
            return None
        if form is None:
            form, ftype = self.form, self.ftype
        else:
            ftype = ca.promote_fieldtype(item.wire.native_type, use_time=form == "time", use_ctrl=form == "ctrl")
        if with_ctrlvars:
            self._getarg("units")  # has value and control information fetched, in the form of the PV
        args = self._args
        cached = args["value"]
        explicit = (
            not use_monitor
            or self._monref is None
            or ftype != self.ftype
            or cached is None
            or (count is not None and _longer(count, cached))
        )
        if explicit:
            found = self._ask(item, ftype, count, timeout, as_numpy)
            if found is None:
                return None
            if with_ctrlvars and form != "ctrl":
                found = args.copy()
        else:
            found = args.copy()
            self._set_charval(cached, call_ca=False)
            found["char_value"] = args["char_value"]
        if as_string:
            found["value"] = self._set_charval(found["value"], force_long_string=True)
        else:
            found["value"] = self._shaped(found["value"], args["nelm"], count, as_numpy, explicit)
        return SimpleNamespace(**found) if as_namespace else found

    def _ask(
        self, item: _CacheItem, ftype: int, count: int | None, timeout: float | None, as_numpy: bool
    ) -> dict[str, Any] | None:
        """What the server answers; it becomes what is known."""
        args = self._args
        wanted = count
        if wanted is None and args["count"] != args["nelm"]:
            wanted = args["count"]
        seconds = answers.default_timeout(count) if timeout is None else timeout
        reading = answers.read(item, ftype, answers.wanted_count(item, wanted), seconds)
        if reading is None:
            answers.timed_out(self.pvname, seconds)
            return None
        found = {**metadata(reading, ftype), "value": unpacked(reading.value, as_numpy and ca.HAS_NUMPY)}
        args = self._args
        if self._monref is None or ftype != self.ftype or _moment(args) <= _moment(found):
            args.update(found)  # or else a newer update has come meanwhile
        return found

    def _shaped(self, value: Any, nelm: int, count: int | None, as_numpy: bool, explicit: bool) -> Any:
        """Arrays as arrays, also of one element, and cut to what was asked for."""
        if nelm == 1 or value is None:
            return value
        if not hasattr(value, "__len__") or isinstance(value, str):
            value = [value]
        if as_numpy and ca.HAS_NUMPY:
            value = value if isinstance(value, np.ndarray) else np.array(value)
        elif isinstance(value, np.ndarray) and not explicit:
            value = value.tolist()
        if count is not None and len(value) > count:
            value = value[:count]
        return value

    def get_ctrlvars(self, timeout: float = 5, warn: bool = True) -> dict[str, Any] | None:
        """Units, limits, precision, names of states, from the server."""
        if not self.wait_for_connection():
            return None
        return self._vars(self._channel(), timeout, use_ctrl=True)

    def get_timevars(self, timeout: float = 5, warn: bool = True) -> dict[str, Any] | None:
        """Time stamp and alarm, from the server."""
        if not self.wait_for_connection():
            return None
        return self._vars(self._channel(), timeout, use_time=True)

    def _vars(self, item: _CacheItem, timeout: float, **promotion: bool) -> dict[str, Any] | None:
        found: dict[str, Any] | None = answers.get_vars(item.chid, timeout, **promotion)
        if found is not None:
            self._args.update(found)
        if promotion.get("use_ctrl"):
            self.force_read_access_rights()
        return found

    # -- put -----------------------------------------------------------------------------------------------------------

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

    # -- what is known -------------------------------------------------------------------------------------------------

    def _set_charval(self, val: Any, call_ca: bool = True, force_long_string: bool = False) -> Any:
        """The value as text, which is kept; *call_ca* lets it ask the server for what it needs."""
        text = self._args["char_value"] = self._text_of(val, call_ca, force_long_string)
        return text

    def _text_of(self, val: Any, call_ca: bool, force_long_string: bool) -> Any:
        if val is None:
            return "None"
        native = dbr.native_type(self.ftype)
        if native == dbr.STRING:
            return val
        args = self._args
        count = args["count"] or 0
        if native == dbr.CHAR and (count < ca.AUTOMONITOR_MAXLENGTH or force_long_string):
            return formats.characters(val)
        if count > 1:
            return f"<array size={len(val) if hasattr(val, '__len__') else 1:d}, type={args['typefull']}>"
        if native in (dbr.FLOAT, dbr.DOUBLE):
            if call_ca and args["precision"] is None:
                self.get_ctrlvars()
            return formats.number(val, args["precision"])
        if native == dbr.ENUM:
            if call_ca and args["enum_strs"] in ((), None):
                self.get_ctrlvars()
            return formats.state(val, args["enum_strs"])
        return repr(val)

    def _getarg(self, arg: str) -> Any:
        """What is known under a name; asked for if it is not."""
        if self._args.get("value") is None:
            self.get()
        if self._args.get(arg) is None:
            if arg in _TIMES:
                self.get_timevars(timeout=1, warn=False)
            else:
                self.get_ctrlvars(timeout=1, warn=False)
        return self._args.get(arg)

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
    def status(self) -> Any:
        """The alarm status."""
        return self._getarg("status")

    @property
    def severity(self) -> Any:
        """The alarm severity."""
        return self._getarg("severity")

    @property
    def char_status(self) -> str:
        """The alarm status in words."""
        return dbr.AlarmStatus(self.status).name

    @property
    def char_severity(self) -> str:
        """The alarm severity in words."""
        return dbr.AlarmSeverity(self.severity).name

    @property
    def timestamp(self) -> Any:
        """Seconds since 1970."""
        return self._getarg("timestamp")

    @property
    def posixseconds(self) -> Any:
        """Whole seconds since 1970."""
        return self._getarg("posixseconds")

    @property
    def nanoseconds(self) -> Any:
        """Nanoseconds within the second."""
        return self._getarg("nanoseconds")

    @property
    def type(self) -> Any:
        """The name of the type that is asked for."""
        return self._args.get("type", "unknown")

    @property
    def typefull(self) -> Any:
        """The name of the type that is asked for."""
        return self._args.get("typefull", "unknown")

    @property
    def host(self) -> Any:
        """``host:port`` of the server."""
        return self._getarg("host")

    @property
    def count(self) -> Any:
        """Elements of the last update."""
        return self._getarg("count")

    @property
    def nelm(self) -> int:
        """The most elements that it can have; 0 if it is not connected."""
        return int(ca.element_count(self.chid))

    @property
    def access(self) -> Any:
        """What the server lets us do, in words."""
        return self._getarg("access")

    @property
    def read_access(self) -> Any:
        """Whether the server lets us read."""
        return self._getarg("read_access")

    @property
    def write_access(self) -> Any:
        """Whether the server lets us write."""
        return self._getarg("write_access")

    @property
    def units(self) -> Any:
        """Engineering units."""
        return self._getarg("units")

    @property
    def precision(self) -> Any:
        """Digits after the point."""
        return self._getarg("precision")

    @property
    def enum_strs(self) -> Any:
        """Names of the states."""
        return self._getarg("enum_strs")

    @property
    def monitor_delta(self) -> Any:
        """What was given for it; it has no effect."""
        return self._getarg("monitor_delta")

    @property
    def upper_disp_limit(self) -> Any:
        """The upper display limit."""
        return self._getarg("upper_disp_limit")

    @property
    def lower_disp_limit(self) -> Any:
        """The lower display limit."""
        return self._getarg("lower_disp_limit")

    @property
    def upper_alarm_limit(self) -> Any:
        """The upper alarm limit."""
        return self._getarg("upper_alarm_limit")

    @property
    def lower_alarm_limit(self) -> Any:
        """The lower alarm limit."""
        return self._getarg("lower_alarm_limit")

    @property
    def upper_warning_limit(self) -> Any:
        """The upper warning limit."""
        return self._getarg("upper_warning_limit")

    @property
    def lower_warning_limit(self) -> Any:
        """The lower warning limit."""
        return self._getarg("lower_warning_limit")

    @property
    def upper_ctrl_limit(self) -> Any:
        """The upper control limit."""
        return self._getarg("upper_ctrl_limit")

    @property
    def lower_ctrl_limit(self) -> Any:
        """The lower control limit."""
        return self._getarg("lower_ctrl_limit")

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

    # -- the end -------------------------------------------------------------------------------------------------------

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


def _moment(known: dict[str, Any]) -> tuple[float, int]:
    """The time stamp, if it has one of the server's."""
    return known.get("posixseconds") or 0.0, known.get("nanoseconds") or 0


def _longer(count: int, value: Any) -> bool:
    """Whether more elements are wanted than there are."""
    return count > (len(value) if hasattr(value, "__len__") and not isinstance(value, str) else 1)


default_pv_class: Any = PV
ca.register_clear_cache(clear_pvcache)
