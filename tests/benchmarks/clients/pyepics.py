"""pyepics with its PV objects, on libca."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import epics

from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Counter, Numbers

IMPORT = "import epics"
COLD_GET = "import epics; print(epics.caget('bench:s1'))"


def connected(pvnames: list[str]) -> list[epics.PV]:
    """All PVs are made first and waited for afterwards, as the documentation advises."""
    pvs = [epics.PV(name, auto_monitor=False) for name in pvnames]
    for pv in pvs:
        measure.check(pv.wait_for_connection(timeout=measure.CONNECT_TIMEOUT), f"{pv.pvname} not connected")
    return pvs


def sequential_get(task: Task) -> Numbers:
    (pv,) = connected(names.scalars(1))
    return measure.latency(lambda: pv.get(use_monitor=False), task.calls)


def put_wait(task: Task) -> Numbers:
    (pv,) = connected([names.PUT])
    return measure.latency(lambda: pv.put(1.5, wait=True), task.calls)


def puts(task: Task) -> Numbers:
    (pv,) = connected([names.PUT])

    def work() -> None:
        for i in range(task.calls):
            pv.put(float(i))
        measure.check(pv.get(use_monitor=False) == task.calls - 1, "the last put did not arrive")

    return measure.rate(task.calls, work)


def bulk_get(task: Task) -> Numbers:
    """`caget_many`, whose channels stay connected from the first sweep on."""
    wanted = names.scalars(task.pvs)
    timeout = measure.CONNECT_TIMEOUT
    return measure.sweep_rate(
        task.pvs, task.calls, lambda: epics.caget_many(wanted, timeout=timeout, connection_timeout=timeout)
    )


def flood(task: Task) -> Numbers:
    counter = Counter()

    def on_update(value: float = 0.0, **_others: Any) -> None:
        counter.count += 1
        counter.total += value

    kept = [epics.PV(name, callback=on_update, auto_monitor=True) for name in names.floods(task.pvs)]
    return {**measure.flow_rate(counter, task.seconds), "pvs": len(kept)}


keywords = flood


def waveform_get(task: Task) -> Numbers:
    (pv,) = connected([names.WAVEFORM])
    return measure.waveform_rate(lambda: pv.get(use_monitor=False, timeout=10), task.calls)


def connect(task: Task) -> Numbers:
    connected(["bench:put"])  # the context is up
    return measure.rate(task.pvs, lambda: connected(names.scalars(task.pvs)))


def threads(task: Task) -> Numbers:
    def work(number: int) -> None:
        (pv,) = connected([f"bench:s{number}"])
        for _ in range(task.calls):
            measure.check(pv.get(use_monitor=False) == number, "wrong value")

    connected(names.scalars(task.pvs))
    total = task.pvs * task.calls
    return measure.rate(total, lambda: measure.run_threads(task.pvs, work, epics.ca.CAThread))


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


def monitored(pvnames: list[str]) -> list[epics.PV]:
    """Monitored PVs, after the first update of each."""
    counter = Counter()

    def on_update(**_others: Any) -> None:
        counter.count += 1

    pvs = [epics.PV(name, callback=on_update, auto_monitor=True) for name in pvnames]
    measure.wait_until(lambda: counter.count >= len(pvs), "first updates")
    return pvs


def idle(task: Task) -> Numbers:
    kept = monitored(names.scalars(task.pvs))
    return {**measure.idleness(task.seconds), "pvs": len(kept)}


def ticks(task: Task) -> Numbers:
    return _late(names.ticks(task.pvs), task)


def paced(task: Task) -> Numbers:
    return _late(names.paced(task.pvs), task)


def paced_beside_sorts(task: Task) -> Numbers:
    return _late(names.paced(task.pvs), task, measure.sort)


paced_keywords = paced


def _late(pvnames: list[str], task: Task, meanwhile: Callable[[float], None] = time.sleep) -> Numbers:
    late: list[float] = []

    def on_update(timestamp: float = 0.0, **_others: Any) -> None:
        late.append(time.time() - timestamp)

    kept = [epics.PV(name, callback=on_update, auto_monitor=True) for name in pvnames]
    return {**measure.lateness(late, task.seconds, meanwhile), "pvs": len(kept)}


def ticks_beside_camera(task: Task) -> Numbers:
    pictures = Counter()

    def on_picture(value: Any = None, **_others: Any) -> None:
        pictures.count += 1
        pictures.total += value[-1]

    camera = epics.PV(names.CAMERA, callback=on_picture, auto_monitor=True)
    measure.wait_until(lambda: pictures.count > 0, "first picture")
    return {**ticks(task), "pictures": pictures.count, "connected": camera.connected}


def ticks_beside_slow_callback(task: Task) -> Numbers:
    name = names.ticks(task.pvs + 1)[-1]
    slow = epics.PV(name, callback=lambda **_others: time.sleep(measure.SLOW), auto_monitor=True)
    return {**ticks(task), "connected": slow.connected}
