"""Datagrams from somebody who is no server at all: search replies, beacons, confirmations, rubbish."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from typing_extensions import Self

from caclient.protocol import commands as ca

_HOST = "127.0.0.1"


class Forger:
    """A UDP socket on loopback, by default on an address that no server has; a context manager."""

    def __init__(self, host: str = "127.0.0.66", seed: int = 1) -> None:
        self.random = random.Random(seed)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sock.bind((host, 0))
        except OSError:  # systems whose loopback has one address only
            self._sock.bind((_HOST, 0))
        self.host: str = self._sock.getsockname()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, to: tuple[str, int], *messages: ca.Command | bytes) -> None:
        """One datagram with these messages."""
        self._sock.sendto(b"".join(m if isinstance(m, bytes) else m.to_bytes() for m in messages), to)

    def search_replies(self, to: tuple[str, int], cids: Iterable[int], port: int, ip: str | None = _HOST) -> None:
        """Claim channels for that TCP port (`ip` None: of the sender's address); many in a datagram."""
        replies = [ca.SearchResponse(port, ip, cid).to_bytes() for cid in cids]
        for start in range(0, len(replies), 40):
            self.send(to, ca.VersionResponse(), *replies[start : start + 40])

    def beacons(self, to: tuple[str, int], number: int, addresses: int | None = None) -> None:
        """Beacons of servers that do not exist, each of another address (or of so many by turns)."""
        for index in range(number):
            host = self.random.getrandbits(32) if addresses is None else 0x0A000000 + index % addresses
            self.send(to, ca.Beacon(13, 5064, index, socket.inet_ntoa(host.to_bytes(4, "big"))))

    def confirm(self, to: tuple[str, int]) -> None:
        """Say that there is a repeater."""
        self.send(to, ca.RepeaterConfirmResponse(_HOST))

    def rubbish(self, to: tuple[str, int], number: int) -> None:
        """Datagrams of anything, some of which begin like a message."""
        for _ in range(number):
            body = self.random.randbytes(self.random.randrange(0, 200))
            start = bytes((0, self.random.choice((0, 6, 13, 14, 17, 24)))) if self.random.random() < 0.7 else b""
            self.send(to, start + body)
