"""Searching by TCP: name servers that point elsewhere, that are dead, and that come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from caclient import CATimeoutError, Context
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer, Tcp
from tests.ports import free_port
from tests.resilience.watching import Told, eventually, within

Serve = Callable[..., FaultServer]


def ask(*name_servers: FaultServer | tuple[str, int], **settings: Any) -> Context:
    """A context that knows name servers only."""
    addresses = tuple(s if isinstance(s, tuple) else s.tcp_address for s in name_servers)
    return Context(FaultServer().client_config(addr_list=(), name_servers=addresses, **settings))


def test_a_server_is_found_by_tcp_alone(serve: Serve) -> None:
    """No datagram at all, as through a tunnel; the circuit of the search serves the channel as well."""
    server = serve({"x": 1.5})
    with ask(server) as context:
        assert context.pv("x").get() == 1.5
        assert (server.circuits, context._home.searches.datagrams_sent) == (1, 0)


def test_a_name_server_points_elsewhere(serve: Serve) -> None:
    names, ioc = serve(), serve({"x": 1.5, "y": 2.5})
    for name in ("x", "y"):
        names.point(name, ioc)
    with ask(names) as context:
        x, y = context.pv("x"), context.pv("y")
        assert (x.get(), y.get()) == (1.5, 2.5)
        assert (names.circuits, ioc.circuits, ioc.searches) == (1, 1, [])


@pytest.mark.parametrize("version", [None, 11, 12])
def test_an_old_ioc_behind_a_new_name_server(serve: Serve, version: int | None) -> None:
    """T01, T02: what counts is the version told on the circuit, if any: no monitor or read without elements."""
    ioc = serve([Record("x", 1.5), Record("wave", np.arange(5.0), count=8)], version=version)
    names = serve()
    for name in ("x", "wave"):
        names.point(name, ioc)
    with ask(names) as context:
        x, wave = context.pv("x"), context.pv("wave")
        assert x.get() == 1.5
        with wave.updates(timeout=5) as updates:
            assert next(updates).value[:5].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert wave.get(use_monitor=False)[:5].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert all(request.data_count for request in ioc.of(ca.EventAddRequest) + ioc.of(ca.ReadNotifyRequest))


def test_an_old_name_server_is_not_asked(serve: Serve) -> None:
    """A server below 4.12 would close its circuit over a search; names are found by other ways."""
    old, ioc = serve({"x": 6.66}, version=11), serve({"x": 1.5})
    with ask(old, ioc) as context:
        assert context.pv("x").get() == 1.5
    assert old.of(ca.SearchRequest) == []
    assert old.errors == []


def test_dead_name_servers_cost_nothing(serve: Serve) -> None:
    """Closed, black hole, accepting and silent: the PV is found through the living one as fast as ever."""
    closed, hole, silent = ("127.0.0.1", free_port()), serve(tcp=Tcp.NEVER), serve(tcp=Tcp.SILENT)
    ioc = serve({"x": 1.5})
    with ask(closed, hole, silent, ioc) as context, within(1.0):
        assert context.pv("x").get() == 1.5
    with within(3.0):  # T27: and nothing hangs at the end
        ask(closed, hole, silent).close()


def test_a_name_server_that_starts_late_is_used(serve: Serve) -> None:
    names, ioc = FaultServer(), serve({"x": 1.5})
    with names:
        address = names.tcp_address
    with ask(address) as context:
        pv = context.pv("x")
        eventually(lambda: context._home.name_servers.servers[0].note)
        names.point("x", ioc)
        with names:
            assert pv.wait_for_connection(10)
            assert pv.get() == 1.5


def test_a_name_server_that_comes_back_is_used_again(serve: Serve) -> None:
    names, ioc, told = FaultServer(), serve({"x": 1.5}), Told()
    names.point("x", ioc)
    with names, ask(names) as context:
        pv = context.pv("x", connection_callback=told)
        assert pv.get() == 1.5
        names.stop(reset=True)
        ioc.drop_clients()
        told.wait_for(True, False)
        names.start()
        told.wait_for(True, False, True)
        assert pv.get() == 1.5


def test_a_name_server_that_hangs_is_left_and_tried_again(serve: Serve) -> None:
    """Its host is gone without a word: the circuit is given up, not waited for until TCP notices."""
    names, ioc = serve(), serve({"x": 1.5})
    names.point("x", ioc)
    with ask(names, conn_timeout=0.2, echo_timeout=0.2) as context:
        eventually(lambda: names.circuits)
        names.stall()
        pv = context.pv("x")
        eventually(lambda: context.report().circuits == () or context.report().circuits[0].state == "connecting")
        names.drop_clients(reset=True)
        names.resume()
        assert pv.wait_for_connection(10)


def test_a_dead_name_server_is_named_by_the_timeout() -> None:
    port = free_port()
    with ask(("127.0.0.1", port)) as context:
        pv = context.pv("x")
        told = f"^network: 'x' .*: searches cannot be sent: 127.0.0.1:{port}: connect failed: ECONNREFUSED"
        eventually(lambda: "ECONNREFUSED" in str(context.report()))
        with pytest.raises(CATimeoutError, match=told):
            pv.get(timeout=0.05)
