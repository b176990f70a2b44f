"""A channel's subscriptions on a record."""

from __future__ import annotations

import pytest

from caclient.ioc import Record
from caclient.ioc.binding import Binding
from caclient.ioc.monitor import Monitor


def test_subscriptions_come_and_go_with_the_channel() -> None:
    record = Record("r", 1.0)
    binding = Binding("r", 1, 2, record)
    told: list[Monitor] = []
    monitors = [Monitor(2, number, 6, 0, 1, told.append) for number in (7, 8)]
    for monitor in monitors:
        binding.subscribe(monitor)
    assert told == monitors
    assert binding.unsubscribe(7) is monitors[0]
    assert record.monitor_count == 1
    binding.release()
    assert (record.monitor_count, binding.monitors) == (0, {})
    with pytest.raises(KeyError):
        binding.unsubscribe(8)
