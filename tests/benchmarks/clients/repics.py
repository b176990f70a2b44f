"""repics: the Rust client's blocking front end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from repics import ca

from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Counter, Numbers

IMPORT = "from repics import ca"
COLD_GET = "from repics import ca; print(float(ca.caget('bench:s1')))"
TIMEOUT = measure.CONNECT_TIMEOUT


def connected(pvnames: list[str]) -> list[str]:
    ca.connect(pvnames, timeout=TIMEOUT)
    return pvnames


def sequential_get(task: Task) -> Numbers:
    (name,) = connected(names.scalars(1))
    return measure.latency(lambda: ca.caget(name), task.calls)


def put_wait(task: Task) -> Numbers:
    connected([names.PUT])
    return measure.latency(lambda: ca.caput(names.PUT, 1.5, wait=True), task.calls)


def puts(task: Task) -> Numbers:
    connected([names.PUT])

    def work() -> None:
        for i in range(task.calls):
            ca.caput(names.PUT, float(i))
        measure.check(ca.caget(names.PUT) == task.calls - 1, "the last put did not arrive")

    return measure.rate(task.calls, work)


def bulk_get(task: Task) -> Numbers:
    wanted = connected(names.scalars(task.pvs))
    return measure.sweep_rate(task.pvs, task.calls, lambda: ca.caget(wanted, timeout=TIMEOUT))


def flood(task: Task) -> Numbers:
    counter = Counter()

    def on_update(value: Any, *_index: int) -> None:
        counter.count += 1
        counter.total += value

    kept = _monitors(names.floods(task.pvs), on_update)
    return {**measure.flow_rate(counter, task.seconds), "pvs": len(kept)}


def _monitors(pvnames: list[str], callback: Any) -> list[Any]:
    """One monitor a name: without the wrapper that the form for a list puts around each callback."""
    return [ca.camonitor(name, callback, all_updates=True) for name in pvnames]


def waveform_get(task: Task) -> Numbers:
    (name,) = connected([names.WAVEFORM])
    return measure.waveform_rate(lambda: ca.caget(name), task.calls)


def connect(task: Task) -> Numbers:
    connected([names.PUT])  # the context is up
    return measure.rate(task.pvs, lambda: connected(names.scalars(task.pvs)))


def threads(task: Task) -> Numbers:
    wanted = connected(names.scalars(task.pvs))

    def work(number: int) -> None:
        for _ in range(task.calls):
            measure.check(ca.caget(wanted[number]) == number, "wrong value")

    return measure.rate(task.pvs * task.calls, lambda: measure.run_threads(task.pvs, work))


def memory(task: Task) -> Numbers:
    connected([names.PUT])
    before = measure.resident()
    connected(names.scalars(task.pvs))
    return measure.memory_each(task.pvs, before)


def memory_monitored(task: Task) -> Numbers:
    connected([names.PUT])
    before = measure.resident()
    kept = monitored(names.scalars(task.pvs))
    return measure.memory_each(len(kept), before)


def monitored(pvnames: list[str]) -> list[Any]:
    """Monitors, after the first update of each."""
    counter = Counter()

    def on_update(_value: Any) -> None:
        counter.count += 1

    kept = _monitors(pvnames, on_update)
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

    def on_update(value: Any) -> None:
        late.append(time.time() - value.timestamp)

    kept = _monitors(pvnames, on_update)
    return {**measure.lateness(late, task.seconds, meanwhile), "pvs": len(kept)}


def ticks_beside_camera(task: Task) -> Numbers:
    pictures = Counter()

    def on_picture(value: Any) -> None:
        pictures.count += 1
        pictures.total += value[-1]

    kept = _monitors([names.CAMERA], on_picture)
    measure.wait_until(lambda: pictures.count > 0, "first picture")
    return {**ticks(task), "pictures": pictures.count, "cameras": len(kept)}


def ticks_beside_slow_callback(task: Task) -> Numbers:
    kept = _monitors(names.ticks(task.pvs + 1)[-1:], lambda _value: time.sleep(measure.SLOW))
    return {**ticks(task), "slow": len(kept)}
