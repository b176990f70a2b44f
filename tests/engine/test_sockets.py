"""Sockets with the options CA wants, and which addresses are searched."""

from __future__ import annotations

import ipaddress
import socket
from types import SimpleNamespace

import ifaddr
import pytest

from caclient.config import Config
from caclient.engine import sockets


def adapter(*ips):
    return SimpleNamespace(ips=[SimpleNamespace(is_IPv4=":" not in ip, ip=ip, network_prefix=bits) for ip, bits in ips])


@pytest.fixture
def adapters(monkeypatch):
    """What the machine is said to have."""
    found = [
        adapter(("127.0.0.1", 8)),
        adapter(("10.1.2.3", 16), ("fe80::1", 64)),
        adapter(("192.168.7.9", 24)),
        adapter(("10.1.9.9", 16)),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: found)
    return found


def test_a_tcp_socket_never_blocks_and_sends_at_once():
    with sockets.tcp_socket() as sock:
        assert sock.getblocking() is False
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_udp_socket_may_broadcast_and_multicast():
    with sockets.bcast_socket(3) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 3
        assert sock.getsockname()[1] != 0


def test_each_interface_has_a_broadcast_address_but_loopback(adapters):
    assert sockets.interface_addresses() == [
        ("10.1.2.3", "10.1.255.255"),
        ("192.168.7.9", "192.168.7.255"),
        ("10.1.9.9", "10.1.255.255"),
    ]
    assert sockets.broadcast_addresses() == ["10.1.255.255", "192.168.7.255"]
    assert sockets.local_addresses() == {"127.0.0.1", "10.1.2.3", "192.168.7.9", "10.1.9.9"}


def test_without_interfaces_loopback_is_searched(monkeypatch):
    def fail():
        raise OSError("no interfaces")

    monkeypatch.setattr(ifaddr, "get_adapters", fail)
    assert sockets.interface_addresses() == []
    assert sockets.broadcast_addresses() == ["127.0.0.1"]


def test_the_addresses_of_this_very_machine_are_addresses():
    for address, broadcast in sockets.interface_addresses():
        assert ipaddress.IPv4Address(address) and ipaddress.IPv4Address(broadcast)


def test_searches_go_to_the_interfaces_first_each_address_once(adapters):
    config = Config(addr_list="1.2.3.4 10.1.255.255:5064 some.host:99", auto_addr_list=True)
    assert sockets.search_addresses(config) == [
        ("10.1.255.255", 5064),
        ("192.168.7.255", 5064),
        ("1.2.3.4", 5064),
        ("some.host", 99),
    ]
    assert sockets.get_address_list(config) == ["10.1.255.255", "192.168.7.255", "1.2.3.4", "some.host"]
    listed = Config(addr_list="1.2.3.4:5 1.2.3.4:6", auto_addr_list=False)
    assert sockets.get_address_list(listed) == ["1.2.3.4"]
    assert sockets.search_addresses(listed) == [("1.2.3.4", 5), ("1.2.3.4", 6)]


def test_the_address_list_is_that_of_the_environment_by_default(monkeypatch):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "9.8.7.6")
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "NO")
    assert sockets.get_address_list() == ["9.8.7.6"]


def test_names_are_resolved_and_numbers_need_not_be(monkeypatch):
    assert sockets.resolve("localhost") == "127.0.0.1"

    def fail(host):
        raise socket.gaierror

    monkeypatch.setattr(socket, "gethostbyname", fail)
    assert sockets.resolve("no.such.host") is None
    assert sockets.is_numeric("10.0.0.1")
    assert not sockets.is_numeric("some.host")
