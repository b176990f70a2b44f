"""Shared PVs: kept while their names are asked for, and no longer."""

from __future__ import annotations

import threading

import pytest

from caclient import Context
from caclient.client import shared as module
from caclient.client.standing import State
from caclient.errors import CATimeoutError
from tests.faults import FaultServer
from tests.recorder import PATIENCE
from tests.resilience.watching import eventually


@pytest.fixture
def made(monkeypatch):
    """A context that looks when it is told to."""
    monkeypatch.setattr(module, "_TICK", 3600.0)
    with FaultServer({"x": 1.0, "y": 2.0}) as server, Context(server.client_config()) as context:
        context.server = server
        yield context


def look(context, times=1):
    done, loop = threading.Event(), context._home.runtime.loop
    for _ in range(times):
        loop.call_soon(context._shared.look)
    loop.call_soon(loop.call_soon, loop.call_soon, done.set)
    assert done.wait(PATIENCE)


def test_a_name_has_one_pv_while_it_is_asked_for(made):
    pv = made.shared_pv("x")
    for _ in range(2 * module._QUIET):
        look(made, module._QUIET - 1)
        assert made.shared_pv("x") is pv


def test_without_a_call_for_a_minute_the_monitor_goes_and_the_channel_stays(made):
    assert made.shared_pv("x").get(timeout=PATIENCE) == 1.0
    made.server.wait_until(lambda: made.server.subscriptions == 1)
    channel = made.shared_pv("x").channel
    look(made, module._QUIET)
    made.server.wait_until(lambda: made.server.subscriptions == 0)
    assert channel.state is State.READY
    assert made.shared_pv("x").channel is channel
    assert made.shared_pv("x").get(timeout=PATIENCE) == 1.0
    made.server.wait_until(lambda: made.server.subscriptions == 1)
    assert eventually(lambda: channel.users == 1)


def test_without_a_call_for_ten_minutes_the_name_goes(made):
    assert made.shared_pv("x").get(timeout=PATIENCE) == 1.0
    look(made, module._FORGOTTEN)
    made.server.wait_until(lambda: made.server.channels == 0)
    assert len(made._shared) == 0
    assert made._home.names.all() == []


def test_a_name_that_never_connects_is_not_searched_for_ever(made):
    """``caget("typo")``, of which a long session has many."""
    with pytest.raises(CATimeoutError):
        made.shared_pv("typo").get(timeout=0.05)
    assert len(made._home.searches.schedule) == 1
    look(made, module._QUIET)
    assert len(made._home.searches.schedule) == 0
    assert made._home.names.all() == []


def test_what_somebody_holds_stays_as_it_is(made):
    pv = made.shared_pv("x")
    assert pv.get(timeout=PATIENCE) == 1.0
    made.server.wait_until(lambda: made.server.subscriptions == 1)
    look(made, module._QUIET + 1)
    assert made.server.subscriptions == 1
    assert made.shared_pv("x") is pv
    look(made, module._FORGOTTEN)
    assert pv.connected and made.server.subscriptions == 1
    assert len(made._shared) == 0


def test_what_was_closed_is_made_anew(made):
    pv = made.shared_pv("x")
    pv.close()
    assert made.shared_pv("x") is not pv
    assert made.shared_pv("x").get(timeout=PATIENCE) == 1.0


def test_a_bounded_number_is_kept(made, monkeypatch):
    monkeypatch.setattr(module, "MOST", 10)
    monkeypatch.setattr(module, "_QUIET", 100)
    for number in range(11):
        look(made)
        made.shared_pv(f"n{number}")
    assert len(made._shared) == 10
    assert made.shared_pv("n10") is made.shared_pv("n10")
    look(made)
    assert eventually(lambda: len(made._home.names.all()) == 10)
    assert "n0" not in made._shared._kept


def test_looked_at_from_time_to_time_by_itself(monkeypatch):
    monkeypatch.setattr(module, "_TICK", 0.01)
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        assert context.shared_pv("x").get(timeout=PATIENCE) == 1.0
        assert eventually(lambda: len(context._shared) == 0)
        server.wait_until(lambda: server.channels == 0)


def test_it_goes_with_its_context_though_a_timer_runs(monkeypatch):
    monkeypatch.setattr(module, "_TICK", 0.01)
    with FaultServer({"x": 1.0}) as server:
        context = Context(server.client_config())
        home = context._home
        assert context.shared_pv("x").get(timeout=PATIENCE) == 1.0
        del context
        assert home._over.acquire(timeout=PATIENCE)
        home._over.release()
        home.runtime.loop.thread.join(PATIENCE)


def test_a_closed_context_is_not_looked_at(made):
    made.shared_pv("x")
    made.close()
    made._shared.look()
    assert made._shared._kept["x"].idle == 0
