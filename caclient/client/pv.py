"""PV: what users hold. Cached state, get, put, callbacks; any thread, callbacks included, may use it."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Self

from caclient.client import get, put, subscription
from caclient.client.callbacks import ACCESS, Callbacks, check
from caclient.client.channel import Channel, State as ChannelState
from caclient.client.default import Handle, current, lease_like, settings_of
from caclient.client.feed import Sink
from caclient.client.home import Home, Lease, Settings
from caclient.client.monitor import Monitor, monitor_of
from caclient.client.properties import fetch
from caclient.client.subscription import Hold, Subscription
from caclient.client.updates import Arrivals, Updates
from caclient.dbr import AlarmSeverity, AlarmStatus, ControlInfo, Reading
from caclient.dbr.mask import DEFAULT_MASK, MaskLike
from caclient.dbr.put import Form, put_form
from caclient.engine.runtime import Runtime
from caclient.errors import BadValueError, CATimeoutError, DisconnectedError, ReadOnlyError

if TYPE_CHECKING:
    from caclient.dbr import Limits

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that a get, and the connection before a put, may take unless told otherwise."""


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
        "_callbacks",
        "_channel",
        "_closed",
        "_lease",
        "_monitor",
        "_newest",
        "_open",
        "_wants",
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
        self._callbacks: Callbacks | None = None
        self._newest: Reading | None = None
        """What was last read without a monitor."""
        self._wants: set[Any] | None = None
        """Subscriptions and iterators, which end with it."""
        self._monitor: Monitor | None = None
        self._channel: Channel
        self._home.names.join(self, self.pvname, priority)
        self._open = True
        if auto_monitor is None or auto_monitor:
            self._monitor = monitor_of(self._channel, DEFAULT_MASK if auto_monitor in (None, True) else auto_monitor)
            self._monitor.keep(demanding=auto_monitor is not None)
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
                return reading.with_control(fetch(self._channel, deadline)).text
        return reading.value

    def read(self, timeout: float | None = None, *, use_monitor: bool = True) -> Reading:
        """Value, time stamp, alarm and metadata as one ``Reading``; raises as ``get``. *Any thread.*"""
        deadline = self._deadline(timeout)
        reading = self._cached() if use_monitor else None
        if reading is None:
            reading = self._ask(deadline)
        return reading.with_control(fetch(self._channel, deadline))

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
            if count < 1:
                raise BadValueError(f"'{self.pvname}': count {count} is not positive")
            return get.read_some(channel, deadline, count)
        puts = channel.puts
        if puts == channel.puts_read:
            reading = get.read(channel, deadline)
        else:
            monitor = self._monitor
            reading = get.read(channel, deadline, keep=None if monitor is None else monitor.keep_answer)
            channel.puts_read, channel.floor = puts, reading.stamp
        self._newest = reading
        return reading

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
        return fetch(self._channel, self._deadline(timeout))

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
            put.send_and_wait(
                channel, data_type, count, data, deadline, deadline if timeout is not None else float("inf")
            )
        else:
            put.send(channel, data_type, count, data, deadline)

    def begin_put(self, value: Any) -> Callable[[float], None]:
        """Write a value and return what waits for its completion until a monotonic deadline. *Any thread.*"""
        channel = self._writable_channel()
        return put.begin(channel, *_form(channel, value)).finish

    # -- watching ------------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        callback: Callable[[Reading], Any] | weakref.WeakMethod[Any],
        *,
        policy: str = "all",
        limit: int | None = None,
        max_rate: float | None = None,
        mask: MaskLike = DEFAULT_MASK,
        skip_initial: bool = False,
    ) -> Subscription:
        """Call ``callback(reading)`` for the current value and every update, until the result is closed. *Any thread.*

        :param policy: ``"all"`` in order, within 64 MiB; ``"latest"`` skips what comes while the callback is busy.
        :param limit: how many may wait; what is more pushes the oldest out.
        :param max_rate: at most so many calls a second; the newest value always arrives.
        :param mask: which events: ``Mask.VALUE | Mask.ALARM``, a number, or letters of ``"vlap"``.
        :param skip_initial: begin with the first update after the current value.
        """
        channel = self._open_channel()
        lanes = channel.runtime.lanes
        make = self._maker(mask, skip_initial)
        made = subscription.subscribe(self, callback, lanes, make, policy, limit, max_rate)
        self._remember(made)
        if self._closed:  # since
            made.close()
            self._open_channel()
        return made

    def updates(
        self,
        timeout: float | None = None,
        *,
        policy: str = "all",
        limit: int | None = None,
        mask: MaskLike = DEFAULT_MASK,
    ) -> Updates:
        """An iterator over readings, from the current one on; waits at most *timeout* seconds for each."""
        self._open_channel()
        make = self._maker(mask, ends=True)
        made = Updates(self, make, policy, limit, math.inf if timeout is None else timeout)
        self._remember(made.hold)
        if self._closed:  # since
            made.close()
            self._open_channel()
        return made

    def _maker(self, mask: MaskLike, skip_initial: bool = False, ends: bool = False) -> Callable[[Sink], Hold]:
        """What puts a sink on the channel's monitor."""
        return partial(Hold, self._channel, mask, skip_initial=skip_initial, ends=ends)

    def _remember(self, want: Any) -> None:
        """Have it closed with this PV."""
        while self._wants is None:
            made: set[Any] = set()
            with self._channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._wants is None:
                    self._wants = made
        self._wants.add(want)

    def forget(self, want: Any) -> None:
        """It has been closed; one that is not known is no error. Takes no lock. *Any thread.*"""
        if self._wants is not None:
            self._wants.discard(want)

    def wait_for(self, predicate: Callable[[Any], bool], timeout: float | None = None) -> Reading:
        """The first reading whose value satisfies *predicate*, the current one included. Sees every update.

        :raises CATimeoutError: naming the last value seen, or saying how far the connection got.
        """
        started = time.monotonic()
        deadline = started + (self.timeout if timeout is None else timeout)
        channel, arrivals = self._open_channel(), Arrivals()
        last: Reading | None = None
        hold: Hold | None = None
        try:  # no ``Updates``: Ctrl-C in its finalizer could not be raised
            hold = self._maker(DEFAULT_MASK, ends=True)(arrivals)
            self._remember(hold)
            hold.enter()
            while (reading := arrivals.next(channel, deadline - time.monotonic())) is not None:
                if predicate(reading.value):
                    return reading
                last = reading
            refusal = hold.monitor.refusal
        finally:
            arrivals.end(None)
            if hold is not None:
                hold.close()
                self.forget(hold)
        waited = time.monotonic() - started
        self._open_channel()
        if not self.connected:
            raise channel.unready(waited)
        seen = f"last value: {last}" + (f"; {refusal}" if refusal else "")
        raise CATimeoutError(f"'{self.pvname}': condition not met in {waited:.3f} s; {seen}")

    # -- callbacks in pyepics' form ------------------------------------------------------------------------------------

    def add_callback(
        self,
        callback: Callable[..., Any],
        *,
        index: int | None = None,
        run_now: bool = False,
        with_ctrlvars: bool = True,
        **keywords: Any,
    ) -> int:
        """Call ``callback(pvname=, value=, char_value=, timestamp=, severity=, ..., cb_info=(index, pv), **keywords)``.

        For every update, in order, together with the connection callbacks, and once the metadata are known. A PV that
        has a value already makes no call for it unless *run_now*. Returns the index for ``remove_callback``. A PV with
        callbacks stays alive until ``close()``. *Any thread.*
        """
        self._open_channel()
        check(self.pvname, callback)
        return self._own_callbacks().add(callback, index, run_now, with_ctrlvars, keywords)

    def remove_callback(self, index: int) -> None:
        """Call it no more; an unknown index is no error. A call that runs is not waited for. *Any thread.*"""
        if self._callbacks is not None:
            self._callbacks.remove(index)

    def clear_callbacks(self) -> None:
        """Remove all value callbacks. *Any thread.*"""
        if self._callbacks is not None:
            self._callbacks.clear()

    @property
    def callbacks(self) -> dict[int, tuple[Callable[..., Any], dict[str, Any]]]:
        """Index -> (callback, keywords): a copy."""
        own = self._callbacks
        entries = {} if own is None else own.entries
        return {index: (entry.callback, entry.keywords) for index, entry in entries.items()}

    def add_connection_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(pvname=, conn=, pv=)`` on each change, and at once if the PV is connected. *Any thread.*"""
        self._open_channel()
        check(self.pvname, callback)
        self._channel.runtime.on_engine(self._own_callbacks().add_connection, callback)

    def add_access_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(read_access, write_access, pv=)`` on each change, and at once if connected. *Any thread.*"""
        self._open_channel()
        check(self.pvname, callback)
        self._channel.runtime.on_engine(self._own_callbacks().add_access, callback)

    def _own_callbacks(self) -> Callbacks:
        """Those of this PV, from the first on; in a forked child they begin anew."""
        channel = self._channel
        channel.runtime.wake()
        mask = self.auto_monitor if type(self.auto_monitor) is int else None
        while True:
            own = self._callbacks
            if own is not None:
                return own
            made = Callbacks(self, channel, mask)
            with channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._callbacks is None:
                    self._callbacks = made
            if self._callbacks is made:
                while not channel.join(made, channel.dependents, ahead=True):
                    pass
                if self._closed:  # since
                    made.close()

    @property
    def _home(self) -> Home:
        return self._lease.home

    @property
    def _runtime(self) -> Runtime:
        return self._channel.runtime

    def orphan_callbacks(self) -> None:
        """In a forked child: they are the parent's. *The only thread.*"""
        self._callbacks = None

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
        own = self._callbacks
        return self._newest if own is None or own.delivered is None else own.delivered

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
        return ACCESS.get((self.read_access, self.write_access), "no access")

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all that came from it, and let the server forget the channel if nobody else uses it. *Any thread.*"""
        try:
            del self._open  # one step in C, which only one can take
        except AttributeError:
            return
        self._closed = True
        if self._callbacks is not None:
            self._callbacks.close()
        for want in list(self._wants or ()):
            want.close()
        self._wants = None
        self._release()

    disconnect = close

    def _release(self) -> None:
        """Give back what this PV has used. Takes no lock. *Any thread.*"""
        monitor = self._monitor
        if monitor is not None:
            leave = monitor.forgo if self.auto_monitor is None else monitor.forgo_demand
            self._runtime.loop.call_soon(leave)
        self._home.names.leave(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._release()

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
