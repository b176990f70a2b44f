"""Threads that do everything at once: nothing may fail, and when they have gone nothing of theirs may be left.

Each takes what it does at random from all that users do: names and PVs, values and metadata, callbacks in both forms,
iterators, waits, puts that are begun, many at once, snapshots, ``why``, contexts of its own.
"""

from __future__ import annotations

import gc
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

import caclient
from caclient import PV, Config, Context
from caclient.ioc import IOC, Record
from tests.resilience.watching import eventually, logged

PVS = 60
LIMIT = 30.0
"""Seconds that any call may take: nothing is ever in its way but the others."""


@dataclass
class Outcome:
    """What became of a run; `wrong` must be empty."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{sum(self.done.values())} calls: {dict(self.done.most_common())}\nwrong: {self.wrong or 'nothing'}"


def records() -> list[Record]:
    """What is done things to."""
    return [
        *(Record(f"n{number}", 0.0, units="mm", precision=3, display=(-10.0, 10.0)) for number in range(PVS)),
        *(Record(f"busy{number}", 0) for number in range(PVS)),
        Record("state", 0, enum_strings=("Idle", "Moving")),
        Record("text", "words"),
        Record("wave", np.zeros(1000)),
    ]


class Member(threading.Thread):
    """One of the crowd."""

    def __init__(self, number: int, context: Context, config: Config, over: threading.Event, outcome: Outcome) -> None:
        super().__init__(name=f"crowd-{number}")
        self.number = number
        self.context = context
        self._config = config
        self._over = over
        self._outcome = outcome
        self.dice = random.Random(number)

    def run(self) -> None:
        """Do one thing after the other."""
        done: Counter[str] = Counter()
        things: list[Callable[[Member], Any]] = list(THINGS)
        while not self._over.is_set():
            thing = self.dice.choice(things)
            try:
                thing(self)
            except Exception as error:
                self._outcome.wrong.append(f"{thing.__name__}: {type(error).__name__}: {error}")
            done[thing.__name__] += 1
        self._outcome.done.update(done)

    def name_of_one(self) -> str:
        """A number that anybody may write."""
        return f"n{self.dice.randrange(PVS)}"

    def pv(self, name: str | None = None, **options: Any) -> PV:
        """A PV of the context that all share."""
        return self.context.pv(name or self.name_of_one(), timeout=LIMIT, **options)

    def own(self) -> str:
        """A number that only this thread writes."""
        return f"busy{self.number}"


def get(member: Member) -> None:
    with member.pv() as pv:
        assert isinstance(pv.get(), float)
        assert isinstance(pv.get(use_monitor=False), float)
        assert pv.get(as_string=True)


def read(member: Member) -> None:
    with member.pv() as pv:
        reading = pv.read()
        assert reading.units == "mm"
        assert pv.precision == 3
        assert pv.describe().to_dict()


def by_name(member: Member) -> None:
    name, context = member.name_of_one(), member.context
    caclient.caput(name, member.dice.random(), wait=True, timeout=LIMIT, context=context)
    assert isinstance(caclient.caget(name, timeout=LIMIT, context=context), float)
    assert caclient.cainfo(name, timeout=LIMIT, context=context)


def put(member: Member) -> None:
    with member.pv(member.own()) as pv:
        value = member.dice.randrange(1000)
        pv.put(value, wait=True, timeout=LIMIT)
        assert pv.get() == value


def state(member: Member) -> None:
    with member.pv("state") as pv:
        pv.put(member.dice.choice(("Idle", "Moving")))
        assert pv.get(as_string=True) in ("Idle", "Moving")


def array(member: Member) -> None:
    with member.pv("wave") as pv:
        pv.put(np.full(1000, float(member.number)), wait=True, timeout=LIMIT)
        values = pv.get(use_monitor=False)
        assert len(values) == 1000
        assert len(set(values.tolist())) == 1


def subscribe(member: Member) -> None:
    came = threading.Event()
    with member.pv() as pv, pv.subscribe(lambda _reading: came.set(), max_rate=member.dice.choice((None, 10.0))):
        assert came.wait(LIMIT)


def keep_nothing(member: Member) -> None:
    """The PV's end is the end of all that came from it."""
    came = threading.Event()
    pv = member.pv(connection_callback=lambda **_: None)
    pv.subscribe(lambda _reading: None)
    pv.add_callback(lambda **_: came.set(), run_now=True)
    assert came.wait(LIMIT)
    pv.close()


def iterate(member: Member) -> None:
    with member.pv() as pv:
        assert len(list(islice(pv.updates(timeout=LIMIT), 1))) == 1


def drop(member: Member) -> None:
    """Nobody says that it is over."""
    assert isinstance(member.pv().get(), float)


def wait_for(member: Member) -> None:
    with member.pv(member.own()) as pv:
        pv.put(7)
        assert pv.wait_for(7, timeout=LIMIT) == 7


def expect(member: Member) -> None:
    with member.pv(member.own()) as pv:
        pv.put(0, wait=True, timeout=LIMIT)
        with pv.expect(1, timeout=LIMIT) as seen:
            pv.put(1)
            pv.put(0)
        assert seen.reading == 1


def put_and_wait(member: Member) -> None:
    with member.pv(member.own()) as pv:
        value = member.dice.randrange(1000)
        assert pv.put_and_wait(value, timeout=LIMIT) == value


def begin_put(member: Member) -> None:
    with member.pv(member.own()) as pv:
        begun = [pv.begin_put(number) for number in range(5)]
        for each in begun:
            each.result(LIMIT)
        assert pv.get() == 4


def many(member: Member) -> None:
    names, context = [f"n{number}" for number in range(PVS)], member.context
    assert len(caclient.connect_all(names, timeout=LIMIT, context=context)) == PVS
    assert len(caclient.caget_many(names, timeout=LIMIT, context=context)) == PVS
    caclient.caput_many(names, member.dice.random(), wait=True, timeout=LIMIT, context=context)


def keep(member: Member) -> None:
    names, context = [member.own(), member.name_of_one()], member.context
    with caclient.restore_on_exit(names, timeout=LIMIT, context=context) as before:
        caclient.caput(member.own(), 5, wait=True, timeout=LIMIT, context=context)
    assert caclient.caget(member.own(), timeout=LIMIT, context=context) == before[member.own()].value


def ask_why(member: Member) -> None:
    with member.pv() as pv:
        pv.get()
        assert pv.why().cause is caclient.Cause.HEALTHY
    assert member.context.report().to_dict()
    assert repr(caclient.subscriptions())


def look(member: Member) -> None:
    with member.pv(member.dice.choice(("n1", "state", "text", "wave"))) as pv:
        assert pv._repr_html_()
        assert pv.get() is not None


def another_context(member: Member) -> None:
    with Context(member._config) as context, context.pv("text", timeout=LIMIT) as pv:
        assert pv.get() == "words"


THINGS = (
    get, read, by_name, put, state, array, subscribe, keep_nothing, iterate, drop, wait_for, expect, put_and_wait,
    begin_put, many, keep, ask_why, look, another_context,
)  # fmt: skip


def run(seconds: float, threads: int = 32) -> Outcome:
    """Everything, in so many threads, for that long; then look at what is left."""
    outcome = Outcome()
    with IOC(records(), Config.isolated()) as ioc, logged() as lines:
        seen = ioc.client_config()
        before = threading.active_count(), _descriptors()
        with Context(seen) as context:
            over = threading.Event()
            crowd = [Member(number, context, seen, over, outcome) for number in range(threads)]
            for member in crowd:
                member.start()
            over.wait(seconds)
            over.set()
            for member in crowd:
                member.join(LIMIT + 10.0)
            outcome.wrong += [f"{member.name} hangs" for member in crowd if member.is_alive()]
            _settle(outcome, "subscriptions", lambda: len(caclient.subscriptions()))
            _settle(outcome, "updates in queues", lambda: context.report().pending)
        _settle(outcome, "channels on the wire", ioc.channel_count)
        _settle(outcome, "subscriptions on the wire", ioc.subscription_count)
        _settle(outcome, "connections", ioc.connection_count)
        _settle(outcome, "threads more", lambda: threading.active_count() - before[0])
        _settle(outcome, "descriptors more", lambda: _descriptors() - before[1])
    outcome.wrong += lines[:5]
    return outcome


def _settle(outcome: Outcome, what: str, left: Callable[[], int]) -> None:
    """Soon there are none any more."""

    def none() -> bool:
        gc.collect()
        return left() <= 0

    try:
        eventually(none, LIMIT)
    except AssertionError:
        outcome.wrong.append(f"{left()} {what} are left")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
