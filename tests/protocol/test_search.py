"""Who is asked for when: the schedule alone, under arbitrary use, and with a simulated network."""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from caclient.errors import BadValueError
from caclient.protocol.commands import SearchRequest
from caclient.protocol.search import (
    DEALT_AFTER,
    FIRST_PERIOD,
    GATHER,
    HESITATION,
    HESITATION_SLOT,
    JITTER,
    JUST_NOW,
    MAX_DATAGRAM,
    SPREAD,
    SWEEP_ABOVE,
    Attempts,
    SearchSchedule,
    message_size,
    search_message,
)


def schedule(max_period=300.0, **options):
    return SearchSchedule(max_period, Random(7), **options)


def due(searches, now):
    """What is to be asked now, each datagram as its (cid, name) pairs."""
    return [[(name.cid, name.name) for name in datagram] for datagram in searches.due(now)]


def run(searches, until, now=0.0, asked=None):
    """Call due() whenever it wants to be called, up to a moment; gives [(now, datagram), ...]."""
    sent = [] if asked is None else asked
    while (moment := searches.next_due()) is not None and moment <= until:
        now = max(now, moment)
        sent.extend((now, datagram) for datagram in due(searches, now))
    return sent


def fill(searches, cids, now=0.0, dead="SR:C01-MG:G02A{Quad:%05d}Fld-I"):
    for cid in cids:
        searches.add(cid, dead % cid, now)


def cids(sent):
    return Counter(cid for _, datagram in sent for cid, _ in datagram)


def size(datagram):
    return 16 + sum(16 + -(-(len(name.encode()) + 1) // 8) * 8 for _, name in datagram)


class TestOneName:
    def test_is_asked_for_at_once(self):
        searches = schedule()
        assert searches.next_due() is None
        assert due(searches, 0.0) == []
        searches.add(1, "a", 5.0)
        assert 1 in searches
        assert len(searches) == 1
        assert searches.attempts(1) == Attempts(0, None, None)
        assert searches.next_due() == 5.0
        assert due(searches, 5.0) == [[(1, "a")]]
        assert searches.attempts(1) == (1, 5.0, 5.0)

    def test_is_asked_for_again_after_doubling_periods(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        moments = [now for now, _ in run(searches, 1000.0)]
        gaps = [late - early for early, late in pairwise(moments)]
        periods = [FIRST_PERIOD * 2**i for i in range(len(gaps))]
        for gap, period in zip(gaps, periods, strict=True):
            assert 0.6 * min(period, 300.0) <= gap <= min(period, 300.0)
        assert searches.attempts(1) == (len(moments), 0.0, moments[-1])

    @pytest.mark.parametrize("period", [0.05, 0.08, 1.0, 60.0, 3600.0])
    def test_is_asked_for_at_least_every_max_period(self, period):
        searches = schedule(max_period=period)
        searches.add(1, "a", 0.0)
        moments = [now for now, _ in run(searches, 20 * period)]
        assert max(b - a for a, b in pairwise(moments)) <= period
        assert len(moments) >= 20

    def test_is_not_asked_for_once_made(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        assert searches.asks_for(1)
        due(searches, 0.0)
        assert searches.found(1, 0.01) is True
        assert searches.found(1, 0.01) is False
        assert not searches.asks_for(1)
        searches.remove(1)
        assert 1 not in searches
        assert run(searches, 100.0) == []
        assert searches.attempts(1) == Attempts(0, None, None)

    def test_that_is_found_but_not_made_is_asked_for_on_rarely(self):
        """The answer may have been a forgery, or the server hangs."""
        searches = schedule()
        searches.add(1, "a", 0.0)
        due(searches, 0.0)
        searches.found(1, 0.01)
        moments = [now for now, _ in run(searches, 100.0)]
        assert HESITATION <= moments[0] - 0.01 <= HESITATION + HESITATION_SLOT
        assert all(late - early > 1.5 for early, late in pairwise(moments))
        assert len(moments) >= 3
        assert searches.asks_for(1)
        assert searches.found(1, 100.0)

    def test_whose_answer_led_nowhere_is_asked_for_quickly_again(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        due(searches, 0.0)
        searches.found(1, 0.01)
        searches.again(1, 0.02, delay=0.1)
        assert not searches.asks_for(1)
        assert searches.found(1, 0.03) is False  # a second answer to what was asked before
        moments = [now for now, _ in run(searches, 0.3)]
        assert searches.asks_for(1)
        assert moments[0] == pytest.approx(0.12)
        assert moments[1] - moments[0] <= FIRST_PERIOD
        assert searches.attempts(1).asks == 1 + len(moments)

    def test_is_asked_for_at_the_pace_of_the_answers(self):
        """Two answer times at least: over a slow path a second question would only be a burden."""
        searches = schedule()
        for cid in range(40):
            searches.add(cid, "a", cid * 1.0)
            due(searches, cid * 1.0)
            searches.found(cid, cid * 1.0 + 0.2)
            searches.remove(cid)
        assert searches.answer_time == pytest.approx(0.2)
        searches.add(100, "a", 50.0)
        first, second = [now for now, _ in run(searches, 51.0, now=50.0)][:2]
        assert second - first >= 0.4 * (1 - JITTER) - 0.1  # less jitter and the width of a slot
        assert second - first <= 0.64

    def test_an_answer_to_one_asked_twice_tells_nothing_of_the_path(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        run(searches, 0.2)
        searches.found(1, 5.0)
        assert searches.answer_time == 0.0

    @pytest.mark.parametrize("asked", [False, True])
    def test_is_not_asked_for_once_removed(self, asked):
        searches = schedule()
        searches.add(1, "a", 0.0)
        if asked:
            due(searches, 0.0)
        assert searches.remove(1) is True
        assert searches.remove(1) is False
        assert run(searches, 100.0) == []
        assert searches.next_due() is None

    def test_added_again_starts_afresh(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        run(searches, 10.0)
        searches.add(1, "b", 10.0)
        assert due(searches, 10.0) == [[(1, "b")]]
        assert searches.attempts(1).asks == 1
        assert len(searches) == 1

    def test_added_again_while_it_waits_is_asked_for_at_once(self):
        searches = schedule()
        searches.add(1, "a", 0.0, delay=1.0)
        searches.add(1, "a", 0.0)
        assert searches.asks_for(1)
        assert due(searches, 0.0) == [[(1, "a")]]
        searches.found(1, 0.01)
        assert run(searches, 1.5, now=0.01) == []  # what was to be asked for after the delay is gone

    def test_can_wait_before_it_is_asked_for(self):
        searches = schedule()
        searches.add(1, "a", 0.0, delay=3.0)
        assert due(searches, 0.0) == []
        assert searches.next_due() == 3.0
        assert due(searches, 3.0) == [[(1, "a")]]

    @pytest.mark.parametrize("name", ["", "x" * 992, "é" * 500])
    def test_that_no_datagram_can_hold_is_refused(self, name):
        searches = schedule()
        with pytest.raises(BadValueError, match="name"):
            searches.add(1, name, 0.0)
        assert len(searches) == 0

    def test_that_just_fits_is_asked_for(self):
        searches = schedule()
        searches.add(1, "x" * 991, 0.0)
        (datagram,) = due(searches, 0.0)
        assert size(datagram) == MAX_DATAGRAM

    @given(st.text(min_size=1, max_size=60).filter(lambda name: "\0" not in name), st.integers(0, 2**32 - 1))
    def test_is_asked_for_as_the_command_would(self, name, cid):
        assert search_message(name, cid) == SearchRequest(name, cid).to_bytes()

    @given(st.text(max_size=60) | st.integers(950, 1000).map("x".__mul__))
    def test_the_size_is_that_of_the_message(self, name):
        try:
            size_of_message = len(search_message(name, 1))
        except BadValueError:
            with pytest.raises(BadValueError, match="name"):
                message_size(name)
        else:
            assert message_size(name) == size_of_message

    def test_jitter_differs(self):
        moments = set()
        for seed in range(10):
            searches = SearchSchedule(random=Random(seed))
            searches.add(1, "a", 0.0)
            moments.add(tuple(now for now, _ in run(searches, 50.0)))
        assert len(moments) > 8

    def test_jitter_needs_no_seed(self):
        assert SearchSchedule().next_due() is None


class TestPacking:
    def test_names_added_in_a_loop_share_full_datagrams(self):
        searches = schedule()
        fill(searches, range(200))
        sent = run(searches, 0.005)
        assert set(cids(sent)) == set(range(200))
        assert len(sent) == 10  # of 21 names each, but for the last
        assert all(size(datagram) > MAX_DATAGRAM - 56 for _, datagram in sent[:-1])

    def test_while_others_are_under_way_a_name_waits_a_moment_for_company(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        due(searches, 0.0)
        searches.add(2, "b", 0.0)
        assert due(searches, 0.0) == []
        assert searches.next_due() == GATHER
        searches.add(3, "c", 0.001)
        assert due(searches, GATHER) == [[(2, "b"), (3, "c")]]

    def test_with_all_answered_a_name_goes_at_once(self):
        searches = schedule()
        searches.add(1, "a", 0.0)
        due(searches, 0.0)
        searches.add(2, "b", 0.0005)
        searches.found(1, 0.001)
        assert due(searches, 0.001) == [[(2, "b")]]

    def test_a_full_datagram_does_not_wait(self):
        searches = schedule()
        searches.add(1000, "a", 0.0)
        due(searches, 0.0)
        fill(searches, range(40))
        assert [len(datagram) for datagram in due(searches, 0.0)] == [21]

    def test_names_asked_for_together_stay_together_but_are_dealt_out_once(self):
        """Something may swallow datagrams of that size, or one of the names be what no server can bear."""
        searches = schedule()
        fill(searches, range(20))
        packed = [sorted(cid for cid, _ in datagram) for _, datagram in run(searches, 300.0)]
        everybody, even, odd = list(range(20)), list(range(0, 20, 2)), list(range(1, 20, 2))
        assert packed[:DEALT_AFTER] == [everybody] * DEALT_AFTER
        assert sorted(packed[DEALT_AFTER : DEALT_AFTER + 2]) == [even, odd]

    def test_a_datagram_is_no_larger_than_any_tunnel_lets_pass(self):
        searches = schedule()
        fill(searches, range(1000))
        assert max(size(datagram) for _, datagram in run(searches, 10.0)) <= 1024

    def test_a_name_that_no_server_can_bear_costs_its_neighbours_little(self):
        """Each datagram with it is lost: the others are found without it."""
        searches = schedule()
        fill(searches, range(60))
        living = set(range(60)) - {7}
        now = 0.0
        while living and now < 2.0:
            now = searches.next_due()
            for datagram in due(searches, now):
                found = {cid for cid, _ in datagram}
                if 7 not in found:
                    living -= found
                    for cid in found:
                        searches.found(cid, now)
                        searches.remove(cid)
        assert len(living) <= 9  # those it is with now; the rest did not wait for it

    @pytest.mark.parametrize("limit", [100, 1024, 1400, 1472])
    def test_the_size_of_a_datagram_can_be_set(self, limit):
        searches = schedule(max_datagram=limit)
        fill(searches, range(100), dead="n%d")
        sent = run(searches, 1.0)
        assert max(size(datagram) for _, datagram in sent) in range(limit - 32, limit + 1)


@pytest.fixture(scope="module")
def crowded():
    """10,000 names that nobody knows, a minute old."""
    searches = schedule()
    fill(searches, range(10_000))
    return searches, run(searches, 60.0)


class TestDeadNames:
    def test_are_all_asked_for_within_a_third_of_a_second(self, crowded):
        _, sent = crowded
        assert len(cids((now, datagram) for now, datagram in sent if now < 0.33)) == 10_000

    def test_do_not_keep_new_names_waiting(self, crowded):
        searches, _ = crowded
        assert searches.window == 16
        fill(searches, range(20_000, 20_010), now=60.0)
        assert set(range(20_000, 20_010)) <= cids((60.0, datagram) for datagram in due(searches, 60.0)).keys()

    def test_are_paid_from_a_budget(self, crowded):
        _, sent = crowded
        for start in range(1, 59):
            assert sum(start <= now < start + 1 for now, _ in sent) <= 250 + 24
        assert sum(10 <= now < 20 for now, _ in sent) <= 10 * 50 + 8

    def test_new_names_among_many_never_asked_do_not_wait_for_all(self):
        searches = schedule()
        fill(searches, range(100_000))
        due(searches, 0.0)
        fill(searches, range(200_000, 200_010), now=0.0)
        assert set(range(200_000, 200_010)) <= cids(run(searches, 0.011)).keys()

    def test_are_retried_rarely_in_the_long_run(self):
        searches = schedule(max_period=60.0)
        fill(searches, range(1000))
        run(searches, 200.0)
        sent = run(searches, 500.0)
        assert len(cids(sent)) == 1000
        assert len(sent) < 500

    def test_a_large_backlog_stretches_periods_but_forgets_nobody(self):
        searches = schedule(max_period=10.0, retry_rate=5.0)
        fill(searches, range(3000))
        run(searches, 300.0)
        asked = cids(run(searches, 500.0))
        assert len(asked) == 3000
        assert max(asked.values()) - min(asked.values()) <= 3


class TestEconomy:
    """What a server that is down for seconds, or names that nobody has, cost everybody else."""

    @staticmethod
    def wire(destinations, seconds, count=10_000):
        searches = schedule()
        searches.share(destinations)
        fill(searches, range(count), dead="x:%05d")
        return destinations * len(run(searches, seconds)) / seconds, searches

    def test_ten_thousand_names_of_a_server_that_is_down(self):
        """In its first eight seconds; quick retries gain nothing where even they are not answered."""
        rate, _ = self.wire(1, 8.0)
        assert rate * 8.0 < 600  # 238 of them the first time

    def test_ten_destinations_cost_hardly_more_than_one(self):
        one, ten = self.wire(1, 60.0)[0], self.wire(10, 60.0)[0]
        assert ten < 2 * one + 10 * 250 / 60.0  # everybody is asked once, at once
        assert ten < 150

    def test_an_answer_to_a_retry_makes_retries_quick_again(self):
        _, searches = self.wire(1, 10.0)
        start = searches.next_due()
        calm = len(run(searches, start + 1.0))
        for cid in range(50):
            searches.found(cid, start + 1.0)
        assert len(run(searches, start + 1.25)) > calm

    def test_a_lost_datagram_is_repeated_soon_among_ten_thousand_dead_names(self):
        _, searches = self.wire(1, 10.0)
        now = searches.next_due()
        searches.add(77_777, "live", now)
        moments = [when for when, datagram in run(searches, now + 1.0) for cid, _ in datagram if cid == 77_777]
        assert moments[0] - now < 0.02
        assert moments[1] - now < 0.25

    def test_a_window_that_answers_have_opened_stays_open(self):
        searches = schedule()
        fill(searches, range(100))
        for datagram in due(searches, 0.0):
            for cid, _ in datagram:
                searches.found(cid, 0.001)
        searches.share(10)
        assert searches.window > 16


class TestBoost:
    @pytest.fixture
    def waiting(self):
        """1,000 dead names, asked for so often that they wait for minutes."""
        searches = schedule()
        fill(searches, range(1000))
        run(searches, 1000.0)
        return searches

    def test_asks_for_all_again_within_seconds(self, waiting):
        waiting.boost(1000.0)
        sent = run(waiting, 1000.0 + SPREAD + 1.0, now=1000.0)
        assert len(cids(sent)) == 1000
        assert sent[-1][0] - sent[0][0] > SPREAD / 2

    def test_goes_on_with_periods_of_seconds(self, waiting):
        waiting.boost(1000.0)
        run(waiting, 1000.0 + SPREAD, now=1000.0)
        assert len(cids(run(waiting, 1010.0 + 2 * SPREAD))) == 1000

    def test_in_a_row_is_one_boost(self, waiting):
        for _ in range(10):
            waiting.boost(1000.0)
        assert max(cids(run(waiting, 1000.0 + SPREAD, now=1000.0)).values()) <= 2

    def test_respects_its_budget(self):
        searches = schedule()
        fill(searches, range(20_000))
        run(searches, 300.0)
        searches.boost(300.0)
        sent = run(searches, 300.0 + SPREAD, now=300.0)
        assert len(sent) <= (100 + 50) * SPREAD + 2 * 8

    def test_leaves_alone_those_that_are_asked_for_soon(self):
        searches = schedule()
        fill(searches, range(10))
        run(searches, 1.0)
        due = searches.next_due()
        searches.boost(1.0)
        assert searches.next_due() == due


class TestHurry:
    """The server that had these names is heard again."""

    HOST = "10.0.0.7"

    @pytest.fixture
    def waiting(self):
        """1,000 names that wait for minutes; two of them were served by a host."""
        searches = schedule()
        fill(searches, range(1000))
        for cid in (3, 4):
            searches.again(cid, 0.0, host=self.HOST)
        run(searches, 1000.0)
        return searches

    def test_asks_at_once_and_starts_their_periods_afresh(self, waiting):
        waiting.hurry("10.0.0.8", 1000.0)
        assert due(waiting, 1000.0) == []
        waiting.hurry(self.HOST, 1000.0)
        (datagram,) = due(waiting, 1000.0)
        assert {cid for cid, _ in datagram} == {3, 4}
        sent = run(waiting, 1000.5, now=1000.0)
        assert cids(sent)[3] >= 3
        assert waiting.attempts(3).first_asked_at == 0.0

    def test_of_names_that_are_due_anyway_changes_nothing(self):
        searches = schedule()
        searches.add(1, "a", 0.0, host=self.HOST)
        searches.hurry(self.HOST, 0.0)
        assert due(searches, 0.0) == [[(1, "a")]]

    def test_of_names_asked_for_just_now_changes_nothing(self):
        searches = schedule()
        searches.add(1, "a", 0.0, host=self.HOST)
        due(searches, 0.0)
        later = searches.next_due()
        searches.hurry(self.HOST, JUST_NOW / 2)
        assert searches.next_due() == later

    def test_of_a_name_asked_for_a_moment_too_early_asks_again_a_moment_later(self, waiting):
        """The second beacon, which comes soon, would be too soon for a second hurry."""
        due_at = waiting._names[3].home
        asked = next(
            now for now, datagram in run(waiting, 5000.0, now=due_at - 1e-9) for cid, _ in datagram if cid == 3
        )
        assert waiting.attempts(3).last_asked_at >= asked
        now = waiting.attempts(3).last_asked_at + 0.01
        waiting.hurry(self.HOST, now)
        waiting.hurry(self.HOST, now + 0.06)
        again = [when for when, datagram in run(waiting, now + 1.0, now=now) for cid, _ in datagram if cid == 3]
        assert again[0] - now <= JUST_NOW + 0.01

    def test_of_names_that_wait_for_the_budget(self):
        searches = schedule(retry_rate=0.1)
        for cid in range(2000):
            searches.add(cid, f"x{cid}", 0.0, host=self.HOST)
        run(searches, 30.0)
        searches.hurry(self.HOST, 30.0)
        asked = cids(run(searches, 30.1, now=30.0))
        assert len(asked) == 2000

    def test_many_beacons_hurry_once_a_second_and_the_last_is_not_lost(self, waiting):
        moments = []
        for step in range(100):
            now = 1000.0 + step * 0.01
            waiting.hurry(self.HOST, now)
            moments += [now for datagram in due(waiting, now) for cid, _ in datagram if cid == 3]
        assert len(moments) < 10
        later = [now for now, datagram in run(waiting, 1002.0, now=1000.99) for cid, _ in datagram if cid == 3]
        assert later  # asked for since the last of them

    def test_that_comes_again_within_a_second_is_put_off_till_then(self, waiting):
        waiting.hurry(self.HOST, 1000.0)
        run(waiting, 1000.1, now=1000.0)
        for cid in (3, 4):
            waiting.again(cid, 1000.1, delay=60.0)  # the server accepts no connection yet
        for moment in (1000.2, 1000.3, 1000.4):
            waiting.hurry(self.HOST, moment)
        sent = run(waiting, 1001.5, now=1000.4)
        first = next(now for now, datagram in sent for cid, _ in datagram if cid == 3)
        assert first == pytest.approx(1001.0, abs=0.005)

    def test_that_was_forgotten_is_not_hurried(self, waiting):
        waiting.again(3, 1000.0, delay=50.0, host="10.0.0.9")
        waiting.remove(4)
        assert waiting._hosts == {"10.0.0.9": {3: None}}
        waiting.hurry("10.0.0.9", 1001.0)
        assert 3 in cids(run(waiting, 1001.1, now=1001.0))
        waiting.remove(3)
        assert waiting._hosts == waiting._hurried_at == {}


def test_a_restart_asks_for_all_at_once():
    searches = schedule()
    fill(searches, range(100))
    run(searches, 300.0)
    searches.restart(300.0)
    assert len(cids(run(searches, 300.1, now=300.0))) == 100


class TestRoom:
    def test_what_comes_and_goes_leaves_nothing_behind(self):
        searches = schedule()
        for cid in range(20 * SWEEP_ABOVE):
            searches.add(cid, "name", cid * 1e-3)
            due(searches, cid * 1e-3)
            searches.remove(cid)
        kept = sum(map(len, searches._calendar._slots.values())) + len(searches._new)
        assert kept <= SWEEP_ABOVE + 1
        assert len(searches) == 0

    def test_a_sweep_loses_nobody(self):
        searches = schedule()
        fill(searches, range(500))
        run(searches, 400.0)
        searches.boost(400.0)
        fill(searches, range(1000, 1000 + 3 * SWEEP_ABOVE), now=400.0)
        for cid in range(1000, 1000 + 3 * SWEEP_ABOVE):
            searches.remove(cid)
        assert cids(run(searches, 400.0 + SPREAD, now=400.0)).keys() == set(range(500))


CID = st.integers(0, 30)
USES = st.one_of(
    st.tuples(st.just("add"), CID, st.integers(1, 200)),
    st.tuples(st.just("delay"), CID, st.floats(0, 2)),
    st.tuples(st.just("remove"), CID),
    st.tuples(st.just("found"), CID),
    st.tuples(st.just("again"), CID, st.floats(0, 2)),
    st.tuples(st.just("hurry")),
    st.tuples(st.just("boost")),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.05, 0.7, 6.0, 100.0])),
)


class Checked:
    """A schedule under use: nothing is asked for that is not here, too early, twice, or in too large a datagram."""

    def __init__(self):
        self.searches = schedule(max_period=5.0, max_datagram=256)
        self.now = 0.0
        self.names = {}
        self.last = {}
        self.hesitating = set()

    def use(self, what, *arguments):
        getattr(self, what)(*arguments)
        assert len(self.searches) == len(self.names)

    def add(self, cid, length):
        self.names[cid] = "n" * length
        self.hesitating.discard(cid)
        self.last.pop(cid, None)
        self.searches.add(cid, self.names[cid], self.now, host="10.0.0.7" if cid & 1 else "")

    def delay(self, cid, delay):
        self.names[cid] = "delayed"
        (self.hesitating.add if delay else self.hesitating.discard)(cid)
        self.last[cid] = self.now + delay - 0.6 * FIRST_PERIOD
        self.searches.add(cid, "delayed", self.now, delay)

    def remove(self, cid):
        assert self.searches.remove(cid) == (self.names.pop(cid, None) is not None)
        self.hesitating.discard(cid)

    def found(self, cid):
        assert self.searches.found(cid, self.now) == (cid in self.names and cid not in self.hesitating)
        if cid in self.names:
            self.hesitating.add(cid)

    def again(self, cid, delay):
        if cid in self.names:
            self.searches.again(cid, self.now, delay)
            (self.hesitating.add if delay else self.hesitating.discard)(cid)
            self.last[cid] = self.now + delay - 0.6 * FIRST_PERIOD

    def hurry(self):
        for cid in self.searches._hosts.get("10.0.0.7", ()):
            self.last.pop(cid, None)
            self.hesitating.add(cid)
        self.searches.hurry("10.0.0.7", self.now)
        self.hesitating = {cid for cid in self.names if not self.searches.asks_for(cid)}

    def boost(self):
        self.last.clear()
        self.searches.boost(self.now)

    def wait(self, seconds):
        end = self.now + seconds
        while (moment := self.searches.next_due()) is not None and moment <= end:
            self.now = max(self.now, moment)
            for datagram in due(self.searches, self.now):
                self.check(datagram)
            assert (self.searches.next_due() or end + 1) > self.now  # it does not spin
        self.now = end

    def check(self, datagram):
        assert datagram
        assert size(datagram) <= 256
        for cid, name in datagram:
            assert self.names[cid] == name
            assert self.now - self.last.get(cid, -1.0) >= 0.6 * FIRST_PERIOD - 1e-9
            self.last[cid] = self.now
            self.hesitating.discard(cid)


@settings(max_examples=150, deadline=None)
@given(st.lists(USES, max_size=60))
def test_under_any_use_it_asks_for_all_that_is_here_and_nothing_else(uses):
    checked = Checked()
    for use in uses:
        checked.use(*use)
    start = checked.now
    checked.wait(20.0)
    for cid in checked.names:
        assert checked.searches.attempts(cid).last_asked_at > start


class Network:
    """A server in simulated time: it knows some names, and drops what does not fit its receive buffer."""

    def __init__(self, live, delay=0.0005, service=0.0001, buffer=80):
        self.live, self.delay, self.service, self.buffer = live, delay, service, buffer
        self.busy_until = 0.0
        self.queued = deque()
        self.replies = []
        self.sent = self.dropped = 0

    def send(self, datagram, now):
        """One datagram of the client."""
        self.sent += 1
        arrival = now + self.delay
        while self.queued and self.queued[0] <= arrival:
            self.queued.popleft()
        if len(self.queued) >= self.buffer:
            self.dropped += 1
            return
        self.busy_until = max(arrival, self.busy_until) + self.service
        self.queued.append(self.busy_until)
        known = [cid for cid, _ in datagram if cid in self.live]
        if known:
            heappush(self.replies, (self.busy_until + self.delay, known))

    def serve(self, searches, until):
        """Let time pass until the last live name is found; gives that moment."""
        now, found_at = 0.0, {}
        while len(found_at) < len(self.live):
            reply = self.replies[0][0] if self.replies else until
            moment = searches.next_due()
            now = max(now, reply if moment is None else min(reply, moment))
            assert now < until, f"{len(found_at)} of {len(self.live)} found"
            while self.replies and self.replies[0][0] <= now:
                for cid in heappop(self.replies)[1]:
                    if searches.found(cid, now):
                        searches.remove(cid)
                        found_at[cid] = now
            for datagram in due(searches, now):
                self.send(datagram, now)
        return now


class TestNetwork:
    def test_ten_thousand_live_names_are_found_within_a_fifth_of_a_second(self):
        searches = schedule()
        fill(searches, range(10_000))
        network = Network(live=set(range(10_000)))
        assert network.serve(searches, until=1.0) < 0.15
        assert network.dropped == 0
        assert searches.window == 64

    def test_ten_live_among_ten_thousand_dead(self):
        searches = schedule()
        fill(searches, range(10_000))
        network = Network(live=set(range(0, 10_000, 1000)))
        assert network.serve(searches, until=1.0) < 0.25

    def test_a_server_that_loses_datagrams_still_answers_all(self):
        searches = schedule()
        fill(searches, range(3_000))
        network = Network(live=set(range(3_000)), service=0.001, buffer=8)
        assert network.serve(searches, until=3.0) < 2.0
        assert network.dropped > 0

    def test_a_loss_makes_the_window_smaller(self):
        searches = schedule()
        fill(searches, range(28 * 16))
        first, *others = due(searches, 0.0)
        for datagram in others[:-1]:
            for cid, _ in datagram:
                searches.found(cid, 0.001)
        grown = searches.window
        fill(searches, [10_000], now=0.01)
        due(searches, 0.012)
        run(searches, 0.08, now=0.012)
        searches.found(first[0][0], 0.08)
        assert grown == 16 + len(others) - 1
        assert searches.window == grown // 2

    @pytest.mark.parametrize("delay", [0.005, 0.05, 0.3])
    def test_a_slow_network_is_no_loss(self, delay):
        searches = schedule()
        fill(searches, range(3_000))
        network = Network(live=set(range(3_000)), delay=delay, service=0.00001, buffer=1000)
        assert network.serve(searches, until=3.0) < 2 * delay + 0.2
        assert searches.window >= 16
