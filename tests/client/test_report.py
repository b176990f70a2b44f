"""What a context says about itself, as figures and as text."""

from __future__ import annotations

import dataclasses
import json
import threading

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


GROWING = ("searches_sent", "dropped", "callback_errors", "wakeups", "bytes_in", "bytes_out", "circuits_opened")


def test_what_is_counted_only_grows_whatever_is_closed(serve):
    """Dropped updates, errors of callbacks and bytes stay counted when subscription, PV and circuit have gone."""
    ioc, context = serve(Record("x", 0))
    release, calls = threading.Event(), Recorder()

    def slow(reading):
        calls(reading)
        release.wait(PATIENCE)
        raise ZeroDivisionError

    pv = context.pv("x")
    subscription = pv.subscribe(slow, limit=1)
    calls.wait(1)
    seen = Recorder()
    with pv.subscribe(seen):
        for number in range(1, 6):
            ioc["x"].post(number)
        seen.wait_for(lambda items: [each for each in items if each.value == 5])
    assert context.report().dropped == 4
    release.set()
    calls.wait(2)
    before = context.report()
    for _ in range(3):  # those of one that comes back are not counted again
        subscription.pause()
        subscription.resume()
        assert context.pv("x").get(use_monitor=False) == 5
        assert 4 <= context.report().dropped <= subscription.dropped
    pv.close()
    assert context.pv("x").get(use_monitor=False) == 5
    ended = context.report()
    assert ended.dropped == subscription.dropped
    assert all(getattr(ended, name) >= getattr(before, name) for name in GROWING)
    assert ended.to_dict()["dropped"] == ended.dropped


def test_bytes_of_circuits_that_ended_stay_counted(serve):
    ioc, context = serve(Record("x", 0))
    pv = context.pv("x")
    assert pv.get() == 0
    before = context.report()
    down = Recorder()
    pv.add_connection_callback(lambda conn, **_: down(conn))
    ioc.stop()
    down.wait_for(lambda items: False in items)
    after = context.report()
    assert not [each for each in after.circuits if each.state == "open"]
    assert after.bytes_in >= before.bytes_in > 0
    assert after.bytes_out >= before.bytes_out > 0
    assert after.circuits_opened >= 1


def test_a_report_as_json_and_as_a_table(serve):
    ioc, context = serve(Record("x", 1.0))
    assert context.pv("x").get(timeout=PATIENCE) == 1.0
    report = context.report()
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(told) == {each.name for each in dataclasses.fields(report)}
    assert told["circuits"][0]["address"] == f"127.0.0.1:{ioc.tcp_port}"
    assert repr(report) == str(report)
    table = report._repr_html_()
    assert f"127.0.0.1:{ioc.tcp_port}" in table
    assert table.count("<tr>") == len(str(report).splitlines())


def test_the_servers_that_are_known(serve):
    ioc, context = serve(Record("x", 1.0))
    assert context.servers() == ()
    assert context.pv("x").get(timeout=PATIENCE) == 1.0
    assert context.servers() == (f"127.0.0.1:{ioc.tcp_port}",)
