"""Records: values in, posts out."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import ChannelType
from caclient.errors import BadValueError
from caclient.ioc import Record
from caclient.ioc.monitor import Monitor
from caclient.ioc.posts import ALARM, LOG, PROPERTY, VALUE


class Watcher:
    """A subscription of its own: what it is told."""

    def __init__(self, record: Record, mask: int) -> None:
        self.record = record
        self.monitor = Monitor(0, 0, record.native, 0, mask, lambda _monitor: None)
        record.attach(self.monitor)
        self.told()

    def told(self) -> list[Any]:
        values = []
        while (snapshot := self.record.take(self.monitor)) is not None:
            values.append(snapshot.values[0] if len(snapshot.values) == 1 else tuple(snapshot.values))
        return values


@pytest.mark.parametrize(
    ("value", "native", "is_array"),
    [
        (1.0, ChannelType.DOUBLE, False),
        (1, ChannelType.LONG, False),
        (True, ChannelType.LONG, False),
        ("a", ChannelType.STRING, False),
        (["a", "b"], ChannelType.STRING, True),
        ([1.0], ChannelType.DOUBLE, True),
        (b"abc", ChannelType.CHAR, True),
        (np.zeros(3, np.float32), ChannelType.FLOAT, True),
        (np.float64(1.0), ChannelType.DOUBLE, False),
    ],
)
def test_type_follows_from_the_value(value: Any, native: ChannelType, is_array: bool) -> None:
    record = Record("r", value)
    assert (record.native, record.is_array) == (native, is_array)
    assert np.array_equal(record.value, list(value) if isinstance(value, bytes) else value)


def test_states_make_an_enum() -> None:
    record = Record("r", "on", enum_strings=("off", "on"))
    assert (record.native, record.value) == (ChannelType.ENUM, 1)
    record.post("off")
    assert record.value == 0


def test_count_is_what_an_array_may_hold() -> None:
    record = Record("r", [1.0, 2.0], count=3)
    record.post([1, 2, 3, 4])
    assert record.value.tolist() == [1, 2, 3]
    record.post([])
    assert record.value.tolist() == []


@pytest.mark.parametrize("mask", [VALUE, LOG, VALUE | ALARM])
def test_changes_are_told_and_the_same_value_is_not(mask: int) -> None:
    record = Record("r", 1.0)
    watcher = Watcher(record, mask)
    for value in (1.0, 2.0, 2.0, 3.0):
        record.post(value)
    assert watcher.told() == [2.0, 3.0]


def test_deadbands() -> None:
    record = Record("r", 0.0, value_deadband=1.0, log_deadband=2.0)
    values, logs = Watcher(record, VALUE), Watcher(record, LOG)
    for value in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
        record.post(value)
    assert values.told() == [1.5, 3.0]
    assert logs.told() == [2.5]
    assert record.value == 3.0


def test_negative_deadband_tells_everything() -> None:
    record = Record("r", "a", value_deadband=-1.0)
    watcher = Watcher(record, VALUE)
    record.post("a")
    assert watcher.told() == [b"a"]


def test_alarm_by_limits_and_by_hand() -> None:
    record = Record("r", 0.0, warning=(-1.0, 1.0), alarm=(-2.0, 2.0))
    watcher = Watcher(record, ALARM)
    record.post(1.5)
    assert (record.snapshot.status, record.snapshot.severity) == (AlarmStatus.HIGH, AlarmSeverity.MINOR)
    record.post(1.6)
    record.post(severity=AlarmSeverity.INVALID, status=AlarmStatus.COMM)
    assert (record.value, record.snapshot.severity) == (1.6, AlarmSeverity.INVALID)
    record.post(0.0)
    assert watcher.told() == [1.5, 1.6, 0.0]


def test_stamps() -> None:
    stamp = TimeStamp(1_000_000_000, 123_456_789)
    record = Record("r", 0.0, stamp=stamp)
    assert record.snapshot.stamp == stamp
    record.post(1.0)
    assert record.snapshot.stamp > stamp
    record.post(2.0, stamp=stamp)
    assert record.snapshot.stamp == stamp


def test_properties_are_told_to_those_who_asked() -> None:
    record = Record("r", 1.0, units="mm")
    properties, values = Watcher(record, PROPERTY), Watcher(record, VALUE | ALARM)
    record.set_properties(units="cm")
    assert record.properties.units == "cm"
    assert (properties.told(), values.told()) == ([1.0], [])
    record.set_properties(alarm=(-1.0, 0.5))
    assert values.told() == [1.0]


def test_put_converts_and_refuses() -> None:
    record = Record("r", 0, enum_strings=("off", "on"))
    assert record.put(ChannelType.STRING, (b"on",)) is None
    assert record.value == 1
    with pytest.raises(BadValueError):
        record.put(ChannelType.STRING, (b"half",))
    assert record.value == 1


def test_put_hook_sees_the_value_before_it_is_stored() -> None:
    seen: list[tuple[float, float]] = []
    record = Record("r", 1.0, on_put=lambda record, value: seen.append((record.value, value)))
    record.put(ChannelType.LONG, np.array([5]))
    assert seen == [(1.0, 5.0)]
    assert record.value == 5.0


def test_put_of_nothing() -> None:
    scalar, array = Record("r", 1.0), Record("r", [1.0, 2.0])
    scalar.put(ChannelType.DOUBLE, np.array([]))
    array.put(ChannelType.DOUBLE, np.array([]))
    assert (scalar.value, scalar.snapshot.status) == (1.0, AlarmStatus.LINK)
    assert array.value.tolist() == []


def test_alarms_are_acknowledged() -> None:
    record = Record("r", 0.0, alarm=(-1.0, 1.0))
    watcher = Watcher(record, ALARM)
    record.post(2.0)
    record.post(0.0)
    assert (record.snapshot.ackt, record.snapshot.acks) == (1, AlarmSeverity.MAJOR)
    record.put(ChannelType.PUT_ACKS, np.array([1], np.uint16))
    assert record.snapshot.acks == AlarmSeverity.MAJOR
    record.put(ChannelType.PUT_ACKS, np.array([2], np.uint16))
    record.put(ChannelType.PUT_ACKT, np.array([0], np.uint16))
    assert (record.snapshot.ackt, record.snapshot.acks) == (0, 0)
    record.post(2.0)
    record.post(0.0)
    assert record.snapshot.acks == 0
    assert len(watcher.told()) == 7


def test_repr() -> None:
    assert repr(Record("r", [1.0, 2.0])) == "<Record 'r' DOUBLE[2]>"


@pytest.mark.parametrize(
    ("record", "asked", "kept"),
    [
        (Record("r", 0.0, control=(-5.0, 5.0)), 1e9, 5.0),
        (Record("r", 0.0, control=(-5.0, 5.0)), -5.5, -5.0),
        (Record("r", 0.0, control=(-5.0, 5.0)), 4.5, 4.5),
        (Record("r", 0, control=(-5, 5)), 77, 5),
        (Record("r", 0.0), 1e9, 1e9),
        (Record("r", np.zeros(2), control=(-5.0, 5.0)), 1e9, [1e9]),
        (Record("r", 1, enum_strings=("off", "on"), control=(1, 1)), 0.0, 0),
    ],
)
def test_clients_puts_are_kept_within_the_control_limits(record: Record, asked: float, kept: Any) -> None:
    assert record.put(ChannelType.DOUBLE, np.array([asked])) is None
    assert np.array_equal(record.value, kept)


def test_put_hook_sees_what_is_within_the_limits() -> None:
    seen: list[float] = []
    record = Record("r", 0.0, control=(0.0, 5.0), on_put=lambda _record, value: seen.append(value))
    record.put(ChannelType.STRING, (b"1e300",))
    record.put(ChannelType.DOUBLE, np.array([np.nan]))
    assert seen[0] == 5.0
    assert np.isnan(seen[1])


@pytest.mark.parametrize("data_type", [ChannelType.PUT_ACKT, ChannelType.PUT_ACKS])
def test_acknowledging_nothing_is_refused(data_type: ChannelType) -> None:
    with pytest.raises(BadValueError, match="needs a number"):
        Record("r", 0.0).put(data_type, np.zeros(0, np.uint16))


def test_sixty_thousand_subscriptions_end_in_reverse_order() -> None:
    """15 seconds with a list of them, during which the server served nobody."""
    record = Record("r", 0.0)
    monitors = [Monitor(0, number, 6, 1, VALUE, lambda _monitor: None) for number in range(60_000)]
    for monitor in monitors:
        record.attach(monitor)
    began = time.process_time()
    for monitor in reversed(monitors):
        record.detach(monitor)
    assert time.process_time() - began < 3.0
    assert record.monitor_count == 0
