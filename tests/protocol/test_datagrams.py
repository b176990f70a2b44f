"""What is said in datagrams only."""

from __future__ import annotations

from caclient.protocol.datagrams import Beacon, RepeaterConfirmResponse, RepeaterRegisterRequest


def test_registration_of_the_walk_through() -> None:
    assert RepeaterRegisterRequest("").to_bytes() == b"\x00\x18" + bytes(14)
    assert RepeaterRegisterRequest("127.0.0.1").client_address == "127.0.0.1"


def test_confirmation_of_the_walk_through() -> None:
    confirm = RepeaterConfirmResponse("127.0.0.1")
    assert confirm.to_bytes() == b"\x00\x11" + bytes(10) + b"\x7f\x00\x00\x01"
    assert confirm.repeater_address == "127.0.0.1"


def test_beacon() -> None:
    beacon = Beacon(13, 5064, 7, "192.0.2.9")
    assert beacon.to_bytes() == bytes.fromhex("000d0000000d13c800000007c0000209")
    assert repr(beacon) == "Beacon(version=13, server_port=5064, beacon_id=7, address='192.0.2.9')"
    assert Beacon(13, 5064, 7).address == "0.0.0.0"
