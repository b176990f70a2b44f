"""Any number of makes, subscribes, breaks, closes and drops, in any order: what is left is what somebody wants."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from caclient import PV, Context
from caclient.client.channel import Channel
from tests.faults import FaultServer
from tests.leftovers import Snapshot
from tests.resilience.watching import eventually

NAMES = 40
STEPS = 10_000
WORKERS = 8
"""Threads for callbacks at the most, of which none blocks."""


class Live:
    """What one thread of a program holds at the moment, and what it does next."""

    def __init__(self, context: Context, seed: int) -> None:
        self._context = context
        self._random = random.Random(seed)
        self.pvs: list[PV] = []
        self.subscriptions: list[Any] = []
        self.iterators: list[tuple[PV, Any]] = []
        self.noisy: list[PV] = []
        """Those with callbacks, which live until they are closed."""
        self.calls = self.taken = 0
        self._moves: dict[Callable[[], None], int] = {
            self.make: 30,
            self.make_on_demand: 5,
            self.make_with_callbacks: 5,
            self.subscribe: 15,
            self.take_one_and_break: 10,
            self.iterate: 5,
            self.put: 5,
            self.ask: 5,
            self.unsubscribe: 10,
            self.close: 15,
            self.drop: 10,
            self.drop_in_a_circle: 5,
            self.stop_iterating: 4,
            self.share: 2,
        }

    def live(self, steps: int) -> None:
        """So many moves."""
        moves = self._random.choices(list(self._moves), list(self._moves.values()), k=steps)
        for move in moves:
            move()
            while len(self.pvs) > 60:
                self.close()

    def wanted(self) -> tuple[set[str], set[str]]:
        """The names that are to be connected, and those that are to be monitored."""
        holders = [*self.pvs, *(subscription.pv for subscription in self.subscriptions)]
        holders += [pv for pv, _ in self.iterators]
        monitored = {pv.pvname for pv in holders if pv.auto_monitor is not False}
        monitored |= {subscription.pv.pvname for subscription in self.subscriptions}
        monitored |= {pv.pvname for pv, _ in self.iterators}
        return {pv.pvname for pv in holders}, monitored

    def _pv(self, **how: Any) -> PV:
        pv = self._context.pv(f"x{self._random.randrange(NAMES)}", **how)
        self.pvs.append(pv)
        return pv

    def _any(self) -> PV:
        return self._random.choice(self.pvs) if self.pvs else self._pv()

    def _called(self, *_arguments: Any, **_keywords: Any) -> None:
        self.calls += 1

    def make(self) -> None:
        self._pv()

    def make_on_demand(self) -> None:
        self._pv(auto_monitor=False)

    def make_with_callbacks(self) -> None:
        self.noisy.append(self._pv(connection_callback=self._called))

    def subscribe(self) -> None:
        self.subscriptions.append(self._any().subscribe(self._called))

    def take_one_and_break(self) -> None:
        pv = self._any()
        if pv.connected:
            for _ in pv.updates(timeout=20):
                self.taken += 1
                break

    def iterate(self) -> None:
        pv = self._any()
        self.iterators.append((pv, pv.updates()))

    def put(self) -> None:
        pv = self._any()
        if pv.connected:
            try:
                pv.put(self._random.random())
            except ConnectionError:
                pass  # the server has just been cut off

    def ask(self) -> None:
        """Wait for the server, so that the others have their turn."""
        try:
            self._any().get(timeout=20, use_monitor=False)
        except ConnectionError:
            pass  # the server has just been cut off

    def unsubscribe(self) -> None:
        if self.subscriptions:
            self.subscriptions.pop(self._random.randrange(len(self.subscriptions))).close()

    def close(self) -> None:
        """Close a PV: what came from it ends with it."""
        if self.pvs:
            self._ended(self.pvs.pop(self._random.randrange(len(self.pvs))))

    def _ended(self, pv: PV) -> None:
        pv.close()
        self.noisy = [other for other in self.noisy if other is not pv]
        self.subscriptions = [each for each in self.subscriptions if each.pv is not pv]
        self.iterators = [(other, each) for other, each in self.iterators if other is not pv]

    def drop(self) -> None:
        """Forget a PV that has no callbacks; its subscriptions go on, and hold it."""
        places = [place for place, pv in enumerate(self.pvs) if pv not in self.noisy]
        if places:
            del self.pvs[self._random.choice(places)]

    def drop_in_a_circle(self) -> None:
        """A device that knows itself, as all do: only gc finds it."""
        device: dict[str, Any] = {"pv": self._context.pv(f"x{self._random.randrange(NAMES)}")}
        device["me"] = device

    def stop_iterating(self) -> None:
        if self.iterators:
            self.iterators.pop(self._random.randrange(len(self.iterators)))

    def share(self) -> None:
        self._context.shared_pv(f"x{self._random.randrange(NAMES)}")

    def end(self) -> None:
        """Want nothing any more."""
        for pv in list(self.pvs):
            self._ended(pv)
        self.pvs.clear()
        for subscription in self.subscriptions:
            subscription.close()
        self.subscriptions.clear()
        self.iterators.clear()


def churn(context: Context, server: FaultServer, lives: list[Live], steps: int) -> None:
    """Two threads do as they like, and twice the server cuts all off: more often, and it would be left alone longer."""
    for turn in range(10):
        threads = [threading.Thread(target=life.live, args=(steps // 20,)) for life in lives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if turn in (3, 6):
            server.drop_clients()
    assert all(life.taken > steps // 100 for life in lives)
    shared = set(context._shared._kept)

    def there() -> tuple[int, int, int]:
        gc.collect()
        runtime = context._home.runtime
        channels = [each for each in gc.get_objects() if type(each) is Channel and each.runtime is runtime]
        return len(channels), server.channels, server.subscriptions

    def wanted() -> tuple[int, int, int]:
        names, monitored = (shared.union(*sets) for sets in zip(*(life.wanted() for life in lives), strict=True))
        return len(names), len(names), len(monitored)

    eventually(lambda: there() == wanted())


@pytest.mark.parametrize("steps", [STEPS, pytest.param(10 * STEPS, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_what_is_left_is_what_somebody_wants(steps: int) -> None:
    before = Snapshot.now()
    with FaultServer({f"x{number}": float(number) for number in range(NAMES)}) as server:
        context = Context(server.client_config())
        home, lives = context._home, [Live(context, seed) for seed in (1, 2)]
        churn(context, server, lives, steps)
        for life in lives:
            life.end()
        context._shared._kept.clear()
        gc.collect()
        server.wait_until(lambda: (server.channels, server.subscriptions) == (0, 0))
        eventually(lambda: home.names.all() == [])
        assert context.report().workers <= WORKERS
        del context, lives, life
        gc.collect()
        eventually(lambda: home.runtime.closed and not home.runtime.loop.thread.is_alive())
    assert before.left_behind() == []
