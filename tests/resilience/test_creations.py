"""Servers that answer searches, and then do not make what they were asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caclient import Context
from caclient.protocol import commands as ca, creations as rules
from tests.faults import FaultServer
from tests.faults.forger import Forger
from tests.faults.sockets import Tcp
from tests.resilience.watching import eventually, within

Serve = Callable[..., FaultServer]
Connect = Callable[..., Context]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that a server has for a channel are tenths."""
    monkeypatch.setattr(rules, "PATIENCE", 0.4)
    monkeypatch.setattr("caclient.engine.creations.PATIENCE", 0.4)


@pytest.mark.usefixtures("impatient")
def test_a_request_that_gets_lost_is_made_again(serve: Serve, connect: Connect) -> None:
    """A gateway dropped one: the PV was to wait for ever, though its server answered everything else."""
    server = serve({"x": 1.0, "y": 2.0})
    context = connect(server)
    assert context.pv("y").get() == 2.0
    server.drop("create")
    server.drop("rights")
    pv = context.pv("x")
    with within(5.0):
        assert pv.get() == 1.0
    assert server.circuits == 1
    cids = {request.cid for request in server.of(ca.CreateChanRequest) if request.name == "x"}
    assert len(cids) == 2  # a new number each time: the server may still think of the other one


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_comes_after_all_leaves_nothing_at_the_server(serve: Serve, connect: Connect) -> None:
    server = serve({"x": 1.0})
    server.delay("create", 0.8, times=1)
    server.delay("rights", 0.8, times=1)
    pv = connect(server).pv("x")
    with within(5.0):
        assert pv.get() == 1.0
    eventually(lambda: server.of(ca.ClearChannelRequest))
    assert pv.get(use_monitor=False) == 1.0


def test_a_server_that_makes_no_channel_is_left_for_another(serve: Serve, connect: Connect) -> None:
    hung, good = serve({"x": 6.66}), serve({"x": 1.0})
    hung.ignore(ca.CreateChanRequest)
    good.drop("search", times=1)
    pv = connect(hung, good).pv("x")
    with within(6.0):
        assert pv.get(timeout=6.0) == 1.0


def test_a_channel_that_comes_and_goes_is_asked_for_ever_less_often(serve: Serve, connect: Connect) -> None:
    """Made and taken away in a loop: 465 searches a second it was, and all of a core."""
    server = serve({"x": 1.0, "y": 2.0})
    server.take_away("x")
    context = connect(server)
    x, y = context.pv("x", auto_monitor=False), context.pv("y")
    assert not x.wait_for_connection(0.0)
    assert y.get() == 2.0
    eventually(lambda: len([r for r in server.of(ca.CreateChanRequest) if r.name == "x"]) == 5)  # 0 + .1 + .2 + .4 s
    asked = len(server.searches)
    assert asked < 30
    eventually(lambda: x.channel.setbacks == 5)  # or the fifth would be taken away from under the get
    server.leave("x")
    with within(3.0):
        assert x.get() == 1.0


def test_forged_answers_pile_nothing_up(serve: Serve, connect: Connect) -> None:
    """Each answer that names a port at which nobody serves had a timer of its own: 65 MB in eight seconds."""
    server = serve({"x": 1.0}, tcp=Tcp.REFUSE)
    context = connect(server)
    pv = context.pv("x")
    assert not pv.wait_for_connection(0.2)
    searches = context._home.searches
    assert searches.sock is not None
    where = ("127.0.0.1", searches.sock.getsockname()[1])
    with Forger() as forger:
        for _ in range(50):
            forger.search_replies(where, [pv.channel.cid] * 40, server.tcp_port)
    eventually(lambda: searches.datagrams_received > 50)
    assert len(context._home.runtime.loop._timers) < 100
