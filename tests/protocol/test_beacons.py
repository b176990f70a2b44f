"""The beacon rules of libca: what a sequence of beacons means."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from caclient.protocol.beacons import CAPACITY, NEWCOMERS, BeaconWatch, Verdict

SERVER = ("192.168.1.5", 5064)
OTHER = ("192.168.1.6", 5064)


def regular(period=10.0, started=0.0):
    """A watch that knows SERVER's interval; its last beacon had number 2 and came at `2 * period`."""
    watch = BeaconWatch(started)
    assert watch.heard(SERVER, 0, 0.0) is Verdict.FIRST
    watch.heard(SERVER, 1, period)
    assert watch.heard(SERVER, 2, 2 * period) is Verdict.USUAL
    return watch


def test_the_first_beacon_of_an_unknown_server_says_nothing():
    watch = BeaconWatch(now=0.0)
    verdict = watch.heard(SERVER, 5, 100.0)
    assert verdict is Verdict.FIRST
    assert not verdict.boosts
    assert not verdict.vouches
    assert verdict.doubts
    assert SERVER in watch
    assert OTHER not in watch
    assert watch.period(SERVER) is None
    assert watch.heard_at(SERVER) == 100.0


def test_a_server_that_was_there_before_us_is_no_anomaly():
    watch = BeaconWatch(now=100.0)
    watch.heard(SERVER, 70, 103.0)
    assert watch.heard(SERVER, 71, 118.0) is Verdict.SECOND
    assert watch.heard(SERVER, 72, 133.0) is Verdict.USUAL
    assert watch.anomalies == 0
    assert watch.period(SERVER) == 15.0


def test_a_server_that_comes_up_after_us_is_an_anomaly_at_its_second_beacon():
    watch = BeaconWatch(now=0.0)
    watch.heard(SERVER, 0, 50.0)
    assert watch.heard(SERVER, 0, 50.02) is Verdict.IGNORED  # an IOC's first two beacons both carry 0
    verdict = watch.heard(SERVER, 1, 50.06)
    assert verdict is Verdict.NEW
    assert verdict.boosts
    assert watch.anomalies == 1


def test_an_interval_of_exactly_our_age_is_new():
    watch = BeaconWatch(now=0.0)
    watch.heard(SERVER, 0, 16.0)
    assert watch.heard(SERVER, 1, 32.0) is Verdict.NEW


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (0.0625, Verdict.RESTARTED),
        (0.75, Verdict.RESTARTED),
        (0.8125, Verdict.USUAL),
        (1.0, Verdict.USUAL),
        (1.1875, Verdict.USUAL),
        (1.25, Verdict.LATE),
        (3.1875, Verdict.LATE),
        (3.25, Verdict.GAP),
        (100.0, Verdict.GAP),
    ],
)
def test_intervals_are_compared_with_the_average(factor, verdict):
    watch = regular(period=16.0)
    assert watch.heard(SERVER, 3, 32.0 + factor * 16.0) is verdict
    assert watch.anomalies == verdict.boosts
    assert watch.period(SERVER) == 16.0 * (factor / 8 + 7 / 8)


@pytest.mark.parametrize(("verdict", "effects"), [
    (Verdict.FIRST, (False, False, True)),
    (Verdict.SECOND, (False, False, True)),
    (Verdict.NEW, (True, False, True)),
    (Verdict.IGNORED, (False, False, False)),
    (Verdict.USUAL, (False, True, False)),
    (Verdict.LATE, (False, False, True)),
    (Verdict.GAP, (True, False, True)),
    (Verdict.RESTARTED, (True, False, True)),
])  # fmt: skip
def test_what_to_do_about_each_verdict(verdict, effects):
    assert (verdict.boosts, verdict.vouches, verdict.doubts) == effects


@pytest.mark.parametrize("advance", [0, 2, 3, -1, -256])
def test_echoes_and_small_losses_do_not_touch_the_interval(advance):
    watch = regular(period=10.0)
    assert watch.heard(SERVER, (2 + advance) % 2**32, 21.0) is Verdict.IGNORED
    assert watch.heard_at(SERVER) == 20.0
    assert watch.heard(SERVER, (3 + advance) % 2**32, 30.0) is Verdict.USUAL


@pytest.mark.parametrize("advance", [1, 4, 1000, -257, -5000])
def test_other_steps_are_judged(advance):
    assert regular(period=10.0).heard(SERVER, (2 + advance) % 2**32, 30.0) is Verdict.USUAL


def test_the_sequence_number_wraps():
    watch = BeaconWatch(now=0.0)
    for step in range(4):
        verdict = watch.heard(SERVER, (0xFFFFFFFE + step) % 2**32, 10.0 * step)
    assert verdict is Verdict.USUAL


def test_servers_before_minor_version_10_have_no_sequence():
    watch = BeaconWatch(now=0.0)
    for step in range(3):
        verdict = watch.heard(SERVER, 0, 10.0 * step, version=9)
    assert verdict is Verdict.USUAL


def test_a_long_gap_makes_the_following_ones_too_early():
    watch = regular(period=10.0)
    verdicts = [watch.heard(SERVER, 3 + i, 60.0 + 10.0 * i) for i in range(6)]
    assert verdicts == [Verdict.GAP] + [Verdict.RESTARTED] * 4 + [Verdict.USUAL]


def test_a_restarted_server_is_told_by_its_quick_beacons():
    watch = regular(period=15.0)
    start = 40.0
    verdicts = [watch.heard(SERVER, n, start + dt) for n, dt in [(0, 0), (0, 0.02), (1, 0.062), (2, 0.142)]]
    assert verdicts == [Verdict.IGNORED, Verdict.IGNORED, Verdict.RESTARTED, Verdict.RESTARTED]


def test_after_the_end_of_its_circuit_a_server_starts_afresh():
    watch = regular(period=10.0)
    watch.forget(SERVER)
    watch.forget(OTHER)
    assert watch.period(SERVER) is None
    assert watch.heard(SERVER, 9, 1000.0) is Verdict.FIRST
    assert watch.heard(SERVER, 10, 1010.0) is Verdict.NEW
    assert watch.heard(SERVER, 11, 1020.0) is Verdict.USUAL


def test_servers_do_not_disturb_each_other():
    watch = regular(period=10.0)
    assert watch.heard(OTHER, 3, 21.0) is Verdict.FIRST
    assert watch.heard(SERVER, 3, 30.0) is Verdict.USUAL
    assert len(watch) == 2


def test_of_a_server_never_heard_nothing_is_known():
    watch = BeaconWatch(now=0.0)
    assert watch.period(SERVER) is None
    assert watch.heard_at(SERVER) is None


@pytest.mark.parametrize(
    ("other", "sequence", "delay", "one"),
    [
        (("10.0.1.1", SERVER[1]), 7, 0.001, True),
        (("10.0.1.1", SERVER[1]), 7, 0.1, False),
        (("10.0.1.1", SERVER[1]), 8, 0.001, False),
        (("10.0.1.1", SERVER[1] + 1), 7, 0.001, False),
    ],
)
def test_a_server_on_two_networks_keeps_step_with_itself(other, sequence, delay, one):
    watch = BeaconWatch(now=0.0)
    watch.heard(SERVER, 7, 1.0)
    assert not watch.in_step(SERVER, other)
    watch.heard(other, sequence, 1.0 + delay)
    assert watch.in_step(SERVER, other) is one
    watch.forget(other)
    assert not watch.in_step(SERVER, other)


def test_the_tables_are_bounded_and_forget_the_one_not_heard_for_longest():
    watch = BeaconWatch(now=0.0, capacity=3, newcomers=3)
    for beacon in range(2):
        for port in (1, 2, 3):
            watch.heard(("10.0.0.1", port), beacon, 15.0 * beacon + port)
    watch.heard(("10.0.0.1", 1), 2, 35.0)
    for beacon in range(2):
        watch.heard(("10.0.0.1", 4), beacon, 36.0 + beacon)
    assert len(watch) == 3
    assert ("10.0.0.1", 2) not in watch
    assert ("10.0.0.1", 1) in watch
    for port in (5, 6, 7, 8):
        watch.heard(("10.0.0.1", port), 0, 40.0)
    assert ("10.0.0.1", 5) not in watch
    assert ("10.0.0.1", 8) in watch
    assert len(watch) == 6


def test_addresses_that_somebody_makes_up_drive_out_no_server():
    watch = BeaconWatch(now=0.0)
    for number in range(4):
        watch.heard(SERVER, number, 15.0 * number)
    for address in range(50_000):
        assert watch.heard((f"10.{address % 256}.{address // 256}.1", 5064), 0, 50.0) is Verdict.FIRST
    assert watch.heard(SERVER, 4, 60.0) is Verdict.USUAL
    assert len(watch) <= CAPACITY + NEWCOMERS


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.integers(0, 20))))
def test_any_beacons_leave_the_table_bounded(beacons):
    watch = BeaconWatch(now=0.0, capacity=4, newcomers=2)
    now = 0.0
    anomalies = 0
    for port, sequence, wait, version in beacons:
        now += wait
        anomalies += watch.heard(("10.0.0.1", port), sequence, now, version).boosts
        assert len(watch) <= 6
    assert watch.anomalies == anomalies


def test_beacons_read_in_one_go_say_nothing_of_the_interval():
    watch = BeaconWatch(now=0.0)
    verdicts = [watch.heard(SERVER, number, 20.0) for number in range(3)]  # all that waited in the socket
    assert verdicts == [Verdict.FIRST, Verdict.IGNORED, Verdict.IGNORED]
    assert watch.heard(SERVER, 3, 35.0) is Verdict.NEW
    assert watch.heard(SERVER, 4, 35.0) is Verdict.IGNORED
    assert watch.heard(SERVER, 5, 50.0) is Verdict.USUAL
    assert watch.period(SERVER) == 15.0
