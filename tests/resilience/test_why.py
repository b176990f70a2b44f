"""The true cause, in each situation that a facility knows; for scalars and arrays, and over a name server."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from caclient import CATimeoutError, Cause, Config, Context, why
from tests.faults import FaultServer, Tcp
from tests.resilience.watching import eventually

VALUES = {"scalar": 1.5, "array": np.arange(5.0)}


def of(pv, cause):
    """Waits until it is so."""
    eventually(lambda: pv.why().cause is cause)
    diagnosis = pv.why()
    assert diagnosis.advice or cause is Cause.HEALTHY
    return diagnosis


@pytest.fixture(params=VALUES)
def value(request):
    return VALUES[request.param]


@pytest.fixture(params=["broadcast", "name server"])
def server(request, value):
    with FaultServer({"x": value}) as server:
        settings = {"addr_list": (), "name_servers": (server.tcp_address,)} if request.param == "name server" else {}
        server.settings = settings
        yield server


def test_an_outage_from_beginning_to_end(server):
    with Context(server.client_config(conn_timeout=0.3, echo_timeout=0.3, **server.settings)) as context:
        pv = context.pv("x")
        pv.get(timeout=10)
        assert of(pv, Cause.HEALTHY).facts["access"] == "read/write"
        server.stall_circuits()  # SIGSTOP, as far as a client can tell
        assert of(pv, Cause.UNRESPONSIVE).says.startswith("127.0.0.1:")
        server.resume()
        of(pv, Cause.HEALTHY)
        server.stop()
        of(pv, Cause.DROPPED)


def test_a_stopped_ioc_is_told_by_the_error_of_a_get(value):
    with FaultServer({"x": value}) as server, Context(server.client_config()) as context:
        pv = context.pv("x", auto_monitor=False)
        pv.get()
        server.stall()
        with pytest.raises(CATimeoutError, match=r"unresponsive: 'x'.* after 1") as raised:
            pv.get(timeout=1.2)
        assert raised.value.why.cause is Cause.UNRESPONSIVE
        assert (raised.value.pvname, raised.value.phase) == ("x", "request")
        assert raised.value.elapsed > 1.0
        assert pv.why().cause is Cause.UNRESPONSIVE
        server.resume()
        pv.get()
        assert pv.why().cause is Cause.HEALTHY


def test_nobody_has_it():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        pv = context.pv("nowhere")
        assert pv.why().cause is Cause.SEARCHING
        assert of(pv, Cause.NO_REPLY).facts["searches"] > 0


def test_there_is_nowhere_to_search():
    with Context(Config.isolated()) as context:
        assert of(context.pv("x"), Cause.NO_ADDRESS).says.startswith("there is nowhere to search: no address is given")


def test_the_environment_cannot_be_used():
    config = Config.from_env({"EPICS_CA_ADDR_LIST": "127.0.0.1:1,b", "EPICS_CA_AUTO_ADDR_LIST": "NO"})
    with Context(config.replace(repeater_port=0)) as context:
        pv = context.pv("x")
        assert "EPICS_CA_ADDR_LIST: '127.0.0.1:1,b' is no address" in of(pv, Cause.SETTINGS).says
        eventually(lambda: Cause.NO_ADDRESS in pv.why().also)  # known once the list has been looked up


def test_tcp_is_refused():
    with FaultServer({"x": 1.0}, tcp=Tcp.REFUSE) as server, Context(server.client_config()) as context:
        diagnosis = of(context.pv("x"), Cause.CONNECTION_REFUSED)
        assert "answers searches" in diagnosis.says
        assert "firewall" in diagnosis.advice


def test_the_channel_is_not_created():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        server.refuse_channel("x")
        assert "would not create the channel" in of(context.pv("x"), Cause.NOT_CREATED).says


@pytest.mark.parametrize("rights, cause", [("w", Cause.NO_READ_ACCESS), ("r", Cause.NO_WRITE_ACCESS)])
def test_rights(rights, cause):
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        server.set_access("x", rights)
        pv = context.pv("x")
        assert pv.wait_for_connection(10)
        of(pv, cause)


def test_a_callback_is_stuck(value):
    with FaultServer({"x": value}) as server, Context(server.client_config()) as context:
        pv, free, stuck = context.pv("x"), threading.Event(), threading.Event()

        def slow(reading):
            stuck.set()
            free.wait(20)

        with pv.subscribe(slow):
            assert stuck.wait(10)
            server["x"].post(value + 1)
            diagnosis = of(pv, Cause.CALLBACK_BUSY)
            free.set()
        assert "slow (test_why.py:" in diagnosis.says


def test_two_servers_have_it():
    with (
        FaultServer({"x": 1.0}) as one,
        FaultServer({"x": 2.0}) as two,
        Context(Config.isolated(addr_list=(one.address, two.address))) as context,
    ):
        pv = context.pv("x")
        pv.get()
        diagnosis = of(pv, Cause.DUPLICATE)
        assert {diagnosis.facts["address"], diagnosis.facts["other"]} == {
            f"127.0.0.1:{server.tcp_port}" for server in (one, two)
        }


def test_it_is_closed():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        pv = context.pv("x")
        pv.close()
        assert pv.why().cause is Cause.CLOSED
        other = context.pv("x")
    assert other.why().cause is Cause.CLOSED


def test_why_asks_before_it_says(value):
    with FaultServer({"x": value}) as server, Context(server.client_config()) as context:
        assert why("x", context=context).cause is Cause.HEALTHY
        server.stall()
        assert why("x", timeout=1.3, context=context).cause is Cause.UNRESPONSIVE


def test_facts_of_many_share_what_is_the_same_for_all():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        pvs = [context.pv(f"nowhere{number}") for number in range(50)]
        facts = [pv.channel.facts() for pv in pvs]
    assert len({id(each.around) for each in facts}) <= 2
