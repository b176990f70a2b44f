"""How a worker measures: latencies, rates, memory, CPU and lateness, the same for every client."""

from __future__ import annotations

import gc
import math
import os
import random
import resource
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.names import WAVEFORM_COUNT

CONNECT_TIMEOUT = 60.0
WARM_UP = 50
SLOW = 0.5  # seconds that a slow callback takes for each update
Numbers = dict[str, float]

clock = time.perf_counter


class Counter:
    """What a flooded callback does: counts the updates and adds their values up."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latency(call: Callable[[], object], calls: int) -> Numbers:
    """Median and 99 % of one call, in microseconds."""
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(calls):
        start = clock()
        call()
        times.append(clock() - start)
    return in_microseconds(times)


def in_microseconds(times: Sequence[float]) -> Numbers:
    return {"us": median(times) * 1e6, "p99_us": percentile(times, 0.99) * 1e6}


def rate(count: int, work: Callable[[], object]) -> Numbers:
    start = clock()
    work()
    return {"rate": count / (clock() - start)}


def sweep_rate(count: int, sweeps: int, sweep: Callable[[], Sequence[object]]) -> Numbers:
    """Values a second of the median sweep, the first one aside; each sweep must give `count` values 0, 1, 2..."""
    check_ramp(sweep(), count)
    times = []
    for _ in range(sweeps):
        start = clock()
        values = sweep()
        times.append(clock() - start)
        check_ramp(values, count)
    return {"rate": count / median(times)}


def waveform_rate(get: Callable[[], Any], calls: int) -> Numbers:
    """MB a second of the median get of the large waveform."""
    check(len(get()) == WAVEFORM_COUNT, "wrong length of the waveform")
    times = []
    for _ in range(calls):
        start = clock()
        values = get()
        times.append(clock() - start)
        check(values[-1] == WAVEFORM_COUNT - 1, "wrong value at the waveform's end")
    return {"rate": 8 * WAVEFORM_COUNT / median(times) / 1e6}


def check_ramp(values: Sequence[object], count: int) -> None:
    """The values are 0, 1, 2...: nothing was lost or mixed up on the way."""
    if len(values) != count or any(float(value) != i for i, value in enumerate(values)):  # type: ignore[arg-type]
        raise AssertionError(f"wrong values in a sweep of {count}")


def check(good: bool, what: str) -> None:
    if not good:
        raise AssertionError(what)


def flow_rate(counter: Counter, seconds: float) -> Numbers:
    """Updates a second into a callback, once the flow is steady."""
    deadline = clock() + 10.0
    while not counter.count and clock() < deadline:
        time.sleep(0.01)
    check(counter.count > 0, "no update came in 10 s")
    time.sleep(0.25 * seconds)
    start, cpu, first = clock(), time.process_time(), counter.count
    time.sleep(seconds)
    end, busy, last = clock(), time.process_time() - cpu, counter.count
    return {"rate": (last - first) / (end - start), "cpu_us": 1e6 * busy / max(1, last - first)}


def resident() -> int:
    """The bytes of memory that this process has."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def memory_each(count: int, before: int) -> Numbers:
    return {"kB": (resident() - before) / count / 1000}


def sort(seconds: float) -> None:
    """Sort lists, each for some 70 ms in which no other thread has the interpreter."""
    numbers = [random.random() for _ in range(200_000)]
    end = clock() + seconds
    while clock() < end:
        sorted(numbers)


def lateness(late: list[float], seconds: float, meanwhile: Callable[[float], None] = time.sleep) -> Numbers:
    """CPU in per cent of one core, how late (ms) updates are, how many a second; callbacks fill `late` (seconds)."""
    time.sleep(0.5)
    late.clear()
    start, cpu = clock(), time.process_time()
    meanwhile(seconds)
    spent, busy = clock() - start, time.process_time() - cpu
    taken = late[:]
    check(len(taken) > 0, f"no update came in {spent:.1f} s")
    return {
        "p50": median(taken) * 1e3,
        "p99": percentile(taken, 0.99) * 1e3,
        "cpu": 100 * busy / spent,
        "updates": len(taken) / spent,
        "cpu_us": 1e6 * busy / len(taken),
    }


def idleness(seconds: float) -> Numbers:
    """CPU in per cent of one core and voluntary wake-ups a second of a process that has nothing to do."""
    time.sleep(1.0)  # what connecting has started comes to rest
    cpu, woken, start = time.process_time(), _wakeups(), clock()
    time.sleep(seconds)
    spent = clock() - start
    return {"cpu": 100 * (time.process_time() - cpu) / spent, "wakeups": (_wakeups() - woken - 1) / spent}


def _wakeups() -> int:
    """How often threads of this process have been waked, all threads that live now."""
    tasks = Path("/proc/self/task")
    return sum(_switches(tasks / name / "status") for name in os.listdir(tasks))


def _switches(status: Path) -> int:
    for line in status.read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    return 0


def run_threads(
    count: int, work: Callable[[int], None], make: Callable[..., threading.Thread] = threading.Thread
) -> None:
    """Run work(0), work(1)... each on a thread of its own, to the end of all."""
    threads = [make(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_until(condition: Callable[[], bool], what: str, timeout: float = CONNECT_TIMEOUT) -> None:
    deadline = clock() + timeout
    while not condition():
        check(clock() < deadline, f"{what}: not in {timeout:g} s")
        time.sleep(0.01)
