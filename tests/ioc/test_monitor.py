"""The queue of a subscription."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from caclient.ioc import Record
from caclient.ioc.monitor import ARRAY_DEPTH, DEPTH, Monitor
from caclient.ioc.snapshot import Snapshot


@pytest.fixture
def monitor() -> Monitor:
    return Monitor(1, 2, 6, 0, 1, lambda _monitor: None)


def snapshot(value: object) -> Snapshot:
    return Record("r", value).snapshot


def taken(monitor: Monitor) -> Iterator[float]:
    while (entry := monitor.take()) is not None:
        yield float(entry.values[0])


def test_only_the_first_of_several_needs_to_be_told(monitor: Monitor) -> None:
    assert [monitor.offer(snapshot(float(i))) for i in range(3)] == [True, False, False]
    assert list(taken(monitor)) == [0.0, 1.0, 2.0]
    assert monitor.offer(snapshot(3.0))


@pytest.mark.parametrize(("make", "depth"), [(float, DEPTH), (lambda i: [float(i), 0.0], ARRAY_DEPTH)])
def test_full_queue_keeps_the_oldest_and_the_newest(monitor: Monitor, make: object, depth: int) -> None:
    for number in range(depth + 5):
        monitor.offer(snapshot(make(number)))
    assert list(taken(monitor)) == [*range(depth - 1), depth + 4]
    assert monitor.dropped == 5


def test_held_queue_keeps_the_newest(monitor: Monitor) -> None:
    monitor.held = True
    for number in range(3):
        monitor.offer(snapshot(float(number)))
    assert list(taken(monitor)) == [2.0]


def test_muted_queue_takes_nothing(monitor: Monitor) -> None:
    monitor.muted = True
    assert not monitor.offer(snapshot(1.0))
    assert monitor.take() is None


def test_announce_and_clear() -> None:
    told: list[Monitor] = []
    monitor = Monitor(1, 2, 6, 0, 1, told.append)
    monitor.offer(snapshot(1.0))
    monitor.announce()
    monitor.clear()
    assert told == [monitor]
    assert monitor.take() is None
