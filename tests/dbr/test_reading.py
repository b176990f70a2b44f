"""What a user reads of a decoded answer."""

from __future__ import annotations

import copy
import pickle
from itertools import repeat

import numpy as np
import pytest

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import ControlInfo, Limits, Reading
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LIMITS

CONTROL = ControlInfo("mm", 2, 10.0, -10.0, 9.0, 8.0, -8.0, -9.0, 20.0, -20.0)
FULL = Reading(3.25159, 3, 2, 1_000_000_000, 123_456_789, CONTROL)


def test_fields():
    assert FULL.value == 3.25159
    assert FULL.status is AlarmStatus.HIHI
    assert FULL.severity is AlarmSeverity.MAJOR
    assert FULL.control is CONTROL
    assert (FULL.units, FULL.precision, FULL.enum_strs, FULL.count) == ("mm", 2, (), 1)


def test_time_is_exact_and_local():
    assert FULL.stamp == TimeStamp(1_000_000_000, 123_456_789)
    assert FULL.timestamp_ns == 1_631_152_000_123_456_789
    assert FULL.timestamp == pytest.approx(1_631_152_000.123456789, abs=1e-6)
    assert FULL.datetime.tzinfo is not None
    assert FULL.datetime.timestamp() == pytest.approx(1_631_152_000.123456)


def test_limits_by_name_and_as_ranges():
    assert [getattr(FULL, name) for name in LIMITS] == [10.0, -10.0, 9.0, 8.0, -8.0, -9.0, 20.0, -20.0]
    assert FULL.limits == Limits((-10.0, 10.0), (-9.0, 9.0), (-8.0, 8.0), (-20.0, 20.0))


def test_what_was_not_asked_for_is_none():
    bare = Reading(1)
    assert (bare.stamp, bare.timestamp, bare.timestamp_ns, bare.datetime) == (None,) * 4
    assert (bare.control, bare.units, bare.precision, bare.enum_strs) == (None, None, None, ())
    assert bare.upper_ctrl_limit is None
    assert bare.limits.control == (None, None)
    assert (bare.status, bare.severity) == (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)


def test_unknown_alarms_are_numbers():
    assert (Reading(1, 99, 7).status, Reading(1, 99, 7).severity) == (99, 7)
    assert repr(Reading(1, 99, 7)) == "Reading(1, 7/99)"


@pytest.mark.parametrize(
    "reading, text",
    [
        (FULL, "3.25"),
        (Reading(3.25159), "3.25159"),
        (Reading(2e12, control=CONTROL), "2.00e+12"),
        (Reading(1.5, control=ControlInfo(precision=-3)), "2"),
        (Reading(1.5, control=ControlInfo(precision=9999)), "1.500000000000000"),
        (Reading(float("nan"), control=CONTROL), "nan"),
        (Reading(1, control=ControlInfo(enum_strs=("off", "on"))), "on"),
        (Reading(2, control=ControlInfo(enum_strs=("off", "on"))), "2"),
        (Reading(7), "7"),
        (Reading("text"), "text"),
        (Reading(np.frombuffer(b"long text\0old", np.uint8)), "long text"),
        (Reading(np.array([1, 2])), "[1 2]"),
    ],
)
def test_text(reading, text):
    assert reading.text == text


@pytest.mark.parametrize("value, count", [(1, 1), ("abc", 1), (np.zeros(3), 3), (np.zeros(0), 0), (("a", "b"), 2)])
def test_count(value, count):
    assert Reading(value).count == count


def test_made_in_bulk_without_new():
    readings = list(map(tuple.__new__, repeat(Reading), zip([1.0], [0], [0], [5], [6], [None], strict=True)))
    assert readings == [Reading(1.0, 0, 0, 5, 6)]


def test_equality_is_safe_with_arrays():
    array = Reading(np.array([1.0, 2.0]))
    assert array == Reading(np.array([1.0, 2.0]))
    assert array != Reading(np.array([1.0, 3.0]))
    assert array != Reading(np.zeros(3))
    assert Reading(1.0) != Reading(1.0, 1)
    assert Reading(1.0) != Reading(2.0)
    assert Reading(1.0) == Reading(1)
    assert Reading(1.0) != (1.0, 0, 0, None, None, None)
    assert array != tuple(array)
    with pytest.raises(TypeError):
        hash(FULL)


def test_limits_that_are_not_set_are_equal():
    made = ControlInfo.from_metadata(Metadata(units=b"mm", upper_alarm_limit=float("nan"), lower_alarm_limit=1.0))
    copied = pickle.loads(pickle.dumps(made))
    assert (made, hash(made)) == (copied, hash(copied))
    assert made != ControlInfo("mm", lower_alarm_limit=1.0)
    assert made != ("mm",)


def test_copies_and_pickles():
    assert copy.copy(FULL) == FULL
    assert pickle.loads(pickle.dumps(FULL)) == FULL
    assert pickle.loads(pickle.dumps(Reading(np.arange(3)))) == Reading(np.arange(3))


def test_frozen():
    with pytest.raises(AttributeError):
        FULL.value = 3
    with pytest.raises(AttributeError):
        FULL.note = "no room"


def test_repr_is_short():
    assert repr(FULL.with_control(None)).startswith("Reading(3.25159, 2021-09-")
    assert repr(FULL).endswith(".123456, MAJOR/HIHI)")
    assert "units='mm'" in repr(FULL)
    assert repr(Reading(0)) == "Reading(0)"
    assert repr(Reading(np.arange(3))) == "Reading([0, 1, 2])"
    assert repr(Reading(np.arange(1000))) == "Reading([0, 1, ..., 998, 999] of 1000)"


def test_control_info_of_metadata():
    metadata = Metadata(status=0, severity=0, units=b"\xb0C", precision=1, upper_disp_limit=3.0)
    info = ControlInfo.from_metadata(metadata)
    assert (info.units, info.precision, info.upper_disp_limit, info.enum_strs) == ("°C", 1, 3.0, ())
    names = ControlInfo.from_metadata(Metadata(enum_strings=(b"off", b"on")))
    assert (names.enum_strs, names.units) == (("off", "on"), None)
    assert ControlInfo.from_metadata(Metadata(status=0)) is None
    assert ControlInfo.from_metadata(None) is None
