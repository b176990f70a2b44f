"""Mutated conversations with a real IOC, and healthy PVs beside them that must not notice.

Several slots converse at a time, all in one context, which also has PVs of a second IOC: one that counts, whose every
value must arrive in order, and one that is read all the time. Whatever the proxy does, no call may take longer than its
time or raise anything but a CAError, and in the end nothing is left: no circuit, no channel, no thread, no memory.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from caclient import CAError, Context, Subscription
from tests.interop.softioc import SoftIoc
from tests.resilience.watching import eventually, logged, resident
from tests.soak import proxy

SLOTS = 8
BRIEF = 0.25
"""Seconds that a call has; a silent peer costs two of them."""
SLACK = 3.0
"""Seconds that a call may take beyond its time on a busy machine."""
GROWTH = 40_000_000
"""Bytes by which memory may grow after the first fifth."""
PATIENCE = 10.0
"""Seconds in which all must be cleared up afterwards."""
PREFIX = "v:"

_RECORDS = """
record(ao, "$(P){slot}:ao") {{ field(VAL, "1.5") field(EGU, "mm") field(PREC, "3") field(PINI, "YES") }}
record(mbbo, "$(P){slot}:mbbo") {{ field(ZRST, "Idle") field(ONST, "Moving") field(PINI, "YES") }}
record(stringout, "$(P){slot}:text") {{ field(VAL, "hello") field(PINI, "YES") }}
record(waveform, "$(P){slot}:wave") {{ field(FTVL, "DOUBLE") field(NELM, "100") }}
record(calc, "$(P){slot}:tick") {{ field(CALC, "A+1") field(INPA, "$(P){slot}:tick") field(SCAN, ".1 second") }}
"""


@dataclass
class Outcome:
    """What became of a run; `wrong` must be empty."""

    conversations: int = 0
    done: Counter[str] = field(default_factory=Counter)
    mutations: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    healthy_reads: int = 0
    healthy_updates: int = 0
    longest_read: float = 0.0
    longest_call: float = 0.0
    grown: int = 0
    lines: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.conversations} conversations in {self.seconds:.1f} s, {sum(self.mutations.values())} mutations "
            f"{self.mutations}\ncalls: {dict(self.done)}, longest {self.longest_call:.2f} s\n"
            f"healthy: {self.healthy_reads} reads, longest {self.longest_read * 1e3:.0f} ms, "
            f"{self.healthy_updates} updates without a gap\nmemory grew by {self.grown / 1e6:.1f} MB after the first "
            f"fifth, {self.lines} lines logged\nwrong: {self.wrong or 'nothing'}"
        )


def run(conversations: int, folder: Path, seed: int = 1) -> Outcome:
    """Have that many conversations; records of the IOCs are written into the folder."""
    outcome = Outcome()
    records = folder / "fuzz.db"
    records.write_text("".join(_RECORDS.format(slot=slot) for slot in range(SLOTS)))
    began = time.monotonic()
    with (
        SoftIoc(PREFIX, records=(records,), ready_name="0:ao", access=None) as victim,
        SoftIoc("h:", records=(records,), ready_name="0:ao", access=None) as healthy,
        _proxy(("127.0.0.1", victim.tcp_port)) as (address, orders, mutations),
        logged() as lines,
        Context(addr_list=[healthy.address, address], repeater_port=healthy.repeater_port) as context,
        _healthy(context, outcome),
    ):
        _converse_all(context, orders, conversations, seed, outcome)
        _review(context, outcome)
    outcome.mutations = mutations
    outcome.lines = len(lines)
    outcome.wrong += [line for line in lines if "internal error" in line][:5]
    outcome.seconds = time.monotonic() - began
    return outcome


@contextmanager
def _proxy(upstream: tuple[str, int]) -> Iterator[tuple[str, Connection, dict[str, int]]]:
    """Where the proxy is searched, what gives it orders, and what it has done once it has ended."""
    ours, theirs = multiprocessing.Pipe()
    mutations: dict[str, int] = {}
    spawning = multiprocessing.get_context("spawn")
    process = spawning.Process(target=proxy.serve, args=(upstream, PREFIX, SLOTS, theirs))
    process.start()
    try:
        assert ours.poll(20), "the proxy does not start"
        yield f"127.0.0.1:{ours.recv()}", ours, mutations
        ours.send(None)
        assert ours.poll(20), "the proxy does not end"
        mutations |= ours.recv()
    finally:
        process.join(5)
        process.kill()
        process.join()
        process.close()
        ours.close()
        theirs.close()


@contextmanager
def _healthy(context: Context, outcome: Outcome) -> Iterator[None]:
    """Read one PV and watch another meanwhile."""
    over = threading.Event()
    counted: list[float] = []
    tick, steady = context.pv("h:0:tick"), context.pv("h:1:ao")
    assert tick.wait_for_connection(10) and steady.wait_for_connection(10)
    subscription = tick.subscribe(lambda reading: counted.append(reading.value))

    def read() -> None:
        while not over.wait(0.02):
            began = time.monotonic()
            try:
                assert steady.get(use_monitor=False, timeout=10.0) == 1.5
            except Exception as error:
                outcome.wrong.append(f"a healthy PV cannot be read: {error!r}")
                return
            outcome.longest_read = max(outcome.longest_read, time.monotonic() - began)
            outcome.healthy_reads += 1

    reader = threading.Thread(target=read, name="healthy")
    reader.start()
    yield
    over.set()
    reader.join()
    subscription.close()
    outcome.healthy_updates = len(counted)
    gaps = np.flatnonzero(np.diff(counted) != 1)
    if len(gaps):
        outcome.wrong.append(f"healthy updates are missing after {[counted[index] for index in gaps[:5]]}")


def _converse_all(context: Context, orders: Connection, number: int, seed: int, outcome: Outcome) -> None:
    """Every slot takes the next conversation as soon as it is through with one."""
    numbers = iter(range(number))
    lock = threading.Lock()

    def work(slot: int) -> None:
        for conversation in _shared(numbers, lock):
            with lock:
                orders.send((slot, seed * 1_000_003 + 2 * conversation))
                assert orders.poll(20) and orders.recv() == slot, "the proxy does not answer"
            _converse(context, slot, random.Random(seed + conversation), outcome, lock)
            with lock:
                outcome.conversations += 1
                if outcome.conversations == max(1, number // 5):
                    outcome.grown = -resident()

    with ThreadPoolExecutor(SLOTS) as pool:
        for each in [pool.submit(work, slot) for slot in range(SLOTS)]:
            each.result()
    outcome.grown += resident()


def _shared(numbers: Iterator[int], lock: threading.Lock) -> Iterator[int]:
    while True:
        with lock:
            number = next(numbers, None)
        if number is None:
            return
        yield number


def _converse(context: Context, slot: int, dice: random.Random, outcome: Outcome, lock: threading.Lock) -> None:
    """Do what programs do with five PVs, in some order, until two calls have failed."""
    told = threading.Event()
    subscriptions: list[Subscription] = []
    pvs = {kind: context.pv(f"{PREFIX}{slot}:{kind}") for kind in ("ao", "mbbo", "text", "wave", "tick")}
    ao, mbbo, text, wave, tick = pvs.values()
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("get", lambda: ao.get(use_monitor=False, timeout=BRIEF)),
        ("read", lambda: ao.read(timeout=BRIEF)),
        ("units", lambda: ao.units),
        ("put", lambda: ao.put(dice.random(), wait=True, timeout=BRIEF)),
        ("put state", lambda: mbbo.put("Moving", wait=True, timeout=BRIEF)),
        ("get state", lambda: mbbo.get(as_string=True, timeout=BRIEF)),
        ("put text", lambda: text.put("good day", timeout=BRIEF)),
        ("get text", lambda: text.get(timeout=BRIEF)),
        ("put array", lambda: wave.put(np.arange(float(dice.randrange(100))), wait=True, timeout=BRIEF)),
        ("get array", lambda: wave.get(use_monitor=False, timeout=BRIEF)),
        ("subscribe", lambda: subscriptions.append(tick.subscribe(lambda _reading: told.set()))),
        ("subscribe array", lambda: subscriptions.append(wave.subscribe(lambda _reading: told.set()))),
        ("update", lambda: told.wait(BRIEF)),
    ]
    dice.shuffle(calls)
    failed = 0
    for name, call in calls:
        began = time.monotonic()
        became = "went well"
        try:
            call()
        except CAError as error:
            became = type(error).__name__
            failed += 1
        except Exception as error:
            outcome.wrong.append(f"{name} in a conversation of slot {slot}: {error!r}")
        took = time.monotonic() - began
        with lock:
            outcome.done[became] += 1
            outcome.longest_call = max(outcome.longest_call, took)
            if took > BRIEF + SLACK:
                outcome.wrong.append(f"{name} took {took:.1f} s: {became}")
        if failed == 2:
            break
    for subscription in subscriptions:
        subscription.close()
    for pv in pvs.values():
        pv.close()


def _review(context: Context, outcome: Outcome) -> None:
    """What is left once the conversations are over."""
    try:
        eventually(lambda: len(context.report().circuits) == 1, PATIENCE)
    except AssertionError:
        outcome.wrong.append(f"circuits are left: {'; '.join(map(str, context.report().circuits[:5]))}")
    report = context.report()
    if sum(report.channels.values()) > 2 or report.subscriptions > 1:
        outcome.wrong.append(f"channels are left: {report.channels}, {report.subscriptions} subscriptions")
    if report.workers > SLOTS * 4:
        outcome.wrong.append(f"{report.workers} workers are left")
    if outcome.grown > GROWTH:
        outcome.wrong.append(f"memory grew by {outcome.grown / 1e6:.1f} MB")
