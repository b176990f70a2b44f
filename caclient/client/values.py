"""The value of a PV: the newest one, kept in memory if the PV is monitored, else asked for.

What is in memory is given only while it may be taken for the present: the PV is connected, nothing was put since it
was read last, and it is no older than that reading.
"""

from __future__ import annotations

import time
from typing import Any, Final, Literal, overload

from typing_extensions import Never

from caclient.client import get
from caclient.client.arguments import by_name, surplus, unknown
from caclient.client.callbacks import Callbacks
from caclient.client.monitor import AUTO_MONITOR, Monitor, monitor_of
from caclient.client.properties import fetch
from caclient.client.timeout import DEFAULT, Timeout, seconds
from caclient.client.why import Diagnosis
from caclient.client.writing import WrittenPV
from caclient.dbr import Reading
from caclient.dbr.mask import DEFAULT_MASK, MaskLike, event_mask
from caclient.errors import BadValueError, CAError, CATimeoutError, NoValueError, shorten
from caclient.settings import flag

METADATA: Final = 1.0
"""Seconds that a property may take to ask for what is not known yet."""


class ReadPV(WrittenPV):
    """A PV that is read."""

    __slots__ = ("_born", "_callbacks", "_monitor", "_newest", "_newest_came", "_wanted")

    _born: float
    _callbacks: Callbacks | None
    """Those in pyepics' form."""
    _monitor: Monitor | None
    _newest: Reading | None
    """What was last read without a monitor."""
    _newest_came: float
    _wanted: bool | MaskLike | None
    """As ``auto_monitor`` was given."""

    @overload
    def get(
        self, *, as_string: Literal[True], timeout: Timeout = DEFAULT, count: int | None = None, use_monitor: bool = ...
    ) -> str: ...

    @overload
    def get(
        self, *, as_string: bool = ..., timeout: Timeout = DEFAULT, count: int | None = None, use_monitor: bool = ...
    ) -> Any: ...

    @by_name
    def get(
        self,
        *more: Never,
        timeout: Timeout = DEFAULT,
        count: int | None = None,
        as_string: bool = False,
        use_monitor: bool = True,
        **others: Never,
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
        if more:
            raise surplus("PV.get", 0, more, "as_string", "use_monitor", count=True)
        if others:
            raise unknown("PV.get", ReadPV.get, others)
        if type(as_string) is not bool:
            flag("as_string", as_string)  # type: ignore[unreachable]  # for those who check no types
        if type(use_monitor) is not bool:
            flag("use_monitor", use_monitor)  # type: ignore[unreachable]  # for those who check no types
        if timeout is not DEFAULT:
            seconds(timeout)  # refused in memory or not
        reading = self._cached() if use_monitor and count is None else None
        if reading is None or as_string:
            limit = self._limit(timeout)
            deadline = time.monotonic() + limit
            try:
                if reading is None:
                    reading = self._ask(deadline, count) if limit else self._at_once()
                if as_string:
                    return reading.with_control(fetch(self._channel, deadline)).text
            except CAError as error:
                shorten(error)
                raise
        return reading.value

    @by_name
    def read(self, *more: Never, timeout: Timeout = DEFAULT, use_monitor: bool = True) -> Reading:
        """Value, time stamp, alarm and metadata as one ``Reading``; raises as ``get``. *Any thread.*"""
        if more:
            raise surplus("PV.read", 0, more, "use_monitor")
        flag("use_monitor", use_monitor)
        deadline = time.monotonic() + self._limit(timeout)
        reading = self._cached() if use_monitor else None
        try:
            if reading is None:
                reading = self._ask(deadline)
            return reading.with_control(fetch(self._channel, deadline))
        except CAError as error:
            shorten(error)
            raise

    @property
    def value(self) -> Any:
        """The newest value known, also after the IOC has gone. A new PV waits for its first one, as ``get()``.

        :raises NoValueError: there is none, and the PV is older than its timeout.
        """
        reading = self._cached()
        if reading is None:
            reading = self._last() if not self.connected else None
        if reading is None:
            try:
                reading = self._first()
            except CAError as error:
                shorten(error)
                raise
        return reading.value

    @value.setter
    def value(self, value: Any) -> None:
        self.put(value)

    @property
    def reading(self) -> Reading | None:
        """The newest reading known, however old; None if there was none. Never asks the server."""
        reading = self._last()
        return None if reading is None else reading.with_control(self._channel.control or reading.control)

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

    # -- for the rooms above -------------------------------------------------------------------------------------------

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

    def _nothing_yet(self) -> CAError:
        text = f"'{self.pvname}': no value is in memory, and timeout=0 does not wait"
        why = Diagnosis(self._channel.facts(elapsed=0.0, phase="request"))
        return CATimeoutError(text, pvname=self.pvname, elapsed=0.0, phase="request", why=why)

    def _ask(self, deadline: float, count: int | None = None) -> Reading:
        channel = self._open_channel()
        if count is not None:
            if type(count) is not int or count < 1:
                text = f"'{self.pvname}': count={count!r}: give how many elements at the most, from 1 on"
                raise BadValueError(text, pvname=self.pvname)
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
                known = {"elapsed": error.elapsed, "phase": error.phase, "why": error.why}
                raise NoValueError(str(error), pvname=self.pvname, **known) from error
        if last is not None:
            return last
        raise NoValueError(
            f"'{self.pvname}' has no value yet: it is {'closed' if self._closed else 'not connected'}; ask why()",
            pvname=self.pvname,
        )

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
                last = self._ask(time.monotonic() + METADATA)
            except CAError:
                return self._last()
        return last

    def _monitor_for(self, wanted: bool | MaskLike | None) -> tuple[Monitor | None, bool]:
        """The monitor that is wanted, and whether however large the array is."""
        if wanted is False or (type(wanted) is int and wanted == 0):
            return None, False
        mask = DEFAULT_MASK if wanted is None or wanted is True else event_mask(wanted, "auto_monitor")
        return monitor_of(self._channel, mask), wanted is not None

    def _forgo(self, monitor: Monitor | None, demanded: bool) -> None:
        if monitor is not None:
            self._runtime.loop.call_soon(monitor.forgo_demand if demanded else monitor.forgo)
