"""What a user reads of a decoded answer."""

from __future__ import annotations

import copy
import json
import math
import operator
import pickle

import numpy as np
import pytest

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import ControlInfo, Limits, Origin, Reading
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LIMITS, ChannelType
from caclient.errors import BadValueError

CONTROL = ControlInfo("mm", 2, 10.0, -10.0, 9.0, 8.0, -8.0, -9.0, 20.0, -20.0)
FULL = Reading(3.25159, 3, 2, 1_000_000_000, 123_456_789, Origin("x", ChannelType.DOUBLE, CONTROL, "update"))
STATES = ControlInfo(enum_strs=("Idle", "Moving"))
MOVING = Reading(1, origin=Origin("busy", ChannelType.ENUM, STATES))


def of(value, **control):
    return Reading(value, origin=Origin(control=ControlInfo(**control)))


def test_fields():
    assert FULL.value == 3.25159
    assert FULL.status is AlarmStatus.HIHI
    assert FULL.severity is AlarmSeverity.MAJOR
    assert FULL.control is CONTROL
    assert (FULL.units, FULL.precision, FULL.enum_strs, FULL.count) == ("mm", 2, (), 1)
    assert (FULL.pvname, FULL.reason, FULL.native_type) == ("x", "update", ChannelType.DOUBLE)


def test_time_is_exact_and_local():
    assert FULL.stamp == TimeStamp(1_000_000_000, 123_456_789)
    assert FULL.timestamp_ns == 1_631_152_000_123_456_789
    assert FULL.timestamp == pytest.approx(1_631_152_000.123456789, abs=1e-6)
    assert FULL.datetime.tzinfo is not None
    assert FULL.datetime.timestamp() == pytest.approx(1_631_152_000.123456)
    assert FULL.time_text == f"{FULL.datetime:%Y-%m-%d %H:%M:%S}.123456"


def test_a_record_that_was_never_processed_has_no_time():
    never = Reading(0.0, 17, 3, 0, 0)
    assert never.stamp == TimeStamp(0, 0)
    assert math.isnan(never.timestamp)
    assert (never.timestamp_ns, never.datetime, never.time_text) == (None, None, "<undefined>")
    assert repr(never) == "Reading(0.0, <undefined>, INVALID UDF)"
    assert not never.is_valid
    assert FULL.is_valid


def test_limits_by_name_and_as_ranges():
    assert [getattr(FULL, name) for name in LIMITS] == [10.0, -10.0, 9.0, 8.0, -8.0, -9.0, 20.0, -20.0]
    assert FULL.limits == Limits((-10.0, 10.0), (-9.0, 9.0), (-8.0, 8.0), (-20.0, 20.0))


def test_what_was_not_asked_for_is_none():
    bare = Reading(1)
    assert (bare.stamp, bare.timestamp_ns, bare.datetime, bare.pvname) == (None,) * 4
    assert math.isnan(bare.timestamp)
    assert (bare.control, bare.units, bare.precision, bare.enum_strs) == (None, None, None, ())
    assert bare.upper_ctrl_limit is None
    assert bare.limits.control == (None, None)
    assert (bare.status, bare.severity) == (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)


def test_unknown_alarms_are_numbers_with_their_number_as_name():
    odd = Reading(1, 99, 7)
    assert (odd.status, odd.severity) == (99, 7)
    assert (str(odd.status), f"{odd.severity}", odd.status.name) == ("99", "7", "99")
    assert repr(odd) == "Reading(1, 7 99)"
    assert not odd.is_valid
    assert pickle.loads(pickle.dumps(odd.status)) == 99


@pytest.mark.parametrize(
    "reading, text",
    [
        (FULL, "3.25"),
        (Reading(3.25159), "3.25159"),
        (Reading(float(np.float32(3.447)), origin=Origin(native_type=ChannelType.FLOAT)), "3.447"),
        (of(1.5, precision=-3), "2"),
        (of(1.5, precision=9999), "1.50000000000000000e+00"),
        (of(float("nan"), precision=2), "nan"),
        (MOVING, "Moving"),
        (of(2, enum_strs=("off", "on")), "2"),
        (Reading(7), "7"),
        (Reading("text"), "text"),
        (Reading(np.frombuffer(b"long text\0old", np.uint8)), "long text"),
        (Reading(np.array([1, 2])), "[1 2]"),
    ],
)
def test_text(reading, text):
    assert str(reading) == reading.text == f"{reading}" == text


@pytest.mark.parametrize(
    "shown, wanted",
    [
        (f"{FULL:.4f}", "3.2516"),
        (f"{FULL:>8}", "    3.25"),
        (f"{FULL:+}", "+3.25159"),
        ("%.1f" % FULL, "3.3"),  # noqa: UP031  this is what is tried
        (f"{Reading(12):04d}", "0012"),
        (f"{MOVING:>8}", "  Moving"),
        (f"{MOVING:d}", "1"),
        (f"{FULL.severity:>6} {FULL.severity:d}", " MAJOR 2"),
    ],
)
def test_formats(shown, wanted):
    assert shown == wanted


@pytest.mark.parametrize("value, count", [(1, 1), ("abc", 1), (np.zeros(3), 3), (np.zeros(0), 0), (np.array(["a"]), 1)])
def test_count(value, count):
    assert Reading(value).count == count


def test_is_a_number():
    assert (float(FULL), int(FULL), operator.index(Reading(3))) == (3.25159, 3, 3)
    assert FULL > 3
    assert FULL <= 3.25159
    assert Reading(1) < FULL < Reading(4)
    assert min([FULL, Reading(1.0)]).value == 1.0
    assert np.asarray([FULL, Reading(1.0)]).tolist() == [3.25159, 1.0]
    assert np.asarray(FULL).dtype == np.float64
    assert np.asarray(FULL, np.float32).dtype == np.float32
    assert math.sqrt(Reading(4)) == 2.0


def test_is_no_sequence_and_has_no_truth():
    for broken in (
        lambda: len(FULL),
        lambda: list(FULL),
        lambda: FULL[0],
        lambda: FULL + FULL,
        lambda: FULL * 2,
        lambda: hash(FULL),
        lambda: float(MOVING),
        lambda: float(Reading("1.0")),
        lambda: int(Reading("1")),
        lambda: operator.index(FULL),
    ):
        with pytest.raises(TypeError):
            broken()
    with pytest.raises(BadValueError, match="neither true nor false"):
        bool(FULL)


def test_equality_with_values():
    assert Reading(1.0) == 1
    assert Reading(1.0) != 2
    assert MOVING == "Moving"
    assert MOVING == 1
    assert Reading("on") == "on"
    assert (Reading(np.array([1, 2])) == np.array([1, 3])).tolist() == [True, False]
    assert (Reading(np.array([1, 2])) != 1).tolist() == [False, True]
    assert (Reading(np.array([1, 2])) > 1).tolist() == [False, True]
    assert (Reading(1.0) == None) is False  # noqa: E711


def test_equality_of_whole_readings():
    array = Reading(np.array([1.0, 2.0]))
    assert array == Reading(np.array([1.0, 2.0]))
    assert array != Reading(np.array([1.0, 3.0]))
    assert array != Reading(np.zeros(3))
    assert array != Reading(1.0)
    assert Reading(1.0) != Reading(1.0, 1)
    assert Reading(1.0) == Reading(1)
    assert Reading(math.nan) == Reading(math.nan)
    assert Reading(1.0, origin=Origin("x")) != Reading(1.0, origin=Origin("y"))
    assert Reading(1.0, origin=Origin("x")).repeats(Reading(1.0, origin=Origin("y")))
    assert Reading(1.0, origin=Origin(reason="read")) == Reading(1.0, origin=Origin(reason="update"))
    assert FULL.with_control(None) != FULL


def test_limits_that_are_not_set_are_equal():
    made = ControlInfo.from_metadata(Metadata(units=b"mm", upper_alarm_limit=float("nan"), lower_alarm_limit=1.0))
    copied = pickle.loads(pickle.dumps(made))
    assert (made, hash(made)) == (copied, hash(copied))
    assert made != ControlInfo("mm", lower_alarm_limit=1.0)
    assert made != ("mm",)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda reading: pickle.loads(pickle.dumps(reading))])
@pytest.mark.parametrize("reading", [FULL, MOVING, Reading(np.arange(3)), Reading(np.array(["a", "bc"]))])
def test_copies_and_pickles_as_one_reading_with_its_name(reading, again):
    copied = again(reading)
    assert copied == reading
    assert (copied.pvname, copied.reason, copied.native_type) == (reading.pvname, reading.reason, reading.native_type)


def test_frozen():
    with pytest.raises(AttributeError):
        FULL.value = 3
    with pytest.raises(AttributeError):
        FULL.note = "no room"


def test_repr_is_short():
    assert repr(FULL.with_control(None)).startswith("Reading('x': 3.25159, 2021-09-")
    assert repr(FULL).startswith("Reading('x': 3.25 mm, 2021-09-")
    assert repr(FULL).endswith(".123456, MAJOR HIHI)")
    assert repr(Reading(0)) == "Reading(0)"
    assert repr(Reading("on")) == "Reading('on')"
    assert repr(MOVING) == "Reading('busy': Moving)"
    assert repr(Reading(np.arange(3))) == "Reading([0, 1, 2])"
    assert repr(Reading(np.arange(1000))) == "Reading([0, 1, ..., 998, 999] of 1000)"


def test_html_escapes_what_an_ioc_says():
    shown = Reading("<b>", 1, 1, 5, 6, Origin("<x>"))._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "&lt;x&gt;" in shown
    assert "MINOR READ" in shown


def test_dict_is_json_without_nan():
    facts = FULL.to_dict()
    assert facts == json.loads(json.dumps(facts, allow_nan=False))
    assert (facts["pvname"], facts["value"], facts["text"], facts["severity"]) == ("x", 3.25159, "3.25", "MAJOR")
    assert facts["limits"]["alarm"] == [-9.0, 9.0]
    bare = Reading(math.nan, 0, 0, 0, 0, Origin(control=ControlInfo(upper_alarm_limit=math.nan))).to_dict()
    assert (bare["value"], bare["timestamp"], bare["timestamp_ns"]) == ("NaN", None, None)
    assert bare["limits"]["alarm"] == [None, None]
    assert Reading(np.array([1.0, math.inf, -math.inf])).to_dict()["value"] == [1.0, "Infinity", "-Infinity"]
    assert Reading(np.array(["a", "b"])).to_dict()["value"] == ["a", "b"]
    assert MOVING.to_dict()["text"] == "Moving"


def test_control_info_of_metadata():
    metadata = Metadata(status=0, severity=0, units=b"\xb0C", precision=1, upper_disp_limit=3.0)
    info = ControlInfo.from_metadata(metadata)
    assert (info.units, info.precision, info.upper_disp_limit, info.enum_strs) == ("°C", 1, 3.0, ())
    names = ControlInfo.from_metadata(Metadata(enum_strings=(b"off", b"on")))
    assert (names.enum_strs, names.units) == (("off", "on"), None)
    assert ControlInfo.from_metadata(Metadata(status=0)) is None
    assert ControlInfo.from_metadata(None) is None
