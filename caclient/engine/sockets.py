"""Sockets as Channel Access wants them, and the addresses of this machine."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable

from caclient.config import Config

Address = tuple[str, int]

_RECEIVE_BUFFERS = (4 * 1024 * 1024, 1024 * 1024, 256 * 1024)
"""Bytes asked for datagrams: replies to thousands of searches arrive at once, and what does not fit is lost.

Some systems refuse what is more than they allow, instead of giving less.
"""
_LEAST_PATIENCE = 5.0
"""Seconds that a peer has at the least before its system counts as gone: it may be no more than busy."""


def tcp_socket(patience: float | None = None) -> socket.socket:
    """A non-blocking TCP socket that sends at once and notices dead peers, within *patience* seconds where it can.

    A suspended laptop, or a cable that was pulled, leaves connections that only look alive. Bytes that nobody
    acknowledges end one by TCP_USER_TIMEOUT, silence by keep-alive.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if patience is not None:
        for option, value in _keep_alive(patience):
            try:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
            except OSError:
                pass  # the system's own patience has to do
    return sock


def _keep_alive(patience: float) -> list[tuple[int, int]]:
    """TCP options with which a silent peer is given up after about so many seconds: those that the system has."""
    seconds = min(max(patience, _LEAST_PATIENCE), 3600.0)
    idle, interval = max(1, int(0.4 * seconds)), max(1, int(0.15 * seconds))
    wanted = {
        "TCP_KEEPIDLE": idle,
        "TCP_KEEPALIVE": idle,  # macOS' name of it
        "TCP_KEEPINTVL": interval,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": int(1000 * seconds),
    }
    return [(getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)]


def bcast_socket(mcast_ttl: int = 1) -> socket.socket:
    """A UDP socket on an ephemeral port that may broadcast and multicast; blocking, as Python makes them.

    :raises OSError: if there is no descriptor, or no IPv4 at all.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, mcast_ttl)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        enlarge(sock)
        sock.bind(("", 0))
    except OSError:
        sock.close()
        raise
    return sock


def enlarge(sock: socket.socket) -> None:
    """Ask for a large receive buffer, and for less where that is refused; what the system gives by itself has to do."""
    for size in _RECEIVE_BUFFERS:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        except OSError:
            continue
        return


def interface_addresses() -> list[tuple[str, str]]:
    """(address, broadcast address) of each IPv4 interface that has one, loopback left out; never raises."""
    import ifaddr  # runs a program when imported (on Linux), which ``import caclient`` must not

    found = []
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return []
    for adapter in adapters:
        for ip in adapter.ips:
            if ip.is_IPv4 and isinstance(ip.ip, str) and not ip.ip.startswith("127."):
                network = ipaddress.IPv4Network(f"{ip.ip}/{ip.network_prefix}", strict=False)
                found.append((ip.ip, str(network.broadcast_address)))
    return found


def broadcast_addresses() -> list[str]:
    """Where an automatic search goes: each interface's broadcast address, or loopback if there is none."""
    return list(dict.fromkeys(broadcast for _, broadcast in interface_addresses())) or ["127.0.0.1"]


def local_addresses() -> set[str]:
    """Every IPv4 address of this machine."""
    return {"127.0.0.1", *(address for address, _ in interface_addresses())}


def search_addresses(config: Config) -> list[Address]:
    """The destinations of a search in libca's order, duplicates dropped; names are not resolved here."""
    automatic: Iterable[Address] = ()
    if config.auto_addr_list:
        automatic = [(host, config.server_port) for host in broadcast_addresses()]
    return list(dict.fromkeys([*automatic, *config.addr_list]))


def get_address_list(config: Config | None = None) -> list[str]:
    """The hosts that a search goes to, from EPICS_CA_ADDR_LIST and EPICS_CA_AUTO_ADDR_LIST unless a config is given."""
    return list(dict.fromkeys(host for host, _ in search_addresses(config or Config.from_env())))


def resolve(host: str) -> str | None:
    """The first IPv4 address of a host name, None if it has none. May take seconds. *Any thread but the engine's.*"""
    try:
        return socket.gethostbyname(host)
    except (OSError, ValueError):  # a ValueError (UnicodeError) if it cannot be the name of a host at all
        return None


def is_numeric(host: str) -> bool:
    """Whether a host is given as a dotted address, so that no look-up is needed."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def errno_name(code: int | None) -> str:
    """A system error as people look it up."""
    return errno.errorcode.get(code or 0, str(code))
