"""Alarm severities and conditions, by their numbers on the wire."""

from __future__ import annotations

from enum import IntEnum

from typing_extensions import Self


class _Alarm(IntEnum):
    """A number with a name, and printed by it; one that EPICS has no name for is named by its number."""

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec[-1:] == "d" else format(self.name, spec)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if type(value) is not int or not -0x8000 <= value <= 0xFFFF:
            return None
        member = int.__new__(cls, value)
        member._name_ = str(value)
        member._value_ = value
        return member


class AlarmSeverity(_Alarm):
    """How bad it is."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class AlarmStatus(_Alarm):
    """What is wrong."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    HIHI = 3
    HIGH = 4
    LOLO = 5
    LOW = 6
    STATE = 7
    COS = 8
    COMM = 9
    TIMEOUT = 10
    HWLIMIT = 11
    CALC = 12
    SCAN = 13
    LINK = 14
    SOFT = 15
    BAD_SUB = 16
    UDF = 17
    DISABLE = 18
    SIMM = 19
    READ_ACCESS = 20
    WRITE_ACCESS = 21


_SEVERITIES: dict[int, AlarmSeverity] = {int(s): s for s in AlarmSeverity}
_STATUSES: dict[int, AlarmStatus] = {int(s): s for s in AlarmStatus}


def alarm_severity(number: int) -> AlarmSeverity:
    """The severity of that number."""
    known = _SEVERITIES.get(number)
    return AlarmSeverity(number) if known is None else known


def alarm_status(number: int) -> AlarmStatus:
    """The condition of that number."""
    known = _STATUSES.get(number)
    return AlarmStatus(number) if known is None else known
