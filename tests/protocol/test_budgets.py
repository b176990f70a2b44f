"""What limits search datagrams: the bucket of tokens and the window."""

from __future__ import annotations

from math import inf

from hypothesis import given, strategies as st

from caclient.protocol.budgets import (
    FLIGHT,
    ROUND,
    SILENT_KEPT,
    SLOWEST,
    WINDOW_LEAST,
    WINDOW_MOST,
    WINDOW_START,
    AnswerTime,
    Silence,
    TokenBucket,
    Window,
)


def taken(budget, now, most=100):
    return sum(budget.take(now) for _ in range(most))


def test_a_bucket_gives_a_burst_and_then_its_rate():
    bucket = TokenBucket(rate=10.0, burst=4)
    assert bucket.idle
    assert bucket.next_due() == -inf
    assert taken(bucket, 0.0) == 4
    assert taken(bucket, 0.05) == 0
    assert 0.1 <= bucket.next_due() < 0.1001
    assert taken(bucket, bucket.next_due()) == 1
    assert taken(bucket, 100.0) == 4


@given(st.lists(st.floats(0, 0.3), max_size=60), st.floats(0, 1e7))
def test_a_bucket_never_gives_more_than_its_rate(waits, start):
    bucket = TokenBucket(rate=20.0, burst=5)
    now, given_away = start, 0
    for wait in waits:
        now += wait
        given_away += taken(bucket, now)
        assert given_away <= 5 + (now - start) * 20.0 + 0.001
        assert bucket.next_due() > now
        assert TokenBucket.take(bucket, now) is False


@given(st.floats(0, 1e7))
def test_a_bucket_gives_when_it_said_it_would(start):
    bucket = TokenBucket(rate=20.0, burst=1)
    assert bucket.take(start)
    assert bucket.take(bucket.next_due())


def test_destinations_share_a_bucket():
    bucket = TokenBucket(rate=10.0, burst=1)
    bucket.share(5)
    assert bucket.take(0.0)
    assert 0.5 <= bucket.next_due() < 0.5001


def test_each_silent_round_halves_the_rate_and_an_answer_restores_it():
    answers = AnswerTime()
    silence = Silence(answers)
    bucket = TokenBucket(rate=800.0, burst=1, silence=silence)

    def rate(start, seconds=ROUND):
        steps = [start + step * seconds / 1000 for step in range(1000)]
        return sum(bucket.take(now) for now in steps) / seconds

    rates = [rate(number * ROUND) for number in range(6)]
    assert [round(each / 100) for each in rates] == [8, 4, 2, 1, 1, 1]
    silence.broken()
    assert rate(6 * ROUND) > 600


def test_answer_times_are_smoothed_and_make_the_first_period():
    answers = AnswerTime()
    assert (answers.smoothed, answers.doublings, answers.round) == (0.0, 0, ROUND)
    answers.took(0.001)
    assert (answers.doublings, answers.round) == (0, ROUND)
    for _ in range(50):
        answers.took(0.1)
    assert 0.09 < answers.smoothed <= 0.1
    assert answers.doublings == 3  # 0.32 s
    assert answers.round > 0.36
    for _ in range(50):
        answers.took(1e9)  # the process was stopped, or a name found by chance
    assert answers.smoothed <= SLOWEST
    answers.took(-1.0)
    assert answers.smoothed >= 0.0


def test_a_window_starts_with_less_for_many_destinations():
    window = Window()
    window.share(3)
    assert window.size == 5
    window.share(1)
    assert window.size == WINDOW_START
    window.share(1000)
    assert window.size == WINDOW_LEAST
    assert window.take(0.0)
    window.share(1)
    assert window.size == WINDOW_LEAST


def test_a_window_gives_its_size_and_has_room_again_after_a_flight():
    window = Window()
    assert window.idle
    assert window.next_due() == -inf
    assert taken(window, 1.0) == WINDOW_START == len(window)
    assert not window.idle
    assert window.next_due() == 1.0 + FLIGHT
    assert not window.take(1.0 + FLIGHT / 2)
    assert taken(window, 1.0 + FLIGHT) == WINDOW_START


def test_silence_does_not_make_it_smaller():
    window = Window()
    for round_ in range(200):
        taken(window, round_ * 1.0)
    assert window.size == WINDOW_START
    assert len(window._silent) == SILENT_KEPT


def test_it_doubles_in_a_round_that_is_answered_up_to_its_limit():
    window = Window()
    sizes = []
    for round_ in range(4):
        taken(window, round_ * 1.0)
        for number in list(window._flights):
            window.answered(number, retried=False)
            window.answered(number, retried=False)  # a second name of the same datagram
        sizes.append(window.size)
    assert sizes == [32, WINDOW_MOST, WINDOW_MOST, WINDOW_MOST]
    assert window.idle


def sent(window, now):
    """Send one datagram and tell its number."""
    assert window.take(now)
    return window.number


def test_a_proven_loss_halves_it_once_a_round():
    window = Window(size=16)
    lost, also_lost, answered = sent(window, 0.0), sent(window, 0.0), sent(window, 0.0)
    window.answered(answered, retried=False)
    assert window.take(1.0)
    window.answered(lost, retried=True)
    window.answered(also_lost, retried=True)
    assert window.size == 8


def test_it_does_not_shrink_below_its_least():
    window = Window(size=WINDOW_LEAST)
    for round_ in range(5):
        lost, answered = sent(window, round_ * 1.0), sent(window, round_ * 1.0)
        window.answered(answered, retried=False)
        window.take(round_ + 0.5)
        window.answered(lost, retried=True)
        assert WINDOW_LEAST <= window.size <= WINDOW_LEAST + 1


def test_an_answer_to_a_retry_proves_nothing_unless_a_later_datagram_was_answered():
    window = Window(size=16)
    slow = sent(window, 0.0)
    sent(window, 1.0)
    window.answered(slow, retried=True)
    assert window.size == 16


def test_a_slow_answer_is_no_loss_and_shows_that_earlier_ones_were():
    window = Window(size=16)
    lost, slow = sent(window, 0.0), sent(window, 0.0)
    sent(window, 1.0)
    window.answered(slow, retried=False)
    assert window.size == 16
    window.answered(lost, retried=True)
    assert window.size == 8


def test_answers_to_unknown_datagrams_are_ignored():
    window = Window()
    window.answered(0, retried=False)
    window.answered(77, retried=True)
    assert window.size == WINDOW_START
