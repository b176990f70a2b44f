"""A decoded answer: value, alarm, time stamp and what is known about units, limits and names."""

from __future__ import annotations

import html
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus, alarm_severity, alarm_status
from caclient.dbr.metadata import Metadata
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.text import cut, fixed, to_text
from caclient.dbr.types import LIMITS, ChannelType
from caclient.errors import WrongTypeError

Reason: TypeAlias = Literal["initial", "update", "reconnect", "property", "read"]
"""Why there is a reading: the first of a connection, an update, the first after an outage, metadata, an answer."""


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


class Origin:
    """What many readings share: the channel's name, type and metadata, and why there is a reading. Immutable.

    One for each channel and reason, so that none of it costs anything in an update.
    """

    __slots__ = ("control", "name", "native_type", "reason")

    def __init__(
        self,
        name: str | None = None,
        native_type: ChannelType | None = None,
        control: ControlInfo | None = None,
        reason: Reason = "read",
    ) -> None:
        self.name = name
        self.native_type = native_type
        self.control = control
        self.reason: Reason = reason

    def with_control(self, control: ControlInfo | None) -> Origin:
        """The same, knowing this about its channel."""
        return Origin(self.name, self.native_type, control, self.reason)

    def same_channel(self, other: Origin) -> bool:
        """Whether it is the same channel with the same metadata, for whatever reason."""
        mine, theirs = (self.name, self.native_type), (other.name, other.native_type)
        return mine == theirs and (self.control is other.control or self.control == other.control)


NOWHERE: Final = Origin()
"""Where a reading comes from that nobody has said anything about."""

_NO_CONTROL: Final = ControlInfo()


def _limit(name: str) -> property:
    def limit(self: Reading) -> float | None:
        return getattr(self._row[5].control or _NO_CONTROL, name)  # type: ignore[no-any-return]

    limit.__doc__ = f"The channel's {name.replace('_', ' ')}; None if not asked for."
    return property(limit)


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Reading, object], Any]:
    def ordered(self: Reading, other: object) -> Any:
        return compare(self.value, other.value if isinstance(other, Reading) else other)

    return ordered


class Reading:
    """One answer of a channel: a value with what there is to know about it. Immutable, and a number where it holds one.

    It compares, converts and formats as its value; it has no length, and no truth (0.0 is a reading too). Many are
    built at once by two passes in C over rows (see ``decode_run``): nothing may depend on ``__init__``. *Any thread.*

    :param seconds: EPICS seconds of the time stamp, None (with *nanoseconds*) if the answer carried none.
    """

    __slots__ = ("_row",)
    _row: tuple[Any, int, int, int | None, int | None, Origin]

    def __init__(
        self,
        value: Any,
        status: int = 0,
        severity: int = 0,
        seconds: int | None = None,
        nanoseconds: int | None = None,
        origin: Origin = NOWHERE,
    ) -> None:
        self._row = (value, status, severity, seconds, nanoseconds, origin)

    @property
    def row(self) -> tuple[Any, int, int, int | None, int | None, Origin]:
        """(value, status, severity, EPICS seconds, nanoseconds, origin) as they came, for those who look at many."""
        return self._row

    # -- what came with each answer ------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """A Python number or string; a numpy array for an array channel."""
        return self._row[0]

    @property
    def status(self) -> AlarmStatus:
        """The alarm condition; one that EPICS has no name for has its number as its name."""
        return alarm_status(self._row[1])

    @property
    def severity(self) -> AlarmSeverity:
        """The alarm severity; one that EPICS has no name for has its number as its name."""
        return alarm_severity(self._row[2])

    @property
    def is_valid(self) -> bool:
        """Whether the value may be believed: its severity is not INVALID."""
        return 0 <= self._row[2] < AlarmSeverity.INVALID

    @property
    def stamp(self) -> TimeStamp | None:
        """The time stamp as the wire has it, None if the answer carried none."""
        _, _, _, seconds, nanoseconds, _ = self._row
        return None if seconds is None or nanoseconds is None else TimeStamp(seconds, nanoseconds)

    @property
    def _known_stamp(self) -> TimeStamp | None:
        """The time stamp, None too if it is the one of a record that was never processed."""
        stamp = self.stamp
        return stamp if stamp is not None and any(stamp) else None

    @property
    def timestamp(self) -> float:
        """Seconds since 1970; NaN if undefined: the answer carried none, or the record was never processed."""
        stamp = self._known_stamp
        return math.nan if stamp is None else stamp.timestamp

    @property
    def timestamp_ns(self) -> int | None:
        """Nanoseconds since 1970, exact; None if undefined."""
        stamp = self._known_stamp
        return None if stamp is None else stamp.timestamp_ns

    @property
    def datetime(self) -> datetime | None:
        """The time stamp in the local time zone (aware), cut to microseconds; None if undefined."""
        stamp = self._known_stamp
        return None if stamp is None else stamp.datetime.astimezone()

    # -- what is known of the channel ----------------------------------------------------------------------------------

    @property
    def pvname(self) -> str | None:
        """The name of the PV; None for a reading that came from nowhere."""
        return self._row[5].name

    @property
    def reason(self) -> Reason:
        """Why there is this reading: ``"initial"``, ``"update"``, ``"reconnect"``, ``"property"`` or ``"read"``."""
        return self._row[5].reason

    @property
    def native_type(self) -> ChannelType | None:
        """The channel's native type, where that is known."""
        return self._row[5].native_type

    @property
    def control(self) -> ControlInfo | None:
        """Units, precision, limits and names, if they were asked for."""
        return self._row[5].control

    @property
    def units(self) -> str | None:
        """Engineering units; None if not asked for, or the type has none."""
        return (self._row[5].control or _NO_CONTROL).units

    @property
    def precision(self) -> int | None:
        """Digits after the point that the IOC suggests; None if not asked for, or the type has none."""
        return (self._row[5].control or _NO_CONTROL).precision

    @property
    def enum_strs(self) -> tuple[str, ...]:
        """Names of the states; empty if not asked for, or the channel is no enum."""
        return (self._row[5].control or _NO_CONTROL).enum_strs

    @property
    def limits(self) -> Limits:
        """The eight limits as four ranges."""
        return (self._row[5].control or _NO_CONTROL).limits

    upper_disp_limit = _limit("upper_disp_limit")
    lower_disp_limit = _limit("lower_disp_limit")
    upper_alarm_limit = _limit("upper_alarm_limit")
    upper_warning_limit = _limit("upper_warning_limit")
    lower_warning_limit = _limit("lower_warning_limit")
    lower_alarm_limit = _limit("lower_alarm_limit")
    upper_ctrl_limit = _limit("upper_ctrl_limit")
    lower_ctrl_limit = _limit("lower_ctrl_limit")

    @property
    def count(self) -> int:
        """Number of values: 1, or the length of the array as received."""
        value = self._row[0]
        return value.size if isinstance(value, np.ndarray) else 1

    # -- as text -------------------------------------------------------------------------------------------------------

    @property
    def _is_state(self) -> bool:
        """Whether the value is a state that has a name."""
        value = self._row[0]
        return type(value) is int and 0 <= value < len(self.enum_strs)

    @property
    def text(self) -> str:
        """The value as EPICS writes it: a float with the IOC's precision, a state's name, a CHAR array as text."""
        value = self._row[0]
        if isinstance(value, float):
            return self._float_text(value)
        if self._is_state:
            return self.enum_strs[int(value)]
        if isinstance(value, np.ndarray) and value.dtype == np.uint8:
            return to_text(cut(value.tobytes()))
        return str(value)

    def _float_text(self, value: float) -> str:
        origin = self._row[5]
        control = origin.control
        if control is not None and control.precision is not None:
            return fixed(value, control.precision)
        return str(np.float32(value)) if origin.native_type is ChannelType.FLOAT else str(value)

    @property
    def time_text(self) -> str:
        """The local time to the microsecond, or ``<undefined>``."""
        moment = self.datetime
        return "<undefined>" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S.%f}"

    @property
    def alarm_text(self) -> str:
        """Severity and status by name, ``""`` if there is no alarm."""
        return f"{self.severity} {self.status}" if self._row[1] or self._row[2] else ""

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        value = self._row[0]
        if spec[-1:] in _NUMERIC and isinstance(value, (int, float)):
            return format(value, spec)
        try:
            return format(self.text, spec)
        except ValueError:
            return format(value, spec)

    def __repr__(self) -> str:
        value, name = self._row[0], self.pvname
        shown = repr(value) if isinstance(value, str) else array_text(self) or self.text
        parts = [f"{shown} {self.units}" if self.units else shown]
        parts += [self.time_text] if self.stamp is not None else []
        parts += [self.alarm_text] if self.alarm_text else []
        return f"Reading({'' if name is None else f'{name!r}: '}{', '.join(parts)})"

    def _repr_html_(self) -> str:
        rows = {
            "value": f"{array_text(self) or self.text} {self.units or ''}",
            "time": "" if self.stamp is None else self.time_text,
            "alarm": self.alarm_text,
        }
        cells = "".join(f"<tr><th>{key}</th><td>{html.escape(text)}</td></tr>" for key, text in rows.items() if text)
        return f"<table><caption>{html.escape(self.pvname or '')}</caption>{cells}</table>"

    def to_dict(self) -> dict[str, Any]:
        """All of it as what JSON can say: undefined is None, a value of NaN or infinity is that word."""
        stamp = self.timestamp
        return {
            "pvname": self.pvname,
            "value": plain(self._row[0]),
            "text": self.text,
            "severity": str(self.severity),
            "status": str(self.status),
            "timestamp": None if math.isnan(stamp) else stamp,
            "timestamp_ns": self.timestamp_ns,
            "units": self.units,
            "precision": self.precision,
            "enum_strs": list(self.enum_strs),
            "limits": {kind: [_known(limit) for limit in pair] for kind, pair in self.limits._asdict().items()},
            "reason": self.reason,
        }

    # -- as a number ---------------------------------------------------------------------------------------------------

    def __bool__(self) -> NoReturn:
        raise WrongTypeError("a reading is neither true nor false: compare its value, or ask whether it `is None`")

    def __float__(self) -> float:
        value = self._row[0]
        if self._is_state or isinstance(value, str):
            raise WrongTypeError(f"{self.text!r} is no number: take .value or .text")
        return float(value)

    def __int__(self) -> int:
        if isinstance(self._row[0], str):
            raise WrongTypeError(f"{self.text!r} is no number: take .value or .text")
        return int(self._row[0])

    def __index__(self) -> int:
        return operator.index(self._row[0])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        array = np.asarray(self._row[0], dtype)
        return array.copy() if copy else array

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Reading):
            return self.repeats(other) and self._row[5].same_channel(other._row[5])
        if isinstance(other, str) and self._is_state:
            return self.text == other
        return self._row[0] == other

    def __ne__(self, other: object) -> Any:
        equal = self == other
        return ~equal if isinstance(equal, np.ndarray) else not equal

    __lt__ = _ordered(operator.lt)
    __le__ = _ordered(operator.le)
    __gt__ = _ordered(operator.gt)
    __ge__ = _ordered(operator.ge)
    __hash__ = None  # type: ignore[assignment]

    def repeats(self, other: Reading) -> bool:
        """Whether it says what the other says: the same value, alarm and time stamp, for whatever reason."""
        return self._row[1:5] == other._row[1:5] and _same(self._row[0], other._row[0])

    # -- others like it ------------------------------------------------------------------------------------------------

    def with_control(self, control: ControlInfo | None) -> Reading:
        """The same reading, knowing this about its channel."""
        value, status, severity, seconds, nanoseconds, origin = self._row
        if control is origin.control:
            return self
        return Reading(value, status, severity, seconds, nanoseconds, origin.with_control(control))

    def with_value(self, value: Any) -> Reading:
        """The same with another value."""
        _, status, severity, seconds, nanoseconds, origin = self._row
        return Reading(value, status, severity, seconds, nanoseconds, origin)

    def __reduce__(self) -> tuple[Any, ...]:
        origin = self._row[5]
        return _rebuilt, (self._row[:5], (origin.name, origin.native_type, origin.control, origin.reason))


_NUMERIC: Final = frozenset("bcdeEfFgGnoxX%")
"""Types of a format that want a number."""


def _rebuilt(row: tuple[Any, ...], origin: tuple[Any, ...]) -> Reading:
    """What a pickled reading becomes."""
    value, status, severity, seconds, nanoseconds = row
    return Reading(value, status, severity, seconds, nanoseconds, Origin(*origin))


def _same(mine: Any, theirs: Any) -> bool:
    """Whether two values are the same; NaN is NaN."""
    if isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray):
        return np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f" and theirs.dtype.kind == "f")
    if isinstance(mine, np.ndarray) or isinstance(theirs, np.ndarray):
        return False
    return bool(mine == theirs or (mine != mine and theirs != theirs))


def _known(limit: float | None) -> float | None:
    """A limit, None if it is not set, or beyond what JSON can say."""
    return None if limit is None or not math.isfinite(limit) else limit


def plain(value: Any) -> Any:
    """A value as what JSON can say."""
    if isinstance(value, np.ndarray):
        items = value.tolist()
        return items if value.dtype.kind != "f" or np.isfinite(value).all() else [plain(item) for item in items]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def array_text(reading: Reading) -> str:
    """An array in one line, however long; "" for what is none, and for text in an array of CHAR."""
    array = reading.value
    if not isinstance(array, np.ndarray):
        return ""
    if array.size <= 6:
        return str(array.tolist())
    ends = (*map(str, array[:2].tolist()), "...", *map(str, array[-2:].tolist()))
    return f"[{', '.join(ends)}] of {array.size}"
