"""Why a subscription is told: the bits of its mask, and the alarm that follows from the limits."""

from __future__ import annotations

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus

from .properties import Properties

VALUE = 1
LOG = 2
ALARM = 4
PROPERTY = 8

Alarm = tuple[AlarmStatus, AlarmSeverity]
NO_ALARM: Alarm = (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)


def alarm_of(value: float | None, properties: Properties) -> Alarm:
    """The alarm of a number: MAJOR from an alarm limit on, MINOR from a warning limit on; INVALID for NaN."""
    if value is None:
        return NO_ALARM
    if value != value:
        return AlarmStatus.UDF, AlarmSeverity.INVALID
    lolo, hihi = properties.alarm
    low, high = properties.warning
    if value >= hihi:
        return AlarmStatus.HIHI, AlarmSeverity.MAJOR
    if value <= lolo:
        return AlarmStatus.LOLO, AlarmSeverity.MAJOR
    if value >= high:
        return AlarmStatus.HIGH, AlarmSeverity.MINOR
    if value <= low:
        return AlarmStatus.LOW, AlarmSeverity.MINOR
    return NO_ALARM
