"""What is known of a PV beside its value: alarm and time stamp of the newest reading, metadata of the channel.

Answered from memory; of a connected PV what is not known yet is asked for, for a second at the most.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from caclient.client.properties import fetch
from caclient.client.values import METADATA
from caclient.client.watching import WatchedPV
from caclient.dbr import AlarmSeverity, AlarmStatus, ControlInfo
from caclient.errors import CAError

if TYPE_CHECKING:
    from caclient.dbr import Limits

_NO_CONTROL: Final = ControlInfo()


def _limit_of(name: str) -> property:
    def limit(self: KnownPV) -> float | None:
        return getattr(self._metadata() or _NO_CONTROL, name)  # type: ignore[no-any-return]

    limit.__doc__ = f"The channel's {name.replace('_', ' ')}; None if not known."
    return property(limit)


class KnownPV(WatchedPV):
    """A PV with alarm, time stamp and metadata."""

    __slots__ = ()

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
                return fetch(channel, time.monotonic() + METADATA)
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
