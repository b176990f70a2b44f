"""caclient: PV objects, and the functions for many PVs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from caclient import PV, Reading, Subscription, caget_many, connect_all
from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Counter, Numbers

IMPORT = "import caclient"
COLD_GET = "import caclient; print(caclient.caget('bench:s1'))"


def connected(pvnames: list[str]) -> list[PV]:
    pvs = [PV(name, auto_monitor=False) for name in pvnames]
    result = connect_all(pvs, timeout=measure.CONNECT_TIMEOUT)
    measure.check(result.ok, repr(result))
    return pvs


def sequential_get(task: Task) -> Numbers:
    (pv,) = connected(names.scalars(1))
    return measure.latency(pv.get, task.calls)


def put_wait(task: Task) -> Numbers:
    (pv,) = connected([names.PUT])
    return measure.latency(lambda: pv.put(1.5, wait=True), task.calls)


def puts(task: Task) -> Numbers:
    (pv,) = connected([names.PUT])

    def work() -> None:
        for i in range(task.calls):
            pv.put(float(i))
        measure.check(pv.get() == task.calls - 1, "the last put did not arrive")

    return measure.rate(task.calls, work)


def bulk_get(task: Task) -> Numbers:
    wanted = names.scalars(task.pvs)
    return measure.sweep_rate(task.pvs, task.calls, lambda: caget_many(wanted, timeout=measure.CONNECT_TIMEOUT))


def flood(task: Task) -> Numbers:
    counter = Counter()

    def on_update(reading: Reading) -> None:
        counter.count += 1
        counter.total += reading.value

    kept = _subscribed(names.floods(task.pvs), on_update)
    return {**measure.flow_rate(counter, task.seconds), **_dropped(kept)}


def _subscribed(pvnames: list[str], callback: Callable[[Reading], None]) -> list[Subscription]:
    return [PV(name, auto_monitor=False).subscribe(callback) for name in pvnames]


def _dropped(subscriptions: list[Subscription]) -> Numbers:
    return {"dropped": sum(subscription.dropped for subscription in subscriptions), "pvs": len(subscriptions)}


def keywords(task: Task) -> Numbers:
    """pyepics' form of a callback, all keywords."""
    counter = Counter()

    def on_update(value: float = 0.0, **_others: Any) -> None:
        counter.count += 1
        counter.total += value

    kept = _with_keywords(names.floods(task.pvs), on_update)
    return {**measure.flow_rate(counter, task.seconds), "pvs": len(kept)}


def _with_keywords(pvnames: list[str], callback: Callable[..., None]) -> list[PV]:
    pvs = connected(pvnames)
    for pv in pvs:
        pv.add_callback(callback)
    return pvs


def waveform_get(task: Task) -> Numbers:
    (pv,) = connected([names.WAVEFORM])
    return measure.waveform_rate(pv.get, task.calls)


def connect(task: Task) -> Numbers:
    connected([names.PUT])  # the context is up
    return measure.rate(task.pvs, lambda: connected(names.scalars(task.pvs)))


def threads(task: Task) -> Numbers:
    pvs = connected(names.scalars(task.pvs))

    def work(number: int) -> None:
        pv = pvs[number]
        for _ in range(task.calls):
            measure.check(pv.get() == number, "wrong value")

    return measure.rate(task.pvs * task.calls, lambda: measure.run_threads(task.pvs, work))


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


def monitored(pvnames: list[str]) -> list[Subscription]:
    """Subscriptions, after the first update of each."""
    counter = Counter()

    def on_update(_reading: Reading) -> None:
        counter.count += 1

    kept = _subscribed(pvnames, on_update)
    measure.wait_until(lambda: counter.count >= len(kept), "first updates")
    return kept


def idle(task: Task) -> Numbers:
    kept = monitored(names.scalars(task.pvs))
    return {**measure.idleness(task.seconds), "pvs": len(kept)}


def ticks(task: Task) -> Numbers:
    return _late(names.ticks(task.pvs), task)


def paced(task: Task) -> Numbers:
    return _late(names.paced(task.pvs), task)


def paced_beside_sorts(task: Task) -> Numbers:
    return _late(names.paced(task.pvs), task, measure.sort)


def _late(pvnames: list[str], task: Task, meanwhile: Callable[[float], None] = time.sleep) -> Numbers:
    late: list[float] = []

    def on_update(reading: Reading) -> None:
        late.append(time.time() - reading.timestamp)  # type: ignore[operator]

    kept = _subscribed(pvnames, on_update)
    return {**measure.lateness(late, task.seconds, meanwhile), **_dropped(kept)}


def paced_keywords(task: Task) -> Numbers:
    late: list[float] = []

    def on_update(timestamp: float = 0.0, **_others: Any) -> None:
        late.append(time.time() - timestamp)

    kept = _with_keywords(names.paced(task.pvs), on_update)
    return {**measure.lateness(late, task.seconds), "pvs": len(kept)}


def ticks_beside_camera(task: Task) -> Numbers:
    pictures = Counter()

    def on_picture(reading: Reading) -> None:
        pictures.count += 1
        pictures.total += reading.value[-1]

    kept = _subscribed([names.CAMERA], on_picture)
    measure.wait_until(lambda: pictures.count > 0, "first picture")
    return {**ticks(task), "pictures": pictures.count, "cameras": len(kept)}


def ticks_beside_slow_callback(task: Task) -> Numbers:
    kept = _subscribed(names.ticks(task.pvs + 1)[-1:], lambda _reading: time.sleep(measure.SLOW))
    return {**ticks(task), "slow": len(kept)}
