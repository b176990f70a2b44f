"""Beacons: when, with which number, where to."""

from __future__ import annotations

import logging
import socket

import pytest

from caclient.config import Config
from caclient.ioc import beacons
from caclient.ioc.beacons import Beacons, BeaconSchedule, beacon_destinations


def test_numbers_and_intervals() -> None:
    schedule = BeaconSchedule(period=0.1)
    sent = [schedule.next() for _ in range(6)]
    assert [number for number, _ in sent] == [0, 0, 1, 2, 3, 4]
    assert [interval for _, interval in sent] == [0.02, 0.04, 0.08, 0.1, 0.1, 0.1]


def test_sends_to_everyone_and_complains_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5.0)
        sender = Beacons(Config.isolated(), 5999, [("256.0.0.1", 5065), receiver.getsockname()])
        with caplog.at_level(logging.WARNING):
            assert [sender.send(), sender.send()] == [0.02, 0.04]
        sender.close()
        assert receiver.recv(64) == b"\x00\x0d\x00\x00\x00\x0d\x17\x6f" + bytes(8)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"beacon_addr_list": "127.0.0.1:5070"}, [("127.0.0.1", 5070)]),
        ({"auto_beacon_addr_list": True, "beacon_port": 5071}, [("127.0.0.1", 5071)]),
        ({"auto_beacon_addr_list": True, "beacon_port": 5071, "intf_addr_list": ()}, [("192.0.2.255", 5071)]),
        (
            {"auto_beacon_addr_list": True, "beacon_port": 5071, "intf_addr_list": "198.51.100.3"},
            [("198.51.100.255", 5071)],
        ),
    ],
)
def test_destinations(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], expected: list[tuple[str, int]]
) -> None:
    interfaces = [("192.0.2.3", "192.0.2.255"), ("198.51.100.3", "198.51.100.255")]
    chosen = interfaces[1:] if settings.get("intf_addr_list") else interfaces[:1]
    monkeypatch.setattr(beacons, "interface_addresses", lambda: chosen)
    assert beacon_destinations(Config.isolated(**settings)) == expected
