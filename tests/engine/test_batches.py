"""Batches: walked in order by one worker, taken off those that block, and nothing lost or done twice."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest
from hypothesis import given, settings, strategies as st

from caclient.engine import batches as module
from caclient.engine.batches import Batches
from caclient.engine.loop import Loop
from tests.engine.peers import PATIENCE, until


@pytest.fixture
def batches(loop):
    made = Batches(loop)
    yield made
    made.close()
    assert made.join(PATIENCE)


class Queue:
    """A turn: numbers in order, each given to a function."""

    def __init__(self, batches, call):
        self.batches = batches
        self.call = call
        self.gate = threading.Lock()
        self.scheduled = False
        self.items = deque()
        self.done = []
        self.serving = 0
        self.most = 0

    def put(self, item):
        self.items.append(item)
        if not self.scheduled:
            self.batches.schedule(self)

    def waits(self):
        return bool(self.items)

    def serve(self, over):
        self.serving += 1
        self.most = max(self.most, self.serving)
        while self.items:
            item = self.items.popleft()
            self.call(item)
            self.done.append(item)
            if time.monotonic() > over:
                break
        self.serving -= 1


def receive(batches, puts):
    """What a reader does: all that one receive brings goes into one batch."""
    batches.collect()
    for queue, item in puts:
        queue.put(item)
    batches.dispatch()


def test_what_one_receive_brings_is_one_batch_and_served_in_order(batches, loop):
    order, gate = [], threading.Event()
    queues = [Queue(batches, order.append) for _ in range(5)]
    first = Queue(batches, lambda _: gate.wait(PATIENCE))
    receive(batches, [(first, 0), *((queue, number) for number, queue in enumerate(queues)), (queues[0], 9)])
    gate.set()
    until(loop, lambda: len(order) == 6)
    assert order == [0, 9, 1, 2, 3, 4]
    assert batches.depth() == (0, 1)


def test_outside_a_receive_a_turn_is_served_at_once(batches, loop):
    queue = Queue(batches, lambda _: None)
    queue.put(1)
    until(loop, lambda: queue.done == [1])
    batches.dispatch()  # of a thread that does not collect


def test_of_a_callback_that_blocks_the_rest_of_the_batch_is_taken_off(batches, loop):
    stuck, order = threading.Event(), []
    blocked = Queue(batches, lambda _: stuck.wait(PATIENCE))
    others = [Queue(batches, order.append) for _ in range(100)]
    started = time.monotonic()
    receive(batches, [(blocked, 0), *((queue, number) for number, queue in enumerate(others))])
    until(loop, lambda: len(order) == 100)
    assert time.monotonic() - started < PATIENCE / 2
    assert order == list(range(100))
    receive(batches, [(blocked, 1), (others[0], 100)])
    until(loop, lambda: len(order) == 101)
    assert blocked.done == [], "it waits in its own queue"
    stuck.set()
    until(loop, lambda: blocked.done == [0, 1])
    assert blocked.most == 1


def test_of_a_callback_that_says_so_it_is_taken_off_at_once(batches, loop, monkeypatch):
    monkeypatch.setattr(module, "_SUSPICION", 1e6)
    stuck, order = threading.Event(), []

    def wait(_):
        with batches.blocking():
            stuck.wait(PATIENCE)

    receive(batches, [(Queue(batches, wait), 0), *((Queue(batches, order.append), number) for number in range(10))])
    until(loop, lambda: order == list(range(10)))
    stuck.set()


def test_a_callback_that_waits_and_then_blocks_elsewhere_holds_nobody_up(batches, loop):
    stuck, order = threading.Event(), []

    def wait(_):
        with batches.blocking():
            pass
        stuck.wait(PATIENCE)

    receive(batches, [(Queue(batches, wait), 0), (Queue(batches, order.append), 1)])
    until(loop, lambda: order == [1])
    receive(batches, [(Queue(batches, order.append), 2)])
    until(loop, lambda: order == [1, 2])
    stuck.set()


def test_a_turn_with_much_to_do_lets_the_others_pass(batches, loop, monkeypatch):
    monkeypatch.setattr(module, "SLICE", 0.0)
    order, gate = [], threading.Event()
    first = Queue(batches, lambda _: gate.wait(PATIENCE))
    much, other = Queue(batches, order.append), Queue(batches, order.append)
    receive(batches, [(first, 0), (much, 1), (much, 2), (much, 3), (other, "other")])
    gate.set()
    until(loop, lambda: len(order) == 4)
    assert order == [1, "other", 2, 3]


def test_workers_that_are_not_needed_are_not_woken_and_leave(batches, loop, monkeypatch):
    """After a slow moment: as many threads as callbacks stayed, and each burst woke them all."""
    monkeypatch.setattr(module, "_IDLE", 0.05)
    slow, seen = threading.Event(), set()

    def call(_):
        slow.wait(PATIENCE)
        seen.add(threading.get_ident())

    queues = [Queue(batches, call) for _ in range(60)]
    receive(batches, [(queue, 0) for queue in queues])
    until(loop, lambda: batches.depth()[1] > 8)
    slow.set()
    until(loop, lambda: all(queue.done for queue in queues))
    until(loop, lambda: batches._active == 0)
    seen.clear()
    for number in range(50):
        receive(batches, [(queue, number) for queue in queues])
        until(loop, lambda number=number: all(queue.done[-1] == number for queue in queues))
    assert len(seen) <= 2
    until(loop, lambda: batches.depth()[1] == 1)


def test_there_is_a_bound(batches, loop, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 5)
    stuck = threading.Event()
    queues = [Queue(batches, lambda _: stuck.wait(PATIENCE)) for _ in range(30)]
    receive(batches, [(queue, 0) for queue in queues])
    until(loop, lambda: batches.depth()[1] == 5)
    for _ in range(5):
        loop.call_soon(batches._look)
        with batches.blocking():
            assert batches.depth()[1] <= 5
    stuck.set()
    until(loop, lambda: all(queue.done for queue in queues))


def test_a_turn_that_raises_is_told_and_served_again(batches, loop, errors):
    class Broken(Queue):
        def serve(self, over):
            self.items.clear()
            raise ValueError("a bug")

    broken = Broken(batches, print)
    broken.put(1)
    until(loop, lambda: errors)
    assert str(errors.pop()) == "a bug"
    broken.put(2)
    until(loop, lambda: errors)
    assert str(errors.pop()) == "a bug"


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_whatever_blocks_each_gets_all_of_its_own_in_order(data):
    """Callbacks that block, say that they wait, or compute, at random; several readers."""
    what = data.draw(st.lists(st.sampled_from(["none", "block", "wait", "compute"]), min_size=3, max_size=12))
    rounds = data.draw(st.integers(2, 12))
    errors = []
    loop = Loop(errors.append)
    loop.start()
    batches = Batches(loop)
    hold = threading.Event()
    queues = []

    def behave(kind):
        def call(item):
            if item != 1:
                return
            if kind == "block":
                hold.wait(PATIENCE)
            elif kind == "wait":
                with batches.blocking():
                    hold.wait(PATIENCE)
            elif kind == "compute":
                over = time.monotonic() + 0.06
                while time.monotonic() < over:
                    pass

        return call

    try:
        queues = [Queue(batches, behave(kind)) for kind in what]

        def read(own):
            for number in range(rounds):
                receive(batches, [(queue, number) for queue in own])

        readers = [threading.Thread(target=read, args=(queues[number::2],)) for number in range(2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(PATIENCE)
        free = [queue for queue, kind in zip(queues, what, strict=True) if kind in ("none", "compute")]
        until(loop, lambda: all(len(queue.done) == rounds for queue in free))
        hold.set()
        until(loop, lambda: all(len(queue.done) == rounds for queue in queues))
        assert all(queue.done == list(range(rounds)) for queue in queues)
        assert all(queue.most == 1 for queue in queues)
    finally:
        hold.set()
        batches.close()
        assert batches.join(PATIENCE)
        loop.stop(PATIENCE)
    assert errors == []
