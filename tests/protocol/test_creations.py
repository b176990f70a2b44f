"""How long a server may leave the request for a channel unanswered."""

from __future__ import annotations

from hypothesis import given, strategies as st

from caclient.protocol.creations import LONGEST, LONGEST_PAUSE, PATIENCE, Creations, pause


def test_a_request_that_nobody_answers_is_overdue_after_a_while():
    creations: Creations[str] = Creations()
    assert creations.next_due() is None
    creations.ask("x", 10.0)
    assert creations.next_due() == 10.0 + PATIENCE
    assert creations.due(10.0 + PATIENCE - 0.001) == []
    assert creations.due(10.0 + PATIENCE) == ["x"]
    assert creations.next_due() is None
    assert len(creations) == 0


def test_a_busy_server_that_goes_on_is_given_its_time():
    creations: Creations[int] = Creations()
    for number in range(1000):
        creations.ask(number, 0.0)
    for number in range(999):
        creations.answered(number, 0.02 * number)
        assert creations.due(0.02 * number) == []
    assert creations.next_due() == 0.02 * 998 + PATIENCE
    assert creations.due(0.02 * 998 + PATIENCE) == [999]


def test_one_that_is_passed_over_does_not_wait_for_ever():
    creations: Creations[str] = Creations()
    creations.ask("x", 0.0)
    for second in range(100):
        creations.ask("other", float(second))
        creations.answered("other", float(second))
        if overdue := creations.due(float(second)):
            assert overdue == ["x"]
            assert second == LONGEST
            return
    raise AssertionError("it waits for ever")


def test_a_late_answer_is_a_sign_of_life():
    creations: Creations[str] = Creations()
    creations.ask("x", 0.0)
    creations.ask("y", 1.0)
    creations.answered("gone", 4.0)
    assert creations.due(5.0) == []
    assert creations.due(9.0) == ["x", "y"]


def test_what_nobody_waits_for_is_not_overdue():
    creations: Creations[str] = Creations()
    creations.ask("x", 0.0)
    creations.forget("x")
    creations.forget("x")
    assert creations.next_due() is None
    assert creations.due(1e9) == []


@given(st.lists(st.tuples(st.sampled_from("alfd"), st.integers(0, 8), st.floats(0, 20)), max_size=60))
def test_under_any_use_each_is_told_once_and_in_time(uses):
    creations: Creations[int] = Creations()
    now, waiting = 0.0, {}
    for what, number, seconds in uses:
        now += seconds
        if what == "a" and number not in waiting:
            waiting[number] = now
            creations.ask(number, now)
        elif what == "l":
            creations.answered(number, now)
            waiting.pop(number, None)
        elif what == "f":
            creations.forget(number)
            waiting.pop(number, None)
        elif what == "d":
            for overdue in creations.due(now):
                assert now - waiting.pop(overdue) >= PATIENCE
            assert all(now - asked < LONGEST for asked in waiting.values())
        assert len(creations) == len(waiting)
        assert (creations.next_due() is None) == (not waiting)


def test_who_fails_again_and_again_is_asked_ever_less_often():
    assert pause(0) == 0.0
    assert [pause(number) for number in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, 0.8]
    assert pause(1000) == LONGEST_PAUSE
