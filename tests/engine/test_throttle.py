"""A cause is told at once, then at most once a second, with a count; the table is bounded."""

from __future__ import annotations

from caclient.engine.throttle import Throttle


def test_at_once_and_then_once_a_period_with_a_count() -> None:
    throttle = Throttle(period=1.0)
    assert [throttle.admit("a", now) for now in (0.0, 0.1, 0.9, 1.0, 1.5, 2.5, 9.0)] == [0, None, None, 2, None, 1, 0]


def test_causes_do_not_hide_each_other() -> None:
    throttle = Throttle()
    assert [throttle.admit(cause, 0.0) for cause in ("a", ("b", 1), "a", ("b", 2))] == [0, 0, None, 0]


def test_the_cause_told_longest_ago_is_forgotten() -> None:
    throttle = Throttle(capacity=2)
    throttle.admit("a", 0.0)
    throttle.admit("b", 0.1)
    throttle.admit("a", 2.0)
    throttle.admit("c", 2.1)
    assert throttle.admit("a", 2.2) is None
    assert throttle.admit("b", 2.2) == 0
    assert len(throttle._told) == 2
