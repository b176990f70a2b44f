"""The sockets that a server listens on, bound as EPICS servers bind theirs."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from dataclasses import dataclass, field

from caclient.config import Address, Config
from caclient.engine.sockets import enlarge, interface_addresses, resolve

_ANY = "0.0.0.0"
_BACKLOG = 512
"""Circuits that may come in at once, as after a restart; the kernel may permit fewer."""
_TRIES = 50
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


@dataclass
class Listeners:
    """Open sockets. Each UDP socket comes with the one to answer from: broadcasts are answered by unicast."""

    host: str
    udp_port: int
    tcp_port: int
    tcp: list[socket.socket] = field(default_factory=list)
    udp: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def close(self) -> None:
        """Close all of them."""
        for sock in (*self.tcp, *(receiver for receiver, _ in self.udp)):
            sock.close()


def open_listeners(config: Config, udp_port: int, tcp_port: int) -> Listeners:
    """Bind every interface of the configuration; OSError if searches cannot be heard.

    A port of 0 is any free one, the same for UDP and TCP. A TCP port that is taken gives way to a free one, which the
    search answers tell.
    """
    hosts, groups = _interfaces(config)
    if udp_port:
        return _open(hosts, groups, udp_port, _bound_tcp(hosts, tcp_port or udp_port))
    for _ in range(_TRIES):
        tcp = _bound_tcp(hosts, tcp_port)
        try:
            return _open(hosts, groups, tcp[0].getsockname()[1], tcp, shared=False)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
    raise OSError(errno.EADDRINUSE, f"no port free for both TCP and UDP on {hosts[0]}")


def _interfaces(config: Config) -> tuple[list[str], list[str]]:
    """Addresses to bind and multicast groups to join."""
    listed = [resolve(host) or host for host, _ in config.intf_addr_list]
    groups = [host for host in listed if _is_multicast(host)]
    return [host for host in listed if host not in groups] or [_ANY], groups


def _is_multicast(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_multicast
    except ValueError:
        return False


def _open(hosts: list[str], groups: list[str], port: int, tcp: list[socket.socket], shared: bool = True) -> Listeners:
    listeners = Listeners(hosts[0], port, tcp[0].getsockname()[1], tcp)
    try:
        for host in hosts:
            _open_udp(listeners, host, port, groups, shared)
        for sock in tcp:
            sock.listen(_BACKLOG)
    except OSError:
        listeners.close()
        raise
    return listeners


def _open_udp(listeners: Listeners, host: str, port: int, groups: list[str], shared: bool) -> None:
    """One interface: its own socket and, if it is a particular one, a second for its broadcasts."""
    sock = _bound_udp((host, port), shared)
    listeners.udp.append((sock, sock))
    for group in groups:
        membership = socket.inet_aton(group) + socket.inet_aton(host)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    broadcast = dict(interface_addresses()).get(host) if host != _ANY else None
    if broadcast is not None and broadcast != host and sys.platform != "win32":
        listeners.udp.append((_bound_udp((broadcast, port), shared), sock))


def _bound_tcp(hosts: list[str], port: int) -> list[socket.socket]:
    """One socket for each host, all on the same port: the one wanted, or else any that is free."""
    try:
        return _bind_all(hosts, port)
    except OSError as error:
        if error.errno not in _TAKEN or not port:
            raise
        return _bind_all(hosts, 0)


def _bind_all(hosts: list[str], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for host in hosts:
            sock = _socket(socket.SOCK_STREAM, reuse=True)
            bound.append(sock)
            sock.bind((host, port))
            port = sock.getsockname()[1]
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bound_udp(address: Address, shared: bool) -> socket.socket:
    sock = _socket(socket.SOCK_DGRAM, reuse=shared)
    try:
        enlarge(sock)
        if shared and hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _socket(kind: socket.SocketKind, reuse: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    if reuse:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock
