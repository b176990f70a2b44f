"""Puts: sent once, on this ride or the next; what is refused, and how completions end."""

from __future__ import annotations

from typing import Any

import pytest

from caclient import (
    AccessDeniedError,
    AccessRights,
    BadValueError,
    ChannelType,
    Context,
    DisconnectedError,
    LocalProtocolError,
    caput_many,
    connect_all,
)
from caclient.client import put
from caclient.client.channel import Channel
from caclient.client.get import read
from caclient.client.properties import want
from caclient.engine.outbox import Outbox
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.client.test_channel import deadline, engine_idle
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
        lambda: read(channel, deadline(1)),
        lambda: put.send(channel, ChannelType.DOUBLE, 1, 2.0, deadline(1)),
        lambda: put.send_and_wait(channel, ChannelType.DOUBLE, 1, 2.0, deadline(1), deadline(1)),
    ):
        with pytest.raises(type(error), match=text):
            use()
    want(channel)
    assert channel.puts == 0


def test_a_put_that_was_interrupted_may_have_been_sent(channel, monkeypatch):
    def interrupted(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(channel.circuit, "post", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put.send(channel, ChannelType.DOUBLE, 1, 2.0, deadline(1))
    assert channel.puts == 1


def test_what_meets_a_dying_circuit_goes_on_with_the_next(channel, monkeypatch):
    circuit = channel.circuit

    def dying(*_args: Any) -> None:
        channel.runtime.loop.call_soon(circuit.close, "torn")
        raise DisconnectedError("torn")

    monkeypatch.setattr(circuit, "exchange", dying)
    assert read(channel, deadline(PATIENCE)).value == 1.5
    assert channel.circuit is not circuit
    circuit = channel.circuit
    monkeypatch.setattr(circuit, "post", dying)
    put.send(channel, ChannelType.DOUBLE, 1, 2.0, deadline(PATIENCE))
    assert channel.circuit is not circuit
    assert read(channel, deadline(PATIENCE)).value == 2.0


def test_bad_values_name_the_channel(channel):
    def wait(*args: Any) -> None:
        put.send_and_wait(channel, *args, deadline(1))

    def send(*args: Any) -> None:
        put.send(channel, *args)

    for use in (send, wait):
        with pytest.raises(BadValueError, match=r"'x': .* is no DOUBLE value"):
            use(ChannelType.DOUBLE, 1, object(), deadline(1))


def test_a_request_is_failed_when_the_server_removes_the_channel():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        channel, failed = channel_of(context, "x"), Recorder()
        channel.require(deadline(PATIENCE))
        server.drop("write", times=None)
        finish = put.begin(channel, ChannelType.DOUBLE, 1, 2.0)
        server.wait_for(ca.WriteNotifyRequest)
        server.disconnect_channel("x")
        with pytest.raises(DisconnectedError, match=r"'x' is not connected: .* removed the channel"):
            finish.wait(deadline(PATIENCE))
        assert failed.items == []


def test_a_refused_put_is_logged(serve, caplog):
    _, context = serve(Record("x", 1, enum_strings=("a", "b")))
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    put.send(channel, ChannelType.STRING, 1, "no such state", deadline(1))
    read(channel, deadline(PATIENCE))
    engine_idle(context._home.runtime)
    assert "'x': a put was refused by the server: ECA_PUTFAIL" in caplog.text


@pytest.mark.parametrize("rights", [AccessRights.READ, AccessRights.WRITE])
def test_without_rights(serve, rights):
    _, context = serve(Record("x", 1.0, access=rights))
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    uses = {
        AccessRights.READ: [
            lambda: put.send(channel, ChannelType.DOUBLE, 1, 2.0, deadline(1)),
            lambda: put.begin(channel, ChannelType.DOUBLE, 1, 2.0),
        ],
        AccessRights.WRITE: [lambda: read(channel, deadline(1))],
    }
    for use in uses[rights]:
        with pytest.raises(AccessDeniedError, match=r"'x': no (read|write) access for .*@.* on 127"):
            use()


def test_puts_begun_together_leave_together(channel):
    circuit = channel.circuit
    sent = [put.begin(channel, ChannelType.DOUBLE, 1, float(number), later=True) for number in range(100)]
    assert circuit.pending >= 100 * 24
    assert not any(each.done for each in sent)
    out = circuit.bytes_out
    sent[0].leave()
    assert (circuit.pending, circuit.bytes_out - out) == (0, 100 * 24)
    for each in sent:
        each.wait(deadline(PATIENCE))
    assert read(channel, deadline(PATIENCE)).value == 99.0


def test_many_puts_with_completion_are_one_write_for_each_circuit(serve, monkeypatch):
    _, context = serve(*(Record(f"x{number}", 0.0) for number in range(100)))
    pvs = [context.pv(f"x{number}", auto_monitor=False) for number in range(100)]
    connect_all(pvs)
    ours, write, writes = pvs[0].channel.circuit._outbox, Outbox.write, []

    def noted(box: Outbox) -> None:
        if box is ours and box.size:
            writes.append(box.size)
        write(box)

    monkeypatch.setattr(Outbox, "write", noted)
    assert caput_many(pvs, range(100), wait=True) == [None] * 100
    assert writes == [100 * 24]


def test_puts_that_are_begun_closely_behind_others_leave_together(serve):
    _, context = serve(Record("x", 0.0))
    pv = context.pv("x", auto_monitor=False)
    assert pv.wait_for_connection(PATIENCE)
    circuit = pv.channel.circuit
    circuit._outbox.gathering = True  # something was put just now; the timer that will write it is still to come
    begun = [pv.begin_put(float(number)) for number in range(100)]
    assert circuit.pending == 100 * 24
    begun[-1].result(PATIENCE)  # who waits has them leave
    assert circuit.pending == 0
    assert all(each.result(PATIENCE) is None for each in begun)
    assert pv.get(use_monitor=False) == 99.0
