"""Mixed work for as long as one likes, with an IOC that is killed and started again: what grows is a leak.

Workers make PVs and let them go, read, write, watch, break off iterators, read many at once, ask for names that nobody
has. Long-lived PVs have callbacks all the time. Every few seconds a sample is taken; the verdict is about what is left
when all has come to rest, and about the slope of memory over the second half.
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from caclient import CAError, Context, caget_many, connect_all, default_context
from tests.interop.softioc import SoftIoc
from tests.resilience.watching import eventually, logged, resident

WORKERS = 4
LASTING = 200
"""PVs with callbacks that live all the time."""
PER_HOUR = 20_000_000
"""Bytes by which memory may grow in an hour."""
LONGEST = 10.0
"""Seconds that any call may take; each asks for less."""
_PATIENCE = 30.0
_SHARED = [f"m:n:{number}" for number in range(LASTING, LASTING + 50)]
"""Names that functions share PVs for, which stay for some minutes."""

_RECORD = (
    'record(calc, "$(P)n:{number}") {{ field(CALC, "A+1") field(INPA, "$(P)n:{number}") field(SCAN, "1 second") }}\n'
)
_OTHERS = """
record(ao, "$(P)ao") { field(VAL, "1.5") field(EGU, "mm") field(PREC, "3") field(PINI, "YES") }
record(mbbo, "$(P)mbbo") { field(ZRST, "Idle") field(ONST, "Moving") field(PINI, "YES") }
record(stringout, "$(P)text") { field(VAL, "hello") field(PINI, "YES") }
record(waveform, "$(P)wave") { field(FTVL, "DOUBLE") field(NELM, "10000") }
"""


@dataclass(frozen=True)
class Sample:
    """The process at one moment; `objects` are those that the garbage collector knows of."""

    moment: float
    memory: int
    descriptors: int
    threads: int
    objects: int
    circuits: int
    channels: int

    @classmethod
    def of(cls, context: Context, began: float) -> Sample:
        gc.collect()
        report = context.report()
        return cls(
            time.monotonic() - began,
            resident(),
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(gc.get_objects()),
            len(report.circuits),
            sum(report.channels.values()),
        )

    def __str__(self) -> str:
        return (
            f"{self.moment:6.0f} s {self.memory / 1e6:7.1f} MB {self.objects:7d} objects "
            f"{self.descriptors:4d} descriptors "
            f"{self.threads:3d} threads {self.circuits:2d} circuits {self.channels:5d} channels"
        )


@dataclass
class Outcome:
    """What became of a run; `wrong` must be empty."""

    samples: list[Sample] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Bytes an hour, over the second half."""
        late = self.samples[len(self.samples) // 2 :]
        if len(late) < 3:
            return 0.0
        slope = np.polyfit([each.moment for each in late], [each.memory for each in late], 1)[0]
        return float(slope) * 3600.0

    def __str__(self) -> str:
        return (
            f"{sum(self.done.values())} calls: {dict(self.done.most_common())}\n{self.restarts} restarts, "
            f"memory grows by {self.growth / 1e6:.1f} MB an hour\nwrong: {self.wrong or 'nothing'}"
        )


def run(
    seconds: float,
    folder: Path,
    *,
    restart_every: float = 120.0,
    sample_every: float = 10.0,
    show: Callable[[Sample], object] = lambda sample: None,
    seed: int = 1,
) -> Outcome:
    """Work for that long."""
    outcome = Outcome()
    records = folder / "mixed.db"
    records.write_text("".join(_RECORD.format(number=number) for number in range(1000)) + _OTHERS)
    with SoftIoc("m:", records=(records,), ready_name="ao", access=None) as ioc, _environment(ioc), logged() as lines:
        context = default_context()
        told: Counter[str] = Counter()
        lasting = [context.pv(f"m:n:{number}") for number in range(LASTING)]
        subscriptions = [pv.subscribe(lambda reading: told.update((reading.pvname,))) for pv in lasting]
        eventually(lambda: len(told) == LASTING, _PATIENCE)
        over = threading.Event()
        workers = [
            threading.Thread(
                target=_work, args=(context, random.Random(seed + number), over, outcome), name=f"soak-{number}"
            )
            for number in range(WORKERS)
        ]
        caget_many(_SHARED, timeout=_PATIENCE)
        before = Sample.of(context, time.monotonic())
        began = time.monotonic()
        for worker in workers:
            worker.start()
        next_restart, next_sample = began + restart_every, began + sample_every
        while time.monotonic() < began + seconds:
            over.wait(max(0.0, min(next_restart, next_sample) - time.monotonic()))
            if time.monotonic() >= next_restart:
                ioc.restart()
                outcome.restarts += 1
                next_restart += restart_every
            if time.monotonic() >= next_sample:
                outcome.samples.append(Sample.of(context, began))
                show(outcome.samples[-1])
                next_sample += sample_every
        over.set()
        for worker in workers:
            worker.join(_PATIENCE)
            if worker.is_alive():
                outcome.wrong.append(f"{worker.name} hangs")
        told.clear()
        _settle(context, outcome, before, told)
        outcome.samples.append(Sample.of(context, began))
        show(outcome.samples[-1])
        for subscription in subscriptions:
            subscription.close()
        for pv in lasting:
            pv.close()
    outcome.wrong += [line for line in lines if "internal error" in line][:5]
    return outcome


def _settle(context: Context, outcome: Outcome, before: Sample, told: Counter[str]) -> None:
    """Once nobody works any more there is what there was before, and every lasting PV is alive."""
    try:
        eventually(lambda: len(told) == LASTING, _PATIENCE)
    except AssertionError:
        outcome.wrong.append(f"{LASTING - len(told)} of {LASTING} lasting PVs are not told any more")
    spare = {"channels": 0, "circuits": 0, "descriptors": 2, "threads": 8, "objects": 10_000}

    def left() -> list[str]:
        now = Sample.of(context, 0.0)
        counts = [(what, getattr(now, what), getattr(before, what)) for what in spare]
        return [f"{has} {what} are left of {had}" for what, has, had in counts if has > had + spare[what]]

    deadline = time.monotonic() + _PATIENCE
    while (more := left()) and time.monotonic() < deadline:
        threading.Event().wait(0.5)
    outcome.wrong += more


@contextmanager
def _environment(ioc: SoftIoc) -> Iterator[None]:
    """The default context sees this IOC only."""
    before = {key: value for key, value in os.environ.items() if key.startswith("EPICS_")}
    os.environ.update(ioc.client_environment())
    yield
    for key in ioc.client_environment():
        os.environ.pop(key)
    os.environ.update(before)


def _work(context: Context, dice: random.Random, over: threading.Event, outcome: Outcome) -> None:
    """One thing after the other; whatever an outage makes of it, it must be a CAError in time."""
    things = (_read, _write, _watch, _break_off, _read_many, _connect_many, _ask_for_nobody, _drop, _array)
    while not over.is_set():
        thing = dice.choice(things)
        began = time.monotonic()
        name = thing.__name__[1:]
        try:
            thing(context, dice)
        except CAError as error:
            name = type(error).__name__
        except Exception as error:
            outcome.wrong.append(f"{name}: {error!r}")
        outcome.done[name] += 1
        if time.monotonic() - began > LONGEST:
            outcome.wrong.append(f"{name} took {time.monotonic() - began:.1f} s")
        over.wait(0.01)


def _some(dice: random.Random, number: int) -> list[str]:
    return [f"m:n:{index}" for index in dice.sample(range(LASTING + len(_SHARED), 1000), number)]


def _read(context: Context, dice: random.Random) -> None:
    pv = context.pv(_some(dice, 1)[0])
    try:
        pv.get(timeout=1.0)
        pv.get(use_monitor=False, timeout=1.0)
    finally:
        pv.close()


def _write(context: Context, dice: random.Random) -> None:
    pv = context.pv(dice.choice(("m:ao", "m:mbbo")))
    try:
        pv.put(dice.randrange(2), wait=dice.random() < 0.5, timeout=1.0)
    finally:
        pv.close()


def _watch(context: Context, dice: random.Random) -> None:
    came = threading.Event()
    pv = context.pv(_some(dice, 1)[0])
    subscription = pv.subscribe(lambda _reading: came.set())
    came.wait(1.0)
    if dice.random() < 0.5:
        subscription.close()
    pv.close()


def _break_off(context: Context, dice: random.Random) -> None:
    pv = context.pv(_some(dice, 1)[0])
    try:
        for _ in islice(pv.updates(timeout=1.0), dice.choice((1, 1, 2))):
            pass
    finally:
        pv.close()


def _read_many(_context: Context, _dice: random.Random) -> None:
    caget_many(_SHARED, timeout=1.0, raises=False)


def _connect_many(context: Context, dice: random.Random) -> None:
    pvs = [context.pv(name) for name in _some(dice, 50)]
    connect_all(pvs, timeout=1.0)
    for pv in pvs:
        pv.close()


def _ask_for_nobody(context: Context, dice: random.Random) -> None:
    pv = context.pv(f"m:nobody:{dice.randrange(1000)}")
    try:
        pv.get(timeout=0.05)
    finally:
        pv.close()


def _drop(context: Context, dice: random.Random) -> None:
    """Nobody says that it is over."""
    pv: Any = context.pv(_some(dice, 1)[0])
    pv.get(timeout=1.0)


def _array(context: Context, dice: random.Random) -> None:
    pv = context.pv("m:wave")
    try:
        pv.put(np.arange(float(dice.randrange(1, 10_000))), wait=True, timeout=1.0)
        pv.get(use_monitor=False, timeout=1.0)
    finally:
        pv.close()
