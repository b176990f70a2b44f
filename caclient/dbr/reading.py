"""A decoded answer: value, alarm, time stamp and what is known about units, limits and names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import Self

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus, alarm_severity, alarm_status
from caclient.dbr.metadata import Metadata
from caclient.dbr.stamps import EPICS_EPOCH, TimeStamp
from caclient.dbr.text import cut, to_text
from caclient.dbr.types import LIMITS


class Limits(NamedTuple):
    """The four ranges of a channel, each (lower, upper); None where unknown, NaN where the IOC has none set."""

    display: tuple[float | None, float | None]
    alarm: tuple[float | None, float | None]
    warning: tuple[float | None, float | None]
    control: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class ControlInfo:
    """What changes seldom: units, precision, limits, names of states. None is "this type has none"."""

    units: str | None = None
    precision: int | None = None
    upper_disp_limit: float | None = None
    lower_disp_limit: float | None = None
    upper_alarm_limit: float | None = None
    upper_warning_limit: float | None = None
    lower_warning_limit: float | None = None
    lower_alarm_limit: float | None = None
    upper_ctrl_limit: float | None = None
    lower_ctrl_limit: float | None = None
    enum_strs: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ControlInfo) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        """All there is, with a limit that is not set (NaN) equal to itself."""
        values = (self.units, self.precision, *(getattr(self, name) for name in LIMITS), self.enum_strs)
        return tuple("unset" if value != value else value for value in values)

    @property
    def limits(self) -> Limits:
        """The eight limits as four ranges."""
        return Limits(
            (self.lower_disp_limit, self.upper_disp_limit),
            (self.lower_alarm_limit, self.upper_alarm_limit),
            (self.lower_warning_limit, self.upper_warning_limit),
            (self.lower_ctrl_limit, self.upper_ctrl_limit),
        )

    @classmethod
    def from_metadata(cls, metadata: Metadata | None) -> ControlInfo | None:
        """What a GR or CTRL answer says, as text; None if the metadata carry nothing of the kind."""
        if metadata is None or (metadata.units is None and metadata.enum_strings is None):
            return None
        return cls(
            units=None if metadata.units is None else to_text(metadata.units),
            precision=metadata.precision,
            enum_strs=tuple(map(to_text, metadata.enum_strings or ())),
            **{name: getattr(metadata, name) for name in LIMITS},
        )


_NO_CONTROL = ControlInfo()


def _limit(name: str) -> property:
    def limit(self: Reading) -> float | None:
        return getattr(self[5] or _NO_CONTROL, name)  # type: ignore[no-any-return]

    limit.__doc__ = f"The channel's {name.replace('_', ' ')}; None if not asked for."
    return property(limit)


class Reading(tuple[Any, ...]):
    """One answer of a channel. Immutable; a tuple (value, status, severity, seconds, nanoseconds, control) underneath.

    `seconds` are EPICS seconds, None (with `nanoseconds`) if the answer carried no time stamp. Many are built at once
    by `map(tuple.__new__, repeat(Reading), zip(...))`: nothing here may depend on `__new__` having run. *Any thread.*
    """

    __slots__ = ()

    def __new__(
        cls,
        value: Any,
        status: int = 0,
        severity: int = 0,
        seconds: int | None = None,
        nanoseconds: int | None = None,
        control: ControlInfo | None = None,
    ) -> Self:
        return tuple.__new__(cls, (value, status, severity, seconds, nanoseconds, control))

    @property
    def value(self) -> Any:
        """A Python number or string; a numpy array or a tuple of strings for an array channel."""
        return self[0]

    @property
    def status(self) -> AlarmStatus | int:
        """The alarm condition; a plain int if it is none that EPICS knows."""
        return alarm_status(self[1])

    @property
    def severity(self) -> AlarmSeverity | int:
        """The alarm severity; a plain int if it is none that EPICS knows."""
        return alarm_severity(self[2])

    @property
    def stamp(self) -> TimeStamp | None:
        """The time stamp as the wire has it, None if the answer carried none."""
        return None if self[3] is None else TimeStamp(self[3], self[4])

    @property
    def timestamp(self) -> float | None:
        """Seconds since 1970, None if the answer carried no time stamp."""
        seconds = self[3]
        return None if seconds is None else seconds + EPICS_EPOCH + self[4] * 1e-9

    @property
    def timestamp_ns(self) -> int | None:
        """Nanoseconds since 1970, exact; None if the answer carried no time stamp."""
        stamp = self.stamp
        return None if stamp is None else stamp.timestamp_ns

    @property
    def datetime(self) -> datetime | None:
        """The time stamp in the local time zone (aware), cut to microseconds; None if there is none."""
        stamp = self.stamp
        return None if stamp is None else stamp.datetime.astimezone()

    @property
    def control(self) -> ControlInfo | None:
        """Units, precision, limits and names, if they were asked for."""
        return self[5]  # type: ignore[no-any-return]

    @property
    def units(self) -> str | None:
        """Engineering units; None if not asked for, or the type has none."""
        return (self[5] or _NO_CONTROL).units

    @property
    def precision(self) -> int | None:
        """Digits after the point that the IOC suggests; None if not asked for, or the type has none."""
        return (self[5] or _NO_CONTROL).precision

    @property
    def enum_strs(self) -> tuple[str, ...]:
        """Names of the states; empty if not asked for, or the channel is no enum."""
        return (self[5] or _NO_CONTROL).enum_strs

    @property
    def limits(self) -> Limits:
        """The eight limits as four ranges."""
        return (self[5] or _NO_CONTROL).limits

    upper_disp_limit = _limit("upper_disp_limit")
    lower_disp_limit = _limit("lower_disp_limit")
    upper_alarm_limit = _limit("upper_alarm_limit")
    upper_warning_limit = _limit("upper_warning_limit")
    lower_warning_limit = _limit("lower_warning_limit")
    lower_alarm_limit = _limit("lower_alarm_limit")
    upper_ctrl_limit = _limit("upper_ctrl_limit")
    lower_ctrl_limit = _limit("lower_ctrl_limit")

    @property
    def count(self) -> int:  # type: ignore[override]
        """Number of values: 1, or the length of the array as received."""
        return len(self[0]) if isinstance(self[0], (np.ndarray, tuple, list)) else 1

    @property
    def text(self) -> str:
        """The value for people: a state's name, a CHAR array as text, a float with the IOC's precision."""
        value, control = self[0], self[5] or _NO_CONTROL
        if isinstance(value, float) and control.precision is not None:
            return _fixed(value, control.precision)
        if isinstance(value, int) and 0 <= value < len(control.enum_strs):
            return control.enum_strs[value]
        if isinstance(value, np.ndarray) and value.dtype == np.uint8:
            return to_text(cut(value.tobytes()))
        return str(value)

    def with_control(self, control: ControlInfo | None) -> Reading:
        """The same reading, knowing this about its channel."""
        return tuple.__new__(Reading, (*self[:5], control))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reading) or self[1:] != other[1:]:
            return False  # a plain tuple is no reading, and must not get to compare arrays by itself
        if isinstance(self[0], np.ndarray) or isinstance(other[0], np.ndarray):
            return np.array_equal(self[0], other[0])
        return bool(self[0] == other[0])

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"Reading({', '.join(_parts(self))})"


def _fixed(value: float, precision: int) -> str:
    """Fixed point while that is readable, else an exponent: a precision is a hint and may be anything."""
    digits = min(max(precision, 0), 15)
    return f"{value:.{digits}f}" if abs(value) < 1e9 else f"{value:.{digits}e}"


def _array_repr(array: np.ndarray[Any, Any]) -> str:
    """One line, however long the array."""
    if array.size <= 6:
        return str(array.tolist())
    ends = (*map(str, array[:2].tolist()), "...", *map(str, array[-2:].tolist()))
    return f"[{', '.join(ends)}] of {array.size}"


def _parts(reading: Reading) -> list[str]:
    """What the repr shows: the value, and of the rest only what there is to say."""
    value = reading.value
    parts = [_array_repr(value) if isinstance(value, np.ndarray) else repr(value)]
    if reading.units:
        parts.append(f"units={reading.units!r}")
    if (moment := reading.datetime) is not None:
        parts.append(f"{moment:%Y-%m-%d %H:%M:%S.%f}")
    if reading.severity or reading.status:
        parts.append("/".join(str(getattr(alarm, "name", alarm)) for alarm in (reading.severity, reading.status)))
    return parts
