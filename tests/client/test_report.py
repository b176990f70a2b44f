"""What a context says about itself, as figures and as text."""

from __future__ import annotations

import dataclasses

import caclient
from caclient import Config, Context
from caclient.client.report import CircuitReport
from caclient.ioc import Record
from tests.faults import FaultServer, Tcp
from tests.recorder import PATIENCE, Recorder


def test_a_busy_context(serve):
    ioc, context = serve(Record("x", 1.0), Record("y", 2.0))
    heard = Recorder()
    pv, nowhere = context.pv("x"), context.pv("nowhere")
    with pv.subscribe(heard), pv.subscribe(print_nothing):
        heard.wait(1)
        context.pv("y").get()
        report = context.report()
    (circuit,) = report.circuits
    assert (circuit.address, circuit.priority, circuit.state, circuit.version) == (
        ("127.0.0.1", ioc.tcp_port), 0, "open", 13,
    )  # fmt: skip
    assert circuit.bytes_in > 0 and circuit.bytes_out > 0 and circuit.bytes_pending == 0
    assert circuit.age >= circuit.last_heard >= 0.0
    assert report.channels["searching"] == 1
    assert report.channels["ready"] >= 1
    assert report.searching == ("nowhere",)
    assert report.destinations == (f"127.0.0.1:{ioc.port}",)
    assert report.searches_sent >= 1
    assert report.subscriptions == 2
    assert (report.dropped, report.callback_errors, report.duplicates) == (0, 0, {})
    assert report.workers >= 1
    text = str(report)
    for part in ("1 searching", f"127.0.0.1:{ioc.tcp_port}", "2 subscriptions", "0 dropped", "CA 4.13", "last heard"):
        assert part in text, text
    assert not nowhere.connected


def print_nothing(_reading: object) -> None:
    """A callback."""


def test_an_idle_context():
    with Context(Config.isolated()) as context:
        report = context.report()
        assert (report.circuits, report.channels, report.searching) == ((), {}, ())
        assert str(report).startswith("channels: none\n")


def test_searches_that_fail_are_shown(serve):
    _, context = serve()
    done = Recorder()
    context._home.runtime.loop.call_soon(
        context._home.searches.failures.__setitem__, ("10.0.0.1", 5064), "Network is unreachable"
    )
    context._home.runtime.loop.call_soon(done, None)
    done.wait(1)
    assert "search to 10.0.0.1:5064 fails: Network is unreachable" in str(context.report())


def test_circuits_in_words(serve):
    _, context = serve(Record("x", 1.0))
    assert context.pv("x").get(timeout=PATIENCE) == 1.0
    circuit = context.report().circuits[0]
    never = dataclasses.replace(circuit, last_heard=None, round_trip=None)
    assert str(never).endswith("never heard")
    assert str(dataclasses.replace(circuit, round_trip=0.00125)).endswith("round trip 1.25 ms")


def test_a_circuit_that_is_not_up_has_no_age():
    with FaultServer({"x": 1.0}, tcp=Tcp.NEVER) as server, Context(server.client_config()) as context:
        assert not context.pv("x").wait_for_connection(0.2)
        (circuit,) = context.report().circuits
        assert isinstance(circuit, CircuitReport)
        assert (circuit.state, circuit.age, circuit.last_heard) == ("connecting", None, None)
        assert isinstance(context.report(), caclient.Report)
