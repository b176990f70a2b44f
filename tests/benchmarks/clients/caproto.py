"""caproto's threading client."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from caproto.threading.client import PV, Batch, Context

from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Counter, Numbers

IMPORT = "from caproto.threading.client import Context"
COLD_GET = (
    "from caproto.threading.client import Context; (pv,) = Context().get_pvs('bench:s1'); "
    "pv.wait_for_connection(); print(pv.read().data[0])"
)
TIMEOUT = 10.0

_context: list[Context] = []


def context() -> Context:
    if not _context:
        _context.append(Context())
    return _context[0]


def connected(pvnames: list[str]) -> list[PV]:
    pvs = context().get_pvs(*pvnames, timeout=measure.CONNECT_TIMEOUT)
    for pv in pvs:
        pv.wait_for_connection(timeout=measure.CONNECT_TIMEOUT)
    return list(pvs)


def sequential_get(task: Task) -> Numbers:
    (pv,) = connected(names.scalars(1))
    return measure.latency(lambda: pv.read(data_type="time", timeout=TIMEOUT), task.calls)


def put_wait(task: Task) -> Numbers:
    (pv,) = connected([names.PUT])
    return measure.latency(lambda: pv.write(1.5, wait=True, timeout=TIMEOUT), task.calls)


def puts(task: Task) -> Numbers:
    (pv,) = connected([names.PUT])

    def work() -> None:
        for i in range(task.calls):
            pv.write(float(i), wait=False)
        measure.check(pv.read(timeout=TIMEOUT).data[0] == task.calls - 1, "the last put did not arrive")

    return measure.rate(task.calls, work)


def bulk_get(task: Task) -> Numbers:
    """`Batch`: the requests of one circuit are sent together."""
    pvs = connected(names.scalars(task.pvs))
    return measure.sweep_rate(task.pvs, task.calls, partial(_sweep, pvs))


def _sweep(pvs: list[PV]) -> list[float]:
    values: dict[int, float] = {}
    complete = threading.Event()

    def stash(i: int, response: Any) -> None:
        values[i] = response.data[0]
        if len(values) == len(pvs):
            complete.set()

    with Batch(timeout=measure.CONNECT_TIMEOUT) as batch:
        for i, pv in enumerate(pvs):
            batch.read(pv, partial(stash, i), data_type="time")
    measure.check(complete.wait(measure.CONNECT_TIMEOUT), "batch not complete")
    return [values[i] for i in range(len(pvs))]


def flood(task: Task) -> Numbers:
    counter = Counter()

    def on_update(_subscription: Any, response: Any) -> None:
        counter.count += 1
        counter.total += response.data[0]

    kept = _subscribed(names.floods(task.pvs), on_update)
    return {**measure.flow_rate(counter, task.seconds), "pvs": len(kept)}


def waveform_get(task: Task) -> Numbers:
    (pv,) = connected([names.WAVEFORM])
    return measure.waveform_rate(lambda: pv.read(data_type="time", timeout=TIMEOUT).data, task.calls)


def connect(task: Task) -> Numbers:
    connected([names.PUT])  # the context is up
    return measure.rate(task.pvs, lambda: connected(names.scalars(task.pvs)))


def threads(task: Task) -> Numbers:
    pvs = connected(names.scalars(task.pvs))

    def work(number: int) -> None:
        for _ in range(task.calls):
            response = pvs[number].read(data_type="time", timeout=TIMEOUT)
            measure.check(response.data[0] == number, "wrong value")

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


def monitored(pvnames: list[str]) -> list[Any]:
    """Subscribed PVs, after the first update of each."""
    counter = Counter()

    def on_update(_subscription: Any, _response: Any) -> None:
        counter.count += 1

    kept = _subscribed(pvnames, on_update)
    measure.wait_until(lambda: counter.count >= len(pvnames), "first updates")
    return kept


def _subscribed(pvnames: list[str], callback: Any) -> list[Any]:
    """The subscriptions, and the callback: caproto keeps only weak references."""
    subscriptions = [pv.subscribe(data_type="time") for pv in connected(pvnames)]
    for subscription in subscriptions:
        subscription.add_callback(callback)
    return [callback, *subscriptions]


def idle(task: Task) -> Numbers:
    kept = monitored(names.scalars(task.pvs))
    return {**measure.idleness(task.seconds), "pvs": len(kept) - 1}


def ticks(task: Task) -> Numbers:
    late: list[float] = []

    def on_update(_subscription: Any, response: Any) -> None:
        late.append(time.time() - response.metadata.timestamp)

    kept = _subscribed(names.ticks(task.pvs), on_update)
    return {**measure.lateness(late, task.seconds), "pvs": len(kept)}


def ticks_beside_camera(task: Task) -> Numbers:
    pictures = Counter()

    def on_picture(_subscription: Any, response: Any) -> None:
        pictures.count += 1
        pictures.total += response.data[-1]

    kept = _subscribed([names.CAMERA], on_picture)
    measure.wait_until(lambda: pictures.count > 0, "first picture")
    return {**ticks(task), "pictures": pictures.count, "cameras": len(kept) - 1}


def ticks_beside_slow_callback(task: Task) -> Numbers:
    def on_update(_subscription: Any, _response: Any) -> None:
        time.sleep(measure.SLOW)

    kept = _subscribed(names.ticks(task.pvs + 1)[-1:], on_update)
    return {**ticks(task), "slow": len(kept) - 1}
