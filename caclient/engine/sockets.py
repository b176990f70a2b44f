"""Sockets as Channel Access wants them, and the addresses of this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from caclient.config import Config

Address = tuple[str, int]

_RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked for datagrams: replies to thousands of searches arrive at once, and what does not fit is lost."""


def tcp_socket() -> socket.socket:
    """A non-blocking TCP socket that sends at once and notices dead peers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def bcast_socket(mcast_ttl: int = 1) -> socket.socket:
    """A UDP socket on an ephemeral port that may broadcast and multicast; blocking, as Python makes them."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, mcast_ttl)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    sock.bind(("", 0))
    return sock


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
    except OSError:
        return None


def is_numeric(host: str) -> bool:
    """Whether a host is given as a dotted address, so that no look-up is needed."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True
