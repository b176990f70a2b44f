"""Channel: how far it has got, what happens when a server or a circuit lets it go."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from caclient import (
    AccessRights,
    Config,
    Context,
    ContextClosedError,
    DisconnectedError,
)
from caclient.client import channel as channel_module
from caclient.client.channel import Channel
from caclient.client.standing import State
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import Using, channel_of, context_of


def engine_idle(runtime: Any) -> None:
    """Wait until the engine has made the calls that are filed, and what it had logged is logged."""
    done = Recorder()
    runtime.loop.call_soon(runtime.loop.call_soon, runtime.log.push, done, None)
    done.wait(1)


def deadline(seconds: float) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def channel(serve) -> Channel:
    records = Record("x", 1.5, units="mm", precision=1), Record("array", [1.0, 2.0]), Record("words", ["a"], count=3)
    _, context = serve(*records)
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    return channel


# ---------------------------------------------------------------- its life


def test_many_wait_and_some_give_up(serve):
    ioc, context = serve()
    channel, done = channel_of(context, "x"), Recorder()
    assert not channel.wait_ready(deadline(0.01))
    threads = [threading.Thread(target=lambda: done(channel.wait_ready(deadline(PATIENCE)))) for _ in range(5)]
    for thread in threads:
        thread.start()
    ioc.add(Record("x", 1.0))
    assert done.wait(5) == [True] * 5
    for thread in threads:
        thread.join(PATIENCE)
    channel.forgo(object())
    assert channel.wait_ready(0.0)


def test_the_server_removes_the_channel_and_has_it_again(serve):
    ioc, context = serve(Record("x", 1.0))
    edges = Recorder(lambda conn, **_: conn)
    pv = context.pv("x", connection_callback=edges)
    edges.wait(1)
    ioc.disconnect_channel("x")
    assert edges.wait(3) == [True, False, True]
    assert pv.get() == 1.0


def test_found_again_elsewhere_while_the_circuit_is_silent():
    with (
        FaultServer({"x": 1.0}) as one,
        FaultServer({"x": 2.0}) as two,
        Context(Config.isolated(addr_list=(one.address,))) as context,
    ):
        pv = context.pv("x")
        assert pv.get() == 1.0
        channel, call = pv.channel, context._home.runtime.loop.call_soon
        call(channel.circuit_unresponsive)
        call(channel.circuit_unresponsive)
        call(channel.found, channel.address)
        call(channel.found, ("127.0.0.1", two.tcp_port))
        engine_idle(context._home.runtime)
        assert pv.get(timeout=PATIENCE) == 2.0
        assert pv.host == f"127.0.0.1:{two.tcp_port}"
        one.wait_for(ca.ClearChannelRequest)


def test_closed_before_the_server_has_made_it():
    with FaultServer({"x": 1.0, "y": 2.0}) as server, Context(server.client_config()) as context:
        assert context.pv("y").get() == 2.0
        server.delay("create", 0.2)
        Using(context, "x").close()
        server.refuse_channel("x")
        server.wait_until(lambda: not server.circuits)
        server.behave()
        server.accept_channel("x")
        server.delay("create", 0.1)
        using = Using(context, "x")
        server.wait_for(ca.CreateChanRequest, 2)
        using.close()
        server.wait_for(ca.ClearChannelRequest)
        server.wait_until(lambda: not server.circuits)


def test_a_closed_channel_hears_nothing_any_more(serve):
    _, context = serve(Record("x", 1.0))
    for name in ("x", "nowhere"):
        using = Using(context, name)
        channel = using._channel
        if name == "x":
            channel.require(deadline(PATIENCE))
        ride = channel.ride
        using.close()
        engine_idle(context._home.runtime)
        assert channel.state is State.CLOSED
        assert channel.ride is None
        for late in (channel.close, channel.search, channel.circuit_open, channel.circuit_responsive):
            context._home.runtime.loop.call_soon(late)
        if ride is not None:
            rights = ca.AccessRightsResponse(channel.cid, AccessRights.READ)
            for call in (ride.circuit_open, ride.circuit_unresponsive, ride.circuit_responsive):
                context._home.runtime.loop.call_soon(call)
            context._home.runtime.loop.call_soon(ride.circuit_closed, "late")
            context._home.runtime.loop.call_soon(ride.receive, rights)
        engine_idle(context._home.runtime)
        assert channel.state is State.CLOSED
        with pytest.raises(DisconnectedError, match="is not connected: it was closed"):
            channel.wait_ready(deadline(1))


class Told:
    """A dependent that keeps what it is told."""

    def __init__(self) -> None:
        self.heard = Recorder()

    def serve(self, channel: Channel) -> None:
        self.heard(("serve", channel.can_read, channel.can_write))

    def lost(self) -> None:
        self.heard("lost")

    def end(self) -> None:
        self.heard("end")

    def orphan(self) -> None:
        self.heard("orphan")


def test_dependents_are_told_what_changes_and_nothing_twice(channel):
    """A storm of access rights that say the same is not worth a word."""
    told, runtime = Told(), channel.runtime
    assert channel.join(told, channel.dependents)
    assert not channel.join(told, ())
    for rights in (AccessRights.READ, AccessRights.READ, AccessRights.READ):
        runtime.loop.call_soon(channel.ride.receive, ca.AccessRightsResponse(channel.cid, rights))
    engine_idle(channel.runtime)
    assert told.heard.items == [("serve", True, False)]
    assert channel.readable is channel.ride
    runtime.loop.call_soon(channel.circuit.close, "a test")
    assert told.heard.wait(3)[1:] == ["lost", ("serve", True, True)]
    runtime.loop.call_soon(channel.ride.circuit_unresponsive)
    runtime.loop.call_soon(channel.ride.circuit_responsive)
    assert told.heard.wait(5)[3:] == ["lost", ("serve", True, True)]
    context_of(channel).close()
    assert told.heard.wait(7)[5:] == ["lost", "end"]
    assert channel.dependents == ()
    channel.leave(told)


def test_what_waits_when_the_context_closes_is_told(channel):
    context = context_of(channel)
    nowhere, told = channel_of(context, "nowhere"), Recorder()

    def work() -> None:
        try:
            nowhere.require(deadline(60))
        except ContextClosedError as error:
            told(error)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: nowhere.waiters)
    context.close()
    told.wait(1)
    thread.join(PATIENCE)
    assert channel.state is State.CLOSED
    with pytest.raises(ContextClosedError):
        channel.require(deadline(1))
    assert isinstance(channel.unready(0.0), ContextClosedError)
    channel.orphan()
    assert channel.state is State.CLOSED


def test_who_waits_for_a_connection_that_is_lost_at_once_waits_on(serve, monkeypatch):
    """The channel was ready for a moment: that is no reason to give up before the time is over."""
    ioc, context = serve()
    waits, really = [], channel_module.wait

    def woken(runtime, signal, until):
        waits.append(signal)
        if len(waits) == 1:
            return True  # as its signal was given, but it is not ready any more
        ioc.add(Record("x", 1.5))
        return really(runtime, signal, until)

    pv = context.pv("x", auto_monitor=False)
    monkeypatch.setattr(channel_module, "wait", woken)
    assert pv.get(timeout=PATIENCE) == 1.5
    assert len(waits) >= 2
