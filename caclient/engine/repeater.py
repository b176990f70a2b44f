"""The host's repeater as sockets: what owns the beacon port, in the daemon or in one of the clients.

The rules are in `protocol/fanout.py`. Each client is sent to from a connected socket of its own, because only then does
the kernel tell that a client has gone. The port is owned without SO_REUSEADDR: that is how the programs of a host agree
on which of them is the repeater.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from typing_extensions import Self

from caclient.config import Config
from caclient.protocol.commands import RepeaterRegisterRequest
from caclient.protocol.fanout import REPEATER_CONFIRM, Address, Fanout

MAX_DATAGRAM = 65536
_QUESTIONS = 4
"""How often a registration is tried: a datagram may be lost."""
_CONFIRM = REPEATER_CONFIRM.to_bytes(2, "big")


class Repeater:
    """Owns the beacon port, and a socket for each client. One thread; `receive` waits unless `blocking` is false.

    :raises OSError: EADDRINUSE if another repeater is running.
    """

    def __init__(self, port: int, blocking: bool = True) -> None:
        self.fanout = Fanout(is_local=self._is_local, is_alive=self._is_alive)
        self._spare: socket.socket | None = (
            None  # a descriptor kept for finding out who is alive when there is no other
        )
        self._outlets: dict[Address, socket.socket] = {}
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(blocking)
        try:
            self._sock.bind(("0.0.0.0", port))
            self._spare = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            self._sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """Where beacons and registrations are received."""
        host, port = self._sock.getsockname()
        return host, port

    def join(self, groups: Iterable[str]) -> list[str]:
        """Receive what is sent to these multicast groups too; gives what went wrong, one line each."""
        problems = []
        for group in groups:
            try:
                membership = socket.inet_aton(group) + socket.inet_aton("0.0.0.0")
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            except OSError as error:
                problems.append(f"multicast group {group} cannot be joined: {error.strerror}")
        return problems

    def fileno(self) -> int:
        """What a selector waits for."""
        return self._sock.fileno()

    def receive(self) -> tuple[bytes, Address] | None:
        """Take one datagram and do what it asks for: the datagram and its source, None if there is none after all."""
        try:
            datagram, source = self._sock.recvfrom(MAX_DATAGRAM)
        except (ConnectionError, BlockingIOError):
            return None  # Windows tells here of a client that has gone
        for client, copy in self.fanout.received(datagram, source):
            self._send(client, copy)
        for client in [client for client in self._outlets if client not in self.fanout]:
            self._outlets.pop(client).close()
        return datagram, source

    def close(self) -> None:
        """Let the port go."""
        for sock in (self._sock, self._spare, *self._outlets.values()):
            if sock is not None:
                sock.close()
        self._outlets.clear()

    def _send(self, client: Address, datagram: bytes) -> None:
        try:
            self._outlet(client).send(datagram)
        except ConnectionRefusedError:
            # of an earlier datagram: meanwhile another client may have come up on that port
            if self._is_alive(client):
                self._send_again(client, datagram)
            else:
                self.fanout.dead(client)
        except OSError:
            pass  # a full buffer or so: lost, as any datagram may be

    def _is_local(self, ip: str) -> bool:
        with self._descriptor():
            return is_local(ip)

    def _is_alive(self, client: Address) -> bool:
        with self._descriptor():
            return is_alive(client)

    @contextmanager
    def _descriptor(self) -> Iterator[None]:
        """One descriptor is free within, also at the limit."""
        if self._spare is not None:
            self._spare.close()
        yield
        try:
            self._spare = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            self._spare = None

    def _send_again(self, client: Address, datagram: bytes) -> None:
        try:
            self._outlet(client).send(datagram)
        except OSError:
            self.fanout.dead(client)

    def _outlet(self, client: Address) -> socket.socket:
        outlet = self._outlets.get(client)
        if outlet is None:
            outlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            outlet.setblocking(False)
            outlet.connect(client)
            self._outlets[client] = outlet
        return outlet


def is_local(ip: str) -> bool:
    """Whether an IP address is one of this host's: a socket can be bound to it."""
    return _can_bind((ip, 0))


def is_alive(client: Address) -> bool:
    """Whether somebody owns a port of this host: no other socket can be bound to it."""
    return not _can_bind(("0.0.0.0", client[1]))


def multicast_groups(config: Config) -> list[str]:
    """The groups that beacons may come by: those of the beacon destinations, or else of the search destinations."""
    for addresses in (config.beacon_addr_list, config.addr_list):
        groups = [host for host, _ in addresses if _is_multicast(host)]
        if groups:
            return groups
    return []


def is_served(port: int, timeout: float = 1.0) -> bool:
    """Whether it is a repeater that owns the port: it confirms a registration. Waits, *timeout* seconds at the most."""
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(timeout / _QUESTIONS)
        while time.monotonic() < deadline:
            try:
                sock.sendto(RepeaterRegisterRequest("127.0.0.1").to_bytes(), ("127.0.0.1", port))
                datagram, source = sock.recvfrom(MAX_DATAGRAM)
            except (TimeoutError, ConnectionError):
                continue
            if datagram[:2] == _CONFIRM and is_local(source[0]):
                return True
    return False


def _can_bind(address: Address) -> bool:
    """False too if there is no descriptor to find out with: nobody new is believed then, and nobody given up."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(address)
    except OSError:
        return False
    return True


def _is_multicast(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_multicast
    except ValueError:
        return False  # a host name
