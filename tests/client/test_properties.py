"""Metadata are asked for once, and then kept up to date."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from caclient import CAError, ChannelType, Mask
from caclient.client.properties import Properties, want
from caclient.dbr import ControlInfo, Metadata, encode
from caclient.ioc import Record
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import channel_of

CTRL = ChannelType.CTRL_DOUBLE


@pytest.fixture
def pair(serve):
    """One record ``x`` with metadata and a connected PV of it."""
    ioc, context = serve(Record("x", 1.0, units="mm", precision=2))
    pv = context.pv("x", auto_monitor=False)
    assert pv.wait_for_connection(PATIENCE)
    return ioc, pv


def properties_of(channel: Any) -> Properties:
    (found,) = [each for each in channel.dependents if isinstance(each, Properties)]
    return found


def on_engine(pv: Any, call: Any, *args: Any) -> None:
    done = Recorder()
    pv.channel.runtime.on_engine(lambda: done(call(*args)))
    done.wait(1)


def update(status: int = 1, **metadata: Any) -> ca.EventAddResponse:
    payload, _ = encode(CTRL, 1, 1.0, Metadata(**metadata))
    return ca.EventAddResponse.from_header(Header(1, len(payload), CTRL, 1, status, 1), payload)


def test_nobody_asks_before_somebody_wants_them(pair):
    ioc, pv = pair
    assert pv.get() == 1.0
    assert ioc.subscription_count() == 0


def test_changes_are_seen_without_asking(pair):
    ioc, pv = pair
    assert (pv.units, pv.precision) == ("mm", 2)
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
    ioc["x"].set_properties(units="m", precision=5, display=(-1.0, 1.0))
    eventually(lambda: pv.units == "m")
    assert pv.precision == 5
    assert pv.read().units == pv.reading.units == "m"
    assert pv.read().limits.display == (-1.0, 1.0)
    assert ioc.subscription_count() == 1


def test_names_of_states_change(serve):
    ioc, context = serve(Record("x", 1, enum_strings=("off", "on")))
    pv = context.pv("x")
    assert pv.get(as_string=True, timeout=PATIENCE) == "on"
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 2, PATIENCE)
    ioc["x"].set_properties(enum_strings=("zu", "auf"))
    eventually(lambda: pv.get(as_string=True) == "auf")
    ioc["x"].set_properties(enum_strings=("zu",))
    eventually(lambda: pv.enum_strs == ("zu",))


def test_a_callback_that_asked_for_changes_finds_them_made(pair):
    ioc, pv = pair
    heard = Recorder()
    with pv.subscribe(lambda reading: heard(reading.units), mask=Mask.PROPERTY):
        heard.wait(1)
        ioc["x"].set_properties(units="m")
        assert heard.wait(2)[1] == "m"


def test_they_are_followed_on_the_next_connection(pair):
    ioc, pv = pair
    assert pv.units == "mm"
    on_engine(pv, pv.channel.circuit.close, "a test")
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
    ioc["x"].set_properties(units="m")
    eventually(lambda: pv.units == "m")


def test_the_subscription_leaves_with_the_channel(pair):
    ioc, pv = pair
    assert pv.units == "mm"
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 1, PATIENCE)
    pv.close()
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 0, PATIENCE)


def test_many_who_want_them_share_one_subscription(pair):
    ioc, pv = pair
    want(pv.channel, follow=True)
    want(pv.channel)
    assert pv.units == "mm"
    on_engine(pv, lambda: [properties_of(pv.channel).ask() for _ in range(2)])
    on_engine(pv, lambda: properties_of(pv.channel).serve(pv.channel))
    pv.get()
    assert ioc.subscription_count() == 1


def test_a_callback_alone_is_one_subscription(pair):
    """Its metadata are those of the connection, until somebody looks at them elsewhere."""
    ioc, pv = pair
    heard = Recorder(lambda units, **_: units)
    pv.add_callback(heard)
    assert heard.wait(1) == ["mm"]
    pv.get(use_monitor=False)
    assert ioc.subscription_count() == 1
    assert pv.units == "mm"
    assert ioc.wait_until(lambda ioc: ioc.subscription_count() == 2, PATIENCE)
    ioc["x"].set_properties(units="m")
    eventually(lambda: pv.units == "m")
    ioc["x"].post(2.0)
    assert heard.wait(2)[1] == "m"


def test_blanks_of_a_gateway_are_believed_only_if_a_read_confirms_them(pair):
    ioc, pv = pair
    assert pv.units == "mm"
    channel = pv.channel
    before = channel.control
    channel.shape = channel.shaped().knowing(ControlInfo(units="furlong"))
    on_engine(pv, properties_of(channel).receive, update(units=b""))
    eventually(lambda: channel.control == before)
    ioc["x"].set_properties(units="")
    eventually(lambda: pv.units == "")


def test_a_refusal_leaves_what_is_known(pair):
    _, pv = pair
    assert pv.units == "mm"
    properties = properties_of(pv.channel)
    properties.receive(update(status=240, units=b"m"))
    properties.receive(SimpleNamespace(status=80))
    properties.receive(ca.EventAddResponse.from_header(Header(1, 8, CTRL, 1, 1, 1), bytes(8)))
    assert pv.units == "mm"


def test_a_circuit_that_is_ending_is_not_asked(pair, monkeypatch):
    _, pv = pair
    channel = pv.channel

    def fail(*_args: Any) -> None:
        raise CAError("torn")

    properties = Properties(channel)
    monkeypatch.setattr(channel.circuit, "ask", fail)
    monkeypatch.setattr(channel.circuit, "sending", fail)
    on_engine(pv, properties.serve, channel)
    monkeypatch.undo()
    assert channel.control is None
    on_engine(pv, properties.serve, channel)
    eventually(lambda: channel.control is not None)


def test_without_a_connection_nothing_is_asked(serve):
    _, context = serve()
    channel = channel_of(context, "nowhere")
    want(channel)
    assert channel.control is None
