"""Figures of a busy client and of an idle one.

Busy: every PV is updated once a second and has a callback; memory must be flat. Idle: nothing changes; the selector
thread must wake less than once a second.
"""

from __future__ import annotations

import multiprocessing
import threading
import time

from caclient import PV, Config, Context
from tests.resilience.watching import resident
from tests.soak.server import serve

GROWTH = 5_000_000
"""Bytes by which memory may grow between a quarter of the time and its end."""


def busy(pvs: list[PV], seconds: float, context: Context) -> bool:
    """Print memory as it goes; whether it is flat."""
    count = 0

    def told(_reading: object) -> None:
        nonlocal count
        count += 1

    subscriptions = [pv.subscribe(told) for pv in pvs]
    sizes: list[int] = []
    wait = threading.Event()
    for _ in range(8):
        before = count
        wait.wait(seconds / 8)
        sizes.append(resident())
        rate = (count - before) * 8 / seconds
        print(f"busy: {rate:8.0f} updates/s, {sizes[-1] / 1e6:6.1f} MB, {context.report().dropped} dropped")
    for subscription in subscriptions:
        subscription.close()
    return sizes[-1] - sizes[1] < GROWTH


def idle(seconds: float, context: Context) -> bool:
    """Print the wake-ups; whether they are less than one a second."""
    wait = threading.Event()
    wait.wait(2.0)
    before, cpu = context._home.runtime.loop.wakeups, time.process_time()
    wait.wait(seconds)
    rate = (context._home.runtime.loop.wakeups - before) / seconds
    print(f"idle: {rate:.3f} wake-ups/s, {(time.process_time() - cpu) / seconds * 100:.3f} % of a processor")
    return rate < 1.0


def run(number: int, seconds: float) -> int:
    """The exit status: 0 if memory is flat and an idle client sleeps."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(number, theirs))
    server.start()
    try:
        assert ours.poll(20), "the IOC does not start"
        address = ours.recv()
        with Context(Config.isolated(addr_list=(address,))) as context:
            empty = resident()
            began = time.monotonic()
            pvs = [context.pv(f"soak:{n}") for n in range(number)]
            connected = all(pv.wait_for_connection(30) for pv in pvs)
            took = time.monotonic() - began
            print(f"{number} PVs connected in {took:.2f} s: {connected}, {(resident() - empty) / 1e6:.1f} MB")
            ours.send("run")
            flat = busy(pvs, seconds, context)
            ours.send("rest")
            asleep = idle(seconds, context)
        ours.send("end")
    finally:
        server.join(10)
        server.terminate()
    print("flat memory:", flat, "- sleeps when idle:", asleep)
    return 0 if connected and flat and asleep else 1
