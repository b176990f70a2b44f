"""The repeater's rules."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from caclient.protocol.fanout import NO_OP, Fanout, is_loopback, with_source

ONE, TWO, THREE = ("127.0.0.1", 40001), ("127.0.0.1", 40002), ("127.0.0.1", 40003)
IOC = ("10.1.2.3", 50000)
REGISTER = bytes.fromhex("00180000000000000000000000000000")
CONFIRM = bytes.fromhex("0011000000000000000000007f000001")
BEACON = bytes.fromhex("000d0000000d13c80000000100000000")
PATCHED = bytes.fromhex("000d0000000d13c8000000010a010203")
ADDRESSED = bytes.fromhex("000d0000000d13c800000001c0a80101")


def with_clients(*clients, **options):
    fanout = Fanout(**options)
    for client in clients:
        fanout.received(b"", client)
    return fanout


@pytest.mark.parametrize("datagram", [b"", REGISTER])
def test_both_registrations_are_confirmed(datagram):
    fanout = Fanout()
    assert fanout.received(datagram, ONE) == [(ONE, CONFIRM)]
    assert ONE in fanout
    assert list(fanout) == [ONE]


def test_a_registration_makes_a_no_op_go_to_the_others():
    fanout = with_clients(ONE, TWO)
    assert fanout.received(b"", THREE) == [(THREE, CONFIRM), (ONE, NO_OP), (TWO, NO_OP)]
    assert bytes(16) == NO_OP


def test_a_second_registration_of_the_same_client_is_confirmed_again():
    fanout = with_clients(ONE, TWO)
    assert fanout.received(REGISTER, ONE) == [(ONE, CONFIRM), (TWO, NO_OP)]
    assert len(fanout) == 2


def test_what_follows_a_register_is_forwarded_as_it_is():
    fanout = with_clients(ONE)
    assert fanout.received(REGISTER + BEACON, TWO) == [(TWO, CONFIRM), (ONE, NO_OP), (ONE, BEACON)]


def test_a_beacon_gets_the_address_of_its_sender():
    assert with_clients(ONE, TWO).received(BEACON, IOC) == [(ONE, PATCHED), (TWO, PATCHED)]


def test_a_beacon_with_an_address_keeps_it():
    assert with_clients(ONE).received(ADDRESSED, IOC) == [(ONE, ADDRESSED)]


def test_only_the_first_message_is_looked_at():
    assert with_clients(ONE).received(BEACON + BEACON + REGISTER, IOC) == [(ONE, PATCHED + BEACON + REGISTER)]


@pytest.mark.parametrize("rubbish", [b"x", BEACON[:15], REGISTER[:15], b"\xff" * 16, bytes(16), b"?" * 5000])
def test_all_else_is_forwarded_unchanged(rubbish):
    assert with_clients(ONE).received(rubbish, IOC) == [(ONE, rubbish)]


def test_nothing_goes_back_to_its_sender():
    fanout = with_clients(ONE, TWO)
    assert fanout.received(ADDRESSED, ONE) == [(TWO, ADDRESSED)]
    assert fanout.received(ADDRESSED, ("10.0.0.9", ONE[1])) == [(ONE, ADDRESSED), (TWO, ADDRESSED)]


def test_other_hosts_cannot_register():
    fanout = Fanout()
    assert fanout.received(b"", IOC) == []
    assert fanout.received(REGISTER + BEACON, IOC) == []
    assert len(fanout) == 0
    assert fanout.refused == 2


def test_an_address_of_this_host_is_local():
    fanout = Fanout(is_local=lambda ip: ip == "10.1.2.3")
    assert fanout.received(b"", IOC) == [(IOC, bytes.fromhex("0011000000000000000000000a010203"))]


def test_clients_are_known_by_their_port():
    fanout = with_clients(ONE, is_local=lambda ip: True)
    confirm = bytes.fromhex("0011000000000000000000000a010203")
    assert fanout.received(b"", ("10.1.2.3", ONE[1])) == [(ONE, confirm)]
    assert list(fanout) == [ONE]


def test_the_dead_get_nothing():
    fanout = with_clients(ONE, TWO)
    fanout.dead(ONE)
    fanout.dead(ONE)
    fanout.dead(("10.0.0.1", TWO[1]))
    assert fanout.received(BEACON, IOC) == [(TWO, PATCHED)]


def test_a_newcomer_makes_the_others_be_verified():
    alive = {ONE, TWO, THREE}
    fanout = with_clients(ONE, TWO, is_alive=alive.__contains__)
    alive.remove(ONE)
    assert fanout.received(b"", TWO) == [(TWO, CONFIRM), (ONE, NO_OP)]  # not new
    assert fanout.received(b"", THREE) == [(THREE, CONFIRM), (TWO, NO_OP)]
    assert list(fanout) == [TWO, THREE]


def test_at_the_limit_a_newcomer_is_refused_by_silence():
    fanout = with_clients(ONE, TWO, capacity=2)
    assert fanout.received(b"", THREE) == []
    assert fanout.refused == 1
    assert fanout.received(b"", TWO) == [(TWO, CONFIRM), (ONE, NO_OP)]
    fanout.dead(ONE)
    assert fanout.received(b"", THREE)[0] == (THREE, CONFIRM)


def test_loopback_is_local():
    assert is_loopback("127.0.0.1")
    assert is_loopback("127.1.2.3")
    assert not is_loopback("128.0.0.1")


@given(st.binary(max_size=64))
def test_only_an_empty_beacon_is_changed(datagram):
    patched = with_source(datagram, "10.1.2.3")
    assert len(patched) == len(datagram)
    if patched != datagram:
        assert (datagram[:2], datagram[12:16]) == (b"\0\x0d", bytes(4))


SOURCES = st.tuples(st.sampled_from(["127.0.0.1", "127.0.0.2", "10.0.0.1"]), st.integers(1, 6))


@given(st.lists(st.tuples(st.sampled_from([b"", REGISTER, BEACON, REGISTER + BEACON, b"?"]), SOURCES)))
def test_any_traffic_stays_bounded_and_is_never_reflected(traffic):
    fanout = Fanout(capacity=4)
    for datagram, source in traffic:
        for destination, data in fanout.received(datagram, source):
            assert destination in fanout
            assert destination != source or data[:2] == CONFIRM[:2]
        assert len(fanout) <= 4
