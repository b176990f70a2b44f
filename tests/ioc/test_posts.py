"""Alarms that follow from limits."""

from __future__ import annotations

import math

import pytest

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.ioc import Properties
from caclient.ioc.posts import NO_ALARM, alarm_of

LIMITED = Properties(warning=(-1.0, 1.0), alarm=(-2.0, 2.0))


@pytest.mark.parametrize(
    ("value", "status", "severity"),
    [
        (2.0, AlarmStatus.HIHI, AlarmSeverity.MAJOR),
        (1.0, AlarmStatus.HIGH, AlarmSeverity.MINOR),
        (-1.0, AlarmStatus.LOW, AlarmSeverity.MINOR),
        (-2.5, AlarmStatus.LOLO, AlarmSeverity.MAJOR),
        (math.nan, AlarmStatus.UDF, AlarmSeverity.INVALID),
        (0.5, *NO_ALARM),
        (None, *NO_ALARM),
    ],
)
def test_alarm(value: float | None, status: AlarmStatus, severity: AlarmSeverity) -> None:
    assert alarm_of(value, LIMITED) == (status, severity)


def test_no_limits_no_alarm() -> None:
    assert alarm_of(1e300, Properties()) == NO_ALARM
