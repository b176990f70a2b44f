"""Many PVs at once: what comes as a run is what comes one by one."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
import pytest

from caclient.client.bulk import get_all, get_values, wait_all
from caclient.client.get import read
from caclient.client.standing import State
from caclient.ioc import Record
from tests.using import context_of

PATIENCE = 20.0


def deadline() -> float:
    return time.monotonic() + PATIENCE


@pytest.fixture
def mixed(serve: Any) -> list[Any]:
    """Fifty PVs, every fifth an array of one element so far, every other with units that it has told."""
    records = [
        Record(f"n{i}", [float(i)], count=3) if i % 5 == 0 else Record(f"n{i}", float(i), units=f"u{i}")
        for i in range(50)
    ]
    _, context = serve(*records)
    pvs = [context.pv(f"n{i}", auto_monitor=False) for i in range(50)]
    wait_all([pv.channel for pv in pvs], deadline())
    for pv in pvs[::2]:
        assert pv.units is not None
    return pvs


def test_each_reading_of_a_run_is_as_its_own_channel_has_it(mixed: list[Any]) -> None:
    singles = [read(pv.channel, deadline()) for pv in mixed]
    assert get_all([pv.channel for pv in mixed], deadline()) == singles
    values = get_values([pv.channel for pv in mixed], deadline())
    for value, single in zip(values, singles, strict=True):
        assert type(value) is type(single.value)
        assert np.array_equal(value, single.value)


def test_scalars_alone_come_as_plain_numbers(mixed: list[Any]) -> None:
    scalars = [pv for pv in mixed if pv.channel.count == 1]
    assert get_values([pv.channel for pv in scalars], deadline()) == [pv.get() for pv in scalars]


def test_what_cannot_be_asked_says_why(mixed: list[Any]) -> None:
    nobody = context_of(mixed[0]).pv("nobody", auto_monitor=False)
    results = get_values([mixed[1].channel, nobody.channel], time.monotonic() + 0.2)
    assert results[0] == 1.0
    assert "not connected" in str(results[1])


def test_waiting_for_all_goes_on_when_one_is_ready_meanwhile(serve: Any) -> None:
    """It may become ready after it was looked at, and before it is waited for."""
    _, context = serve(Record("x", 1.0))
    pvs = context.pv("x"), context.pv("nobody")
    quick, slow = (pv.channel for pv in pvs)
    assert quick.wait_ready(deadline())

    class Meanwhile:
        states: ClassVar[list[State]] = [State.SEARCHING]

        @property
        def state(self) -> State:
            return self.states.pop() if self.states else quick.state

        def __getattr__(self, name: str) -> Any:
            return getattr(quick, name)

    started = time.monotonic()
    wait_all([Meanwhile(), slow], started + 0.1)  # type: ignore[list-item]
    assert time.monotonic() >= started + 0.1
