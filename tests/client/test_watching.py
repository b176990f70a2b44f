"""Watching a PV: each update, in order."""

from __future__ import annotations

import pytest

from caclient import (
    BadValueError,
    CATimeoutError,
)
from tests.recorder import PATIENCE, Recorder
from tests.using import context_of, engine_idle


def test_a_subscription_of_readings(pair):
    ioc, pv = pair
    readings = Recorder()
    with pv.subscribe(readings):
        readings.wait(1)
        ioc["x"].post(2.0)
        assert [reading.value for reading in readings.wait(2)] == [1.0, 2.0]
    with pytest.raises(BadValueError, match="'x': policy='some': give 'all' or 'latest'"):
        pv.subscribe(readings, policy="some")


def test_wait_for_sees_every_update(pair):
    ioc, pv = pair
    seen: list[float] = []

    def third(value: float) -> bool:
        if not seen:
            for number in (2.0, 3.0, 1.0):
                ioc["x"].post(number)
        seen.append(value)
        return value == 3.0

    assert pv.wait_for(third, timeout=10).value == 3.0
    assert seen == [1.0, 2.0, 3.0]
    with pytest.raises(CATimeoutError, match=r"condition not met: 'x' .* after 0.0.. s; .*, last value: 1.0; "):
        pv.wait_for(lambda value: value == 9.0, timeout=0.05)
    with pytest.raises(ZeroDivisionError):
        pv.wait_for(lambda value: 1 / 0, timeout=10)
    engine_idle(context_of(pv))
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
