"""Rides: what comes for one that is over falls on it, and whoever waits for its end is told."""

from __future__ import annotations

import threading
import time

import pytest

from caclient import AccessRights
from caclient.client.channel import Channel
from caclient.ioc import Record
from caclient.protocol import commands as ca
from tests.client.test_channel import deadline, engine_idle
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually
from tests.using import channel_of, context_of


@pytest.fixture
def channel(serve) -> Channel:
    _, context = serve(Record("x", 1.5))
    channel = channel_of(context, "x")
    channel.require(deadline(PATIENCE))
    return channel


def test_a_late_command_of_an_old_circuit_falls_on_a_ride_that_is_over(channel):
    """It used to act on the new one: a spurious disconnect."""
    context, old = context_of(channel), channel.ride
    context._home.runtime.loop.call_soon(old.circuit.close, "a test")
    engine_idle(context._home.runtime)
    new = channel.require(deadline(PATIENCE))
    assert old.over and not new.over
    before = channel.since
    for command in (
        ca.ServerDisconnResponse(channel.cid),
        ca.AccessRightsResponse(channel.cid, AccessRights.NO_ACCESS),
        ca.CreateChFailResponse(channel.cid),
    ):
        context._home.runtime.loop.call_soon(old.receive, command)
    context._home.runtime.loop.call_soon(old.circuit_closed, "late")
    context._home.runtime.loop.call_soon(old.circuit_unresponsive)
    engine_idle(context._home.runtime)
    assert channel.connected
    assert channel.since == before
    assert channel.ride is new
    assert new.can_write


def test_whoever_waits_for_its_end_is_told(channel):
    ride, told = channel.ride, Recorder()
    assert not ride.await_end(time.monotonic() + PATIENCE)  # the engine has nothing to do with it
    gate = threading.Event()
    channel.runtime.loop.call_soon(gate.wait, PATIENCE)
    threads = [threading.Thread(target=lambda: told(ride.await_end(deadline(PATIENCE)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(ride._partings) == 4)
    channel.runtime.loop.call_soon(channel.circuit.close, "a test")
    gate.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(told.wait(3)) == 3
    eventually(lambda: ride.over)
    assert ride.await_end(0.0)
