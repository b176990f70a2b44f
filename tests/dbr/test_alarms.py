"""Alarm codes against the table of EPICS Base."""

from __future__ import annotations

import pytest

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus, alarm_severity, alarm_status
from tests.vectors import table

ROWS = table("alarms")
KINDS = {"severity": (AlarmSeverity, alarm_severity), "status": (AlarmStatus, alarm_status)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['kind']}-{row['name']}")
def test_code(row):
    names, lookup = KINDS[row["kind"]]
    assert lookup(int(row["code"])) is names[row["name"]]


def test_nothing_else_has_a_name():
    assert len(AlarmSeverity) + len(AlarmStatus) == len(ROWS)
    assert alarm_severity(4) == 4
    assert alarm_status(-1) == -1


def test_print_as_names_whatever_the_version_of_python():
    assert (str(AlarmSeverity.MINOR), f"{AlarmStatus.HIHI:>5}", str(alarm_status(0))) == (
        "MINOR",
        " HIHI",
        "NO_ALARM",
    )
    assert (str(alarm_severity(9)), f"{alarm_status(99)}", f"{AlarmStatus.HIHI:02d}") == ("9", "99", "03")
    with pytest.raises(ValueError, match="no such"):
        AlarmStatus("no such")
