"""What a timeout tells: how far a name has got."""

from __future__ import annotations

import copy
import pickle

import pytest

from caclient import CATimeoutError, Context
from caclient.client.channel import Channel
from caclient.client.standing import State
from caclient.protocol import commands as ca
from tests.client.test_channel import deadline
from tests.faults import FaultServer, Tcp
from tests.using import channel_of


def test_nobody_answers():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        channel = channel_of(context, "x")
        with pytest.raises(CATimeoutError) as caught:
            channel.require(deadline(0.2))
        text = str(caught.value)
        assert text.startswith("searching: 'x' not connected after 0.2")
        assert f"searches sent to 127.0.0.1:{server.port}" in text
        assert (caught.value.pvname, caught.value.phase) == ("x", "search")


def test_somebody_answers_but_accepts_no_connection():
    with FaultServer({"x": 1.0}, tcp=Tcp.NEVER) as server, Context(server.client_config()) as context:
        with pytest.raises(CATimeoutError) as caught:
            channel_of(context, "x").require(deadline(0.3))
        assert f"127.0.0.1:{server.tcp_port} answered the search, the TCP connection is not up" in str(caught.value)
        assert caught.value.phase == "connect"


def test_a_connection_without_a_channel():
    with FaultServer({"x": 1.0}, tcp=Tcp.SILENT) as server, Context(server.client_config()) as context:
        with pytest.raises(CATimeoutError) as caught:
            channel_of(context, "x").require(deadline(0.3))
        where = f"127.0.0.1:{server.tcp_port}"
        assert f"{where} is connected, and has not created the channel" in str(caught.value)
        assert caught.value.phase == "create"


def test_a_server_that_refuses_the_channel():
    with FaultServer({"x": 1.0, "y": 2.0}) as server, Context(server.client_config()) as context:
        server.refuse_channel("x")
        assert context.pv("y").get() == 2.0
        channel = channel_of(context, "x")
        server.wait_for(ca.CreateChanRequest, 2)
        with pytest.raises(CATimeoutError, match="answered the search, but would not create the channel"):
            channel.require(deadline(0.3))


def test_where_it_was_when_nothing_is_known(serve):
    _, context = serve()
    channel = Channel(context._home.runtime, context._home.pool, context._home.names, "x", 0, 99)
    assert channel.circuit_name == "no server"
    channel.state = State.CONNECTING
    assert "its server answered the search" in str(channel.unready(0.0))


@pytest.mark.parametrize("state", State)
def test_a_state_is_found_in_tables_however_it_was_come_by(state):
    table = {each: each.value for each in State}
    assert table[State(state.value)] == state.value
    assert table[State[state.name]] == state.value
    assert table[copy.deepcopy(state)] == state.value
    assert table[pickle.loads(pickle.dumps(state))] == state.value
