"""aioca: asyncio on libca."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aioca import FORMAT_TIME, caget, camonitor, caput, connect as ca_connect

from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Counter, Numbers

IMPORT = "import aioca"
COLD_GET = "import asyncio, aioca; print(asyncio.run(aioca.caget('bench:s1')))"
TIMEOUT = measure.CONNECT_TIMEOUT


def sequential_get(task: Task) -> Numbers:
    (name,) = names.scalars(1)
    return asyncio.run(_latency(lambda: caget(name, format=FORMAT_TIME), task.calls))


def put_wait(task: Task) -> Numbers:
    return asyncio.run(_latency(lambda: caput(names.PUT, 1.5, wait=True), task.calls))


async def _latency(call: Callable[[], Awaitable[object]], calls: int) -> Numbers:
    for _ in range(measure.WARM_UP):
        await call()
    times = []
    for _ in range(calls):
        start = measure.clock()
        await call()
        times.append(measure.clock() - start)
    return measure.in_microseconds(times)


def puts(task: Task) -> Numbers:
    async def work() -> Numbers:
        await ca_connect(names.PUT)
        start = measure.clock()
        for i in range(task.calls):
            await caput(names.PUT, float(i))
        measure.check(await caget(names.PUT) == task.calls - 1, "the last put did not arrive")
        return {"rate": task.calls / (measure.clock() - start)}

    return asyncio.run(work())


def bulk_get(task: Task) -> Numbers:
    wanted = names.scalars(task.pvs)

    def sweep(runner: asyncio.AbstractEventLoop) -> list[float]:
        return list(runner.run_until_complete(caget(wanted, format=FORMAT_TIME, timeout=TIMEOUT)))

    loop = asyncio.new_event_loop()
    return measure.sweep_rate(task.pvs, task.calls, lambda: sweep(loop))


def flood(task: Task) -> Numbers:
    counter = Counter()

    def on_update(value: Any, *_index: int) -> None:
        counter.count += 1
        counter.total += value

    async def work() -> Numbers:
        kept = _monitors(names.floods(task.pvs), on_update)
        return {**await asyncio.to_thread(measure.flow_rate, counter, task.seconds), "pvs": len(kept)}

    return asyncio.run(work())


def _monitors(pvnames: list[str], callback: Callable[..., None]) -> list[Any]:
    return list(camonitor(pvnames, callback, format=FORMAT_TIME, all_updates=True))


def waveform_get(task: Task) -> Numbers:
    loop = asyncio.new_event_loop()
    return measure.waveform_rate(
        lambda: loop.run_until_complete(caget(names.WAVEFORM, format=FORMAT_TIME, timeout=TIMEOUT)), task.calls
    )


def connect(task: Task) -> Numbers:
    async def work() -> Numbers:
        await ca_connect(names.PUT)  # the context is up
        start = measure.clock()
        await ca_connect(names.scalars(task.pvs), timeout=TIMEOUT)
        return {"rate": task.pvs / (measure.clock() - start)}

    return asyncio.run(work())


def memory(task: Task) -> Numbers:
    async def work() -> Numbers:
        await ca_connect(names.PUT)
        before = measure.resident()
        await ca_connect(names.scalars(task.pvs), timeout=TIMEOUT)
        return measure.memory_each(task.pvs, before)

    return asyncio.run(work())


def memory_monitored(task: Task) -> Numbers:
    async def work() -> Numbers:
        await ca_connect(names.PUT)
        before = measure.resident()
        kept = await _monitored(names.scalars(task.pvs))
        return measure.memory_each(len(kept), before)

    return asyncio.run(work())


async def _monitored(pvnames: list[str]) -> list[Any]:
    """Monitors, after the first update of each."""
    counter = Counter()

    def on_update(_value: Any, *_index: int) -> None:
        counter.count += 1

    kept = _monitors(pvnames, on_update)
    await asyncio.to_thread(measure.wait_until, lambda: counter.count >= len(kept), "first updates")
    return kept


def idle(task: Task) -> Numbers:
    async def work() -> Numbers:
        kept = await _monitored(names.scalars(task.pvs))
        return {**await asyncio.to_thread(measure.idleness, task.seconds), "pvs": len(kept)}

    return asyncio.run(work())


def ticks(task: Task) -> Numbers:
    return asyncio.run(_ticks(task))


async def _ticks(task: Task) -> Numbers:
    late: list[float] = []

    def on_update(value: Any, _index: int) -> None:
        late.append(time.time() - value.timestamp)

    kept = _monitors(names.ticks(task.pvs), on_update)
    return {**await asyncio.to_thread(measure.lateness, late, task.seconds), "pvs": len(kept)}


def ticks_beside_camera(task: Task) -> Numbers:
    async def work() -> Numbers:
        pictures = Counter()

        def on_picture(value: Any, _index: int) -> None:
            pictures.count += 1
            pictures.total += value[-1]

        kept = _monitors([names.CAMERA], on_picture)
        await asyncio.to_thread(measure.wait_until, lambda: pictures.count > 0, "first picture")
        return {**await _ticks(task), "pictures": pictures.count, "cameras": len(kept)}

    return asyncio.run(work())


def ticks_beside_slow_callback(task: Task) -> Numbers:
    """The slow callback is a coroutine that sleeps: the best that asyncio offers it."""

    async def on_update(_value: Any, _index: int) -> None:
        await asyncio.sleep(measure.SLOW)

    async def work() -> Numbers:
        kept = _monitors(names.ticks(task.pvs + 1)[-1:], on_update)  # type: ignore[arg-type]
        return {**await _ticks(task), "slow": len(kept)}

    return asyncio.run(work())
