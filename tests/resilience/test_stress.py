"""Everything at once: many threads, many PVs, and an IOC that is killed again and again."""

from __future__ import annotations

import faulthandler
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from caclient import PV, CATimeoutError, Context, DisconnectedError, Reading
from tests.interop.softioc import SoftIoc
from tests.resilience.watching import eventually

pytestmark = pytest.mark.interop

THREADS, PVS, KILLS = 64, 200, 5
TIMEOUT, GRACE = 1.0, 2.0
"""Seconds that each call has, and those that a busy machine may add."""


class Worker(threading.Thread):
    """Does something at random with a PV at random until told to stop; keeps what should not have been."""

    def __init__(self, number: int, context: Context, pvs: list[PV], stop: threading.Event) -> None:
        super().__init__(name=f"stress-{number}")
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self._random = random.Random(number)
        self._context = context
        self._pvs = pvs
        self._stop_asked = stop

    def run(self) -> None:
        calls = (self.get, self.read, self.put, self.put_wait, self.subscribe, self.come_and_go)
        while not self._stop_asked.is_set():
            number = self._random.randrange(PVS)
            call = self._random.choice(calls)
            began = time.monotonic()
            try:
                call(number, self._pvs[number])
                self.done[call.__name__] += 1
            except (CATimeoutError, DisconnectedError) as error:
                self.done[type(error).__name__] += 1
            except Exception as error:
                self.wrong.append(f"{call.__name__}: {error!r}")
            if time.monotonic() - began > TIMEOUT + GRACE:
                self.wrong.append(f"{call.__name__} took {time.monotonic() - began:.1f} s")

    def check(self, number: int, value: float) -> None:
        if int(value) // 1000 != number:
            self.wrong.append(f"PV {number} is {value}")

    def new_value(self, number: int) -> float:
        return number * 1000.0 + self._random.randrange(1000)

    def get(self, number: int, pv: PV) -> None:
        self.check(number, pv.get(timeout=TIMEOUT))

    def read(self, number: int, pv: PV) -> None:
        self.check(number, pv.get(timeout=TIMEOUT, use_monitor=False))

    def put(self, number: int, pv: PV) -> None:
        pv.put(self.new_value(number), timeout=TIMEOUT)

    def put_wait(self, number: int, pv: PV) -> None:
        pv.put(self.new_value(number), wait=True, timeout=TIMEOUT)

    def subscribe(self, number: int, pv: PV) -> None:
        def told(reading: Reading) -> None:
            self.check(number, reading.value)

        with pv.subscribe(told), pv.updates() as updates:
            reading = updates.next(timeout=TIMEOUT)
            if reading is not None:
                self.check(number, reading.value)

    def come_and_go(self, number: int, pv: PV) -> None:
        with self._context.pv(pv.pvname, priority=self._random.choice((0, 0, 50))) as own:
            self.check(number, own.get(timeout=TIMEOUT))


def test_stress(make_softioc: Callable[..., SoftIoc], make_context: Callable[..., Context], tmp_path: Path) -> None:
    """T20, T31: no deadlock, no lost request, no wrong value, and order in the end."""
    records = tmp_path / "stress.db"
    records.write_text(
        "".join(f'record(ao, "$(P)s{n}") {{ field(VAL, "{n * 1000}") field(PINI, "YES") }}\n' for n in range(PVS))
    )
    ioc = make_softioc(records=(records,), access=None, ready_name="s0")
    context = make_context(ioc, conn_timeout=2.0, echo_timeout=1.0)
    pvs = [context.pv(f"t:s{n}", auto_monitor=bool(n % 2)) for n in range(PVS)]
    assert all(pv.wait_for_connection(10) for pv in pvs)
    stop = threading.Event()
    workers = [Worker(number, context, pvs, stop) for number in range(THREADS)]
    faulthandler.dump_traceback_later(50, file=sys.__stderr__)
    try:
        for worker in workers:
            worker.start()
        for _ in range(KILLS):
            stop.wait(1.0)
            ioc.restart()
        stop.wait(1.0)
        stop.set()
        for worker in workers:
            worker.join(10)
        assert [worker.name for worker in workers if worker.is_alive()] == []
    finally:
        stop.set()
        faulthandler.cancel_dump_traceback_later()
    done = sum((worker.done for worker in workers), Counter())
    assert [wrong for worker in workers for wrong in worker.wrong][:10] == []
    assert all(done[name] for name in ("get", "read", "put", "put_wait", "subscribe", "come_and_go")), done
    for number, pv in enumerate(pvs):
        assert pv.wait_for_connection(10)
        assert int(pv.get(timeout=5, use_monitor=False)) // 1000 == number
    eventually(lambda: context.report().channels == {"ready": PVS})
    assert all(circuit.core.ioids == {} for circuit in context._home.pool.circuits.values())
