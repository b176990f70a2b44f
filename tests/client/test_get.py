"""Reads: what is asked for, what is refused, what a timeout tells."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from caclient import (
    BadValueError,
    CAError,
    CATimeoutError,
    ChannelAccessError,
    ChannelType,
    Context,
    DisconnectedError,
)
from caclient.client.bulk import get_values
from caclient.client.channel import Channel
from caclient.client.get import read, reading_of
from caclient.client.properties import fetch
from caclient.dbr import Metadata, TimeStamp
from caclient.errors import DecodeError
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.client.test_channel import deadline
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import channel_of

STAMPED = Metadata(status=0, severity=0, stamp=TimeStamp(1, 2))


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
        assert text.startswith("no answer: 'x' after ")
        assert f"the request was sent to 127.0.0.1:{server.tcp_port}, connected for" in text
        assert "last heard" in text and text.endswith("give a longer timeout")
        assert (caught.value.phase, caught.value.pvname) == ("request", "x")
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


def test_a_part_of_an_array_has_no_invented_elements(serve):
    """A real IOC fills up with zeros what it was asked for; an array of one element, or of none, has no more."""
    _, context = serve(
        Record("one", [5.0], count=1000), Record("none", np.zeros(0), count=1000), Record("many", np.arange(1.0, 11.0)),
        Record("zeros", np.array([1.0, 0.0, 0.0, 4.0])), Record("texts", ["a", "b"], count=5), Record("scalar", 0.0),
    )  # fmt: skip
    parts = {
        ("one", 1000): [5.0], ("one", 1): [5.0], ("none", 1000): [], ("none", 1): [], ("many", 3): [1.0, 2.0, 3.0],
        ("many", 1000): list(range(1, 11)), ("zeros", 2): [1.0, 0.0], ("zeros", 3): [1.0, 0.0, 0.0],
        ("texts", 4): ["a", "b"], ("texts", 1): ["a"],
    }  # fmt: skip
    for (name, count), expected in parts.items():
        value = context.pv(name).get(count=count)
        assert value.tolist() == expected, (name, count)
    assert context.pv("scalar").get(count=5) == 0.0
    with pytest.raises(BadValueError, match="count=0: give how many elements"):
        context.pv("one").get(count=0)


@pytest.mark.interop
def test_a_part_of_an_array_of_a_real_ioc(own_softioc, make_context):
    wave = make_context(own_softioc).pv("t:wf:double")
    wave.put([7.0], wait=True)
    assert wave.get(count=5).tolist() == [7.0]
    wave.put([1.0, 0.0, 3.0], wait=True)
    assert wave.get(count=2).tolist() == [1.0, 0.0]
    assert wave.get(count=5).tolist() == [1.0, 0.0, 3.0]


@pytest.mark.parametrize("how", ["answer", "connection", "sending"])
def test_a_get_under_way_ends_at_once_when_the_context_closes(how, monkeypatch):
    """It used to wait out its whole timeout."""
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        pv = context.pv("x" if how != "connection" else "nowhere", auto_monitor=False)
        if how != "connection":
            assert pv.wait_for_connection(PATIENCE)
            server.drop("read", times=None)
        told = Recorder()

        def work() -> None:
            try:
                pv.get(timeout=600)
            except CAError as error:
                told(error)

        if how == "sending":  # the circuit has just gone, and the engine ends before it can tell

            def gone(*_args: Any) -> None:
                context.close(0.0)
                raise DisconnectedError("gone")

            monkeypatch.setattr(pv.channel.circuit, "exchange", gone)
        thread = threading.Thread(target=work)
        thread.start()
        if how == "answer":
            server.wait_for(ca.ReadNotifyRequest)
        elif how == "connection":
            eventually(lambda: pv.channel.waiters)
        context.close(0.0)
        told.wait(1)
        thread.join(PATIENCE)


def test_many_reads_in_a_callback_let_others_go_on(serve):
    """The worker that waits in ``caget_many`` gives its place to another."""
    _, context = serve(*(Record(f"x{n}", float(n)) for n in range(20)))
    pvs = [context.pv(f"x{n}", auto_monitor=False) for n in range(20)]
    lanes, seen = context._home.runtime.lanes, Recorder()
    blocking = lanes.blocking

    def noted() -> Any:
        seen(threading.current_thread().name)
        return blocking()

    lanes.blocking = noted
    done = Recorder()
    lanes.lane("test").push(lambda _: done(get_values([pv.channel for pv in pvs], deadline(PATIENCE))), None)
    assert done.wait(1) == [[float(n) for n in range(20)]]
    assert any(name.startswith("caclient-lane") for name in seen.items)


def test_an_answer_of_another_type_is_refused(channel):
    reply = ca.ReadNotifyResponse(2.0, ChannelType.TIME_DOUBLE, 1, 1, 1, STAMPED)
    with pytest.raises(DecodeError, match=r"sent nonsense: TIME_DOUBLE\[1\] for TIME_STRING\[1\]"):
        reading_of(channel, reply, ChannelType.TIME_STRING, 1)
