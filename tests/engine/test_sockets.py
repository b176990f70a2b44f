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


@pytest.mark.parametrize(("patience", "seconds"), [(30.0, 30), (0.1, 5), (1e9, 3600)])
def test_a_half_open_connection_is_given_up_in_time(patience, seconds):
    """Silence by keep-alive, bytes that nobody acknowledges by TCP_USER_TIMEOUT: where the system has them."""
    with sockets.tcp_socket(patience) as sock:

        def option(name):
            return sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))

        if hasattr(socket, "TCP_KEEPIDLE"):
            assert option("TCP_KEEPIDLE") + option("TCP_KEEPCNT") * option("TCP_KEEPINTVL") <= seconds
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert option("TCP_USER_TIMEOUT") == 1000 * seconds


def test_an_option_that_is_refused_is_done_without(monkeypatch):
    class Refusing(socket.socket):
        def setsockopt(self, level, option, value):
            if level == socket.IPPROTO_TCP and option != socket.TCP_NODELAY:
                raise OSError(92, "Protocol not available")
            super().setsockopt(level, option, value)

    monkeypatch.setattr(sockets.socket, "socket", Refusing)
    with sockets.tcp_socket(30.0) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("most", [0, 300_000, 2_000_000])
def test_a_system_that_allows_less_receive_buffer_is_asked_for_less(monkeypatch, most):
    """BSD and macOS refuse with ENOBUFS what others cut; searching goes on with what there is."""
    asked = []

    class Small(socket.socket):
        def setsockopt(self, level, option, value):
            if option == socket.SO_RCVBUF and level == socket.SOL_SOCKET:
                asked.append(value)
                if value > most:
                    raise OSError(105, "No buffer space available")
            super().setsockopt(level, option, value)

    monkeypatch.setattr(sockets.socket, "socket", Small)
    with sockets.bcast_socket() as sock:
        assert sock.getsockname()[1]
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] <= most or most == 0


def test_a_socket_that_cannot_be_used_is_closed(monkeypatch):
    made = []

    class Unbound(socket.socket):
        def bind(self, address):
            made.append(self)
            raise OSError(98, "Address already in use")

    monkeypatch.setattr(sockets.socket, "socket", Unbound)
    with pytest.raises(OSError, match="in use"):
        sockets.bcast_socket()
    assert made[0].fileno() == -1


@pytest.mark.parametrize("host", ["x" * 300, "a..b", "b\udcff", "." * 70, "\u00e9" * 64])
def test_what_cannot_be_a_host_has_no_address(host):
    """Not only OSError: a UnicodeError ended the look-up of all that stood behind it in the list."""
    assert sockets.resolve(host) is None


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
