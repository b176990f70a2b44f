"""How a server says that it is up: quickly at first, then at its period."""

from __future__ import annotations

import logging
import socket

from caclient.config import Address, Config
from caclient.engine.sockets import bcast_socket, interface_addresses, resolve
from caclient.protocol.commands import MINOR_VERSION, Beacon

logger = logging.getLogger("caclient.ioc")

_FIRST_INTERVAL = 0.02


class BeaconSchedule:
    """Intervals double from 20 ms to the period. The first two beacons both carry the number 0, as EPICS IOCs' do."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._interval = min(_FIRST_INTERVAL, period)
        self._sent = 0

    def next(self) -> tuple[int, float]:
        """The number of the beacon to send now, and the seconds until the next."""
        number, interval = max(0, self._sent - 1) & 0xFFFFFFFF, self._interval
        self._interval = min(interval * 2, self._period)
        self._sent += 1
        return number, interval


class Beacons:
    """Sends beacons where the configuration wants them. Server thread."""

    def __init__(self, config: Config, tcp_port: int, destinations: list[Address]) -> None:
        self._schedule = BeaconSchedule(config.beacon_period)
        self._tcp_port = tcp_port
        self._destinations = destinations
        self._failed: set[Address] = set()
        self._socket: socket.socket = bcast_socket(config.mcast_ttl)
        self._socket.setblocking(False)

    def send(self) -> float:
        """Send one; the seconds until the next. Whoever cannot be reached is logged once until that changes."""
        number, interval = self._schedule.next()
        beacon = Beacon(MINOR_VERSION, self._tcp_port, number).to_bytes()
        for destination in self._destinations:
            self._send_to(destination, beacon)
        return interval

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_to(self, destination: Address, beacon: bytes) -> None:
        try:
            self._socket.sendto(beacon, destination)
        except OSError as error:
            if destination not in self._failed:
                self._failed.add(destination)
                logger.warning("no beacons to %s:%d: %s", *destination, error)
        else:
            self._failed.discard(destination)


def beacon_destinations(config: Config) -> list[Address]:
    """Where beacons go: the list and, if automatic, the interfaces' broadcast addresses. May look up names."""
    listed = [(address, port) for host, port in config.beacon_addr_list if (address := resolve(host)) and port]
    if not config.auto_beacon_addr_list:
        return listed
    served = {host for host, _ in config.intf_addr_list}
    found = [broadcast for address, broadcast in interface_addresses() if not served or address in served]
    if "127.0.0.1" in served or not found:
        found.append("127.0.0.1")
    return list(dict.fromkeys([*listed, *((host, config.beacon_port) for host in found)]))
