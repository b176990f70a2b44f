"""Time stamps, exact both ways."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given, strategies as st

from caclient.dbr.stamps import EPICS_EPOCH, TimeStamp
from caclient.errors import BadValueError


@given(st.integers(0, 2**32 - 1), st.integers(0, 999_999_999))
def test_nanoseconds_are_exact_both_ways(seconds, nanoseconds):
    stamp = TimeStamp(seconds, nanoseconds)
    assert TimeStamp.from_ns(stamp.timestamp_ns) == stamp
    assert stamp.timestamp_ns == (seconds + EPICS_EPOCH) * 10**9 + nanoseconds


@given(st.integers(0, 2**32 - 1), st.integers(0, 999_999_999))
def test_float_is_within_half_a_microsecond(seconds, nanoseconds):
    stamp = TimeStamp(seconds, nanoseconds)
    back = TimeStamp.from_timestamp(stamp.timestamp)
    assert abs(back.timestamp_ns - stamp.timestamp_ns) < 500


def test_known_moment():
    stamp = TimeStamp(1_000_000_000, 123_456_789)
    assert stamp.datetime == datetime(2021, 9, 9, 1, 46, 40, 123456, tzinfo=timezone.utc)
    assert stamp.timestamp == pytest.approx(1631152000.123456789, abs=1e-6)


def test_the_whole_range_of_the_wire_has_a_moment():
    assert TimeStamp(0, 0).datetime == datetime(1990, 1, 1, tzinfo=timezone.utc)
    assert TimeStamp(2**32 - 1, 2**32 - 1).datetime.year == 2126


@pytest.mark.parametrize("unix_ns", [EPICS_EPOCH * 10**9 - 1, (EPICS_EPOCH + 2**32) * 10**9, -1])
def test_moments_beyond_the_wire_are_refused(unix_ns):
    with pytest.raises(BadValueError, match="1990 to 2126"):
        TimeStamp.from_ns(unix_ns)


def test_float_just_below_a_second_carries_over():
    assert TimeStamp.from_timestamp(EPICS_EPOCH + 0.9999999999) == TimeStamp(1, 0)


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), float("-inf"), 0.0, 5e9])
def test_floats_that_are_no_moment_of_the_wire_are_refused(timestamp):
    with pytest.raises(BadValueError, match="1990 to 2126"):
        TimeStamp.from_timestamp(timestamp)
