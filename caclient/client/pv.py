"""PV: what users hold. Cached state, get, put, callbacks; any thread, callbacks included, may use it."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, overload

import numpy as np
from typing_extensions import Self

from caclient.client import get, put, subscription
from caclient.client.bulk import get_all, wait_some
from caclient.client.callbacks import Callbacks, check
from caclient.client.channel import ACCESS, Channel, State as ChannelState
from caclient.client.completion import Begun, Put
from caclient.client.condition import checked_settle, checked_tolerance, condition, fitting_tolerance
from caclient.client.default import Handle, current, lease_like, settings_of
from caclient.client.description import FIELDS, Description, record_of
from caclient.client.expect import Expectation, condition_of, put_and_wait, unmet, wait_for
from caclient.client.feed import Sink
from caclient.client.home import Home, Lease, Settings
from caclient.client.monitor import AUTO_MONITOR, Monitor, monitor_of
from caclient.client.picture import Line, card
from caclient.client.progress import Progress
from caclient.client.properties import fetch, want
from caclient.client.subscription import Hold, Policy, Subscription
from caclient.client.timeout import DEFAULT, Timeout, own, remaining, seconds
from caclient.client.updates import Updates
from caclient.client.why import SILENT, Diagnosis, Facts
from caclient.dbr import AlarmSeverity, AlarmStatus, ChannelType, ControlInfo, Reading
from caclient.dbr.mask import DEFAULT_MASK, MaskLike, event_mask
from caclient.dbr.put import Form, put_form
from caclient.engine.lanes import named
from caclient.engine.runtime import Runtime
from caclient.errors import (
    BadValueError,
    CAError,
    CATimeoutError,
    DisconnectedError,
    NoValueError,
    ReadOnlyError,
    WrongTypeError,
)

if TYPE_CHECKING:
    from caclient.dbr import Limits

_METADATA: Final = 1.0
"""Seconds that a property may take to ask for what is not known yet."""
_LOOK: Final = 0.5
"""Seconds that a notebook may wait for the first value, instead of showing that there is none yet."""
_FIELDS: Final = 0.5
"""Seconds within which one field of a record has to be found for others to be waited for."""
_GATHER: Final = 0.1
"""Seconds for which they are."""
_NO_CONTROL: Final = ControlInfo()


def _limit_of(name: str) -> property:
    def limit(self: PV) -> float | None:
        return getattr(self._metadata() or _NO_CONTROL, name)  # type: ignore[no-any-return]

    limit.__doc__ = f"The channel's {name.replace('_', ' ')}; None if not known."
    return property(limit)


class PV:
    """A process variable by name. Creating one never blocks; it connects in the background and stays connected.

    :param auto_monitor: keep the newest reading in memory, so that ``get()`` costs no network. None decides at the
        connection: yes for channels of fewer than 65,536 elements. A mask says for which events.
    :param connection_callback: called as ``fn(pvname=, conn=, pv=)`` on each change.
    :param access_callback: called as ``fn(read_access, write_access, pv=)`` on each change.
    :param callback: like ``add_callback``.
    :param timeout: seconds that calls may take unless they are given their own; by default the context's.
    """

    _odd_names: ClassVar[bool] = False
    """Whether names are taken that no record has: a drop-in must wait for them as what it replaces does."""

    __slots__ = (
        "__weakref__",
        "_begun",
        "_born",
        "_callbacks",
        "_channel",
        "_closed",
        "_lease",
        "_monitor",
        "_newest",
        "_newest_came",
        "_open",
        "_timeout",
        "_wanted",
        "_wants",
        "priority",
        "pvname",
    )

    def __init__(
        self,
        pvname: str,
        *,
        connection_callback: Callable[..., Any] | None = None,
        access_callback: Callable[..., Any] | None = None,
        callback: Callable[..., Any] | None = None,
        auto_monitor: bool | MaskLike | None = None,
        priority: int = 0,
        timeout: Timeout = DEFAULT,
        context: Handle | None = None,
    ) -> None:
        self._closed = True  # until there is something to close
        name: Any = pvname  # whatever it is: what is no text is refused below
        self.pvname: str = name.strip() if isinstance(name, str) else name
        self.priority = priority
        self._timeout: Timeout = own(timeout)
        self._wanted = auto_monitor
        self._born = time.monotonic()
        self._begun: Begun | None = None
        self._lease: Lease = (current() if context is None else context)._lease
        self._callbacks: Callbacks | None = None
        self._newest: Reading | None = None
        """What was last read without a monitor."""
        self._newest_came: float
        self._wants: set[Any] | None = None
        """Subscriptions and iterators, which end with it."""
        self._monitor: Monitor | None = None
        self._channel: Channel
        self._home.names.join(self, self.pvname, priority, self._odd_names)
        self._open = True
        monitor, demanding = self._monitor_for(auto_monitor)
        if monitor is not None:
            self._monitor = monitor
            monitor.keep(demanding)
        if connection_callback is not None:
            self.add_connection_callback(connection_callback)
        if access_callback is not None:
            self.add_access_callback(access_callback)
        if callback is not None:
            self.add_callback(callback)

    # -- reading -------------------------------------------------------------------------------------------------------

    @overload
    def get(
        self, *, as_string: Literal[True], timeout: Timeout = DEFAULT, count: int | None = None, use_monitor: bool = ...
    ) -> str: ...

    @overload
    def get(
        self, *, as_string: bool = ..., timeout: Timeout = DEFAULT, count: int | None = None, use_monitor: bool = ...
    ) -> Any: ...

    def get(
        self, *, timeout: Timeout = DEFAULT, count: int | None = None, as_string: bool = False, use_monitor: bool = True
    ) -> Any:
        """The value: from memory if the PV is monitored and no put came since, else from the server. *Any thread.*

        A number or a string; a numpy array (in native byte order, or of text) if the channel is an array.

        :param count: at most so many elements, from the server.
        :param as_string: the value as text: a state's name, characters of a CHAR array, digits as the IOC suggests.
        :param use_monitor: false asks the server in any case.
        :raises CATimeoutError: not connected, or no answer, within *timeout* seconds; the text says why.
        :raises DisconnectedError: the connection was lost while waiting.
        :raises AccessDeniedError: no read access.
        :raises ChannelAccessError: the server could not read it.
        """
        limit = self._limit(timeout)
        reading = self._cached() if use_monitor and count is None else None
        if reading is None or as_string:
            deadline = time.monotonic() + limit
            if reading is None:
                reading = self._ask(deadline, count) if limit else self._at_once()
            if as_string:
                return reading.with_control(fetch(self._channel, deadline)).text
        return reading.value

    def read(self, *, timeout: Timeout = DEFAULT, use_monitor: bool = True) -> Reading:
        """Value, time stamp, alarm and metadata as one ``Reading``; raises as ``get``. *Any thread.*"""
        deadline = time.monotonic() + self._limit(timeout)
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
            or channel.readable is None
            or self._closed
        ):
            return None
        newest = monitor.last
        if newest is None or (channel.floor is not None and (newest.stamp or channel.floor) < channel.floor):
            return None
        return newest

    def _at_once(self) -> Reading:
        """Without a wait: there is nothing in memory."""
        channel = self._open_channel()
        raise channel.unready(0.0) if not channel.connected else self._nothing_yet()

    def _ask(self, deadline: float, count: int | None = None) -> Reading:
        channel = self._open_channel()
        if count is not None:
            if type(count) is not int or count < 1:
                raise BadValueError(f"'{self.pvname}': count={count!r}: give how many elements at the most, from 1 on")
            return get.read_some(channel, deadline, count)
        puts = channel.puts
        if puts == channel.puts_read:
            reading = get.read(channel, deadline)
        else:
            monitor = self._monitor
            reading = get.read(channel, deadline, keep=None if monitor is None else monitor.keep_answer)
            channel.puts_read, channel.floor = puts, reading.stamp
        self._newest, self._newest_came = reading, time.monotonic()
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

    def _limit(self, timeout: Timeout) -> float:
        """The seconds that a call has."""
        if timeout is not DEFAULT:
            return seconds(timeout)
        own = self._timeout
        return self._home.settings.timeout if own is DEFAULT else own

    # -- writing -------------------------------------------------------------------------------------------------------

    def put(self, value: Any, *, wait: bool = False, timeout: Timeout = DEFAULT) -> None:
        """Write a value. Sent at once; with *wait*, returns when the record has finished processing. *Any thread.*

        A number, text, a list or array, a ``Reading``, a state's name. Text goes to a number or a state as text, which
        the IOC converts; to an array of CHAR it goes as characters.

        :param timeout: seconds for the connection and, if given, for the completion too, which otherwise is waited for
            as long as it takes.
        :raises AccessDeniedError: no write access; ``ReadOnlyError``: not with this context. Nothing was sent.
        :raises BadValueError: the value cannot be put there; nothing was sent.
        :raises CATimeoutError: not connected, or not completed, in time.
        :raises DisconnectedError: the connection was lost before the completion.
        :raises ChannelAccessError: the record refused it (only with *wait*; otherwise a refusal is logged).
        """
        if wait is not False and wait is not True:
            raise WrongTypeError(f"'{self.pvname}': wait={wait!r}: give True or False")
        channel = self._writable_channel()
        deadline = time.monotonic() + self._limit(timeout)
        begun = self._begun
        if begun is not None and begun.waits and not begun.await_all(deadline):
            raise channel.unready(self._limit(timeout))
        if channel.state is not ChannelState.READY:
            channel.require(deadline)
        data_type, count, data = self._form(value, deadline)
        if not wait:
            put.send(channel, data_type, count, data, deadline)
            return
        completion = math.inf if timeout is DEFAULT else deadline
        with Progress(lambda: f"{self.pvname}: put, the record is processing"):
            put.send_and_wait(channel, data_type, count, data, deadline, completion)

    def begin_put(self, value: Any) -> Put:
        """Begin to write a value, and go on at once; the result is a standard future of its completion. *Any thread.*

        Without a connection it waits for one, as long as the PV's timeout, in order with all other puts of this PV.

        :raises BadValueError: the value cannot be put there; nothing was sent.
        """
        channel = self._writable_channel()
        if channel.runtime.closed:
            raise channel.ended("")
        begun = self._own_begun()
        if isinstance(value, np.ndarray):
            value = value.copy()  # it may be sent later
        form = self._form(value, 0.0) if channel.connected else None
        begun_put = Put(self, (lambda: self._form(value, 0.0)) if form is None else (lambda: form), begun.lane)
        if channel.connected and not begun.waits:
            begun_put.send(channel)
        else:
            begun.add(begun_put, time.monotonic() + self._limit(DEFAULT))
        return begun_put

    def _own_begun(self) -> Begun:
        """The puts of this PV that have begun."""
        channel = self._channel
        channel.runtime.wake()
        while self._begun is None:
            made = Begun(channel)
            with channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._begun is None:
                    self._begun = made
            if self._begun is made:
                while not channel.join(made, channel.dependents):
                    pass
        return self._begun

    def _form(self, value: Any, deadline: float) -> Form:
        """In which type and count a value is sent; for a state's name the names are fetched until the *deadline*."""
        channel = self._channel
        native = channel.native_type
        if native is None:
            raise channel.unready(time.monotonic() - channel.since)
        control = channel.control
        if control is None and native == ChannelType.ENUM and isinstance(value, (str, bytes)):
            if deadline and channel.can_read:
                control = fetch(channel, deadline)
            else:
                want(channel)
        return put_form(channel.name, native, channel.count, () if control is None else control.enum_strs, value)

    def put_and_wait(
        self,
        value: Any,
        *,
        timeout: float,
        readback: PV | None = None,
        until: Any = None,
        tolerance: float | None = None,
        settle: float = 0.0,
    ) -> Reading:
        """Write a value, and wait until the record has finished **and** *readback* says so: its reading. *Any thread.*

        :param readback: another PV that tells what really is; by default this one.
        :param until: a condition as for ``wait_for`` on the read-back; by default, that it equals the value.
        :param tolerance: by default exact for integers, states and text; for floats half of the last digit of the
            read-back's precision.
        :param settle: seconds for which it has to stay so.
        :raises CATimeoutError: not completed, or not so, within *timeout* seconds.
        """
        limit = seconds(timeout)
        deadline = time.monotonic() + limit
        watched = self if readback is None else readback
        if not isinstance(watched, PV):
            raise WrongTypeError(f"'{self.pvname}': readback={watched!r}: give a PV")
        checked_settle(settle)
        channel = watched._open_channel()
        self._writable_channel()
        channel.require(deadline)
        wanted = value if until is None else until
        if tolerance is None:
            control = fetch(channel, deadline)
            fits = until is None and not isinstance(wanted, (str, bytes))
            tolerance = fitting_tolerance(wanted, channel.native_type, control.precision) if fits else 0.0
        what = condition_of(channel, wanted, tolerance, deadline)
        with Progress(lambda: f"{self.pvname}: put, waiting until {watched.pvname} {what.text}"):
            return put_and_wait(partial(self._put_until, value), channel, watched, what, deadline, settle)

    def _put_until(self, value: Any, deadline: float) -> None:
        self.put(value, wait=True, timeout=remaining(deadline))

    # -- watching ------------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        callback: Callable[[Reading], Any] | weakref.WeakMethod[Any],
        *,
        policy: Policy = "all",
        limit: int | None = None,
        max_rate: float | None = None,
        mask: MaskLike = DEFAULT_MASK,
        count: int | None = None,
        skip_initial: bool = False,
    ) -> Subscription:
        """Call ``callback(reading)`` for the current value and every update, until the result is closed. *Any thread.*

        :param policy: ``"all"`` in order, within 64 MiB; ``"latest"`` skips what comes while the callback is busy.
        :param limit: how many may wait; what is more pushes the oldest out.
        :param max_rate: at most so many calls a second; the newest value always arrives.
        :param mask: which events: ``Mask.VALUE | Mask.ALARM``, a number, or letters of ``"vlap"``.
        :param count: at most so many elements of an array.
        :param skip_initial: begin with the first update after the current value.
        """
        channel = self._open_channel()
        lanes = channel.runtime.lanes
        make = self._maker(mask, skip_initial, count=count)
        made = subscription.subscribe(self, callback, lanes, make, policy, limit, max_rate)
        self.remember(made)
        if self._closed:  # since
            made.close()
            self._open_channel()
        return made

    def updates(
        self,
        *,
        timeout: float = math.inf,
        policy: Policy = "all",
        limit: int | None = None,
        mask: MaskLike = DEFAULT_MASK,
    ) -> Updates:
        """An iterator over readings, from the current one on; waits at most *timeout* seconds for each."""
        patience = seconds(timeout)
        self._open_channel()
        make = self._maker(mask, ends=True)
        made = Updates(self, make, policy, limit, patience)
        self.remember(made.hold)
        if self._closed:  # since
            made.close()
            self._open_channel()
        return made

    def _maker(
        self, mask: MaskLike, skip_initial: bool = False, ends: bool = False, count: int | None = None
    ) -> Callable[[Sink], Hold]:
        """What puts a sink on the channel's monitor."""
        if count is not None and (type(count) is not int or count < 1):
            raise BadValueError(f"'{self.pvname}': count={count!r}: give how many elements at the most, from 1 on")
        return partial(Hold, self._channel, mask, skip_initial=skip_initial, ends=ends, count=count)

    def remember(self, want: Any) -> None:
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

    def wait_for(self, condition: Any, *, timeout: float, tolerance: float = 0.0, settle: float = 0.0) -> Reading:
        """Wait until the PV is something: the first reading that fits, the current one included. *Any thread.*

        :param condition: a value, a state's name, or a function of the value; it is shown every update.
        :param timeout: seconds for it; 0 looks once.
        :param tolerance: how far a number may be from it.
        :param settle: seconds for which it has to stay so.
        :raises CATimeoutError: it has not become so, which a fresh read at the end has confirmed; or not connected.
        """
        limit = seconds(timeout)
        started = time.monotonic()
        checked_tolerance(tolerance)
        checked_settle(settle)
        channel = self._open_channel()
        if limit == 0.0:
            return self._look_once(condition, tolerance)
        channel.require(started + limit)
        what = condition_of(channel, condition, tolerance, started + limit)
        with Progress(lambda: f"{self.pvname}: waiting until {what.text}"):
            return wait_for(channel, self, what, remaining(started + limit), settle)

    def _look_once(self, wanted: Any, tolerance: float) -> Reading:
        channel, reading = self._channel, self._cached()
        if reading is None:
            raise channel.unready(0.0) if not channel.connected else self._nothing_yet()
        control = channel.control
        states = () if control is None else control.enum_strs
        if isinstance(wanted, str) and channel.native_type == ChannelType.ENUM and not states:
            states = fetch(channel, time.monotonic() + _METADATA).enum_strs
        what = condition(self.pvname, wanted, tolerance, channel.native_type, states)
        if what.holds(reading):
            return reading
        raise unmet(channel, what, 0.0, 0, reading)

    def _nothing_yet(self) -> CAError:
        return CATimeoutError(
            f"'{self.pvname}': no value is in memory, and timeout=0 does not wait", pvname=self.pvname
        )

    def expect(self, condition: Any, *, timeout: float, tolerance: float = 0.0) -> Expectation:
        """``with pv.expect(1, timeout=2) as seen: start.put(1)``: wait, at the end of the block, for what is expected.

        Armed before the block begins: only updates after that count, and none is missed, however short. An exception in
        the block goes through. Then ``seen.reading`` is the first reading that fits. *Any thread.*

        :param condition: a value, a state's name, or a function of the value.
        :param timeout: seconds from the end of the block.
        :raises CATimeoutError: at the end, if it did not come; at the beginning, if there is no connection.
        """
        limit = seconds(timeout)
        checked_tolerance(tolerance)
        return Expectation(self._open_channel(), self, condition, tolerance, limit, self._limit(DEFAULT))

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
        wanted = self._wanted
        mask = None if wanted is None or isinstance(wanted, bool) else event_mask(wanted)
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

    def wait_for_connection(self, timeout: Timeout = DEFAULT) -> bool:
        """Wait until connected; false if that takes longer than *timeout* seconds. *Any thread.*"""
        limit = self._limit(timeout)
        return self._open_channel().wait_ready(time.monotonic() + limit)

    @property
    def timeout(self) -> float:
        """Seconds that calls may take unless they are given their own: the PV's, or its context's."""
        return self._limit(DEFAULT)

    @timeout.setter
    def timeout(self, timeout: Timeout) -> None:
        self._timeout = own(timeout)

    @property
    def value(self) -> Any:
        """The newest value known, also after the IOC has gone. A new PV waits for its first one, as ``get()``.

        :raises NoValueError: there is none, and the PV is older than its timeout.
        """
        reading = self._cached()
        if reading is None:
            reading = self._last() if not self.connected else None
        if reading is None:
            reading = self._first()
        return reading.value

    @value.setter
    def value(self, value: Any) -> None:
        self.put(value)

    def _first(self) -> Reading:
        """A value where there is none in memory that counts."""
        last, age = self._last(), time.monotonic() - self._born
        left = self._limit(DEFAULT) - age
        try:
            if not self._closed and (self.connected or left > 0):
                limit = self._limit(DEFAULT) if self.connected else left
                return self._ask(time.monotonic() + limit)
        except CAError as error:
            if last is None:
                raise NoValueError(str(error), pvname=self.pvname, phase=error.phase, why=error.why) from error
        if last is not None:
            return last
        raise NoValueError(
            f"'{self.pvname}' has no value yet: it is {'closed' if self._closed else 'not connected'}; ask why()",
            pvname=self.pvname,
        )

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

    def _known(self) -> Reading | None:
        """The newest reading; of a connected PV that has none one is asked for, for a second at the most."""
        last = self._last()
        if last is None and self.connected:
            try:
                last = self._ask(time.monotonic() + _METADATA)
            except CAError:
                return self._last()
        return last

    @property
    def age(self) -> float | None:
        """Seconds since the newest reading came; None if none ever did."""
        monitor, own = self._monitor, self._callbacks
        came = [0.0 if monitor is None or monitor.last is None else monitor.came]
        came += [own.came] if own is not None else []
        came += [self._newest_came] if self._newest is not None else []
        newest = max(came)
        return time.monotonic() - newest if newest else None

    @property
    def char_value(self) -> str | None:
        """The newest value as text; None if none is known."""
        reading = self._known()
        return None if reading is None else reading.with_control(self._metadata() or reading.control).text

    @property
    def severity(self) -> AlarmSeverity | None:
        """Alarm severity of the newest reading; None if none is known."""
        reading = self._known()
        return None if reading is None else reading.severity

    @property
    def status(self) -> AlarmStatus | None:
        """Alarm status of the newest reading; None if none is known."""
        reading = self._known()
        return None if reading is None else reading.status

    @property
    def timestamp(self) -> float | None:
        """Time stamp of the newest reading in seconds since 1970; NaN if undefined, None if none is known."""
        reading = self._known()
        return None if reading is None else reading.timestamp

    @property
    def posixseconds(self) -> int | None:
        """Whole seconds since 1970 of the newest reading's time stamp; None if undefined."""
        reading = self._known()
        nanoseconds = None if reading is None else reading.timestamp_ns
        return None if nanoseconds is None else nanoseconds // 1_000_000_000

    @property
    def nanoseconds(self) -> int | None:
        """Nanoseconds beyond these; None if undefined."""
        reading = self._known()
        nanoseconds = None if reading is None else reading.timestamp_ns
        return None if nanoseconds is None else nanoseconds % 1_000_000_000

    def _metadata(self) -> ControlInfo | None:
        """What is known of the metadata; those of a connected PV are asked for, for a second at the most."""
        channel = self._channel
        if self.connected and channel.can_read:
            try:
                return fetch(channel, time.monotonic() + _METADATA)
            except CAError:
                pass
        return channel.control

    @property
    def units(self) -> str | None:
        """Engineering units; None if not known, or the type has none."""
        return (self._metadata() or _NO_CONTROL).units

    @property
    def precision(self) -> int | None:
        """Digits after the point that the IOC suggests; None if not known, or the type has none."""
        return (self._metadata() or _NO_CONTROL).precision

    @property
    def enum_strs(self) -> tuple[str, ...] | None:
        """Names of the states, empty for other than enums; None if not known."""
        control = self._metadata()
        return None if control is None else control.enum_strs

    @property
    def limits(self) -> Limits:
        """The display, alarm, warning and control limits, each (lower, upper); None where not known."""
        return (self._metadata() or _NO_CONTROL).limits

    upper_disp_limit = _limit_of("upper_disp_limit")
    lower_disp_limit = _limit_of("lower_disp_limit")
    upper_alarm_limit = _limit_of("upper_alarm_limit")
    upper_warning_limit = _limit_of("upper_warning_limit")
    lower_warning_limit = _limit_of("lower_warning_limit")
    lower_alarm_limit = _limit_of("lower_alarm_limit")
    upper_ctrl_limit = _limit_of("upper_ctrl_limit")
    lower_ctrl_limit = _limit_of("lower_ctrl_limit")

    @property
    def auto_monitor(self) -> bool:
        """Whether the newest reading is kept in memory. It can be set: to true, false, None (as fits) or a mask."""
        monitor = self._monitor
        if monitor is None:
            return False
        return self._wanted is not None or not self._channel.count or self._channel.count < AUTO_MONITOR

    @auto_monitor.setter
    def auto_monitor(self, wanted: bool | MaskLike | None) -> None:
        self._open_channel()
        monitor, demanding = self._monitor_for(wanted)
        before, demanded = self._monitor, self._wanted is not None
        if monitor is not None:
            monitor.keep(demanding)
        self._monitor, self._wanted = monitor, wanted
        self._forgo(before, demanded)

    def _monitor_for(self, wanted: bool | MaskLike | None) -> tuple[Monitor | None, bool]:
        """The monitor that is wanted, and whether however large the array is."""
        if wanted is False or (type(wanted) is int and wanted == 0):
            return None, False
        mask = DEFAULT_MASK if wanted is None or wanted is True else event_mask(wanted)
        return monitor_of(self._channel, mask), wanted is not None

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

    # -- what there is to know ----------------------------------------------------------------------------------------

    def why(self) -> Diagnosis:
        """Why it does not answer, or that all is well: from what is known, without waiting. *Any thread.*"""
        return Diagnosis(self._facts())

    def _facts(self) -> Facts:
        facts = self._channel.facts()
        if self._closed:
            facts.closed = "this PV has been closed"
        lanes = self._runtime.lanes
        for calls, callback in self._calls():
            facts.queued += calls.pending
            facts.dropped += calls.dropped
            busy = lanes.busy_for(calls)
            if busy > facts.busy_for:
                facts.busy, facts.busy_for = named(callback), busy
        if self._monitor is not None:
            facts.thinned = self._monitor.thinned()
        return facts

    def _calls(self) -> list[tuple[Any, Any]]:
        """What waits for callbacks of this PV, and a callback of each."""
        found = [(each.calls, each.callback) for each in list(self._wants or ()) if isinstance(each, Subscription)]
        callbacks = self._callbacks
        if callbacks is not None and callbacks.entries:
            found.append((callbacks.events, callbacks.running or next(iter(callbacks.entries.values())).callback))
        return found

    def _examine(self, limit: float) -> Diagnosis:
        """Why, after having waited for it, and asked it something."""
        if not self._closed:
            deadline = time.monotonic() + limit
            try:
                if self._channel.wait_ready(deadline) and self._channel.can_read:
                    get.read(self._channel, min(deadline, time.monotonic() + max(limit, SILENT + 0.1)))
            except CAError:
                pass  # which is what is to be told
        return self.why()

    def describe(self, *, timeout: Timeout = DEFAULT) -> Description:
        """What there is to know about it, as a table: record, value, metadata, limits with severities. *Any thread.*"""
        deadline = time.monotonic() + self._limit(timeout)
        channel = self._open_channel()
        record = record_of(self.pvname)
        tenant = Tenant(self._lease)
        fields = {name: PV(f"{record}.{name}", auto_monitor=False, context=tenant) for name in FIELDS}
        try:
            reading = self.read(timeout=remaining(deadline))
            told = self._told(list(fields.values()), deadline)
        finally:
            for pv in fields.values():
                pv.close()
        known = dict(zip(fields, told, strict=True))
        return Description(
            reading,
            self.type or "",
            channel.count,
            self.access,
            self.host,
            {name: each.with_control(None).text for name, each in known.items() if isinstance(each, Reading)},
        )

    @staticmethod
    def _told(pvs: list[PV], deadline: float) -> list[Any]:
        """What the fields of a record say: those that are there come together, the others never."""
        channels = [pv.channel for pv in pvs]
        wait_some(channels, min(deadline, time.monotonic() + _FIELDS), _GATHER)
        return get_all(channels, min(deadline, time.monotonic() + _GATHER))

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
        for wanted in list(self._wants or ()):
            wanted.close()
        self._wants = None
        self._release()

    disconnect = close

    def _release(self) -> None:
        """Give back what this PV has used. Takes no lock. *Any thread.*"""
        self._forgo(self._monitor, self._wanted is not None)
        self._home.names.leave(self._channel)

    def _forgo(self, monitor: Monitor | None, demanded: bool) -> None:
        if monitor is not None:
            self._runtime.loop.call_soon(monitor.forgo_demand if demanded else monitor.forgo)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.pvname, self.priority, self._wanted, self._timeout, settings_of(self._lease))

    def __repr__(self) -> str:
        channel = self._channel
        state = "closed" if self._closed else channel.state.value
        if channel.native_type is None:
            return f"<PV {self.pvname!r}: {state}>"
        shape = f"{channel.native_type.name.lower()}[{channel.count}]"
        return f"<PV {self.pvname!r}: {state}, {shape}, {self.access}, {self.host}>"

    def _repr_html_(self) -> str:
        """For notebooks: may wait half a second for the first value and the metadata."""
        channel, deadline = self._channel, time.monotonic() + _LOOK
        try:
            if not self._closed and channel.wait_ready(deadline) and channel.can_read:
                fetch(channel, deadline)
                if self._last() is None:
                    self._ask(deadline)
        except CAError:
            pass  # what is known is shown
        state = "closed" if self._closed else channel.state.value
        return card(Line(self.pvname, self.reading, self.age, self.connected), state, self.host)


class Tenant:
    """Who has a lease, as a handle."""

    __slots__ = ("_lease", "closed")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.closed = False


def _rebuild(
    pvname: str, priority: int, auto_monitor: bool | MaskLike | None, timeout: Timeout, settings: Settings | None
) -> PV:
    """What a pickled PV becomes: the same name in a home of the same settings, without its callbacks."""
    context = Tenant(lease_like(settings))
    return PV(pvname, priority=priority, auto_monitor=auto_monitor, timeout=timeout, context=context)
