"""Channel: how far it has got, what a timeout tells, what happens when a server or a circuit lets it go."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from caclient import (
    AccessDeniedError,
    AccessRights,
    BadValueError,
    CATimeoutError,
    ChannelAccessError,
    ChannelType,
    Config,
    Context,
    ContextClosedError,
    DisconnectedError,
    LocalProtocolError,
)
from caclient.client.channel import Channel, State
from caclient.dbr.decode import run_dtype
from caclient.errors import DecodeError
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.faults import FaultServer, Tcp
from tests.recorder import PATIENCE, Recorder
from tests.using import Using, channel_of, context_of


def engine_idle(context: Context) -> None:
    """Wait until the engine has made the calls that are filed, and what it had logged is logged."""
    done = Recorder()
    runtime = context._home.runtime
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


# ---------------------------------------------------------------- what a timeout tells


def test_nobody_answers():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        channel = channel_of(context, "x")
        with pytest.raises(CATimeoutError) as caught:
            channel.require(deadline(0.2))
        text = str(caught.value)
        assert text.startswith("'x' not connected after 0.2")
        assert f"searches sent in 0.2 s to 127.0.0.1:{server.port}, no reply" in text


def test_somebody_answers_but_accepts_no_connection():
    with FaultServer({"x": 1.0}, tcp=Tcp.NEVER) as server, Context(server.client_config()) as context:
        with pytest.raises(CATimeoutError) as caught:
            channel_of(context, "x").require(deadline(0.3))
        assert f"127.0.0.1:{server.tcp_port} answered the search, TCP connection not up yet" in str(caught.value)


def test_a_connection_without_a_channel():
    with FaultServer({"x": 1.0}, tcp=Tcp.SILENT) as server, Context(server.client_config()) as context:
        with pytest.raises(CATimeoutError) as caught:
            channel_of(context, "x").require(deadline(0.3))
        where = f"127.0.0.1:{server.tcp_port}"
        assert f"TCP connection to {where} is up, channel requested, no answer yet" in str(caught.value)


def test_a_server_that_refuses_the_channel():
    with FaultServer({"x": 1.0, "y": 2.0}) as server, Context(server.client_config()) as context:
        server.refuse_channel("x")
        assert context.pv("y").get() == 2.0
        channel = channel_of(context, "x")
        server.wait_for(ca.CreateChanRequest, 2)
        with pytest.raises(CATimeoutError, match="answered the search but would not create the channel"):
            channel.require(deadline(0.3))


def test_a_request_without_an_answer():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        channel = channel_of(context, "x")
        channel.require(deadline(PATIENCE))
        server.drop("read", times=None)
        with pytest.raises(CATimeoutError) as caught:
            channel.read(deadline(0.1))
        text = str(caught.value)
        assert text.startswith("'x': no answer 0.1")
        assert f"the request was sent to 127.0.0.1:{server.tcp_port}; connected for" in text
        assert "last heard" in text and "0 bytes not yet taken by the kernel" in text
        assert channel.circuit.core.ioids == {}


def test_where_it_was_when_nothing_is_known(serve):
    _, context = serve()
    channel = Channel(context._home.runtime, context._home.pool, context._home.names, "x", 0, 99)
    assert channel.circuit_name == "no server"
    channel._move(State.CONNECTING)
    assert "an unknown address answered the search" in channel.progress(0.0)


# ---------------------------------------------------------------- reading and writing


def test_reading_by_type_and_count(channel):
    assert channel.read(deadline(PATIENCE)).value == 1.5
    assert channel.read(deadline(PATIENCE), ChannelType.STRING).value == "1.5"
    assert channel.fetch_control(deadline(PATIENCE)).units == "mm"
    assert channel.fetch_control(0.0).units == "mm"


def test_runs_of_arrays_that_have_one_element(channel):
    context = context_of(channel)
    array, words = channel_of(context, "array"), channel_of(context, "words")
    for each in (array, words):
        each.require(deadline(PATIENCE))
    numbers = np.zeros(2, run_dtype(ChannelType.TIME_DOUBLE))
    texts = np.zeros(2, run_dtype(ChannelType.TIME_STRING))
    numbers["value"], texts["value"] = [1.0, 2.0], [b"p", b"q"]
    assert [reading.value for reading in channel.readings(ChannelType.TIME_DOUBLE, numbers)] == [1.0, 2.0]
    assert [reading.value.tolist() for reading in array.readings(ChannelType.TIME_DOUBLE, numbers)] == [[1.0], [2.0]]
    assert [reading.value for reading in words.readings(ChannelType.TIME_STRING, texts)] == [("p",), ("q",)]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DisconnectedError("gone"), "'x' is not connected: gone"),
        (LocalProtocolError("too large for this server"), "^too large for this server"),
    ],
)
def test_the_circuit_refuses_what_is_sent(channel, monkeypatch, error, text):
    def fail(*_args: Any) -> None:
        raise error

    for name in ("exchange", "post", "ask"):
        monkeypatch.setattr(channel.circuit, name, fail)
    for use in (
        lambda: channel.read(deadline(1)),
        lambda: channel.put(ChannelType.DOUBLE, 1, 2.0, deadline(1)),
        lambda: channel.put_wait(ChannelType.DOUBLE, 1, 2.0, deadline(1)),
    ):
        with pytest.raises(type(error), match=text):
            use()
    channel.want_control()
    assert channel.puts == 0


def test_a_put_that_was_interrupted_may_have_been_sent(channel, monkeypatch):
    def interrupted(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(channel.circuit, "post", interrupted)
    with pytest.raises(KeyboardInterrupt):
        channel.put(ChannelType.DOUBLE, 1, 2.0, deadline(1))
    assert channel.puts == 1


def test_what_meets_a_dying_circuit_goes_on_with_the_next(channel, monkeypatch):
    circuit = channel.circuit

    def dying(*_args: Any) -> None:
        channel.runtime.loop.call_soon(circuit.close, "torn")
        raise DisconnectedError("torn")

    monkeypatch.setattr(circuit, "exchange", dying)
    assert channel.read(deadline(PATIENCE)).value == 1.5
    assert channel.circuit is not circuit
    circuit = channel.circuit
    monkeypatch.setattr(circuit, "post", dying)
    channel.put(ChannelType.DOUBLE, 1, 2.0, deadline(PATIENCE))
    assert channel.circuit is not circuit
    assert channel.read(deadline(PATIENCE)).value == 2.0


def test_bad_values_name_the_channel(channel):
    for use in (channel.put, channel.put_wait):
        with pytest.raises(BadValueError, match=r"'x': .* is no DOUBLE value"):
            use(ChannelType.DOUBLE, 1, object(), deadline(1))


def test_without_a_channel_there_is_no_metadata(serve):
    _, context = serve()
    channel = channel_of(context, "nowhere")
    channel.want_control()
    assert channel.control is None


def test_a_read_that_the_server_cannot_do(serve):
    _, context = serve(Record("x", "text"))
    channel = channel_of(context, "x")
    with pytest.raises(ChannelAccessError, match="'x': ECA_GETFAIL") as caught:
        channel.read(deadline(PATIENCE), ChannelType.DOUBLE)
    assert caught.value.status.name == "ECA_GETFAIL"


def test_reading_from_a_callback_lets_others_go_on(serve):
    _, context = serve(Record("x", 1.0))
    channel, done = channel_of(context, "x"), Recorder()
    channel.require(deadline(PATIENCE))
    lane = context._home.runtime.lanes.lane("test")
    lane.push(lambda _: done(channel.read(deadline(PATIENCE)).value), None)
    assert done.wait(1) == [1.0]


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
    channel.leave(object())
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
        engine_idle(context)
        assert pv.get(timeout=PATIENCE) == 2.0
        assert pv.host == f"127.0.0.1:{two.tcp_port}"
        one.wait_for(ca.ClearChannelRequest)


def test_found_while_unresponsive_without_a_circuit(channel):
    context = context_of(channel)
    context._home.runtime.loop.call_soon(channel._move, State.UNRESPONSIVE)
    engine_idle(context)
    circuit, channel.circuit = channel.circuit, None
    context._home.runtime.loop.call_soon(channel.found, ("127.0.0.1", 9))
    engine_idle(context)
    assert channel.state is State.UNRESPONSIVE
    channel.circuit = circuit
    context._home.runtime.loop.call_soon(channel.circuit_responsive)
    engine_idle(context)
    assert channel.connected


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


def test_closing_in_every_state(channel, monkeypatch):
    context = context_of(channel)

    def gone(*_args: Any) -> None:
        raise DisconnectedError("gone")

    monkeypatch.setattr(channel.circuit, "sending", gone)
    for each in (channel, channel_of(context, "nowhere")):
        context._home.names.leave(each)
        engine_idle(context)
        assert each.state is State.CLOSED
        for late in (each.close, lambda each=each: each.circuit_closed("late"), each.search):
            context._home.runtime.loop.call_soon(late)
        for command in (ca.AccessRightsResponse(each.cid, AccessRights.READ), ca.CreateChFailResponse(each.cid)):
            context._home.runtime.loop.call_soon(each.receive, command)
        engine_idle(context)
        assert each.state is State.CLOSED
        with pytest.raises(DisconnectedError, match="is not connected: it was closed"):
            each.wait_ready(deadline(1))


def test_events_that_no_longer_matter(channel):
    context = context_of(channel)
    for call in (channel.circuit_open, channel.circuit_responsive):
        context._home.runtime.loop.call_soon(call)
    context._home.runtime.loop.call_soon(channel.receive, ca.EchoResponse())
    assert context.pv("x").put(1.0) is None
    engine_idle(context)
    context._home.runtime.loop.call_soon(channel.receive, ca.ServerDisconnResponse(channel.cid))
    engine_idle(context)
    assert channel.wait_ready(deadline(PATIENCE))


def test_a_request_is_failed_when_the_server_removes_the_channel():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        channel, failed = channel_of(context, "x"), Recorder()
        channel.require(deadline(PATIENCE))
        server.drop("write", times=None)
        finish = channel.begin_put(ChannelType.DOUBLE, 1, 2.0)
        server.wait_for(ca.WriteNotifyRequest)
        server.disconnect_channel("x")
        with pytest.raises(DisconnectedError, match=r"'x' is not connected: .* removed the channel"):
            finish(deadline(PATIENCE))
        assert failed.items == []


def test_a_refused_put_is_logged(serve, caplog):
    _, context = serve(Record("x", 1, enum_strings=("a", "b")))
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    channel.put(ChannelType.STRING, 1, "no such state", deadline(1))
    channel.read(deadline(PATIENCE))
    engine_idle(context)
    assert "'x': a put was refused by the server: ECA_PUTFAIL" in caplog.text


@pytest.mark.parametrize("rights", [AccessRights.READ, AccessRights.WRITE])
def test_without_rights(serve, rights):
    _, context = serve(Record("x", 1.0, access=rights))
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    uses = {
        AccessRights.READ: [
            lambda: channel.put(ChannelType.DOUBLE, 1, 2.0, deadline(1)),
            lambda: channel.begin_put(ChannelType.DOUBLE, 1, 2.0),
        ],
        AccessRights.WRITE: [lambda: channel.read(deadline(1))],
    }
    for use in uses[rights]:
        with pytest.raises(AccessDeniedError, match=r"'x': no (read|write) access for .*@.* on 127"):
            use()


def test_listeners_hear_of_rights_and_connections(channel):
    heard = Recorder()
    channel.listeners = (lambda _channel, connected: heard(connected),)
    channel.access_listeners = (lambda each, _connected: heard((each.can_read, each.can_write)),)
    channel.runtime.loop.call_soon(channel.receive, ca.AccessRightsResponse(channel.cid, AccessRights.READ))
    assert heard.wait(1) == [(True, False)]
    channel.runtime.loop.call_soon(channel.circuit.close, "a test")
    assert heard.wait(3) == [(True, False), False, True]


def test_metadata_are_asked_for_ahead_of_the_first_update(channel):
    assert channel.control is None
    channel.want_control()
    channel.want_control()
    channel.read(deadline(PATIENCE))
    assert channel.fetch_control(deadline(PATIENCE)).units == "mm"
    assert channel.reading(ca.ReadNotifyResponse(2.0, ChannelType.DOUBLE, 1, 1, 1)).value == 2.0


@pytest.mark.parametrize("kind", [ChannelType.TIME_DOUBLE, ChannelType.CTRL_DOUBLE, 99])
def test_nonsense_is_blamed_on_the_server(channel, kind):
    reply = ca.ReadNotifyResponse.from_header(Header(15, 8, kind, 1, 1, 1), bytes(8))
    with pytest.raises(DecodeError, match=rf"^'x': {channel.circuit_name} sent nonsense: .*(got 8|99)$"):
        channel.reading(reply)


def test_a_large_array_is_decoded_where_it_lies(serve):
    _, context = serve(Record("x", np.arange(100_000.0)))
    channel = channel_of(context, "x")
    assert channel.read(deadline(PATIENCE)).value[-1] == 99_999.0


def test_what_the_closed_context_says(channel):
    context_of(channel).close()
    assert channel.state is State.CLOSED
    for use in (lambda: channel.require(deadline(1)), channel._usable):
        with pytest.raises(ContextClosedError):
            use()
    assert isinstance(channel.unready(0.0), ContextClosedError)
    channel.forget_circuit()
    assert channel.state is State.CLOSED
