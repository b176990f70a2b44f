"""A process variable on the server: its value, who may touch it, and who is told when it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.dbr.convert import convert
from caclient.dbr.decode import Values
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LAYOUTS, ChannelType
from caclient.errors import BadValueError
from caclient.protocol.commands import AccessRights

from .completion import Completion
from .deadband import has_moved
from .monitor import Monitor
from .posts import ALARM, LOG, PROPERTY, VALUE, alarm_of
from .properties import Properties
from .snapshot import Snapshot
from .values import native_type_of, to_python, to_values

PutHook = Callable[["Record", Any], "Completion | None"]
"""Called with the record and the new value, within the control limits, before it is stored, in the server's thread. It
may raise BadValueError to refuse the put, or return a Completion to have the put-callback answered later."""

RecordObserver = Callable[["Record"], None]
READ_WRITE = AccessRights.READ | AccessRights.WRITE

_RECORD_TYPES = {
    ChannelType.STRING: "stringout", ChannelType.ENUM: "mbbo", ChannelType.LONG: "longout", ChannelType.INT: "longout",
}  # fmt: skip


class Record:
    """One PV. Its methods may be called from any thread.

    `data_type` and `count` (the most values it can hold) follow from the first value unless given; further keywords are
    those of `Properties`. Deadbands are those of MDEL and ADEL.
    """

    def __init__(
        self,
        name: str,
        value: Any,
        *,
        data_type: ChannelType | None = None,
        count: int | None = None,
        access: AccessRights = READ_WRITE,
        on_put: PutHook | None = None,
        value_deadband: float = 0.0,
        log_deadband: float = 0.0,
        record_type: str | None = None,
        stamp: TimeStamp | None = None,
        **properties: Any,
    ) -> None:
        self.name = name
        self.on_put = on_put
        self.value_deadband = value_deadband
        self.log_deadband = log_deadband
        known = Properties(**properties)
        self.native = native_type_of(value, known.enum_strings) if data_type is None else ChannelType(data_type)
        values = to_values(value, self.native, known.enum_strings)
        self.is_array = (count or 0) > 1 or (count is None and _is_sequence(value, self.native))
        self.capacity = count or max(1, len(values))
        self.record_type = record_type or ("waveform" if self.is_array else _RECORD_TYPES.get(self.native, "ao"))
        self._lock = threading.Lock()
        self._access = access
        self._monitors: dict[Monitor, None] = {}  # a set that keeps the order
        self._observers: dict[RecordObserver, None] = {}
        self._snapshot = self._next(values, *alarm_of(self._scalar(values), known), stamp or _now(), known, 1, 0)
        self._told = {VALUE: values, LOG: values}

    @property
    def snapshot(self) -> Snapshot:
        """The record as it is now."""
        return self._snapshot

    @property
    def value(self) -> Any:
        """The value as a number or str; of an array record a numpy array or a tuple of str."""
        return to_python(self._snapshot.values, self.is_array)

    @property
    def properties(self) -> Properties:
        """Units, precision, limits, state names."""
        return self._snapshot.properties

    @property
    def access(self) -> AccessRights:
        """What clients may do; assign to change it while they are connected."""
        return self._access

    @access.setter
    def access(self, rights: AccessRights) -> None:
        self._access = rights
        for observer in tuple(self._observers):
            observer(self)

    def post(
        self,
        value: Any = None,
        *,
        status: AlarmStatus | None = None,
        severity: AlarmSeverity | None = None,
        stamp: TimeStamp | None = None,
    ) -> None:
        """Take a new value (None: keep it) and tell the subscribers whom it concerns.

        Without `severity` the alarm follows from the limits; without `stamp` the time is now.
        """
        properties = self.properties
        values = None if value is None else to_values(value, self.native, properties.enum_strings)[: self.capacity]
        alarm = None if severity is None else (status or AlarmStatus.NO_ALARM, severity)
        self._update(values, alarm, stamp or _now(), properties, 0)

    def set_properties(self, **changes: Any) -> None:
        """Change units, precision, limits or state names, and tell those who subscribed to properties."""
        self._update(None, None, self._snapshot.stamp, replace(self.properties, **changes), PROPERTY)

    def put(self, data_type: int, data: Any) -> Completion | None:
        """Write as a client does: converted, and kept within the control limits, as an analog output keeps its drive.

        A Completion if it goes on, BadValueError if refused. Server thread.
        """
        if data_type in (ChannelType.PUT_ACKT, ChannelType.PUT_ACKS):
            self._acknowledge(data_type, data)
            return None
        values = convert(data, data_type, self.native, self.properties.wire_enum_strings)[: self.capacity]
        values = self._limited(values)
        if not len(values) and not self.is_array:
            self.post(status=AlarmStatus.LINK, severity=AlarmSeverity.INVALID)
            return None
        value = to_python(values, self.is_array)
        completion = self.on_put(self, value) if self.on_put is not None else None
        self._update(values, None, _now(), self.properties, 0)
        return completion

    def attach(self, monitor: Monitor) -> None:
        """Start telling a subscription, beginning with the value as it is. Any thread."""
        with self._lock:
            self._monitors[monitor] = None
        self.refresh(monitor)

    def refresh(self, monitor: Monitor) -> None:
        """Tell a subscription the value as it is, changed or not. Any thread."""
        with self._lock:
            fresh = monitor.offer(self._snapshot)
        if fresh:
            monitor.announce()

    def detach(self, monitor: Monitor) -> None:
        """Tell a subscription nothing more. Any thread."""
        with self._lock:
            del self._monitors[monitor]
            monitor.clear()

    def take(self, monitor: Monitor) -> Snapshot | None:
        """The oldest value that waits in a subscription. Any thread."""
        with self._lock:
            return monitor.take()

    def observe(self, observer: RecordObserver) -> None:
        """Have `observer(record)` called after each change of the access rights."""
        self._observers[observer] = None

    def unobserve(self, observer: RecordObserver) -> None:
        """End what `observe` began."""
        del self._observers[observer]

    @property
    def monitor_count(self) -> int:
        """Subscriptions there are."""
        return len(self._monitors)

    def _update(
        self,
        values: Values | None,
        alarm: tuple[AlarmStatus, AlarmSeverity] | None,
        stamp: TimeStamp,
        properties: Properties,
        mask: int,
    ) -> None:
        """Make the next snapshot, offer it to the subscriptions with a common bit, then tell their sessions."""
        with self._lock:
            old = self._snapshot
            new = old.values if values is None else values
            status, severity = alarm or alarm_of(self._scalar(new), properties)
            acks = max(old.acks, severity) if old.ackt else severity
            self._snapshot = self._next(new, status, severity, stamp, properties, old.ackt, acks)
            if (status, severity) != (old.status, old.severity):
                mask |= ALARM
            if values is not None:
                mask |= self._moved(values)
            offered = [m for m in self._monitors if m.mask & mask and m.offer(self._snapshot)]
        for monitor in offered:
            monitor.announce()

    def _limited(self, values: Values) -> Values:
        """A number within the control limits, where the record has some; NaN is no number."""
        low, high = self.properties.control
        if self._scalar(values) is None or not low < high:
            return values
        limited: Values = np.clip(values, low, high).astype(LAYOUTS[self.native].value_dtype)
        return limited

    def _acknowledge(self, data_type: int, data: Any) -> None:
        numbers = np.asarray(data).reshape(-1)
        if not len(numbers):
            raise BadValueError(f"{ChannelType(data_type).name} needs a number")
        number = int(numbers[0])
        with self._lock:
            old = self._snapshot
            ackt, acks = (number, old.acks) if data_type == ChannelType.PUT_ACKT else (old.ackt, old.acks)
            if data_type == ChannelType.PUT_ACKS and number >= acks:
                acks = 0
            self._snapshot = self._next(old.values, old.status, old.severity, old.stamp, old.properties, ackt, acks)
            offered = [m for m in self._monitors if m.mask & ALARM and m.offer(self._snapshot)]
        for monitor in offered:
            monitor.announce()

    def _moved(self, values: Values) -> int:
        """VALUE and LOG, each if the value has left its deadband. Caller holds the lock."""
        mask = 0
        for bit, deadband in ((VALUE, self.value_deadband), (LOG, self.log_deadband)):
            if self.is_array or _differs(self._told[bit], values, deadband):
                self._told[bit] = values
                mask |= bit
        return mask

    def _next(
        self,
        values: Values,
        status: int,
        severity: int,
        stamp: TimeStamp,
        properties: Properties,
        ackt: int,
        acks: int,
    ) -> Snapshot:
        return Snapshot(
            self.native, self.capacity, values, status, severity, stamp, properties,
            ackt=ackt, acks=acks, record_type=self.record_type,
        )  # fmt: skip

    def _scalar(self, values: Values) -> float | None:
        """The number that alarm limits apply to, if it is one."""
        if self.is_array or self.native in (ChannelType.STRING, ChannelType.ENUM) or not len(values):
            return None
        return float(values[0])

    def __repr__(self) -> str:
        return f"<Record {self.name!r} {self.native.name}[{self.capacity}]>"


def _is_sequence(value: Any, native: ChannelType) -> bool:
    if isinstance(value, (str, bytes, bytearray)):
        return native == ChannelType.CHAR
    return isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) > 0


def _differs(old: Values, new: Values, deadband: float) -> bool:
    if isinstance(old, tuple) or isinstance(new, tuple):
        return deadband < 0 or old != new
    return has_moved(float(old[0]), float(new[0]), deadband)


def _now() -> TimeStamp:
    return TimeStamp.from_ns(time.time_ns())
