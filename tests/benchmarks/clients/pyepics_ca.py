"""pyepics without PV objects: the functions of `epics.ca`, a thin layer over libca."""

from __future__ import annotations

import time
from typing import Any

from epics import ca

from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Counter, Numbers

_kept: list[Any] = []
"""Subscriptions to the end of the process: libca crashes when one is collected while updates come."""


def connected(pvnames: list[str]) -> list[Any]:
    """All channels are made first and waited for afterwards, as the documentation advises."""
    channels = [ca.create_channel(name, connect=False) for name in pvnames]
    for channel in channels:
        measure.check(ca.connect_channel(channel, timeout=measure.CONNECT_TIMEOUT), f"{ca.name(channel)} not connected")
    return channels


def sequential_get(task: Task) -> Numbers:
    (channel,) = connected(names.scalars(1))
    form = ca.promote_type(channel, use_time=True)
    return measure.latency(lambda: ca.get(channel, ftype=form), task.calls)


def put_wait(task: Task) -> Numbers:
    (channel,) = connected([names.PUT])
    return measure.latency(lambda: ca.put(channel, 1.5, wait=True), task.calls)


def puts(task: Task) -> Numbers:
    (channel,) = connected([names.PUT])

    def work() -> None:
        for i in range(task.calls):
            ca.put(channel, float(i))
        measure.check(ca.get(channel) == task.calls - 1, "the last put did not arrive")

    return measure.rate(task.calls, work)


def bulk_get(task: Task) -> Numbers:
    channels = connected(names.scalars(task.pvs))
    forms = [ca.promote_type(channel, use_time=True) for channel in channels]

    def sweep() -> list[float]:
        for channel, form in zip(channels, forms, strict=True):
            ca.get(channel, ftype=form, wait=False)
        ca.poll()
        return [ca.get_complete(channel, ftype=form, timeout=10) for channel, form in zip(channels, forms, strict=True)]

    return measure.sweep_rate(task.pvs, task.calls, sweep)


def flood(task: Task) -> Numbers:
    counter = Counter()

    def on_update(value: float = 0.0, **_others: Any) -> None:
        counter.count += 1
        counter.total += value

    kept = _subscribed(names.floods(task.pvs), on_update)
    return {**measure.flow_rate(counter, task.seconds), "pvs": len(kept)}


def waveform_get(task: Task) -> Numbers:
    (channel,) = connected([names.WAVEFORM])
    form = ca.promote_type(channel, use_time=True)
    return measure.waveform_rate(lambda: ca.get(channel, ftype=form, timeout=10), task.calls)


def connect(task: Task) -> Numbers:
    connected([names.PUT])  # the context is up
    return measure.rate(task.pvs, lambda: connected(names.scalars(task.pvs)))


def memory(task: Task) -> Numbers:
    connected([names.PUT])
    before = measure.resident()
    kept = connected(names.scalars(task.pvs))
    return measure.memory_each(len(kept), before)


def memory_monitored(task: Task) -> Numbers:
    connected([names.PUT])
    before = measure.resident()
    kept = monitored(names.scalars(task.pvs))
    return measure.memory_each(len(kept), before)


def monitored(pvnames: list[str]) -> list[Any]:
    """Subscribed channels, after the first update of each."""
    counter = Counter()

    def on_update(**_others: Any) -> None:
        counter.count += 1

    kept = _subscribed(pvnames, on_update)
    measure.wait_until(lambda: counter.count >= len(kept), "first updates")
    return kept


def _subscribed(pvnames: list[str], callback: Any) -> list[Any]:
    subscriptions = [ca.create_subscription(c, use_time=True, callback=callback) for c in connected(pvnames)]
    ca.flush_io()
    _kept.extend(subscriptions)
    return subscriptions


def idle(task: Task) -> Numbers:
    kept = monitored(names.scalars(task.pvs))
    return {**measure.idleness(task.seconds), "pvs": len(kept)}


def ticks(task: Task) -> Numbers:
    late: list[float] = []

    def on_update(timestamp: float = 0.0, **_others: Any) -> None:
        late.append(time.time() - timestamp)

    kept = _subscribed(names.ticks(task.pvs), on_update)
    return {**measure.lateness(late, task.seconds), "pvs": len(kept)}
