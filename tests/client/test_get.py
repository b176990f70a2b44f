"""Reads: what is asked for, what is refused, what a timeout tells."""

from __future__ import annotations

import numpy as np
import pytest

from caclient import (
    CATimeoutError,
    ChannelAccessError,
    ChannelType,
    Context,
)
from caclient.client.channel import Channel
from caclient.client.get import read, reading_of
from caclient.client.properties import fetch
from caclient.errors import DecodeError
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.client.test_channel import deadline
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.using import channel_of


@pytest.fixture
def channel(serve) -> Channel:
    records = Record("x", 1.5, units="mm", precision=1), Record("array", [1.0, 2.0])
    _, context = serve(*records)
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    return channel


def test_a_request_without_an_answer():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        channel = channel_of(context, "x")
        channel.require(deadline(PATIENCE))
        server.drop("read", times=None)
        with pytest.raises(CATimeoutError) as caught:
            read(channel, deadline(0.1))
        text = str(caught.value)
        assert text.startswith("'x': no answer 0.1")
        assert f"the request was sent to 127.0.0.1:{server.tcp_port}; connected for" in text
        assert "last heard" in text and "0 bytes not yet taken by the kernel" in text
        assert channel.circuit.core.ioids == {}


def test_reading_by_type_and_count(channel):
    assert read(channel, deadline(PATIENCE)).value == 1.5
    assert read(channel, deadline(PATIENCE), ChannelType.STRING).value == "1.5"
    assert fetch(channel, deadline(PATIENCE)).units == "mm"
    assert fetch(channel, 0.0).units == "mm"


def test_a_read_that_the_server_cannot_do(serve):
    _, context = serve(Record("x", "text"))
    channel = channel_of(context, "x")
    with pytest.raises(ChannelAccessError, match="'x': ECA_GETFAIL") as caught:
        read(channel, deadline(PATIENCE), ChannelType.DOUBLE)
    assert caught.value.status.name == "ECA_GETFAIL"


def test_reading_from_a_callback_lets_others_go_on(serve):
    _, context = serve(Record("x", 1.0))
    channel, done = channel_of(context, "x"), Recorder()
    channel.require(deadline(PATIENCE))
    lane = context._home.runtime.lanes.lane("test")
    lane.push(lambda _: done(read(channel, deadline(PATIENCE)).value), None)
    assert done.wait(1) == [1.0]


@pytest.mark.parametrize("kind", [ChannelType.TIME_DOUBLE, ChannelType.CTRL_DOUBLE, 99])
def test_nonsense_is_blamed_on_the_server(channel, kind):
    reply = ca.ReadNotifyResponse.from_header(Header(15, 8, kind, 1, 1, 1), bytes(8))
    with pytest.raises(DecodeError, match=rf"^'x': {channel.circuit_name} sent nonsense: .*(got 8|99)$"):
        reading_of(channel, reply, kind, 1)


def test_a_large_array_is_decoded_where_it_lies(serve):
    _, context = serve(Record("x", np.arange(100_000.0)))
    channel = channel_of(context, "x")
    assert read(channel, deadline(PATIENCE)).value[-1] == 99_999.0
