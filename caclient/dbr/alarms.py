"""Alarm severities and conditions, by their numbers on the wire."""

from __future__ import annotations

from enum import IntEnum


class AlarmSeverity(IntEnum):
    """How bad it is."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class AlarmStatus(IntEnum):
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


def alarm_severity(number: int) -> AlarmSeverity | int:
    """The severity of that number, or the number itself where EPICS has no name for it."""
    return _SEVERITIES.get(number, number)


def alarm_status(number: int) -> AlarmStatus | int:
    """The condition of that number, or the number itself where EPICS has no name for it."""
    return _STATUSES.get(number, number)
