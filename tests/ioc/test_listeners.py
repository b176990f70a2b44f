"""Which sockets a server binds."""

from __future__ import annotations

import socket

import pytest

from caclient.config import Config
from caclient.ioc import listeners
from caclient.ioc.listeners import Listeners, open_listeners


def ports(opened: Listeners) -> set[int]:
    return {sock.getsockname()[1] for sock in opened.tcp}


def test_any_free_port_is_the_same_for_both() -> None:
    opened = open_listeners(Config.isolated(), 0, 0)
    opened.close()
    assert opened.tcp_port == opened.udp_port != 0
    assert opened.host == "127.0.0.1"


def test_taken_tcp_port_gives_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        opened = open_listeners(Config.isolated(), port, 0)
        opened.close()
    assert opened.udp_port == port != opened.tcp_port


def test_taken_udp_port_is_an_error_only_if_it_is_wanted() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            open_listeners(Config.isolated(), taken.getsockname()[1], 0)


def test_two_servers_may_share_a_search_port() -> None:
    first = open_listeners(Config.isolated(), 0, 0)
    port = first.udp_port
    first.close()
    shared = [open_listeners(Config.isolated(), port, 0) for _ in range(2)]
    for opened in shared:
        opened.close()
    assert {opened.udp_port for opened in shared} == {port}
    assert shared[0].tcp_port != shared[1].tcp_port


def test_a_system_that_refuses_a_large_receive_buffer_is_no_reason_not_to_serve(monkeypatch) -> None:
    """BSD and macOS, where it is refused with ENOBUFS."""

    class Small(socket.socket):
        def setsockopt(self, level, option, value):
            if (level, option) == (socket.SOL_SOCKET, socket.SO_RCVBUF):
                raise OSError(105, "No buffer space available")
            super().setsockopt(level, option, value)

    monkeypatch.setattr(listeners.socket, "socket", Small)
    opened = open_listeners(Config.isolated(), 0, 0)
    opened.close()
    assert opened.udp_port


def test_several_interfaces_have_one_port() -> None:
    opened = open_listeners(Config.isolated(intf_addr_list="127.0.0.1 127.0.0.2"), 0, 0)
    assert ports(opened) == {opened.tcp_port}
    assert len(opened.udp) == 2
    opened.close()


def test_particular_interface_hears_its_broadcasts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "interface_addresses", lambda: [("127.0.0.2", "127.255.255.255")])
    opened = open_listeners(Config.isolated(intf_addr_list="127.0.0.2"), 0, 0)
    (_, own), (broadcast, answering) = opened.udp
    assert broadcast.getsockname()[0] == "127.255.255.255"
    assert answering is own
    opened.close()


def test_multicast_groups_are_joined_and_not_bound() -> None:
    opened = open_listeners(Config.isolated(intf_addr_list="127.0.0.1 239.1.2.3"), 0, 0)
    assert len(opened.udp) == 1
    opened.close()
