"""What waits in all queues of a home, and who gives when it is too much."""

from __future__ import annotations

import threading

from caclient.client.budget import Budget
from caclient.client.feed import READING, Feed
from caclient.client.monitor import Monitor
from caclient.dbr import Reading
from tests.recorder import PATIENCE
from tests.resilience.watching import eventually


def feeds_of(pv) -> list[Feed]:
    return [sink for each in pv.channel.dependents if isinstance(each, Monitor) for sink in each.sinks]


def test_who_was_served_longest_ago_gives_the_older_half_until_it_is_enough(pair):
    _, pv = pair
    gate, started = threading.Event(), threading.Event()

    def block(_: Reading) -> None:
        started.set()
        gate.wait(PATIENCE)

    with pv.subscribe(block) as stuck, pv.updates() as iterator:
        assert started.wait(PATIENCE)
        eventually(lambda: len(feeds_of(pv)) == 2 and iterator.pending == 1)
        feeds = sorted(feeds_of(pv), key=lambda feed: feed.pending)
        for feed, served_at in zip(feeds, (1.0, 2.0), strict=True):
            feed.served_at = served_at
            for number in range(1000):
                feed.one(Reading(float(number)))
        budget = Budget(1100 * READING, lambda: [pv.channel])
        budget.look()
        assert (stuck.dropped, iterator.dropped) == (937, 0)  # 500, 250, 125, 62
        budget = Budget(400 * READING, lambda: [pv.channel])
        budget.look()
        assert stuck.pending == 1
        assert iterator.pending + iterator.dropped == 1001
        assert iterator.pending < 400
        assert stuck.thinned and iterator.thinned
        gate.set()
        eventually(lambda: stuck.pending == 0)


def test_what_may_come_until_the_next_look_follows_from_what_is_left(pair):
    _, pv = pair
    assert Budget(600_000_000, lambda: [pv.channel]).look() == 100_000_000
    assert Budget(1000, lambda: [pv.channel]).look() == 1024 * 1024


def test_one_thread_looks_at_a_time(pair):
    _, pv = pair
    looks = []

    def channels():
        looks.append(budget.look())  # as a finalizer may, that runs meanwhile
        return [pv.channel]

    budget = Budget(600_000_000, channels)
    assert budget.look() == 100_000_000
    assert looks == [1024 * 1024]
