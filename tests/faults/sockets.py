"""Sockets of a server that serves, or of one that only looks as if it did."""

from __future__ import annotations

import enum
import socket

_HOST = "127.0.0.1"


class Tcp(enum.Enum):
    """What becomes of connections."""

    SERVE = "served"
    REFUSE = "refused with RST"
    SILENT = "accepted by the kernel, and never a word"
    NEVER = "never established: SYN goes unanswered"


def open_udp(port: int) -> tuple[socket.socket, int]:
    """A bound socket and its port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((_HOST, port))
    return sock, sock.getsockname()[1]


def open_tcp(tcp: Tcp, port: int) -> tuple[list[socket.socket], int]:
    """A listener (or what seems one) first, then what keeps it as it is; and its port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((_HOST, port))
    port = sock.getsockname()[1]
    if tcp is not Tcp.REFUSE:
        sock.listen(0 if tcp is Tcp.NEVER else 20)
    fillers = _fill_backlog(port) if tcp is Tcp.NEVER else []
    return [sock, *fillers], port


def _fill_backlog(port: int) -> list[socket.socket]:
    """Connections that take every place in a backlog of 0: the kernel drops whatever SYN comes after them."""
    fillers = []
    for _ in range(4):
        filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        filler.setblocking(False)
        filler.connect_ex((_HOST, port))
        fillers.append(filler)
    return fillers
