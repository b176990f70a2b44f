"""The calendar and the queues of a search schedule."""

from __future__ import annotations

from math import inf

from caclient.protocol.budgets import TokenBucket, Window
from caclient.protocol.queues import NOWHERE, Calendar, Queue, SearchName


def names(count, size=32):
    return [SearchName(cid, f"n{cid}", bytes(size)) for cid in range(count)]


def file(calendar, moment, *filed):
    for name in filed:
        name.home = moment
        calendar.slot(moment).append(name)


def settled(name):
    name.home = NOWHERE
    return name


class TestCalendar:
    def test_empty(self):
        calendar = Calendar()
        assert calendar.next_due() == inf
        assert list(calendar.pop_due(1e9)) == []

    def test_gives_what_is_due_in_its_order(self):
        calendar = Calendar()
        a, b, c = names(3)
        file(calendar, 2.0, a)
        file(calendar, 1.0, b)
        file(calendar, 3.0, c)
        assert calendar.next_due() == 1.0
        assert list(calendar.pop_due(2.0)) == [b, a]
        assert calendar.next_due() == 3.0

    def test_skips_what_has_moved(self):
        calendar = Calendar()
        a, b = names(2)
        file(calendar, 1.0, a, b)
        a.home = NOWHERE
        assert list(calendar.pop_due(1.0)) == [b]

    def test_gives_a_name_once_that_left_and_came_back(self):
        calendar = Calendar()
        (a,) = names(1)
        file(calendar, 1.0, a, a)
        assert [settled(name) for name in calendar.pop_due(1.0)] == [a]
        file(calendar, 2.0, a, a)
        assert calendar.pop_after(1.0) == [a]

    def test_pop_after_leaves_the_earlier_ones(self):
        calendar = Calendar()
        a, b, c, d = names(4)
        for moment, name in [(4.0, a), (1.0, b), (3.0, c), (2.0, d)]:
            file(calendar, moment, name)
        c.home = NOWHERE
        assert calendar.pop_after(2.0) == [a]
        assert list(calendar.pop_due(inf)) == [b, d]

    def test_sweep_drops_what_has_moved(self):
        calendar = Calendar()
        a, b, c = names(3)
        file(calendar, 1.0, a)
        file(calendar, 2.0, b, c)
        a.home = b.home = NOWHERE
        calendar.sweep()
        assert calendar.next_due() == 2.0
        assert calendar.slot(2.0) == [c]


class TestQueue:
    def queue(self, **options):
        return Queue(-2.0, TokenBucket(rate=10.0, burst=2), room=100, **options)

    def test_empty(self):
        queue = self.queue()
        assert queue.next_due() == inf
        assert queue.take(0.0) == []

    def test_packs_datagrams_in_order_as_far_as_the_budget_goes(self):
        queue = self.queue()
        waiting = names(8)
        for name in waiting:
            queue.append(name, 0.0)
        assert queue.next_due() == 0.0
        assert queue.take(0.0) == waiting[:3]
        assert queue.take(0.0) == waiting[3:6]
        assert queue.take(0.0) == []
        assert queue.load == 64
        assert 0.1 <= queue.next_due() <= 0.11
        assert queue.take(0.11) == waiting[6:]

    def test_skips_what_was_forgotten(self):
        queue = self.queue()
        a, b, c = names(3)
        for name in (a, b, c):
            queue.append(name, 0.0)
        queue.forget(b)
        assert queue.take(0.0) == [a, c]
        assert queue.load == 0

    def test_only_stale_mentions_are_nothing_to_send(self):
        queue = self.queue()
        a, b = names(2)
        queue.append(a, 0.0)
        queue.forget(a)
        assert queue.next_due() == inf
        queue.append(b, 1.0)
        assert len(queue) == 1

    def test_sweep_drops_stale_and_double_mentions(self):
        queue = self.queue()
        a, b, c = names(3)
        for name in (a, b, c):
            queue.append(name, 0.0)
        queue.forget(a)
        queue.forget(b)
        queue.append(b, 0.0)
        queue.sweep()
        assert len(queue) == 2
        assert queue.take(0.0) == [b, c]

    def test_a_name_that_left_and_came_back_is_sent_once(self):
        queue = self.queue()
        a, b = names(2)
        queue.append(a, 0.0)
        queue.append(b, 0.0)
        queue.forget(a)
        queue.append(a, 0.0)
        assert queue.take(0.0) == [a, b]

    def test_what_is_not_full_waits_for_company_while_others_are_under_way(self):
        window = Window()
        queue = Queue(-2.0, window, room=100, gather=0.002)
        a, b, *more = names(6)
        queue.append(a, 1.0)
        assert queue.take(1.0) == [a]  # nothing under way
        queue.append(b, 1.001)
        assert queue.next_due() == 1.001 + 0.002
        assert queue.take(1.002) == []
        for name in more:
            queue.append(name, 1.002)
        assert queue.take(1.002) == [b, *more[:2]]  # full
        assert queue.take(1.002) == []
        assert queue.take(1.004) == more[2:]

    def test_in_a_backlog_every_other_datagram_takes_the_latest(self):
        queue = Queue(-2.0, Window(), room=64, fair=True)
        waiting = names(7)
        for name in waiting:
            queue.append(name, 0.0)
        a, b, c, d, e, f, g = waiting
        assert [queue.take(0.0) for _ in range(4)] == [[a, b], [g, f], [c, d], [e]]
