"""Feeds: in order, bounded in bytes and in number, everything that is missing counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from caclient import ChannelType, Reading
from caclient.client.feed import PIECE, READING, Feed, Stretch, owned
from caclient.client.shape import Shape
from caclient.dbr.decode import run_dtype

DOUBLE = Shape(ChannelType.DOUBLE, 1)


def rows_of(count: int, first: float = 0.0) -> Any:
    rows = np.zeros(count, run_dtype(ChannelType.TIME_DOUBLE))
    rows["value"] = np.arange(first, first + count)
    return rows


def drain(feed: Feed) -> list[Any]:
    """All values that wait, taken as a worker would."""
    values = []
    while feed._items:
        item = feed._items.popleft()
        while type(item) is Stretch and len(item):
            values += [reading.value for reading in item.take(PIECE)]
        if type(item) is not Stretch:
            values.append(item.value)
    return values


def put(feed: Feed, item: int | tuple[int, int]) -> None:
    if isinstance(item, tuple):
        feed.rows(ChannelType.TIME_DOUBLE, rows_of(item[1], item[0]), DOUBLE)
    else:
        feed.one(Reading(float(item)))


def test_readings_and_rows_in_order():
    feed = Feed()
    for item in (0, (1, 1000), 1001, (1002, 8), 1010):
        put(feed, item)
    assert feed.pending == 1011
    assert drain(feed) == list(range(1011))
    assert (feed.pending, feed.dropped) == (0, 0)


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 400))
def test_a_limit_keeps_the_newest_and_counts_the_others(sizes, limit):
    feed, number = Feed(limit=limit), 0
    for size in sizes:
        put(feed, number if size == 1 else (number, size))
        number += size
        assert feed.pending == min(number, limit)
        assert feed.pending + feed.dropped == number
    assert drain(feed) == list(range(max(0, number - limit), number))


def test_a_burst_of_scalars_fits():
    feed = Feed()
    for first in range(0, 200_000, 5000):
        put(feed, (first, 5000))
    assert (feed.pending, feed.dropped) == (200_000, 0)
    singles = Feed()
    for number in range(200_000):
        put(singles, number)
    assert (singles.pending, singles.dropped) == (200_000, 0)


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=60))
def test_bytes_are_bounded_whatever_comes(sizes):
    """Arrays of any size: never much more than the room, the newest always there, every loss counted."""
    room = 50_000
    feed = Feed(room=room)
    for number, size in enumerate(sizes):
        feed.one(Reading(np.full(size // 8, float(number))), size)
        assert feed.weigh(set()) <= room + room // 8 + max(sizes) + READING
        assert feed.pending + feed.dropped == number + 1
        assert feed._items[-1].value.size == size // 8
    assert feed.dropped == 0 or sum(sizes) + READING * len(sizes) > room


def test_single_readings_are_bounded_by_their_bytes():
    feed = Feed(room=READING * 1000)
    for number in range(10_000):
        put(feed, number)
        assert feed.pending <= 1001
    assert feed.dropped + feed.pending == 10_000
    assert drain(feed)[-1] == 9999


def test_long_stretches_are_bounded_by_their_bytes():
    rows = rows_of(1000)
    feed = Feed(room=rows.nbytes * 10)
    for number in range(100):
        put(feed, (number * 1000, 1000))
        assert feed.weigh(set()) <= rows.nbytes * 12
    values = drain(feed)
    assert values == list(range(feed.dropped, 100_000))


def test_what_several_feeds_share_is_weighed_once():
    rows, one, other = rows_of(1000), Feed(), Feed()
    for feed in (one, other):
        feed.rows(ChannelType.TIME_DOUBLE, rows, DOUBLE)
        feed.one(Reading(1.0))
    seen: set[int] = set()
    assert one.weigh(seen) + other.weigh(seen) == rows.nbytes + 2 * READING
    one._items[0].take(PIECE)
    assert one.weigh(set()) == (1000 - PIECE) * 40 + READING


def test_the_oldest_half_is_given_up_for_a_common_budget():
    feed = Feed()
    for number in range(10):
        put(feed, number)
    assert feed.halve() == 5 * READING
    assert feed.dropped == 5
    assert drain(feed) == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert feed.halve() == 0
    put(feed, 10)
    assert feed.halve() == 0  # never the newest
    assert feed.dropped == 5


def test_rows_own_their_bytes_unless_they_are_most_of_their_buffer():
    """A few updates out of a receive buffer of 256 KiB must not keep it alive."""
    dtype = run_dtype(ChannelType.TIME_DOUBLE)
    data = bytes(dtype.itemsize * 1000)
    few, most = np.ndarray(10, dtype, data, 40), np.ndarray(900, dtype, data, 40)
    assert owned(most) is most
    mine = owned(few)
    assert mine.base is not data
    assert owned(mine) is mine
    assert (mine.tobytes(), mine.dtype) == (few.tobytes(), few.dtype)
    assert owned(most[:600]).base is not None
    sorted_part = most[np.argsort(most["p2"])][:3]
    assert owned(sorted_part).nbytes == sorted_part.nbytes


def test_whoever_takes_is_told_once_until_he_has_looked():
    told: list[str] = []

    class Told(Feed):
        __slots__ = ()

        def tell(self) -> None:
            told.append("told")
            self.scheduled = True

    feed = Told()
    put(feed, 0)
    put(feed, (1, 10))
    assert told == ["told"]
    feed.scheduled = False
    feed.end(ValueError("over"))
    assert told == ["told", "told"]
    assert feed.ended and isinstance(feed.why, ValueError)
    assert drain(feed) == list(range(11))


def test_taking_while_the_oldest_is_pushed_out():
    """Whoever takes was quicker, and puts the rest of a stretch back: older than all that waits."""
    feed = Feed(room=rows_of(1000).nbytes * 4)
    put(feed, (0, 1000))
    stretch = feed._items.popleft()
    assert feed._oldest() is None
    first = [reading.value for reading in stretch.take(PIECE)]
    for number in range(1, 10):
        put(feed, (number * 1000, 1000))
    feed._items.appendleft(stretch)
    values = first + drain(feed)
    assert values == sorted(set(values))
    assert len(values) + feed.dropped == 10_000
    feed.clear()
    assert feed.pending == 0


@pytest.mark.parametrize("limit", [None, 1])
def test_an_array_channel_that_sent_one_element_each_has_arrays(limit):
    feed = Feed(limit=limit)
    feed.rows(ChannelType.TIME_DOUBLE, rows_of(3), Shape(ChannelType.DOUBLE, 10))
    assert [value.tolist() for value in drain(feed)][-1] == [2.0]
