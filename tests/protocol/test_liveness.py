"""The watchdog of a circuit: silence, echo, unresponsive and back."""

from __future__ import annotations

from hypothesis import given, strategies as st

from caclient.protocol.liveness import Action, Liveness

NONE, ECHO, UNRESPONSIVE, RESPONSIVE = Action.NONE, Action.ECHO, Action.UNRESPONSIVE, Action.RESPONSIVE


def probing():
    """A circuit that was silent from 0 on, and asked at 30."""
    live = Liveness(conn_timeout=30.0, probe=5.0, now=0.0)
    assert live.due(30.0) is ECHO
    assert live.probing
    return live


def unresponsive():
    """The same, unanswered at 35."""
    live = probing()
    assert live.due(35.0) is UNRESPONSIVE
    assert live.unresponsive
    return live


def test_a_silent_server_is_asked_after_conn_timeout():
    live = Liveness(conn_timeout=30.0, now=100.0)
    assert live.next_due() == 130.0
    assert live.due(129.9) is NONE
    assert live.due(130.0) is ECHO
    assert live.next_due() == 135.0


def test_bytes_put_the_echo_off():
    live = Liveness(conn_timeout=30.0, now=100.0)
    live.heard(120.0)
    assert live.due(130.0) is NONE
    assert live.next_due() == 150.0
    assert not live.probing


def test_an_answered_echo_starts_anew():
    live = probing()
    assert live.echo_answered(31.0) is NONE
    assert not live.probing
    assert live.next_due() == 61.0


def test_an_unasked_echo_changes_nothing():
    live = Liveness(conn_timeout=30.0, now=0.0)
    assert live.echo_answered(10.0) is NONE
    assert live.next_due() == 30.0


def test_no_answer_makes_unresponsive_five_seconds_later():
    live = probing()
    assert live.due(34.9) is NONE
    assert live.due(35.0) is UNRESPONSIVE
    assert live.due(40.0) is NONE  # told once
    assert live.unresponsive


def test_a_late_echo_needs_a_second_one():
    live = unresponsive()
    assert live.echo_answered(50.0) is ECHO
    assert live.unresponsive
    assert live.next_due() == 55.0
    assert live.echo_answered(50.1) is RESPONSIVE
    assert not live.unresponsive
    assert live.next_due() == 80.1


def test_a_second_echo_that_is_late_again_needs_a_third():
    live = unresponsive()
    assert live.echo_answered(50.0) is ECHO
    assert live.due(55.0) is NONE
    assert live.echo_answered(56.0) is ECHO
    assert live.echo_answered(57.0) is RESPONSIVE


def test_bytes_do_not_answer_an_echo():
    live = probing()
    live.heard(34.0)
    assert live.due(35.0) is UNRESPONSIVE
    live.heard(36.0)
    assert live.due(40.0) is NONE
    assert live.unresponsive


def test_regular_beacons_stand_for_bytes():
    live = Liveness(conn_timeout=30.0, now=0.0)
    live.heard(1.0)
    live.beacon(20.0)
    assert live.next_due() == 50.0
    live.beacon(40.0)
    assert live.due(69.0) is NONE
    assert live.due(70.0) is ECHO


def test_beacons_do_not_count_before_the_first_bytes():
    live = Liveness(conn_timeout=30.0, now=0.0)
    live.beacon(20.0)
    assert live.next_due() == 30.0


def test_after_a_wrong_beacon_they_do_not_count_until_bytes_come():
    live = Liveness(conn_timeout=30.0, now=0.0)
    live.heard(1.0)
    live.doubt(5.0)
    live.beacon(20.0)
    assert live.next_due() == 31.0
    live.heard(25.0)
    live.beacon(28.0)
    assert live.next_due() == 58.0


def test_beacons_do_not_answer_an_echo():
    live = probing()
    live.beacon(34.0)
    assert live.due(35.0) is UNRESPONSIVE


def test_a_write_that_blocks_makes_unresponsive_at_once():
    live = Liveness(conn_timeout=30.0, now=0.0)
    assert live.send_blocked(12.0) is UNRESPONSIVE
    assert live.send_blocked(13.0) is NONE
    assert live.echo_answered(14.0) is ECHO
    assert live.echo_answered(15.0) is RESPONSIVE


def test_much_to_send_gives_an_echo_more_time():
    live = probing()
    live.sent_much(33.0)
    assert live.due(35.0) is NONE
    assert live.due(38.0) is UNRESPONSIVE
    live.sent_much(39.0)
    assert live.next_due() == 43.0


def test_much_to_send_means_nothing_without_an_echo():
    live = Liveness(conn_timeout=30.0, now=0.0)
    live.sent_much(10.0)
    assert live.next_due() == 30.0


def test_an_engine_that_comes_late_gives_the_server_its_time():
    live = Liveness(conn_timeout=30.0, now=0.0)
    assert live.due(500.0) is ECHO
    assert live.next_due() == 505.0


EVENTS = st.sampled_from(["heard", "beacon", "doubt", "due", "echo_answered", "send_blocked", "sent_much"])


@given(st.lists(st.tuples(EVENTS, st.floats(0, 20))))
def test_unresponsive_and_responsive_are_told_in_turn(events):
    live = Liveness(conn_timeout=10.0, now=0.0)
    now, told = 0.0, []
    for event, wait in events:
        now += wait
        action = getattr(live, event)(now)
        if action in (UNRESPONSIVE, RESPONSIVE):
            told.append(action)
        if event == "due":
            assert live.next_due() > now  # asked once, it is not due again at the same moment
    assert told == [UNRESPONSIVE, RESPONSIVE] * (len(told) // 2) + [UNRESPONSIVE] * (len(told) % 2)
    assert live.unresponsive == bool(len(told) % 2)


def test_doubt_asks_at_once_and_once():
    liveness = Liveness(30.0, now=0.0)
    assert liveness.probe_now(1.0) is Action.ECHO
    assert liveness.probe_now(2.0) is Action.NONE
    assert liveness.due(5.9) is Action.NONE
    assert liveness.due(6.0) is Action.UNRESPONSIVE
