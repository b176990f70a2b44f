"""PV: what users hold. Cached state, get, put, callbacks; any thread, callbacks included, may use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Self

from caclient.client.channel import Channel, State as ChannelState
from caclient.client.default import Handle, current, lease_like, settings_of
from caclient.client.home import Home, Lease, Settings
from caclient.client.subscription import DEFAULT_MASK, Monitor, Subscription, Updates, auto_monitor_of, subscribe
from caclient.dbr import AlarmSeverity, AlarmStatus, ControlInfo, Reading
from caclient.dbr.put import Form, put_form
from caclient.dbr.types import LIMITS
from caclient.engine.lanes import Lane, report_error
from caclient.engine.runtime import Runtime
from caclient.errors import BadValueError, CATimeoutError, DisconnectedError, ReadOnlyError

if TYPE_CHECKING:
    from caclient.dbr import Limits

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that a get, and the connection before a put, may take unless told otherwise."""


class _Entry:
    """A callback in pyepics' form. Only its lane calls it, once it has been greeted with the current value."""

    __slots__ = ("callback", "greeted", "keywords")

    def __init__(self, callback: Callable[..., Any], keywords: dict[str, Any], greeted: bool) -> None:
        self.callback = callback
        self.keywords = keywords
        self.greeted = greeted


class PV:
    """A process variable by name. Creating one never blocks; it connects in the background and stays connected.

    :param auto_monitor: keep the newest reading in memory, so that ``get()`` costs no network. None decides at the
        connection: yes for channels of fewer than 65,536 elements. An int is the event mask.
    :param connection_callback: called as ``fn(pvname=, conn=, pv=)`` on each change.
    :param access_callback: called as ``fn(read_access, write_access, pv=)`` on each change.
    :param callback: like ``add_callback``.
    :param timeout: seconds that calls may take unless they are given their own.
    """

    __slots__ = (
        "__weakref__",
        "_access_callbacks",
        "_callbacks",
        "_channel",
        "_closed",
        "_connection_callbacks",
        "_delivered",
        "_lane",
        "_lease",
        "_monitor",
        "_newest",
        "_subscription",
        "auto_monitor",
        "priority",
        "pvname",
        "timeout",
    )

    def __init__(
        self,
        pvname: str,
        callback: Callable[..., Any] | None = None,
        *,
        connection_callback: Callable[..., Any] | None = None,
        access_callback: Callable[..., Any] | None = None,
        auto_monitor: bool | int | None = None,
        priority: int = 0,
        timeout: float = DEFAULT_TIMEOUT,
        context: Handle | None = None,
    ) -> None:
        self._closed = True  # until there is something to close
        name: Any = pvname  # whatever it is: the context refuses what is no text
        self.pvname: str = name.strip() if isinstance(name, str) else name
        self.priority = priority
        self.timeout = timeout
        self.auto_monitor = auto_monitor
        self._lease: Lease = (current() if context is None else context)._lease
        self._lane: Lane | None = None
        self._callbacks: dict[int, _Entry] | None = None
        self._connection_callbacks: list[Callable[..., Any]] | None = None
        self._access_callbacks: list[Callable[..., Any]] | None = None
        self._subscription: Subscription | None = None
        self._newest: Reading | None = None
        """What was last read without a monitor."""
        self._delivered: Reading | None = None
        """What the callbacks were last given."""
        self._monitor: Monitor | None = None
        self._channel: Channel
        self._home.names.join(self, self.pvname, priority)
        self._monitor = auto_monitor_of(self._channel, auto_monitor)
        if connection_callback is not None:
            self.add_connection_callback(connection_callback)
        if access_callback is not None:
            self.add_access_callback(access_callback)
        if callback is not None:
            self.add_callback(callback)

    # -- reading -------------------------------------------------------------------------------------------------------

    def get(
        self,
        timeout: float | None = None,
        *,
        count: int | None = None,
        as_string: bool = False,
        use_monitor: bool = True,
    ) -> Any:
        """The value: from memory if the PV is monitored and no put came since, else from the server. *Any thread.*

        A number or a string; a numpy array (in native byte order, or of text) if the channel is an array.

        :param count: at most so many elements, from the server.
        :param as_string: the value as text: a state's name, characters of a CHAR array, digits as the IOC suggests.
        :param use_monitor: false asks the server in any case.
        :raises CATimeoutError: not connected, or no answer, within *timeout* seconds; the text says how far it got.
        :raises DisconnectedError: the connection was lost while waiting.
        :raises AccessDeniedError: no read access.
        :raises ChannelAccessError: the server could not read it.
        """
        reading = self._cached() if use_monitor and count is None else None
        if reading is None or as_string:
            deadline = self._deadline(timeout)
            if reading is None:
                reading = self._ask(deadline, count)
            if as_string:
                return reading.with_control(self._channel.fetch_control(deadline)).text
        return reading.value

    def read(self, timeout: float | None = None, *, use_monitor: bool = True) -> Reading:
        """Value, time stamp, alarm and metadata as one ``Reading``; raises as ``get``. *Any thread.*"""
        deadline = self._deadline(timeout)
        reading = self._cached() if use_monitor else None
        if reading is None:
            reading = self._ask(deadline)
        return reading.with_control(self._channel.fetch_control(deadline))

    def _cached(self) -> Reading | None:
        """The newest reading, if it may be taken for the present."""
        monitor, channel = self._monitor, self._channel
        if (
            monitor is None
            or not monitor.fresh
            or channel.puts != channel.puts_read
            or not channel.can_read
            or channel.state is not ChannelState.READY
            or self._closed
        ):
            return None
        newest = monitor.last
        if newest is None or (channel.floor is not None and (newest.stamp or channel.floor) < channel.floor):
            return None
        return newest

    def _ask(self, deadline: float, count: int | None = None) -> Reading:
        channel = self._open_channel()
        if count is not None:
            return channel.read(deadline, count=self._checked_count(deadline, count))
        puts = channel.puts
        if puts == channel.puts_read:
            reading = channel.read(deadline)
        else:
            reading = channel.read(deadline, monitor=self._monitor)
            channel.puts_read, channel.floor = puts, reading.stamp
        self._newest = reading
        return reading

    def _checked_count(self, deadline: float, count: int) -> int:
        if count < 1:
            raise BadValueError(f"'{self.pvname}': count {count} is not positive")
        self._channel.require(deadline)
        return min(count, self._channel.count)

    def _open_channel(self) -> Channel:
        if self._closed:
            raise DisconnectedError(f"'{self.pvname}': this PV has been closed")
        return self._channel

    def _writable_channel(self) -> Channel:
        if self._home.config.read_only:
            raise ReadOnlyError(
                f"'{self.pvname}': this context is read-only, nothing was sent; "
                "to put, make it without read_only=True and unset CACLIENT_READ_ONLY",
                pvname=self.pvname,
            )
        return self._open_channel()

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _control(self, timeout: float | None = None) -> ControlInfo:
        return self._channel.fetch_control(self._deadline(timeout))

    # -- writing -------------------------------------------------------------------------------------------------------

    def put(
        self,
        value: Any,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Write a value. Sent at once; with *wait*, returns when the record has finished processing. *Any thread.*

        Text goes to a numeric or enum channel as text, and the IOC converts it; to an array of CHAR as characters.

        :param timeout: seconds for the connection (default: the PV's) and, if given, for the completion, which
            otherwise is waited for as long as it takes.
        :raises AccessDeniedError: no write access; ``ReadOnlyError``: not with this context. Nothing was sent.
        :raises BadValueError: the value cannot be said in the channel's type; nothing was sent.
        :raises CATimeoutError: not connected, or not completed, in time.
        :raises DisconnectedError: the connection was lost before the completion.
        :raises ChannelAccessError: the record refused it (only with *wait*; otherwise a refusal is logged).
        """
        channel = self._writable_channel()
        deadline = self._deadline(timeout)
        if channel.state is not ChannelState.READY:
            channel.require(deadline)
        data_type, count, data = _form(channel, value)
        if wait:
            channel.put_wait(data_type, count, data, deadline if timeout is not None else float("inf"))
        else:
            channel.put(data_type, count, data, deadline)

    def begin_put(self, value: Any) -> Callable[[float], None]:
        """Write a value and return what waits for its completion until a monotonic deadline. *Any thread.*"""
        channel = self._writable_channel()
        return channel.begin_put(*_form(channel, value))

    # -- watching ------------------------------------------------------------------------------------------------------

    def subscribe(
        self, callback: Callable[[Reading], Any], *, policy: str = "all", mask: int = DEFAULT_MASK
    ) -> Subscription:
        """Call ``callback(reading)`` for the current value and every update, until the result is closed. *Any thread.*

        :param policy: ``"all"`` in order, with a bounded queue; ``"latest"`` skips what comes while the callback is
            busy.
        :param mask: DBE_VALUE 1, DBE_LOG 2, DBE_ALARM 4, DBE_PROPERTY 8, added up.
        """
        return self._subscribe(callback, policy, mask)

    def subscribe_runs(self, callback: Callable[[Any], Any], *, mask: int = DEFAULT_MASK) -> Subscription:
        """Like ``subscribe``, for those who keep columns: updates that came together come as one structured array.

        ``callback(rows)`` gets a numpy array with the fields value, seconds, nanoseconds, status, severity (big-endian,
        read-only), or a list of one ``Reading`` where an update came alone.
        """
        return self._subscribe(callback, "all", mask, runs=True)

    def _subscribe(
        self,
        callback: Callable[[Any], Any],
        policy: str,
        mask: int,
        runs: bool = False,
        lane: Lane | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> Subscription:
        channel = self._open_channel()
        self._check_callable(callback)
        if policy not in ("all", "latest"):
            raise BadValueError(f"'{self.pvname}': policy {policy!r} is neither 'all' nor 'latest'")
        lane = lane or self._runtime.lanes.lane(self.pvname)
        return subscribe(channel, callback, lane, policy, mask, runs, self._detach, on_end)

    def _detach(self, subscription: Subscription) -> None:
        """A subscription was closed; that it calls this has it hold the PV. *Any thread.*"""
        subscription.monitor.drop(subscription)

    def _check_callable(self, callback: Any) -> None:
        if not callable(callback):
            raise BadValueError(f"'{self.pvname}': {callback!r} is not callable")

    def updates(self, timeout: float | None = None, *, policy: str = "all") -> Updates:
        """An iterator over readings, from the current one on; waits at most *timeout* seconds for each."""
        return Updates(
            lambda put, end: self._subscribe(put, policy, DEFAULT_MASK, on_end=end), self._channel, policy, timeout
        )

    def wait_for(self, predicate: Callable[[Any], bool], timeout: float | None = None) -> Reading:
        """The first reading whose value satisfies *predicate*, the current one included. Sees every update.

        :raises CATimeoutError: naming the last value seen, or saying how far the connection got.
        """
        started = time.monotonic()
        deadline = started + (self.timeout if timeout is None else timeout)
        last: Reading | None = None
        with self.updates() as updates:
            while (reading := updates.next(deadline - time.monotonic())) is not None:
                if predicate(reading.value):
                    return reading
                last = reading
        waited = time.monotonic() - started
        if not self.connected:
            raise self._channel.unready(waited)
        seen = f"last value: {last}{updates.excuse}"
        raise CATimeoutError(f"'{self.pvname}': condition not met in {waited:.3f} s; {seen}")

    # -- callbacks in pyepics' form ------------------------------------------------------------------------------------

    def add_callback(self, callback: Callable[..., Any], index: int | None = None, **keywords: Any) -> int:
        """Call ``callback(pvname=, value=, char_value=, timestamp=, severity=, ..., cb_info=(index, pv), **keywords)``.

        First with the current value, then for every update, in order, together with the connection callbacks. Returns
        the index for ``remove_callback``. A PV with callbacks stays alive until ``close()``. *Any thread.*
        """
        channel = self._open_channel()
        self._check_callable(callback)
        channel.want_control()
        with self._home.pv_lock:
            lane = self._own_lane()
            callbacks = dict(self._callbacks or {})
            index = max(callbacks, default=-1) + 1 if index is None else index
            callbacks[index] = entry = _Entry(callback, keywords, self._subscription is None)
            self._callbacks = callbacks  # copied: whoever is calling goes on with the old one
            if self._subscription is None:
                mask = self.auto_monitor if type(self.auto_monitor) is int else 0
                self._subscription = self._subscribe(self._run_callbacks, "all", mask or DEFAULT_MASK, lane=lane)
            else:
                lane.push(self._run_newcomer, (index, entry))
        return index

    def remove_callback(self, index: int) -> None:
        """Call it no more; an unknown index is no error. A call that runs is not waited for. *Any thread.*"""
        with self._home.pv_lock:
            callbacks = dict(self._callbacks or {})
            callbacks.pop(index, None)
            self._callbacks = callbacks or None
            if not callbacks:
                self._end_subscription()

    def clear_callbacks(self) -> None:
        """Remove all value callbacks. *Any thread.*"""
        with self._home.pv_lock:
            self._callbacks = None
            self._end_subscription()

    @property
    def callbacks(self) -> dict[int, tuple[Callable[..., Any], dict[str, Any]]]:
        """Index -> (callback, keywords): a copy."""
        return {index: (entry.callback, entry.keywords) for index, entry in (self._callbacks or {}).items()}

    def add_connection_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(pvname=, conn=, pv=)`` on each change, and at once if the PV is connected. *Any thread.*"""
        self._open_channel()
        self._check_callable(callback)
        with self._home.pv_lock:
            lane = self._own_lane()
        self._runtime.on_engine(self._listen, callback, lane)

    def add_access_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(read_access, write_access, pv=)`` on each change, and at once if connected. *Any thread.*"""
        self._open_channel()
        self._check_callable(callback)
        with self._home.pv_lock:
            lane = self._own_lane()
        self._runtime.on_engine(self._listen_access, callback, lane)

    @property
    def _home(self) -> Home:
        return self._lease.home

    @property
    def _runtime(self) -> Runtime:
        return self._channel.runtime

    def _own_lane(self) -> Lane:
        """The lane of callbacks in pyepics' form; the parent's stay with it after a fork. *Caller holds pv_lock.*"""
        lane = self._lane
        if lane is None or lane.lanes is not self._runtime.lanes:
            self._lane = lane = self._runtime.lanes.lane(self.pvname)
            self._callbacks = self._connection_callbacks = self._access_callbacks = self._subscription = None
        return lane

    # -- engine thread -------------------------------------------------------------------------------------------------

    def _listen(self, callback: Callable[..., Any], lane: Lane) -> None:
        channel = self._channel
        if self._closed:
            return
        self._connection_callbacks = [*(self._connection_callbacks or ()), callback]
        self._listen_to(channel)
        if channel.connected:
            lane.push(self._call_connection, (callback, True))

    def _listen_access(self, callback: Callable[..., Any], lane: Lane) -> None:
        channel = self._channel
        if self._closed:
            return
        self._access_callbacks = [*(self._access_callbacks or ()), callback]
        self._listen_to(channel)
        if channel.connected:
            lane.push(self._call_access, (callback, channel.can_read, channel.can_write))

    def _listen_to(self, channel: Channel) -> None:
        if self._connection_changed not in channel.listeners:
            channel.listeners = (*channel.listeners, self._connection_changed)
            channel.access_listeners = (*channel.access_listeners, self._access_changed)

    def _connection_changed(self, channel: Channel, connected: bool) -> None:
        self._access_changed(channel, connected)
        for callback in self._connection_callbacks or ():
            self._push(self._call_connection, (callback, connected))

    def _access_changed(self, channel: Channel, _connected: bool) -> None:
        for callback in self._access_callbacks or ():
            self._push(self._call_access, (callback, channel.can_read, channel.can_write))

    def _push(self, call: Callable[[Any], None], argument: Any) -> None:
        assert self._lane is not None  # made before the first callback
        self._lane.push(call, argument)

    # -- on a lane -----------------------------------------------------------------------------------------------------

    def _call_connection(self, what: tuple[Callable[..., Any], bool]) -> None:
        callback, connected = what
        if not self._closed:
            callback(pvname=self.pvname, conn=connected, pv=self)

    def _call_access(self, what: tuple[Callable[..., Any], bool, bool]) -> None:
        callback, can_read, can_write = what
        if not self._closed:
            callback(can_read, can_write, pv=self)

    def _run_callbacks(self, reading: Reading) -> None:
        self._delivered = reading
        fields: dict[str, Any] | None = None
        for index, entry in sorted((self._callbacks or {}).items()):
            if entry.greeted and self._has(index, entry):
                fields = fields or self._fields(reading)
                self._call(index, entry, fields)

    def _run_newcomer(self, newcomer: tuple[int, _Entry]) -> None:
        """Give the current value, in its place among the updates, to a callback that came later than the first."""
        index, entry = newcomer
        entry.greeted = True
        if self._delivered is not None and self._has(index, entry):
            self._call(index, entry, self._fields(self._delivered))

    def _has(self, index: int, entry: _Entry) -> bool:
        return (self._callbacks or {}).get(index) is entry

    def _call(self, index: int, entry: _Entry, fields: dict[str, Any]) -> None:
        try:
            entry.callback(**{**fields, "cb_info": (index, self), **entry.keywords})
        except BaseException as error:  # noqa: BLE001  user code: the other callbacks of this PV are called all the same
            assert self._lane is not None  # we are on it
            report_error(self._lane, error)

    def _fields(self, reading: Reading) -> dict[str, Any]:
        """What a callback in pyepics' form is given."""
        channel = self._channel
        known = reading.with_control(reading.control or channel.control)
        stamp = known.stamp
        return {
            "pvname": self.pvname,
            "value": known.value,
            "char_value": known.text,
            "count": known.count,
            "nelm": channel.count,
            "ftype": int(channel.time_type),
            "type": channel.time_type.name.lower(),
            "status": int(known.status),
            "severity": int(known.severity),
            "timestamp": None if stamp is None else stamp.timestamp,
            "posixseconds": None if stamp is None else stamp.timestamp_ns // 1_000_000_000,
            "nanoseconds": None if stamp is None else stamp.nanoseconds,
            "precision": known.precision,
            "units": known.units,
            "enum_strs": known.enum_strs or None,
            **{name: getattr(known, name) for name in LIMITS},
            "access": self.access,
            "read_access": channel.can_read,
            "write_access": channel.can_write,
            "host": self.host,
        }

    # -- state, from memory --------------------------------------------------------------------------------------------

    @property
    def channel(self) -> Channel:
        """The channel that this PV shares with all PVs of its name and priority."""
        return self._channel

    @property
    def connected(self) -> bool:
        """Whether the channel can be used right now; no more after ``close()``, though others may use it."""
        return self._channel.state is ChannelState.READY and not self._closed

    def wait_for_connection(self, timeout: float | None = None) -> bool:
        """Wait until connected; false if that takes longer than *timeout* seconds. *Any thread.*"""
        return self._open_channel().wait_ready(self._deadline(timeout))

    @property
    def value(self) -> Any:
        """The newest value known, also after the IOC has gone; asked from the server if there is none yet."""
        reading = None if self.connected else self._last()
        return self.get() if reading is None else reading.value

    @value.setter
    def value(self, value: Any) -> None:
        self.put(value)

    @property
    def reading(self) -> Reading | None:
        """The newest reading known, however old; None if there was none. Never asks the server."""
        reading = self._last()
        return None if reading is None else reading.with_control(self._channel.control or reading.control)

    def _last(self) -> Reading | None:
        monitor = self._monitor
        if monitor is not None and monitor.last is not None:
            return monitor.last
        return self._newest if self._delivered is None else self._delivered

    def _known(self) -> Reading:
        last = self._last()
        return self._ask(self._deadline(None)) if last is None else last

    @property
    def char_value(self) -> str:
        """The newest value as text."""
        return self._known().with_control(self._control()).text

    @property
    def severity(self) -> AlarmSeverity:
        """Alarm severity of the newest reading."""
        return self._known().severity

    @property
    def status(self) -> AlarmStatus:
        """Alarm status of the newest reading."""
        return self._known().status

    @property
    def timestamp(self) -> float:
        """Time stamp of the newest reading in seconds since 1970; NaN if it is undefined."""
        return self._known().timestamp

    @property
    def units(self) -> str | None:
        """Engineering units; asked from the server the first time, like the other metadata."""
        return self._control().units

    @property
    def precision(self) -> int | None:
        """Digits after the point that the IOC suggests."""
        return self._control().precision

    @property
    def enum_strs(self) -> tuple[str, ...]:
        """Names of the states; empty for other than enums."""
        return self._control().enum_strs

    @property
    def limits(self) -> Limits:
        """The display, alarm, warning and control limits, each (lower, upper)."""
        return self._control().limits

    @property
    def type(self) -> str | None:
        """The native type in lower case (``'double'``, ``'enum'``...); None before the first connection."""
        native = self._channel.native_type
        return None if native is None else native.name.lower()

    @property
    def count(self) -> int:
        """Native count: the most elements that the channel can have; 0 before the first connection."""
        return self._channel.count

    nelm = count

    @property
    def host(self) -> str | None:
        """``host:port`` of the server; the last one if it has gone; None before the first connection."""
        address = self._channel.address
        return None if address is None else f"{address[0]}:{address[1]}"

    @property
    def read_access(self) -> bool:
        """Whether the server lets us read."""
        return self._channel.can_read

    @property
    def write_access(self) -> bool:
        """Whether the server lets us write."""
        return self._channel.can_write

    @property
    def access(self) -> str:
        """``read/write``, ``read-only``, ``write-only`` or ``no access``."""
        names = {(True, True): "read/write", (True, False): "read-only", (False, True): "write-only"}
        return names.get((self.read_access, self.write_access), "no access")

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Call no callback any more, and let the server forget the channel if nobody else uses it. *Any thread.*"""
        with self._home.pv_lock:
            if self._closed:
                return
            self._closed = True
            self._callbacks = None
            self._end_subscription()
        self._runtime.loop.call_soon(self._stop_listening)
        self._leave()

    def _leave(self) -> None:
        """Give back what this PV has used. Takes no lock. *Any thread.*"""
        if self._monitor is not None:
            self._runtime.loop.call_soon(self._monitor.let_go)
        self._home.names.leave(self._channel)

    disconnect = close

    def _end_subscription(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()

    def _stop_listening(self) -> None:
        channel = self._channel
        self._connection_callbacks = self._access_callbacks = None
        channel.listeners = tuple(fn for fn in channel.listeners if fn != self._connection_changed)
        channel.access_listeners = tuple(fn for fn in channel.access_listeners if fn != self._access_changed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._leave()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.pvname, self.priority, self.auto_monitor, self.timeout, settings_of(self._lease))

    def __repr__(self) -> str:
        channel = self._channel
        state = "closed" if self._closed else channel.state.value
        if channel.native_type is None:
            return f"<PV {self.pvname!r}: {state}>"
        shape = f"{channel.native_type.name.lower()}[{channel.count}]"
        return f"<PV {self.pvname!r}: {state}, {shape}, {self.access}, {self.host}>"


class Tenant:
    """Who has a lease, as a handle."""

    __slots__ = ("_lease", "closed")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.closed = False


def _rebuild(
    pvname: str, priority: int, auto_monitor: bool | int | None, timeout: float, settings: Settings | None
) -> PV:
    """What a pickled PV becomes: the same name in a home of the same settings, without its callbacks."""
    context = Tenant(lease_like(settings))
    return PV(pvname, priority=priority, auto_monitor=auto_monitor, timeout=timeout, context=context)


def _form(channel: Channel, value: Any) -> Form:
    """In which type and count what is sent; BadValueError if it cannot be."""
    native = channel.native_type
    if native is None:
        raise channel.unready(time.monotonic() - channel.since)
    control = channel.control
    return put_form(channel.name, native, channel.count, () if control is None else control.enum_strs, value)
