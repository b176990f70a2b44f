"""The repeater's rules: one program per host owns the beacon port, and copies what comes to all clients on that host.

A client registers with an empty datagram or a REPEATER_REGISTER, and is known by its port. Each registration is
confirmed, and makes a VERSION message without content go to all others: to those that have died it cannot be delivered,
which shows without a beacon that they have. There is no message for going away.

Only the first message of a datagram is looked at. A beacon without an address gets that of its sender; all else,
rubbish included, goes on as it came, and never back to its sender.

What only sockets can tell is handed in: whether an IP address is one of this host's, whether a port is still in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct

CAPACITY = 500  # clients on one host; each costs its owner a socket
HEADER_SIZE = 16
RSRV_IS_UP = 13
REPEATER_CONFIRM = 17
REPEATER_REGISTER = 24
NO_OP = bytes(HEADER_SIZE)  # a VERSION message with nothing in it

Address = tuple[str, int]
Outgoing = list[tuple[Address, bytes]]

_COMMAND = Struct(">H")
_CONFIRM = Struct(">H10x4s")


def is_loopback(ip: str) -> bool:
    """Whether an address surely is one of this host's."""
    return ip.startswith("127.")


def with_source(datagram: bytes, ip: str) -> bytes:
    """The datagram with `ip` written into its first message, if that is a beacon without an address."""
    if _command(datagram) != RSRV_IS_UP or datagram[12:16] != b"\0\0\0\0":
        return datagram
    return datagram[:12] + _packed(ip) + datagram[16:]


class Fanout:
    """The clients of a repeater, and what each datagram makes it send.

    At most `capacity` clients: at the limit the dead are sought out, and if there are none the newcomer is refused by
    silence (it asks again), since those that are there may never register a second time.
    """

    def __init__(
        self,
        is_local: Callable[[str], bool] = is_loopback,
        is_alive: Callable[[Address], bool] | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        self.refused = 0
        self._is_local = is_local
        self._is_alive = is_alive
        self._capacity = capacity
        self._clients: dict[int, Address] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Address]:
        return iter(tuple(self._clients.values()))

    def __contains__(self, client: Address) -> bool:
        return self._clients.get(client[1]) == client

    def received(self, datagram: bytes, source: Address) -> Outgoing:
        """What is to be sent, and where to, because of a datagram."""
        if not datagram:
            return self._register(source)
        if _command(datagram) != REPEATER_REGISTER:
            return self._forward(with_source(datagram, source[0]), source)
        rest = datagram[HEADER_SIZE:]
        return self._register(source) + (self._forward(rest, source) if rest else [])

    def dead(self, client: Address) -> None:
        """A client has gone: it could not be sent to, or its port is free. One that is not known is ignored."""
        if client in self:
            del self._clients[client[1]]

    def verify(self) -> None:
        """Drop every client whose port is free."""
        if self._is_alive is not None:
            for client in tuple(self._clients.values()):
                if not self._is_alive(client):
                    self.dead(client)

    def _register(self, source: Address) -> Outgoing:
        ip, port = source
        if not (is_loopback(ip) or self._is_local(ip)):
            self.refused += 1
            return []
        if port not in self._clients and not self._admit(source):
            self.refused += 1
            return []
        client = self._clients[port]  # may have registered by another of this host's addresses before
        confirm = _CONFIRM.pack(REPEATER_CONFIRM, _packed(ip))
        return [(client, confirm), *self._forward(NO_OP, client)]

    def _admit(self, client: Address) -> bool:
        self.verify()
        if len(self._clients) >= self._capacity:
            return False
        self._clients[client[1]] = client
        return True

    def _forward(self, datagram: bytes, source: Address) -> Outgoing:
        return [(client, datagram) for client in self._clients.values() if client != source]


def _command(datagram: bytes) -> int | None:
    return int(_COMMAND.unpack_from(datagram)[0]) if len(datagram) >= HEADER_SIZE else None


def _packed(ip: str) -> bytes:
    return bytes(map(int, ip.split(".")))
