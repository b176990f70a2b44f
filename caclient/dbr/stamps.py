"""EPICS time stamps: seconds since 1990-01-01 UTC and nanoseconds, exact both ways."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import NamedTuple

from caclient.errors import BadValueError

EPICS_EPOCH = 631152000
"""Unix seconds of 1990-01-01 00:00:00 UTC, where EPICS time begins."""

_NS = 1_000_000_000
_EPOCH_DATETIME = datetime(1990, 1, 1, tzinfo=timezone.utc)


class TimeStamp(NamedTuple):
    """A moment as the wire has it: EPICS seconds and nanoseconds; 0, 0 means "never set"."""

    seconds: int
    nanoseconds: int

    @classmethod
    def from_ns(cls, unix_ns: int) -> TimeStamp:
        """From nanoseconds since 1970; BadValueError outside 1990..2126, which 32 bits of seconds cannot say."""
        seconds, nanoseconds = divmod(unix_ns, _NS)
        if not 0 <= seconds - EPICS_EPOCH < 1 << 32:
            raise BadValueError(f"no EPICS time stamp can say {unix_ns} ns since 1970: it spans 1990 to 2126")
        return cls(seconds - EPICS_EPOCH, nanoseconds)

    @classmethod
    def from_timestamp(cls, timestamp: float) -> TimeStamp:
        """From seconds since 1970, to the nanosecond nearest to the float; BadValueError as for `from_ns`."""
        if not isfinite(timestamp):
            raise BadValueError(f"no EPICS time stamp can say {timestamp}: it spans 1990 to 2126")
        whole = int(timestamp // 1)
        return cls.from_ns(whole * _NS + round((timestamp - whole) * _NS))

    @property
    def timestamp(self) -> float:
        """Seconds since 1970 as a float, which is exact to about 0.2 microseconds."""
        return self.seconds + EPICS_EPOCH + self.nanoseconds * 1e-9

    @property
    def timestamp_ns(self) -> int:
        """Nanoseconds since 1970, exact."""
        return (self.seconds + EPICS_EPOCH) * _NS + self.nanoseconds

    @property
    def datetime(self) -> datetime:
        """The moment in UTC, cut to microseconds."""
        return _EPOCH_DATETIME + timedelta(seconds=self.seconds, microseconds=self.nanoseconds // 1000)
