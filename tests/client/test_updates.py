"""Iterators over updates: one by one, bounded, held by nobody but their user."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from caclient import (
    BadValueError,
    CATimeoutError,
    ChannelType,
    ContextClosedError,
    Metadata,
    Reading,
    TimeStamp,
)
from caclient.dbr.decode import run_dtype
from caclient.ioc import Record
from caclient.protocol.runs import UpdateRun
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import context_of

STAMPED = Metadata(status=0, severity=0, stamp=TimeStamp(1, 2))


@pytest.fixture
def pair(serve):
    """One record ``x`` and a connected PV of it."""
    ioc, context = serve(Record("x", 0.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    return ioc, pv


def values(readings: list[Reading]) -> list[Any]:
    return [reading.value for reading in readings]


def feed(ioc: Any, pv: Any, numbers: range) -> None:
    """Post numbers one by one, each seen by the client before the next."""
    with pv.updates(timeout=PATIENCE) as updates:
        next(updates)
        for number in numbers:
            ioc["x"].post(float(number))
            while next(updates).value != number:
                pass


def run_of(count: int, first: float = 0.0) -> UpdateRun:
    rows = np.zeros(count, run_dtype(ChannelType.TIME_DOUBLE))
    rows["value"] = np.arange(first, first + count)
    rows["seconds"] = 1
    return UpdateRun(None, ChannelType.TIME_DOUBLE, rows, 1)


def test_updates_come_one_by_one_and_end_with_close(pair):
    ioc, pv = pair
    seen = []
    with pv.updates(timeout=PATIENCE) as updates:
        for reading in updates:
            seen.append(reading.value)
            ioc["x"].post(reading.value + 1.0)
            if reading.value == 3.0:
                break
        assert updates.dropped == 0
    assert seen == [0.0, 1.0, 2.0, 3.0]
    assert len(list(updates)) <= 1


def test_updates_that_do_not_come(pair):
    _, pv = pair
    with pv.updates(timeout=0.05) as updates:
        next(updates)
        with pytest.raises(CATimeoutError, match=r"no update: 'x' within 0.05 s"):
            next(updates)
    nowhere = context_of(pv).pv("nowhere")
    with nowhere.updates(timeout=0.05) as updates, pytest.raises(CATimeoutError, match="'nowhere' not connected after"):
        next(updates)


def test_closing_wakes_who_waits(pair):
    _, pv = pair
    updates, done = pv.updates(), Recorder()
    thread = threading.Thread(target=lambda: done(values(list(updates))))
    thread.start()
    pv.wait_for(lambda value: True, timeout=10)
    updates.close()
    done.wait(1)
    thread.join(PATIENCE)


def test_updates_end_with_the_context(pair):
    _, pv = pair
    updates = pv.updates()
    next(updates)
    pv._home.close()
    with pytest.raises(ContextClosedError):
        next(updates)


def test_updates_are_bounded(pair):
    ioc, pv = pair
    with pv.updates(timeout=PATIENCE, limit=5) as updates, pv.updates(timeout=PATIENCE, policy="latest") as latest:
        feed(ioc, pv, range(1, 20))
        for each in (updates, latest):
            assert eventually(lambda each=each: each._feed._items[-1].value == 19.0)
        assert [updates.next(PATIENCE).value for _ in range(5)] == [15.0, 16.0, 17.0, 18.0, 19.0]
        assert latest.next(PATIENCE).value == 19.0
        assert (updates.dropped, latest.dropped) == (15, 19)


def test_an_iterator_that_nobody_holds_leaves_nothing(pair):
    """README's own idiom used to leave a subscription, and all that came, for ever."""
    ioc, pv = pair
    context = context_of(pv)
    pv.close()
    pv = context.pv("x", auto_monitor=False)
    for reading in pv.updates():
        assert reading.value == 0.0
        break
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 0, PATIENCE)
    assert not pv._wants
    assert pv.channel.users == 1


def test_an_iterator_ends_with_its_pv(pair):
    ioc, pv = pair
    done = Recorder()
    updates = pv.updates()
    next(updates)
    thread = threading.Thread(target=lambda: done(list(updates)))
    thread.start()
    assert eventually(lambda: updates._feed._waiting)
    pv.close()
    assert done.wait(1) == [[]]
    thread.join(PATIENCE)
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)


def test_many_threads_take_from_one_iterator(pair):
    _, pv = pair
    seen, updates = Recorder(), pv.updates(timeout=PATIENCE)
    next(updates)
    threads = [threading.Thread(target=lambda: [seen(reading.value) for reading in updates]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for first in range(1, 10_001, 1000):
        pv.channel.runtime.loop.call_soon(pv._monitor.receive, run_of(1000, float(first)))
    assert sorted(seen.wait(10_000)) == [float(number) for number in range(1, 10_001)]
    updates.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert (updates.pending, updates.dropped, updates.thinned) == (0, 0, 0)


def test_what_no_iterator_can_be(pair):
    _, pv = pair
    for options in ({"policy": "some"}, {"limit": 0}, {"limit": 1.5}, {"mask": "x"}):
        with pytest.raises(BadValueError, match=r"(policy|limit|mask)"):
            pv.updates(**options)
    assert not pv._wants
